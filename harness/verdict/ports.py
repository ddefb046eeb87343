"""The translated port by which a demultiplexing gateway's L2TP knows each client: which, in what order, and whose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from harness.model import GatewayView, Observation, Side, Verdict
from harness.verdict.dials import dials
from harness.verdict.findings import Findings, require
from harness.verdict.reading import UNTRACEABLE, Reading, mark_of
from harness.verdict.trust import WIRE, Need, check

FIRST_PORT = 1024
"""The first translated port, as the documented example has it."""

L2TP_PORT = 1701


@dataclass(frozen=True, slots=True)
class AtBoundary:
    """One packet between IPsec and the L2TP server: `port` is its client's, `client` the one whose words it holds, if known."""

    direction: str
    port: int
    client: str | None
    frame: Observation


def at_boundary(reading: Reading) -> tuple[AtBoundary, ...]:
    """The capture there by time: what L2TP gets after the translation inwards, and what it sends before the one outwards.

    Whose words a packet holds is told by its mark or its tunnel, never by its port: that is what is to be judged.
    """
    return reading.once(_at_boundary)


def ports_by_client(reading: Reading) -> Mapping[str, set[int]]:
    """Every port a client was ever known by: from the boundary capture, the gateway's sessions and SAs, and the identity."""
    return reading.once(_ports_by_client)


def ports_by_life(reading: Reading) -> Mapping[tuple[str, int], Mapping[int, Observation]]:
    """(client, number of its life) → the ports by which L2TP heard it in that life, each with the first packet that came by it."""
    return reading.once(_ports_by_life)


def port_owners(reading: Reading) -> Mapping[int, frozenset[str]]:
    """The clients that L2TP heard by each port, or has in its account; several where they shared it or it was given out again.

    What L2TP sends is left out: whether it goes to its client's port is to be judged by this.
    """
    return reading.once(_port_owners)


def listed_sas(reading: Reading, view: GatewayView, client: str) -> set[str]:
    """The SPIs of a client's SAs that the gateway lists. Where others have chosen the same one, the port tells whose it is."""
    identity = reading.identities[client]
    return {
        sa.spi
        for sa in view.sas
        if sa.spi in identity.spis_out
        or (sa.spi in identity.spis_in and not (reading.shared(sa.spi) and sa.udp_port != identity.outside_natt_port))
    }


def _at_boundary(reading: Reading) -> tuple[AtBoundary, ...]:
    found = []
    for o in reading.frames(Side.TRANSLATED):
        direction = reading.direction(o)
        port = o.sport if direction == "up" else o.dport
        if direction is None or port is None:
            continue
        mark = mark_of(o)
        if mark is not None:
            client = reading.numbered(mark.owner)
        else:
            client = _of_tunnel(reading, o, direction) or UNTRACEABLE
        found.append(AtBoundary(direction, port, client if client in reading.identities else None, o))
    return tuple(found)


def _of_tunnel(reading: Reading, o: Observation, direction: str) -> str | None:
    """By the tunnel in the header; of an SCCRQ, which has none yet, by the one that it offers."""
    l2tp = (None if o.inner is None else o.inner.l2tp) or {}
    if l2tp.get("message") == "SCCRQ":
        return reading.tunnel_owner((l2tp.get("avps") or {}).get("Assigned Tunnel ID"), "down", o.t)
    return reading.tunnel_owner(l2tp.get("tunnel"), direction, o.t)


def _ports_by_life(reading: Reading) -> Mapping[tuple[str, int], Mapping[int, Observation]]:
    lives = {client: dials(reading, client) for client in reading.clients}
    found: dict[tuple[str, int], dict[int, Observation]] = {}
    for seen in at_boundary(reading):
        if seen.client is not None and seen.direction == "up":
            number = next(d.number for d in reversed(lives[seen.client]) if d.began <= seen.frame.t)
            found.setdefault((seen.client, number), {}).setdefault(seen.port, seen.frame)
    return found


def _ports_by_client(reading: Reading) -> Mapping[str, set[int]]:
    return _known_by(reading, "up", "down")


def _known_by(reading: Reading, *directions: str) -> Mapping[str, set[int]]:
    found: dict[str, set[int]] = {}
    for seen in at_boundary(reading):
        if seen.client is not None and seen.direction in directions:
            found.setdefault(seen.client, set()).add(seen.port)
    tunnels: dict[int, set[int]] = {}
    translated: dict[str, set[int]] = {}
    for view in reading.evidence.gateway_views:
        for session in view.sessions:
            if session.peer_port is not None:
                tunnels.setdefault(session.tunnel_local, set()).add(session.peer_port)
        for sa in view.sas:
            if sa.translated_port is not None:
                translated.setdefault(sa.spi, set()).add(sa.translated_port)
    for client, identity in reading.identities.items():
        known = found.setdefault(client, set())
        if identity.tunnel_gateway is not None:
            known |= tunnels.get(identity.tunnel_gateway, set())
        for spi in (*(s for s in identity.spis_in if not reading.shared(s)), *identity.spis_out):
            known |= translated.get(spi, set())
        if identity.gateway_port is not None:
            known.add(identity.gateway_port)
    return {client: known for client, known in found.items() if known}


