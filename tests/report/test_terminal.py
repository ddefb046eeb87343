from __future__ import annotations

from harness.report.result import Case, CaseOutcome, CaseResult
from harness.report.summary import summarise
from harness.report.terminal import CLEAR, Progress, closing


def case(outcome: CaseOutcome, because: str = "") -> CaseResult:
    return CaseResult(Case("DMX-07", "x::a", variant="plain"), outcome, because)


def test_plain_lines_where_there_is_no_terminal() -> None:
    said: list[str] = []
    progress = Progress(said.append, tty=False)
    progress.start(2)
    progress.activity("plain: gateway boots")
    progress.activity("plain: gateway boots")
    progress.case(case(CaseOutcome.PASSED, "both live\nmore"))
    progress.case(case(CaseOutcome.FAILED, "c1 is dead \x1b[2J"))
    progress.end()
    assert said == [
        "  … plain: gateway boots\n",
        "[1/2] passed DMX-07 [plain]: both live\n",
        "[2/2] FAILED DMX-07 [plain]: c1 is dead \\u001b[2J\n",
    ]


def test_a_bar_on_a_terminal_that_never_wraps_and_is_taken_away() -> None:
    said: list[str] = []
    progress = Progress(said.append, tty=True, width=60)
    progress.start(4)
    progress.activity("x" * 200)
    progress.case(case(CaseOutcome.PASSED))
    progress.case(case(CaseOutcome.INCONCLUSIVE, "capture lost 3 frames"))
    progress.end()
    bars = [text for text in said if text.startswith(f"{CLEAR}[") and not text.endswith("\n")]
    assert all(len(text) - len(CLEAR) < 60 for text in bars)
    assert bars[-1].startswith(f"{CLEAR}[{'#' * 12}{'.' * 12}] 2/4 ")
    assert sum(text.endswith("\n") for text in said) == 1
    assert said[-1] == CLEAR


def test_the_bar_fits_a_narrow_terminal() -> None:
    for width in (40, 12):
        said: list[str] = []
        progress = Progress(said.append, tty=True, width=width)
        progress.start(74)
        progress.activity("demux-kernel · together: connect:c1")
        assert len(said[-1]) - len(CLEAR) == width - 1


def test_the_report_is_the_last_line_and_the_cure_stands_before_the_counts() -> None:
    results = [case(CaseOutcome.FAILED, "c1 is dead"), case(CaseOutcome.PASSED)]
    summary = summarise("run", results, duration_s=2)
    text = closing(summary, (), results, report="reports/run/summary.html", remarks=["no Allure report"], colour=False)
    assert text.splitlines()[-3:] == [
        "no Allure report",
        "2 asserted: 1 passed, 1 failed, 0 inconclusive, 0 recorded, 0 skipped in 2.0 s",
        "reports/run/summary.html",
    ]
    assert "FAILED DMX-07 [plain]: c1 is dead" in text.splitlines()
