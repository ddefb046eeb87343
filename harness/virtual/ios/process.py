"""A virtual IOS router as a process that stands in a network of its own, as a real one stands in a rack: nobody's child but its
command line's, which is reached by SSH and telnet.

    natstorm-ios --startup FILE --wire ADDRESS [--lan INTERFACE ADDRESS HOST] [--callers INTERFACE NAME]
                 --ssh ADDRESS [PORT] [--telnet ADDRESS [PORT]]
    natstorm-ios --startup FILE --role nat|endpoint --port INTERFACE NAME [--port …] --ssh ADDRESS [PORT] [--telnet ADDRESS [PORT]]

FILE is its startup configuration; `copy running-config startup-config` does not write it. ADDRESS of --wire has to be the kernel's
on the interface towards the peers, and the configuration's. INTERFACE is one without an address, towards the one HOST on its LAN;
that of --callers is where callers come in by PPPoE, and NAME is what the router calls it (FastEthernet0/1).
With --role it is a NAT or a VPN endpoint on whole Ethernets, interfaces on which the kernel has no address: what each of them is,
its address and its side, the configuration says at any time.
What is configured and does nothing is told on its standard error when it starts, and logged when configuration mode is left.
It says "ready", and its SSH host key behind it, once it can be reached, and ends with SIGTERM or its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from harness.errors import NatstormError
from harness.virtual.aaa import desk as aaa
from harness.virtual.ios.endpoint_role import EndpointRole
from harness.virtual.ios.nat_role import NatRole
from harness.virtual.ios.ports import Ports
from harness.virtual.ios.router import IosRouter
from harness.virtual.ios.server import Server
from harness.virtual.ios.state import State
from harness.virtual.ios.syslog import SOURCE_PORT
from harness.virtual.sockets import UDP_PORTS, Ethernet, Lan, Wire
from harness.wire.arp import ETH_P_ARP, ETH_P_IP
from harness.wire.pppoe import packet as pppoe

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
SSH_PORT, TELNET_PORT = 22, 23
Address = tuple[str, int]
NOBODY: Mapping[str, Ethernet] = MappingProxyType({})
ROLES: Mapping[str, type[NatRole] | type[EndpointRole]] = MappingProxyType({"nat": NatRole, "endpoint": EndpointRole})


class _Clocked(ABC):
    """A clock around a router, inside a running event loop: the server's is the router's. `_flush` sends what there is to send, and
    says by `_wake_at` when the router is due."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def _wake_at(self, due: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_later(max(0.0, due - self._server.now), self._due)

    def _due(self) -> None:
        self._timer = None
        self._tick(self._server.now)
        self._flush()

    @abstractmethod
    def _tick(self, now: float) -> None: ...

    @abstractmethod
    def _flush(self) -> None: ...


class RouterProcess(_Clocked):
    """Sockets around a router."""

    def __init__(
        self, router: IosRouter, server: Server, wire: Wire, lan: Lan | None, callers: Mapping[str, Ethernet] = NOBODY
    ) -> None:
        super().__init__(server)
        self.router = router
        self._wire = wire
        self._lan = lan
        self._callers = callers
        router.changed = self._flush
        for descriptor, port in wire.filenos().items():
            self._loop.add_reader(descriptor, self._arrived, port)
        if lan is not None:
            self._loop.add_reader(lan.incoming, self._from_lan, lan)
            self._loop.add_reader(lan.arp, lan.read_arp)
        for name, ethernet in callers.items():
            router.pppoe.attach(name, ethernet.address)
            for descriptor in ethernet.filenos():
                self._loop.add_reader(descriptor, self._called, name)
        self._flush()

    def _arrived(self, port: int) -> None:
        for packet in self._wire.read(port):
            self.router.receive(self._server.now, packet)
        self._flush()

    def _from_lan(self, lan: Lan) -> None:
        for packet in lan.read():
            self.router.receive_lan(self._server.now, packet)
        self._flush()

    def _called(self, name: str) -> None:
        for frame in self._callers[name].read():
            self.router.receive_ethernet(self._server.now, name, frame)
        self._flush()

    def _tick(self, now: float) -> None:
        self.router.tick(now)

    def _flush(self) -> None:
        router = self.router
        for packet in router.take_packets():
            self._wire.send(packet)
        for data in router.take_lan():
            if self._lan is not None:
                self._lan.send(data)
        for name, frame in router.take_ethernet():
            self._callers[name].send(frame)
        router.take_frames()  # it has no other lines
        router.take_taps()
        router.take_events()
        self._wake_at(router.deadline)


class PortsProcess(_Clocked):
    """The same around a router between two sides; `cards` by its names of the interfaces."""

    def __init__(self, ports: Ports, server: Server, cards: Mapping[str, Ethernet]) -> None:
        super().__init__(server)
        self._ports = ports
        self._cards = cards
        ports.role.wake = self._flush
        for name, card in cards.items():
            for descriptor in card.filenos():
                self._loop.add_reader(descriptor, self._arrived, name)
        self._flush()

    def _arrived(self, name: str) -> None:
        for frame in self._cards[name].read():
            self._ports.receive(self._server.now, name, frame)
        self._flush()

    def _tick(self, now: float) -> None:
        self._ports.tick(now)

    def _flush(self) -> None:
        for name, frame in self._ports.take_frames(self._server.now):
            self._cards[name].send(frame)
        self._wake_at(self._ports.deadline)


