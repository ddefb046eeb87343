"""In whatever order clients come, all at once or one by one, and on a release of the gateway that is said to be up to date."""

from __future__ import annotations

from harness.model import Side, Verdict
from harness.verdict.confusion import towards_clients
from harness.verdict.findings import Findings, require
from harness.verdict.reading import Reading
from harness.verdict.survivors import LOSS_BUDGET, START_WITHIN_S, expect_alive, expect_own_words, lost_in_words
from harness.verdict.trust import TRAFFIC, check


@check(*TRAFFIC)
def any_order_works(reading: Reading, *, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """Two clients or more come up and live together; in which order they came, or whether together, is told."""
    f = Findings(came=_came(reading))
    found = expect_alive(f, reading, at_least=2, loss_budget=loss_budget)
    expect_own_words(f, reading, towards_clients(reading), found)
    return f.verdict(f"{', '.join(found)} came {f.facts['came']} and all live; {lost_in_words(found)}")


@check(*TRAFFIC)
def up_to_date_gateway_passes(reading: Reading, *, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """On the latest service pack several clients behind one NAT are served at the same time."""
    f = Findings(release=reading.evidence.variant, personalities={p.name: p.personality for p in reading.evidence.plans})
    found = expect_alive(f, reading, at_least=2, loss_budget=loss_budget)
    expect_own_words(f, reading, towards_clients(reading), found)
    return f.verdict(f"{reading.evidence.variant} serves {len(found)} clients behind one NAT; {lost_in_words(found)}")


def _came(reading: Reading) -> str:
    """ "together", or the clients by the time of their first messages."""
    began = {c: o.t for c in reading.clients if (o := reading.first_ike(c, "MM1", Side.INSIDE)) is not None}
    require(set(began) == set(reading.clients), "not every client sent its first message")
    if max(began.values()) - min(began.values()) <= START_WITHIN_S:
        return "together"
    return "in the order " + ", ".join(sorted(began, key=lambda c: began[c]))
