"""Identities: who each client is at every layer, from what crossed the wire and nothing else.

L2TP numbers are taken only from messages that carry the client's own tunnel and session numbers: a gateway that confuses its
clients puts one client's messages into another one's ESP. Where a client came back, its newest tunnel, session and address stand,
and each of its lives is told beside: a new tunnel is a new life, and began with the main mode that went before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.model import FrameKind, Identity, Observation, Pair, Side

_NO_COOKIE = "00" * 8
IKE_PORT, NATT_PORT, L2TP_PORT = 500, 4500, 1701

Sa = tuple[str, bool]
"""An SPI, and whether the SA leads up to the gateway; or the initiator's cookie of a main mode, which has no direction (True)."""


@dataclass(slots=True)
class _Traces:
    """What has been seen of one client so far."""

    inside: str
    facts: dict[str, Any] = field(default_factory=dict)
    cookies: list[tuple[str, str]] = field(default_factory=list)
    spis_in: list[str] = field(default_factory=list)
    spis_out: list[str] = field(default_factory=list)
    lives: list[_Life] = field(default_factory=list)
    dialled: _Life | None = None  # the newest main mode, until its tunnel shows that a life began with it

    def first(self, name: str, value: Any) -> None:
        self.facts.setdefault(name, value)
        if self.latest is not None:
            self.latest.facts.setdefault(name, value)

    def newest(self, name: str, value: Any) -> None:
        for facts in self._facts():
            facts[name] = value

    def forget(self, *names: str) -> None:
        for facts in self._facts():
            for name in names:
                facts.pop(name, None)

    def _facts(self) -> tuple[dict[str, Any], ...]:
        return (self.facts, *(life.facts for life in self.lives[-1:]))

    @property
    def latest(self) -> _Life | None:
        return self.dialled or (self.lives[-1] if self.lives else None)

    def dial(self, t: float) -> None:
        self.settle()
        self.dialled = _Life(t, t)

    def settle(self) -> None:
        """A main mode that no tunnel followed was a rekey of the life before it, or came to nothing."""
        if self.dialled is not None and self.lives:
            self.lives[-1].absorb(self.dialled)
        self.dialled = None

    def begin(self, t: float) -> None:
        """A tunnel is asked for: the life that the newest main mode began has shown itself."""
        for name in ("tunnel_client", "tunnel_gateway", "session_client", "session_gateway"):
            self.facts.pop(name, None)
        self.lives.append(self.dialled or _Life(t, t))
        self.dialled = None

    def of_spi(self, spi: str) -> _Life | None:
        """The life that an SA is of; what nobody knows belongs to the latest."""
        for life in (self.dialled, *reversed(self.lives)):
            if life is not None and (spi in life.spis_in or spi in life.spis_out):
                return life
        return self.latest

    def of_cookie(self, icookie: str) -> _Life | None:
        for life in (self.dialled, *reversed(self.lives)):
            if life is not None and any(icookie == known for known, _ in life.cookies):
                return life
        return self.latest


@dataclass(slots=True)
class _Life:
    """What is one life's own, from its main mode to the next one's; SPIs and cookies that a rekey brings belong to it too."""

    since: float
    until: float
    facts: dict[str, Any] = field(default_factory=dict)
    cookies: list[tuple[str, str]] = field(default_factory=list)
    spis_in: list[str] = field(default_factory=list)
    spis_out: list[str] = field(default_factory=list)

    def absorb(self, other: _Life) -> None:
        self.until = max(self.until, other.until)
        for own, more in ((self.cookies, other.cookies), (self.spis_in, other.spis_in), (self.spis_out, other.spis_out)):
            for value in more:
                _once(own, value)


def identities(
    observations: Mapping[Side, Sequence[Observation]],
    pairs: Iterable[Pair],
    clients: Mapping[str, str],
    gateway: str,
    elsewhere: Collection[Sa] = (),
) -> tuple[Identity, ...]:
    """One identity a client, in the order of `clients` (name → inside address). For `gateway_port` see `translated_ports`.

    `elsewhere` are SAs and main modes of clients behind another NAT: none becomes a client's own by arriving here.
    """
    traces = {address: _Traces(address) for address in clients.values()}
    owners: dict[Sa, _Traces] = {}  # whose SA it is
    outside = {o.frame: o for o in observations.get(Side.OUTSIDE, ())}
    across = {pair.inside: outside.get(pair.outside) for pair in pairs}
    for observation in observations.get(Side.INSIDE, ()):
        up = observation.dst == gateway
        if not up and observation.src != gateway:
            continue
        trace = traces.get(observation.src if up else observation.dst)
        if trace is None:
            continue
        _begins(trace, observation, up)
        _ports(trace, observation, across.get(observation.frame), up)
        if observation.ike:
            _ike(trace, owners, observation.ike, up, elsewhere)
        if observation.esp:
            _esp(trace, owners, observation.esp["spi"], up, elsewhere)
        if observation.inner:
            _l2tp(trace, observation.inner.l2tp or {}, up)
            _ppp(trace, observation.inner.l2tp or {}, observation.inner.ppp or {}, up)
        if up:
            _heard(trace, observation)
    return tuple(_identity(name, traces[address]) for name, address in clients.items())


