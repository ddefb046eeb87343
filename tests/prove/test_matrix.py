"""Predictions against results, blame, and what a proof lacks: on made-up runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.prove import matrix
from harness.prove.account import CLEAN_RUNS, LEAST_FAULTS, LEAST_MUTANTS, Mutants, account, show
from harness.prove.ledger import CLEAN, GATEWAY, PASSED_OVER, Ledger, Played, fingerprint
from harness.prove.matrix import DOUBTFUL, GREEN, NOBODY, RED, Prediction
from harness.prove.play import ROOT
from harness.prove.predictions import EXPLANATIONS, explanations, predictions, unbroken
from harness.prove.worlds import ROUTERS, SCRIPTS_ONLY, WORLDS, run_of, world_of, worlds_of


@dataclass(frozen=True)
class Fault:
    name: str
    box: str
    breaks: str = "a mechanism"


WRONG_SA = Fault("wrong-sa", "gateway")
CASES = {"DMX-07 [demux-pair]": "passed", "DMX-25 [demux-pair]": "passed", "DMX-01 [plain-pair]": "passed"}
PREDICTED = {"wrong-sa": Prediction("wrong-sa", frozenset({"DMX-07"}))}


KEYS = ["version", "faults", "killed", "unnoticed", "mispredicted", "clean_runs", "false_alarms", "mutants", "mutants_survived"]
KEYS += ["worlds", "blame", "gaps"]
"""Of the JSON, as docs/proof.md has them."""

BLAMED = {"demux-pair": ("gateway",)}


def played(
    fault: str = CLEAN, blamed: dict[str, tuple[str, ...]] | None = None, seed: int = 1, world: str = GATEWAY, **changed: str
) -> Played:
    """All cases passed but for `changed`: DMX_07="failed"."""
    outcomes = {case: changed.get(case.partition(" ")[0].replace("-", "_"), outcome) for case, outcome in CASES.items()}
    return Played(fault, seed, "code", outcomes, blamed or {}, 1.0, world=world)


def ledger(tmp_path: Path, *runs: Played) -> Ledger:
    found = Ledger(tmp_path / "ledger.jsonl", "code")
    for one in runs:
        found.add(one)
    return found


UNREDDENED = ("DMX-01: no fault turns it red", "DMX-25: no fault turns it red")

CLEAN_ONES = tuple(played(seed=seed, blamed={"plain-pair": ("gateway",)}) for seed in range(CLEAN_RUNS))
CLEAN_ROUTERS = tuple(played(seed=seed, world=ROUTERS) for seed in range(CLEAN_RUNS))
NOTICED = played("wrong-sa", DMX_07="failed", blamed={"demux-pair": ("gateway",), "plain-pair": ("gateway",)})


def test_an_explanation_of_what_came_out_as_predicted_is_a_gap(tmp_path: Path) -> None:
    for row, stale in (("DMX-07", True), ("DMX-25", False)):
        explained = {("wrong-sa", row): "it had to be", ("unplayed", "DMX-07"): "nobody knows yet"}
        broken = played("wrong-sa", DMX_07="failed", DMX_25="failed")
        told = account([WRONG_SA], ledger(tmp_path / row, broken), PREDICTED, explained, Mutants(), whole=False)
        assert (f"wrong-sa: {row} came out as predicted, and is explained: take it out" in told.gaps) is stale


def test_a_proof_that_holds(tmp_path: Path) -> None:
    told = account([WRONG_SA], ledger(tmp_path, *CLEAN_ONES, NOTICED), PREDICTED, {}, Mutants(LEAST_MUTANTS, {}))
    least = LEAST_FAULTS[GATEWAY], LEAST_FAULTS[ROUTERS]
    assert told.gaps == (
        *UNREDDENED,
        f"1 faults, {least[0]} are needed",
        f"0 clean runs of routers of {CLEAN_RUNS}",
        f"0 faults of routers, {least[1]} are needed",
    )
    many = [Fault(f"wrong-sa-{number}", "gateway") for number in range(least[0])]
    many += [Fault(f"wrong-router-{number}", "router") for number in range(least[1])]
    guesses = {fault.name: Prediction(fault.name, frozenset({"DMX-07"})) for fault in many}
    runs = (replace(NOTICED, fault=fault.name, world=world_of(fault.box)) for fault in many)
    spared = {"DMX-25": "nobody can", "DMX-01": "nobody can"}
    played = ledger(tmp_path / "many", *CLEAN_ONES, *CLEAN_ROUTERS, *runs)
    told = account(many, played, guesses, {}, Mutants(LEAST_MUTANTS, {}), unbroken=spared)
    assert told.gaps == ()
    assert told.to_dict()["blame"]["gateway"]["gateway"] == least[0]
    assert told.to_dict()["worlds"] == {
        world: {"faults": number, "killed": number, "clean_runs": CLEAN_RUNS} for world, number in LEAST_FAULTS.items()
    }
    assert list(told.to_dict()) == KEYS
    assert {key: told.to_dict()[key] for key in ("faults", "killed", "unnoticed", "mispredicted", "false_alarms")} == {
        "faults": sum(least), "killed": sum(least), "unnoticed": [], "mispredicted": [], "false_alarms": []
    }
    assert "the proof holds" in show(told, guesses)


WRONG_ROUTER = Fault("wrong-router", "endpoint")


def test_scripts_for_routers_blame_nobody_and_that_is_no_gap(tmp_path: Path) -> None:
    run = played("wrong-router", BLAMED, world=ROUTERS, DMX_07="failed")
    told = account([WRONG_SA, WRONG_ROUTER], ledger(tmp_path, *CLEAN_ONES, *CLEAN_ROUTERS, NOTICED, run), PREDICTED, {}, Mutants())
    assert told.blamed == {"wrong-sa": "gateway"}
    assert told.unnoticed == ()
    assert not [gap for gap in told.gaps if "blamed" in gap]
    assert sum(sum(row.values()) for row in told.table.values()) == 1
    shown = show(told, PREDICTED)
    assert "Faults of routers are not in it: scripts for routers name no box" in shown
    assert "wrong-router has no prediction" in told.gaps
    assert "Faults of routers" not in show(account([WRONG_SA], ledger(tmp_path / "one", NOTICED), PREDICTED, {}, Mutants()), {})


def test_clean_runs_count_for_their_own_world(tmp_path: Path) -> None:
    """A run of routers has other cases than one of gateways, and neither is short of the other's."""
    longer = tuple(replace(one, outcomes={**one.outcomes, "SEC-31 [12.4(1)-call]": "passed"}) for one in CLEAN_ROUTERS[1:])
    runs = ledger(tmp_path, *CLEAN_ONES[:3], CLEAN_ROUTERS[0], *longer, NOTICED)
    told = account([WRONG_SA, WRONG_ROUTER], runs, PREDICTED, {}, Mutants())
    assert f"3 clean runs of {CLEAN_RUNS}" in told.gaps
    assert [gap for gap in told.gaps if "a clean run asked" in gap] == ["seed 0: a clean run asked 3 of 4 cases"]
    alone = account([WRONG_SA], runs, PREDICTED, {}, Mutants())
    assert {one.world for one in alone.clean} == {GATEWAY}


