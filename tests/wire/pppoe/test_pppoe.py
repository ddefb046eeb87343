"""PPP over Ethernet (RFC 2516): the table, both ends against each other, what is repeated and refused; and as tshark reads it."""

from __future__ import annotations

import json
import random
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.lab.packages import find_program
from harness.probes.pcap import PcapWriter
from harness.wire.pppoe import Arrived, Closed, Concentrator, Host, Opened
from harness.wire.pppoe.host import TABLE, Event, State
from harness.wire.pppoe.packet import BROADCAST, DISCOVERY, MOST, SESSION, Code, Frame, Tag, build, parse

HOST, OTHER, LAC = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x0a"
LCP = b"\xff\x03\xc0\x21\x01\x01\x00\x04"
ETHERNET = 1


class Segment:
    """A wire with one concentrator and any number of hosts, which loses frames where `lose` says so. `seen` has all of them."""

    def __init__(self, **limits):
        self.entropy = random.Random(5).randbytes
        self.concentrator = Concentrator("LAC", LAC, self.entropy, **limits)
        self.hosts = []
        self.seen = []
        self.lose = lambda frame: False
        self.now = 0.0

    def host(self, address=HOST, **options):
        self.hosts.append(Host(address, self.entropy, **options))
        return self.hosts[-1]

    def settle(self):
        moving = True
        while moving:
            sent = [frame for end in (*self.hosts, self.concentrator) for frame in end.take_frames()]
            moving = bool(sent)
            self.seen += sent
            for data in sent:
                if not self.lose(parse(data)):
                    self.concentrator.receive(data)
                    for host in self.hosts:
                        host.receive(self.now, data)

    def wait(self, seconds):
        end = self.now + seconds
        while (due := min((one.deadline or end + 1 for one in self.hosts), default=end + 1)) <= end:
            self.now = due
            for host in self.hosts:
                host.tick(self.now)
            self.settle()
        self.now = end

    def called(self, **options):
        host = self.host(**options)
        host.open(self.now)
        self.settle()
        return host

    def codes(self):
        return [parse(data).code for data in self.seen]


@pytest.fixture
def segment():
    return Segment()


# --- the table ---

EXPECTED = {
    State.IDLE: {Event.OPEN: State.SOLICITING, Event.CLOSE: State.OVER},
    State.SOLICITING: {Event.OFFER: State.REQUESTING, Event.SILENCE: State.OVER, Event.CLOSE: State.OVER},
    State.REQUESTING: {
        Event.OFFER: State.REQUESTING, Event.CONFIRMED: State.OPEN, Event.REFUSED: State.OVER, Event.SILENCE: State.OVER,
        Event.CLOSE: State.OVER,
    },
    State.OPEN: {
        Event.OFFER: State.OPEN, Event.CONFIRMED: State.OPEN, Event.TERMINATED: State.OVER, Event.CLOSE: State.OVER,
    },
    State.OVER: dict.fromkeys((Event.OFFER, Event.CONFIRMED, Event.REFUSED, Event.TERMINATED, Event.CLOSE), State.OVER),
}  # fmt: skip


def test_every_pair_of_state_and_event():
    found = {state: {event: to for (at, event), (_, to) in TABLE.rows.items() if at is state} for state in State}
    assert found == EXPECTED
    assert len(TABLE.rows) + len(TABLE.unlisted()) == len(State) * len(Event)


# --- both ends ---


def test_a_call_from_its_solicitation_to_its_end(segment):
    host = segment.called()
    assert (host.state, host.session, host.peer, host.concentrator) == (State.OPEN, 1, LAC, "LAC")
    assert segment.codes() == [Code.PADI, Code.PADO, Code.PADR, Code.PADS]
    assert segment.concentrator.take_events() == [Opened(1, HOST)]
    host.send(LCP)
    segment.concentrator.send(1, LCP + b"x")
    segment.settle()
    assert segment.concentrator.take_events() == [Arrived(1, LCP)]
    assert host.take_ppp() == [LCP + b"x"]
    assert all(b"\xff\x03\xc0\x21" not in data for data in segment.seen)  # no address and control on Ethernet (§7)
    host.close(segment.now)
    segment.settle()
    assert segment.concentrator.take_events() == [Closed(1)]
    assert (host.state, segment.concentrator.sessions) == (State.OVER, {})