def _identity(name: str, trace: _Traces) -> Identity:
    trace.settle()
    lives = tuple(_self(name, trace.inside, life, since=life.since, until=life.until) for life in trace.lives)
    return _self(name, trace.inside, trace, lives=lives if len(lives) > 1 else ())


def _self(name: str, inside: str, seen: _Traces | _Life, **more: Any) -> Identity:
    answered = tuple(pair for pair in seen.cookies if pair[1] != _NO_COOKIE)
    return Identity(
        name, inside, cookies=answered, spis_in=tuple(seen.spis_in), spis_out=tuple(seen.spis_out), **seen.facts, **more
    )


def _begins(trace: _Traces, o: Observation, up: bool) -> None:
    """Whether a main mode, or a tunnel, begins with this frame. A retransmission begins nothing."""
    if not up:
        return
    if o.ike and o.ike.get("message") == "MM1" and not any(o.ike["icookie"] == known for known, _ in _main_modes(trace)):
        trace.dial(o.t)
        assert trace.dialled is not None
        trace.dialled.cookies.append((o.ike["icookie"], _NO_COOKIE))
    l2tp = (o.inner.l2tp if o.inner else None) or {}
    if l2tp.get("message") != "SCCRQ":
        return
    anew = trace.dialled is not None and o.esp is not None and o.esp["spi"] in trace.dialled.spis_out
    asked = (l2tp.get("avps") or {}).get("Assigned Tunnel ID")
    if not trace.lives or anew or asked != trace.lives[-1].facts.get("tunnel_client"):
        trace.begin(o.t)


def _main_modes(trace: _Traces) -> list[tuple[str, str]]:
    return trace.cookies + (trace.dialled.cookies if trace.dialled is not None else [])


def _heard(trace: _Traces, o: Observation) -> None:
    life = trace.of_spi(o.esp["spi"]) if o.esp else trace.of_cookie(o.ike["icookie"]) if o.ike else trace.latest
    if life is not None:
        life.until = o.t


def _once(found: list[Any], value: Any) -> None:
    if value not in found:
        found.append(value)


def _ports(trace: _Traces, inside: Observation, outside: Observation | None, up: bool) -> None:
    """Ports come from IKE, ESP, keepalives and clear L2TP alone, by the gateway's port; outside ones only from paired frames."""
    if inside.kind not in (FrameKind.IKE, FrameKind.ESP, FrameKind.KEEPALIVE, FrameKind.L2TP_CLEAR):
        return
    service = inside.dport if up else inside.sport
    if inside.kind is FrameKind.L2TP_CLEAR:
        if outside is not None and service == L2TP_PORT:
            trace.first("outside", outside.src if up else outside.dst)
            trace.first("outside_l2tp_port", outside.sport if up else outside.dport)
        return
    name = {IKE_PORT: "ike_port", NATT_PORT: "natt_port"}.get(service or 0)
    if outside is not None:
        trace.first("outside", outside.src if up else outside.dst)
    if name is None:
        return
    trace.first(f"inside_{name}", inside.sport if up else inside.dport)
    if outside is not None:
        trace.first(f"outside_{name}", outside.sport if up else outside.dport)


def _ike(trace: _Traces, owners: dict[Sa, _Traces], ike: Mapping[str, Any], up: bool, elsewhere: Collection[Sa]) -> None:
    """As with ESP, what arrives of somebody else's main mode is no one's own."""
    if not _is_own(trace, owners, (ike["icookie"], True), elsewhere):
        return
    life = trace.of_cookie(ike["icookie"])
    own = (trace,) if life is None else (trace, life)
    if ike["rcookie"] != _NO_COOKIE:
        for seen in own:
            _once(seen.cookies, (ike["icookie"], ike["rcookie"]))
    for spi in _chosen(ike):
        owners.setdefault((spi, not up), trace)
        for seen in own:
            _once(seen.spis_in if up else seen.spis_out, spi)


def _chosen(ike: Mapping[str, Any]) -> tuple[str, ...]:
    """The SPIs that the sender of a quick mode's message has chosen: those that it will receive on."""
    if ike["exchange"] != "quick mode" or not ike["decrypted"]:
        return ()
    return tuple(str(p["spi"]) for p in ike["proposals"] if p["protocol"] == "ESP" and len(p["spi"]) == 8)