def _port_owners(reading: Reading) -> Mapping[int, frozenset[str]]:
    owners: dict[int, set[str]] = {}
    for client, known in _known_by(reading, "up").items():
        for port in known:
            owners.setdefault(port, set()).add(client)
    return {port: frozenset(clients) for port, clients in owners.items()}


def require_boundary(f: Findings, reading: Reading, clients: Iterable[str], *directions: str) -> None:
    """Raises Inconclusive where nothing is at fault and the boundary capture lacks a client in one of the directions."""
    seen = {(b.client, b.direction) for b in at_boundary(reading)}
    for client in clients:
        for direction in directions:
            why_not = f"the capture at the L2TP boundary shows nothing of {client} going {direction}"
            require((client, direction) in seen or bool(f.faults), why_not)


@check(*WIRE, Need.DECRYPTED, Need.TRANSLATED)
def first_client_gets_first_port(reading: Reading) -> Verdict:
    """Whoever agrees the first ESP SA on an empty gateway is known by 1024."""
    return _nth(reading, 0)


@check(*WIRE, Need.DECRYPTED, Need.TRANSLATED)
def second_client_gets_next_port(reading: Reading) -> Verdict:
    """Whoever agrees the second is known by 1025."""
    return _nth(reading, 1)


@check(*WIRE, Need.DECRYPTED, Need.TRANSLATED)
def each_client_has_its_own_port(reading: Reading) -> Verdict:
    """N clients, N ports, one each for as long as it lives; base, step and gaps are noted."""
    require(len(reading.arrivals()) >= 2, "fewer than two clients agreed an ESP SA")
    f = Findings()
    expect_own_ports(f, reading)
    require_boundary(f, reading, reading.arrivals(), "up", "down")
    return f.verdict(f"{len(f.facts['ports'])} clients, {len(f.facts['ports'])} ports: {f.facts['ports']}")


@check(*WIRE, Need.DECRYPTED, Need.TRANSLATED)
def ports_follow_order_of_arrival(reading: Reading) -> Verdict:
    """The port follows who came first, not who the client is. Judged where clients did not come in the order of their numbers."""
    order = reading.arrivals()
    require(len(order) >= 2, "fewer than two clients agreed an ESP SA")
    require(order != tuple(sorted(order, key=reading.clients.index)), "the clients came in the order of their numbers")
    f = Findings(order=list(order))
    for place, client in enumerate(order):
        _expect_port(f, reading, client, FIRST_PORT + place)
    require_boundary(f, reading, order, "up", "down")
    return f.verdict(", ".join(f"{c} came {i + 1}. and has port {FIRST_PORT + i}" for i, c in enumerate(order)))


def expect_own_ports(f: Findings, reading: Reading) -> None:
    """Every client that agreed an SA has exactly one translated port, and no two share one."""
    ports = ports_by_client(reading)
    order = reading.arrivals()
    for client in order:
        require(client in ports, f"nothing shows the port by which the gateway knows {client}")
        f.expect(len(ports[client]) == 1, f"{client} was known by several ports: {sorted(ports[client])}")
        for port in ports[client]:
            f.expect(port != L2TP_PORT, f"the gateway knows {client} by {L2TP_PORT}: no translation")
            f.expect(FIRST_PORT <= port <= 65535, f"{client} has port {port}, outside {FIRST_PORT}-65535")
            others = [c for c in order if c != client and port in ports.get(c, set())]
            f.expect(not others, f"{client} and {', '.join(others)} share port {port}")
    flat = sorted({p for c in order for p in ports[c]})
    f.facts.update(
        ports={c: sorted(ports[c]) for c in order},
        base=flat[0] if flat else None,
        steps=sorted({b - a for a, b in pairwise(flat)}),
        gaps=sorted(set(range(flat[0], flat[-1])) - set(flat))[:20] if flat else [],
    )


def _nth(reading: Reading, place: int) -> Verdict:
    order = reading.arrivals()
    require(len(order) > place, f"only {len(order)} clients agreed an ESP SA")
    f = Findings(order=list(order))
    _expect_port(f, reading, order[place], FIRST_PORT + place)
    require_boundary(f, reading, order[place : place + 1], "up", "down")
    return f.verdict(f"{order[place]} came {place + 1}. and has port {FIRST_PORT + place}")


def _expect_port(f: Findings, reading: Reading, client: str, port: int) -> None:
    ports = ports_by_client(reading)
    require(client in ports, f"nothing shows the port by which the gateway knows {client}")
    f.facts.setdefault("ports", {})[client] = sorted(ports[client])
    f.expect(ports[client] == {port}, f"{client} has port {sorted(ports[client])}, not {port}", reading.first_ike(client, "QM3"))
