"""What the plugin makes of the command line: cases, selections, and mistakes in a sentence."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def collect(*words: str, status: int = 0) -> tuple[set[str], str]:
    """The cases that pytest would run, as "test[cast]", and all that it said."""
    command = [sys.executable, "-m", "pytest", "suites", "--collect-only", "-q", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return set(re.findall(r"::(\S+\[\S+\])", done.stdout)), done.stdout + done.stderr


LINUX = ("--testbed", "testbeds/linux.yaml")


def casts(cases: set[str]) -> set[str]:
    return {case.partition("[")[2].rstrip("]") for case in cases}


def test_an_ordinary_qualification_plays_the_fault_and_the_cure() -> None:
    cases, _ = collect(*LINUX)
    assert casts(cases) == {
        "plain-kernel-pair-2",
        "plain-user-order-3",
        "demux-kernel-pair-2",
        "demux-kernel-together-6",
        "demux-kernel-endings-5",
        "demux-kernel-alone-1",
    }


def test_cases_of_one_scenario_stand_together() -> None:
    _, said = collect()
    order = [match[1] for match in re.finditer(r"\[(\S+)\]$", said, re.MULTILINE)]
    changes = sum(a != b for a, b in pairwise(order))
    assert changes == len(set(order)) - 1


def test_all_variants_take_all_that_a_test_can_run_on() -> None:
    cases, _ = collect(*LINUX, "--all-variants", "--behaviour", "DMX-01")
    assert casts(cases) == {"plain-kernel-pair-2", "plain-user-pair-2", "plain-user-order-3"}
    cases, _ = collect(*LINUX, "--all-variants", "--behaviour", "NTT-03")
    assert casts(cases) == {f"{ipsec}-{l2tp}-pair-2" for ipsec in ("plain", "connmark", "demux") for l2tp in ("kernel", "user")}


def test_what_types_lines_is_for_gateways_with_a_command_line() -> None:
    cases, _ = collect("--all-variants", "--behaviour", "DMX-50", "--behaviour", "DMX-10")
    assert cases
    assert not [case for case in cases if "static-map" in case]
    cases, _ = collect("--testbed", "testbeds/virtual-ios.yaml", "--behaviour", "DMX-50")
    assert casts(cases) == {"demux-static-map-2-virtual"}


def test_one_variant_alone_plays_everything_that_it_can() -> None:
    cases, _ = collect(*LINUX, "--variant", "demux-user")
    usual = {f"demux-user-{rest}" for rest in ("pair-2", "order-3", "together-6", "endings-5", "alone-1")}
    assert casts(cases) == usual | {"demux-user-real-alone-1", "demux-user-real-beside-3"}


def test_a_client_in_a_guest_is_for_who_wants_guests() -> None:
    without, _ = collect()
    assert not {name for name in casts(without) if "real" in name}
    with_guests, _ = collect("--guests")
    assert casts(with_guests) == casts(without) | {"demux-real-alone-1", "demux-real-beside-3"}
    simulated, _ = collect("--guests", "--time", "virtual")
    assert not {name for name in casts(simulated) if "real" in name}


def test_virtual_time_plays_everything_that_the_gateway_of_our_own_is_asked() -> None:
    wall, _ = collect()
    virtual, _ = collect("--time", "virtual")
    assert {name.removesuffix("-virtual") for name in casts(virtual)} == {name.removesuffix("-virtual") for name in casts(wall)}
    assert all(name.endswith("-virtual") for name in casts(virtual))
    assert {"demux-pair-2", "demux-together-6", "demux-storm-25", "plain-pair-2"} <= casts(wall)


def test_the_number_of_clients_is_for_scenarios_that_take_any() -> None:
    cases, _ = collect(*LINUX, "--clients", "9", "--variant", "demux-kernel", "--behaviour", "DMX-12")
    assert casts(cases) == {"demux-kernel-pair-2", "demux-kernel-together-9"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([*LINUX, "--variant", "demux"], "has no gateway variant demux"),
        (["--clients", "1"], "it takes 2 at least"),
        ([*LINUX, "--clients", "101"], "has prefix, users and addresses for 100"),
        ([*LINUX, "--time", "virtual"], "a machine with a clock of its own"),
        (["--fault", "sa-cached"], "--fault sa-cached --time virtual"),
        (["--fault", "nonsense"], "there is no fault 'nonsense'"),
        (["--fault", "sa-cache"], "did you mean sa-cached"),
        (["--behaviour", "DMX-99"], "the catalogue has no behaviour DMX-99"),
        (["--testbed", "testbeds/nowhere.yaml"], "testbeds/nowhere.yaml"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(words: list[str], sentence: str) -> None:
    _, said = collect(*words, status=pytest.ExitCode.USAGE_ERROR)
    assert sentence in said
    assert "Traceback" not in said


HARDWARE = ("--testbed", "testbeds/hardware.yaml")


@pytest.fixture
def hardware_s_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PSK", "PPP_PASSWORD", "LAB_PASSWORD", "ENABLE"):
        monkeypatch.setenv(f"NATSTORM_{name}", "x")


@pytest.mark.usefixtures("hardware_s_variables")
def test_cases_are_collected_for_a_router_that_is_there() -> None:
    cases, said = collect(*HARDWARE)
    assert "Traceback" not in said
    assert not any("virtual" in case or "12.4" in case for case in cases)
    demux = {"pair-2", "order-3", "together-6", "endings-5", "alone-1", "return-3", "demux-removed-4"}
    assert casts(cases) == {f"demux-{one}" for one in demux} | {"plain-pair-2", "plain-order-3"}
    in_wall, _ = collect(*HARDWARE, "--time", "wall")
    assert in_wall == cases


@pytest.mark.usefixtures("hardware_s_variables")
def test_scripts_are_collected_for_routers_that_are_there_and_nothing_that_needs_a_gateway() -> None:
    file = ("--testbed", "testbeds/hardware-lac-lns.yaml")
    cases, said = collect(*file)
    assert "Traceback" not in said
    assert casts(cases)
    assert all(one.startswith(("routers-l2tp-", "routers-null-l2tp-")) for one in casts(cases))
    virtual, _ = collect("--testbed", "testbeds/virtual-ios.yaml", "-k", "l2tp_security and l2tp-")
    assert {one.partition("[")[0] for one in cases} == {one.partition("[")[0] for one in virtual}
    for words in (["--time", "virtual"], ["--release", "12.4(1)"], ["--variant", "demux"], ["--clients", "3"]):
        _, said = collect(*file, *words, status=pytest.ExitCode.USAGE_ERROR)
        assert "cure" in said
        assert "Traceback" not in said


def test_every_test_of_the_suites_names_a_row_that_has_a_check() -> None:
    """A suite's test without a check, or a check that no test uses, would be an untested promise."""
    from harness.catalogue import SUITES, load_catalogue
    from harness.verdict.checks import CHECKS, NOTED
    from harness.verdict.routers import table

    rows = load_catalogue(SUITES / "behaviours")
    texts = [path.read_text() for path in SUITES.rglob("test_*.py")]
    named = {match[1] for text in texts for match in re.finditer(r'mark\.behaviour\("([A-Z0-9-]+)"\)', text)}
    assert named == set(CHECKS) | set(NOTED) | set(table.CHECKS) | set(table.NOTED)
    assert named <= set(rows)


