"""The live role of a virtual IOS router: a router with VPDN groups that takes keys by address, numbers its connections, counts its
pools, asks RADIUS servers, and says what `debug` prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.errors import ProtocolError
from harness.virtual.aaa.desk import PORTS, Desk
from harness.virtual.links import Link
from harness.virtual.lns import Tunnel
from harness.virtual.peers import Association
from harness.virtual.pool import Pool
from harness.virtual.rip import Rip
from harness.virtual.router import HERE, Hop, destination
from harness.virtual.settings import Settings
from harness.virtual.vpdn.crypto import Crypto
from harness.virtual.vpdn.flows import CountedIpsec
from harness.virtual.vpdn.lines import LacTunnel
from harness.virtual.vpdn.lns import Held
from harness.virtual.vpdn.parts import VpdnParts
from harness.virtual.vpdn.router import VpdnRouter
from harness.wire import events, ip
from harness.wire.config import Entropy, IkeConfig
from harness.wire.l2tp import header
from harness.wire.l2tp.message import Message, parse
from harness.wire.packet import Packet
from harness.wire.ppp.authority import Claim, Decision
from harness.wire.radius import Outgoing

NO_ADDRESS = "0.0.0.0"


class CountedPool:
    """One range of `ip local pool`, and which of its addresses are in use, oldest first. From 0.0.0.0 to 0.0.0.0 there are none."""

    def __init__(self, first: str, last: str) -> None:
        self.taken: dict[str, None] = {}
        self._pool = Pool(first, last)
        self._empty = first == NO_ADDRESS

    def give(self) -> str | None:
        address = None if self._empty else self._pool.give()
        if address is not None:
            self.taken[address] = None
        return address

    def free(self, address: str) -> None:
        self.taken.pop(address, None)
        self._pool.free(address)


class IosIpsec(CountedIpsec):
    """`keys` says which peer has which pre-shared key, also where there are no profiles. `numbers` counts pairs of ESP SAs by their
    inbound SPI, `ike_numbers` ISAKMP SAs by their cookies, both from 0 in the order in which they came up."""

    keys_of: Callable[[], Crypto] = Crypto

    def __init__(self, *given: object) -> None:
        super().__init__(*given)
        self.numbers: dict[int, int] = {}
        self.ike_numbers: dict[tuple[bytes, bytes], int] = {}
        self.ike_agreed: dict[tuple[bytes, bytes], events.IkeUp] = {}
        self.ike_since: dict[tuple[bytes, bytes], float] = {}
        self._pairs = self._phases = 0

    def identity(self, association: Association) -> str:
        known = (self.ike_agreed.get(cookies) for cookies in reversed(association.ike_sas))
        return next((one.identity for one in known if one is not None), "")

    def began_here(self, association: Association) -> bool:
        return association.number in self._profiles

    def ike(self, now: float, packet: Packet, message: bytes) -> None:
        if self.settings.personality.ipsec:
            super().ike(now, packet, message)

    def _config(self, association: Association) -> IkeConfig:
        crypto, config = self.keys_of(), super()._config(association)
        own = crypto.key_for(association.address)
        key = own if own is not None else self._entropy(16)
        rows = crypto.rows_for(association.address) if crypto.entries else config.esp_proposals
        return replace(
            config, psk=key, esp_proposals=rows, accept_aggressive=True, psk_for=lambda peer: self._key_of(peer, key)
        )

    def _key_of(self, peer: str, key: bytes) -> bytes:
        """Of a peer by its name, which aggressive mode tells in time; in main mode, and without a key of that name, that of its
        address."""
        found = self.keys_of().named.get(peer)
        return key if found is None else found.reveal().encode()

    def _hear(self, now: float, association: Association, event: events.Event, packet: Packet | None) -> None:
        match event:
            case events.IkeUp():
                cookies = event.icookie, event.rcookie
                self.ike_numbers[cookies], self.ike_agreed[cookies], self.ike_since[cookies] = self._phases, event, now
                self._phases += 1
            case events.IkeDown():
                for known in (self.ike_numbers, self.ike_agreed, self.ike_since):
                    known.pop((event.icookie, event.rcookie), None)
            case events.EspUp():
                self.numbers[event.spi_in] = self._pairs
                self._pairs += 1
        super()._hear(now, association, event, packet)
        if isinstance(event, events.EspDown) and event.spi_in not in self.sadb.by_spi:
            self.numbers.pop(event.spi_in, None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What L2TP goes through, for `debug`: `what` is "request" (an SCCRQ that came, with its `message`) or "open" (a LAC's tunnel
    asks for protection). `refused`: the tunnel is not to be had."""

    what: str
    address: str
    port: int
    tunnel: int = 0
    message: Message | None = None
    protected: bool = False
    challenge: bool = False
    refused: bool = False


def counted_pool(settings: Settings) -> CountedPool:
    return CountedPool(settings.pool_first, settings.pool_last)


@dataclass(slots=True)
class CoreParts(VpdnParts):
    """The mechanisms of `IosCore`. `desk` is the router's AAA."""

    ipsec: Callable[..., IosIpsec] = IosIpsec
    address_pool: Callable[[Settings], CountedPool] = counted_pool
    desk: Callable[..., Desk] = Desk


