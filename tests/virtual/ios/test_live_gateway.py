"""What a driver makes of a router by its command line, on the virtual one in memory: the lines of an LNS for Windows clients, the
account that its shows give, compared with what is live in it, and the orders of a scenario."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import chain

import pytest
from live import CONFIGURATIONS, Live
from terminal import STARTUP, Terminal

from harness.devices.ios import configurations, gateway_view
from harness.devices.ios.gateway import IosGateway
from harness.devices.ios.gateway_lines import ClientsLns, demux_lines, gateway_lines, in_the_way
from harness.devices.ios.parsers.isakmp_sa import parse_isakmp_sa
from harness.devices.ios.parsers.users import InterfaceUser, LineUser, parse_users
from harness.devices.journal import Undo
from harness.errors import DeviceError, UsageError
from harness.model import Secret
from harness.virtual import settings as virtual
from harness.virtual.ios.meaning_router import meant
from harness.virtual.ios.state import State
from harness.wire import events
from harness.wire.config import EspProposal, IkeProposal

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"
AT_REST = f"""\
hostname Router
username natstorm password 0 letmein-please
interface FastEthernet0/0
 ip address {GATEWAY} 255.255.255.0
interface FastEthernet0/1
 ip address 198.51.100.1 255.255.255.0
line con 0
line vty 0 4
 login local
