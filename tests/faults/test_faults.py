"""Every fault: it says what it breaks. Those of gateway, NAT and client: they do not break what they are not to break, show, and
leave nothing behind. Those of routers have a test each in test_router_*.py."""

from __future__ import annotations

import shutil
import time
from functools import cache
from pathlib import Path

import pytest
from fault_rehearsal import ROOT, TESTBED, digest, rehearse

from harness.errors import UsageError
from harness.faults import FAULTS, named
from harness.faults.fault import BOXES, ROUTERS, in_gateway
from harness.model import RecordKind
from harness.model.steps import StepBus
from harness.nat.helpers import SingleClient, SpiGuess
from harness.nat.parts import build
from harness.nat.personality import load
from harness.routers.script import GatewayStart
from harness.scenario.bench import Gathered
from harness.scenario.breaking import makers
from harness.scenario.runner import Runner
from harness.scenario.scripts import script
from harness.scenario.simulated_network import Makers, settings_of
from harness.testbed.load import check
from harness.virtual.parts import Parts

IOS_TESTBED = check(ROOT / "testbeds" / "virtual-ios.yaml")
EVERYWHERE = [("pair", "demux"), ("order", "plain")]

SHOWS_IN = {
    "return": ("delete-hits-newest", "port-not-freed", "port-freed-in-use", "user-once"),
    "rekey": (
        *("sa-oldest", "sa-cached", "rekey-refused", "no-overlap", "esp-half-life", "esp-ends-with-ike", "port-per-sa"),
        *("ike-forgotten", "port-per-ike-sa"),
        *("client-renews-on-500", "client-never-renews", "client-no-overlap", "client-esp-ends-with-ike"),
    ),
    "churn": ("client-dies-of-rekey",),
    "endings": ("client-deaf-to-deletes", "client-deaf-to-goodbyes"),
    "alone": ("gateway-keepalives", "idle-hasty", "client-no-keepalive", "client-keepalive-from-500", "nat-swallows-keepalives"),
    "idle": (
        *("silence-unnoticed", "nat-timer-5", "nat-not-refreshed", "nat-ends-together"),
        "client-deaf-to-echoes",
    ),
    "two-nats": ("client-by-identity",),
    "no-nat": ("udp-without-nat",),
    "demux-removed": ("configuration-deaf",),
    "no-natt": ("nat-d-regardless",),
    "windows-98": ("client-dials-without-l2tp",),
    "together": ("half-open-one",),
    "checksum": ("checksum-ignored", "checksum-zero-wrong"),
    "port-space": ("port-last-left-out", "port-past-the-end"),
    "floating-port": ("port-always-1701",),
    "windows-2000-unpatched": ("nat-guesses-esp",),
}
"""A scenario (with demultiplexing) in which those faults show that do not show in "pair"."""

SCENARIO = {fault: scenario for scenario, faults in SHOWS_IN.items() for fault in faults}


VARIANT = {"demux-regardless": "plain"}
"""The gateway on which a fault shows that does not with demultiplexing."""


