"""The LNS with VPDN groups: a tunnel's group is chosen by its LAC's host name, and decides whether it may come in the clear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.errors import ProtocolError
from harness.virtual.journal import Journal
from harness.virtual.links import Link, Links, Terms
from harness.virtual.lns import Lns, Tunnel
from harness.virtual.peers import Client
from harness.virtual.pool import AddressPool
from harness.virtual.settings import Settings
from harness.virtual.vpdn.groups import AcceptGroup, accepting
from harness.virtual.vpdn.maps import Flow
from harness.wire import events
from harness.wire.config import Entropy, L2tpConfig
from harness.wire.l2tp import L2tpCore, header
from harness.wire.l2tp.message import Type, parse
from harness.wire.l2tp.offer import STOP_NOT_AUTHORISED

if TYPE_CHECKING:
    from harness.virtual.parts import Parts

L2F = 1  # the version in what else comes to UDP 1701 (RFC 2341 §4.2)


@dataclass(slots=True)
class Held:
    """What a tunnel has beside L2TP: its group, None where it is refused; the socket that a crypto map entry protects, if one
    does; `path_mtu` as far as it is known."""

    group: AcceptGroup | None
    flow: Flow | None = None
    path_mtu: int | None = None


class GroupedLns(Lns):
    """`ignored` counts what came in the clear and was not looked at any further, by what it was ("SCCRQ", "StopCCN", "data" …).

    The owner sets what connects it with the rest of the router: `send_clear` (address, port, message), `began` and `ended`
    (a tunnel has), `others` (IDs of tunnels that are not this server's).
    """

    def __init__(
        self,
        settings: Settings,
        entropy: Entropy,
        parts: Parts,
        journal: Journal,
        links: Links,
        send: Callable[[float, str, int, bytes], None],
    ) -> None:
        super().__init__(settings, entropy, parts, journal, links, send)
        self.ignored: Counter[str] = Counter()
        self.held: dict[int, Held] = {}
        self.send_clear: Callable[[str, int, bytes], None] = lambda address, port, message: None
        self.began: Callable[[float, Tunnel, Held], None] = lambda now, tunnel, held: None
        self.ended: Callable[[float, Tunnel, Held], None] = lambda now, tunnel, held: None
        self.others: Container[int] = ()
        self._pools: dict[str, AddressPool] = {}
        self._now = 0.0

    # Clear or not

    def receive(self, now: float, address: str, port: int, payload: bytes, origin: Client | None) -> None:
        if self.settings.vpdn is None:
            super().receive(now, address, port, payload, origin)
            return
        self._now = now
        if len(payload) > 1 and payload[1] & header.VERSION == L2F:
            self._drop(now, address, port, "L2F is not spoken here")
            return
        reason = self._unwanted(payload, origin)
        if reason is None:
            super().receive(now, address, port, payload, origin)
            return
        self.ignored[_kind(payload)] += 1
        self._drop(now, address, port, reason)

    def _unwanted(self, payload: bytes, origin: Client | None) -> str | None:
        """Why a message is ignored, whatever it says: it came in another way than its tunnel, or its group, goes."""
        number = header.tunnel_of(payload)
        tunnel = self.tunnels.get(number or 0)
        if tunnel is not None:
            clear = tunnel.origin is None
            if clear is (origin is None):
                return None
            return f"in the clear for tunnel {number}, which IPsec protects" if not clear else f"by IPsec for clear tunnel {number}"
        if number == 0 and origin is None:
            group = self._group(payload)
            if group is not None and group.security is not None:
                return f"in the clear, where crypto profile {group.security.profile} protects vpdn group {group.name}"
        return None

    def _group(self, request: bytes) -> AcceptGroup | None:
        """Of an SCCRQ; of what cannot be read as one, the group of nobody in particular."""
        vpdn = self.settings.vpdn
        return None if vpdn is None else accepting(vpdn.accept, _host_name(request))

    def _forth(self, now: float, tunnel: Tunnel, message: bytes) -> None:
        if tunnel.origin is None and self.settings.vpdn is not None:
            self.send_clear(tunnel.address, tunnel.port, message)
        else:
            super()._forth(now, tunnel, message)

    # Groups

    def _taken(self, number: int) -> bool:
        return super()._taken(number) or number in self.others

    def _core(self, number: int, request: bytes) -> L2tpCore:
        config, group = self._config(), self._group(request)
        if self.settings.vpdn is None:
            return super()._core(number, request)
        if group is None:
            return self._refusing(config, number, f"no vpdn group accepts {_host_name(request)!r}")
        crypto, security = self.settings.vpdn.crypto, group.security
        if security is not None and crypto is not None and crypto.profile(security.profile) is None:
            name = security.profile
            return self._refusing(config, number, f"there is no crypto profile {name} to protect vpdn group {group.name}")
        name = group.local_name or config.host_name
        config = replace(config, host_name=name, secret=group.secret, challenge=group.challenges)
        return self._parts.l2tp_core(config, self._entropy, number)

    def _refusing(self, config: L2tpConfig, number: int, reason: str) -> L2tpCore:
        self._journal.tell(self._now, "refused", "", 0, layer="vpdn", reason=reason)
        return L2tpCore(config, self._entropy, tunnel_id=number, refuse=STOP_NOT_AUTHORISED)

    def _begin(self, now: float, address: str, port: int, payload: bytes, origin: Client | None) -> Tunnel:
        tunnel = super()._begin(now, address, port, payload, origin)
        held = self.held[tunnel.number] = Held(self._group(payload))
        self.began(now, tunnel, held)
        return tunnel

    def _begin_link(self, now: float, tunnel: Tunnel, call: events.CallUp) -> Link:
        group = self.held[tunnel.number].group if tunnel.number in self.held else None
        if group is None:
            return super()._begin_link(now, tunnel, call)
        terms = Terms(group.authentication, group.renegotiation, self._pool(group.pool), call.proxy, group.lists)
        return self.links.begin(now, tunnel.number, call.session_local, call.session_remote, tunnel.where, terms)

    def _pool(self, name: str | None) -> AddressPool | None:
        vpdn = self.settings.vpdn
        if name is None or vpdn is None:
            return None
        if name not in self._pools:
            first, last = vpdn.pools[name]
            self._pools[name] = self._parts.address_pool(replace(self.settings, pool_first=first, pool_last=last))
        return self._pools[name]

    def _over(self, now: float, tunnel: Tunnel) -> None:
        held = self.held.get(tunnel.number)
        if held is not None:
            self.ended(now, tunnel, held)

    def _forget(self, tunnel: Tunnel) -> None:
        super()._forget(tunnel)
        held = self.held.pop(tunnel.number, None)
        if held is not None and held.flow is not None:  # it ended without a word, or with IPsec
            self.ended(self._now, tunnel, held)

    def tick(self, now: float) -> None:
        self._now = now
        super().tick(now)

    def using(self, client: Client) -> list[Tunnel]:
        """The tunnels that came by this peer's SAs and have not ended."""
        return [one for one in self.tunnels.values() if one.origin is client and not one.core.finished]


def _host_name(request: bytes) -> str:
    try:
        message = parse(header.parse(request).body, lenient=True)
    except ProtocolError:
        return ""
    return "" if message is None else message.text("host-name")


def _kind(payload: bytes) -> str:
    """What a message says that it is."""
    try:
        arrived = header.parse(payload)
        if not arrived.control:
            return "data"
        message = parse(arrived.body, lenient=True) if arrived.body else None
    except ProtocolError:
        return "unreadable"
    return "ZLB" if message is None else _NAMES.get(message.type, message.type.name)


_NAMES = {Type.STOPCCN: "StopCCN", Type.HELLO: "Hello"}
