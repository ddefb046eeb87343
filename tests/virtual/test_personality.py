"""What a personality says is what peers meet: on the wire, and in what the gateway bears."""

from __future__ import annotations

import pytest

from harness.wire import events
from harness.wire.config import EspProposal, IkeProposal
from harness.wire.l2tp.header import parse as parse_header
from harness.wire.l2tp.message import Type
from harness.wire.l2tp.message import parse as parse_message
from harness.wire.retransmit import Schedule

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"
DPD = bytes.fromhex("afcad71368a1f1c96b8696fc77570100")
RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")


def messages(net, since: int = 0) -> list:
    """L2TP control messages that the gateway sent in the clear."""
    found = []
    for packet in net.crossed[since:]:
        if packet.src == GATEWAY:
            header = parse_header(packet.payload)
            if header.control and header.body:
                found.append(parse_message(header.body))
    return found


def test_how_l2tp_introduces_itself(world) -> None:
    net = world("clear", host_name="tower", vendor_name="Nobody", firmware=0x1234, receive_window=3)
    one = net.dial(1, ike=None)
    (reply,) = [m for m in messages(net) if m.type is Type.SCCRP]
    assert [reply.values[name] for name in ("host-name", "vendor-name", "firmware-revision", "receive-window-size")] == [
        "tower", "Nobody", 0x1234, 3
    ]  # fmt: skip
    assert one.of(events.TunnelUp)[0].peer_host == "tower"


@pytest.mark.parametrize(("secret", "up"), [("tunnel", True), ("other", False)])
def test_the_tunnels_secret(world, secret, up) -> None:
    net = world("demux", secret="tunnel", challenge=True)
    assert net.dial(1, l2tp__secret=secret.encode(), wait=60).up is up


def test_no_challenge_no_secret(world) -> None:
    assert world("demux", secret="tunnel", challenge=False).dial(1).up


def test_l2tps_hello_comes_when_nobody_speaks(world) -> None:
    net = world("clear", hello=17.0, echo=None)
    net.dial(1, ike=None, l2tp__hello_s=0.0, ppp__echo_s=None)
    start = len(net.crossed)
    net.run(16)
    assert not [m for m in messages(net, start) if m.type is Type.HELLO]
    net.run(2)
    assert len([m for m in messages(net, start) if m.type is Type.HELLO]) == 1
    silent = world("clear", hello=None, echo=None)
    silent.dial(1, ike=None, l2tp__hello_s=0.0, ppp__echo_s=None)
    start = len(silent.crossed)
    silent.run(300)
    assert len(silent.crossed) == start


def test_retransmissions_keep_their_schedule(world) -> None:
    net = world("clear", l2tp_schedule=Schedule((2.0, 5.0)), hello=10.0, echo=None)
    one = net.dial(1, ike=None)
    one.stack.vanish()
    began, start = net.now, len(net.crossed)
    net.run(60)
    hellos = [m for m in messages(net, start) if m.type is Type.HELLO]
    assert len(hellos) == 2
    (down,) = net.of("tunnel-down")
    assert (down.t - began, down.detail["by"], down.detail["result"]) == (17.0, "silence", 0)


def test_what_ppp_is_told(world) -> None:
    net = world("demux", mru=1234, authentication=("chap-md5",), ppp_address="172.16.9.9")
    one = net.dial(1, ppp__accept=("chap-md5",))
    lcp, ppp = one.of(events.LcpUp)[0], one.of(events.PppUp)[0]
    assert (lcp.mru_peer, lcp.authentication) == (1234, "chap-md5")
    assert (ppp.address, ppp.peer) == ("172.16.1.10", "172.16.9.9")
    assert net.ping(one, to="172.16.9.9")
    assert not net.ping(one, to="172.16.1.1")


def test_ppps_echoes_find_the_dead_in_their_time(world) -> None:
    net = world("demux", echo=5.0, echo_misses=3, hello=None, idle=None)
    one = net.dial(1)
    one.stack.vanish()
    began = net.now
    net.run(100)
    (down,) = net.of("ppp-down")
    assert 15.0 <= down.t - began <= 20.0
    assert down.detail["by"] == "gateway"


def test_a_call_outlives_its_ppp_by_so_much(world) -> None:
    net = world("demux", echo=5.0, echo_misses=3, hello=None, idle=None, hang_up=9.0)
    net.dial(1).stack.vanish()
    net.run(100)
    session, ppp = net.of("session-down")[0], net.of("ppp-down")[0]
    assert session.t - ppp.t >= 9.0
    assert session.t - ppp.t <= 20.0
    assert session.detail["by"] == "gateway"


def test_a_peer_that_sends_no_esp_is_given_up_in_its_time(world) -> None:
    net = world("demux", idle=50.0, hello=None, echo=None)
    net.dial(1, l2tp__hello_s=0.0, ppp__echo_s=None)
    began = net.now
    net.run(49)
    assert net.view().ike_sas
    net.run(2)
    assert not net.view().ike_sas
    assert net.of("esp-down")[0].t - began == pytest.approx(50.0, abs=1.0)
    assert net.of("esp-down")[0].detail["by"] == "gateway"


def test_dead_peer_detection_asks_when_it_should(world) -> None:
    net = world("demux", dpd=12.0, idle=None, hello=None, echo=None)
    net.dial(1, ike__vendor_ids=(RFC_3947, DPD), l2tp__hello_s=0.0, ppp__echo_s=None)
    start = len(net.crossed)
    net.run(11)
    assert not [packet for packet in net.crossed[start:] if packet.src == GATEWAY]
    net.run(2)
    assert len([packet for packet in net.crossed[start:] if packet.src == GATEWAY]) == 1


@pytest.mark.parametrize(
    ("proposal", "up"), [(IkeProposal("3des", "sha1", "modp1024"), True), (IkeProposal("des", "md5", "modp768"), False)]
)
def test_proposals_of_phase_1(world, proposal, up) -> None:
    net = world("demux", ike_proposals=(IkeProposal("3des", "sha1", "modp1024"),))
    one = net.dial(1, ike__proposals=(proposal,), wait=60)
    assert one.up is up
    if up:
        ike = one.of(events.IkeUp)[0]
        assert (ike.encryption, ike.hash, ike.group) == ("3des", "sha1", "modp1024")


@pytest.mark.parametrize("proposal", [EspProposal("aes-128", "sha1"), EspProposal("3des", "sha1"), EspProposal("aes-256", "sha1")])
def test_proposals_of_phase_2(world, proposal) -> None:
    net = world("demux")
    one = net.dial(1, ike__esp_proposals=(proposal,))
    assert net.ping(one)
    esp = one.of(events.EspUp)[0]
    assert (esp.encryption, esp.authentication) == (proposal.encryption, proposal.authentication)


def test_a_link_is_never_numbered_as_one_before(world) -> None:
    net = world("demux")
    one = net.dial(1)
    one.stack.close(net.now)
    net.run(5)
    net.dial(2)
    net.gateway.restart(net.now)
    net.dial(3)
    assert [event.detail["interface"] for event in net.of("ppp-up")] == ["ppp0", "ppp1", "ppp2"]


def test_addresses_are_given_once_each_before_any_again(world) -> None:
    net = world("demux", pool_first="172.16.1.10", pool_last="172.16.1.12")
    given = []
    for number in range(1, 6):
        client = net.dial(number)
        given.append(client.stack.address)
        client.stack.close(net.now)
        net.run(5)
    assert given == [f"172.16.1.{last}" for last in (10, 11, 12, 10, 11)]
