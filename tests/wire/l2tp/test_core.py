"""Two cores, one LAC and one LNS, in memory: set-up, loss, ends, strangers, garbage."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.wire import events
from harness.wire.config import L2tpConfig
from harness.wire.l2tp import Frame, L2tpCore, header
from harness.wire.l2tp.avp import Result, Value
from harness.wire.l2tp.message import Message, Type, build, parse

CLIENT = L2tpConfig("win7", correlation_id=bytes(range(16)))
LNS = L2tpConfig("lns", vendor_name="xelerance", firmware=0x0690, receive_window=4, hello_s=0)


class Pair:
    """A client and an LNS on one clock; `lose` says which packets vanish."""

    def __init__(self, client: L2tpConfig = CLIENT, lns: L2tpConfig = LNS, seed: int = 1) -> None:
        self.client = L2tpCore(client, random.Random(seed).randbytes)
        self.lns = L2tpCore(lns, random.Random(seed + 500).randbytes)
        self.now = 0.0
        self.told: list[events.Event] = []
        self.lns_told: list[events.Event] = []
        self.sent: list[bytes] = []  # by the client
        self.answers: list[bytes] = []
        self.lose: Callable[[bool, bytes], bool] = lambda to_lns, packet: False

    def settle(self) -> None:
        for _ in range(100):
            there, back = self.client.take_packets(), self.lns.take_packets()
            self.told += self.client.take_events()
            self.lns_told += self.lns.take_events()
            if not there and not back:
                return
            self.sent += there
            self.answers += back
            for packet in there:
                if not self.lose(True, packet):
                    self.lns.receive(self.now, packet)
            for packet in back:
                if not self.lose(False, packet):
                    self.client.receive(self.now, packet)
        raise AssertionError("the two never fall quiet")

    def up(self) -> Pair:
        self.client.start(self.now)
        self.settle()
        assert self.client.established
        assert self.lns.established
        return self

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        self.settle()
        while True:
            due = min((d for d in (self.client.deadline, self.lns.deadline) if d is not None), default=None)
            if due is None or due > end:
                self.now = end
                return
            self.now = max(due, self.now)
            self.client.tick(self.now)
            self.lns.tick(self.now)
            self.settle()

    def from_lns(self, kind: Type, values: dict[str, Value], session: int | None = None) -> None:
        """A message that the LNS would not send by itself."""
        self.lns._send(kind, self.client.session_local if session is None else session, values)
        self.lns._flush(self.now)
        self.settle()


def messages(packets: list[bytes]) -> list[Message]:
    bodies = [header.parse(packet).body for packet in packets if packet[0] & 0x80]
    return [found for body in bodies if body and (found := parse(body)) is not None]


def kinds(told: list[events.Event]) -> list[str]:
    return [type(event).__name__ for event in told]


def test_tunnel_and_call_come_up() -> None:
    pair = Pair().up()
    assert [message.type.name for message in messages(pair.sent)] == ["SCCRQ", "SCCCN", "ICRQ", "ICCN"]
    assert [message.type.name for message in messages(pair.answers)] == ["SCCRP", "ICRP"]
    client = pair.client
    assert pair.told == [
        events.TunnelUp(client.tunnel_local, pair.lns.tunnel_local, "lns", "xelerance"),
        events.CallUp(client.session_local, pair.lns.session_local),
    ]
    assert client.deadline == 40.0
    sccrq = messages(pair.sent)[0].values
    assert (sccrq["vendor-name"], sccrq["firmware-revision"], sccrq["receive-window-size"]) == ("Microsoft", 0x0601, 8)


def test_the_correlation_id_is_microsofts_and_not_mandatory() -> None:
    """MS-L2TPIE: vendor 311 (0x137), attribute 1, 16 bytes."""
    raw = b"".join(Pair().up().sent)
    assert bytes.fromhex("001601370001") + bytes(range(16)) in raw


@pytest.mark.parametrize("lost", range(10))
@pytest.mark.parametrize("to_lns", [True, False])
def test_any_one_packet_may_be_lost(lost: int, to_lns: bool) -> None:
    pair = Pair()
    count = -1

    def lose(direction: bool, packet: bytes) -> bool:
        nonlocal count
        count += direction is to_lns
        return direction is to_lns and count == lost

    pair.lose = lose
    pair.client.start(0.0)
    pair.run(10.0)
    assert pair.client.established
    assert pair.lns.established
    assert kinds(pair.told) == ["TunnelUp", "CallUp"]


def test_every_packet_may_come_twice() -> None:
    pair = Pair()

    def twice(to_lns: bool, packet: bytes) -> bool:
        (pair.lns if to_lns else pair.client).receive(pair.now, packet)
        return False

    pair.lose = twice
    pair.up()
    assert kinds(pair.told) == ["TunnelUp", "CallUp"]
    assert kinds(pair.lns_told) == ["TunnelUp", "CallUp"]


@pytest.mark.parametrize("seed", range(8))
def test_half_of_all_packets_may_be_lost(seed: int) -> None:
    patient = tuple([1.0] * 40)
    config = replace(CLIENT, schedule=replace(CLIENT.schedule, waits=patient))
    pair = Pair(config, replace(LNS, schedule=config.schedule), seed)
    chance = random.Random(seed)
    pair.lose = lambda to_lns, packet: chance.random() < 0.5
    pair.client.start(0.0)
    pair.run(40.0)
    assert pair.client.established
    assert kinds(pair.told) == ["TunnelUp", "CallUp"]


def test_a_silent_lns_fails_the_tunnel_after_the_schedule() -> None:
    pair = Pair()
    pair.lose = lambda to_lns, packet: True
    pair.client.start(0.0)
    pair.run(100.0)
    assert len(pair.sent) == 5
    facts = {"by": "silence", "message": "SCCRQ", "transmissions": 5}
    assert pair.told == [events.Failed("L2TP tunnel", "no acknowledgement of SCCRQ after 5 transmissions", facts)]
    assert pair.client.finished
    assert pair.client.deadline is None


def test_hellos_keep_asking_and_an_answer_is_enough() -> None:
    pair = Pair().up()
    pair.run(125.0)
    assert [message.type.name for message in messages(pair.sent)].count("HELLO") == 3
    assert pair.client.established


def test_data_from_the_peer_puts_the_hello_off() -> None:
    pair = Pair().up()
    for _ in range(10):
        pair.run(20.0)
        assert pair.lns.send_data(pair.now, b"\xff\x03\xc0\x21")
        pair.settle()
    assert "HELLO" not in [message.type.name for message in messages(pair.sent)]


def test_a_dead_lns_is_noticed_by_hello() -> None:
    pair = Pair().up()
    pair.lose = lambda to_lns, packet: True
    pair.run(100.0)
    assert kinds(pair.told)[2:] == ["Failed", "TunnelDown"]
    failed, down = pair.told[2:]
    assert isinstance(failed, events.Failed)
    assert failed.reason == "no acknowledgement of HELLO after 5 transmissions"
    assert failed.facts["by"] == "silence"
    assert down == events.TunnelDown(False, 0, failed.reason)


def test_close_sends_cdn_3_and_then_stopccn_1() -> None:
    pair = Pair().up()
    session, tunnel = pair.client.session_local, pair.client.tunnel_local
    pair.client.close(pair.now)
    pair.settle()
    cdn, stop = messages(pair.sent)[-2:]
    assert (cdn.type, cdn.values) == (Type.CDN, {"result-code": Result(3), "assigned-session-id": session})
    assert (stop.type, stop.values) == (Type.STOPCCN, {"result-code": Result(1), "assigned-tunnel-id": tunnel})
    assert pair.told[2:] == [events.TunnelDown(False, 1, "closed")]
    assert kinds(pair.lns_told)[2:] == ["CallDown", "Failed", "TunnelDown"]
    assert pair.client.finished
    assert pair.lns.finished
    assert not pair.client.send_data(pair.now, b"late")


def test_a_close_that_nobody_acknowledges_ends_all_the_same() -> None:
    pair = Pair().up()
    pair.lose = lambda to_lns, packet: True
    pair.client.close(pair.now)
    pair.run(60.0)
    assert pair.client.finished
    assert kinds(pair.told)[2:] == ["TunnelDown"]


def test_the_peers_stopccn_is_acknowledged_also_when_it_comes_again() -> None:
    pair = Pair().up()
    pair.lns.close(0.0)
    packets = pair.lns.take_packets()
    for _ in range(2):
        for packet in packets:
            pair.client.receive(0.0, packet)
    pair.client.tick(1.0)
    told = pair.client.take_events()
    assert kinds(told) == ["CallDown", "Failed", "TunnelDown"]
    zlbs = [header.parse(packet) for packet in pair.client.take_packets()]
    assert zlbs[-1].body == b""
    assert zlbs[-1].nr == 4


def test_a_stopccn_names_result_and_error() -> None:
    pair = Pair().up()
    pair.from_lns(Type.STOPCCN, {"assigned-tunnel-id": pair.lns.tunnel_local, "result-code": Result(2, 4, "no room")}, 0)
    failed = next(event for event in pair.told if isinstance(event, events.Failed))
    assert failed.reason == "StopCCN result 2 (general error), error 4 (insufficient resources): no room"
    assert failed.facts == {"by": "gateway", "result": 2, "error": 4}


def test_a_refused_tunnel_says_why() -> None:
    pair = Pair()
    pair.client.start(0.0)
    pair.client.take_packets()
    body = build(Type.STOPCCN, {"assigned-tunnel-id": 77, "result-code": Result(4)})
    pair.client.receive(0.0, header.build_control(pair.client.tunnel_local, 0, 0, 1, body))
    assert pair.client.take_events() == [
        events.Failed(
            "L2TP tunnel",
            "StopCCN result 4 (requester is not authorised to establish a control channel)",
            {"by": "gateway", "result": 4, "error": None},
        )
    ]
    assert [header.parse(packet).tunnel for packet in pair.client.take_packets()] == [77]


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"protocol-version": 0x0200}, Result(5)),
        ({"challenge": b"who are you"}, Result(4)),
        ({"assigned-tunnel-id": 0}, Result(2, 3)),
        ({"receive-window-size": 0}, Result(2, 3)),
    ],
)
def test_an_sccrp_that_is_not_acceptable_is_answered_by_stopccn(change: dict[str, Value], result: Result) -> None:
    pair = Pair()
    pair.client.start(0.0)
    pair.client.take_packets()
    values: dict[str, Value] = {"protocol-version": 0x0100, "host-name": "lns", "assigned-tunnel-id": 9, **change}
    pair.client.receive(0.0, header.build_control(pair.client.tunnel_local, 0, 0, 1, build(Type.SCCRP, values)))
    assert messages(pair.client.take_packets())[-1].result == result
    (failed,) = pair.client.take_events()
    assert isinstance(failed, events.Failed)
    assert failed.stage == "L2TP tunnel"


def test_a_window_that_is_not_named_is_4() -> None:
    pair = Pair()
    pair.client.start(0.0)
    values: dict[str, Value] = {"protocol-version": 0x0100, "host-name": "lns", "assigned-tunnel-id": 9}
    pair.client.receive(0.0, header.build_control(pair.client.tunnel_local, 0, 0, 1, build(Type.SCCRP, values)))
    assert pair.client._channel.peer_window == 4


def test_a_mandatory_unknown_avp_in_the_call_ends_the_call_and_with_it_the_tunnel() -> None:
    pair = Pair().up()
    body = build(Type.SLI, {}) + bytes.fromhex("8008000000ff0001")
    pair.client.receive(0.0, header.build_control(pair.client.tunnel_local, pair.client.session_local, 2, 4, body))
    sent = messages(pair.client.take_packets())
    assert [(message.type, message.result) for message in sent] == [(Type.CDN, Result(2, 8)), (Type.STOPCCN, Result(1))]
    assert kinds(pair.client.take_events()) == ["CallDown", "Failed", "Refused"]


def test_a_mandatory_unknown_avp_in_the_tunnel_ends_the_tunnel() -> None:
    pair = Pair().up()
    body = build(Type.HELLO, {}) + bytes.fromhex("8008000000ff0001")
    pair.client.receive(0.0, header.build_control(pair.client.tunnel_local, 0, 2, 4, body))
    (stop,) = messages(pair.client.take_packets())
    assert (stop.type, stop.result) == (Type.STOPCCN, Result(2, 8))


@pytest.mark.parametrize("kind", [Type.WEN, Type.SLI])
def test_line_messages_are_taken_and_change_nothing(kind: Type) -> None:
    pair = Pair().up()
    pair.from_lns(kind, {})
    assert kinds(pair.told) == ["TunnelUp", "CallUp"]
    assert pair.client.established


def test_data_goes_both_ways() -> None:
    pair = Pair().up()
    assert pair.client.send_data(0.0, b"\xff\x03\xc0\x21up")
    assert pair.lns.send_data(0.0, b"\xff\x03\xc0\x21down")
    pair.settle()
    assert pair.lns_told[-1] == Frame(b"\xff\x03\xc0\x21up", pair.lns.session_local)
    assert pair.told[-1] == Frame(b"\xff\x03\xc0\x21down", pair.client.session_local)


def test_sequence_numbers_in_data_are_answered_in_kind() -> None:
    """RFC 2661 §5.4: the LNS decides, the LAC follows; what comes late is dropped."""
    pair = Pair().up()
    ours = pair.client.tunnel_local, pair.client.session_local
    for ns in (0, 2, 1, 2, 3):
        pair.client.receive(0.0, header.build_data(*ours, bytes((0x21, ns)), (ns, 0)))
    assert [event for event in pair.client.take_events() if isinstance(event, Frame)] == [
        Frame(bytes((0x21, ns)), ours[1]) for ns in (0, 2, 3)
    ]
    pair.client.send_data(0.0, b"!")
    answer = header.parse(pair.client.take_packets()[0])
    assert (answer.ns, answer.nr) == (0, 4)


def test_data_of_a_stranger_is_told_with_the_packet_inside() -> None:
    pair = Pair().up()
    inner = bytes.fromhex("4500001c00000000400166d8") + bytes(4) + bytes(12)
    pair.client.receive(0.0, header.build_data(4711, 815, b"\xff\x03\x00\x21" + inner))
    (strange,) = pair.client.take_events()
    assert isinstance(strange, events.Strange)
    assert (strange.tunnel, strange.session, strange.packet) == (4711, 815, inner)
    assert pair.client.take_packets() == []


def test_control_of_a_stranger_is_told_and_not_acknowledged() -> None:
    pair = Pair().up()
    pair.client.receive(0.0, header.build_control(4711, 0, 2, 4, build(Type.HELLO, {})))
    (strange,) = pair.client.take_events()
    assert isinstance(strange, events.Strange)
    assert strange.packet is None
    assert pair.client.take_packets() == []


def test_identifiers_are_never_0() -> None:
    for value in (b"\x00\x00", b"\xff\xff"):
        core = L2tpCore(CLIENT, lambda count, value=value: value[:count])  # type: ignore[misc]
        assert 0 < core.tunnel_local <= 0xFFFF
        assert 0 < core.session_local <= 0xFFFF


def test_numbers_wrap_after_65535() -> None:
    pair = Pair().up()
    for _ in range(0x10000 + 20):
        pair.client._send(Type.HELLO, 0, {})
        pair.client._flush(0.0)
        for packet in pair.client.take_packets():
            pair.lns.receive(0.0, packet)
        for packet in pair.lns.take_packets():
            pair.client.receive(0.0, packet)
    assert pair.client._channel.idle
    assert not [event for event in pair.lns.take_events() if isinstance(event, events.Refused)]


def states() -> dict[str, Callable[[], L2tpCore]]:
    def started() -> L2tpCore:
        pair = Pair()
        pair.client.start(0.0)
        return pair.client

    def closing() -> L2tpCore:
        core = Pair().up().client
        core.close(0.0)
        return core

    return {"idle": lambda: Pair().client, "started": started, "up": lambda: Pair().up().client, "closing": closing}


@pytest.mark.parametrize("state", states())
@settings(max_examples=60)
@given(data=st.data())
def test_any_packets_in_any_state_only_make_events(state: str, data: st.DataObject) -> None:
    """Raw bytes, and well-formed headers with any numbers and bodies for this very tunnel and session."""
    core = states()[state]()
    core.take_packets()
    numbers = st.integers(0, 5)
    bodies = st.one_of(
        st.binary(max_size=60),
        st.builds(lambda kind, rest: build(kind, {}) + rest, st.sampled_from(Type), st.binary(max_size=30)),
        st.builds(
            lambda kind, code: build(kind, {"result-code": Result(code), "assigned-session-id": code, "assigned-tunnel-id": code}),
            st.sampled_from(Type),
            st.integers(0, 9),
        ),
    )
    ours = st.builds(
        lambda session, ns, nr, body: header.build_control(core.tunnel_local, session, ns, nr, body),
        st.sampled_from([0, core.session_local]),
        numbers,
        numbers,
        bodies,
    )
    for number, packet in enumerate(data.draw(st.lists(st.one_of(st.binary(max_size=80), ours), max_size=6))):
        core.receive(float(number), packet)
        core.tick(float(number))
        assert len(core.take_packets()) <= 10
        assert sum(isinstance(event, events.Failed) for event in core.take_events()) <= 1
