"""What a testbed with a router cannot show, and what it can: a check is put, or left out with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.testbed import check
from harness.verdict.checks import CHECKS
from harness.verdict.obtainable import OF_NO_ROUTER, wanting
from harness.verdict.trust import Need

TESTBEDS = Path(__file__).resolve().parents[2] / "testbeds"


@pytest.fixture
def router(tmp_path, monkeypatch):
    for name in ("id", "known_hosts"):
        (tmp_path / name).write_text("")
    monkeypatch.setenv("NATSTORM_BOX", str(tmp_path))
    return check(TESTBEDS / "bench-in-a-box-ios.yaml")


def left_out(testbed):
    return {name: why for name, one in CHECKS.items() if (why := wanting(testbed, one.needs))}


@pytest.mark.parametrize("need", Need)
def test_a_router_with_a_host_behind_it_lacks_three_things(router, need):
    assert wanting(router, [Need.INSIDE, need]) == OF_NO_ROUTER.get(need, "")
    assert len(OF_NO_ROUTER) == 3


def test_without_a_host_nothing_captures_the_far_end(router):
    alone = replace(router, gateway=replace(router.gateway, end_host=None, end_host_connection=None))
    assert "no host behind the router" in wanting(alone, [Need.FAR_END])
    unreached = replace(router, gateway=replace(router.gateway, end_host_connection=None))
    assert "no host behind the router" in wanting(unreached, [Need.FAR_END])
    assert wanting(alone, [Need.INSIDE, Need.OUTSIDE]) == ""
    with_it, without = left_out(router), left_out(alone)
    assert with_it.keys() < without.keys()
    assert {"DMX-07", "DMX-25"} & (without.keys() - with_it.keys())


def test_most_of_what_is_asked_of_a_router_can_be_had(router):
    """Survival, who killed whom, and how a session ends; not what only a capture inside the gateway shows."""
    missing = left_out(router)
    assert not {"DMX-01", "DMX-04", "DMX-07", "DMX-09", "DMX-40", "DMX-43", "DMX-44", "DMX-45", "NTT-28"} & missing.keys()
    assert {"DMX-12", "DMX-17", "DMX-24", "NTT-22"} <= missing.keys()


@pytest.mark.parametrize("name", ["virtual", "virtual-ios", "linux", "bench-in-a-box", "bench-in-a-box-linux"])
def test_other_gateways_lack_nothing_by_nature(router, name):
    assert left_out(check(TESTBEDS / f"{name}.yaml")) == {}
