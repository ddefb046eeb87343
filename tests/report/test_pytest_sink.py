"""The hooks, in sessions of their own: what JUnit, Allure, the terminal and the run's folder say of each way a test can end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.report.finish import look
from harness.report.run import State, archived
from harness.report.summary import exit_status

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sessions under test must not know that they run on CI, where pytest does not shorten its summary."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


PLUGIN = """
    import pytest
    from pathlib import Path
    from harness.errors import Inconclusive, LabError
    from harness.model import Outcome, Secret, Verdict
    from harness.report.pytest_sink import SINK, install

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(config):
        config.addinivalue_line("markers", "behaviour(id): a row of the catalogue")
        install(config, root=Path(str(config.rootpath)) / "reports", testbeds=["linux"], secrets=[Secret("topsecret")],
                environment={"gateway": "plain"}, allure_html=False)

    @pytest.fixture
    def sink(pytestconfig):
        return pytestconfig.stash[SINK]

    @pytest.fixture
    def conclude(sink, request):
        return lambda verdict: sink.conclude(request.node, verdict)
"""


class Session:
    """What one inner session left."""

    def __init__(self, pytester: pytest.Pytester, result: pytest.RunResult) -> None:
        self.result = result
        (self.folder,) = archived(pytester.path / "reports")
        self.told = look(self.folder)
        self.lines = result.outlines

    @property
    def junit(self) -> ElementTree.Element:
        return ElementTree.parse(self.folder / "junit.xml").getroot()

    def case(self, name: str) -> ElementTree.Element:
        return next(case for case in self.junit.iter("testcase") if case.get("name") == name)

    def allure(self, title: str) -> dict[str, object]:
        found = [json.loads(path.read_text()) for path in (self.folder / "allure-results").glob("*-result.json")]
        return next(result for result in found if title in result["name"])

    def outcome(self, id_: str) -> str:
        return next(r.outcome.value for r in self.told.archive.results if r.case.id == id_)

    def properties(self, name: str) -> dict[str, str]:
        return {p.get("name", ""): p.get("value", "") for p in self.case(name).iter("property")}


Play = Callable[..., Session]


@pytest.fixture
def play(pytester: pytest.Pytester) -> Play:
    """Runs a session of its own, in its own process, over one file of tests."""

    def run(tests: str, *arguments: str, plugin: str = "") -> Session:
        pytester.makeconftest(PLUGIN + plugin)
        pytester.makepyfile(
            test_it="    import pytest\n    from harness.errors import *\n    from harness.model import *\n" + tests
        )
        return Session(pytester, pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments))

    return run


def test_a_failed_verdict_is_a_failure_of_the_device(play: Play) -> None:
    session = play("""
    @pytest.mark.behaviour("DMX-07", title="survival", source="nat_demux", kind="S", variant="plain")
    def test_survival(conclude):
        conclude(Verdict(Outcome.FAIL, "c2 killed c1 \u2014 \u00fcberall", {"port": 1701}, (("outside", 46),)))
    """)
    assert session.result.ret == pytest.ExitCode.TESTS_FAILED
    failure = session.case("test_survival").find("failure")
    assert failure is not None
    assert "c2 killed c1 \u2014 \u00fcberall" in failure.get("message", "")
    assert "port: 1701" in (failure.text or "")
    assert "outside 46" in (failure.text or "")
    assert session.case("test_survival").find("error") is None
    assert session.allure("DMX-07")["status"] == "failed"
    assert session.outcome("DMX-07") == "failed"
    assert exit_status(session.told.summary) == 1
    assert session.properties("test_survival") | {"verdict": ""} == {
        "behaviour": "DMX-07",
        "source": "nat_demux",
        "kind": "S",
        "variant": "plain",
        "outcome": "failed",
        "verdict": "",
    }


def test_an_inconclusive_verdict_is_an_error_everywhere(play: Play) -> None:
    session = play("""
    @pytest.mark.behaviour("DMX-25")
    def test_doubt(conclude):
        conclude(Verdict(Outcome.INCONCLUSIVE, "inconclusive: the outside capture lost 3 frames", {"dropped": 3}))
    """)
    assert session.result.ret == pytest.ExitCode.TESTS_FAILED
    case = session.case("test_doubt")
    error = case.find("error")
    assert error is not None
    assert case.find("failure") is None
    assert case.find("skipped") is None
    assert "the outside capture lost 3 frames" in error.get("message", "")
    assert "setup" not in error.get("message", "")
    (suite,) = session.junit.iter("testsuite")
    assert (suite.get("errors"), suite.get("failures"), suite.get("tests")) == ("1", "0", "1")
    assert session.allure("DMX-25")["status"] == "broken"
    assert session.outcome("DMX-25") == "inconclusive"
    session.result.stdout.fnmatch_lines(["*= ERRORS =*", "*ERROR at call of test_doubt*", "*1 error*"])
    session.result.stdout.fnmatch_lines(["ERROR test_it.py::test_doubt - *"])
    session.result.stdout.no_fnmatch_line("*1 failed*")
    assert exit_status(session.told.summary) == 3


@pytest.mark.parametrize("phase", ["setup", "call", "teardown"])
def test_an_error_of_the_lab_or_the_harness_is_never_blamed_on_the_device(play: Play, phase: str) -> None:
    session = play(f"""
    @pytest.fixture
    def lab():
        if "{phase}" == "setup":
            raise LabError("gateway boots", "no answer in 30 s", "natstorm doctor")
        yield
        if "{phase}" == "teardown":
            raise ValueError("left over")

    @pytest.mark.behaviour("DMX-01")
    def test_it(lab, conclude):
        if "{phase}" == "call":
            {{}}["no such key"]
        conclude(Verdict(Outcome.PASS, "all is well"))
    """)
    assert session.result.ret == pytest.ExitCode.TESTS_FAILED
    assert session.outcome("DMX-01") == "inconclusive"
    assert session.case("test_it").find("failure") is None
    assert session.case("test_it").find("error") is not None
    assert session.allure("test_it")["status"] == "broken"
    told = session.told.archive.results[0].because
    assert {"setup": "gateway boots: no answer in 30 s", "call": "KeyError: 'no such key'", "teardown": "left over"}[phase] in told


def test_one_reason_is_told_once_and_without_a_trace(play: Play) -> None:
    session = play("""
    @pytest.fixture
    def lab():
        raise LabError("gateway boots", "no answer in 30 s", "natstorm doctor")

    @pytest.mark.parametrize("n", range(30))
    def test_it(lab, n): pass
    """)
    assert session.told.summary.inconclusive == 30
    session.result.assert_outcomes(errors=30)
    words = "\n".join(session.lines)
    assert words.count("cure: natstorm doctor") == 1
    assert words.count("no answer in 30 s") <= 4  # as it happens, in pytest's section and its short summary, in the last words
    assert "raise LabError" not in words
    assert "Traceback" not in (session.folder / "summary.html").read_text()


def test_a_failure_stays_a_failure_when_the_tear_down_breaks_too(play: Play) -> None:
    session = play("""
    @pytest.fixture
    def lab():
        yield
        raise ValueError("left over")

    @pytest.mark.behaviour("DMX-01")
    def test_it(lab, conclude):
        conclude(Verdict(Outcome.FAIL, "c1 is dead"))
    """)
    assert session.outcome("DMX-01") == "failed"
    assert session.told.archive.results[0].because == "c1 is dead"


@pytest.mark.parametrize("first", ["PASS", "FAIL", "INCONCLUSIVE"])
def test_what_is_left_changed_when_all_is_over_is_among_the_last_words_whatever_came_before(play: Play, first: str) -> None:
    """With the command that puts it back, which must not be lost."""
    session = play(
        f"""
    @pytest.fixture(scope="session")
    def lab():
        yield
        raise LabError("give the devices back", "nat: No route to topsecret", "natstorm restore")

    @pytest.mark.behaviour("DMX-01")
    def test_it(lab, conclude):
        conclude(Verdict(Outcome.{first}, "said before"))
    """,
        "--tb=no", "-rN",
    )  # fmt: skip
    last = "\n".join(session.lines[session.lines.index("") :]) if "" in session.lines else ""
    assert "after the tests: lab: give the devices back: nat: No route to ***" in last
    assert "cure: natstorm restore" in last.partition("after the tests: ")[2]


def test_a_plain_assertion_is_a_failure(play: Play) -> None:
    session = play("""
    @pytest.mark.behaviour("DMX-02")
    def test_it():
        assert 1 == 2
    """)
    assert session.outcome("DMX-02") == "failed"
    assert session.case("test_it").find("failure") is not None
    assert "assert 1 == 2" in session.told.archive.results[0].error


def test_what_the_sources_leave_open_is_recorded_and_passes(play: Play) -> None:
    session = play("""
    @pytest.mark.behaviour("DMX-19", kind="?")
    def test_open(sink, request):
        sink.record(request.node, {"port": 1026}, "a returning client gets a new port")
    """)
    assert session.result.ret == 0
    assert session.properties("test_open")["recorded"] == '{"port": 1026}'
    assert session.properties("test_open")["outcome"] == "recorded"
    assert session.told.summary.recorded == 1
    assert session.told.summary.asserted == 0
    assert exit_status(session.told.summary) == 0
    result = session.allure("DMX-19")
    assert result["status"] == "passed"
    assert {"name": "recorded", "value": '{"port": 1026}', "excluded": True} in result["parameters"]


def test_a_skip_carries_its_reason(play: Play) -> None:
    session = play("""
    @pytest.mark.behaviour("DMX-54")
    def test_gate():
        pytest.skip("release 12.3 has no such command")

    @pytest.mark.behaviour("DMX-55")
    @pytest.mark.skip(reason="needs IOS")
    def test_mark(): pass

    @pytest.mark.behaviour("DMX-07")
    def test_good(conclude):
        conclude(Verdict(Outcome.PASS, "both live"))
    """)
    assert session.told.summary.to_dict()["skipped"] == [
        {"id": "DMX-54", "reason": "release 12.3 has no such command"},
        {"id": "DMX-55", "reason": "needs IOS"},
    ]
    assert session.case("test_gate").find("skipped") is not None
    assert session.allure("test_gate")["status"] == "skipped"
    assert exit_status(session.told.summary) == 0


def test_the_last_line_is_the_path_of_the_report(play: Play) -> None:
    session = play("""
    @pytest.mark.behaviour("DMX-07")
    def test_good(conclude):
        conclude(Verdict(Outcome.PASS, "both live"))
    """)
    last = [line for line in session.lines if line][-1]
    assert last == f"reports/{session.folder.name}/summary.html"
    assert "1 asserted: 1 passed, 0 failed, 0 inconclusive" in session.lines[session.lines.index(last) - 1]
    assert "[1/1] passed DMX-07: both live" in session.lines
    assert (session.folder.parent / "latest").resolve() == session.folder


def test_v_gives_pytests_own_lines(play: Play) -> None:
    session = play("    def test_it(): pass\n", "-v")
    session.result.stdout.fnmatch_lines(["*test_it.py::test_it PASSED*"])


def test_an_interrupted_run_says_so_and_keeps_what_it_had(play: Play) -> None:
    session = play("""
    @pytest.mark.behaviour("A")
    def test_a(): pass
    @pytest.mark.behaviour("B")
    def test_b(): raise KeyboardInterrupt
    @pytest.mark.behaviour("C")
    def test_c(): pass
    """)
    assert session.result.ret == pytest.ExitCode.INTERRUPTED
    assert session.told.archive.state is State.INTERRUPTED
    assert session.told.archive.why == "Ctrl-C"
    assert not [line for line in session.lines if "KeyboardInterrupt" in line]  # no place in the code
    assert session.outcome("A") == "passed"
    assert [case.id for case in session.told.archive.not_run] == ["B", "C"]
    assert exit_status(session.told.summary) == 3
    assert (session.folder.parent / "latest").resolve() == session.folder
    page = (session.folder / "summary.html").read_text()
    assert "This run was interrupted (Ctrl-C)" in page
    assert json.loads((session.folder / "summary.json").read_text())["skipped"][0]["id"] == "B"


def test_a_killed_run_leaves_a_folder_that_says_so(play: Play) -> None:
    session = play("""
    import os, signal
    @pytest.mark.behaviour("A")
    def test_a(): pass
    @pytest.mark.behaviour("B")
    def test_b(): os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert session.told.archive.state is State.KILLED
    assert session.outcome("A") == "passed"
    assert [case.id for case in session.told.archive.not_run] == ["B"]
    assert not (session.folder.parent / "latest").exists()
    assert not (session.folder / "summary.json").exists()


