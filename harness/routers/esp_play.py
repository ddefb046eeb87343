"""The steps of a script in the world of tunnel-mode endpoints about a NAT."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from harness.errors import ProtocolError
from harness.model.steps import StepBus
from harness.routers.esp_sites import WEST, Site
from harness.routers.play import Gathered
from harness.routers.wire_play import Wire, WirePlay
from harness.scenario.injector import digest
from harness.wire import ip
from harness.wire.packet import Packet, from_ip, to_ip

IPV4_HEADER = 20  # bytes, without options
PORTS = 9000, 9001
"""From which and to which UDP port hosts send, unless a script says otherwise."""
WORD = b"mark "
ANSWER_S = 1.0
GAP_S = 0.2
"""Between the packets of several hosts that are to fall into the same second."""
NEGOTIATION_S = 8.0
"""How long IKE of several at once may take, a retransmission included."""


class EspLab(Wire, Protocol):
    """Endpoints about a NAT, by name, and a host behind each; `natted` says whether there is a NAT between them. `arrived` is
    called with the name of an endpoint and each packet that comes out behind it. LabError where a laboratory has no such thing."""

    arrived: Callable[[str, bytes], None]

    @property
    def sites(self) -> Mapping[str, Site]: ...

    @property
    def natted(self) -> bool: ...

    @property
    def sent_inside(self) -> Mapping[str, bytes]:
        """The last ESP packet that each endpoint before the NAT sent there."""

    def from_host(self, name: str, packet: bytes) -> None:
        """The host behind that endpoint sends."""

    def to_nat(self, packet: bytes) -> None:
        """A host on the inside wire sends."""

    def attach(self, address: str, inside: bool, arrives: Callable[[bytes], None]) -> None:
        """A host of its own on the NAT's inside wire, or on the outside one."""

    async def met(self) -> None:
        """Returns once those that are attached and the NAT know each other."""

    def from_neighbour(self, address: str, packet: bytes) -> None:
        """The attached host with that address sends: to the NAT from inside, and towards the packet's destination from outside."""


