"""A client whose stack is a machine's own: what the machine says happens to it, told as a protocol core tells it.

So a real client has the same account, journal and marks as a simulated one, and is judged like any other. The marks are made here
and go out by the machine's own PPP link; its keys are its own (harness/devices/linux_client_log.py), not the gateway's.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from harness.devices import linux_client_log as fact
from harness.devices.linux_client import ClientSettings
from harness.errors import DeviceError
from harness.model import Stage
from harness.wire import events as wire
from harness.wire import ip

_ICMP_TYPE = 20  # where it stands in an IPv4 packet without options
_NEXT: dict[type[fact.Fact], Stage] = {
    fact.IkeEstablished: Stage.QUICK_MODE,
    fact.EspEstablished: Stage.L2TP_TUNNEL,
    fact.TunnelEstablished: Stage.L2TP_SESSION,
    fact.CallEstablished: Stage.LCP,
    fact.LcpOpened: Stage.AUTHENTICATION,
    fact.LoggedIn: Stage.IPCP,
    fact.AddressGiven: Stage.UP,
}
"""What comes next in a set-up, after each of its facts."""


class Began(wire.Event):
    """A stack that sends by itself has sent its first datagram."""


class Machine(Protocol):
    """What is needed of a device; harness.devices.linux_client.LinuxClient is the real one."""

    settings: ClientSettings
    mru: int

    async def connect(self, hear: Callable[[fact.Fact], None], packet: Callable[[bytes], None]) -> None: ...

    async def disconnect(self) -> None: ...

    async def delete_ipsec(self) -> None: ...

    async def rekey_ipsec(self) -> None: ...

    async def rekey_ike(self) -> None: ...

    async def kill(self) -> None: ...

    def send(self, packet: bytes) -> bool: ...


class MachineStack:
    """One connection of a machine, as a client's stack (client.Stack). `stir` has the client look at what there is to be heard."""

    def __init__(self, machine: Machine, stir: Callable[[], None]) -> None:
        self._machine = machine
        self._stir = stir
        self._alive = True
        self._leaving = False
        self._stage = Stage.MAIN_MODE  # what is being waited for
        self._ike_sas = 0
        self._esp_sas = 0
        self._events: list[wire.Event] = []
        self._defect: Exception | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def deadline(self) -> float | None:
        """Never of its own accord; None once it is over."""
        return math.inf if self._alive else None

    def start(self, now: float) -> None:
        self._launch(self._dial())

    def receive(self, now: float, local_port: int, payload: bytes, protocol: int = 17) -> None:
        """Nothing comes this way: the machine has sockets of its own."""

    def tick(self, now: float) -> None:
        """There is no deadline to come."""

    def take_datagrams(self) -> list[wire.Datagram]:
        return []

    def take_events(self) -> list[wire.Event]:
        if self._defect is not None:
            raise self._defect
        events, self._events = self._events, []
        return events

    def send_ip(self, now: float, packet: bytes) -> bool:
        """What answers an echo is the machine's own kernel: it has done so by the time the echo is seen here."""
        return packet[_ICMP_TYPE] == ip.ECHO_REPLY or self._machine.send(packet)

    def close(self, now: float) -> None:
        self._leaving = True
        self._launch(self._hang_up())

    def delete_ipsec(self, now: float) -> None:
        self._launch(self._machine.delete_ipsec())

    def rekey_ipsec(self, now: float) -> None:
        self._launch(self._rekey("quick mode", self._machine.rekey_ipsec()))

    def rekey_ike(self, now: float) -> None:
        self._launch(self._rekey("main mode", self._machine.rekey_ike()))

    def vanish(self) -> None:
        self._alive = False
        for task in self._tasks:
            task.cancel()
        self._launch(self._machine.kill())

    # Within

    async def _dial(self) -> None:
        try:
            await self._machine.connect(self._hear, self._packet)
        except DeviceError as error:
            await self._machine.kill()
            self._fail(error.seen)

    async def _hang_up(self) -> None:
        try:
            await self._machine.disconnect()
        finally:
            self._alive = False
            self._stir()

    async def _rekey(self, stage: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except DeviceError as error:
            self._tell(wire.RekeyFailed(stage, error.seen))

    async def _leave(self) -> None:
        """What a machine does whose link is gone: it ends its IPsec too, with Deletes."""
        await self._machine.delete_ipsec()
        await self._machine.kill()
        self._alive = False
        self._stir()

    def _fail(self, reason: str) -> None:
        self._alive = False
        self._tell(wire.Failed(self._stage.value, reason, {}))

    def _launch(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            assert isinstance(error, Exception)
            self._defect = error
            self._stir()

    def _tell(self, event: wire.Event) -> None:
        self._events.append(event)
        self._stir()

    def _packet(self, packet: bytes) -> None:
        if self._alive:
            self._tell(wire.IpPacket(packet))

    def _hear(self, one: fact.Fact) -> None:
        if not self._alive:
            return
        if isinstance(one, fact.Down):
            self._down(one)
            return
        if self._stage is not Stage.UP:
            self._stage = _NEXT.get(type(one), self._stage)
        self._tell(self._event(one))

    def _down(self, one: fact.Down) -> None:
        if self._leaving or one.layer == "ppp":
            self._tell(_downs(one))
        elif self._stage is Stage.UP:
            self._leaving = True
            self._tell(_downs(one))
            self._launch(self._leave())
        else:
            self._leaving = True
            self._tell(wire.Failed(self._stage.value, one.reason, {}))
            self._launch(self._leave())

    def _event(self, one: fact.Fact) -> wire.Event:
        match one:
            case fact.Began():
                return Began()
            case fact.IkeEstablished():
                self._ike_sas += 1
                return wire.IkeUp(
                    one.icookie, one.rcookie, one.encryption, one.hash, one.group, self._machine.settings.ike_life_s,
                    one.nat_local, one.nat_remote, one.key, self._ike_sas > 1, one.iv,
                )  # fmt: skip
            case fact.EspEstablished():
                self._esp_sas += 1
                return wire.EspUp(
                    one.spi_in, one.spi_out, one.encapsulation, one.encryption, one.authentication,
                    self._machine.settings.esp_life_s, 0, one.key_in, one.auth_key_in, one.key_out, one.auth_key_out,
                    self._esp_sas > 1,
                )  # fmt: skip
            case fact.EspDeleted():
                return wire.EspDown(one.spi, True, "deleted by the peer")
            case fact.IkeDeleted():
                return wire.IkeDown(one.icookie, one.rcookie, True, "deleted by the peer")
            case fact.TunnelEstablished():
                return wire.TunnelUp(one.local, one.remote, "", "")
            case fact.CallEstablished():
                return wire.CallUp(one.local, one.remote)
            case fact.LcpOpened():
                return wire.LcpUp(one.mru, one.authentication)
            case fact.LoggedIn():
                return wire.Authenticated(one.method, one.message)
            case fact.AddressGiven():
                return wire.PppUp(one.address, one.peer, one.dns)
        raise AssertionError(f"no event for {one}")


def _downs(one: fact.Down) -> wire.Event:
    match one.layer:
        case "ppp":
            return wire.PppDown(one.by_peer, one.reason)
        case "call":
            return wire.CallDown(one.by_peer, one.result, one.reason)
        case _:
            return wire.TunnelDown(one.by_peer, one.result, one.reason)