@pytest.mark.parametrize(("expression", "status"), [("nothing", "NO_TESTS_COLLECTED"), ("a and (", "USAGE_ERROR")])
def test_a_selection_that_selects_nothing_is_no_run(play: Play, pytester: pytest.Pytester, expression: str, status: str) -> None:
    play("    def test_a(): pass\n")
    reports = pytester.path / "reports"
    before = sorted(reports.iterdir())
    ended = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-k", expression)
    assert ended.ret == pytest.ExitCode[status]
    assert sorted(reports.iterdir()) == before


def test_suites_that_cannot_be_collected_are_named(play: Play) -> None:
    session = play("    raise RuntimeError('broken import')\n")
    assert session.result.ret == pytest.ExitCode.INTERRUPTED
    assert session.told.archive.why == "test_it.py could not be collected"
    session.result.stdout.fnmatch_lines(["ERROR test_it.py - RuntimeError: broken import"])
    assert exit_status(session.told.summary) == 2


def test_no_secret_reaches_any_file_or_the_terminal(play: Play) -> None:
    session = play("""
    @pytest.mark.behaviour("S1")
    def test_verdict(conclude):
        conclude(Verdict(Outcome.FAIL, "psk topsecret was sent", {"psk": "topsecret"}))
    @pytest.mark.behaviour("S2")
    def test_traceback():
        secret = "top" + "secret"
        assert secret == ""
    @pytest.mark.behaviour("S3")
    def test_log():
        print("top" + "secret")
        raise LabError("step", "saw " + "top" + "secret")
    @pytest.mark.behaviour("S4")
    def test_recorded(sink, request):
        sink.record(request.node, ["top" + "secret"], "top" + "secret")
    @pytest.mark.behaviour("S5")
    def test_skip():
        pytest.skip("because of " + "top" + "secret")
    """)
    assert session.told.summary.failed == 2
    # Source lines that pytest quotes hold the word only where the test's own text spells it out.
    for path in session.folder.rglob("*"):
        if path.is_file():
            assert b"topsecret" not in path.read_bytes(), path.name
    assert "topsecret" not in session.result.stdout.str()


