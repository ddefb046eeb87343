"""Whole links: two cores joined, then one core against frames written by hand, as pppd and others send them."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire import events
from harness.wire.config import PppConfig
from harness.wire.ppp import PppCore, frame, packet
from harness.wire.ppp.core import Phase
from harness.wire.ppp.packet import Code, Option, Packet

LCP, IPCP, CHAP, PAP, CCP, IP = 0xC021, 0x8021, 0xC223, 0xC023, 0x80FD, 0x0021
PING = bytes.fromhex("4500001c00000000400166d8") + bytes(16)


def client(**changes: object) -> PppConfig:
    return PppConfig(**{"user": "user1", "password": "pw1", **changes})  # type: ignore[arg-type]


def server(**changes: object) -> PppConfig:
    given = {
        "user": "", "password": "", "accept": (), "demand": "mschapv2", "secrets": {"user1": "pw1"}, "name": "lns", "echo_s": None,
        "local_address": "172.16.1.1", "assign": "172.16.1.10", "assign_dns": ("172.16.1.1",), "request_dns": False,
    }  # fmt: skip
    return PppConfig(**{**given, **changes})  # type: ignore[arg-type]


class Pair:
    def __init__(self, one: PppConfig, other: PppConfig, seed: int = 1) -> None:
        self.client = PppCore(one, random.Random(seed).randbytes)
        self.server = PppCore(other, random.Random(seed + 99).randbytes)
        self.now = 0.0
        self.told: list[events.Event] = []
        self.server_told: list[events.Event] = []
        self.sent: list[bytes] = []
        self.lose: Callable[[bool, bytes], bool] = lambda to_server, data: False

    def settle(self) -> None:
        for _ in range(100):
            there, back = self.client.take_frames(), self.server.take_frames()
            self.told += self.client.take_events()
            self.server_told += self.server.take_events()
            if not there and not back:
                return
            self.sent += there
            for data in there:
                if not self.lose(True, data):
                    self.server.receive(self.now, data)
            for data in back:
                if not self.lose(False, data):
                    self.client.receive(self.now, data)
        raise AssertionError("the two never fall quiet")

    def start(self) -> Pair:
        self.client.open(self.now)
        self.server.open(self.now)
        self.settle()
        return self

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            due = min((d for d in (self.client.deadline, self.server.deadline) if d is not None), default=None)
            if due is None or due > end:
                self.now = end
                return
            self.now = max(due, self.now)
            self.client.tick(self.now)
            self.server.tick(self.now)
            self.settle()

    @property
    def failed(self) -> events.Failed:
        (one,) = (event for event in self.told if isinstance(event, events.Failed))
        return one


def kinds(told: list[events.Event]) -> list[str]:
    return [type(event).__name__ for event in told]


@pytest.mark.parametrize("method", ["mschapv2", "chap-md5"])
def test_a_link_comes_up(method: str) -> None:
    pair = Pair(client(), server(demand=method)).start()
    assert pair.told == [
        events.LcpUp(1400, method),
        events.Authenticated(method, "Access granted"),
        events.PppUp("172.16.1.10", "172.16.1.1", ("172.16.1.1",)),
    ]
    assert pair.client.address == "172.16.1.10"


def test_a_link_without_authentication_comes_up() -> None:
    pair = Pair(client(), server(demand=None)).start()
    assert kinds(pair.told) == ["LcpUp", "PppUp"]
    assert pair.told[0] == events.LcpUp(1400, "none")


@pytest.mark.parametrize("compression", [True, False])
def test_ip_goes_both_ways(compression: bool) -> None:
    pair = Pair(client(compression=compression), server(compression=compression)).start()
    data = pair.client.send_ip(PING)
    assert data is not None
    assert data == (b"\x21" if compression else b"\xff\x03\x00\x21") + PING
    pair.server.receive(0.0, data)
    assert pair.server.take_events() == [events.IpPacket(PING)]


@pytest.mark.parametrize("lost", range(16))
@pytest.mark.parametrize("to_server", [True, False])
def test_any_one_frame_may_be_lost(lost: int, to_server: bool) -> None:
    pair = Pair(client(), server())
    count = -1

    def lose(direction: bool, data: bytes) -> bool:
        nonlocal count
        count += direction is to_server
        return direction is to_server and count == lost

    pair.lose = lose
    pair.start()
    pair.run(30.0)
    assert pair.client.address == "172.16.1.10"
    assert pair.server.address == "172.16.1.1"
    assert "Failed" not in kinds(pair.told)


@pytest.mark.parametrize("seed", range(6))
def test_a_third_of_all_frames_may_be_lost(seed: int) -> None:
    pair = Pair(client(), server(), seed)
    chance = random.Random(seed)
    pair.lose = lambda to_server, data: chance.random() < 0.33
    pair.start()
    for _ in range(100):
        pair.run(3.0)
        if pair.client.address and pair.server.address:
            break
    assert pair.client.address == "172.16.1.10"


def test_a_wrong_password_is_told_as_windows_would() -> None:
    pair = Pair(client(password="wrong"), server()).start()
    assert pair.failed.stage == "PPP authentication"
    assert pair.failed.reason == "MS-CHAPv2 failure E=691 (wrong user name or password)"
    assert pair.failed.facts["by"] == "gateway"
    pair.run(10.0)
    assert pair.client.finished
    assert pair.client.deadline is None


def test_an_authentication_that_is_not_accepted_is_naked_with_the_best() -> None:
    pair = Pair(client(accept=("mschapv2",)), server(demand="chap-md5")).start()
    nak = packet.build(Packet(Code.CONFIGURE_NAK, 1, bytes.fromhex("0305c22381")))
    assert frame.build(LCP, nak) in pair.sent
    pair.run(60.0)
    assert pair.failed.stage == "PPP authentication"
    assert "the peer asked for CHAP-MD5, which is not accepted" in pair.failed.reason


def test_nothing_but_pap_fails_as_authentication() -> None:
    """The peer repeats its demand for PAP until our schedule ends."""
    core = PppCore(client(), random.Random(1).randbytes)
    core.open(0.0)
    for second in range(0, 60, 3):
        ours = [frame.parse(data)[1] for data in core.take_frames()]
        for data in ours:
            if data[0] == Code.CONFIGURE_REQUEST:
                core.receive(float(second), frame.build(LCP, b"\x02" + data[1:]))
        core.receive(float(second), frame.build(LCP, bytes.fromhex("01090008" "0304c023")))
        core.tick(float(second))
    (failed,) = (event for event in core.take_events() if isinstance(event, events.Failed))
    assert failed.stage == "PPP authentication"
    assert failed.reason.endswith("the peer asked for PAP, which is not accepted")


def test_a_silent_peer_fails_lcp() -> None:
    pair = Pair(client(), server())
    pair.lose = lambda to_server, data: True
    pair.start()
    pair.run(60.0)
    assert (pair.failed.stage, pair.failed.reason) == ("LCP", "no answer to 10 LCP Configure-Requests")
    assert pair.failed.facts["by"] == "silence"
    assert pair.client.finished


def test_lost_echoes_end_the_link() -> None:
    pair = Pair(client(), server()).start()
    pair.run(100.0)
    assert pair.client.address is not None
    pair.lose = lambda to_server, data: True
    pair.run(60.0)
    assert kinds(pair.told)[3:] == ["PppDown", "Failed"]
    assert pair.failed.reason == "no answer to 4 LCP Echo-Requests"
    assert pair.client.finished


def test_close_is_acknowledged() -> None:
    pair = Pair(client(), server()).start()
    pair.client.close(0.0)
    pair.settle()
    assert pair.told[3:] == [events.PppDown(False, "closed")]
    assert pair.client.finished
    assert kinds(pair.server_told) == ["LcpUp", "Authenticated", "PppUp", "PppDown", "Failed"]


def test_close_into_silence_ends_after_two_attempts() -> None:
    pair = Pair(client(), server()).start()
    pair.lose = lambda to_server, data: True
    before = len(pair.sent)
    pair.client.close(0.0)
    pair.settle()
    pair.run(20.0)
    assert pair.client.finished
    assert [frame.parse(data)[1][0] for data in pair.sent[before:]] == [Code.TERMINATE_REQUEST] * 2


def test_the_peers_terminate_is_acknowledged_and_its_reason_told() -> None:
    pair = Pair(client(), server()).start()
    pair.client.receive(1.0, frame.build(LCP, packet.build(Packet(Code.TERMINATE_REQUEST, 77, b"No network protocols running"))))
    assert frame.build(LCP, bytes.fromhex("064d0004")) in pair.client.take_frames()
    down, failed = pair.client.take_events()
    assert down == events.PppDown(True, "the peer sent an LCP Terminate-Request: No network protocols running")
    assert isinstance(failed, events.Failed)
    assert failed.facts["by"] == "gateway"


def test_ccp_is_protocol_rejected() -> None:
    """pppd offers CCP unless told `noccp` (RFC 1661 §5.7)."""
    pair = Pair(client(), server()).start()
    pair.client.receive(0.0, frame.build(CCP, bytes.fromhex("0101000f 1a0478001804 7800 150328".replace(" ", ""))))
    (rejected,) = pair.client.take_frames()
    assert frame.parse(rejected)[1][4:] == bytes.fromhex("80fd0101000f1a0478001804") + bytes.fromhex("7800150328")
    assert frame.parse(rejected)[1][0] == Code.PROTOCOL_REJECT


def test_an_unknown_code_is_code_rejected() -> None:
    pair = Pair(client(), server()).start()
    pair.client.receive(0.0, frame.build(LCP, bytes.fromhex("0e050008deadbeef")))
    (rejected,) = pair.client.take_frames()
    assert frame.parse(rejected)[1][4:] == bytes.fromhex("0e050008deadbeef")
    assert pair.client.address is not None


def test_an_echo_is_answered_with_our_own_magic() -> None:
    pair = Pair(client(), server()).start()
    pair.client.receive(0.0, frame.build(LCP, bytes.fromhex("0907000c11223344") + b"ping"))
    (reply,) = pair.client.take_frames()
    data = frame.parse(reply)[1]
    assert data[:4] == bytes.fromhex("0a07000c")
    assert data[4:8] == pair.client._lcp_options.magic
    assert data[8:] == b"ping"


def test_a_looped_link_is_noticed() -> None:
    core = PppCore(client(), random.Random(1).randbytes)
    core.open(0.0)
    now = 0.0
    for _ in range(40):
        for data in core.take_frames():
            core.receive(now, data)
        now += 3.0
        core.tick(now)
    failures = [event for event in core.take_events() if isinstance(event, events.Failed)]
    assert [event.reason for event in failures] == ["the link is looped back: our own magic number came in"]


def drive(core: PppCore, *information: str) -> list[Packet]:
    """LCP packets, in hexadecimal; returns what comes back, without our own requests."""
    core.take_frames()
    for text in information:
        core.receive(0.0, frame.build(LCP, bytes.fromhex(text.replace(" ", ""))))
    packets = [packet.parse("lcp", frame.parse(data)[1]) for data in core.take_frames()]
    return [one for one in packets if one.code != Code.CONFIGURE_REQUEST]


def opened() -> PppCore:
    core = PppCore(client(), random.Random(1).randbytes)
    core.open(0.0)
    return core


def test_what_pppd_offers_is_acknowledged() -> None:
    """pppd 2.4.9's first request with `mtu 1280 require-mschap-v2`: MRU, ACCM, MS-CHAPv2, magic, PFC, ACFC."""
    request = "0101 001d 0104 0500 0206 00000000 0305 c22381 0506 a1b2c3d4 0702 0802"
    (answer,) = drive(opened(), request)
    assert answer == Packet(Code.CONFIGURE_ACK, 1, bytes.fromhex(request.replace(" ", ""))[4:])


