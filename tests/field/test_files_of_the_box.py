"""The bench in a box's testbeds say what those of the harness's own labs do, but for names, connections and the way there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

TESTBEDS = Path(__file__).resolve().parents[2] / "testbeds"
PAIRS = [("bench-in-a-box", "virtual"), ("bench-in-a-box-linux", "linux")]


def read(name):
    return yaml.safe_load((TESTBEDS / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("box", "own"), PAIRS)
def test_devices_are_told_the_same(box, own):
    devices, theirs = (read(name)["devices"] for name in (box, own))
    assert devices.keys() == theirs.keys()
    for name, device in devices.items():
        assert device.get("custom") == theirs[name].get("custom"), name
        assert device.keys() == theirs[name].keys()
        assert (device["type"], device["os"]) == (theirs[name]["type"], theirs[name]["os"])
        assert theirs[name]["connections"] == {}
        assert bool(device["connections"]) is (name != "clients")


@pytest.mark.parametrize(("box", "own"), PAIRS)
def test_they_are_wired_the_same_but_for_the_card_that_is_lent(box, own):
    wiring, theirs = (read(name)["topology"] for name in (box, own))
    (card,) = theirs["clients"]["interfaces"].values()
    assert list(wiring["clients"]["interfaces"].values()) == [card]
    assert {name: wired for name, wired in wiring.items() if name != "clients"} == {
        name: wired for name, wired in theirs.items() if name != "clients"
    }


@pytest.mark.parametrize(("box", "own"), PAIRS)
def test_only_the_way_there_is_new_in_the_lab_as_a_whole(box, own):
    assert read(own)["testbed"] == {"name": own}
    there = read(box)["testbed"]
    assert there.keys() == {"name", "credentials", "custom"}
    assert there["custom"].keys() == {"known_hosts", "key_file", "allow"}
