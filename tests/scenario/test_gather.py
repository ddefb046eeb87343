"""Evidence of a field run: the clocks of its two captures are compared where two machines stamped them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model import CaptureFacts, FrameKind, GatewayView, Observation, Side
from harness.model.reach import CaptureSource, Connection
from harness.probes.clocks import in_words
from harness.probes.dissect import Dissection
from harness.scenario.bench import Gathered
from harness.scenario.gather import gather
from harness.testbed import check

TESTBEDS = Path(__file__).parents[2] / "testbeds"
NAT = Connection("nat", "10.99.0.2")
SPAN = CaptureSource("nic", "enp4s0")


def seen(later: float) -> Dissection:
    """Ten packets up and ten down, each a millisecond in the NAT; the outside's clock is `later`."""
    found = {Side.INSIDE: [], Side.OUTSIDE: []}
    for n in range(1, 21):
        up, t = n % 2 == 0, 1_700_000_000.0 + n
        for side, client, after in ((Side.INSIDE, "10.0.0.2", not up), (Side.OUTSIDE, "203.0.113.232", up)):
            ends = (client, "203.0.113.231") if up else ("203.0.113.231", client)
            stamp = t + 0.001 * after + (later if side is Side.OUTSIDE else 0.0)
            found[side].append(Observation(side, n, stamp, *ends, 4500, 4500, 64, FrameKind.ESP, 100, f"digest {n}"))
    dissection = Dissection()
    dissection.update({side: tuple(frames) for side, frames in found.items()})
    return dissection


class Dissector:
    def __init__(self, later):
        self.later = later
        self.clocks = []

    async def dissect_async(self, captures, *, clock, **_):
        self.clocks.append(clock)
        return seen(self.later)


def evidence(tmp_path, inside, outside, later):
    testbed = check(TESTBEDS / "virtual.yaml")
    testbed = replace(testbed, nat=replace(testbed.nat, connection=NAT, inside_capture=inside, outside_capture=outside))
    (tmp_path / "keys.jsonl").touch()
    facts = [CaptureFacts(side, str(tmp_path / side.value), "", 20, 0, True) for side in (Side.INSIDE, Side.OUTSIDE)]
    dissector = Dissector(later)
    plans = testbed.plans(1)
    found = asyncio.run(gather(Gathered((), captures=facts), dissector, testbed, "pair", "demux", plans, tmp_path))
    return found, dissector.clocks


def test_two_machines_that_are_apart_are_put_on_one_clock(tmp_path):
    found, asked = evidence(tmp_path, CaptureSource("tcpdump", "eth1", NAT), SPAN, 5.0)
    assert found.clock.corrected
    assert found.clock.offset_s == pytest.approx(5.0, abs=0.002)
    assert asked == [None, found.clock]  # read once more, in the order in which things happened
    apart = [o.t - i.t for i, o in zip(*(found.observations[side] for side in (Side.INSIDE, Side.OUTSIDE)), strict=True)]
    assert max(map(abs, apart)) < 0.01
    assert len(found.pairs) == 20
    assert in_words(found.clock).startswith("the outside's is +5.00")


def test_two_machines_that_agree_are_compared_and_left_as_they_are(tmp_path):
    found, asked = evidence(tmp_path, CaptureSource("tcpdump", "eth1", NAT), SPAN, 0.0)
    assert not found.clock.corrected
    assert (found.clock.up, found.clock.down) == (10, 10)
    assert asked == [None]
    assert found.observations[Side.OUTSIDE] == seen(0.0)[Side.OUTSIDE]


@pytest.mark.parametrize(("inside", "outside"), [
    (CaptureSource("tcpdump", "eth1", NAT), CaptureSource("tcpdump", "eth2", replace(NAT, username="other"))),
    (SPAN, CaptureSource("nic", "enp5s0")),
    (CaptureSource("gns3", "eth0", NAT), CaptureSource("gns3", "eth1", NAT)),
    (None, None),
])  # fmt: skip
def test_one_machine_has_one_clock(tmp_path, inside, outside):
    found, asked = evidence(tmp_path, inside, outside, 5.0)
    assert found.clock is None
    assert asked == [None]
    assert found.observations[Side.OUTSIDE] == seen(5.0)[Side.OUTSIDE]


def test_what_a_device_tells_of_its_secrets_is_written_and_kept_without_them(tmp_path):
    testbed = check(TESTBEDS / "virtual.yaml")
    told = "crypto isakmp key sharedsecret address 0.0.0.0\nusername user1 password pw1 and cHcx\nport 1701\n"
    view = GatewayView(5.0, "after:c1", texts={"show running-config": told}, ports={1: 1024})
    (tmp_path / "keys.jsonl").touch()
    gathered = Gathered((), views=[view], logs={"charon": told}, trouble=["it said: sharedsecret"])
    found = asyncio.run(gather(gathered, Dissector(0.0), testbed, "pair", "demux", testbed.plans(1), tmp_path))
    clean = "crypto isakmp key *** address 0.0.0.0\nusername user1 password *** and ***\nport 1701\n"
    assert (tmp_path / "gateway/charon.log").read_text() == clean
    assert clean in (tmp_path / "gateway/view-01-after-c1.txt").read_text()
    assert found.logs == {"charon": clean}
    assert found.gateway_views == (replace(view, texts={"show running-config": clean}),)
    assert found.trouble[0] == "it said: ***"


def test_behind_another_jump_host_an_address_is_another_machine():
    there = CaptureSource("tcpdump", "eth1", replace(NAT, jump=Connection("jump", "192.0.2.1")))
    assert there.stamped_by != CaptureSource("tcpdump", "eth1", NAT).stamped_by
    assert there.stamped_by == replace(there, interface="eth2").stamped_by