def test_what_is_unknown_is_rejected_and_only_that() -> None:
    """Callback (13) and MRRU (17), as Windows offers them, and a link quality protocol (4)."""
    (answer,) = drive(opened(), "0102 0017 0d03 06 1104 064e 0506 a1b2c3d4 0406 c0250000".replace("0017", "0017"))
    assert answer.code == Code.CONFIGURE_REJECT
    assert [option.type for option in packet.parse_options("lcp", answer.data)] == [13, 17, 4]


def test_a_tiny_mru_is_naked() -> None:
    (answer,) = drive(opened(), "0101 0008 0104 0010")
    assert answer == Packet(Code.CONFIGURE_NAK, 1, bytes.fromhex("01040080"))


def test_naks_become_rejects_after_five() -> None:
    """RFC 1661 §4.6, Max-Failure."""
    answers = drive(opened(), *(f"01{number:02x} 0008 0104 0010" for number in range(1, 8)))
    assert [answer.code for answer in answers] == [Code.CONFIGURE_NAK] * 5 + [Code.CONFIGURE_REJECT, Code.CONFIGURE_NAK]


def test_our_options_follow_nak_and_reject() -> None:
    core = opened()
    core.take_frames()
    core.receive(0.0, frame.build(LCP, bytes.fromhex("0301 0008 0104 05dc".replace(" ", ""))))
    (again,) = core.take_frames()
    data = frame.parse(again)[1]
    assert data[4:8] == bytes.fromhex("010405dc")
    core.receive(0.0, frame.build(LCP, bytes.fromhex("0402 0008 0702 0802".replace(" ", ""))))
    (again,) = core.take_frames()
    options = packet.parse_options("lcp", frame.parse(again)[1][4:])
    assert [option.type for option in options] == [1, 5]


