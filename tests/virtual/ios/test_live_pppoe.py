"""Callers that come to a live virtual IOS router by PPPoE: their calls go the way of those on its lines."""

from __future__ import annotations

import random

import pytest
from live import Live
from test_live_vpdn import Routers
from vpdn_bench import LAC, LNS, LNS_PPP

from harness.simulation.link import Alarm
from harness.simulation.loop import SimulatedLoop
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.meaning_pppoe import PppoeAccess, accesses
from harness.virtual.vpdn.ethernet_caller import EthernetCaller
from harness.wire.config import PppConfig
from harness.wire.pppoe.packet import BROADCAST, Code, Frame, Tag, build, parse

PORT, CARD = "FastEthernet1/0", b"\x02\0\0\0\0\x01"
ROUTER = b"\x02\0\0\0\0\x0a"
DELAY_S = 0.002
TEMPLATE = ("interface Virtual-Template1", "ip unnumbered FastEthernet0/0", "ppp authentication chap")
PROFILE = ("bba-group pppoe global", "virtual-template 1", *TEMPLATE, f"interface {PORT}", "pppoe enable group global")
OLD = (
    "vpdn-group pppoe", "accept-dialin", "protocol pppoe", "virtual-template 1", "exit", "exit", *TEMPLATE, f"interface {PORT}",
    "pppoe enable",
)  # fmt: skip


class Dialled:
    """A caller on the segment of the LAC's port. `frames` are all that crossed it."""

    def __init__(self, bench, user, password="cisco", **ppp):
        self.loop, self.box = bench.loop, bench.boxes[LAC]
        config = PppConfig(user, password, **{"accept": ("chap-md5",), "echo_s": None, **ppp})
        self.core = EthernetCaller(config, random.Random(len(bench.segment)).randbytes, CARD)
        self.alarm = Alarm(self.loop, lambda: self.do(self.core.tick))
        self.router = bench.terminals[LAC].router
        bench.segment.append(self)

    def do(self, what, *given):
        what(self.loop.time(), *given)
        for frame in self.core.take_ethernet():
            self.loop.call_later(DELAY_S, self.arrive, frame)
        self.alarm.set(self.core.deadline)

    def arrive(self, frame):
        self.box.order(lambda now: self.router.receive_ethernet(now, PORT, frame))


class Segment(Routers):
    """The two routers, and whoever is on the LAC's port."""

    def __init__(self, runner, *lines, release="12.4(1)"):
        self.segment, self.crossed = [], []
        super().__init__(runner, release, (), lines)
        router = self.terminals[LAC].router
        router.pppoe.attach(PORT, ROUTER)
        settled = self.boxes[LAC]._settle

        def settle():
            settled()
            for _, frame in router.take_ethernet():
                self.crossed.append(parse(frame))
                for one in self.segment:
                    self.loop.call_later(DELAY_S, one.do, one.core.receive_ethernet, frame)

        self.boxes[LAC]._settle = settle

    def dial(self, user, wait=20.0, **ppp):
        caller = Dialled(self, user, **ppp)
        caller.do(caller.core.dial)
        self.run(wait, until=lambda: caller.core.down or caller.core.address is not None)
        return caller

    def pinged(self, caller):
        before = len(caller.core.packets)
        frame = caller.core.ping(LNS_PPP, b"marked")
        caller.core.host.send(frame)
        caller.do(lambda now: None)
        self.run(1.0)
        return any(b"marked" in packet for packet in caller.core.packets[before:])


@pytest.fixture
def runner():
    with SimulatedLoop.runner() as running:
        yield running


@pytest.mark.parametrize(("lines", "release"), [(PROFILE, "12.4(1)"), (OLD, "12.2(4)T")], ids=["bba-group", "vpdn-group"])
def test_a_call_by_ethernet_is_tunnelled_like_any_other(runner, lines, release):
    bench = Segment(runner, *lines, release=release)
    caller = bench.dial("userSerial10@cisco.com")
    assert caller.core.address == "172.16.1.10"
    assert bench.pinged(caller)
    assert "est" in " ".join(bench.terminals[LAC].run("show vpdn tunnel"))
    assert bench.crossed[0].first(Tag.AC_NAME) == b"LAC"
    lcp = [one.payload for one in bench.crossed if one.payload[:3] == b"\xc0\x21\x01"]
    assert lcp[0][6:10] == b"\x03\x05\xc2\x23"  # the router asks by what its template says
    options = dict(_options(lcp[0][6:]))
    assert int.from_bytes(options[1]) <= 1492
    assert not {2, 7, 8} & options.keys()  # neither ACCM nor ACFC nor PFC (RFC 2516 §7)
    caller.do(caller.core.close)
    bench.run(20.0, until=lambda: caller.core.down)
    assert caller.core.down
    assert bench.crossed[-1].code in (Code.PADT, Code.SESSION)