end
"""
USERS = {f"user{number}": Secret(f"pw{number}") for number in range(1, 5)}
LNS = ClientsLns("FastEthernet0/0", Secret("sharedsecret"), "172.16.0.1", "172.16.0.10", "172.16.0.99", USERS, 4.0, peer=NAT)
XP = {
    "ike__proposals": (IkeProposal("3des", "sha1", "modp1024"),),
    "ike__esp_proposals": (EspProposal("3des", "sha1"),),
    "ppp__accept": ("chap-md5",),
}
"""What an old client offers."""


def type_in(terminal, lines):
    """Each line is taken: a router says something with % where it is not."""
    terminal.run("configure terminal")
    for line in lines:
        said = terminal.run(line.strip())
        assert not [one for one in said if one.lstrip().startswith(("%", "^")) and "NOTE" not in one], (line, said)
    terminal.run("end")


def section(text):
    return configurations.parse_config(text)


KEY = "crypto isakmp key *** address"


# --- the lines ---


@pytest.mark.parametrize("startup", [AT_REST, STARTUP], ids=["fresh", "with a key and a template of its own"])
def test_a_router_becomes_the_lns_of_the_testbed_and_goes_back(startup):
    at = Terminal(State(startup=startup))
    before = at.state.configuration.text()
    type_in(at, gateway_lines(LNS))
    meaning = meant(at.state.configuration.tree, virtual.load("plain"))
    settings = meaning.settings
    assert meaning.lacks == ()
    assert (settings.address, settings.psk.reveal(), settings.ppp_address) == (GATEWAY, "sharedsecret", "172.16.0.1")
    assert (settings.pool_first, settings.pool_last) == ("172.16.0.10", "172.16.0.99")
    assert {name: one.reveal() for name, one in settings.users.items() if name in USERS} == {
        name: one.reveal() for name, one in USERS.items()
    }
    look = settings.personality
    assert (look.ipsec, look.demux, look.checksum, look.dpd, look.challenge) == (True, True, "ignore", 10.0, False)
    assert [(one.encryption, one.hash, one.group) for one in look.ike_proposals] == [
        ("aes-256", "sha1", "modp2048"),
        ("aes-128", "sha1", "modp2048"),
        ("3des", "sha1", "modp2048"),
        ("3des", "sha1", "modp1024"),
    ]
    assert [one.encryption for one in look.esp_proposals] == ["aes-256", "aes-128", "3des"]
    type_in(at, configurations.back_to(section(before), section(at.state.configuration.text())))
    assert section(at.state.configuration.text()) == section(before)


def test_a_policy_that_is_there_leaves_nothing_of_itself_in_ours():
    theirs = "crypto isakmp policy 1\n hash md5\n authentication rsa-sig\n lifetime 300\n"
    at = Terminal(State(startup=theirs + AT_REST))
    type_in(at, gateway_lines(LNS))
    first = meant(at.state.configuration.tree, virtual.load("plain")).settings.personality.ike_proposals[0]
    assert (first.encryption, first.hash, first.group, first.lifetime_s) == ("aes-256", "sha1", "modp2048", 86400)


def test_nothing_is_named_before_it_is_there():
    """A router refuses a map of transform sets that do not exist, and borrows no address of an interface that does not."""
    lines = [line.strip() for line in gateway_lines(LNS)]
    made = {
        "NATSTORM-AES256": "crypto ipsec transform-set NATSTORM-AES256 ",
        "NATSTORM-3DES": "crypto ipsec transform-set NATSTORM-3DES ",
        "dynamic NATSTORM": "crypto dynamic-map NATSTORM ",
        "unnumbered Loopback1701": "interface Loopback1701",
        "pool NATSTORM": "ip local pool NATSTORM ",
        "crypto map NATSTORM": "crypto map NATSTORM 6000 ",
    }
    for used, begin in made.items():
        there = [number for number, line in enumerate(lines) if line.startswith(begin)]
        uses = [number for number, line in enumerate(lines) if line.endswith(used) or f"{used} " in line]
        uses = [number for number in uses if number not in there]
        assert len(there) == 1, used
        assert uses, used
        assert min(uses) > there[0], used


def test_a_router_without_keepalives_or_demultiplexing():
    lines = gateway_lines(ClientsLns("Gi0/1", Secret("k"), "172.16.0.1", "172.16.0.10", "172.16.0.99", demux=False))
    assert not [line for line in lines if "keepalive" in line or "demux" in line or line.startswith("username")]
    at = Terminal(State(startup=AT_REST))
    type_in(at, chain(gateway_lines(LNS), demux_lines(False)))
    assert not meant(at.state.configuration.tree, virtual.load("demux")).settings.personality.demux
    type_in(at, demux_lines(True))
    assert meant(at.state.configuration.tree, virtual.load("plain")).settings.personality.demux


@pytest.mark.parametrize("secret", ["two words", "what?", "", "naïve", "tab\t"])
def test_what_cannot_be_typed_is_a_mistake_and_not_shown(secret):
    for lns, whose in (
        (replace(LNS, psk=Secret(secret)), "the pre-shared key cannot be typed"),
        (replace(LNS, users={"user1": Secret(secret)}), "the password of user1 cannot be typed"),
        (replace(LNS, users={secret: Secret("pw")}), "a user's name cannot be typed"),
    ):
        with pytest.raises(UsageError, match=whose) as caught:
            gateway_lines(lns)
        assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ("vpdn-group 1\n accept-dialin\n  protocol l2tp\n  virtual-template 1\n", ("vpdn-group 1",)),
        ("vpdn-group 1\n accept-dialin\n  protocol any\n", ("vpdn-group 1",)),
        ("vpdn-group 1\n accept-dialin\n  protocol pptp\n", ()),
        ("vpdn-group 1\n accept-dialin\n  protocol l2tp\n terminate-from hostname LAC\n", ()),
        ("vpdn-group 1\n request-dialin\n  protocol l2tp\n", ()),
        ("vpdn-group NATSTORM\n accept-dialin\n  protocol l2tp\n", ()),
        ("crypto isakmp key mine address 203.0.113.0 255.255.255.0\n", (f"{KEY} 203.0.113.0 255.255.255.0",)),
        (f"crypto isakmp key 6 mine address {NAT} no-xauth\n", (f"{KEY} {NAT} no-xauth",)),
        ("crypto isakmp key mine address 192.0.2.7\n", ()),
        ("crypto isakmp key mine address 0.0.0.0 0.0.0.0\n", ()),
        ("crypto isakmp key mine hostname w2k01\n", ()),
    ],
)
def test_what_goes_before_ours_is_told(theirs, told):
    assert in_the_way(section(theirs + AT_REST), LNS) == told


def test_the_document_s_own_lns_is_in_the_way():
    assert in_the_way(section((CONFIGURATIONS / "nat-demux-lns.cfg").read_text()), LNS) == ("vpdn-group 1",)


# --- the driver, on a router in memory ---


class InMemory:
    """The driver of IOS as `IosGateway` uses it, and a terminal in the place of SSH."""

    name = "gateway"

    def __init__(self, live):
        self.live = live
        self.connected = False
        self._saved = None

    async def connect(self):
        self.connected = True

    async def disconnect(self):
        self.connected = False

    async def running_config(self):
        return await self.execute("show running-config")

    async def save(self):
        return Undo(("put it back",), "ios", self.name, script=await self.running_config())

    async def configure(self, lines):
        self._saved = self._saved or await self.running_config()
        type_in(self.live, lines)

    async def execute(self, command):
        assert self.connected
        said = self.live.run(command)
        assert not [line for line in said if line.startswith("% Invalid")], said
        return "\n".join([*said, ""])

    async def restore(self):
        now = section(await self.running_config())
        type_in(self.live, configurations.back_to(section(self._saved), now))


class Clients:
    """Clients of `world` behind one NAT, whose gateway is what the driver has made of a router at rest."""

    def __init__(self, world, lns=LNS, startup=AT_REST):
        self.net = world("demux")
        self.live = Live(lambda: self.net.now, self.net.settle, startup=startup)
        self.net.gateway = self.live.router
        self.device = InMemory(self.live)
        self.gateway = IosGateway(self.device, lns)

    def dial(self, number):
        return self.net.dial(number, **XP)

    def do(self, coroutine, run=1.0):
        done = asyncio.run(coroutine)
        self.net.run(run)
        return done


@pytest.fixture
def at(world):
    found = Clients(world)
    found.do(found.gateway.start())
    return found


def spis(client):
    """(the gateway's inbound, its outbound), by the client's own account; the newest."""
    up = client.of(events.EspUp)[-1]
    return f"{up.spi_out:08x}", f"{up.spi_in:08x}"


def test_its_account_is_what_is_live_in_the_router(at):
    clients = [at.dial(1), at.dial(2)]
    assert all(client.up for client in clients)
    began = time.time()
    view = at.do(at.gateway.view("after-connect:c2"), run=0.0)
    assert view.label == "after-connect:c2"
    assert began <= view.t <= time.time()
    live = at.live.router.view(at.net.now, "")
    linux = {"Vi1": "ppp0", "Vi2": "ppp1"}  # what its own account calls them
    assert [replace(one, interface=linux[one.interface]) for one in view.sessions] == list(live.sessions)
    assert [one.ppp_address for one in view.sessions] == ["172.16.0.10", "172.16.0.11"]
    assert [client.stack.address for client in clients] == ["172.16.0.10", "172.16.0.11"]
    assert [one.peer_port for one in view.sessions] == [1024, 1025]
    for session, client in zip(view.sessions, clients, strict=True):
        (up,), (call,) = client.of(events.TunnelUp), client.of(events.CallUp)
        assert (session.tunnel_local, session.tunnel_remote) == (up.tunnel_remote, up.tunnel_local)
        assert (session.session_local, session.session_remote) == (call.session_remote, call.session_local)
    assert {(sa.spi, sa.inbound, sa.peer_address, sa.udp_port, sa.translated_port) for sa in view.sas} == {
        (sa.spi, sa.inbound, sa.peer_address, sa.udp_port, sa.translated_port) for sa in live.sas
    }
    outside = [at.net.outside[client.address, 4500] for client in clients]
    for client, port, translated in zip(clients, outside, (1024, 1025), strict=True):
        for spi, inbound in zip(spis(client), (True, False), strict=True):
            (sa,) = [one for one in view.sas if one.spi == spi]
            assert (sa.inbound, sa.peer_address, sa.udp_port, sa.translated_port) == (inbound, NAT, port, translated)
    assert set(view.ports.values()) == {1024, 1025}
    assert view.ike_sas == ()
    assert set(view.texts) == set(gateway_view.ASKED)


def test_without_demultiplexing_both_are_1701_and_nothing_is_translated(world):
    plain = Clients(world, replace(LNS, demux=False))
    plain.do(plain.gateway.start())
    plain.dial(1)
    plain.dial(2)
    view = plain.do(plain.gateway.view("end"), run=0.0)
    assert view.sessions
    assert {one.peer_port for one in view.sessions} == {1701}
    assert {sa.translated_port for sa in view.sas} == {None}
    assert view.ports == {}


def test_an_sa_is_deleted_of_that_client_alone(at):
    """Both are the same peer to `clear crypto session remote`, but for the port."""
    one, two = at.dial(1), at.dial(2)
    at.do(at.gateway.delete_ipsec(spis(two)[0]))
    assert [bool(client.of(events.EspDown)) for client in (one, two)] == [False, True]
    assert at.net.ping(one, to="172.16.0.1")
    command = next(line for line in at.live.state.typed if line.startswith("clear crypto session"))
    assert command == f"clear crypto session remote {NAT} port {at.net.outside[two.address, 4500]}"
    with pytest.raises(DeviceError, match="no SA with SPI 00000bad"):
        at.do(at.gateway.delete_ipsec("00000bad"))
    at.do(at.gateway.delete_ipsec())  # any: there is one client left
    assert one.of(events.EspDown)


def test_clear_crypto_session_ends_both_phases_of_whom_it_names(at):
    one, two = at.dial(1), at.dial(2)
    at.live.run("clear crypto session remote 203.0.113.9")
    at.live.run(f"clear crypto session remote {NAT} port 9")
    at.net.run(1)
    assert not one.of(events.EspDown) + two.of(events.EspDown)
    assert len(at.live.shown("show crypto isakmp sa", parse_isakmp_sa)) == 2
    at.live.run("clear crypto session")
    assert at.live.shown("show crypto isakmp sa", parse_isakmp_sa) == ()  # no client has answered yet
    at.net.run(1)
    assert [[event.by_peer for event in client.of(events.EspDown)] for client in (one, two)] == [[True], [True]]


def test_a_tunnel_is_closed_by_its_number(at):
    one, two = at.dial(1), at.dial(2)
    (up,) = two.of(events.TunnelUp)
    at.do(at.gateway.close_l2tp(up.tunnel_remote), run=2.0)
    assert [one.up, two.up] == [True, False]


def test_demux_is_taken_out_and_in_and_nothing_else_can_be(at):
    at.do(at.gateway.reconfigure(demux=False))
    assert not at.live.router.settings.personality.demux
    at.do(at.gateway.reconfigure(demux=True))
    assert at.live.router.settings.personality.demux
    with pytest.raises(UsageError, match="no command of a router changes dpd, hello"):
        at.do(at.gateway.reconfigure(hello=1.0, dpd=2.0))


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (lambda one: one.rekey("00000001"), "quick mode"),
        (lambda one: one.rekey_ike(), "main mode"),
        (lambda one: one.silence(), "fall silent"),
        (lambda one: one.stop_daemons(), "stop"),
        (lambda one: one.kill_daemons(), "die"),
        (lambda one: one.restart_daemons(), "begin anew"),
    ],
)
def test_what_no_command_does_is_refused_and_nothing_is_typed(at, asked, what):
    typed = list(at.live.state.typed)
    with pytest.raises(DeviceError, match=f"{what}.*no command of IOS"):
        at.do(asked(at.gateway))
    assert list(at.live.state.typed) == typed


def test_restoring_leaves_nobody_up_and_nothing_of_ours(world):
    at = Clients(world)
    before = at.live.state.configuration.text()
    saved = at.do(at.device.connect()) or at.do(at.gateway.save())
    assert saved.through == "ios"
    at.do(at.gateway.start())
    client = at.dial(1)
    assert client.up
    at.do(at.gateway.restore())
    assert not client.up
    assert section(at.live.state.configuration.text()) == section(before) == section(saved.script)
    assert not at.device.connected
    for command in ("clear vpdn tunnel l2tp all", "clear crypto sa", "clear crypto isakmp"):
        assert list(at.live.state.typed).count(command) == 2, command


def test_what_is_in_the_way_is_refused_before_the_first_change(world):
    theirs = "vpdn enable\nvpdn-group 1\n accept-dialin\n  protocol l2tp\n  virtual-template 1\n"
    at = Clients(world, startup=theirs + AT_REST)
    before = at.live.state.configuration.text()
    with pytest.raises(DeviceError, match=r"it has vpdn-group 1, which would answer the clients .* take it out"):
        at.do(at.gateway.start())
    at.do(at.gateway.restore())
    assert at.live.state.configuration.text() == before
    assert not [line for line in at.live.state.typed if line.startswith(("clear", "configure"))]


def test_somebodys_tunnels_are_not_ended(at):
    """Of whoever has them, the run before or a network's users: only the first would be ended without harm."""
    client = at.dial(1)
    typed = len(at.live.state.typed)
    second = IosGateway(at.device, LNS)
    with pytest.raises(DeviceError, match=rf"it has 1 L2TP tunnel \({NAT}\) and 1 IPsec flow \({NAT}\), which a run would end"):
        at.do(second.start())
    at.do(second.restore())  # as whoever has begun it does, whatever came of it
    assert client.up
    assert not at.device.connected
    assert not [line for line in list(at.live.state.typed)[typed:] if line.startswith(("clear", "configure"))]


# --- what it shows of users and of what it logged ---


def test_show_users_has_the_lines_and_the_users_of_ppp(at):
    clients = [at.dial(1), at.dial(2)]
    found = at.live.shown("show users", parse_users)
    (line,) = [one for one in found if isinstance(one, LineUser)]
    assert (line.line, line.user) == ("vty 0", "natstorm")
    users = [one for one in found if isinstance(one, InterfaceUser)]
    assert [(one.user, one.mode, one.peer) for one in users] == [
        (f"user{number}", "PPPoVPDN", client.stack.address) for number, client in enumerate(clients, 1)
    ]
    assert len({one.interface for one in users}) == 2
    clients[0].stack.close(at.net.now)
    at.net.run(10)
    users = [one for one in at.live.shown("show users", parse_users) if isinstance(one, InterfaceUser)]
    assert [one.user for one in users] == ["user2"]


def test_show_logging_has_what_was_logged_the_latest_last(at):
    at.live.state.log("%NATSTORM-5-TEST: one", "%NATSTORM-5-TEST: two")
    logs = at.do(at.gateway.logs())
    assert list(logs) == ["gateway"]
    lines = logs["gateway"].splitlines()
    assert lines[0] == "Syslog logging: enabled"
    assert [line.partition(": ")[2] for line in lines[-2:]] == ["%NATSTORM-5-TEST: one", "%NATSTORM-5-TEST: two"]
    for number in range(600):
        at.live.state.log(f"%NATSTORM-5-TEST: {number}")
    lines = at.do(at.gateway.logs())["gateway"].splitlines()
    assert lines[-1].endswith(" 599")
    assert not any(line.endswith((": one", " 99")) for line in lines)  # the buffer is full: the oldest have gone
