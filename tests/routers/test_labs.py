"""What the laboratories of routers refuse to begin with, and what stands about the routers in them."""

from __future__ import annotations

import asyncio

import pytest

from harness.errors import DeviceError
from harness.routers.esp_lab import SimulatedEsp
from harness.routers.l2tp_lab import SimulatedL2tp
from harness.routers.makers import Makers
from harness.routers.play import Gathered
from harness.routers.radius import readable
from harness.routers.script import ESP, L2TP, RouterScript
from harness.simulation.loop import SimulatedLoop
from harness.wire import ip
from harness.wire.packet import Packet, to_ip
from harness.wire.radius.attributes import Attributes, attribute


def made(lab, world, do=None, **fields):
    """A laboratory; `do` is awaited in it."""

    async def scenario():
        loop = asyncio.get_running_loop()
        made_lab = lab(loop, RouterScript("a script", "", world, run=None, **fields), Gathered(), 1, Makers())
        return made_lab if do is None else await do(made_lab)

    with SimulatedLoop.runner() as runner:
        return runner.run(scenario())


@pytest.mark.parametrize(("lab", "world", "device"), [(SimulatedL2tp, L2TP, "lac"), (SimulatedEsp, ESP, "east-1")])
@pytest.mark.parametrize("line", ["crypto isakmp polcy 10", "crypto"])
def test_a_line_that_a_router_does_not_take(lab, world, device, line):
    """Whatever is printed before the words: IOS marks the place first."""
    with pytest.raises(DeviceError, match=device):
        made(lab, world, lines={device: (line,)})


@pytest.mark.parametrize(("nat", "came"), [(False, ["west-1"]), (True, [])])
def test_without_a_nat_the_wire_knows_the_way_to_every_network(nat, came):
    """To any host of it; with a NAT, the networks inside are nobody's on the outside."""

    async def look(lab):
        arrived = []
        lab.arrived = lambda name, packet: arrived.append(name)
        lab.inject(to_ip(Packet("10.9.9.9", "10.1.1.77", ip.UDP, b"x", 9000, 9001)))
        await asyncio.sleep(1)
        return arrived

    assert made(SimulatedEsp, ESP, look, options={"nat": nat}) == came


def test_attributes_are_told_by_name():
    found = Attributes(
        (
            attribute("user-name", "someone"),
            attribute("nas-ip-address", "10.0.0.13"),
            attribute("acct-session-time", 41),
            attribute("class", b"\xff"),
            attribute("cisco-avpair", "one=1"),
            attribute("cisco-avpair", "two=2"),
        )
    )
    assert readable(found) == {
        "user-name": "someone",
        "nas-ip-address": "10.0.0.13",
        "acct-session-time": 41,
        "cisco-avpair": ["one=1", "two=2"],
    }
