"""The fleet on loopback: addresses, ports, crowds, garbage, defects, silence, lateness."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.clients import journal, marks
from harness.clients.client import State
from harness.clients.clock import RunClock
from harness.clients.fleet import FLEET, Fleet
from harness.clients.transport import open_ports
from harness.errors import NatstormError, UsageError
from harness.model import Record, RecordKind
from harness.wire import events as wire


def run(bench: Any, scenario: Callable[[Fleet], Awaitable[None]], **options: float) -> tuple[Record, ...]:
    """Plays a scenario on a fleet of the bench's; the result is what the journal then holds on disk."""

    async def play() -> None:
        async with await bench.fleet(**options) as fleet:
            await scenario(fleet)

    asyncio.run(play())
    return journal.read(bench.folder / "records.jsonl").records


def kinds(records: tuple[Record, ...], client: str) -> list[str]:
    return [record.kind.value for record in records if record.client == client]


def test_each_client_sends_from_its_own_address_and_port_and_hears_what_is_sent_there(bench: Any) -> None:
    def float_port(stack: Any, now: float, payload: bytes) -> None:
        if payload.startswith(b"hello"):
            stack.say(b"floated", port=1)
        else:
            stack.events.append(wire.PppUp("172.16.1.10", "172.16.1.1", ()))

    bench.shape = lambda stack: setattr(stack, "on_receive", float_port)

    async def scenario(fleet: Fleet) -> None:
        for number in (2, 300):
            fleet.add(bench.plan(number)).connect()
        assert await fleet.until(lambda f: all(c.up for c in f.clients.values()), 30)

    records = run(bench, scenario)
    first, second = bench.ports
    assert set(bench.peer.heard) == {
        ("127.1.0.2", first, b"hello 127.1.0.2"),
        ("127.1.0.2", second, b"floated"),
        ("127.1.1.44", first, b"hello 127.1.1.44"),
        ("127.1.1.44", second, b"floated"),
    }
    for address in ("127.1.0.2", "127.1.1.44"):
        assert bench.stacks[address].heard == [(first, b"hello " + address.encode()), (second, b"floated")]
    assert kinds(records, "c2") == ["planned", "started", "ppp-up", "stage", "stage", "ended"]


def test_two_thousand_clients_on_two_sockets(bench: Any) -> None:
    async def scenario(fleet: Fleet) -> None:
        for number in range(1, 2001):
            fleet.add(bench.plan(number))
        for started, client in enumerate(fleet.clients.values(), 1):
            client.connect()
            if started % 100 == 0:
                assert await fleet.until(lambda f, n=started: sum(c.up for c in list(f.clients.values())[:n]) == n, 10)
        assert fleet._deadlines is not None
        assert fleet._deadlines.entries == 0

    records = run(bench, scenario, late_s=30.0)
    assert len({address for address, _, _ in bench.peer.heard}) == 2000
    assert sum(record.kind is RecordKind.PPP_UP for record in records) == 2000
    assert not [record for record in records if record.kind is RecordKind.IMPAIRED]


def test_a_defect_in_one_stack_ends_that_client_and_impairs_the_run(bench: Any) -> None:
    def fall_over(stack: Any, now: float, payload: bytes) -> None:
        if stack.config.ike.address == "127.1.0.2":
            raise ZeroDivisionError("the stack's own bug")
        stack.events.append(wire.PppUp("172.16.1.10", "172.16.1.1", ()))

    bench.shape = lambda stack: setattr(stack, "on_receive", fall_over)

    async def scenario(fleet: Fleet) -> None:
        bad, good = fleet.add(bench.plan(2)), fleet.add(bench.plan(3))
        bad.connect()
        good.connect()
        assert not await bad.until_up(30)
        assert await good.until_up(30)
        assert bad.state is State.IDLE
        assert fleet.impaired

    records = run(bench, scenario)
    assert kinds(records, "c2") == ["planned", "started", "impaired", "ended"]
    impaired = next(r for r in records if r.kind is RecordKind.IMPAIRED)
    assert "a defect of the harness ended c2: ZeroDivisionError: the stack's own bug at " in impaired.data["reason"]
    assert "fall_over" in impaired.data["traceback"]
    ended = next(r for r in records if r.kind is RecordKind.ENDED and r.client == "c2")
    assert (ended.data["cause"], ended.data["by"]) == ("a defect of the harness", "run")


