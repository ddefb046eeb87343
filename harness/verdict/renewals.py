"""How often quick-mode SAs are renewed while nobody says anything: for the record."""

from __future__ import annotations

from itertools import pairwise

from harness.model import FrameKind, Outcome, Side, Verdict
from harness.verdict.findings import require
from harness.verdict.reading import Reading, ike
from harness.verdict.trust import WIRE, Need, check

WATCHED_S = 900.0
"""An SA that is watched for less than this shows little: the report that the row goes back to speaks of five minutes."""


@check(*WIRE, Need.DECRYPTED)
def renewals_while_idle(reading: Reading, *, watched_s: float = WATCHED_S) -> Verdict:
    """For the record: the intervals between a client's quick modes, who began them, and the mode of the SAs."""
    value = {}
    for client in reading.clients:
        agreed = reading.ike_messages(client, "QM3")
        if not agreed:
            continue
        last = max((o.t for o in reading.frames(Side.OUTSIDE) if reading.flow_owner(o) == client), default=agreed[0].t)
        if last - agreed[0].t < watched_s:
            continue
        begun = reading.ike_messages(client, "QM1")
        data = sum(o.kind is FrameKind.ESP and reading.sa_owner(o) == client for o in reading.frames(Side.OUTSIDE))
        value[client] = {
            "watched_s": round(last - agreed[0].t, 1),
            "renewals": len(agreed) - 1,
            "intervals_s": [round(b.t - a.t, 1) for a, b in pairwise(agreed)],
            "begun_by": [{"up": "client", "down": "gateway"}[str(reading.direction(o))] for o in begun[1:]],
            "encapsulation": sorted({str(p.get("encapsulation")) for o in begun for p in ike(o, "proposals") or ()}),
            "esp_packets": data,
        }
    require(bool(value), f"no client's SA was watched for {watched_s:.0f} s")
    words = ", ".join(f"{c}: {row['renewals']} in {row['watched_s']} s" for c, row in value.items())
    return Verdict(Outcome.PASS, f"quick-mode SAs renewed, {words}", value)