def test_a_fault_is_played_in_the_world_of_its_box() -> None:
    from harness.faults import FAULTS

    assert worlds_of(fault.box for fault in FAULTS.values()) == WORLDS
    assert run_of(FAULTS["port-twice"]).world == GATEWAY
    assert run_of(FAULTS["port-twice"]).options == ()
    script, clients = run_of(FAULTS["keep-sa-always"]), run_of(FAULTS["no-demux-ignored"])
    assert (script.world, script.options, clients.world, clients.options) == (ROUTERS, SCRIPTS_ONLY, ROUTERS, ())
    assert script.testbed.name == "virtual-ios.yaml"
    assert script.testbed.is_file()


def test_the_ledger_tells_clean_runs_of_two_worlds_apart(tmp_path: Path) -> None:
    kept = ledger(tmp_path, CLEAN_ROUTERS[0])
    assert kept.of(CLEAN, 0) is None
    again = Ledger(tmp_path / "ledger.jsonl", "code")
    assert again.of(CLEAN, 0, ROUTERS) == CLEAN_ROUTERS[0]


def test_a_headline_that_leaves_open_who_survived_a_sound_lab_is_a_false_alarm(tmp_path: Path) -> None:
    first, *others = CLEAN_ONES
    open_ended = replace(first, undecided=("demux-pair",))
    told = account([WRONG_SA], ledger(tmp_path, open_ended, *others, NOTICED), PREDICTED, {}, Mutants())
    assert told.false_alarms == ((first.seed, "headline [demux-pair]", "inconclusive"),)
    read = Ledger(tmp_path / "ledger.jsonl", "code")
    assert read.clean[0].undecided == ("demux-pair",)