@pytest.mark.parametrize("moment", ["start", "close", "rekey_ipsec", "take_events", "vanish"])
def test_a_defect_at_any_call_stays_inside_the_client(bench: Any, moment: str) -> None:
    async def scenario(fleet: Fleet) -> None:
        client, other = fleet.add(bench.plan(2)), fleet.add(bench.plan(3))
        if moment != "start":
            client.connect()
            assert await client.until_up(30)

        def broken(*_: object) -> None:
            raise RuntimeError("broken")

        if moment == "start":
            bench.shape = lambda stack: setattr(stack, "start", broken)
            client.connect()
            bench.shape = lambda stack: None
        else:
            setattr(bench.stacks["127.1.0.2"], moment, broken)
            call = {"close": client.disconnect, "vanish": client.vanish}.get(moment, client.rekey_ipsec)
            call()
        assert client.state is State.IDLE
        other.connect()
        assert await other.until_up(30)

    records = run(bench, scenario)
    impaired = next(r for r in records if r.kind is RecordKind.IMPAIRED)
    assert impaired.data["reason"].startswith("a defect of the harness ended c2")


def test_a_stack_whose_deadline_never_moves_is_a_defect_and_no_endless_loop(bench: Any) -> None:
    bench.shape = lambda stack: (setattr(stack, "deadline", 0.0), setattr(stack, "on_tick", lambda s, now: None))

    async def scenario(fleet: Fleet) -> None:
        client = fleet.add(bench.plan(2))
        bench.peer.reply = lambda payload: None
        client.connect()
        assert await client.until(RecordKind.ENDED, 30)

    records = run(bench, scenario)
    assert any("stays in the past" in r.data["reason"] for r in records if r.client == "c2" and r.kind is RecordKind.IMPAIRED)


def test_a_silent_gateway_is_a_failure_that_names_main_mode_and_the_tries(bench: Any) -> None:
    def give_up(stack: Any, now: float) -> None:
        stack.called.append("try")
        if stack.called.count("try") < 3:
            stack.say(b"again")
            stack.deadline = now + 0.01
        else:
            stack.deadline = None
            stack.events.append(wire.Failed("main mode", "no answer to 3 tries", {"tries": 3}))

    def shape(stack: Any) -> None:
        stack.on_tick = give_up
        stack.deadline = 0.0

    bench.shape = shape
    bench.peer.reply = lambda payload: None

    async def scenario(fleet: Fleet) -> None:
        client = fleet.add(bench.plan(2))
        client.connect()
        assert not await client.until_up(30)
        failed = client.last[RecordKind.FAILED]
        assert failed.data == {"stage": "main mode", "reason": "no answer to 3 tries", "tries": 3}

    records = run(bench, scenario, late_s=float("inf"))
    assert kinds(records, "c2") == ["planned", "started", "failed"]
    assert [payload for _, _, payload in bench.peer.heard] == [b"hello 127.1.0.2", b"again", b"again"]


def test_timers_that_fire_late_are_the_machine_s_fault(bench: Any) -> None:
    """The clock leaps ahead by ten seconds between setting a deadline and looking at it."""
    leap = took = 0.0
    fixed = bench.clock
    bench.journal.clock = RunClock(fixed.offset, lambda: fixed.monotonic() + leap, lambda: fixed.realtime() + leap)
    bench.shape = lambda stack: setattr(stack, "deadline", fixed.monotonic() + 0.02)
    bench.peer.reply = lambda payload: None

    async def scenario(fleet: Fleet) -> None:
        nonlocal leap, took
        client = fleet.add(bench.plan(2))
        began = fixed.monotonic()
        client.connect()
        leap = 10.0
        assert await fleet.until(lambda f: bool(f.impaired), 60)
        took = fixed.monotonic() - began

    records = run(bench, scenario)
    late = next(r for r in records if r.kind is RecordKind.IMPAIRED)
    assert late.client == FLEET
    assert late.data["reason"] == "this machine fell behind: a timer fired late"
    assert 9.5 < late.data["seconds"] < 10.0 + took


