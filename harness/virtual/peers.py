"""Whom the gateway talks to: an association (what IKE has between us and one peer) and a client (whoever SAs are made for)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from harness.virtual.sadb import Sa
from harness.wire import ip
from harness.wire.ike.core import IkeCore
from harness.wire.ike.registry import NON_ESP_MARKER, PORT, PORT_NATT
from harness.wire.packet import Packet

IKE_HEADER = 28
"""Bytes of an ISAKMP header (RFC 2408 section 3.1)."""

COOKIES = 16
"""Of an association, how many of our cookies are remembered that no SA of it has: a peer's last words are not taken for garbage."""


class ClientKey(Protocol):
    def of(self, address: str, udp_port: int) -> Hashable:
        """What makes an SA's peer the same client as another's. `udp_port` is that of its encapsulation, 0 without one."""


class ByAddressAndPort:
    """The NAT's address and the port that it gave to the client's UDP 4500: one client's alone, as long as the mapping lives."""

    def of(self, address: str, udp_port: int) -> Hashable:
        return address, udp_port


@dataclass(slots=True, eq=False)
class Client:
    """Whoever has the SAs `sas` (by inbound SPI, newest last). `udp_port` is 0 where ESP is not encapsulated. `own_port` is the UDP
    port of the client's own L2TP, `translated` the one by which ours knows it, if it has been given one."""

    key: Hashable
    address: str
    udp_port: int
    translated: int | None = None
    own_port: int = 1701
    sas: dict[int, Sa] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Association:
    """One IKE core and where its peer is: `ports` maps 500 and 4500 to the peer's own as they are seen. `ike_sas`: cookies of those
    that are up, oldest first. `half_open` until the first is up."""

    number: int
    address: str
    ports: dict[int, int]
    core: IkeCore = field(init=False)
    client: Client | None = None
    floated: bool = False
    half_open: bool = True
    heard_at: float = 0.0
    ike_sas: list[tuple[bytes, bytes]] = field(default_factory=list)
    theirs: set[bytes] = field(default_factory=set)  # cookies with which the peer has begun
    ours: deque[bytes] = field(default_factory=deque)
    endpoints: set[tuple[str, int, int]] = field(default_factory=set)
    openings: deque[tuple[str, int, bytes]] = field(default_factory=deque)

    @property
    def local_port(self) -> int:
        """The port of ours that it talks to."""
        return PORT_NATT if self.floated else PORT

    @property
    def udp_port(self) -> int:
        """The peer's port there, its own 500 or 4500 where none was seen."""
        return self.ports.get(self.local_port, self.local_port)

    @property
    def live(self) -> bool:
        """Whether any exchange, SA or timer is left."""
        return self.core.deadline is not None


class Associations:
    """Found by cookie once there is one of ours, before that by where the first message came from; never by looking at all."""

    def __init__(self) -> None:
        self.by_number: dict[int, Association] = {}
        self.half_open = 0
        self._by_cookie: dict[bytes, Association] = {}
        self._openings: dict[tuple[str, int, bytes], Association] = {}
        self._endpoints: dict[tuple[str, int, int], Association] = {}
        self._count = 0

    def __iter__(self) -> Iterator[Association]:
        return iter(self.by_number.values())

    def __len__(self) -> int:
        return len(self.by_number)

    def find(self, address: str, port: int, local_port: int, icookie: bytes, rcookie: bytes) -> Association | None:
        """The one that a message belongs to. A first message belongs to an association that is up where it comes from the very
        address and port at which that is: a rekey."""
        if rcookie != bytes(8):
            return self._by_cookie.get(rcookie) or self._by_cookie.get(icookie)
        known = self._openings.get((address, port, icookie))
        return known or self._endpoints.get((address, port, local_port))

    def add(self, address: str, port: int, local_port: int, make_core: Callable[[Association], IkeCore]) -> Association:
        self._count += 1
        association = Association(self._count, address, {local_port: port}, floated=local_port == PORT_NATT)
        association.core = make_core(association)
        self.by_number[association.number] = association
        self.half_open += 1
        return association

    def opened(self, association: Association, address: str, port: int, icookie: bytes) -> None:
        """The peer has begun an exchange."""
        key = address, port, icookie
        if key in self._openings:
            return
        association.theirs.add(icookie)
        association.openings.append(key)
        self._openings[key] = association
        if len(association.openings) > COOKIES:
            old = association.openings.popleft()
            association.theirs.discard(old[2])
            self._openings.pop(old, None)

    def answered(self, association: Association, icookie: bytes, rcookie: bytes) -> None:
        """A message of ours goes out with these cookies: one of them is our own."""
        own = rcookie if icookie in association.theirs else icookie
        if self._by_cookie.get(own) is association:
            return
        self._by_cookie[own] = association
        association.ours.append(own)
        if len(association.ours) > COOKIES:
            self._forget_cookie(association)

    def outgoing(self, association: Association, here: str, packet: Packet | None = None) -> Iterator[Packet]:
        """What the core sends, from `here`: back to where `packet` came from, or to where the peer is."""
        for datagram in association.core.take_datagrams():
            to, port = association.address, association.ports.get(datagram.sport, datagram.dport)
            if packet is not None and packet.dport == datagram.sport:
                to, port = packet.src, packet.sport
            message = datagram.payload.removeprefix(NON_ESP_MARKER) if datagram.sport == PORT_NATT else datagram.payload
            if len(message) >= IKE_HEADER:
                self.answered(association, message[:8], message[8:16])
            yield Packet(here, to, ip.UDP, datagram.payload, datagram.sport, port)

    def _forget_cookie(self, association: Association) -> None:
        """The oldest that belongs to no SA."""
        live = {cookie for pair in association.ike_sas for cookie in pair}
        for own in association.ours:
            if own not in live:
                association.ours.remove(own)
                self._by_cookie.pop(own, None)
                return

    def up(self, association: Association) -> None:
        if association.half_open:
            association.half_open = False
            self.half_open -= 1

    def settle(self, association: Association, address: str, port: int, local_port: int) -> None:
        """The peer is there, as an authentic message has shown; a rekey from there is its."""
        association.address = address
        association.ports[local_port] = port
        for key in association.endpoints:
            if self._endpoints.get(key) is association:
                del self._endpoints[key]
        key = address, port, local_port
        association.endpoints = {key}
        self._endpoints[key] = association

    def remove(self, association: Association) -> None:
        if self.by_number.pop(association.number, None) is None:
            return
        self.up(association)
        for own in association.ours:
            self._by_cookie.pop(own, None)
        for opening in association.openings:
            if self._openings.get(opening) is association:
                del self._openings[opening]
        for key in association.endpoints:
            if self._endpoints.get(key) is association:
                del self._endpoints[key]