@pytest.mark.parametrize(
    "information",
    [
        "0209 0004",  # an Ack of no request of ours
        "0201 0008 0104 0500",  # of ours, with other options
        "0401 0006 0d02",  # a Reject of what was not asked
        "0401 0004",  # of nothing
        "0101 0006 0101",  # an option shorter than its header
        "0101 0007 010405",  # cut off
        "0101 0003",
        "01",
    ],
)
def test_what_answers_nothing_of_ours_is_refused_and_changes_nothing(information: str) -> None:
    core = opened()
    core.take_frames()
    core.receive(0.0, frame.build(LCP, bytes.fromhex(information.replace(" ", ""))))
    assert kinds(core.take_events()) == ["Refused"]
    assert core.take_frames() == []


def test_van_jacobson_is_rejected_and_the_address_assigned() -> None:
    """pppd's first IPCP request: address 172.16.1.1 and VJ compression (RFC 1332 §3.2)."""
    pair = Pair(client(), server()).start()
    core = pair.client
    request = bytes.fromhex("0109 0010 0306 ac100101 0206 002d0f01".replace(" ", ""))
    core.receive(0.0, frame.build(IPCP, request))
    answers = [frame.parse(data)[1] for data in core.take_frames() if frame.parse(data)[0] == IPCP]
    assert bytes.fromhex("0409000a0206002d0f01") in answers


