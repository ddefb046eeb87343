"""What one scenario's evidence says as a whole, for the report's headline. The suites judge single behaviours beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.devices import linux_config
from harness.model import Evidence, Outcome, RecordKind, Verdict
from harness.report.blame import headline
from harness.report.story import Headline, Tone
from harness.verdict import churn, mapping, populations, story, survivors
from harness.verdict.blame import who_is_to_blame
from harness.verdict.reading import reading_of
from harness.verdict.sites import DIRECT, FIRST, as_captured, capture_of, parts
from harness.verdict.survival import Cause, every_life
from harness.verdict.trust import TRAFFIC, Need, doubts

SOUND = (Need.INSIDE, Need.OUTSIDE, Need.PAIRED, Need.GENERATOR, Need.CLOCKS)
"""What evidence must be sound in for a box to be named. What of it cannot be read some box has sent, and so much is certain."""


def sum_up(evidence: Evidence, not_up: frozenset[str] = frozenset()) -> tuple[dict[str, Verdict], Headline]:
    """The verdicts on the whole by subject, and the headline: who lost their session, to whom, and which box is to blame. That
    `not_up` (clients, by name) did not come up is as it must be."""
    alone, apart = len(evidence.plans) == 1, len(parts(evidence)) > 1
    together = populations.all_survive_at_every_site if apart else survivors.all_survive_every_newcomer
    if reading_of(evidence).steps("churn"):
        together = churn.everybody_lives_until_it_leaves
    survival = survivors.sessions_last(evidence) if alone else together(evidence)
    declared = _as_declared(evidence, survival, not_up)
    nobody = _nobody_up(evidence, survival) if declared is None else None
    verdicts = {
        "survival": declared or nobody or survival,
        **({} if evidence.clear_expected else {"nothing in clear": _worst(mapping.nothing_crosses_in_clear, evidence)}),
        "mappings": _worst(mapping.mappings_last, evidence),
    }
    drawn = headline(evidence, verdicts if nobody is None else {"survival": nobody})  # the others have nothing to go by, then
    if drawn.tone is Tone.UNTRUSTED and not evidence.trouble and not doubts(reading_of(evidence), SOUND):
        because = next(verdict.because for verdict in verdicts.values() if verdict.outcome is Outcome.INCONCLUSIVE)
        drawn = replace(drawn, tone=Tone.UNDECIDED, sentence=f"{because}.")
    # What is not to be trusted accuses nobody: that rests on less than the headline does, and would name a box all the same.
    found = None if drawn.tone is Tone.UNTRUSTED else who_is_to_blame(evidence)
    box = None if found is None else found.box
    sentences = story.tell(evidence) if nobody is None else (f"With the {evidence.variant} gateway, {nobody.because}.",)
    if declared is not None:
        expected = f"That {_names(not_up)} did not come up is as it must be."
        sentences = (*sentences, expected) if _others(evidence, not_up) else (expected,)
        if found is not None and drawn.tone is Tone.SURVIVED and (found.client is None or found.client in not_up):
            box = None
    head = replace(
        drawn,
        never_up=drawn.never_up if declared is None else tuple(sorted(not_up)),
        blame=drawn.blame or (() if box is None else (box,)),
        sentence=" ".join((drawn.sentence, *sentences) if drawn.tone is Tone.UNDECIDED else sentences),
        ended=tuple(story.ended_by_script(evidence)),
        remark=linux_config.remark(evidence.variant),
    )
    return verdicts, head


def _worst(check: Callable[[Evidence], Verdict], evidence: Evidence) -> Verdict:
    """What a check on a NAT says of the NAT that did worst, where several sites have one each."""
    sites = parts(evidence)
    behind = {number: part for number, part in sites.items() if number != DIRECT} if len(sites) > 1 else {FIRST: evidence}
    said = [as_captured(check(part), capture_of(evidence, number)) for number, part in behind.items()]
    rank = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)
    return min(said, key=lambda verdict: rank.index(verdict.outcome))


def _as_declared(evidence: Evidence, survival: Verdict, not_up: frozenset[str]) -> Verdict | None:
    """What takes the place of `survival` where nothing is amiss with it but that those who are not to come up did not."""
    came = {record.client for record in evidence.records if record.kind is RecordKind.PPP_UP}
    if not not_up or came & not_up or evidence.trouble or survival.outcome is Outcome.PASS:
        return None
    said = f"{_names(not_up)} did not come up, as it must be"
    if not (others := _others(evidence, not_up)):
        # Who never comes up sends no marks, and no verdict on traffic can be had; whether the captures are whole, still.
        seen = not doubts(reading_of(evidence), (Need.INSIDE, Need.OUTSIDE, Need.GENERATOR))
        return Verdict(Outcome.PASS, said) if seen else None
    expected = tuple(f"{client} never came up: " for client in not_up)
    if survival.outcome is not Outcome.FAIL or not all(fault.startswith(expected) for fault in survival.facts["faults"]):
        return None
    return replace(survival, outcome=Outcome.PASS, because=f"{said}; {_names(others)} came up and stayed up")


def _nobody_up(evidence: Evidence, survival: Verdict) -> Verdict | None:
    """What takes the place of `survival` where nothing can be said of traffic for one reason only: nobody ever came up to send
    any, and that much the captures show."""
    reading = reading_of(evidence)
    if survival.outcome is not Outcome.INCONCLUSIVE or doubts(reading, tuple(need for need in TRAFFIC if need is not Need.MARKS)):
        return None
    found = every_life(reading)
    if {life.client for life in found} != {plan.name for plan in evidence.plans}:
        return None
    if any(life.end.cause is not Cause.NEVER_UP or life.disagreements for life in found):
        return None
    stopped = (f"{story.spoken(life.client)} ({life.end.stage or 'the set-up'} did not complete)" for life in found)
    lives = {life.client: {"up": None, "stage": life.end.stage} for life in found}
    return Verdict(Outcome.FAIL, f"nobody came up: {', '.join(dict.fromkeys(stopped))}", {"clients": lives})


def _others(evidence: Evidence, not_up: frozenset[str]) -> frozenset[str]:
    return frozenset(plan.name for plan in evidence.plans) - not_up


def _names(clients: frozenset[str]) -> str:
    return ", ".join(sorted(clients))
