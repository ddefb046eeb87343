"""A real Linux client (strongSwan, xl2tpd, pppd in a guest) on our own virtual gateway, beside a simulated one.

It is judged by the checks that judge the simulated ones, and tshark reads its captures with the keys that it gave away itself.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from harness.model import Evidence, Outcome, RecordKind, Side, Stage
from harness.probes.keyring import read_keys
from harness.probes.tshark import judge, phase1_retransmissions
from harness.verdict.checks import CHECKS

ROOT = Path(__file__).parents[2]
PLAY = [sys.executable, str(ROOT / "tests/scenario/play_real_client.py")]
SIMULATED, REAL = "c1", "c2"
pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("ready_machine")]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    done = subprocess.run([*PLAY, str(folder)], capture_output=True, text=True, timeout=600, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def load(folder: Path, name: str) -> Evidence:
    evidence = pickle.loads((folder / name / "evidence.pickle").read_bytes())
    assert isinstance(evidence, Evidence)
    return evidence


@pytest.fixture(scope="session")
def beside(folder: Path) -> Evidence:
    return load(folder, "beside")


@pytest.fixture(scope="session")
def newcomer(folder: Path) -> Evidence:
    return load(folder, "newcomer")


@pytest.mark.parametrize("name", ["beside", "newcomer"])
def test_the_run_is_to_be_trusted(folder: Path, name: str) -> None:
    evidence = load(folder, name)
    assert evidence.trouble == evidence.exposures == ()
    assert [r for r in evidence.records if r.kind in (RecordKind.IMPAIRED, RecordKind.FAILED, RecordKind.REKEY_FAILED)] == []


@pytest.mark.parametrize("row", ["DMX-07", "DMX-16", "DMX-19", "DMX-22", "DMX-23", "DMX-24", "DMX-25", "NTT-27", "NTT-28"])
def test_a_real_client_lives_beside_a_simulated_one(beside: Evidence, row: str) -> None:
    verdict = CHECKS[row](beside)
    assert verdict.outcome is Outcome.PASS, verdict.because


@pytest.mark.parametrize("row", ["NTT-22", "NTT-23", "NTT-24", "NTT-25"])
def test_the_real_client_says_what_the_wire_and_the_gateway_say(beside: Evidence, row: str) -> None:
    verdict = CHECKS[row](beside)
    assert verdict.outcome is Outcome.PASS, verdict.because


def test_every_rekey_that_either_end_begins_is_carried_out(beside: Evidence) -> None:
    rekeys = [step for step in beside.steps if step.name.startswith("rekey-")]
    assert [(s.name, s.detail["by"], s.detail["carried_out"]) for s in rekeys] == [
        (f"{what}:{REAL}", by, True) for by in ("client", "gateway") for what in ("rekey-ike", "rekey-ipsec")
    ]
    initiators = {o.ike["icookie"]: o.src for o in beside.observations[Side.INSIDE] if o.ike and o.ike["message"] == "MM1"}
    own = [initiators[str(r.data["icookie"])] for r in beside.records_of(REAL) if r.kind is RecordKind.IKE_UP]
    inside = beside.identity(REAL).inside
    assert own == [inside, inside, beside.gateway_address, inside]


def test_it_leaves_and_comes_back_with_a_new_port(beside: Evidence) -> None:
    events = beside.gateway_events
    assert [e.detail["port"] for e in events if e.kind == "port-given"] == [1024, 1025, 1026]
    assert [e.detail["port"] for e in events if e.kind == "port-freed"] == [1025]
    assert [r.data["by"] for r in beside.records_of(REAL) if r.kind is RecordKind.ENDED] == ["client", "run"]
    stages = [r.data["stage"] for r in beside.records_of(REAL) if r.kind is RecordKind.STAGE]
    assert stages == 2 * [stage.value for stage in Stage]


@pytest.mark.parametrize("name", ["beside", "newcomer"])
def test_tshark_opens_all_of_it_with_the_clients_keys(folder: Path, name: str) -> None:
    evidence, keys = load(folder, name), read_keys(folder / name / "keys.jsonl")
    assert {key.client for key in keys.ike.values()} == {SIMULATED, REAL}
    for side in (Side.INSIDE, Side.OUTSIDE):
        frames = evidence.observations[side]
        judgement = judge(folder / name / f"{side.value}.pcap", keys, phase1_retransmissions(frames))
        assert judgement.esp_not_decrypted == judgement.ike_not_decrypted == judgement.malformed == ()
        assert judgement.frames == len(frames)


def test_without_demultiplexing_the_real_newcomer_evicts_the_simulated_client(newcomer: Evidence) -> None:
    verdict = CHECKS["DMX-01"](newcomer)
    assert verdict.outcome is Outcome.PASS, verdict.because
    assert verdict.because.startswith(f"{REAL} killed {SIMULATED}")
    assert CHECKS["DMX-07"](newcomer).outcome is Outcome.FAIL
    assert CHECKS["NTT-21"](newcomer).because.startswith("to blame: the gateway")