def test_ipcp_before_authentication_is_dropped() -> None:
    """RFC 1661 §3.5."""
    pair = Pair(client(), server())
    pair.lose = lambda to_server, data: frame.parse(data)[0] == CHAP
    pair.start()
    assert pair.client.phase is Phase.AUTHENTICATE
    pair.client.receive(0.0, frame.build(IPCP, bytes.fromhex("0101000a0306ac100101")))
    assert kinds(pair.client.take_events()) == ["Refused"]
    assert pair.client.send_ip(PING) is None


def test_a_peer_that_rejects_ipcp_ends_the_link() -> None:
    pair = Pair(client(), server()).start()
    pair.client.receive(0.0, frame.build(LCP, bytes.fromhex("0801000a80210101 0004".replace(" ", ""))))
    failed = pair.client.take_events()[-1]
    assert isinstance(failed, events.Failed)
    assert (failed.stage, failed.reason) == ("IPCP", "the peer rejects IPCP")


def test_a_peer_without_an_address_for_us_fails_ipcp() -> None:
    pair = Pair(client(), server(assign=None)).start()
    pair.run(60.0)
    assert pair.failed.stage == "IPCP"


def test_lcp_may_begin_again_while_the_link_is_up() -> None:
    pair = Pair(client(), server()).start()
    pair.server._lcp.down(0.0)
    pair.server._lcp.up(0.0)
    pair.server._settle(0.0)
    pair.settle()
    pair.run(10.0)
    assert kinds(pair.told) == ["LcpUp", "Authenticated", "PppUp", "PppDown", "LcpUp", "Authenticated", "PppUp"]
    assert pair.client.address == "172.16.1.10"