def test_allure_gets_labels_and_the_surroundings(play: Play) -> None:
    session = play("""
    @pytest.mark.behaviour("DMX-07", title="survival with feature", source="nat_demux", variant="demux", time_base="wall")
    def test_good(conclude):
        conclude(Verdict(Outcome.PASS, "both live", {"ports": [1024, 1025]}))
    """)
    result = session.allure("DMX-07")
    labels = {(label["name"], label["value"]) for label in result["labels"]}
    assert {
        ("behaviour", "DMX-07"),
        ("source", "nat_demux"),
        ("variant", "demux"),
        ("time_base", "wall"),
        ("outcome", "passed"),
    } <= labels
    assert result["name"] == "DMX-07 survival with feature [demux]"
    assert "both live" in result["descriptionHtml"]
    assert result["statusDetails"]["message"] == "both live"
    results = session.folder / "allure-results"
    assert "gateway=plain\n" in (results / "environment.properties").read_text()
    assert json.loads((results / "categories.json").read_text())
    assert json.loads((results / "executor.json").read_text())["buildName"] == session.folder.name


SCENARIO = f"""
    import importlib.util
    spec = importlib.util.spec_from_file_location("world", {str(Path(__file__).with_name("conftest.py"))!r})
    world = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(world)

    @pytest.fixture(scope="session")
    def played(pytestconfig):
        sink = pytestconfig.stash[SINK]
        with sink.playing("two-clients", testbed="linux", variant="plain") as playing:
            with sink.bus.step("connect", client="c1"):
                with sink.bus.step("main mode"):
                    sink.bus.note("MM6 seen")
            evidence, verdicts = world.evidence("plain", playing.folder, kill=True)
            playing.played(evidence, verdicts)
        return evidence, verdicts
"""