class IosCore(VpdnRouter):
    """`keys_of` and `see` are set by the router around it. Of `parts`, which stay the caller's, a router has its own copy."""

    ipsec: IosIpsec

    def __init__(
        self,
        settings: Settings,
        entropy: Entropy,
        keys_of: Callable[[], Crypto],
        parts: CoreParts | None = None,
        *,
        witnessed: bool = True,
    ) -> None:
        given = parts or CoreParts()
        self.pools: dict[tuple[str, str], CountedPool] = {}
        self.see: Callable[[float, Seen], None] = lambda now, seen: None
        self.rip = Rip()
        self._keys_of = keys_of
        self.aaa = given.desk(entropy, lambda: self._settings, lambda: self.journal, self._to_server, self._judged)
        self._given = given
        own = replace(given, ipsec=self._make_ipsec, address_pool=self._pool)
        super().__init__(settings, entropy, own, witnessed=witnessed)

    def _make_ipsec(self, *given: object) -> IosIpsec:
        made = self._given.ipsec(*given)
        made.keys_of, made.desk = self._keys_of, self.aaa
        return made

    def pool_between(self, first: str, last: str) -> CountedPool:
        """That of these ends, which whoever names it shares."""
        return self._pool(replace(self._settings, pool_first=first, pool_last=last))

    def _pool(self, settings: Settings) -> CountedPool:
        ends = settings.pool_first, settings.pool_last
        if ends not in self.pools:
            self.pools[ends] = self._given.address_pool(settings)
        return self.pools[ends]

    def _build(self, first_index: int) -> None:
        self.pools.clear()
        super()._build(first_index)
        self.links.desk = self.aaa

    def rebuild(self, now: float, settings: Settings | None = None) -> None:
        """Begins anew, under other settings perhaps: everything that is up is lost. Peers hear of their SAs' end, and accounting
        of its sessions'; nobody of anything else."""
        self.aaa.end_all(now)
        self.ipsec.close(now)
        last = self._packets
        self._settings = self._parts.settings_for(settings or self._settings)
        super().restart(now)  # what AAA has still to get acknowledged outlives it
        self._packets = last

    # Routes of callers that are routers themselves

    @property
    def deadline(self) -> float | None:
        return min((time for time in (super().deadline, self.rip.deadline, self.aaa.deadline) if time is not None), default=None)

    def tick(self, now: float) -> None:
        super().tick(now)
        if self.rip.tick(now):
            for link in list(self.links.by_address.values()):
                for packet in self.rip.update(now, link.index):
                    self._to_link_or_lan(now, link, packet)
        self.aaa.tick(now)
        self.aaa.settle(now)

    def _from_client(self, now: float, link: Link, packet: bytes) -> None:
        if not self.rip.takes(packet):
            super()._from_client(now, link, packet)
            return
        self._tap_link(now, link, packet, inward=True)
        try:
            for answer in self.rip.hear(now, link.assigned or "", link.index, packet):
                self._to_link_or_lan(now, link, answer)
        except ProtocolError as error:
            self.journal.tell(now, "dropped", *link.where, layer=error.layer, session=link.session, reason=error.reason)

    def _may_send_as(self, now: float, link: Link, packet: bytes) -> str:
        """What comes from a network behind the caller, by its own word, comes rightly."""
        source = ip.dotted(packet[12:16]) if len(packet) >= 20 else ""
        return source if source and self._behind(now, source) is link else super()._may_send_as(now, link, packet)

    def _forward(self, now: float, hop: Hop, link: Link | None) -> None:
        to = destination(hop.packet)
        behind = None if hop.to == HERE or to in self.links.by_address else self._behind(now, to)
        super()._forward(now, hop if behind is None else Hop(behind.assigned or "", hop.packet), link)

    def _behind(self, now: float, address: str) -> Link | None:
        """The link of the neighbour that has told of a network with this address, while it is up."""
        route = self.rip.route(now, address) if self.rip.routes and address else None
        link = None if route is None else self.links.by_address.get(route.via)
        return link if link is not None and route is not None and link.index == route.link else None

    # AAA, which talks from and to the address that peers know

    def receive(self, now: float, packet: Packet) -> None:
        to_aaa = self._settings.aaa is not None and packet.protocol == ip.UDP and packet.dport in PORTS
        if to_aaa and packet.dst == self._settings.address:
            if not self._silent:
                self.aaa.receive(now, packet.src, packet.sport, packet.dport, packet.payload)
        else:
            super().receive(now, packet)
        self.aaa.settle(now)

    def receive_line(self, now: float, line: int, frame: bytes) -> None:
        super().receive_line(now, line, frame)
        self.aaa.settle(now)

    def restart(self, now: float) -> None:
        self.aaa.forget()
        super().restart(now)

    def _to_server(self, out: Outgoing) -> None:
        self._emit(Packet(self._settings.address, out.address, ip.UDP, out.payload, out.sport, out.dport))

    def _judged(self, now: float, link: Link, claim: Claim, decision: Decision) -> None:
        self.links.decide(now, link, claim, decision)
        if link.tunnel:
            self.lns.settle(now, link)
        else:
            self.lac.settle(now, link)
        self._settle_lac(now)

    # What debug shows

    def _lns_began(self, now: float, tunnel: Tunnel, held: Held) -> None:
        super()._lns_began(now, tunnel, held)
        try:
            message = parse(header.parse(tunnel.request).body, lenient=True)
        except ProtocolError:
            return
        vpdn = self._settings.vpdn
        refused = vpdn is not None and held.group is None
        challenge = message is not None and bool(message.raw("challenge"))
        protected = tunnel.origin is not None
        self.see(now, Seen("request", tunnel.address, tunnel.port, tunnel.number, message, protected, challenge, refused))

    def _protect(self, now: float, tunnel: LacTunnel) -> str | None:
        fresh = tunnel.flow is None
        why = super()._protect(now, tunnel)
        if why is None and fresh:
            self.see(now, Seen("open", tunnel.address, 1701, tunnel.number))
        return why