def test_datagrams_read_late_are_the_machine_s_fault(bench: Any) -> None:
    fixed = bench.clock
    bench.journal.clock = RunClock(fixed.offset, fixed.monotonic, lambda: fixed.realtime() + 3.0)

    async def scenario(fleet: Fleet) -> None:
        fleet.add(bench.plan(2)).connect()
        assert await fleet.until(lambda f: bool(f.impaired), 60)

    records = run(bench, scenario)
    assert "a datagram was read late" in next(r for r in records if r.kind is RecordKind.IMPAIRED).data["reason"]


def test_a_clock_stepped_during_the_run_impairs_it(bench: Any) -> None:
    step = 0.0
    fixed = bench.clock
    bench.journal.clock = RunClock(fixed.offset, fixed.monotonic, lambda: fixed.realtime() + step)

    async def scenario(fleet: Fleet) -> None:
        nonlocal step
        step = -2.0

    records = run(bench, scenario)
    assert [r.data["reason"] for r in records] == ["the clock was stepped during the run: -2.000 s"]


def test_garbage_at_any_moment_reaches_only_the_client_it_is_sent_to(bench: Any) -> None:
    def refuse(stack: Any, now: float, payload: bytes) -> None:
        if payload.startswith(b"hello"):
            stack.events.append(wire.PppUp("172.16.1.10", "172.16.1.1", ()))
        else:
            stack.events.append(wire.Refused("ike", f"{len(payload)} bytes of nothing"))

    bench.shape = lambda stack: setattr(stack, "on_receive", refuse)
    thrower = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # asyncio's transports send no empty datagrams
    thrower.bind((bench.gateway, 0))

    async def scenario(fleet: Fleet) -> None:
        one, two = fleet.add(bench.plan(2)), fleet.add(bench.plan(3))
        two.connect()
        assert await two.until_up(30)
        bench.peer.reply = lambda payload: None
        one.connect()  # stays connecting
        for size in (0, 1, 28, 1400, 60_000):
            for port in bench.ports:
                thrower.sendto(bytes(size), ("127.1.0.2", port))
        assert await one.until(RecordKind.GARBAGE, 5, beyond=9)
        assert one.state is State.CONNECTING
        assert two.up
        assert two.count(RecordKind.GARBAGE) == 0

    records = run(bench, scenario)
    assert kinds(records, "c2").count("garbage") == 10
    thrower.close()


def test_datagrams_for_unknown_unconnected_and_from_strange_addresses_are_counted(bench: Any) -> None:
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind(("127.0.0.78", 0))

    async def scenario(fleet: Fleet) -> None:
        known, idle = fleet.add(bench.plan(2)), fleet.add(bench.plan(3))
        known.connect()
        assert await known.until_up(30)
        stranger.sendto(b"unknown", ("127.1.9.9", bench.ports[0]))
        stranger.sendto(b"idle", ("127.1.0.3", bench.ports[0]))
        stranger.sendto(b"strange", ("127.1.0.2", bench.ports[0]))
        garbage = await known.until(RecordKind.GARBAGE, 30)
        assert garbage is not None
        assert garbage.data["reason"] == f"from 127.0.0.78:{stranger.getsockname()[1]}, which is not the gateway"
        assert idle.state is State.IDLE
        assert fleet.facts()["for unknown addresses"] == {"127.1.9.9": 1}
        assert fleet.facts()["for clients not connected"] == 1
        assert bench.stacks["127.1.0.2"].heard == [(bench.ports[0], b"hello 127.1.0.2")]

    run(bench, scenario)
    stranger.close()


def test_a_datagram_that_cannot_be_sent_is_told(bench: Any) -> None:
    """0.0.0.0/8 holds no route: the kernel refuses, and the run is impaired."""

    async def scenario(fleet: Fleet) -> None:
        fleet.add(bench.plan(2, address="198.51.100.9")).connect()  # an address this machine does not have
        assert await fleet.until(lambda f: bool(f.impaired), 60)
        assert fleet.facts()["not sent"] == 1

    records = run(bench, scenario)
    assert f"not sent to {bench.gateway}: " in next(r for r in records if r.kind is RecordKind.IMPAIRED).data["reason"]


