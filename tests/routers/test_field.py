"""Laboratories of routers that are there: their logs and clocks, the names of interfaces, what is typed, the pace, and what is not
to be had."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from harness.devices import clock
from harness.devices.ios.access_lines import pppoe_lines
from harness.devices.ios.configurations import parse_config
from harness.devices.ios.lab_parts import TUNNELS
from harness.errors import DeviceError, LabError, ReleaseLacks
from harness.model import Secret, Side, ios_releases
from harness.model.reach import Allowance, CaptureSource, Connection
from harness.model.redact import Redactor
from harness.model.router_lab import LAC, LNS, LNS_2, WIRE, Card, RouterLab, RouterSpec
from harness.model.sites import EAST, NAT, WEST, Site
from harness.model.testbed import Interface
from harness.routers import wants
from harness.routers.field_callers import Pace
from harness.routers.field_consoles import FieldConsoles, RoutersClock, clock_of, logged_since, names_of
from harness.routers.field_runner import FieldRunner, apart
from harness.routers.scripts import SCRIPTS
from harness.verdict.obtainable import wanting_there
from harness.verdict.routers.table import CHECKS, NOTED
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.meaning_pppoe import accesses


def lab(*roles):
    routers = {
        role: RouterSpec(role, "ios", Connection(role, f"10.99.0.{n}"), {"wire": Interface("Gi0/1", f"{WIRE[role]}/24", "wire")})
        for n, role in enumerate(roles, 1)
    }
    source = {Side.OUTSIDE: CaptureSource("nic", "span0")}
    return RouterLab("lab", "lab.yaml", routers, Card("nic0", 1), source, Allowance(("172.16.1.1/32",), 10))


# --- logs ---

CLOCKED = datetime(2002, 3, 1, 23, 59, 58, 0, tzinfo=UTC)
LOG = """\
Syslog logging: enabled (0 messages dropped)
    Buffer logging: level debugging, 9 messages logged