def _options(data):
    while len(data) >= 2:
        yield data[0], data[2 : data[1]]
        data = data[data[1] :]


def test_a_caller_that_goes_without_a_word_of_ppp_ends_its_call(runner):
    bench = Segment(runner, *PROFILE)
    caller = bench.dial("userSerial10@cisco.com")
    caller.do(caller.core.hang_up)
    bench.run(1.0)
    assert not bench.terminals[LAC].router.core.lac.lines
    assert "sessions 0" in " ".join(bench.terminals[LNS].run("show vpdn"))


def test_who_is_not_let_in_hears_that_the_session_is_over(runner):
    bench = Segment(runner, *PROFILE)
    caller = bench.dial("stranger", wait=60.0)
    bench.run(60.0, until=lambda: caller.core.down)
    assert caller.core.address is None
    assert caller.core.down
    assert bench.crossed[-1].code == Code.PADT


def test_two_callers_on_one_card(runner):
    bench = Segment(runner, *PROFILE)
    first, second = bench.dial("userSerial10@cisco.com"), bench.dial("userSerial10@cisco.com")
    assert {first.core.host.session, second.core.host.session} == {1, 2}
    assert first.core.address != second.core.address
    assert bench.pinged(first)
    assert bench.pinged(second)


def test_a_port_that_is_closed_ends_its_calls_and_takes_no_more(runner):
    bench = Segment(runner, *PROFILE)
    caller = bench.dial("userSerial10@cisco.com")
    bench.terminals[LAC].configure(f"interface {PORT}", "no pppoe enable")
    bench.run(1.0)
    assert (caller.core.down, bench.crossed[-1].code) == (True, Code.PADT)
    late = bench.dial("userSerial10@cisco.com", wait=30.0)
    assert (late.core.address, late.core.why) == (None, "nobody offers to take the call")


def test_a_router_that_reloads_has_no_sessions_and_says_so_to_who_goes_on(runner):
    bench = Segment(runner, *PROFILE)
    caller = bench.dial("userSerial10@cisco.com")
    live = bench.terminals[LAC]
    live.state.save()
    crossed = len(bench.crossed)
    bench.boxes[LAC].order(lambda now: live.state.reload("Reload Command"))
    bench.run(10.0)
    assert not [one for one in bench.crossed[crossed:] if one.code != Code.SESSION]  # it went down without a word
    bench.boxes[LAC].order(live.router.tick)
    caller.core.host.send(b"\xff\x03\xc0\x21\x09\x01\x00\x08\0\0\0\0")
    caller.do(lambda now: None)
    bench.run(1.0)
    assert caller.core.down


def test_frames_of_nobody_cost_nothing():
    live = Live(lambda: 0.0)
    live.router.pppoe.attach(PORT, ROUTER)
    live.router.receive_ethernet(0.0, PORT, build(Frame(BROADCAST, CARD, Code.PADI, tags=((Tag.SERVICE_NAME, b""),))))
    assert live.router.take_ethernet() == []


# --- what lines mean ---


def meant(*lines, lacks=None):
    configuration = Configuration()
    assert not load(configuration, lines, frozenset({"pppoe-profiles"}))
    found = [] if lacks is None else lacks
    return accesses(configuration.tree, found)


def test_profiles_by_name_and_their_limits():
    group = ("hostname AC7", "bba-group pppoe DSL", "virtual-template 3", "sessions max limit 20", "sessions per-mac limit 2")
    template = ("interface Virtual-Template3", "ppp authentication pap chap")
    assert meant(*group, *template, "interface FastEthernet1/0", "pppoe enable group DSL") == (
        PppoeAccess("FastEthernet1/0", "AC7", ("pap", "chap-md5"), most=20, per_host=2),
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((f"interface {PORT}", "pppoe enable group DSL"), f"{PORT} takes calls by PPPoE, and there is no bba-group DSL"),
        (
            ("bba-group pppoe global", "virtual-template 3", f"interface {PORT}", "pppoe enable"),
            f"{PORT} takes calls by PPPoE, and its group has no virtual template, or the interface does not exist",
        ),
    ],
)
def test_what_serves_nobody_is_said(lines, said):
    lacks = []
    assert meant(*lines, lacks=lacks) == ()
    assert lacks == [said]


def test_an_interface_that_is_shut_down_takes_none():
    template = ("interface Virtual-Template1", "bba-group pppoe global", "virtual-template 1")
    assert meant(*template, f"interface {PORT}", "pppoe enable", "shutdown") == ()