TIMES_OF = """
import sys, pytest
from harness.plugin import _cast

class Tell:
    def pytest_collection_finish(self, session):
        for item in session.items:
            if _cast(item) is not None:
                print("plays:", item.get_closest_marker("behaviour").args[0], _cast(item).time)

sys.exit(pytest.main(["suites", "--collect-only", "-q", "--guests", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Tell()]))
"""


def times_of(*words: str) -> set[tuple[str, str]]:
    """Each behaviour with a time in which an ordinary qualification plays it."""
    command = [sys.executable, "-c", TIMES_OF, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"^plays: (\S+) (\S+)$", done.stdout, re.MULTILINE))


def test_the_catalogue_says_in_whose_time_a_behaviour_is_played() -> None:
    """A row of virtual time is played in it on the virtual testbed, a row of the wall's time at least once in that."""
    from harness.catalogue import SUITES, load_catalogue

    rows = load_catalogue(SUITES / "behaviours")
    virtual, linux = times_of(), times_of(*LINUX)
    played = {row for row, _ in virtual | linux}
    assert len(played) > 50
    in_virtual = {row for row, time in virtual if time == "virtual"}
    in_wall = {row for row, time in virtual | linux if time == "wall"}
    wrong = {row for row in played if row not in (in_virtual if rows[row].time == "virtual" else in_wall)}
    assert wrong == set()