def test_a_link_needs_names_of_methods_that_exist() -> None:
    with pytest.raises(ProtocolError):
        PppCore(client(accept=("eap-tls",)), bytes)


@given(st.binary(max_size=40))
def test_frames_of_any_bytes(data: bytes) -> None:
    with suppress(ProtocolError):
        protocol, information = frame.parse(data)
        assert protocol & 1
        assert data.endswith(information)
    frame.inner_ip(data)


@given(st.integers(0, 0x7FFF).map(lambda n: (n >> 7 << 9 | (n & 0x7F) << 1 | 1) & 0xFEFF), st.binary(max_size=20))
def test_frames_there_and_back(protocol: int, information: bytes) -> None:
    for short_address in (True, False):
        for short_protocol in (True, False):
            data = frame.build(protocol, information, short_address=short_address, short_protocol=short_protocol)
            assert frame.parse(data) == (protocol, information)


options = st.lists(st.builds(Option, st.integers(0, 255), st.binary(max_size=20)), max_size=8).map(tuple)


@given(st.integers(0, 255), st.integers(0, 255), options)
def test_packets_and_options_there_and_back(code: int, identifier: int, given: tuple[Option, ...]) -> None:
    data = packet.build_options(given)
    assert packet.parse("lcp", packet.build(Packet(code, identifier, data)) + b"padding") == Packet(code, identifier, data)
    assert packet.parse_options("lcp", data) == given


def states() -> dict[str, Callable[[], PppCore]]:
    def authenticating() -> PppCore:
        pair = Pair(client(), server())
        pair.lose = lambda to_server, data: frame.parse(data)[0] == CHAP
        return pair.start().client

    def up() -> PppCore:
        return Pair(client(), server()).start().client

    def closing() -> PppCore:
        core = up()
        core.close(0.0)
        return core

    def dead() -> PppCore:
        return PppCore(client(), random.Random(1).randbytes)

    def serving() -> PppCore:
        return Pair(client(), server()).start().server

    def asking(method: str) -> Callable[[], PppCore]:
        def begin() -> PppCore:
            pair = Pair(client(accept=(method,)), server(demand=method, assign=lambda user: None, retries=2))
            pair.lose = lambda to_server, data: to_server and frame.parse(data)[0] in (CHAP, PAP)
            return pair.start().server

        return begin

    return {
        "dead": dead, "opened": opened, "authenticating": authenticating, "up": up, "closing": closing, "serving": serving,
        "asking by PAP": asking("pap"), "asking by MS-CHAPv1": asking("mschapv1"),
    }  # fmt: skip


@pytest.mark.parametrize("state", states())
@settings(max_examples=60)
@given(data=st.data())
def test_any_frames_in_any_state_only_make_events(state: str, data: st.DataObject) -> None:
    core = states()[state]()
    well_formed = st.builds(
        lambda protocol, code, identifier, body: frame.build(protocol, packet.build(Packet(code, identifier, body))),
        st.sampled_from([LCP, IPCP, CHAP, PAP, CCP, IP]),
        st.integers(0, 15),
        st.integers(0, 6),
        st.one_of(st.binary(max_size=24), options.map(packet.build_options), st.just(b"\x05user1\x03pw1")),
    )
    for number, one in enumerate(data.draw(st.lists(st.one_of(st.binary(max_size=60), well_formed), max_size=8))):
        core.receive(float(number), one)
        core.tick(float(number))
        assert len(core.take_frames()) <= 12
        assert sum(isinstance(event, events.Failed) for event in core.take_events()) <= 1