def _sigterm() -> asyncio.Event:
    """From now on SIGTERM sets it, and ends nothing by itself."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    return over


def _tell_unheeded(state: State) -> None:
    for one in state.tell_unheeded():
        print(f"natstorm-ios: {one}", file=sys.stderr)


async def _ready(server: Server, ssh: Address | None, over: asyncio.Event) -> None:
    """Says so, and returns when it is over."""
    print(f"ready {server.host_key if ssh else ''}".rstrip(), flush=True)
    await over.wait()


async def stand(state: State, role: str, ports: Mapping[str, str], ssh: Address | None, telnet: Address | None) -> None:
    """A router between two sides, until SIGTERM. `ports`: interfaces by the router's names for them."""
    over = _sigterm()
    cards: dict[str, Ethernet] = {}
    try:
        for name, interface in ports.items():
            cards[name] = Ethernet(interface, (ETH_P_IP, ETH_P_ARP))
        around = Ports(ROLES[role](state, os.urandom), {name: card.address for name, card in cards.items()})
        _tell_unheeded(state)
        async with Server(state, ssh=ssh, telnet=telnet) as server:
            PortsProcess(around, server, cards)
            await _ready(server, ssh, over)
    finally:
        for card in cards.values():
            card.close()


async def serve(
    state: State,
    wire: str,
    lan: list[str] | None,
    ssh: Address | None,
    telnet: Address | None,
    callers: list[str] | None = None,
) -> None:
    over = _sigterm()
    router = IosRouter(state, os.urandom, witnessed=False)
    outside = Wire(wire, (*UDP_PORTS, *aaa.PORTS, SOURCE_PORT), marks_df=True)
    inside = Lan(*lan) if lan else None
    segments = {callers[1]: Ethernet(callers[0], (pppoe.DISCOVERY, pppoe.SESSION))} if callers else {}
    try:
        _tell_unheeded(state)
        async with Server(state, ssh=ssh, telnet=telnet) as server:
            RouterProcess(router, server, outside, inside, segments)
            await _ready(server, ssh, over)
    finally:
        outside.close()
        if inside is not None:
            inside.close()
        for one in segments.values():
            one.close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="natstorm-ios", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--startup", type=Path, required=True, metavar="FILE", help="its startup configuration")
    parser.add_argument("--release", default="12.4(1)", help="the IOS release that it is (12.4(1))")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--wire", metavar="ADDRESS", help="its address towards the peers, of whom it is a LAC, an LNS or a gateway")
    kind.add_argument("--role", choices=tuple(ROLES), help="what it is between its inside and its outside")
    parser.add_argument(
        "--port", nargs=2, action="append", default=[], metavar=("INTERFACE", "NAME"), help="with --role: an Ethernet of it"
    )
    parser.add_argument("--lan", nargs=3, metavar=("INTERFACE", "ADDRESS", "HOST"), help="the way to the one host behind it")
    parser.add_argument("--callers", nargs=2, metavar=("INTERFACE", "NAME"), help="where callers come in by PPPoE")
    for protocol, port in (("ssh", SSH_PORT), ("telnet", TELNET_PORT)):
        parser.add_argument(f"--{protocol}", nargs="+", metavar=("ADDRESS", "PORT"), help=f"where it answers {protocol} ({port})")
    given = parser.parse_args(arguments)
    if bool(given.port) != (given.role is not None):
        parser.error("--role has a --port for each of its interfaces, and --wire has none")
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGTERM))
    prctl(_PR_SET_NAME, ctypes.c_char_p(b"natstorm-ios"))
    ssh, telnet = _place(parser, given.ssh, SSH_PORT), _place(parser, given.telnet, TELNET_PORT)
    try:
        state = State(release=given.release, startup=given.startup.read_text(encoding="utf-8"))
        for trouble in state.troubles:
            print(f"natstorm-ios: the startup configuration has a line that is not taken: {trouble.line}", file=sys.stderr)
        if given.role is None:
            asyncio.run(serve(state, given.wire, given.lan, ssh, telnet, given.callers))
        else:
            asyncio.run(stand(state, given.role, {name: interface for interface, name in given.port}, ssh, telnet))
    except (NatstormError, OSError, ValueError) as error:
        print(f"natstorm-ios: {error}", file=sys.stderr)
        return 3
    return 0


def _place(parser: argparse.ArgumentParser, words: list[str] | None, usual: int) -> Address | None:
    """Ends the process where they are no address and port."""
    if words is None:
        return None
    address, *rest = words
    if len(rest) > 1 or not all(one.isdecimal() and int(one) < 1 << 16 for one in rest):
        parser.error(f"{' '.join(rest)} is no port")
    return address, int(rest[0]) if rest else usual


if __name__ == "__main__":
    sys.exit(main())