def test_a_scenario_is_told_once_and_shared_by_its_tests(play: Play) -> None:
    session = play(
        """
    @pytest.mark.behaviour("DMX-01")
    def test_one(sink, request, played):
        sink.uses(request.node, played[0])
    @pytest.mark.behaviour("DMX-02")
    def test_two(sink, request, played):
        sink.uses(request.node, played[0])
    """,
        plugin=SCENARIO,
    )
    results = session.folder / "allure-results"
    containers = [json.loads(path.read_text()) for path in results.glob("*-container.json")]
    (ours,) = [c for c in containers if c.get("name") == "plain-two-clients"]
    assert set(ours["children"]) == {session.allure("test_one")["uuid"], session.allure("test_two")["uuid"]}
    (set_up,) = ours["befores"]
    assert [step["name"] for step in set_up["steps"]] == ["connect [c1]"]
    assert [step["name"] for step in set_up["steps"][0]["steps"]] == ["main mode"]
    assert [step["name"] for step in set_up["steps"][0]["steps"][0]["steps"]] == ["MM6 seen"]
    titles = [attachment["name"] for attachment in set_up["attachments"]]
    for title in ("inside capture", "outside capture", "decrypted capture", "Who killed whom", "identity table", "client records"):
        assert titles.count(title) == 1, title
    assert not any("keys" in title for title in titles)
    for attachment in set_up["attachments"]:
        assert (results / attachment["source"]).is_file()
    assert len(list(results.glob("*.pcap"))) == 3
    assert session.case("test_one").find("failure") is None
    assert session.properties("test_one")["scenario"] == "two-clients"
    assert "plain · two-clients: c2 killed c1. To blame: the gateway." in session.lines
    journal = (session.folder / "scenarios" / "plain-two-clients" / "steps.jsonl").read_text()
    assert [json.loads(line)["change"] for line in journal.splitlines()] == ["began", "began", "noted", "ended", "ended"]


