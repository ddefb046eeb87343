"""Gateways whose translated ports are broken: who is given which, when it is given and freed, and where it is put in."""

from __future__ import annotations

from typing import Any

from harness.faults.fault import Fault, in_gateway
from harness.virtual.demux import LowestFreePort, NextPort, PortAllocator, Translator
from harness.virtual.ipsec import Ipsec
from harness.virtual.peers import Association, Client
from harness.virtual.settings import Settings
from harness.wire import events
from harness.wire.packet import Packet

L2TP_PORT = 1701

# The allocator


class Twice(NextPort):
    """Each port is given to two clients."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__(first, last)
        self._again: int | None = None

    def give(self) -> int | None:
        again, self._again = self._again, None
        if again is not None:
            return again
        self._again = super().give()
        return self._again


class EverySecond(NextPort):
    def give(self) -> int | None:
        given = super().give()
        super().give()
        return given


def _allocator(kind: type[NextPort], first: int = 0, last: int = 0) -> Any:
    """`first` and `last` shift the ends of the range that is configured."""

    def make(settings: Settings) -> PortAllocator:
        look = settings.personality
        return kind(look.port_first + first, look.port_last + last)

    return make


# When a port is given, and when it is free again


class PortOfAnSa(Ipsec):
    def _translates(self, client: Client | None) -> bool:
        return self.settings.personality.demux


class PortOfAnIkeSa(Ipsec):
    def _hear(self, now: float, association: Association, event: events.Event, packet: Packet | None) -> None:
        super()._hear(now, association, event, packet)
        client = association.client
        if not isinstance(event, events.IkeUp) or client is None or client.translated is None:
            return
        anew = self.ports.give()
        if anew is not None:
            self.ports.free(client.translated)
            client.translated = anew
            self._place_anew(client, client.address, anew)


class KeepsClients(Ipsec):
    def _remove(self, now: float, event: events.EspDown) -> None:
        sa = self.sadb.by_spi.get(event.spi_in)
        if sa is None or len(sa.client.sas) > 1 or sa.client.translated is None:
            super()._remove(now, event)
            return
        self.sadb.remove(event.spi_in)
        sa.client.sas.clear()
        self._lost(now, sa.client)


class FreesWithAnySa(Ipsec):
    def __init__(self, settings: Settings, *arguments: Any) -> None:
        super().__init__(settings, *arguments)
        look = settings.personality
        self.ports = LowestFreePort(look.port_first, look.port_last)

    def _remove(self, now: float, event: events.EspDown) -> None:
        sa = self.sadb.by_spi.get(event.spi_in)
        super()._remove(now, event)
        if sa is not None and sa.client.sas and sa.client.translated is not None:
            self.ports.free(sa.client.translated)


# Where it is put in the place of another


class NotIntoEsp(Translator):
    def outbound(self, dport: int, translated: int | None, own: int) -> int:
        return dport


class NotOutOfEsp(Translator):
    def inbound(self, sport: int, translated: int | None) -> int:
        return sport


class AlwaysTo1701(Translator):
    def outbound(self, dport: int, translated: int | None, own: int) -> int:
        return L2TP_PORT


class Highest(Translator):
    """The port last given is in a register that all share."""

    def __init__(self) -> None:
        self._last: int | None = None

    def inbound(self, sport: int, translated: int | None) -> int:
        if translated is not None:
            self._last = max(translated, self._last or 0)
        return super().inbound(sport, translated if translated is None else self._last)


FAULTS: tuple[Fault, ...] = (
    in_gateway("port-twice", "The allocator gives each translated port to two clients.", port_allocator=_allocator(Twice)),
    in_gateway("port-from-1025", "The first translated port is left out.", port_allocator=_allocator(NextPort, first=1)),
    in_gateway("port-every-second", "Every second translated port is passed over.", port_allocator=_allocator(EverySecond)),
    in_gateway("port-last-left-out", "The last port of the range is never given.", port_allocator=_allocator(NextPort, last=-1)),
    in_gateway(
        "port-past-the-end", "One port beyond the end of the range is given too.", port_allocator=_allocator(NextPort, last=1)
    ),
    in_gateway("port-per-sa", "A translated port is given anew with every pair of ESP SAs.", ipsec=PortOfAnSa),
    in_gateway("port-per-ike-sa", "A translated port is given anew with every ISAKMP SA.", ipsec=PortOfAnIkeSa),
    in_gateway("port-not-freed", "A client that has lost its last SA keeps its translated port.", ipsec=KeepsClients),
    in_gateway(
        "port-freed-in-use",
        "The end of any SA of a client frees its translated port, and the lowest free one is given next.",
        ipsec=FreesWithAnySa,
    ),
    in_gateway(
        "port-not-translated-back", "What goes out is encrypted with the translated port still in it.", translator=NotIntoEsp
    ),
    in_gateway("port-not-translated", "What comes in keeps the client's own port on its way to L2TP.", translator=NotOutOfEsp),
    in_gateway("port-of-the-newest", "What comes in gets the port that was given last, whoever sent it.", translator=Highest),
    in_gateway(
        "port-always-1701",
        "What goes out is sent to port 1701 of the client, whatever its own L2TP port is.",
        translator=AlwaysTo1701,
    ),
)
