"""Several calls in one tunnel, in both roles: IDs, limits, refusals, data numbering, what a LAC hands over."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.wire import events
from harness.wire.config import L2tpConfig
from harness.wire.l2tp import Frame, L2tpCore, header, tunnel_of
from harness.wire.l2tp.avp import HIDEABLE, Result, Value, encode
from harness.wire.l2tp.calls import REMEMBERED
from harness.wire.l2tp.message import Type, build
from harness.wire.proxy import AuthenType, Proxy
from harness.wire.retransmit import Schedule

LAC = L2tpConfig("lac", hello_s=0, max_sessions=20)
LNS = L2tpConfig("lns", hello_s=0, max_sessions=20, header_bits=header.ALL_BITS)
PROXY = Proxy(
    b"\x01\x04\x05\xdc", b"\x03\x05\xc2\x23\x05", b"\x01\x04\x05\xdc\x05\x06\x01\x02\x03\x04",
    AuthenType.CHAP, "user1", bytes(range(16)), 9, bytes(range(16, 32)),
)  # fmt: skip


def numbers(core: L2tpCore) -> set[int]:
    return {local for local, _, _ in core.calls}


def test_calls_come_and_go_without_the_tunnel(join: Any) -> None:
    link = join(LAC, LNS)
    link.lac.start(0.0, call=False)
    link.run(1)
    assert link.lac.calls == ()
    placed = [link.lac.place_call(link.now) for _ in range(5)]
    link.run(1)
    assert numbers(link.lac) == set(placed)
    assert link.lac.hang_up(link.now, placed[2])
    assert not link.lac.hang_up(link.now, placed[2])
    link.run(1)
    assert len(link.lac.calls) == len(link.lns.calls) == 4
    (down,) = link.of("lns", events.CallDown)
    assert (down.by_peer, down.result) == (True, 3)
    for local in placed:
        link.lac.hang_up(link.now, local)
    link.run(1)
    assert not link.lac.finished  # it began without a call
    requests = [message.values for message in link.messages("lac") if message.type is Type.ICRQ]
    assert [values["call-serial-number"] for values in requests] == [0, 1, 2, 3, 4]


def test_a_tunnel_that_began_with_a_call_ends_with_its_last(join: Any) -> None:
    link = join(LAC, LNS).up()
    other = link.lac.place_call(link.now)
    link.run(1)
    link.lac.hang_up(link.now, link.lac.session_local)
    link.run(1)
    assert not link.lac.finished
    link.lns.hang_up(link.now, next(local for local, remote, _ in link.lns.calls if remote == other))
    link.run(1)
    assert link.lac.finished
    (failed,) = link.of("lac", events.Failed)
    assert failed.reason == "CDN result 3 (call disconnected: administrative reasons)"


def test_the_answering_end_may_call_too(join: Any) -> None:
    link = join(LAC, LNS).up()
    local = link.lns.place_call(link.now)
    link.run(1)
    assert (local, "established") in {(local, state) for local, _, state in link.lns.calls}
    assert len(link.lac.calls) == 2


def test_data_goes_to_its_own_call(join: Any) -> None:
    link = join(LAC, LNS).up()
    other = link.lac.place_call(link.now)
    link.run(1)
    assert link.lac.send_data(link.now, b"first")
    assert link.lac.send_data(link.now, b"second", other)
    link.run(1)
    theirs = {remote: local for local, remote, _ in link.lns.calls}
    assert link.of("lns", Frame) == [Frame(b"first", theirs[link.lac.session_local]), Frame(b"second", theirs[other])]
    assert not link.lac.send_data(link.now, b"nowhere", 0)


def test_the_limit_is_kept_and_said(join: Any) -> None:
    link = join(LAC, replace(LNS, max_sessions=2)).up()
    for _ in range(3):
        link.lac.place_call(link.now)
    link.run(1)
    assert len(link.lac.calls) == len(link.lns.calls) == 2
    downs = link.of("lac", events.CallDown)
    assert [down.reason for down in downs] == ["CDN result 4 (call failed: no facilities for now)"] * 2
    assert not link.of("lac", events.Failed)


def test_a_client_takes_no_second_call(join: Any) -> None:
    link = join(L2tpConfig("client"), LNS).up()
    link.lns.place_call(link.now)
    link.run(1)
    assert [down.result for down in link.of("lns", events.CallDown)] == [4]
    assert link.lac.established


def test_ids_are_not_given_again_while_they_live_nor_soon_after(join: Any) -> None:
    """Even where every draw gives the same number."""
    link = join(LAC, LNS)
    link.lac = link.cores["lac"] = L2tpCore(LAC, lambda count: b"\7" * count)
    link.lac.start(0.0)
    link.run(1)
    given = [link.lac.session_local]
    for _ in range(REMEMBERED):
        given.append(link.lac.place_call(link.now))
        link.run(1)
        link.lac.hang_up(link.now, given[-1])
        link.run(1)
    assert len(set(given)) == REMEMBERED + 1
    assert link.lac.established


def test_what_is_late_for_a_call_is_not_a_strangers(join: Any) -> None:
    link = join(LAC, LNS).up()
    gone = link.lac.place_call(link.now)
    link.run(1)
    remote = next(remote for local, remote, _ in link.lac.calls if local == gone)
    link.lac.hang_up(link.now, gone)
    link.lns.send_data(link.now, b"late", remote)
    link.lns._send(Type.ICCN, gone, {"tx-connect-speed": 1, "framing-type": 1})
    link.run(1)
    assert not link.of("lac", events.Strange)
    link.lns._send(Type.ICCN, 0x4711 if gone != 0x4711 else 1, {"tx-connect-speed": 1, "framing-type": 1})
    link.lns._flush(link.now)
    link.run(1)
    assert [event.session for event in link.of("lac", events.Strange)] == [0x4711]


def test_a_call_that_is_given_up_before_it_is_answered(join: Any) -> None:
    """The CDN goes to session 0 and says by its own ID which call it means (§4.4.4)."""
    link = join(LAC, LNS).up()
    link.lac.hang_up(link.now, link.lac.place_call(link.now))
    link.run(1)
    assert len(link.lns.calls) == 1
    assert link.lns.established
    (down,) = link.of("lns", events.CallDown)
    assert down.session_local not in numbers(link.lns)


def test_an_outgoing_call_is_refused_for_good(join: Any) -> None:
    link = join(LAC, LNS).up()
    link.lns._send(Type.OCRQ, 0, {"assigned-session-id": 600, "call-serial-number": 1, "called-number": "5551234"})
    link.lns._flush(link.now)
    link.run(1)
    (cdn,) = (message for message in link.messages("lac") if message.type is Type.CDN)
    assert cdn.result == Result(5)
    assert cdn.number("assigned-session-id") != 0
    assert [header.parse(packet).session for packet in link.sent["lac"] if build(Type.CDN, cdn.values) in packet] == [600]
    assert link.lac.established
    assert link.lns.established


@pytest.mark.parametrize("kind", [Type.OCRP, Type.OCCN])
def test_an_answer_to_an_outgoing_call_that_nobody_placed_ends_that_call(join: Any, kind: Type) -> None:
    link = join(LAC, LNS).up()
    other = link.lac.place_call(link.now)
    link.run(1)
    link.lns._send(kind, other, {"assigned-session-id": 5})
    link.lns._flush(link.now)
    link.run(1)
    assert numbers(link.lac) == {link.lac.session_local}
    assert [message.result for message in link.messages("lac") if message.type is Type.CDN] == [Result(2, 3)]


def test_a_request_with_an_unknown_mandatory_avp_is_refused_alone(join: Any) -> None:
    link = join(LAC, LNS).up()
    body = build(Type.ICRQ, {"assigned-session-id": 500, "call-serial-number": 1}) + bytes.fromhex("8008000000ff0001")
    link.lac._channel.send("ICRQ", 0, body)
    link.lac._flush(link.now)
    link.run(1)
    assert [message.result for message in link.messages("lns") if message.type is Type.CDN] == [Result(2, 8)]
    assert link.lns.established


def test_a_tunnel_may_be_refused_beforehand() -> None:
    core = L2tpCore(LNS, random.Random(1).randbytes, tunnel_id=99, refuse=Result(2, 4, "no more tunnels"))
    request: dict[str, Value] = {"protocol-version": 0x0100, "host-name": "lac", "assigned-tunnel-id": 5}
    core.receive(0.0, header.build_control(0, 0, 0, 0, build(Type.SCCRQ, request)))
    (packet,) = core.take_packets()
    assert header.parse(packet).tunnel == 5
    assert build(Type.STOPCCN, {"assigned-tunnel-id": 99, "result-code": Result(2, 4, "no more tunnels")}) in packet
    core.receive(0.1, header.build_control(99, 0, 1, 1, b""))
    assert core.finished


def test_a_gateway_finds_its_cores_by_tunnel_id() -> None:
    assert tunnel_of(header.build_control(77, 5, 0, 0, b"")) == 77
    assert tunnel_of(header.build_data(78, 5, b"")) == 78
    assert tunnel_of(bytes.fromhex("0002004f0001")) == 79  # without a length
    for garbage in (b"", b"\xc8", bytes.fromhex("c803000c004d"), bytes(40)):
        assert tunnel_of(garbage) is None


# Sequence numbers and offsets in data


@pytest.mark.parametrize(("lac", "lns"), [("always", "follow"), ("follow", "always"), ("always", "always")])
def test_numbers_are_always_there_once_an_end_insists(join: Any, lac: str, lns: str) -> None:
    link = join(replace(LAC, sequencing=lac), replace(LNS, sequencing=lns)).up()
    for _ in range(3):
        link.lns.send_data(link.now, b"down")
        link.run(0.1)
        link.lac.send_data(link.now, b"up")
        link.run(0.1)
    for who in ("lac", "lns"):
        data = [header.parse(packet) for packet in link.sent[who] if not packet[0] & 0x80]
        assert [one.ns for one in data] == [0, 1, 2]
    (connect,) = (message for message in link.messages("lac") if message.type is Type.ICCN)
    assert ("sequencing-required" in connect.values) is (lac == "always")


def test_data_without_the_numbers_that_the_lac_requires_are_refused(join: Any) -> None:
    link = join(replace(LAC, sequencing="always"), LNS).up()
    for packet in (header.build_data(link.lns.tunnel_local, link.lns.session_local, b"bare"),):
        link.lns.receive(link.now, packet)
    (refused,) = link.lns.take_events()
    assert isinstance(refused, events.Refused)


def test_the_lac_stops_when_the_lns_does(join: Any) -> None:
    """§5.4: the LNS turns sequencing on and off."""
    link = join(LAC, LNS).up()
    ours = link.lac.tunnel_local, link.lac.session_local
    for sequence in ((0, 0), None):
        link.lac.receive(link.now, header.build_data(*ours, b"x", sequence))
        link.lac.send_data(link.now, b"y")
    assert [header.parse(packet).ns for packet in link.lac.take_packets()] == [0, None]


def test_numbered_data_over_a_link_that_reorders_only_ever_go_forward(join: Any) -> None:
    link = join(replace(LAC, sequencing="always"), LNS).up()
    link.spread, link.doubling = 1.0, 0.3
    for number in range(200):
        link.lac.send_data(link.now, number.to_bytes(2))
        link.run(0.05)
    link.run(5)
    got = [int.from_bytes(frame.frame) for frame in link.of("lns", Frame)]
    assert got == sorted(set(got))
    assert 20 < len(got) < 200


@pytest.mark.parametrize("offset", [0, 1, 40])
@pytest.mark.parametrize("sequencing", ["always", "follow"])
def test_an_offset_is_skipped(join: Any, offset: int, sequencing: str) -> None:
    link = join(replace(LAC, data_offset=offset, sequencing=sequencing), LNS).up()
    link.lac.send_data(link.now, b"frame")
    link.run(1)
    assert link.of("lns", Frame) == [Frame(b"frame", link.lns.session_local)]
    (packet,) = (packet for packet in link.sent["lac"] if not packet[0] & 0x80)
    assert len(packet) == (12 if sequencing == "always" else 8) + 2 + offset + 5


# What a LAC hands over


@pytest.mark.parametrize("hide", [frozenset(), HIDEABLE])
@pytest.mark.parametrize(
    "proxy",
    [
        PROXY,
        replace(PROXY, authen_type=AuthenType.PAP, authen_challenge=b"", authen_response=b"password"),
        Proxy(last_sent=b"\x01\x04\x05\xdc", last_received=b"\x01\x04\x05\xdc", authen_type=AuthenType.NONE),
        Proxy(authen_type=AuthenType.TEXTUAL, authen_name="user1", authen_response=b"password"),
    ],
)
def test_a_proxy_arrives_as_it_was_sent(join: Any, proxy: Proxy, hide: frozenset[str]) -> None:
    link = join(replace(LAC, secret=b"s", hide=hide), replace(LNS, secret=b"s"))
    link.lac.start(0.0, call=False)
    link.lac.place_call(0.0, proxy)
    link.run(1)
    assert [call.proxy for call in link.of("lns", events.CallUp)] == [proxy]
    assert [call.proxy for call in link.of("lac", events.CallUp)] == [None]
    assert (b"user1" in b"".join(link.sent["lac"])) is (not hide and bool(proxy.authen_name))


def test_a_client_that_hands_nothing_over_says_so(join: Any) -> None:
    link = join(LAC, LNS).up()
    assert [call.proxy for call in link.of("lns", events.CallUp)] == [None]


# What is malformed changes nothing


def state_of(core: L2tpCore) -> tuple[object, ...]:
    channel = core._channel
    return (
        core._tunnel.state, core.calls, core.tunnel_remote, core.finished, channel._nr, channel._first, len(channel._flight),
        len(channel._queue), channel.peer_window, channel.tunnel, core.deadline, core._handshake._peer_challenge,
    )  # fmt: skip


def cores(join: Any) -> dict[str, Callable[[], L2tpCore]]:
    secret: dict[str, Any] = {"secret": b"s", "challenge": True}

    def up(who: str) -> L2tpCore:
        link = join(replace(LAC, **secret), replace(LNS, **secret)).up()
        link.lac.place_call(link.now)
        link.run(1)
        core: L2tpCore = link.cores[who]
        return core

    def waiting() -> L2tpCore:
        core = L2tpCore(replace(LAC, **secret), random.Random(1).randbytes)
        core.start(0.0)
        core.take_packets()
        return core

    return {
        "idle": lambda: L2tpCore(LNS, random.Random(1).randbytes),
        "waiting": waiting,
        "lac": lambda: up("lac"),
        "lns": lambda: up("lns"),
    }


MALFORMED = {
    "an AVP shorter than its header": bytes.fromhex("8005000000"),
    "an AVP longer than the message": bytes.fromhex("8040000000070001"),
    "an AVP cut off": bytes.fromhex("80"),
    "a value too short": bytes.fromhex("80070000000900"),
    "a value too long": bytes.fromhex("80090000000a000102"),
    "an AVP twice": encode("receive-window-size", 4) * 2,
}


@pytest.mark.parametrize("state", ["idle", "waiting", "lac", "lns"])
@pytest.mark.parametrize("kind", list(Type))
def test_a_malformed_message_changes_nothing_and_is_not_acknowledged(join: Any, state: str, kind: Type) -> None:
    core = cores(join)[state]()
    given: dict[str, Value] = {"result-code": Result(1), "assigned-session-id": 9, "assigned-tunnel-id": 9}
    whole = build(kind, given | {"protocol-version": 0x0100, "host-name": "x"})
    channel = core._channel
    for bad in MALFORMED.values():
        for tunnel in (0, core.tunnel_local):
            for session in (0, core.session_local):
                before = state_of(core)
                core.receive(50.0, header.build_control(tunnel, session, channel._nr, channel._first, whole + bad))
                assert state_of(core) == before
                assert [type(event).__name__ for event in core.take_events()] == ["Refused"]
                assert core.take_packets() == []


@pytest.mark.parametrize("state", ["idle", "waiting", "lac", "lns"])
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture is a class
@given(data=st.data())
def test_what_is_refused_unread_changes_nothing(join: Any, state: str, data: st.DataObject) -> None:
    """Any bytes, and any header over any bytes: nothing raises, and what a core could not read leaves it as it was."""
    core = cores(join)[state]()
    packets = st.one_of(
        st.binary(max_size=60),
        st.builds(
            lambda bits, tunnel, rest: bits.to_bytes(2) + tunnel.to_bytes(2) + rest,
            st.integers(0, 0xFFFF),
            st.sampled_from([0, core.tunnel_local, 7]),
            st.binary(max_size=40),
        ),
        st.builds(
            lambda session, ns, body: header.build_control(core.tunnel_local, session, ns, core._channel._first, body),
            st.sampled_from([0, core.session_local, 5]),
            st.integers(0, 6),
            st.binary(min_size=1, max_size=30),
        ),
    )
    for packet in data.draw(st.lists(packets, max_size=5)):
        before = state_of(core)
        core.receive(50.0, packet)
        told = core.take_events()
        if all(isinstance(event, events.Refused | events.Strange) for event in told) and not core.take_packets():
            assert state_of(core) == before


@pytest.mark.parametrize("seed", range(10))
def test_a_busy_tunnel_over_a_bad_link_ends_as_both_ends_think(join: Any, seed: int) -> None:
    """Calls are placed and hung up from both ends at random while packets are lost, doubled and reordered."""
    patient: dict[str, Any] = {"schedule": Schedule((1.0,) * 80), "max_sessions": 6}
    link = join(replace(LAC, **patient), replace(LNS, **patient), seed)
    link.loss, link.doubling, link.spread = 0.2, 0.2, 2.0
    link.lac.start(0.0, call=False)
    link.run(30)
    chance = random.Random(seed)
    for _ in range(40):
        who = chance.choice(("lac", "lns"))
        core = link.cores[who]
        if chance.random() < 0.6:
            core.place_call(link.now)
        elif core.calls:
            core.hang_up(link.now, chance.choice(core.calls)[0])
        link.run(chance.random() * 4)
    link.run(400)
    ends = [{(local, remote) for local, remote, state in core.calls if state == "established"} for core in (link.lac, link.lns)]
    assert len(link.lac.calls) == len(ends[0])
    assert ends[0] == {(remote, local) for local, remote in ends[1]}
    assert not link.of("lac", events.Failed)
    assert not link.of("lac", events.Strange)
    link.lac.close(link.now)
    link.run(60)
    assert link.lac.finished
    assert link.lns.finished
