"""Links keep time and order, alarms ring when they were last told to, a switch finds its way, a box moves its core."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import pytest

from harness.simulation.link import Alarm, Link
from harness.simulation.loop import EPOCH, SimulatedLoop
from harness.simulation.nat_box import NatBox, Side
from harness.simulation.network import Switch
from harness.wire.packet import Packet, from_ip, to_ip


def run(scenario: Callable[[SimulatedLoop], Any]) -> Any:
    async def inside() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        return await scenario(loop)

    with SimulatedLoop.runner() as runner:
        return runner.run(inside())


def udp(src: str, dst: str, payload: bytes, sport: int = 500, dport: int = 500) -> bytes:
    return to_ip(Packet(src, dst, 17, payload, sport, dport))


def test_a_link_keeps_time_and_order() -> None:
    heard: list[tuple[float, bytes]] = []

    async def scenario(loop: SimulatedLoop) -> None:
        link = Link(loop, 0.5, lambda packet: heard.append((loop.time(), packet)))
        link.send(b"1")
        link.send(b"2")
        loop.call_later(0.25, link.send, b"3")
        await asyncio.sleep(1)
        link.send(b"4")
        await asyncio.sleep(1)

    run(scenario)
    assert heard == [(0.5, b"1"), (0.5, b"2"), (0.75, b"3"), (1.5, b"4")]


def test_what_a_link_that_is_down_should_carry_is_lost_and_shows_nowhere() -> None:
    heard: list[bytes] = []
    seen: list[bytes] = []

    async def scenario(loop: SimulatedLoop) -> None:
        switch = Switch(loop)
        switch.tap = lambda _, packet: seen.append(packet)
        link = switch.attach(bytes((10, 0, 0, 2)), 0.5, heard.append)
        under_way, lost, after = (udp("10.0.0.1", "10.0.0.2", payload) for payload in (b"1", b"2", b"3"))
        switch.send(under_way)
        link.up = False
        switch.send(lost)
        link.send(lost)
        await asyncio.sleep(1)
        link.up = True
        switch.send(after)
        await asyncio.sleep(1)
        assert heard == seen == [under_way, after]

    run(scenario)


def test_a_link_of_no_length_hands_over_later_and_not_within() -> None:
    heard: list[bytes] = []

    async def scenario(loop: SimulatedLoop) -> None:
        def deliver(packet: bytes) -> None:
            heard.append(packet)
            if len(packet) < 4:
                link.send(packet + b"!")
                assert heard[-1] == packet

        link = Link(loop, 0.0, deliver)
        link.send(b"1")
        await asyncio.sleep(1)

    run(scenario)
    assert heard == [b"1", b"1!", b"1!!", b"1!!!"]


def test_an_alarm_rings_when_it_was_last_told_to() -> None:
    rung: list[float] = []

    async def scenario(loop: SimulatedLoop) -> None:
        alarm = Alarm(loop, lambda: rung.append(loop.time()))
        alarm.set(5.0)
        alarm.set(7.0)  # later: the timer stays, and is put right
        await asyncio.sleep(6)
        assert rung == []
        await asyncio.sleep(2)
        assert rung == [7.0]
        alarm.set(20.0)
        alarm.set(10.0)  # sooner
        await asyncio.sleep(20)
        assert rung == [7.0, 10.0]
        alarm.set(40.0)
        alarm.set(None)
        await asyncio.sleep(20)
        alarm.set(loop.time() - 1)  # overdue: at once, though not within
        assert rung == [7.0, 10.0]
        await asyncio.sleep(0.001)

    run(scenario)
    assert rung == [7.0, 10.0, 48.0]


def test_a_switch_finds_its_way_by_address_or_network() -> None:
    heard: list[tuple[str, float]] = []
    seen: list[tuple[int, str]] = []

    async def scenario(loop: SimulatedLoop) -> dict[str, int]:
        switch = Switch(loop)
        switch.tap = lambda t, packet: seen.append((t - EPOCH * 10**9, from_ip(packet).dst))
        switch.attach(bytes((10, 0, 0, 1)), 0.1, lambda packet: heard.append(("one", loop.time())))
        switch.attach(bytes((10, 0, 0, 2)), 0.2, lambda packet: heard.append(("two", loop.time())))
        switch.route(IPv4Network("10.1.0.0/16"), 0.3, lambda packet: heard.append(("router", loop.time())))
        for to in ("10.0.0.2", "10.0.0.1", "10.0.0.3", "10.1.2.3"):
            switch.send(udp("10.0.0.9", to, b"x"))
        await asyncio.sleep(1)
        switch.detach(bytes((10, 0, 0, 1)))
        switch.send(udp("10.0.0.9", "10.0.0.1", b"x"))
        await asyncio.sleep(1)
        return dict(switch.strays)

    assert run(scenario) == {"10.0.0.3": 1, "10.0.0.1": 1}
    assert heard == [("one", 0.1), ("two", 0.2), ("router", 0.3)]
    assert seen == [(0, "10.0.0.2"), (0, "10.0.0.1"), (0, "10.0.0.3"), (0, "10.1.2.3"), (10**9, "10.0.0.1")]


class Toy:
    """Rewrites the outside address, gives ports from 1024 on, and says so five seconds after its last packet."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self.ports: dict[tuple[str, int], int] = {}
        self.out: list[tuple[Side, bytes]] = []

    def receive(self, now: float, side: Side, packet: bytes) -> None:
        seen = from_ip(packet)
        self.deadline = now + 5
        if side == "inside":
            port = self.ports.setdefault((seen.src, seen.sport), 1024 + len(self.ports))
            self.out.append(("outside", udp("203.0.113.232", seen.dst, seen.payload, port, seen.dport)))
            return
        for (address, port), outside in self.ports.items():
            if outside == seen.dport:
                self.out.append(("inside", udp(seen.src, address, seen.payload, seen.sport, port)))

    def tick(self, now: float) -> None:
        self.deadline = None
        self.out.append(("outside", udp("203.0.113.232", "203.0.113.231", b"idle")))

    def take_packets(self) -> list[tuple[Side, bytes]]:
        taken, self.out = self.out, []
        return taken


