"""What `natstorm wire` prints: who is who, a few lines a client, each verdict with its frames, and what no capture could show."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.model import ClockOffset, Evidence, Outcome, Side, Verdict
from harness.probes import clocks
from harness.probes.survey import Surveyed, survey
from harness.scenario.taken_elsewhere import FileFacts, Taken, stamp
from harness.verdict import from_captures, story, unkeyed
from harness.verdict.blame import who_is_to_blame
from harness.verdict.reading import reading_of

VERSION = 1
MOST_FRAMES = 6
MOST_MOMENTS = 24


@dataclass(frozen=True, slots=True)
class Told:
    """All that is said of one pair of captures, or of one alone."""

    taken: Taken
    outcome: Outcome
    put: tuple[from_captures.Put, ...]
    sentences: tuple[str, ...]
    signs: tuple[unkeyed.Sign, ...]
    blamed: dict[str, Any] | None
    clients: tuple[Surveyed, ...]


def judge(taken: Taken) -> Told:
    """Puts the checks to what was taken."""
    evidence = taken.evidence
    found = from_captures.put(evidence)
    clients = survey(evidence.observations, evidence.gateway_address, evidence.identities)
    both = Side.INSIDE in evidence.observations and Side.OUTSIDE in evidence.observations
    signs = unkeyed.signs(reading_of(evidence)) if both else ()
    outcome = from_captures.outcome(found)
    blamed = who_is_to_blame(evidence).facts() if outcome is Outcome.FAIL else None
    return Told(taken, outcome, found, story.tell(evidence), signs, blamed, clients)


def lines(told: Told) -> Iterator[str]:
    """For a person at a terminal."""
    taken, evidence = told.taken, told.taken.evidence
    for file in taken.files:
        yield _file(file)
    yield from (f"{'':9}{one}" for one in taken.said)
    yield f"clocks   {clock_in_words(evidence.clock)}"
    if taken.keys is not None:
        yield f"keys     {taken.keys.used} of {taken.keys.given} belong to these captures"
    yield ""
    for row in told.clients:
        yield from _client(row)
    if evidence.trouble:
        yield "The captures are not to be trusted:"
        yield from (f"  {one}" for one in evidence.trouble)
        yield ""
    for exposure in evidence.exposures[:MOST_FRAMES] if len(taken.files) < 2 else ():
        yield f"SEEN  {exposure[0]} frame {exposure[1]}: {exposure[2]}"
    for sign in told.signs:
        yield f"SIGN  {_with_files(sign.sentence, taken.files)}"
    for names, verdict in _grouped(told.put):
        yield f"{verdict.outcome.value.upper():13}{names}: {_with_files(verdict.because, taken.files)}{_frames(verdict.frames)}"
    yield ""
    yield from _beyond(from_captures.not_put(evidence))
    yield ""
    yield from (_with_files(sentence, taken.files) for sentence in told.sentences)
    yield f"{told.outcome.value.upper()}: {_summary(told)}"


def to_dict(told: Told) -> dict[str, Any]:
    """The same for a script."""
    evidence, clock = told.taken.evidence, told.taken.evidence.clock
    keys = told.taken.keys
    return {
        "version": VERSION,
        "outcome": told.outcome.value,
        "because": _summary(told),
        "captures": [file.to_dict() for file in told.taken.files],
        "gateway": evidence.gateway_address,
        "nat": evidence.nat_outside or None,
        "prefix": told.taken.who.prefix,
        "deduced": list(told.taken.said),
        "clock": None if clock is None else {
            "offset_s": clock.offset_s,
            "bound_s": clock.bound_s if math.isfinite(clock.bound_s) else None,
            "drift_ppm": clock.drift_ppm,
            "pairs": {"up": clock.up, "down": clock.down},
            "corrected": clock.corrected,
            "why": clock.why,
        },
        "keys": None if keys is None else {"given": keys.given, "used": keys.used},
        "clients": [row.to_dict() | {"address": _address(evidence, row.client)} for row in told.clients],
        "trouble": list(evidence.trouble),
        "signs": [sign.facts() | {"sentence": sign.sentence} for sign in told.signs],
        "verdicts": [
            {"name": one.name, "outcome": one.verdict.outcome.value, "because": one.verdict.because, "deciding": one.deciding,
             "frames": [list(frame) for frame in one.verdict.frames], "facts": dict(one.verdict.facts)}
            for one in told.put
        ],
        "not_judged": from_captures.not_put(evidence),
        "exposures": [list(one) for one in evidence.exposures],
        "blamed": told.blamed,
        "sentences": list(told.sentences),
    }  # fmt: skip


def clock_in_words(clock: ClockOffset | None) -> str:
    return "not compared: there is one capture" if clock is None else clocks.in_words(clock)


def _file(file: FileFacts) -> str:
    lost = "" if file.dropped is None else f", {file.dropped} lost by its writer"
    damage = "" if file.why is None else f", DAMAGED: {file.why}"
    span = f"{stamp(file.began)} to {stamp(file.ended)} UTC"
    return f"{file.side.value:9}{file.path}: {file.format}, {file.frames} frames, {span}{lost}{damage}"


def _client(row: Surveyed) -> Iterator[str]:
    inside, outside = row.ends.get(Side.INSIDE, []), row.ends.get(Side.OUTSIDE, [])
    arrow = f" → {_ends(outside)}" if inside and outside else _ends(outside)
    yield f"{row.client:6} {_ends(inside)}{arrow}, {stamp(row.first)[11:]} to {stamp(row.last)[11:]}"
    yield f"       main modes {', '.join(f'{i}/{r}' for i, r in row.cookies) or 'none'}"
    yield f"       SPIs to the gateway {' '.join(row.spis['up']) or 'none'}, to the client {' '.join(row.spis['down']) or 'none'}"
    yield f"       {', '.join(f'{count} {what}' for what, count in sorted(row.counts.items()))}"
    moments = [f"{m.name} {'>' if m.up else '<'} {m.frame}" for m in row.moments]
    if moments:
        more = f" … and {len(moments) - MOST_MOMENTS} more" if len(moments) > MOST_MOMENTS else ""
        yield f"       frames: {', '.join(moments[:MOST_MOMENTS])}{more}"
    yield ""


def _grouped(found: Iterable[from_captures.Put]) -> Iterator[tuple[str, Verdict]]:
    """The checks that say the same in one line."""
    same: dict[tuple[Outcome, str], list[from_captures.Put]] = {}
    for one in found:
        same.setdefault((one.verdict.outcome, one.verdict.because), []).append(one)
    for group in same.values():
        yield ", ".join(one.name for one in group), group[0].verdict


def _ends(ends: Iterable[tuple[str, int | None]]) -> str:
    by_address: dict[str, list[str]] = {}
    for address, port in ends:
        by_address.setdefault(address, []).append("ESP" if port is None else str(port))
    return " ".join(f"{address}:{','.join(ports)}" for address, ports in by_address.items())


def _beyond(needs: dict[str, str]) -> Iterator[str]:
    by_need: dict[str, list[str]] = {}
    for row, need in needs.items():
        by_need.setdefault(need, []).append(row)
    yield f"Not judged from captures alone: {len(needs)} rows of the catalogue"
    yield from (f"  {' '.join(rows)}: needs {need}" for need, rows in sorted(by_need.items()))


def _frames(frames: Iterable[tuple[str, int]]) -> str:
    named = [f"{side} {number}" for side, number in frames]
    return f" [{', '.join(named[:MOST_FRAMES])}{' …' if len(named) > MOST_FRAMES else ''}]" if named else ""


def _with_files(sentence: str, files: Iterable[FileFacts]) -> str:
    """The sentence with the names of the files in the place of the sides' usual ones."""
    names = {file.side.value: Path(file.path).name for file in files}
    return re.sub(r"\b(inside|outside)\.pcap frame", lambda m: f"{names.get(m[1], m[0][:-6])} frame", sentence)


def _address(evidence: Evidence, client: str) -> str | None:
    return next((one.inside for one in evidence.identities if one.client == client), None)


def _summary(told: Told) -> str:
    of = {outcome: [one for one in told.put if one.verdict.outcome is outcome] for outcome in Outcome}
    if told.outcome is Outcome.FAIL:
        return f"{len(of[Outcome.FAIL])} of {len(told.put)} checks failed ({', '.join(one.name for one in of[Outcome.FAIL])})"
    if told.outcome is Outcome.PASS:
        left = len(of[Outcome.INCONCLUSIVE])
        return f"{len(of[Outcome.PASS])} checks passed" + (f", {left} more had nothing to judge" if left else "")
    open_ = [one for one in told.put if one.deciding and one.verdict.outcome is Outcome.INCONCLUSIVE]
    return f"nothing is said of the gateway; left open: {', '.join(one.name for one in open_)}"