def test_a_behaviour_that_no_fault_turns_red_is_a_gap(tmp_path: Path) -> None:
    told = account([WRONG_SA], ledger(tmp_path, *CLEAN_ONES, NOTICED), PREDICTED, {}, Mutants(), unbroken={"DMX-01": "nobody can"})
    assert [gap for gap in told.gaps if "turns it red" in gap] == ["DMX-25: no fault turns it red"]
    both = replace(NOTICED, outcomes={**NOTICED.outcomes, "DMX-25 [demux-pair]": "failed"})
    told = account([WRONG_SA], ledger(tmp_path / "both", *CLEAN_ONES, both), PREDICTED, {}, Mutants(), unbroken={"DMX-01": ""})
    assert told.unreddened == ()
    # What is only recorded, or could not be judged by any fault's run, is another matter.
    doubtful = replace(NOTICED, outcomes={**NOTICED.outcomes, "DMX-25 [demux-pair]": "inconclusive"})
    told = account([WRONG_SA], ledger(tmp_path / "doubt", *CLEAN_ONES, doubtful), PREDICTED, {}, Mutants(), unbroken={"DMX-01": ""})
    assert told.unreddened == ("DMX-25",)


def test_some_faults_alone_are_no_proof(tmp_path: Path) -> None:
    told = account([WRONG_SA], ledger(tmp_path, *CLEAN_ONES, NOTICED), PREDICTED, {}, Mutants(), whole=False)
    assert told.gaps == ("some faults only: a proof takes them all",)


def test_a_scenario_that_blames_another_box_is_a_gap(tmp_path: Path) -> None:
    outcomes = {**NOTICED.outcomes, "DMX-07 [demux-order]": "failed", "DMX-07 [demux-storm]": "failed"}
    blamed = {**NOTICED.blamed, "demux-order": ("gateway",), "demux-storm": ("client",)}
    run = replace(NOTICED, outcomes=outcomes, blamed=blamed)
    told = account([WRONG_SA], ledger(tmp_path, *CLEAN_ONES, run), PREDICTED, {}, Mutants())
    assert told.misblamed == ()
    assert any("blamed on the client in demux-storm" in gap for gap in told.gaps)


def test_a_clean_run_that_asked_nothing_is_a_gap(tmp_path: Path) -> None:
    silent = replace(CLEAN_ONES[0], seed=99, outcomes={})
    told = account([WRONG_SA], ledger(tmp_path, *CLEAN_ONES, silent, NOTICED), PREDICTED, {}, Mutants())
    assert any("seed 99: a clean run asked 0 of 3 cases" in gap for gap in told.gaps)


@pytest.mark.parametrize(
    ("run", "gap"),
    [
        (played("wrong-sa"), "noticed by no test"),
        (played("wrong-sa", DMX_07="inconclusive"), "noticed by no test"),
        (played("wrong-sa", BLAMED, DMX_07="failed", DMX_25="failed"), "DMX-25 was to be green and was red"),
        (played("wrong-sa", BLAMED, DMX_25="failed"), "DMX-07 was to be red and was green"),
        (played("wrong-sa", DMX_07="failed", blamed={"demux-pair": ("nat",)}), "blamed on nat"),
        (played("wrong-sa", DMX_07="failed"), "blamed on nobody"),
        (played(seed=99, DMX_07="failed"), "though nothing was broken"),
        (played(seed=99, DMX_07="inconclusive"), "though nothing was broken"),
    ],
)
def test_every_gap_is_told(tmp_path: Path, run: Played, gap: str) -> None:
    runs = (run,) if run.fault else (NOTICED, run)
    told = account([WRONG_SA], ledger(tmp_path, *CLEAN_ONES, *runs), PREDICTED, {}, Mutants())
    assert any(gap in one for one in told.gaps), told.gaps


def test_other_gaps(tmp_path: Path) -> None:
    told = account([WRONG_SA], ledger(tmp_path), {}, {}, Mutants(10, {"a": "", "b": "why"}))
    text = " ".join(told.gaps)
    for gap in ("wrong-sa was not played", "has no prediction", f"0 clean runs of {CLEAN_RUNS}", "mutant a survived", "2 of 10"):
        assert gap in text
    assert "mutant b" not in text


def test_an_explained_misprediction_is_listed_and_no_gap(tmp_path: Path) -> None:
    run = played("wrong-sa", DMX_07="failed", DMX_25="failed", blamed={"demux-pair": ("gateway",)})
    told = account([WRONG_SA], ledger(tmp_path, *CLEAN_ONES, run), PREDICTED, {("wrong-sa", "DMX-25"): "as it must"}, Mutants())
    assert not any("DMX-25" in gap for gap in told.gaps)
    assert told.to_dict()["mispredicted"] == [
        {"fault": "wrong-sa", "behaviour": "DMX-25", "predicted": GREEN, "seen": RED, "why": "as it must"}
    ]


