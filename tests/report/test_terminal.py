from __future__ import annotations

from harness.report.result import Case, CaseOutcome, CaseResult
from harness.report.story import Headline, Story, Tone
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


def test_cases_that_say_the_same_are_named_in_one_line() -> None:
    cases = ("DMX-01", "plain"), ("DMX-02", "plain"), ("DMX-07", "demux")
    results = [CaseResult(Case(id_, f"x::{id_}", variant=on), CaseOutcome.INCONCLUSIVE, "lab: no tap") for id_, on in cases]
    text = closing(summarise("run", results, duration_s=2), (), results, report="r", colour=False)
    assert "INCONCLUSIVE DMX-01, DMX-02 [plain]: lab: no tap\nINCONCLUSIVE DMX-07 [demux]: lab: no tap\n" in text


def test_scenarios_of_which_nothing_can_be_said_for_one_reason_share_one_answer() -> None:
    why = Headline(Tone.UNTRUSTED, "nothing can be said of the gateway: lab: no tap\n  cure: root")
    told = [Story(name, "linux", "plain", float(number), why, ()) for number, name in enumerate(("pair", "order"))]
    text = closing(summarise("run", [], duration_s=2), told, [], report="r", colour=False)
    assert "plain · pair, plain · order: Inconclusive" in text
    assert text.count("no tap") == 1
    assert "\n    cure: root\n" in text


def test_a_reason_that_was_given_is_not_given_again_while_the_run_goes_on() -> None:
    said: list[str] = []
    progress = Progress(said.append, tty=False)
    progress.start(3)
    for name in ("DMX-01", "DMX-02"):
        progress.case(CaseResult(Case(name, f"x::{name}"), CaseOutcome.INCONCLUSIVE, "lab: no tap"))
    progress.case(CaseResult(Case("DMX-07", "x::c"), CaseOutcome.FAILED, "c1 is dead"))
    assert said == [
        "[1/3] INCONCLUSIVE DMX-01: lab: no tap\n",
        "[2/3] INCONCLUSIVE DMX-02: as DMX-01\n",
        "[3/3] FAILED DMX-07: c1 is dead\n",
    ]


def test_the_bar_fits_a_narrow_terminal() -> None:
    shown = {80: f"[{'.' * 24}] 0/74 demux-kernel · endings: connect:c1", 40: f"[{'.' * 16}] 0/74 connect:c1", 12: "[....] 0/74"}
    for width, bar in shown.items():
        said: list[str] = []
        progress = Progress(said.append, tty=True, width=width)
        progress.start(74)
        progress.activity("demux-kernel · endings: connect:c1")
        assert said == [CLEAR + bar]
        assert len(bar) < width


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