def agreed(observations: Iterable[Observation], gateway: str) -> frozenset[Sa]:
    """The main modes that clients began in one capture, and the SAs of which a quick mode speaks there."""
    messages = [(o.ike, o.dst == gateway) for o in observations if o.ike]
    begun = {(ike["icookie"], True) for ike, up in messages if up and ike.get("message") == "MM1"}
    return frozenset(begun | {(spi, not up) for ike, up in messages for spi in _chosen(ike)})


def _is_own(trace: _Traces, owners: dict[Sa, _Traces], sa: Sa, elsewhere: Collection[Sa]) -> bool:
    """Whoever is first seen with an SA or a main mode has it, unless it is of another site."""
    return (sa in owners or sa not in elsewhere) and owners.setdefault(sa, trace) is trace


def _esp(trace: _Traces, owners: dict[Sa, _Traces], spi: str, up: bool, elsewhere: Collection[Sa]) -> None:
    """A packet that arrives where another client is known by its SPI was delivered wrongly (a NAT that has forgotten who is who
    does that, or a gateway that takes two for one), and makes its SA nobody else's."""
    if _is_own(trace, owners, (spi, up), elsewhere):
        for seen in (trace, trace.of_spi(spi)):
            if seen is not None:
                _once(seen.spis_out if up else seen.spis_in, spi)


def _l2tp(trace: _Traces, l2tp: Mapping[str, Any], up: bool) -> None:
    message, avps = l2tp.get("message"), l2tp.get("avps", {})
    tunnel, session = avps.get("Assigned Tunnel ID"), avps.get("Assigned Session ID")
    facts = trace.facts
    if up and message == "SCCRQ" and tunnel is not None and tunnel != facts.get("tunnel_client"):
        trace.forget("tunnel_gateway", "session_client", "session_gateway")
        trace.newest("tunnel_client", tunnel)
    elif up and message == "ICRQ" and session is not None and session != facts.get("session_client"):
        trace.forget("session_gateway")
        trace.newest("session_client", session)
    elif not up and l2tp.get("tunnel") == facts.get("tunnel_client"):
        if message == "SCCRP" and tunnel is not None:
            trace.newest("tunnel_gateway", tunnel)
        elif message == "ICRP" and session is not None and l2tp["session"] == facts.get("session_client"):
            trace.newest("session_gateway", session)


def _ppp(trace: _Traces, l2tp: Mapping[str, Any], ppp: Mapping[str, Any], up: bool) -> None:
    end = "gateway" if up else "client"
    facts = trace.facts
    if None in (l2tp.get("tunnel"), l2tp.get("session")):
        return
    if (l2tp["tunnel"], l2tp["session"]) != (facts.get(f"tunnel_{end}"), facts.get(f"session_{end}")):
        return
    step = (ppp.get("protocol"), ppp.get("code"))
    if up and step in (("CHAP", "Response"), ("PAP", "Authenticate-Request")) and "name" in ppp:
        trace.newest("user", ppp["name"])
    elif not up and step == ("IPCP", "Configure-Ack"):
        address = ppp.get("options", {}).get("IP-Address")
        if address is not None:
            trace.newest("ppp_address", address)


def translated_ports(observations: Iterable[Observation]) -> dict[int, tuple[str, int]]:
    """The gateway's own tunnel ID → (peer's address, peer's port) at the gateway's L2TP boundary, from a capture taken there.

    A message towards the gateway's 1701 carries the tunnel ID in its header, an SCCRP from there in its AVP. The newest use wins.
    """
    ports: dict[int, tuple[str, int]] = {}
    for observation in observations:
        inner = observation.inner
        if inner is None or inner.l2tp is None:
            continue
        tunnel = inner.l2tp["tunnel"]
        if inner.dport == L2TP_PORT and inner.sport != L2TP_PORT and tunnel:
            ports[tunnel] = (observation.src, inner.sport)
        elif inner.sport == L2TP_PORT and inner.l2tp.get("message") == "SCCRP":
            assigned = inner.l2tp["avps"].get("Assigned Tunnel ID")
            if assigned is not None:
                ports[assigned] = (observation.dst, inner.dport)
    return ports


def with_gateway_ports(found: Iterable[Identity], ports: Mapping[int, tuple[str, int]]) -> tuple[Identity, ...]:
    """The identities with `gateway_port` filled in where the gateway's tunnel ID has one."""
    known = {tunnel: port for tunnel, (_, port) in ports.items()}
    return tuple(replace(one, gateway_port=known.get(one.tunnel_gateway or 0, one.gateway_port)) for one in found)