Log Buffer (131072 bytes):
*Mar  1 23:59:50.000: %SYS-5-CONFIG_I: Configured from console by vty0
*Mar  1 23:59:58.250: %VPDN-6-CLOSE: first
000123: Mar  2 00:00:01.500 UTC: %LINK-3-UPDOWN: second, with a number and a zone
"""


def test_the_lines_of_a_log_since_a_moment_bear_our_time():
    found = list(logged_since("lns", LOG, RoutersClock(CLOCKED, 1000.0)))
    assert [(one.t, one.device, one.line) for one in found] == [
        (1000.25, "lns", "%VPDN-6-CLOSE: first"),
        (1003.5, "lns", "%LINK-3-UPDOWN: second, with a number and a zone"),
    ]


def test_a_debug_line_is_read_as_one_that_was_seen_is():
    line = "*Mar  1 23:59:59.000: Tnl 5345 L2TP: Tunnel state change from idle to wait-ctl-reply\n"
    (one,) = logged_since("lns", line, RoutersClock(CLOCKED, 0.0))
    assert (one.event.kind, one.event.to_state) == ("tunnel-state", "wait-ctl-reply")


def test_a_stamp_has_no_year_and_the_one_nearest_counts():
    clock = RoutersClock(datetime(2004, 12, 31, 23, 59, 59, tzinfo=UTC), 0.0)
    (one,) = logged_since("lac", "*Jan  1 00:00:01.000: %A-1-B: new year\n", clock)
    assert one.t == 2.0
    assert not list(logged_since("lac", "*Feb 29 00:00:01.000: %A-1-B: long ago\n", clock))


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("*23:59:58.000 UTC Fri Mar 1 2002", CLOCKED),
        (".23:59:58.000 CET Fri Mar  1 2002\r\n", CLOCKED),
        ("% Invalid input detected at '^' marker.", None),
    ],
)
def test_the_clock_that_a_router_shows(said, wanted):
    assert clock_of(said) == wanted


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (clock.Offset(0.12, 0.05), ""),
        (clock.Offset(-3.0, 0.05), "is -3000.0 ms off this machine's"),
        (DeviceError("wire", "date", "no such program"), "is not known: no such program"),
    ],
)
def test_a_capture_by_another_clock_is_no_evidence(measured, said, monkeypatch):
    async def measure(device):
        if isinstance(measured, Exception):
            raise measured
        return measured

    monkeypatch.setattr(clock, "measure", measure)
    found = asyncio.run(apart(SimpleNamespace(name="wire")))
    assert said in found
    assert bool(found) is bool(said)


# --- typing ---


class Router:
    """A driver that says which line it was given."""

    def __init__(self):
        self.typed = []
        self.redactor = Redactor([Secret("hunter2")])

    async def offer(self, lines):
        self.typed += lines
        return [(line, f"heard {line}") for line in lines]

    async def ask(self, command):
        self.typed.append(command)
        return f"GigabitEthernet0/1 is up, hunter2\r\n{command}"


class Consoles(FieldConsoles):
    def __init__(self, *given, **more):
        super().__init__(*given, **more)
        self.debugged = []

    def debugs(self, device):
        self.debugged.append(device)


def test_a_script_s_interface_is_the_one_on_the_wire_whatever_its_name():
    router = Router()
    consoles = Consoles({"lac": router}, {"lac": {"FastEthernet0/0": "GigabitEthernet0/1"}})

    async def typed():
        return [
            *await consoles.type("lac", "interface FastEthernet0/0", "ip address 10.0.0.12 255.255.255.0", configure=True),
            *await consoles.type("lac", "show interfaces FastEthernet0/0"),
        ]

    assert asyncio.run(typed()) == [
        ("interface FastEthernet0/0", "heard interface FastEthernet0/0"),
        ("ip address 10.0.0.12 255.255.255.0", "heard ip address 10.0.0.12 255.255.255.0"),
        ("show interfaces FastEthernet0/0", "FastEthernet0/0 is up, ***\nshow interfaces FastEthernet0/0"),
    ]
    assert router.typed == [
        "interface GigabitEthernet0/1", "ip address 10.0.0.12 255.255.255.0", "show interfaces GigabitEthernet0/1",
    ]  # fmt: skip
    assert consoles.there("lac", "FastEthernet0/0.5 and FastEthernet0/00") == "FastEthernet0/0.5 and FastEthernet0/00"
    assert not consoles.debugged
    asyncio.run(consoles.type("lac", "debug crypto socket"))
    assert consoles.debugged == ["lac"]
    with pytest.raises(DeviceError, match="none in that role"):
        asyncio.run(consoles.type("lns-2", "show version"))
    with pytest.raises(LabError, match="does not reload"):
        asyncio.run(consoles.reboot("lac"))


def test_a_session_that_a_script_leaves_is_opened_anew():
    class Session(Router):
        async def disconnect(self):
            self.typed.append("(disconnected)")

        async def connect(self):
            self.typed.append("(connected)")

    router = Session()
    consoles = Consoles({"nat": router}, {})
    said = [asyncio.run(consoles.type("nat", line)) for line in ("disable", "exit", "show version")]
    assert [one[0][0] for one in said] == ["disable", "exit", "show version"]
    assert said[1] == [("exit", "")]
    assert router.typed == ["disable", "(disconnected)", "(connected)", "show version"]


def test_a_table_keeps_its_columns_whatever_an_interface_is_called():
    consoles = Consoles({}, {"lac": names_of({"FastEthernet0/0": "GigabitEthernet0/1"})})
    shown = "ID Interface           State\n1  GigabitEthernet0/1  set\n2  Gi0/1               set\nGigabitEthernet0/1 is up\n"
    assert consoles._here("lac", shown) == (
        "ID Interface           State\n1  FastEthernet0/0     set\n2  Fa0/0               set\nFastEthernet0/0 is up\n"
    )
    shorter = Consoles({}, {"lac": names_of({"FastEthernet0/0": "Ethernet0"})})
    assert shorter._here("lac", "Ethernet0         up\nEthernet0  up\n") == "FastEthernet0/0   up\nFastEthernet0/0 up\n"
    assert shorter.there("lac", "interface FastEthernet0/0") == "interface Ethernet0"


def test_a_router_may_call_one_interface_what_the_documents_call_another():
    swapped = names_of({"FastEthernet0/0": "FastEthernet0/1", "FastEthernet0/1": "FastEthernet0/0"})
    consoles = Consoles({}, {"west-2": swapped})
    typed = "ip route 0.0.0.0 0.0.0.0 FastEthernet0/0"
    assert consoles.there("west-2", typed) == "ip route 0.0.0.0 0.0.0.0 FastEthernet0/1"
    assert consoles._here("west-2", consoles.there("west-2", f"{typed}\nFa0/1 is up")) == f"{typed}\nFa0/1 is up"


@pytest.mark.parametrize(("release", "group"), [("12.4(1)", True), ("12.2(4)T", False), ("12.2(27)SBA", False)])
def test_the_lines_for_pppoe_serve_at_a_router_of_that_release(release, group):
    known = ios_releases.parse(release)
    lines = pppoe_lines("FastEthernet0/1", "FastEthernet0/0", known)
    assert any(line.startswith("bba-group") for line in lines) is group
    configuration = Configuration()
    begin = ["vpdn enable", "interface FastEthernet0/0", " ip address 10.0.0.12 255.255.255.0"]
    assert not load(configuration, [*begin, *lines], ios_releases.features_of(known))
    (access,) = accesses(configuration.tree, lacks := [])
    assert (access.interface, access.authentication, lacks) == ("FastEthernet0/1", ("chap-md5",), [])


def test_what_no_script_can_be_played_beside():
    text = "hostname R\nvpdn-group 1\n accept-dialin\ncrypto isakmp key Secret1 address 0.0.0.0\ninterface FastEthernet0/0\n"
    assert TUNNELS.in_the_way(parse_config(text)) == ("vpdn-group 1", "crypto isakmp key")
    assert TUNNELS.in_the_way(parse_config("hostname R\nusername a password 0 b\nip route 0.0.0.0 0.0.0.0 10.0.0.1\n")) == ()


# --- the pace ---


def test_no_more_frames_in_any_second_than_are_allowed():
    """On a loop whose time is ours."""
    from harness.simulation.loop import SimulatedLoop

    sent = []

    async def play():
        loop = asyncio.get_running_loop()
        pace = Pace(lambda frame: sent.append((loop.time(), frame)), 3)
        for number in range(7):
            pace.send(bytes([number]))
        await asyncio.sleep(5)
        pace.send(b"late")
        for _ in range(4):
            pace.send(b"never")
        pace.close()
        await asyncio.sleep(5)

    with SimulatedLoop.runner() as runner:
        runner.run(play())
    began = sent[0][0]
    assert [round(t - began, 3) for t, _ in sent] == [0, 0, 0, 1, 1, 1, 2, 5, 5, 5]
    assert [frame for _, frame in sent[:7]] == [bytes([number]) for number in range(7)]


# --- what is not to be had ---


def test_what_a_script_needs_and_such_a_lab_has_not_is_said():
    there = lab(LAC, LNS)
    said = {name: wants.missing(script, there) for name, script in SCRIPTS.items() if script.world == "l2tp"}
    assert said["l2tp-call"] == said["l2tp-logging"] == ""
    for name, why in {
        "l2tp-two-servers": "no second LNS",
        "l2tp-altered-esp": "loses the packets",
        "l2tp-clear-request": "sends in another's name",
        "l2tp-release-first": "it is about IOS 12.2(4)T",
        "l2tp-accounting": "no RADIUS server",
        "l2tp-keep-sa-visitors": "keeps the address",
        "l2tp-keep-sa-life": "longer than a wall clock",
        "l2tp-client-example": "serial interface",
        "l2tp-neighbours": "no LAN of the LNS",
        "l2tp-path-mtu-behind-nat": "no client behind a NAT",
    }.items():
        assert why in said[name], name
    assert wants.missing(SCRIPTS["l2tp-two-servers"], lab(LAC, LNS, LNS_2)) == ""
    lan = {**there.by_role[LNS].ports, "card": Interface("Gi0/2", "192.0.2.1/24", "access")}
    host = replace(there, by_role={**there.by_role, LNS: replace(there.by_role[LNS], ports=lan)})
    assert wants.missing(SCRIPTS["l2tp-neighbours"], host) == wants.missing(SCRIPTS["l2tp-df-bit"], host) == ""
    assert "sends in another's name" in wants.missing(SCRIPTS["l2tp-path-mtu"], host)
    assert wants.missing(replace(SCRIPTS["l2tp-call"], wants=(wants.LOSS,)), there) == wants.UNABLE[wants.LOSS]


def about_a_nat(west, east):
    sites = [Site(side, number) for side, count in ((WEST, west), (EAST, east)) for number in range(1, count + 1)]
    return SimpleNamespace(world="esp", neighbours={}, by_role=dict.fromkeys([NAT, *(site.name for site in sites)]))


def test_what_a_script_needs_of_a_nat_that_is_there_is_said():
    there = about_a_nat(3, 2)
    said = {name: wants.missing(script, there) for name, script in SCRIPTS.items() if script.world == "esp"}
    played = {
        "esp-plain-nat", "esp-three-tunnels", "esp-nothing-then-nat", "esp-endpoints-then-nat", "esp-two-of-three",
        "esp-every-pair", "esp-rekeys", "esp-preserve-port", "esp-transparency", "esp-transparency-disagreeing",
        "nat-table-esp", "nat-table-gateways",
    }  # fmt: skip
    assert {name for name, why in said.items() if not why} == played
    for name, why in {
        "esp-demanded-port": "loses the packets",
        "esp-clash": "which SPI to draw",
        "esp-prerequisites": "the release that it has",
        "esp-transparency-releases": "it is about IOS",
        "esp-transparency-idle": "longer than a wall clock",
        "nat-table-storm": "the testbed has no west-4",
        "nat-table-pool": "keeps the address that it has outside",
        "nat-table-filters": "no host stands on the NAT's own wires",
    }.items():
        assert why in said[name], name
    there.neighbours = {"inside": Card("nic1"), "outside": Card("nic2")}
    more = {name for name, script in SCRIPTS.items() if script.world == "esp" and not wants.missing(script, there)}
    assert more - played == {
        "nat-table-overload", "nat-table-pool", "nat-table-vrf", "nat-table-filters",
        "nat-services-ftp", "nat-services-skinny", "nat-services-others",
    }  # fmt: skip
    assert "it is about IOS 12.2(8)T" in wants.missing(SCRIPTS["nat-table-12.2-8T"], there)
    among_endpoints = replace(SCRIPTS["nat-table-pool"], options={**SCRIPTS["nat-table-pool"].options, "west": 1, "east": 1})
    assert "keeps the address" in wants.missing(among_endpoints, there)
    fewer = about_a_nat(1, 1)
    assert wants.missing(SCRIPTS["esp-rekeys"], fewer) == "the testbed has no west-2"
    assert wants.missing(SCRIPTS["esp-transparency"], fewer) == ""


def test_every_want_has_a_name_that_is_known():
    known = {wants.LOG, *wants.UNABLE}
    assert {want for script in SCRIPTS.values() for want in script.wants} <= known


def test_what_scripts_do_to_the_wire_they_have_declared():
    """By their source: a step that no wire which is there can take is in no script that says nothing of it."""
    import inspect

    steps = {"play.losing(": wants.LOSS, "play.inject": wants.INJECTION, "play.forge(": wants.INJECTION,
             "play.host_sends(": wants.HOST, "play.borrow_spi": wants.INJECTION, "NatHosts.placed(": wants.NEIGHBOURS}  # fmt: skip
    for script in (one for one in SCRIPTS.values() if one.options.get("nat", True)):
        text = inspect.getsource(script.run)
        for step, want in steps.items():
            if step in text:
                assert want in script.wants, (script.name, step)


def test_a_check_that_rests_on_keys_is_not_put():
    def said(name, *readable):
        return wanting_there(CHECKS[name], readable=readable)

    assert [CHECKS[name].opens for name in ("SEC-01", "SEC-57", "SEC-51", "SEC-02")] == ["esp", "all", "all", ""]
    assert [CHECKS[name].opens for name in ("ESN-13", "ESN-05", "ESN-14")] == ["esp", "all", ""]
    assert "keys" in said("SEC-01")
    assert "keys" in said("SEC-57", "esp")
    assert said("SEC-01", "esp") == said("SEC-57", "esp", "all") == said("SEC-02") == ""
    assert "within it" in said("SEC-32", "esp", "all")
    assert "12.2" in said("SEC-96")


def test_a_check_that_reads_isakmp_says_so():
    """By its source, and that of what it calls in its module: none that opens ESP alone looks at what IKE protects."""
    import inspect

    for name, check in {**CHECKS, **NOTED}.items():
        if check.opens == "esp":
            text = inspect.getsource(inspect.unwrap(check))
            for word in ("deletes(", "exchanges(", "quick_mode(", "first(evidence", "cookies(", ".ike "):
                assert not re.search(rf"(?<![a-z_]){re.escape(word)}", text), (name, word)


def test_transform_sets_are_typed_without_their_ciphers_where_the_tunnels_are_read():
    consoles = Consoles({}, {}, null=True)
    assert [
        consoles.there("lac", line)
        for line in (
            "crypto ipsec transform-set one esp-aes 256 esp-sha-hmac", "crypto ipsec transform-set x esp-des esp-md5-hmac",
            " set transform-set esp-des-sha-transport", "no crypto ipsec transform-set one esp-3des esp-sha-hmac",
        )
    ] == [
        "crypto ipsec transform-set one esp-null esp-sha-hmac", "crypto ipsec transform-set x esp-null esp-md5-hmac",
        " set transform-set esp-des-sha-transport", "no crypto ipsec transform-set one esp-3des esp-sha-hmac",
    ]  # fmt: skip


def test_a_router_of_a_release_that_lacks_what_a_script_needs_is_not_asked():
    class Old:
        def __init__(self, release):
            self.known = ios_releases.parse(release)

        async def release(self):
            return self.known

        async def missing(self, features):
            return ios_releases.missing(features, self.known)

    def asked(lac, lns):
        runner = SimpleNamespace(lab=SimpleNamespace(routers={LAC: Old(lac), LNS: Old(lns)}), _release="")
        asyncio.run(FieldRunner._refuse_old(runner, SCRIPTS["l2tp-call"]))
        return runner._release

    assert asked("12.4(1)", "12.2(4)T") == "12.4(1)"
    assert asked("12.4(1)", "12.2(33)SRE") == "12.4(1)"  # a train of which no document tells: it is asked, and may refuse
    with pytest.raises(ReleaseLacks, match=r"^lns: IOS 12.2\(2\)T lacks .l2tp security crypto-profile., which came with"):
        asked("12.4(1)", "12.2(2)T")
