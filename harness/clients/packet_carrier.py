"""A carrier over whole IP packets instead of sockets: what the kernel would do for the clients' datagrams is done here.

Where the packets go and come from is the owner's matter: a simulated link, usually.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.clients.carrier import Arrival, Counters, Owner
from harness.clients.clock import RunClock
from harness.errors import ProtocolError
from harness.wire.events import Datagram
from harness.wire.ip import UDP, dotted
from harness.wire.packet import AH, ESP, Packet, from_ip, to_ip
from harness.wire.reassembly import Reassembly

CARRIED = frozenset((UDP, ESP, AH))


class PacketCarrier:
    """A carrier (`carrier.Carrier`). `emit` takes each packet that is sent; `receive` is to be given each that comes."""

    def __init__(self, emit: Callable[[bytes], None], site: int = 1) -> None:
        self.site = site
        self.counters = Counters()
        self._emit = emit
        self._owner: Owner | None = None
        self._fragments = Reassembly()
        self._identification: dict[bytes, int] = {}  # the last one, by source
        self._names: dict[bytes, str] = {}

    def open(self, owner: Owner, clock: RunClock) -> None:
        self._owner = owner
        self._now = clock.monotonic

    def close(self) -> None:
        self._owner = None

    def send(self, source: bytes, to: str, datagram: Datagram) -> None:
        name = self._names.get(source)
        if name is None:
            name = self._names[source] = dotted(source)
        number = self._identification[source] = (self._identification.get(source, 0) + 1) & 0xFFFF
        self.counters.sent += 1
        packet = Packet(name, to, datagram.protocol, datagram.payload, datagram.sport, datagram.dport)
        self._emit(to_ip(packet, identification=number))

    def receive(self, data: bytes) -> None:
        """What a kernel drops (bad checksums, protocols that nobody listens for, parts without the rest) comes to nobody's ears."""
        if self._owner is None:
            return
        whole = self._fragments.add(self._now(), data)
        if whole is None:
            return
        try:
            packet = from_ip(whole)
        except ProtocolError:
            self.counters.unreadable += 1
            return
        if packet.protocol not in CARRIED:
            self.counters.unreadable += 1
            return
        self.counters.received += 1
        arrival = Arrival(packet.dport, packet.src, packet.sport, whole[16:20], packet.payload, 0.0, packet.protocol, self.site)
        self._owner.arrived(arrival)
