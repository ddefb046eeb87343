"""What tests of several rooms share, and the order in which files are given to the workers."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONG = (
    "field/test_routers_in_a_box.py",
    "test_leaves_nothing.py",
    "field/test_real_gateway_in_a_box.py",
    "test_cli.py",
    "devices/test_gateway_over_ssh.py",
    "faults/test_faults.py",
    "scenario/test_hardships.py",
    "field/test_own_gateway_in_a_box.py",
    "routers/test_qualification.py",
    "clients/test_real_gateway.py",
    "field/test_router_in_a_box.py",
    "test_plugin.py",
    "lab/test_real_clients.py",
    "report/test_pytest_sink.py",
    "test_unprivileged.py",
    "lab/test_commands.py",
    "scenario/test_a_real_client.py",
    "lab/test_cannot_come_up.py",
    "prove/test_commands.py",
    "wire/l2tp/test_real_gateway.py",
    "field/test_bad_input_in_a_box.py",
    "lab/test_endings.py",
    "lab/providers/test_eve_ng.py",
    "field/test_planted_in_software.py",
    "devices/test_ios_lock.py",
    "lab/test_pppoe_by_pppd.py",
    "scenario/test_storm_ends.py",
    "lab/providers/test_gns3_live.py",
)
"""Files that take half a minute and more, the longest first: a worker that gets one of them last is waited for by all."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """LONG, and after it the files with many tests before those with few. Within a file nothing is moved."""
    gone = [name for name in LONG if not (HERE / name).is_file()]
    if gone:
        raise pytest.UsageError(f"{Path(__file__).name}: LONG names {', '.join(gone)}, which is not there: take it out")
    turn = {HERE / name: number for number, name in enumerate(LONG)}
    many = Counter(item.path for item in items)
    items.sort(key=lambda item: (turn.get(item.path, len(LONG)), -many[item.path], item.path))


@pytest.fixture(scope="session")
def machine_for_runs() -> None:
    """Skips, with the reason, what a machine cannot run where `natstorm doctor` finds something missing."""
    from harness.lab import doctor

    missing = [finding.name for finding in doctor.examine() if finding.needed and not finding.ok]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)} (natstorm doctor names the cure)")


@pytest.fixture(scope="session")
def ready_machine(machine_for_runs: None) -> None:
    """As above, and there is root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it strikes every process of a run")
