"""The headline of a scenario, drawn from its verdicts: who lost, to whom, at which packet, and which box is to blame.

It reads the facts that `verdict` gives of a death: `victim`, `killer`, `strength`, `frame` ([side, number]), `t`, `message`, and
`blame` with its `box` ("gateway", "nat", "client" or None). They may lie at any depth; all are optional but `victim`. Of
`clients` it reads who never came `up`, of `blamed` the boxes that failed without a death.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.model import Evidence, Outcome, Side, Verdict
from harness.report.sequence import exact
from harness.report.story import Headline, Kill, Tone

CERTAIN = "certain"


def headline(evidence: Evidence, verdicts: Mapping[str, Verdict]) -> Headline:
    """The first verdict that knows of a death decides; else the first that is inconclusive, or failed; else all survived."""
    if evidence.trouble:
        return Headline(Tone.UNTRUSTED, "; ".join(evidence.trouble))
    said = tuple(verdicts.values())
    for verdict in said:
        deaths = tuple(_deaths(verdict.facts))
        if deaths and verdict.outcome is not Outcome.INCONCLUSIVE:
            return _lost(evidence, verdict, deaths)
    for outcome, tone in ((Outcome.INCONCLUSIVE, Tone.UNTRUSTED), (Outcome.FAIL, Tone.LOST)):
        chosen = next((verdict for verdict in said if verdict.outcome is outcome), None)
        if chosen is not None:
            where, t = _where(evidence, chosen.frames[0] if chosen.frames else None)
            never_up = () if tone is Tone.UNTRUSTED else _never_up(chosen.facts)
            blame = () if tone is Tone.UNTRUSTED else _blamed(said)
            return Headline(tone, chosen.because, never_up=never_up, blame=blame, where=where, t=t)
    return Headline(Tone.SURVIVED, said[0].because) if said else Headline(Tone.UNTRUSTED, "no verdict was reached")


def deciding(verdicts: Mapping[str, Verdict]) -> tuple[tuple[str, int], ...]:
    """The frames that the diagram is about, the deadly ones first."""
    found: dict[tuple[str, int], None] = {}
    for verdict in verdicts.values():
        for death in _deaths(verdict.facts):
            for frame in (death.get("frame"), *list(death.get("proof") or ())[:1]):
                if frame:
                    found.setdefault((str(frame[0]), int(frame[1])))
    for verdict in verdicts.values():
        for frame in verdict.frames:
            found.setdefault(frame)
    return tuple(found)


def _lost(evidence: Evidence, verdict: Verdict, deaths: tuple[Mapping[str, Any], ...]) -> Headline:
    first = deaths[0]
    frame = first.get("frame")
    where, t = _where(evidence, None if not frame else (str(frame[0]), int(frame[1])), str(first.get("message") or ""))
    taken: dict[tuple[str, bool], list[str]] = {}
    for death in deaths:
        whose = taken.setdefault((str(death.get("killer") or ""), death.get("strength", CERTAIN) == CERTAIN), [])
        if str(death["victim"]) not in whose:
            whose.append(str(death["victim"]))
    kills = tuple(Kill(killer, tuple(victims), certain) for (killer, certain), victims in taken.items())
    boxes = dict.fromkeys(box for box in map(_box, deaths) if box)
    missing = _never_up(verdict.facts)
    return Headline(Tone.LOST, verdict.because, kills, missing, blame=tuple(boxes), where=where, t=first.get("t") or t)


def _never_up(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The clients that the facts' `clients` (name to life) say never came up: their `up` is there and None."""
    lives = facts.get("clients")
    if not isinstance(lives, Mapping):
        return ()
    return tuple(str(name) for name, life in lives.items() if isinstance(life, Mapping) and life.get("up", 0) is None)


def _box(death: Mapping[str, Any]) -> str:
    blame = death.get("blame")
    return str((blame.get("box") if isinstance(blame, Mapping) else blame) or "")


def _blamed(said: Iterable[Verdict]) -> tuple[str, ...]:
    """The boxes that failed verdicts blame without a death, in their facts' `blamed`."""
    failed = (verdict for verdict in said if verdict.outcome is Outcome.FAIL)
    return tuple(dict.fromkeys(str(fault["box"]) for verdict in failed for fault in verdict.facts.get("blamed") or ()))


def _deaths(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if value.get("victim"):
            yield value
            return
        for item in value.values():
            yield from _deaths(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _deaths(item)


def _where(evidence: Evidence, frame: tuple[str, int] | None, message: str = "") -> tuple[str, float | None]:
    """A frame in words, and its time (None where the evidence does not hold it)."""
    if frame is None:
        return message, None
    side, number = frame
    observations = evidence.observations.get(Side(side), ()) if side in tuple(Side) else ()
    seen = next((o for o in observations if o.frame == number), None)
    said = message or ("" if seen is None else exact(seen, evidence))
    return f"{side} frame {number}" + (f" ({said})" if said else ""), None if seen is None else seen.t
