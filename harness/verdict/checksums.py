"""The UDP checksum inside transport mode where the gateway is not told to ignore it.

The client computes it over its inside address, the NAT cannot see it, and so it is wrong at the gateway (RFC 3948 section 3.1.2);
a checksum of zero says that there is none (RFC 768) and cannot be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Observation, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.ports import at_boundary
from harness.verdict.pulse import carriers
from harness.verdict.reading import Reading, l2tp_message
from harness.verdict.survival import trusted_lives
from harness.verdict.trust import WIRE, Need, check


@check(*WIRE, Need.DECRYPTED, Need.PAIRED, Need.TRANSLATED, Need.GATEWAY_EVENTS)
def wrong_checksums_are_dropped_absent_ones_accepted(reading: Reading) -> Verdict:
    """Scenario "checksum", policy "verify": the client whose checksums are wrong behind the NAT never reaches L2TP and is never
    answered, and the gateway says why; the client that sends none comes up and is answered.

    The reason can show nowhere but in the gateway's own account.
    """
    wrong: dict[str, list[Observation]] = {}
    absent: dict[str, list[Observation]] = {}
    for o in carriers(reading, Side.OUTSIDE, "up"):
        client = reading.flow_owner(o)
        if client is None or o.inner is None:
            continue
        if o.inner.udp_checksum == 0:
            absent.setdefault(client, []).append(o)
        elif (o.src, o.dst) not in o.inner.checksum_fits:
            wrong.setdefault(client, []).append(o)
    only_absent = [c for c in absent if c not in wrong]
    require(bool(wrong), "no client sent a checksum that is wrong behind the NAT")
    require(bool(only_absent), "no client sent its datagrams without a checksum")
    lives = trusted_lives(reading)
    f = Findings(clients={c: life.facts() for c, life in lives.items()}, wrong=sorted(wrong), absent=sorted(only_absent))
    for client, frames in wrong.items():
        _expect_dropped(f, reading, client, frames)
    heard = {b.client for b in at_boundary(reading) if b.direction == "up"}
    for client in only_absent:
        life = lives[client]
        f.expect(client in heard, f"nothing that {client} sent without a checksum reached L2TP", *absent[client][:3])
        f.expect(life.up is not None, f"{client}, which sends no checksum, never came up: {life.end.stage} incomplete")
        answered = any(a.answer is not None for a in life.asked)
        f.expect(answered or life.up is None, f"{client}, which sends no checksum, was never answered", *absent[client][:3])
    accepted = ", ".join(only_absent)
    return f.verdict(f"wrong checksums of {', '.join(sorted(wrong))} were dropped, absent ones of {accepted} accepted")


def _expect_dropped(f: Findings, reading: Reading, client: str, sent: list[Observation]) -> None:
    """Nothing with a wrong checksum gets as far as L2TP, and the gateway tells of it by its reason."""
    got = [b.frame for b in at_boundary(reading) if b.direction == "up" and b.client == client]
    f.expect(not got, f"L2TP heard {client} though its checksums are wrong", *got[:5])
    answers = [
        o for o in carriers(reading, Side.OUTSIDE, "down") if reading.flow_owner(o) == client and l2tp_message(o) == "SCCRP"
    ]
    f.expect(not answers, f"the gateway answered {client} though its checksums are wrong", *answers[:3])
    own = reading.identities.get(client)
    ports = set() if own is None else {own.outside_natt_port, own.outside_ike_port}
    dropped = (e for e in reading.evidence.gateway_events if e.kind == "dropped" and e.peer_port in ports)
    told = [e for e in dropped if "checksum" in _reason(e.detail)]
    f.facts.setdefault("dropped", {})[client] = len(told)
    f.expect(bool(told), f"the gateway tells of no packet of {client} that it dropped for its checksum", *sent[:1])


def _reason(detail: Mapping[str, Any]) -> str:
    return str(detail.get("reason", "")).lower()