def test_a_box_moves_its_core_and_shows_what_passes() -> None:
    outside: list[bytes] = []
    inside: list[bytes] = []
    seen: list[tuple[float, str, bytes]] = []

    async def scenario(loop: SimulatedLoop) -> None:
        box = NatBox(loop, Toy(), inside.append, outside.append)
        box.tap = lambda t, packet: seen.append(((t - EPOCH * 10**9) / 1e9, from_ip(packet).src, from_ip(packet).payload))
        await asyncio.sleep(1)
        box.from_inside(udp("10.0.0.2", "203.0.113.231", b"up"))
        box.from_outside(udp("203.0.113.231", "203.0.113.232", b"down", 500, 1024))
        await asyncio.sleep(10)

    run(scenario)
    assert [from_ip(packet).payload for packet in outside] == [b"up", b"idle"]
    assert [(from_ip(packet).dst, from_ip(packet).dport) for packet in inside] == [("10.0.0.2", 500)]
    assert seen == [(1.0, "10.0.0.2", b"up"), (1.0, "203.0.113.231", b"down")]


@pytest.mark.parametrize("gap", [0.0, 1e-10, 1e-7])
def test_packets_that_nearly_coincide_keep_their_order(gap: float) -> None:
    heard: list[bytes] = []

    async def scenario(loop: SimulatedLoop) -> None:
        link = Link(loop, 0.1, heard.append)
        loop.call_at(10.0, link.send, b"1")
        loop.call_at(10.0 + gap, link.send, b"2")
        await asyncio.sleep(20)

    run(scenario)
    assert heard == [b"1", b"2"]