def test_a_scenario_that_breaks_is_told_as_inconclusive(play: Play) -> None:
    session = play(
        """
    @pytest.mark.behaviour("DMX-01")
    def test_one(broken_lab): pass
    """,
        plugin="""
    @pytest.fixture(scope="session")
    def broken_lab(pytestconfig):
        sink = pytestconfig.stash[SINK]
        with sink.playing("two-clients", testbed="linux", variant="plain"):
            with sink.bus.step("lab up"):
                raise LabError("gateway boots", "kernel panic", "natstorm doctor")
""",
    )
    assert session.outcome("DMX-01") == "inconclusive"
    assert "plain · two-clients: Inconclusive: the evidence is not to be trusted" in session.lines
    page = (session.folder / "summary.html").read_text()
    assert "kernel panic" in page
    assert "lab up" in page


def test_five_hundred_behaviours(play: Play) -> None:
    session = play(
        """
    @pytest.mark.parametrize("n", range(500))
    def test_many(n, sink, request, conclude):
        conclude(Verdict(Outcome.PASS if n % 50 else Outcome.FAIL, f"client {n} \\u2713"))
    """,
        "--tb=no",
    )
    assert session.told.summary.asserted == 500
    assert session.told.summary.failed == 10
    assert len((session.folder / "results.jsonl").read_text().splitlines()) == 500
    assert sum(1 for line in session.lines if line.startswith("[500/500]")) == 1