def test_disconnect_vanish_and_connecting_again(bench: Any) -> None:
    async def scenario(fleet: Fleet) -> None:
        client = fleet.add(bench.plan(2))
        with pytest.raises(UsageError, match="not connected"):
            client.disconnect()
        client.connect()
        with pytest.raises(UsageError, match="connecting already"):
            client.connect()
        assert await client.until_up(30)
        client.rekey_ipsec()
        client.rekey_ike()
        client.delete_ipsec()
        assert bench.stacks["127.1.0.2"].called == ["rekey_ipsec", "rekey_ike", "delete_ipsec"]
        client.disconnect()
        assert await client.until(RecordKind.ENDED, 30)
        assert client.last[RecordKind.ENDED].data["by"] == "client"
        client.connect()
        assert client.life == 2
        assert client.count(RecordKind.ENDED) == 0
        assert await client.until_up(30)
        client.vanish()
        assert client.last[RecordKind.ENDED].data == {
            "cause": "vanished without a word",
            "by": "client",
            "detail": {"stage": "up"},
        }
        bench.peer.transport.sendto(b"late", ("127.1.0.2", bench.ports[0]))
        client.connect()
        assert await client.until_up(30)

    records = run(bench, scenario)
    assert kinds(records, "c2").count("ended") == 3
    assert records[-1].data["by"] == "run"


def test_two_clients_cannot_share_an_address(bench: Any) -> None:
    async def scenario(fleet: Fleet) -> None:
        fleet.add(bench.plan(2))
        with pytest.raises(UsageError, match=r"address 127\.1\.0\.2"):
            fleet.add(replace(bench.plan(3), address="127.1.0.2"))

    run(bench, scenario)


def test_a_journal_that_cannot_be_written_ends_the_run_and_all_waiting(bench: Any) -> None:
    async def scenario(fleet: Fleet) -> None:
        client = fleet.add(bench.plan(2))

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        bench.journal.write = full
        client.connect()
        with pytest.raises((OSError, NatstormError), match="No space left"):
            await client.until_up(30)

    with pytest.raises(NatstormError, match="No space left"):
        run(bench, scenario)


def test_a_port_that_is_taken_is_refused_and_nothing_stays_open() -> None:
    first = open_ports((0,))
    (port,) = first
    with pytest.raises(OSError, match="in use"):
        open_ports((0, port))
    first[port].close()
    again = open_ports((port,))
    again[port].close()


def test_marks_flow_at_their_rate_and_end_with_the_connection(bench: Any) -> None:
    def answer(stack: Any, now: float, packet: bytes) -> bool:
        stack.sent_ip.append(packet)
        echo = marks.read_echo(packet)
        assert echo is not None
        stack.events.append(wire.IpPacket(marks.answer(echo, 1)))
        return True

    bench.shape = lambda stack: setattr(stack, "send_ip", lambda now, packet: answer(stack, now, packet))

    async def scenario(fleet: Fleet) -> None:
        client = fleet.add(bench.plan(2))
        with pytest.raises(UsageError, match="marks need a client that is up"):
            client.send_marks()
        client.connect()
        assert await client.until_up(30)
        client.send_marks(rate=200, sizes=(64, 100))
        assert await client.until(RecordKind.MARK_SENT, 5, beyond=3)
        client.stop_marks()
        stack = bench.stacks["127.1.0.2"]
        sent = len(stack.sent_ip)
        assert [len(packet) for packet in stack.sent_ip[1:5]] == [64, 100, 64, 100]  # a plain echo went first
        assert client.count(RecordKind.PINGED) == 1
        assert client.count(RecordKind.MARK_SENT) == client.count(RecordKind.MARK_ANSWERED) == sent - 1
        client.send_marks(rate=200)
        client.disconnect()
        assert len(stack.sent_ip) == sent

    run(bench, scenario)
