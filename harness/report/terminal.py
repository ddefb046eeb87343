"""What a person at the terminal sees while a run goes on and when it ends. Text in, text out: no pytest here."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from harness.report.markup import visible
from harness.report.page import most_telling, short_answer
from harness.report.result import CaseOutcome, CaseResult
from harness.report.story import Story, Tone
from harness.report.summary import Summary, sentence

BAR = 24
CLEAR = "\r\033[K"

WORD = {
    CaseOutcome.PASSED: "passed",
    CaseOutcome.FAILED: "FAILED",
    CaseOutcome.INCONCLUSIVE: "INCONCLUSIVE",
    CaseOutcome.RECORDED: "recorded",
    CaseOutcome.SKIPPED: "skipped",
}
COLOUR = {
    CaseOutcome.PASSED: "32",
    CaseOutcome.FAILED: "31;1",
    CaseOutcome.INCONCLUSIVE: "33;1",
    CaseOutcome.RECORDED: "34",
    CaseOutcome.SKIPPED: "2",
}
T = TypeVar("T")
TONE = {Tone.LOST: "31;1", Tone.SURVIVED: "32;1", Tone.UNTRUSTED: "33;1", Tone.UNDECIDED: "33;1", Tone.PLAYED: "34"}


class Progress:
    """One bar that stays on the last line of a terminal; plain lines elsewhere. `write` takes text and shows it at once."""

    def __init__(self, write: Callable[[str], None], *, tty: bool, width: int = 80) -> None:
        self._write = write
        self._tty = tty
        self._width = width
        self._total = 0
        self._done = 0
        self._shown = ""
        self._told: dict[tuple[CaseOutcome, str], str] = {}

    def start(self, total: int) -> None:
        self._total = total

    def activity(self, text: str) -> None:
        """What is going on now: a step of a scenario. On a terminal it stands in the bar, elsewhere it is a line."""
        if text == self._shown:
            return
        self._shown = text
        if self._tty:
            self._bar()
        else:
            self._write(f"  … {visible(text)}\n")

    def case(self, result: CaseResult) -> None:
        """A case is done. Passed ones only move the bar on a terminal; all others leave a line, and the same reason why nothing can
        be said is given once."""
        self._done += 1
        self._shown = result.case.id
        if not self._tty or result.outcome not in (CaseOutcome.PASSED, CaseOutcome.RECORDED):
            known = self._told.setdefault((result.outcome, result.because), result.case.id)
            again = bool(result.because) and result.outcome is CaseOutcome.INCONCLUSIVE and known != result.case.id
            if not (again and self._tty):
                said = describe(replace(result, because=f"as {known}") if again else result, colour=self._tty)
                self.line(f"[{self._done}/{self._total}] {said}")
        if self._tty:
            self._bar()

    def line(self, text: str) -> None:
        self._write(f"{CLEAR if self._tty else ''}{text}\n")

    def end(self) -> None:
        """Take the bar away."""
        if self._tty:
            self._write(CLEAR)

    def _bar(self) -> None:
        bar = min(BAR, self._width * 2 // 5)
        filled = bar * self._done // self._total if self._total else 0
        head = f"[{'#' * filled}{'.' * (bar - filled)}] {self._done}/{self._total} "
        text = visible(self._shown).replace("\n", " ")
        if len(head) + len(text) >= self._width:  # the step says more than the scenario's name before it
            text = text.partition(": ")[2] or text
        self._write(CLEAR + (head + text)[: self._width - 1])


def describe(result: CaseResult, *, colour: bool, ids: str = "") -> str:
    """One case in one line; or several that say the same, as `ids`."""
    case = result.case
    where = f" [{case.variant}]" if case.variant else ""
    said = visible(result.because.split("\n", 1)[0])
    word = paint(WORD[result.outcome], COLOUR[result.outcome], colour)
    return f"{word} {ids or case.id}{where}" + (f": {said}" if said else "")


def _together(results: Sequence[CaseResult], *, colour: bool) -> list[str]:
    """Where a lab does not come up, dozens of cases have the same to say: it is said once."""
    groups: dict[tuple[CaseOutcome, str, str], list[CaseResult]] = {}
    for result in results:
        groups.setdefault((result.outcome, result.case.variant, result.because), []).append(result)
    return [describe(group[0], colour=colour, ids=", ".join(one.case.id for one in group)) for group in groups.values()]


def closing(
    summary: Summary,
    stories: Sequence[Story],
    results: Sequence[CaseResult],
    *,
    report: str,
    remarks: Sequence[str] = (),
    colour: bool,
) -> str:
    """The last words: a sentence a scenario, the cases that did not pass, remarks, the counts, and last the report's path.

    What kept several scenarios from being judged for the same reason is told once, with its cure.
    """
    lines = [""]
    for story, *others in alike(most_telling(stories), _nothing_said):
        answer = paint(short_answer(story), TONE[story.headline.tone], colour)
        lines.append(f"{', '.join(f'{one.variant or one.testbed} · {one.scenario}' for one in (story, *others))}: {answer}")
        if story.headline.remark:
            lines.append(f"    {visible(story.headline.remark)}")
        lines += [f"    {visible(line.strip())}" for line in story.headline.sentence.splitlines()]
        if story.headline.where:
            lines.append(f"    deciding packet: {visible(story.headline.where)}")
    troubled = [r for r in results if r.outcome in (CaseOutcome.FAILED, CaseOutcome.INCONCLUSIVE)]
    if troubled:
        lines += ["", *_together(troubled, colour=colour)]
    lines += ["", *remarks, sentence(summary), report]
    return "\n".join(lines) + "\n"


def alike(items: Iterable[T], reason: Callable[[T], Hashable]) -> list[list[T]]:
    """The items in groups of the same reason, each where its first one stands. None is a reason of its own each time."""
    groups: dict[Hashable, list[T]] = {}
    for number, item in enumerate(items):
        why = reason(item)
        groups.setdefault(("alone", number) if why is None else ("alike", why), []).append(item)
    return list(groups.values())


def _nothing_said(story: Story) -> Hashable:
    return story.headline.sentence if story.headline.tone.open else None


def paint(text: str, code: str, colour: bool) -> str:
    return f"\033[{code}m{text}\033[0m" if colour else text
