"""A tunnel-mode endpoint on packets: set-up, marks both ways, rekeys, ends."""

from __future__ import annotations

import asyncio

from vpn_bench import EAST_HOST, WEST_HOST, World, east, mark, simulate, west

from harness.simulation.loop import SimulatedLoop


def test_marks_pass_both_ways_as_protocol_50() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        await world.bring_up(one)
        assert two.marks == []  # the packet that asked for the SA is lost
        for number in range(1, 6):
            one.host(mark(number))
            two.host(mark(number + 100, EAST_HOST, WEST_HOST))
            await asyncio.sleep(1)
        assert two.marks == [1, 2, 3, 4, 5]
        assert one.marks == [101, 102, 103, 104, 105]
        assert world.kinds() == {"500", "esp"}

    simulate(scenario)