def test_the_concentrator_ends_it(segment):
    host = segment.called()
    segment.concentrator.end(1)
    segment.settle()
    assert (host.state, host.reason) == (State.OVER, "the concentrator has ended the session")
    host.send(LCP)
    assert not host.take_frames()


def test_hosts_on_one_card_have_sessions_of_their_own(segment):
    first, second, third = segment.called(), segment.called(), segment.called(address=OTHER)
    assert [one.session for one in (first, second, third)] == [1, 2, 3]
    segment.concentrator.send(2, LCP)
    segment.settle()
    assert [len(one.take_ppp()) for one in (first, second, third)] == [0, 1, 0]
    segment.concentrator.end(1)
    segment.settle()
    assert [one.state for one in (first, second, third)] == [State.OVER, State.OPEN, State.OPEN]
    assert segment.called().session == 4  # no number again that was just somebody's


@pytest.mark.parametrize("code", [Code.PADI, Code.PADO, Code.PADR, Code.PADS])
def test_each_message_may_be_lost_once(segment, code):
    lost = []

    def lose(frame):
        if frame.code == code and not lost:
            lost.append(frame)
            return True
        return False

    segment.lose = lose
    host = segment.called()
    assert host.state is not State.OPEN
    segment.wait(20)
    assert (host.state, host.session) == (State.OPEN, 1)
    assert segment.concentrator.take_events() == [Opened(1, HOST)]  # a request that is repeated is no second call


@pytest.mark.parametrize(
    ("code", "reason"), [(Code.PADO, "nobody offers to take the call"), (Code.PADS, "its request was not answered")]
)
def test_a_host_that_is_not_answered_gives_up(segment, code, reason):
    segment.lose = lambda frame: frame.code == code
    host = segment.called()
    segment.wait(14.9)
    assert host.state in (State.SOLICITING, State.REQUESTING)
    segment.wait(0.2)
    assert (host.state, host.reason) == (State.OVER, reason)
    assert segment.codes().count(Code.PADI if code is Code.PADO else Code.PADR) == 4


def test_who_gave_up_takes_no_session_any_more(segment):
    segment.lose = lambda frame: frame.code == Code.PADS
    host = segment.called()
    host.close(segment.now, "hung up")
    segment.lose = lambda frame: False
    request = next(data for data in segment.seen if parse(data).code == Code.PADR)
    segment.concentrator.receive(request)  # once more, late
    segment.settle()
    assert (host.state, host.reason) == (State.OVER, "hung up")
    assert segment.concentrator.sessions == {}


@pytest.mark.parametrize("limits", [{"most": 1}, {"per_host": 1}])
def test_no_more_sessions_than_there_may_be(limits):
    segment = Segment(**limits)
    segment.called()
    second = segment.called()
    assert (second.state, second.reason) == (State.OVER, "AC_SYSTEM_ERROR: no session is left")
    assert segment.called(address=OTHER).state is (State.OVER if "most" in limits else State.OPEN)


def test_a_host_takes_the_concentrator_that_it_wants(segment):
    other = Concentrator("OTHER", OTHER, segment.entropy)
    host = segment.host(concentrator="LAC")
    host.open(0.0)
    (padi,) = host.take_frames()
    other.receive(padi)
    for data in other.take_frames():
        host.receive(0.0, data)
    assert host.state is State.SOLICITING
    segment.concentrator.receive(padi)
    segment.settle()
    assert host.peer == LAC


def test_a_request_without_the_cookie_gets_nothing(segment):
    tags = ((Tag.SERVICE_NAME, b""), (Tag.HOST_UNIQ, b"h"))
    segment.concentrator.receive(build(Frame(LAC, HOST, Code.PADR, tags=tags)))
    stolen = ((Tag.AC_COOKIE, segment.concentrator._cookie(OTHER)),)
    segment.concentrator.receive(build(Frame(LAC, HOST, Code.PADR, tags=(*tags, *stolen))))
    assert not segment.concentrator.take_frames()
    assert not segment.concentrator.sessions


