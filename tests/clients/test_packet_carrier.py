"""Clients on whole IP packets, in simulated time: the same fleet, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal, read
from harness.clients.packet_carrier import PacketCarrier
from harness.errors import UsageError
from harness.model import RecordKind
from harness.simulation.link import Link
from harness.simulation.loop import EPOCH, SimulatedLoop
from harness.wire import events as wire
from harness.wire.packet import Packet, from_ip, to_ip


class World:
    """One carrier a site; behind each a peer that answers after 50 ms as `reply` says."""

    def __init__(self, loop: SimulatedLoop, sites: tuple[int, ...]) -> None:
        self.heard: list[tuple[int, Packet]] = []
        self.reply: Callable[[Packet], Packet | None] = lambda p: Packet(p.dst, p.src, p.protocol, p.payload, p.dport, p.sport)
        self.carriers = [PacketCarrier(self.link_of(loop, site), site) for site in sites]

    def link_of(self, loop: SimulatedLoop, site: int) -> Callable[[bytes], None]:
        def arrive(data: bytes) -> None:
            packet = from_ip(data)
            self.heard.append((site, packet))
            answer = self.reply(packet)
            if answer is not None:
                down.send(to_ip(answer))

        down = Link(loop, 0.025, lambda data: next(c for c in self.carriers if c.site == site).receive(data))
        return Link(loop, 0.025, arrive).send


def run(kit: Any, folder: Path, scenario: Callable[[Fleet, World], Any], sites: tuple[int, ...] = (1,)) -> Any:
    async def play() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        world = World(loop, sites)
        with Journal(folder, RunClock(EPOCH, loop.time, loop.epoch)) as journal:
            build = lambda config, entropy: kit.stack(config, (500, 4500), 500)  # noqa: E731
            fleet = Fleet(carriers=world.carriers, journal=journal, nonce=kit.nonce, build=build)
            async with fleet:
                return await scenario(fleet, world)

    with SimulatedLoop.runner() as runner:
        return runner.run(play())


def test_records_bear_simulated_time_and_nothing_is_ever_late(tmp_path: Path, kit: Any) -> None:
    async def scenario(fleet: Fleet, world: World) -> None:
        client = fleet.add(kit.plan(2))
        await fleet.until(lambda fleet: False, 3600)
        client.connect()
        assert await client.until_up(5)
        await fleet.until(lambda fleet: False, 86400)

    run(kit, tmp_path, scenario)
    records = read(tmp_path / "records.jsonl").records
    assert [(r.kind.value, round(r.t - EPOCH, 6)) for r in records] == [
        ("planned", 0.0),
        ("started", 3600.0),
        ("ppp-up", 3600.05),
        ("stage", 3600.05),
        ("stage", 3600.05),
        ("ended", 90000.05),
    ]


def test_two_sites_may_use_the_same_addresses(tmp_path: Path, kit: Any) -> None:
    async def scenario(fleet: Fleet, world: World) -> None:
        first = fleet.add(kit.plan(2))
        second = fleet.add(kit.plan(3, address=first.plan.address, site=2))
        second.connect()
        assert await second.until_up(5)
        assert not first.connected
        first.connect()
        assert await first.until_up(5)
        assert [(site, packet.src) for site, packet in world.heard] == [(2, "127.1.0.2"), (1, "127.1.0.2")]
        for wrong in (kit.plan(4, site=3), kit.plan(5, address=first.plan.address)):
            with pytest.raises(UsageError, match=f"site {wrong.site}"):
                fleet.add(wrong)

    run(kit, tmp_path, scenario, sites=(1, 2))


def test_esp_goes_without_ports_and_what_a_kernel_drops_is_not_heard(tmp_path: Path, kit: Any) -> None:
    async def scenario(fleet: Fleet, world: World) -> None:
        client = fleet.add(kit.plan(2))
        stack: Any = None

        def build(config: Any, entropy: Any) -> Any:
            nonlocal stack
            stack = kit.stack(config, (500, 4500), 500)
            return stack

        fleet._build = build
        client.connect()
        stack.datagrams.append(wire.Datagram(0, 0, b"\0\0\x10\0sealed", 50))
        client._do(lambda now: None)
        await client.until_up(5)
        await fleet.until(lambda fleet: False, 1)
        assert [(p.protocol, p.sport, p.payload[4:]) for _, p in world.heard[1:]] == [(50, 0, b"sealed")]
        assert (0, b"\0\0\x10\0sealed") in stack.heard
        (carrier,) = world.carriers
        before = len(stack.heard)
        broken = bytearray(to_ip(Packet(kit.gateway, client.plan.address, 17, b"broken", 500, 500)))
        broken[-1] ^= 1
        carrier.receive(bytes(broken))
        carrier.receive(to_ip(Packet(kit.gateway, client.plan.address, 1, b"\3\1\0\0")))
        assert (carrier.counters.unreadable, len(stack.heard)) == (2, before)
        assert client.last.get(RecordKind.GARBAGE) is None

    run(kit, tmp_path, scenario)
