"""What is asked of a killed run: a journal wherever it had begun on the devices, and the locks that it held."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
from box_runs import gives_all_back, must_be_journalled


@pytest.mark.parametrize(
    ("doing", "wanted"),
    [
        ("  … plain · pair: lend nic0 to the clients", True),
        ("  … plain · pair: connect:c2", True),
        ("  … plain · pair: have the NAT translate", True),
        ("  … plain · pair: look at the clients' interface", False),
        ("  … plain · pair: lock the devices", False),
        ("  … plain · pair: stop the gateway", False),
        ("collected 40 items", False),
        ("", False),
    ],
)
def test_the_moments_that_must_have_a_journal(doing, wanted):
    assert must_be_journalled(doing) is wanted


def killed(**changes):
    nic = {"nic": "as it was"}
    locks = {"here": ["a.json", "b.json"], "there": ["10.99.0.2", "10.99.0.3"]}
    seen = {
        "reached": True,
        "told": "",
        "doing": "  … plain · pair: connect:c2",
        "before": nic,
        "after_kill": nic | {"journals": ["x.jsonl"], "locks": locks},
        "restore": [0, "the lock on nat was taken over from them: process 7 is gone"],
        "restored": nic,
        "restored_locks": {"here": [], "there": []},
        "lockable": ["10.99.0.2", "10.99.0.3"],
        "in_killed_files": [],
        "looks": 99,
        "in_process_list": [],
        "in_files": [],
        "in_words": False,
    }
    return seen | changes


def test_a_run_that_gave_all_back_is_taken():
    gives_all_back(killed())


@pytest.mark.parametrize(
    "wrong",
    [
        {"after_kill": {"nic": "as it was", "journals": [], "locks": {"here": ["a", "b"], "there": ["10.99.0.2", "10.99.0.3"]}}},
        {"after_kill": {"nic": "as it was", "journals": ["x"], "locks": {"here": [], "there": ["10.99.0.2", "10.99.0.3"]}}},
        {"after_kill": {"nic": "as it was", "journals": ["x"], "locks": {"here": ["a", "b"], "there": []}}},
        {"after_kill": {"nic": "gone", "journals": ["x"], "locks": {"here": ["a", "b"], "there": ["10.99.0.2", "10.99.0.3"]}}},
        {"restored": {"nic": "as it was", "10.99.0.2": "/tmp/natstorm-run.1"}},
        {"restored_locks": {"here": ["a.json"], "there": []}},
        {"restored_locks": {"here": ["10.99.0.3-a.json"], "there": []}},
        {"restore": [0, "undone"]},
        {"in_killed_files": ["reports/x/records.jsonl"]},
        {"in_files": ["reports/x/gateway/running-config.log"]},
        {"in_process_list": ["natstorm"]},
        {"in_words": True},
    ],
)
def test_one_that_did_not_is_not(wrong):
    with pytest.raises(AssertionError):
        gives_all_back(killed(**wrong))
