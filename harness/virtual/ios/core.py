"""The live role of a virtual IOS router: a router with VPDN groups that takes keys by address, numbers its connections, counts its
pools, and says what `debug` prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.errors import ProtocolError
from harness.virtual.lns import Tunnel
from harness.virtual.parts import Parts
from harness.virtual.peers import Association
from harness.virtual.pool import AddressPool, Pool
from harness.virtual.settings import Settings
from harness.virtual.vpdn.crypto import Crypto
from harness.virtual.vpdn.ipsec import ProfiledIpsec
from harness.virtual.vpdn.lines import LacTunnel
from harness.virtual.vpdn.lns import GroupedLns, Held
from harness.virtual.vpdn.router import VpdnRouter
from harness.wire import events
from harness.wire.config import Entropy, IkeConfig
from harness.wire.l2tp import header
from harness.wire.l2tp.message import Message, parse
from harness.wire.packet import Packet

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


class IosIpsec(ProfiledIpsec):
    """`keys` says which peer has which pre-shared key, also where there are no profiles. `numbers` counts pairs of ESP SAs by their
    inbound SPI, `ike_numbers` ISAKMP SAs by their cookies, both from 0 in the order in which they came up."""

    keys_of: Callable[[], Crypto] = Crypto

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.numbers: dict[int, int] = {}
        self.ike_numbers: dict[tuple[bytes, bytes], int] = {}
        self.ike_agreed: dict[tuple[bytes, bytes], events.IkeUp] = {}
        self._pairs = self._phases = 0

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
                self.ike_numbers[cookies], self.ike_agreed[cookies] = self._phases, event
                self._phases += 1
            case events.IkeDown():
                self.ike_numbers.pop((event.icookie, event.rcookie), None)
                self.ike_agreed.pop((event.icookie, event.rcookie), None)
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


class IosCore(VpdnRouter):
    """`keys_of` and `see` are set by the router around it."""

    ipsec: IosIpsec

    def __init__(self, settings: Settings, entropy: Entropy, keys_of: Callable[[], Crypto], *, witnessed: bool = True) -> None:
        self.pools: dict[tuple[str, str], CountedPool] = {}
        self.see: Callable[[float, Seen], None] = lambda now, seen: None
        self._keys_of = keys_of
        parts = Parts(ipsec=self._make_ipsec, lns=GroupedLns, address_pool=self._pool)
        super().__init__(settings, entropy, parts, witnessed=witnessed)

    def _make_ipsec(self, *given: object) -> IosIpsec:
        made = IosIpsec(*given)
        made.keys_of = self._keys_of
        return made

    def _pool(self, settings: Settings) -> AddressPool:
        ends = settings.pool_first, settings.pool_last
        return self.pools.setdefault(ends, CountedPool(*ends))

    def _build(self, first_index: int) -> None:
        self.pools.clear()
        super()._build(first_index)

    def rebuild(self, now: float, settings: Settings | None = None) -> None:
        """Begins anew, under other settings perhaps: everything that is up is lost. Peers hear of their SAs' end, and of nothing
        else."""
        self.ipsec.close(now)
        last = self._packets
        self._settings = self._parts.settings_for(settings or self._settings)
        self.restart(now)
        self._packets = last

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
