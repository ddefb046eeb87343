"""Evidence of routers that was played, with something in it made otherwise: what a fault would have left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.model import CaptureFacts, Evidence, FrameKind, Inner, Logged, Observation, Outcome, Printed, Side, Told

Edit = Callable[[Evidence], Evidence]
FRAME = 9000
"""Numbers of made-up frames begin here."""


@dataclass(frozen=True)
class Case:
    """`edit` is done to the evidence that `script` leaves behind; `says` has to stand in the verdict's words."""

    behaviour: str
    script: str
    outcome: Outcome
    edit: Edit
    says: str = ""
    name: str = ""


def passes(behaviour: str, script: str, says: str = "") -> Case:
    """As it was played."""
    return Case(behaviour, script, Outcome.PASS, lambda evidence: evidence, says, "as played")


def fails(behaviour: str, script: str, name: str, edit: Edit, says: str = "") -> Case:
    return Case(behaviour, script, Outcome.FAIL, edit, says, name)


def doubtful(behaviour: str, script: str, name: str, edit: Edit, says: str = "") -> Case:
    return Case(behaviour, script, Outcome.INCONCLUSIVE, edit, says, name)


# The wire


def without(which: Callable[[Observation], bool], side: Side = Side.OUTSIDE) -> Edit:
    """The frames of a side, save these."""

    def edit(evidence: Evidence) -> Evidence:
        left = tuple(frame for frame in evidence.observations[side] if not which(frame))
        assert len(left) < len(evidence.observations[side]), "there is no such frame to take away"
        return replace(evidence, observations={**evidence.observations, side: left})

    return edit


def changed(which: Callable[[Observation], bool], side: Side = Side.OUTSIDE, **fields: Any) -> Edit:
    """The frames of a side, these with other values; a value may be a function of the frame."""

    def made(frame: Observation) -> Observation:
        return replace(frame, **{name: value(frame) if callable(value) else value for name, value in fields.items()})

    def edit(evidence: Evidence) -> Evidence:
        assert any(which(frame) for frame in evidence.observations[side]), "there is no such frame to change"
        frames = tuple(made(frame) if which(frame) else frame for frame in evidence.observations[side])
        return replace(evidence, observations={**evidence.observations, side: frames})

    return edit


def with_frame(
    at: Callable[[Evidence], float], kind: FrameKind, src: str, dst: str, side: Side = Side.OUTSIDE, **fields: Any
) -> Edit:
    """One frame more, `at` a moment."""

    def edit(evidence: Evidence) -> Evidence:
        seen = evidence.observations[side]
        given = {"sport": None, "dport": None, "ttl": 255, "length": 100, "payload_digest": "made up", **fields}
        frame = Observation(side, FRAME, at(evidence), src, dst, kind=kind, **given)
        frames = tuple(sorted((*seen, frame), key=lambda one: one.t))
        return replace(evidence, observations={**evidence.observations, side: frames})

    return edit


def inside(
    message: str = "", *, ppp: Mapping[str, Any] | None = None, avps: Mapping[str, Any] | None = None, **header: Any
) -> Inner:
    """What L2TP an ESP packet holds, for `with_frame(inner=…)`: a control message by its name, or a PPP frame."""
    said = {
        "control": ppp is None,
        "tunnel": 1,
        "session": 1,
        **({"message": message} if message else {}),
        "avps": avps or {},
        **header,
    }
    return Inner(1701, 1701, 0, (), l2tp=said, ppp=ppp)


def no_capture(side: Side = Side.OUTSIDE) -> Edit:
    return lambda evidence: replace(evidence, captures=tuple(one for one in evidence.captures if one.side is not side))


def lossy(side: Side = Side.OUTSIDE) -> Edit:
    def lost(facts: CaptureFacts) -> CaptureFacts:
        return replace(facts, dropped=3) if facts.side is side else facts

    return lambda evidence: replace(evidence, captures=tuple(lost(one) for one in evidence.captures))


# Accounts


def retold(kind: str, who: str = "", **data: Any) -> Edit:
    """What was told of that kind, by that one or by all, with other data."""

    def edit(evidence: Evidence) -> Evidence:
        def other(one: Told) -> Told:
            return replace(one, data={**one.data, **data}) if one.kind == kind and who in ("", one.who) else one

        assert any(one.kind == kind for one in evidence.told), f"nothing was told of {kind}"
        return replace(evidence, told=tuple(other(one) for one in evidence.told))

    return edit


def untold(kind: str, who: str = "") -> Edit:
    """As if it had not been told."""
    return lambda evidence: replace(
        evidence, told=tuple(one for one in evidence.told if not (one.kind == kind and who in ("", one.who)))
    )


def reprinted(device: str, command: str, label: str = "", **fields: Any) -> Edit:
    """What a device printed, otherwise: `text`, `rows`, `unread`, `cut`. A function is given the old value."""

    def edit(evidence: Evidence) -> Evidence:
        def other(one: Printed) -> Printed:
            if (one.device, one.command, one.label) != (device, command, label):
                return one
            return replace(one, **{name: value(getattr(one, name)) if callable(value) else value for name, value in fields.items()})

        asked = [one for one in evidence.printed if (one.device, one.command, one.label) == (device, command, label)]
        assert asked, f"{device} was not asked {command!r}"
        return replace(evidence, printed=tuple(other(one) for one in evidence.printed))

    return edit


def unprinted(device: str, command: str) -> Edit:
    return lambda evidence: replace(
        evidence, printed=tuple(one for one in evidence.printed if (one.device, one.command) != (device, command))
    )


def unlogged(part: str) -> Edit:
    """Without the log lines that hold `part`."""
    return lambda evidence: replace(evidence, logged=tuple(one for one in evidence.logged if part not in one.line))


def relogged(kind: str, **fields: Any) -> Edit:
    """The debug lines of that kind, read with other values."""

    def other(one: Logged) -> Logged:
        return replace(one, event=replace(one.event, **fields)) if getattr(one.event, "kind", None) == kind else one

    def edit(evidence: Evidence) -> Evidence:
        assert any(getattr(one.event, "kind", None) == kind for one in evidence.logged), f"nothing of the kind {kind} was logged"
        return replace(evidence, logged=tuple(other(one) for one in evidence.logged))

    return edit


def logged_last(part: str) -> Edit:
    """The log lines that hold `part` come after all others."""

    def edit(evidence: Evidence) -> Evidence:
        late = tuple(one for one in evidence.logged if part in one.line)
        assert late, f"no log line holds {part!r}"
        return replace(evidence, logged=(*(one for one in evidence.logged if part not in one.line), *late))

    return edit


def not_done(step: str) -> Edit:
    """As if the script had not come to that step."""
    return lambda evidence: replace(evidence, steps=tuple(one for one in evidence.steps if one.name != step))


def in_trouble(evidence: Evidence) -> Evidence:
    return replace(evidence, trouble=("the lab was half up",))


def both(*edits: Edit) -> Edit:
    def edit(evidence: Evidence) -> Evidence:
        for one in edits:
            evidence = one(evidence)
        return evidence

    return edit


def fields_of(row: Any, **values: Any) -> Any:
    return replace(row, **values)


def first_row(**values: Any) -> Callable[[tuple[Any, ...] | None], tuple[Any, ...]]:
    """For `reprinted(rows=…)`: the first row with other values."""

    def change(rows: tuple[Any, ...] | None) -> tuple[Any, ...]:
        assert rows
        return (replace(rows[0], **values), *rows[1:])

    return change


Facts = Mapping[str, Any]
