"""Does the verdict name the right box? The rule that the source ends with, and what a NAT with a helper for IPsec brings about.

A failed run is one in which somebody never came up, died, or lost more than the budget. If the NAT changed a payload, let an
address through, gave two clients one port or handed a reply to the wrong one, it is to blame; else gateway or client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Outcome, Verdict
from harness.verdict.blame import nat_faults, who_is_to_blame
from harness.verdict.findings import Findings, require
from harness.verdict.reading import Reading
from harness.verdict.rules.rule import BOXES, NAT
from harness.verdict.survival import every_life
from harness.verdict.survivors import NAT_LOSS_BUDGET
from harness.verdict.trust import WIRE, Need, check

HELPERS = ("cookie-helper", "esp-helper", "alg", "single-client", "single-client-first")
"""The NAT personalities that do something for IPsec, or to it, beside translating addresses and ports."""


@check(*WIRE, Need.GENERATOR)
def blame_follows_the_rule(reading: Reading, *, broken: str | None = None) -> Verdict:
    """Of a failed run a box is named, with frames or records to show for it: the NAT wherever it did one of the four things that
    the source blames it for. `broken`: the box that was broken on purpose, which is then the one to be named."""
    failed = failures(reading)
    signs = nat_faults(reading)
    require(bool(failed) or bool(signs), "nothing failed in this run, so nobody is to blame")
    answer = who_is_to_blame(reading.evidence)
    f = Findings(failed=failed, blamed=[answer.facts()], signs=[one.why for one in signs])
    f.point(*answer.frames[:10])
    f.expect(answer.box in BOXES, f"{', '.join(failed) or 'something'} failed, and no box is named: {answer.why}")
    f.expect(answer.box is None or bool(answer.frames or answer.records), f"the {answer.box} is named, and nothing shows it")
    for one in signs[:1]:
        f.expect(answer.box == NAT, f"{one.why}, and the {answer.box} is named: {answer.why}", *one.frames[:3])
    if broken is not None:
        f.expect(answer.box == broken, f"the {broken} was broken, and the {answer.box} is named: {answer.why}")
    return f.verdict(f"to blame: the {answer.box} ({answer.why})")


@check(*WIRE, Need.GENERATOR)
def helper_failures_are_the_nats(reading: Reading) -> Verdict:
    """Behind a NAT with a helper for IPsec, several clients: whatever failed is noted, and the NAT is named."""
    helper = reading.evidence.nat
    require(helper in HELPERS, f"the run's NAT is {helper or 'the ordinary one'}, which has no helper for IPsec")
    require(len(reading.clients) >= 2, "a helper shows what it does to others once there are several clients")
    failed = failures(reading)
    require(bool(failed), f"nothing failed behind the {helper} NAT, so there is nothing to name it for")
    answer = who_is_to_blame(reading.evidence)
    f = Findings(helper=helper, failed=failed, blamed=[answer.facts()])
    f.expect(answer.box == NAT, f"{', '.join(failed)} failed behind the {helper} NAT, and named is {answer.box}: {answer.why}",
             *answer.frames[:5])  # fmt: skip
    return f.verdict(f"{', '.join(failed)} failed behind the {helper} NAT, and it is to blame: {answer.why}")


@check(*WIRE, Need.GENERATOR)
def clients_with_helper(reading: Reading) -> Verdict:
    """For the record: whether one client alone works behind a NAT with a helper, or several where the helper leaves those alone
    that have floated to 4500."""
    helper = reading.evidence.nat
    require(helper in HELPERS, f"the run's NAT is {helper or 'the ordinary one'}, which has no helper for IPsec")
    failed = failures(reading)
    alone = len(reading.clients) == 1
    facts: dict[str, Any] = {"helper": helper, "clients": len(reading.clients), "works": not failed, "failed": failed}
    if failed and not alone:
        facts["blamed"] = [who_is_to_blame(reading.evidence).facts()]
    who = f"{reading.clients[0]} alone" if alone else " and ".join(reading.clients)
    works = ("works" if alone else "work") if not failed else f"{'does' if alone else 'do'} not work ({_failed_in_words(failed)})"
    return Verdict(Outcome.PASS, f"{who} behind the {helper} NAT {works}", facts)


def _failed_in_words(failed: Mapping[str, Any]) -> str:
    return "; ".join(f"{client} {how}" for client, how in failed.items())


def failures(reading: Reading) -> dict[str, Any]:
    """Client → how it failed: at which stage set-up stopped, how it died, what it lost."""
    found: dict[str, Any] = {}
    for life in every_life(reading):
        if life.up is None:
            stage = "set-up" if life.end.stage is None else life.end.stage.value
            found[life.client] = f"never came up: {stage} did not complete"
        elif life.died:
            found[life.client] = f"died: {life.end.cause.value}"
        elif life.left_by_itself:
            found[life.client] = f"left by itself: {life.end.cause.value}"
        elif life.lost > max(1, NAT_LOSS_BUDGET * life.sent):
            found[life.client] = f"lost {life.lost} of {life.sent} marks"
    return found
