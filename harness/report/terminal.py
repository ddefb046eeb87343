"""What a person at the terminal sees while a run goes on and when it ends. Text in, text out: no pytest here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
TONE = {Tone.LOST: "31;1", Tone.SURVIVED: "32;1", Tone.UNTRUSTED: "33;1"}


class Progress:
    """One bar that stays on the last line of a terminal; plain lines elsewhere. `write` takes text and shows it at once."""

    def __init__(self, write: Callable[[str], None], *, tty: bool, width: int = 80) -> None:
        self._write = write
        self._tty = tty
        self._width = width
        self._total = 0
        self._done = 0
        self._shown = ""

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
        """A case is done. Passed ones only move the bar on a terminal; all others leave a line."""
        self._done += 1
        self._shown = result.case.id
        if not self._tty or result.outcome not in (CaseOutcome.PASSED, CaseOutcome.RECORDED):
            self.line(f"[{self._done}/{self._total}] {describe(result, colour=self._tty)}")
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
        self._write(CLEAR + (head + visible(self._shown).replace("\n", " "))[: self._width - 1])


def describe(result: CaseResult, *, colour: bool) -> str:
    """One case in one line."""
    case = result.case
    where = f" [{case.variant}]" if case.variant else ""
    said = visible(result.because.split("\n", 1)[0])
    word = paint(WORD[result.outcome], COLOUR[result.outcome], colour)
    return f"{word} {case.id}{where}" + (f": {said}" if said else "")


def closing(
    summary: Summary,
    stories: Sequence[Story],
    results: Sequence[CaseResult],
    *,
    report: str,
    remarks: Sequence[str] = (),
    colour: bool,
) -> str:
    """The last words: a sentence a scenario, the cases that did not pass, remarks, the counts, and last the report's path."""
    lines = [""]
    for story in most_telling(stories):
        answer = paint(short_answer(story), TONE[story.headline.tone], colour)
        lines.append(f"{story.variant or story.testbed} · {story.scenario}: {answer}")
        if story.headline.remark:
            lines.append(f"    {visible(story.headline.remark)}")
        lines.append(f"    {visible(story.headline.sentence)}")
        if story.headline.where:
            lines.append(f"    deciding packet: {visible(story.headline.where)}")
    troubled = [r for r in results if r.outcome in (CaseOutcome.FAILED, CaseOutcome.INCONCLUSIVE)]
    if troubled:
        lines += ["", *(describe(result, colour=colour) for result in troubled)]
    lines += ["", *remarks, sentence(summary), report]
    return "\n".join(lines) + "\n"


def paint(text: str, code: str, colour: bool) -> str:
    return f"\033[{code}m{text}\033[0m" if colour else text