def test_frames_of_others_end_nothing(segment):
    host = segment.called()
    for src, session in ((OTHER, 1), (LAC, 2)):
        host.receive(0.0, build(Frame(HOST, src, Code.PADT, session)))
    for src, session in ((OTHER, 1), (HOST, 9)):
        segment.concentrator.receive(build(Frame(LAC, src, Code.PADT, session)))
    assert host.state is State.OPEN
    assert segment.concentrator.sessions == {1: HOST}


def test_a_host_whose_session_is_gone_is_told(segment):
    segment.concentrator.receive(build(Frame(LAC, HOST, Code.SESSION, 7, payload=LCP[2:])))
    (answer,) = map(parse, segment.concentrator.take_frames())
    assert (answer.code, answer.session, answer.dst) == (Code.PADT, 7, HOST)


# --- frames ---

addresses = st.binary(min_size=6, max_size=6)
tags = st.lists(st.tuples(st.sampled_from([one for one in Tag if one is not Tag.END_OF_LIST]), st.binary(max_size=40)), max_size=8)
discovery = st.builds(
    Frame, addresses, addresses, st.sampled_from([one for one in Code if one is not Code.SESSION]), st.integers(0, 0xFFFF),
    tags.map(tuple),
)  # fmt: skip
sessions = st.builds(
    Frame, addresses, addresses, st.just(Code.SESSION), st.integers(0, 0xFFFF), payload=st.binary(max_size=200)
)


@given(st.one_of(discovery, sessions), st.binary(max_size=46))
def test_frames_are_read_as_they_were_built_whatever_pads_them(frame, padding):
    assert parse(build(frame) + padding) == frame


@given(st.binary(max_size=80), st.sampled_from([DISCOVERY, SESSION]))
def test_no_bytes_do_more_than_be_refused(data, kind):
    segment = Segment()
    host = segment.called()
    for end in (LAC, BROADCAST, HOST):
        frame = end + OTHER + kind.to_bytes(2) + data
        for receive in (segment.concentrator.receive, lambda one: host.receive(0.0, one)):
            with suppress(ProtocolError):
                receive(frame)
    assert host.state is State.OPEN


def test_what_does_not_fit_a_frame_is_refused():
    build(Frame(LAC, HOST, Code.SESSION, 1, payload=bytes(MOST)))
    with pytest.raises(ProtocolError):
        build(Frame(LAC, HOST, Code.SESSION, 1, payload=bytes(MOST + 1)))


# --- as others read it ---


@pytest.mark.skipif(find_program("tshark") is None, reason="no tshark (natstorm setup)")
def test_tshark_reads_a_call_as_we_do(segment, tmp_path):
    host = segment.called(service="internet")
    host.send(LCP)
    segment.settle()
    host.close(segment.now)
    segment.settle()
    path = tmp_path / "call.pcap"
    writer = PcapWriter(path, ETHERNET)
    for number, data in enumerate(segment.seen):
        writer.write(number * 1_000_000, data.ljust(60, b"\0"))
    writer.close()
    said = subprocess.run(
        [find_program("tshark"), "-r", path, "-T", "json", "-e", "pppoe.code", "-e", "pppoe.session_id", "-e",
         "pppoed.tags.ac_name", "-e", "pppoed.tags.service_name", "-e", "ppp.protocol", "-e", "_ws.expert.message"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    frames = [one["_source"].get("layers", {}) for one in json.loads(said.stdout)]
    codes = [int(one["pppoe.code"][0], 16) for one in frames]
    assert codes == [Code.PADI, Code.PADO, Code.PADR, Code.PADS, Code.SESSION, Code.PADT]
    assert [int(one["pppoe.session_id"][0], 16) for one in frames] == [0, 0, 0, 1, 1, 1]
    assert frames[1]["pppoed.tags.ac_name"] == ["LAC"]
    assert {name for one in frames[:4] for name in one["pppoed.tags.service_name"]} == {"internet"}
    assert frames[4]["ppp.protocol"] == ["0xc021"]
    assert not [one for one in frames if "_ws.expert.message" in one]
