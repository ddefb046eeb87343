"""One inside port with several clients: does the NAT merge them, and which of them keeps its port?"""

from __future__ import annotations

from itertools import combinations

from harness.model import NatMapping, Observation, Outcome, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.negotiation import IKE_PORT, NATT_PORT
from harness.verdict.reading import Reading
from harness.verdict.survival import lives
from harness.verdict.trust import WIRE, Need, check

_Spans = dict[tuple[str, int], dict[str, list[Observation]]]
"""Outside address and port → client → its packets there, in the order of time."""


@check(*WIRE, Need.PAIRED)
def same_inside_port_is_never_merged(reading: Reading) -> Verdict:
    """Clients that all send from 4500 leave the NAT from different ports for as long as they send, on the wire and, where the NAT
    shows it, in its table."""
    require(len(reading.clients) >= 2, "one client alone has nobody to be merged with")
    f = Findings()
    spans = _spans(reading)
    users = {client for clients in spans.values() for client in clients}
    require(len(users) >= 2, f"no two clients sent from port {NATT_PORT}")
    for (address, outside), clients in spans.items():
        merged = [(clients[a][0], clients[b][0]) for a, b in combinations(sorted(clients), 2) if _overlap(clients[a], clients[b])]
        who = " and ".join(sorted(clients))
        fault = f"the NAT merges port {NATT_PORT} of {who} into {address}:{outside}"
        f.expect(not merged, fault, *(o for pair in merged for o in pair))
    f.facts["ports"] = {c: sorted(end[1] for end, clients in spans.items() if c in clients) for c in sorted(users)}
    for view in reading.evidence.nat_views:
        for one, other in combinations(_udp(view.mappings), 2):
            if _outside(one) == _outside(other) and one.inside_address != other.inside_address:
                f.expect(
                    False,
                    f"the NAT's table has {one.outside_address}:{one.outside_port} for {one.inside_address} and "
                    f"{other.inside_address} ({view.label})",
                )
    f.facts["tables"] = sum(bool(view.mappings) for view in reading.evidence.nat_views)
    return f.verdict(f"all send from {NATT_PORT}, and each has ports of its own at the NAT: {f.facts['ports']}")


@check(*WIRE, Need.PAIRED)
def first_client_keeps_its_port(reading: Reading) -> Verdict:
    """For the record: which clients a NAT that preserves ports left on 500, and whether the gateway tolerated it."""
    found = lives(reading)
    kept = {
        client: found[client].up is not None
        for client in reading.clients
        if any(
            c.direction == "up"
            and c.inside.sport == c.outside.sport == IKE_PORT
            and c.inside.src != c.outside.src
            and reading.at_address(c.inside.src) == client
            for c in reading.crossings()
        )
    }
    require(bool(kept), f"the NAT left no client on port {IKE_PORT}")
    words = ", ".join(f"{c} {'came up' if up else 'did not come up'}" for c, up in kept.items())
    facts = {"kept_500": sorted(kept), "tolerated": kept, "nat": reading.evidence.nat}
    return Verdict(Outcome.PASS, f"left on port {IKE_PORT} by the NAT: {words}", facts)


def _overlap(one: list[Observation], other: list[Observation]) -> bool:
    """Whether both were in use at some moment."""
    return one[0].t <= other[-1].t and other[0].t <= one[-1].t


def _spans(reading: Reading) -> _Spans:
    found: _Spans = {}
    for c in reading.crossings():
        client = reading.at_address(c.inside.src)
        if c.direction == "up" and client is not None and c.inside.sport == NATT_PORT and c.outside.sport is not None:
            found.setdefault((c.outside.src, c.outside.sport), {}).setdefault(client, []).append(c.outside)
    return found


def _udp(mappings: tuple[NatMapping, ...]) -> list[NatMapping]:
    return [m for m in mappings if m.protocol == "udp" and m.inside_port == NATT_PORT]


def _outside(m: NatMapping) -> tuple[str, int, str, int]:
    return m.outside_address, m.outside_port, m.remote_address, m.remote_port
