"""Identities: who each client is at every layer, from what crossed the wire and nothing else.

L2TP numbers are taken only from messages that carry the client's own tunnel and session numbers: a gateway that confuses its
clients puts one client's messages into another one's ESP. Where a client came back, its newest tunnel, session and address stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.model import FrameKind, Identity, Observation, Pair, Side

_NO_COOKIE = "00" * 8
IKE_PORT, NATT_PORT, L2TP_PORT = 500, 4500, 1701


@dataclass(slots=True)
class _Traces:
    """What has been seen of one client so far."""

    inside: str
    facts: dict[str, Any] = field(default_factory=dict)
    cookies: list[tuple[str, str]] = field(default_factory=list)
    spis_in: list[str] = field(default_factory=list)
    spis_out: list[str] = field(default_factory=list)

    def first(self, name: str, value: Any) -> None:
        self.facts.setdefault(name, value)

    def newest(self, name: str, value: Any) -> None:
        self.facts[name] = value

    def forget(self, *names: str) -> None:
        for name in names:
            self.facts.pop(name, None)


def identities(
    observations: Mapping[Side, Sequence[Observation]], pairs: Iterable[Pair], clients: Mapping[str, str], gateway: str
) -> tuple[Identity, ...]:
    """One identity a client, in the order of `clients` (name → inside address). For `gateway_port` see `translated_ports`."""
    traces = {address: _Traces(address) for address in clients.values()}
    outside = {o.frame: o for o in observations.get(Side.OUTSIDE, ())}
    across = {pair.inside: outside.get(pair.outside) for pair in pairs}
    for observation in observations.get(Side.INSIDE, ()):
        up = observation.dst == gateway
        if not up and observation.src != gateway:
            continue
        trace = traces.get(observation.src if up else observation.dst)
        if trace is None:
            continue
        _ports(trace, observation, across.get(observation.frame), up)
        if observation.ike:
            _ike(trace, observation.ike, up)
        if observation.esp:
            _esp(trace, traces.values(), observation.esp["spi"], up)
        if observation.inner:
            _l2tp(trace, observation.inner.l2tp or {}, up)
            _ppp(trace, observation.inner.l2tp or {}, observation.inner.ppp or {}, up)
    return tuple(_identity(name, traces[address]) for name, address in clients.items())


def _identity(name: str, trace: _Traces) -> Identity:
    return Identity(
        name,
        trace.inside,
        cookies=tuple(trace.cookies),
        spis_in=tuple(trace.spis_in),
        spis_out=tuple(trace.spis_out),
        **trace.facts,
    )


def _once(found: list[Any], value: Any) -> None:
    if value not in found:
        found.append(value)


def _ports(trace: _Traces, inside: Observation, outside: Observation | None, up: bool) -> None:
    """Ports come from IKE, ESP and keepalives alone, by the gateway's port; outside ones only from paired frames."""
    if inside.kind not in (FrameKind.IKE, FrameKind.ESP, FrameKind.KEEPALIVE):
        return
    service = inside.dport if up else inside.sport
    name = {IKE_PORT: "ike_port", NATT_PORT: "natt_port"}.get(service or 0)
    if outside is not None:
        trace.first("outside", outside.src if up else outside.dst)
    if name is None:
        return
    trace.first(f"inside_{name}", inside.sport if up else inside.dport)
    if outside is not None:
        trace.first(f"outside_{name}", outside.sport if up else outside.dport)


def _ike(trace: _Traces, ike: Mapping[str, Any], up: bool) -> None:
    if ike["rcookie"] != _NO_COOKIE:
        _once(trace.cookies, (ike["icookie"], ike["rcookie"]))
    if ike["exchange"] != "quick mode" or not ike["decrypted"]:
        return
    # An SPI is chosen by the one who will receive on it.
    for proposal in ike["proposals"]:
        if proposal["protocol"] == "ESP" and len(proposal["spi"]) == 8:
            _once(trace.spis_in if up else trace.spis_out, proposal["spi"])


def _esp(trace: _Traces, everybody: Iterable[_Traces], spi: str, up: bool) -> None:
    """A packet that arrives where another client is known by its SPI was delivered wrongly (a NAT that has forgotten who is who
    does that), and makes its SA nobody else's."""
    if not any(spi in (other.spis_out if up else other.spis_in) for other in everybody if other is not trace):
        _once(trace.spis_out if up else trace.spis_in, spi)


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
