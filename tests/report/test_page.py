from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.model import Evidence, Outcome, Secret, Verdict
from harness.report.digest import tell
from harness.report.markup import VOID, tag
from harness.report.page import identity_page, matrix_page, page, short_answer
from harness.report.redact import Redactor
from harness.report.result import Case, CaseOutcome, CaseResult
from harness.report.run import Archive, State
from harness.report.story import Headline, Story, Tone, from_json
from harness.report.summary import summarise
from harness.report.svg import diagram, matrix, standing_alone, topology

HOSTILE = "<script>alert('x')</script>\"&'\u202e\x00\x1b[31m"


class Strict(HTMLParser):
    """Every tag closed, in order; IDs unique; nothing active and nothing loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        assert name not in ("script", "iframe", "object", "embed", "link"), name
        for key, value in attributes:
            assert not key.startswith("on"), key
            if key == "id":
                self.ids.append(value or "")
            if key in ("src", "href"):
                assert not re.match(r"(?i)\s*(https?:|//|javascript:|data:)", value or ""), value
                self.links.append(value or "")
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open, f"</{name}> closes nothing"
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def check(html: str) -> Strict:
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    return parser


def archive(*results: CaseResult, state: State = State.FINISHED) -> Archive:
    began = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Archive(Path("20260102T030405Z-1a2b"), state, began, began, "", {"testbeds": ["linux"]}, results, (), False)


def story(build, tmp_path: Path, kill: bool = True, **more) -> Story:
    folder = tmp_path / "scenarios" / "plain-two-clients"
    evidence, verdicts = build("plain", folder, kill=kill, **more)
    redactor = Redactor([Secret("sharedsecret")])
    return tell(evidence, verdicts, run_folder=tmp_path, scenario_folder=folder, redactor=redactor)


def written(told: tuple[Story, ...], *results: CaseResult, **more: str) -> str:
    kept = archive(*results)
    return page(kept, summarise(kept.id, kept.results, testbeds=["linux"], duration_s=1.0), told, **more)


def test_the_page_says_first_who_lost_and_which_box_is_to_blame(evidence_of, tmp_path: Path) -> None:
    parser = check(written((story(evidence_of, tmp_path),)))
    texts = [text.strip() for text in parser.texts if text.strip()]
    assert texts.index("c2 killed c1. To blame: the gateway.") < texts.index("The deciding packets")
    assert "outside frame 46 (QM3)" in " ".join(texts)
    assert "to blame" in texts
    assert "scenarios/plain-two-clients/outside.pcap" in parser.links
    assert not any("keys.jsonl" in link for link in parser.links)


def test_the_page_is_the_same_bytes_for_the_same_run(evidence_of, tmp_path: Path) -> None:
    told = story(evidence_of, tmp_path)
    done = CaseResult(Case("A", "x::a"), CaseOutcome.PASSED, "well", {"b": 1, "a": {"z": 1}})
    assert written((told,), done) == written((from_json(told.to_json()),), done)


def test_a_story_survives_the_round_trip(evidence_of, tmp_path: Path) -> None:
    told = story(evidence_of, tmp_path)
    assert from_json(told.to_json()) == told


def test_no_hostile_string_becomes_markup(evidence_of, tmp_path: Path) -> None:
    told = story(evidence_of, tmp_path)
    told = replace(
        told,
        scenario=HOSTILE,
        variant=HOSTILE,
        clients=(HOSTILE,),
        headline=replace(told.headline, sentence=HOSTILE, where=HOSTILE),
        trouble=(HOSTILE,),
        sentences=((HOSTILE, "fail", HOSTILE),),
        matrices=tuple(replace(m, title=HOSTILE, rows=(HOSTILE,) * len(m.rows)) for m in told.matrices),
        identity=tuple(tuple(HOSTILE for _ in row) for row in told.identity),
        sequence=tuple(replace(row, label=HOSTILE) for row in told.sequence),
        steps=tuple(replace(step, name=HOSTILE, problem=HOSTILE) for step in told.steps),
        files=tuple(replace(file, title=HOSTILE, path=f"javascript:{HOSTILE}") for file in told.files),
        gateway=((HOSTILE, HOSTILE),),
    )
    case = Case(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    done = CaseResult(case, CaseOutcome.FAILED, HOSTILE, {HOSTILE: HOSTILE}, ((HOSTILE, 1),), HOSTILE, 0, 0, HOSTILE)
    for html in (written((told,), done, cure=HOSTILE), identity_page(told), matrix_page(told.matrices[0])):
        check(html)
        assert "<script" not in html
        assert "\u202e" not in html
        assert "\x00" not in html
        assert "\x1b" not in html
    for drawing in (diagram(told), topology(told), matrix(told.matrices[0])):
        ElementTree.fromstring(standing_alone(drawing))


def test_no_secret_is_on_the_page(evidence_of, tmp_path: Path) -> None:
    told = story(evidence_of, tmp_path)
    assert "loaded IKE secret &#x27;***&#x27;" in written((told,))
    assert "sharedsecret" not in written((told,)) + told.to_json()


@pytest.mark.parametrize("count", [0, 500])
def test_any_number_of_behaviours(count: int) -> None:
    done = [
        CaseResult(Case(f"B-{n:03}", f"x::{n}", "t"), list(CaseOutcome)[n % 5], "ünïcode ✓ 密", {"n": n}, (), n)
        for n in range(count)
    ]
    parser = check(written((), *done))
    assert sum(1 for text in parser.texts if text.startswith("B-")) == count
    outcomes = [text for text in parser.texts if text in tuple(CaseOutcome)]
    chips = outcomes[5:]  # the five counts come first
    assert chips == sorted(chips, key=["failed", "inconclusive", "passed", "recorded", "skipped"].index)


def test_without_allure_the_page_names_the_cure() -> None:
    html = written((), cure="Node is not installed. Cure: natstorm doctor")
    assert "There is no Allure report for this run. Node is not installed. Cure: natstorm doctor" in html
    assert 'href="report.html"' in written((), allure="report.html")


def test_the_short_answer_of_each_kind(evidence_of, tmp_path: Path) -> None:
    assert short_answer(story(evidence_of, tmp_path)) == "c2 killed c1. To blame: the gateway."
    assert short_answer(story(evidence_of, tmp_path, kill=False)) == "Both clients keep their sessions"
    doubtful = story(evidence_of, tmp_path, trouble=("the outside capture lost 3 frames",))
    assert doubtful.headline.tone is Tone.UNTRUSTED
    assert doubtful.headline.sentence == "the outside capture lost 3 frames"
    assert short_answer(doubtful) == "Inconclusive: the evidence is not to be trusted"


def test_several_deaths_name_each_killer(evidence_of, tmp_path: Path) -> None:
    folder = tmp_path / "scenarios" / "plain-two-clients"
    evidence, _ = evidence_of("plain", folder, kill=True)
    deaths = [
        {"victim": "c1", "killer": "c2", "strength": "certain", "blame": {"box": "gateway"}},
        {"victim": "c2", "killer": "c3", "strength": "suspected", "blame": {"box": "nat"}},
        {"victim": "c4", "killer": None, "strength": "none", "blame": {"box": None}},
    ]
    verdicts = {"survival": Verdict(Outcome.FAIL, "three died", {"deaths": deaths})}
    told = tell(evidence, verdicts, run_folder=tmp_path, scenario_folder=folder, redactor=Redactor())
    assert short_answer(told) == ("c2 killed c1; c3 probably killed c2; c4 lost its session. To blame: the gateway and the NAT.")
    topology(told)


def test_a_client_that_never_came_up_is_named(evidence_of, tmp_path: Path) -> None:
    folder = tmp_path / "scenarios" / "connmark-two-clients"
    evidence, _ = evidence_of("connmark", folder, kill=False)
    facts = {"clients": {"c1": {"up": 12.5}, "c2": {"up": None, "end": "never came up"}}, "deaths": []}
    verdicts = {"survival": Verdict(Outcome.FAIL, "c2 never came up: LCP incomplete", facts)}
    told = tell(evidence, verdicts, run_folder=tmp_path, scenario_folder=folder, redactor=Redactor())
    assert told.headline.tone is Tone.LOST
    assert short_answer(told) == "c2 never came up."
    assert "never up" in topology(told)


def test_a_sentence_given_with_the_evidence_takes_the_place_of_the_verdicts(evidence_of, tmp_path: Path) -> None:
    folder = tmp_path / "scenarios" / "plain-two-clients"
    evidence, verdicts = evidence_of("plain", folder, kill=True)
    told = tell(evidence, verdicts, run_folder=tmp_path, scenario_folder=folder, redactor=Redactor(), head=("One.", "Two."))
    assert told.headline.sentence == "One. Two."
    assert told.headline.victims == ("c1",)


def test_evidence_that_holds_nothing_is_told_too(evidence_of, tmp_path: Path) -> None:
    folder = tmp_path / "scenarios" / "plain-two-clients"
    evidence: Evidence = replace(
        evidence_of("plain", folder, kill=True)[0],
        plans=(), steps=(), records=(), observations={}, captures=(), pairs=(), identities=(), gateway_views=(), logs={},
    )  # fmt: skip
    told = tell(evidence, {}, run_folder=tmp_path, scenario_folder=folder, redactor=Redactor())
    assert told.headline.tone is Tone.UNTRUSTED
    check(written((told,)))


def test_attributes_and_children_are_escaped() -> None:
    assert tag("a", "<&>", href='"<') == '<a href="&quot;&lt;">&lt;&amp;&gt;</a>'
    assert tag("input", disabled=True, class_=None, data_x=False) == "<input disabled>"


def test_one_reason_for_many_cases_and_scenarios_is_given_once() -> None:
    why = "lab: boot of guest gateway: kernel panic"
    done = [CaseResult(Case(f"B-{n}", f"x::{n}", variant="plain"), CaseOutcome.INCONCLUSIVE, why) for n in range(40)]
    head = Headline(Tone.UNTRUSTED, why)
    told = tuple(Story(f"s{n}", "linux", "plain", float(n), head, ()) for n in range(3))
    parser = check(written(told, *done))
    assert parser.texts.count(why) == 2  # the answer, and the first case
    assert parser.texts.count("as B-0 [plain]") == 39
    assert "plain · s0, plain · s1, plain · s2" in parser.texts