PLAYED = [name for name, fault in FAULTS.items() if fault.box in BOXES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@cache
def outcome(fault: str | None, scenario: str, variant: str, folder: Path) -> tuple[Gathered, str]:
    """What a play left behind, and the digest of its captures; played once."""
    where = folder / f"{fault}-{scenario}-{variant}"
    gathered = rehearse(fault, scenario, variant, where)
    found = digest(where)
    shutil.rmtree(where)
    return gathered, found


@pytest.fixture(scope="module", autouse=True)
def at_first(folder: Path) -> None:
    """A play in which nothing has been broken yet."""
    outcome(None, "pair", "demux", folder)


def test_there_are_enough_in_every_box() -> None:
    boxes = [fault.box for fault in FAULTS.values()]
    assert len(PLAYED) >= 64
    assert len(boxes) - len(PLAYED) >= 40
    assert all(boxes.count(box) >= least for box, least in zip(ROUTERS, (25, 12, 8), strict=True))
    assert all(boxes.count(box) >= least for box, least in zip(BOXES, (30, 18, 18), strict=True))
    assert set(SCENARIO) <= set(FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_it_says_what_it_breaks_and_breaks_one_box(name: str) -> None:
    fault = FAULTS[name]
    assert fault.name == name
    assert fault.breaks.endswith(".")
    assert fault.breaks[0].isupper()
    given = {"gateway": fault.gateway, "nat": fault.nat, "client": fault.client}
    given |= {"router": fault.router, "ios-nat": fault.ios_nat, "endpoint": fault.endpoint}
    assert [box for box, function in given.items() if function is not None] == [fault.box]


def test_no_two_break_the_same() -> None:
    told = [(fault.box, fault.breaks) for fault in FAULTS.values()]
    assert len(told) == len(set(told))


@pytest.mark.parametrize("name", PLAYED)
def test_scenarios_come_to_their_end(name: str, folder: Path) -> None:
    for scenario, variant in EVERYWHERE:
        gathered, _ = outcome(name, scenario, variant, folder)
        assert gathered.trouble == []
        assert [record for record in gathered.records if record.kind is RecordKind.IMPAIRED] == []
        assert gathered.views[-1].label == "end"


@pytest.mark.parametrize("name", PLAYED)
def test_it_takes_effect(name: str, folder: Path) -> None:
    scenario, variant = SCENARIO.get(name, "pair"), VARIANT.get(name, "demux")
    assert outcome(name, scenario, variant, folder)[1] != outcome(None, scenario, variant, folder)[1]


def test_the_next_run_is_clean(folder: Path, tmp_path: Path) -> None:
    """After all of the above: each has been switched on in this process and off again."""
    rehearse(None, "pair", "demux", tmp_path)
    assert digest(tmp_path) == outcome(None, "pair", "demux", folder)[1]


def test_faults_are_known_by_name() -> None:
    assert named("port-from-1025") is FAULTS["port-from-1025"]
    with pytest.raises(UsageError, match="port-from-1025"):
        named("port-from-1026")


def test_a_part_that_the_gateway_does_not_have_cannot_be_broken() -> None:
    fault = in_gateway("made-up", "Made up.", no_such_part=object)
    assert fault.gateway is not None
    with pytest.raises(AttributeError):
        fault.gateway(Parts())


def test_every_fault_of_a_router_has_a_test_of_its_own() -> None:
    told = "".join(file.read_text() for file in Path(__file__).parent.glob("test_router_*.py"))
    assert [name for name in FAULTS if name not in PLAYED and f'"{name}"' not in told] == []


@pytest.mark.parametrize("fault", [None, "demux-static-only"])
def test_a_simulated_bench_makes_the_router_that_is_broken(fault: str | None) -> None:
    """The one that stands for a testbed's gateway."""
    made = Makers() if fault is None else makers(FAULTS[fault])
    router = made.router(settings_of(IOS_TESTBED, "demux", script("pair")), lambda length: bytes(length), GatewayStart())
    assert router.settings.personality.demux is (fault is None)


def test_a_runner_breaks_what_it_is_told_to(tmp_path: Path) -> None:
    bus = StepBus(time.time)
    with pytest.raises(UsageError, match="no-such-fault"):
        Runner(TESTBED, tmp_path, bus, fault="no-such-fault")
    with Runner(TESTBED, tmp_path, bus, fault="port-from-1025") as runner:
        (tmp_path / "alone").mkdir()
        gathered = runner.rehearse(script("alone"), "demux", folder=tmp_path / "alone", time="virtual")
    assert [event.detail["port"] for event in gathered.gateway_events if event.kind == "port-given"] == [1025]


def test_a_nat_that_does_something_for_esp_goes_on_doing_that() -> None:
    """What is broken is one that knows nothing but ports."""
    broken = FAULTS["nat-guesses-esp"].nat
    assert broken is not None
    for name, kind in (("ports-only", SpiGuess), ("single-client", SingleClient)):
        parts = build(load(name), lambda length: bytes(length))
        broken(parts)
        assert parts.translator is not None
        assert type(parts.translator.portless) is kind


def test_a_step_meets_its_own_client_though_all_have_chosen_one_spi(tmp_path: Path) -> None:
    gathered = rehearse("client-counts-spis", "endings", "demux", tmp_path)
    step = next(s for s in gathered.steps if s.name == "delete-ipsec:c1")
    ended = {r.client for r in gathered.records if r.kind is RecordKind.ENDED and step.began <= r.t <= step.ended}
    assert ended == {"c1"}
    assert {r.data["spi_in"] for r in gathered.records if r.kind is RecordKind.ESP_UP} == {"00000100"}
