"""Windows clients behind one NAT, on a router with `set nat demux` that asks a RADIUS server about them and counts them."""

from __future__ import annotations

import pytest
from live import Live, example

from harness.model import Secret
from harness.virtual.radius_server import RadiusServer
from harness.wire import ip
from harness.wire.config import EspProposal, IkeProposal
from harness.wire.packet import Packet
from harness.wire.stack import State

GATEWAY, NAT, SERVER, KEY = "203.0.113.231", "203.0.113.232", "203.0.113.240", "xyzzy5461"
HERE = (
    "interface FastEthernet0/0",
    f"ip address {GATEWAY} 255.255.255.0",
    "crypto isakmp key sharedsecret address 0.0.0.0 0.0.0.0",
    "aaa authentication ppp default group radius",
    "aaa accounting network default start-stop group radius",
    f"radius-server host {SERVER} key {KEY}",
)
PROPOSALS = {"ike__proposals": (IkeProposal("3des", "sha1", "modp1024"),), "ike__esp_proposals": (EspProposal("3des", "sha1"),)}


class Lab:
    """`server` stands beside the NAT."""

    def __init__(self, world, more=()):
        self.net = world("demux")
        self.server = RadiusServer({GATEWAY: Secret(KEY)}, {f"user{number}": Secret(f"pw{number}") for number in (1, 2)})
        self.router = Live(lambda: self.net.now, self.net.settle)
        self.net.gateway = self.router.router
        onward = self.net.deliver
        self.net.deliver = lambda packet: self._ask(packet) if packet.dst == SERVER else onward(packet)
        self.router.configure(*example("nat-demux-lns"), *HERE, *more)

    def _ask(self, packet):
        self.server.receive(self.net.now, packet.src, packet.sport, packet.dport, packet.payload)
        for out in self.server.take_datagrams():
            self.net.carry(Packet(SERVER, out.address, ip.UDP, out.payload, out.sport, out.dport))

    def dial(self, number, method="mschapv1", **changes):
        return self.net.dial(number, **PROPOSALS, ppp__accept=(method,), **changes)

    def told(self):
        return [(record.status, record.user) for record in self.server.records]


@pytest.fixture
def lab(world):
    return lambda **how: Lab(world, **how)


def test_each_client_has_records_of_its_own(lab):
    at = lab()
    one, two = at.dial(1), at.dial(2, "chap-md5")
    assert [(asked.user, asked.method) for asked in at.server.asked] == [("user1", "mschapv1"), ("user2", "chap-md5")]
    assert [at.net.ping(one, to="12.0.0.8") for _ in range(3)] == [True] * 3
    assert at.net.ping(two, to="12.0.0.8")
    one.stack.close(at.net.now)
    at.net.run(10)
    two.stack.close(at.net.now)
    at.net.run(10)
    assert at.told() == [("start", "user1"), ("start", "user2"), ("stop", "user1"), ("stop", "user2")]
    stops = at.server.records[2:]
    assert [stop.number("acct-input-packets") for stop in stops] == [3, 1]
    assert [stop.number("acct-terminate-cause") for stop in stops] == [1, 1]
    addresses = [record.attributes.address("framed-ip-address") for record in at.server.records]
    assert addresses == [one_ := "20.0.0.100", two_ := "20.0.0.101", one_, two_]


def test_whom_the_server_does_not_know(lab):
    at = lab()
    client = at.dial(3)
    assert client.stack.state is State.ENDED
    assert [(asked.user, asked.good) for asked in at.server.asked] == [("user3", False)]
    assert at.server.records == []


def test_a_server_that_says_nothing_holds_the_others_up_in_nothing(lab):
    """While one user waits for an answer, another works on, and comes in when the server is back."""
    at = lab()
    one = at.dial(1)
    at.server.silent = True
    two = at.dial(2, wait=7)
    assert two.stack.address is None
    assert at.net.ping(one, to="12.0.0.8")
    at.server.silent = False
    at.net.run(10)
    assert at.net.ping(two, to="12.0.0.8")


def test_ipsec_sessions_of_clients_behind_one_nat(lab):
    """SEC-85: told apart by what they call themselves, since their address is the NAT's."""
    flows = ("aaa accounting network FLOWS start-stop group radius", "crypto map CRYP_MAP client-accounting-list FLOWS")
    at = lab(more=flows)
    one, two = at.dial(1), at.dial(2)
    assert at.net.ping(two, to="12.0.0.8")
    two.stack.close(at.net.now)
    at.net.run(10)
    mine = [record for record in at.server.records if not record.user]
    said = [[value.decode() for value in record.attributes.all("cisco-avpair")] for record in mine]
    ids = [f"isakmp-phase1-id={client.address}" for client in (one, two)]
    assert said == [[f"isakmp-initiator-ip={NAT}", name] for name in (ids[0], ids[1], ids[1])]
    assert [record.status for record in mine] == ["start", "start", "stop"]
    heard = [packet for packet in two.received if packet.sport == 4500 and packet.payload[:4] != bytes(4)]
    assert mine[2].number("acct-output-packets") == len(heard)


def test_sas_that_are_cleared_are_a_lost_service(lab):
    """The peer behind a translated port goes with its SAs."""
    at = lab()
    at.dial(1)
    at.router.run("clear crypto sa")
    at.net.run(1)
    assert at.told() == [("start", "user1"), ("stop", "user1")]
    assert at.server.records[1].number("acct-terminate-cause") == 3


def test_a_line_that_builds_the_router_anew_ends_its_sessions(lab):
    """The record of it is sent again too, should it be lost."""
    at = lab()
    at.dial(1)
    lost = []
    at.net.drop = lambda packet: packet.dst == SERVER and not lost and lost.append(packet) is None
    at.router.configure("ip local pool POOL 20.0.0.120 20.0.0.130")
    assert (len(lost), at.told()) == (1, [("start", "user1")])
    at.net.run(6)
    assert at.told() == [("start", "user1"), ("stop", "user1")]
    assert at.server.records[1].number("acct-terminate-cause") == 6
    assert at.dial(2).stack.address == "20.0.0.120"


def test_a_router_that_serves_nobody_any_more_comes_to_rest(lab):
    """Nothing is left to wake it for, save the terminal that nobody types on."""
    at = lab()
    at.dial(1)
    at.server.silent = True
    at.router.configure("no vpdn enable")
    assert at.router.router.meaning.settings is None
    assert at.router.router.deadline == at.router.state.deadline
