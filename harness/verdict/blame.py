"""Which box is to blame: a table of rules, and never a name without frames or records that show it.

What decides, in this order: the wire on both sides of the NAT, where only the NAT is between; then the protocol's own words, what
a correct peer must say or must not (whoever was the first to go wrong); then questions that reached a box and got no answer; then
ends that nothing explains; what a NAT did to packets that hurts nobody; a box's own account last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from harness.model import Evidence, Observation, Side
from harness.verdict.reading import Reading, ppp, reading_of
from harness.verdict.rules import endings, nat
from harness.verdict.rules.endings import GATEWAY_CLOSES, REACTION_S, fell_mute
from harness.verdict.rules.rule import CLIENT, GATEWAY, Blame, Strength
from harness.verdict.rules.table import DOCUMENTED, HIDING, RULES
from harness.verdict.sites import parts
from harness.verdict.survival import Cause, Life, every_life
from harness.verdict.trust import Need, doubts

__all__ = ["REACTION_S", "RULES", "Blame", "blame", "fell_mute", "nat_faults", "who_is_to_blame"]


def who_is_to_blame(evidence: Evidence) -> Blame:
    """The box whose fault a failed run is: of the strongest proof, the earliest; nobody where nothing shows it, or where the
    evidence is not to be trusted. Clients behind several NATs, or behind none, are looked at site by site."""
    found = doubts(reading_of(evidence), (Need.INSIDE, Need.OUTSIDE, Need.GENERATOR))
    if found:
        return Blame(None, f"the evidence is not to be trusted: {'; '.join(found[:3])}")
    readings = [Reading(part) for part in parts(evidence).values()]
    for strength in Strength:
        shown = [one for reading in readings for rule in RULES if rule.strength is strength for one in rule.blames(reading)]
        if strength is Strength.ENDED:
            shown += [one for reading in readings for one in _ends(reading) if one.box is not None]
        if shown:
            return min(shown, key=lambda one: one.t)
    return Blame(None, "the captures show no fault of any box")


def nat_faults(reading: Reading) -> tuple[Blame, ...]:
    """Everything the NAT did that the source blames it for, whoever was hit."""
    return _found(reading, DOCUMENTED)


def blame(reading: Reading, life: Life, proof: tuple[Observation, ...] = ()) -> Blame:
    """For a client that ended, or never came up; `proof` are frames with its words on another client's SA."""
    for fault in _found(reading, (*DOCUMENTED, *HIDING)):
        if not fault.frames or life.client == fault.client or life.client in nat.concerned(reading, fault.frames):
            return fault
    if proof:
        return Blame(GATEWAY, f"the gateway put {life.client}'s traffic into another client's SA", proof)
    shown = () if life.end.frame is None else (life.end.frame,)
    if life.end.cause in GATEWAY_CLOSES:
        ended = Blame(GATEWAY, f"the gateway ended it: {life.end.cause.value}", shown)
        if not endings.reasons_kept(reading, life):
            ended = Blame(None, f"the gateway ended it ({life.end.cause.value}), and the captures do not keep LCP's echoes", shown)
        return _driven(reading, life) or _cut_off(reading, life) or ended
    if life.end.cause is Cause.SILENCE:
        return _driven(reading, life) or endings.silent(reading, life)
    if life.end.cause is Cause.NEVER_UP:
        return _driven(reading, life) or endings.never_up(reading, life)
    if life.cut_off:
        return Blame(None, f"{life.client} gave up: the scenario had cut the link", shown)
    if life.end.cause in endings.CLIENT_CLOSES:
        return Blame(CLIENT, f"{life.client} ended it: {life.end.cause.value}", shown)
    return Blame(None, "the captures show no fault of any box")


def _ends(reading: Reading) -> Iterable[Blame]:
    """Of every client that died, or never came up though nobody ended it."""
    for life in every_life(reading):
        step = reading.closing_step(life.client)
        stopped = life.up is None and (step is None or step.detail.get("carried_out") is False)
        if life.died or stopped:
            yield blame(reading, life)


def _driven(reading: Reading, life: Life) -> Blame | None:
    """What left the gateway no choice but to close, or to be silent: a client that did not answer, or that it could not believe."""
    own = (
        one
        for rule in RULES
        if rule.box == CLIENT and rule.strength in (Strength.SPOKEN, Strength.UNANSWERED)
        for one in rule.blames(reading)
    )
    return next((one for one in own if one.client == life.client and one.t <= life.end.t), None)


def _cut_off(reading: Reading, life: Life) -> Blame | None:
    """A NAT that forgot the client's mapping while it was in use, and so kept from it what the gateway asked; or that gave it the
    same port again, so that what it kept is all there is to see."""
    for fault in _found(reading, ("mapping forgotten",)):
        if fault.client != life.client or not life.began <= fault.t <= life.end.t:
            continue
        last, first = fault.frames
        until = min(first.t, life.end.t)
        kept = [o for o in endings.not_handed_over(reading, life.client) if last.t < o.t < until]
        if kept:
            return replace(fault, frames=(*fault.frames, *kept))
    return _unasked(reading, life)


def _unasked(reading: Reading, life: Life) -> Blame | None:
    """A NAT that swallows what goes to the client, the last question before the end of its link among it."""
    asked = [
        o
        for o in reading.way(Side.OUTSIDE, "down")
        if ppp(o) == ("LCP", "Echo-Request") and reading.flow_owner(o) == life.client and life.began <= o.t <= life.end.t
    ]
    faults = (fault for fault in _found(reading, ("swallowed",)) if asked and fault.client == life.client)
    return next((fault for fault in faults if asked[-1] in fault.frames), None)


def _found(reading: Reading, names: Iterable[str]) -> tuple[Blame, ...]:
    return tuple(one for rule in RULES if rule.name in names for one in rule.blames(reading))
