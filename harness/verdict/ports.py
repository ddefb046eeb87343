"""The translated port by which a demultiplexing gateway's L2TP knows each client: which, in what order, and whose."""

from __future__ import annotations

from itertools import pairwise

from harness.model import Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.reading import Reading, mark_of
from harness.verdict.trust import WIRE, Need, check

FIRST_PORT = 1024
"""The first translated port, as the documented example has it."""

L2TP_PORT = 1701


def ports_by_client(reading: Reading) -> dict[str, set[int]]:
    """Every port a client was ever known by: from the boundary capture, the gateway's sessions and SAs, and the identity.

    The boundary capture may show each packet twice, before and after its port is changed: the form with 1701 at both ends is
    IPsec's side of the boundary, and no port of anybody's.
    """
    found: dict[str, set[int]] = {}
    for o in reading.frames(Side.TRANSLATED):
        if o.sport not in (None, L2TP_PORT) and reading.direction(o) == "up":
            client = boundary_owner(reading, o.sport or 0) if (mark := mark_of(o)) is None else reading.numbered(mark.owner)
            if client in reading.identities:
                found.setdefault(client, set()).add(o.sport or 0)
    for client, identity in reading.identities.items():
        spis = {*identity.spis_in, *identity.spis_out}
        for view in reading.evidence.gateway_views:
            for session in view.sessions:
                if identity.tunnel_gateway is not None and session.tunnel_local == identity.tunnel_gateway:
                    found.setdefault(client, set()).add(session.peer_port)
            for sa in view.sas:
                if sa.translated_port is not None and sa.spi in spis:
                    found.setdefault(client, set()).add(sa.translated_port)
        if identity.gateway_port is not None:
            found.setdefault(client, set()).add(identity.gateway_port)
    return found


def boundary_owner(reading: Reading, port: int) -> str | None:
    """The client that the gateway's own account, or the marks at the boundary, ties to a translated port; None where unknown."""
    owners = {i.client for i in reading.identities.values() if i.gateway_port == port}
    for view in reading.evidence.gateway_views:
        for s in view.sessions:
            if s.peer_port == port:
                owners |= {i.client for i in reading.identities.values() if i.tunnel_gateway == s.tunnel_local}
    for o in reading.frames(Side.TRANSLATED):
        mark = mark_of(o)
        if mark is not None and not mark.answer and o.sport == port:
            owners.add(reading.numbered(mark.owner))
    return owners.pop() if len(owners) == 1 else None


@check(*WIRE, Need.DECRYPTED)
def first_client_gets_first_port(reading: Reading) -> Verdict:
    """Whoever agrees the first ESP SA on an empty gateway is known by 1024."""
    return _nth(reading, 0)


@check(*WIRE, Need.DECRYPTED)
def second_client_gets_next_port(reading: Reading) -> Verdict:
    """Whoever agrees the second is known by 1025."""
    return _nth(reading, 1)


@check(*WIRE, Need.DECRYPTED)
def each_client_has_its_own_port(reading: Reading) -> Verdict:
    """N clients, N ports, one each for as long as it lives; base, step and gaps are noted."""
    require(len(reading.arrivals()) >= 2, "fewer than two clients agreed an ESP SA")
    f = Findings()
    expect_own_ports(f, reading)
    return f.verdict(f"{len(f.facts['ports'])} clients, {len(f.facts['ports'])} ports: {f.facts['ports']}")


@check(*WIRE, Need.DECRYPTED)
def ports_follow_order_of_arrival(reading: Reading) -> Verdict:
    """The port follows who came first, not who the client is. Judged where clients did not come in the order of their numbers."""
    order = reading.arrivals()
    require(len(order) >= 2, "fewer than two clients agreed an ESP SA")
    require(order != tuple(sorted(order, key=reading.clients.index)), "the clients came in the order of their numbers")
    f = Findings(order=list(order))
    for place, client in enumerate(order):
        _expect_port(f, reading, client, FIRST_PORT + place)
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
    return f.verdict(f"{order[place]} came {place + 1}. and has port {FIRST_PORT + place}")


def _expect_port(f: Findings, reading: Reading, client: str, port: int) -> None:
    ports = ports_by_client(reading)
    require(client in ports, f"nothing shows the port by which the gateway knows {client}")
    f.facts.setdefault("ports", {})[client] = sorted(ports[client])
    f.expect(ports[client] == {port}, f"{client} has port {sorted(ports[client])}, not {port}", reading.first_ike(client, "QM3"))