class EspPlay(WirePlay):
    """Hosts behind endpoints send numbered UDP packets; what a host got is told as it comes."""

    lab: EspLab

    def __init__(self, lab: EspLab, bus: StepBus, gathered: Gathered, options: Mapping[str, Any]) -> None:
        super().__init__(lab, bus, gathered, options)
        self._number = 0
        lab.arrived = self._arrived
        for name, site in lab.sites.items():
            self.tell(f"host of {name}", "placed", endpoint=site.address, host=site.host, inside=lab.natted and site.side == WEST)

    def _arrived(self, name: str, packet: bytes) -> None:
        try:
            read = from_ip(packet)
        except ProtocolError:
            return
        if read.protocol == ip.UDP and read.payload.startswith(WORD):
            number = int(read.payload[len(WORD) :].split()[0])
            self.tell(f"host of {name}", "got", number=number, src=read.src, dst=read.dst, size=len(packet))

    def next_number(self) -> int:
        """Packets of all hosts are numbered together."""
        self._number += 1
        return self._number

    async def send(
        self, here: str, there: str, *, src: str | None = None, dst: str | None = None, size: int = 0, **ports: int
    ) -> int:
        """One packet from the host behind endpoint `here` to the one behind `there`, or between other addresses, of `size` bytes at
        least; returns its number, at once."""
        number = self.next_number()
        source, target = src or self.lab.sites[here].host, dst or self.lab.sites[there].host
        sport, dport = ports.get("sport", PORTS[0]), ports.get("dport", PORTS[1])
        payload = (WORD + b"%d " % number).ljust(max(size - 28, 0), b".")
        packet = to_ip(Packet(source, target, ip.UDP, payload, sport, dport), identification=number & 0xFFFF)
        self.tell(f"host of {here}", "sent", number=number, src=source, dst=target, size=len(packet))
        self.lab.from_host(here, packet)
        return number

    async def exchange(self, here: str, there: str, *, wait_s: float = ANSWER_S, label: str = "") -> bool:
        """One packet there, and one back; whether both came within `wait_s` each."""
        async with self.step(f"exchange:{here}:{there}{label and f':{label}'}", here, there):
            first = await self.send(here, there)
            went = await self.until(lambda: self.got(first), wait_s)
            second = await self.send(there, here)
            came = await self.until(lambda: self.got(second), wait_s)
        return went and came

    async def bring_up(self, here: str, there: str, *, wait_s: float = 30.0) -> bool:
        """Packets from `here` to `there`, one a second, until one comes through: those before it are lost while IKE goes on."""
        async with self.step(f"bring-up:{here}:{there}", here, there):
            end = self.lab.epoch() + wait_s
            while self.lab.epoch() < end:
                number = await self.send(here, there)
                if await self.until(lambda number=number: self.got(number), ANSWER_S):  # type: ignore[misc]
                    return True
        return False

    async def together(self, *pairs: tuple[str, str], wait_s: float = 30.0) -> None:
        """`bring_up` of all these at once."""
        await asyncio.gather(*(self.bring_up(here, there, wait_s=wait_s) for here, there in pairs))

    async def negotiate(self, *pairs: tuple[str, str], wait_s: float = NEGOTIATION_S) -> None:
        """One packet from each `here` to its `there`, which is lost while it makes IKE begin: no ESP has passed these tunnels."""
        async with self.step("negotiate", *_names(pairs)):
            for here, there in pairs:
                await self.send(here, there)
            await self.rest(wait_s)

    async def first_packets(self, *pairs: tuple[str, str], label: str, wait_s: float = 2 * ANSWER_S) -> None:
        """One packet of each, one after the other in the same second, and for a while nobody answers."""
        async with self.step(f"first-packets:{label}", *_names(pairs), pairs=[list(pair) for pair in pairs]):
            for here, there in pairs:
                await self.send(here, there)
                await self.rest(GAP_S)
            await self.rest(wait_s)

    async def answers(self, *pairs: tuple[str, str], label: str, wait_s: float = ANSWER_S) -> None:
        """One packet of each, the other way round, a moment after what was before."""
        await self.rest(GAP_S)
        async with self.step(f"answers:{label}", *_names(pairs), pairs=[list(pair) for pair in pairs]):
            for here, there in pairs:
                await self.send(there, here)
                await self.rest(GAP_S)
            await self.rest(wait_s)

    def got(self, number: int) -> bool:
        return any(one.kind == "got" and one.data["number"] == number for one in self.gathered.told)

    async def slip(self, src: str, dst: str, what: str) -> int:
        """A numbered UDP packet in the clear, that nobody has sent, onto the outside wire; returns its number."""
        self._number += 1
        payload = WORD + b"%d " % self._number
        packet = to_ip(Packet(src, dst, ip.UDP, payload, *PORTS), identification=self._number & 0xFFFF)
        await self.inject(packet, what, number=self._number, src=src, dst=dst)
        return self._number

    async def inject(self, packet: bytes, what: str, **more: Any) -> None:
        """A whole IP packet onto the outside wire, towards its destination. `more` is told with it."""
        async with self.step(f"inject:{what}"):
            self.put_on_wire(packet, what, **more)
            await self.rest(ANSWER_S)

    async def borrow_spi(self, thief: str, owner: str, what: str) -> None:
        """ESP onto the inside wire that has endpoint `thief` for its sender, and is else the last packet that `owner` sent there;
        nobody has sent it. Nothing is done where `owner` sent none, as when its ESP is in UDP."""
        from harness.routers.forgeries import borrowed

        last = self.lab.sent_inside.get(owner)
        if last is None:
            return
        async with self.step(f"inject:{what}", thief, owner):
            packet = borrowed(last, self.lab.sites[thief].address)
            told = {"to": ip.dotted(packet[16:20]), "what": what, "digest": digest(packet[IPV4_HEADER:])}
            self.tell("injector", "injected", **told)
            self.lab.to_nat(packet)
            await self.rest(ANSWER_S)

    async def come_to_rest(self) -> None:
        """Hosts have told all that they got as it came."""


def _names(pairs: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Of endpoints in these pairs, each once."""
    return tuple(dict.fromkeys(name for pair in pairs for name in pair))