def test_the_worst_case_of_a_behaviour_decides() -> None:
    outcomes = {"A-01 [x]": "passed", "A-01 [y]": "failed", "A-02 [x]": "inconclusive", "A-02 [y]": "passed"}
    outcomes["A-03 [x]"] = "recorded"
    assert matrix.seen(outcomes) == {"A-01": RED, "A-02": DOUBTFUL}


def test_blame_of_a_known_bad_control_is_not_the_faults() -> None:
    clean = played(blamed={"plain-pair": ("gateway",)})
    both = played("f", DMX_07="failed", DMX_01="failed", blamed={"demux-pair": ("nat",), "plain-pair": ("gateway",)})
    assert matrix.blamed(both, clean) == "nat"
    only = played("f", DMX_01="failed", blamed={"plain-pair": ("gateway",)})
    assert matrix.blamed(only, clean) == "gateway"
    assert matrix.blamed(played("f"), clean) == NOBODY


def test_the_ledger_outlives_a_kill_and_forgets_other_code(tmp_path: Path) -> None:
    first = ledger(tmp_path, NOTICED)
    with first.path.open("a") as file:
        file.write('{"fault": "half a li')
    again = Ledger(first.path, "code")
    assert again.played == [NOTICED]
    more = replace(NOTICED, seed=2)
    again.add(more)
    assert Ledger(first.path, "code").played == [NOTICED, more]
    assert Ledger(first.path, "other code").played == []
    first.path.write_text("garbage\n" + first.path.read_text())
    with pytest.raises(UsageError, match=r"ledger\.jsonl:1"):
        Ledger(first.path, "code")


@pytest.mark.parametrize(
    ("file", "decides"),
    [
        ("harness/wire/ip.py", True),
        ("harness/report/judge.py", True),
        ("harness/report/blame.py", True),
        ("harness/report/outcome.py", True),
        ("harness/prove/play.py", True),
        ("harness/report/page.py", False),
        ("harness/prove/account.py", False),
        ("harness/prove/predictions/nat.yaml", False),
    ],
)
def test_the_fingerprint_is_of_what_decides(tmp_path: Path, file: str, decides: bool) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text("a")
    before = fingerprint(tmp_path)
    path.write_text("b")
    assert (fingerprint(tmp_path) != before) is decides


@pytest.mark.parametrize("name", PASSED_OVER)
def test_what_is_passed_over_is_there(name: str) -> None:
    assert (ROOT / name).exists() or ROOT / name == EXPLANATIONS  # which is there once there is something to explain


def test_predictions_are_read_strictly(tmp_path: Path) -> None:
    file = tmp_path / "predictions.yaml"
    row = "predictions:\n  - {fault: wrong-sa, red: [DMX-07], doubtful: [], why: it shows}\n"
    file.write_text(row)
    assert predictions(["wrong-sa"], ["DMX-07"], tmp_path)["wrong-sa"].red == {"DMX-07"}
    for wrong, said in ((row.replace("wrong-sa", "wrong-s"), "no fault"), (row.replace("DMX-07", "DMX-7"), "no behaviour")):
        file.write_text(wrong)
        with pytest.raises(UsageError, match=said):
            predictions(["wrong-sa"], ["DMX-07"], tmp_path)
    file.write_text(row + row.partition("\n")[2])
    with pytest.raises(UsageError, match="second time"):
        predictions(["wrong-sa"], ["DMX-07"], tmp_path)
    assert explanations([], [], tmp_path / "none.yaml") == {}
    file.write_text("unbroken:\n  - {behaviour: DMX-07, why: nobody can}\n")
    assert unbroken(["DMX-07"], file) == {"DMX-07": "nobody can"}
    with pytest.raises(UsageError, match="no behaviour"):
        unbroken(["DMX-08"], file)


def test_one_sentence_explains_several_behaviours_of_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "explanations.yaml"
    row = "explanations:\n  - {fault: wrong-sa, behaviours: [DMX-07, DMX-25], why: nobody came up}\n"
    file.write_text(row)
    assert explanations(["wrong-sa"], ["DMX-07", "DMX-25"], file) == {
        ("wrong-sa", "DMX-07"): "nobody came up", ("wrong-sa", "DMX-25"): "nobody came up",
    }  # fmt: skip
    for wrong, said in (
        (row.replace("wrong-sa", "wrong-s"), "no fault"),
        (row.replace("DMX-07", "DMX-7"), "no behaviour"),
        (row.replace("DMX-07", "DMX-25"), "second time"),
        (row.replace("[DMX-07, DMX-25]", "[]"), "at least one entry"),
    ):
        file.write_text(wrong)
        with pytest.raises(UsageError, match=said):
            explanations(["wrong-sa"], ["DMX-07", "DMX-25"], file)
