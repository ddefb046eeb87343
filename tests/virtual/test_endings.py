"""How connections end, whom it touches, and what is left."""

from __future__ import annotations

import pytest

from harness.errors import DeviceError, UsageError
from harness.model import Secret
from harness.wire import events
from harness.wire.config import EspProposal
from harness.wire.packet import Packet

GATEWAY = "203.0.113.231"


def gone(net, client, port: int) -> None:
    """Nothing of the client is left in the gateway, and its port is free."""
    view = net.view()
    assert port not in view.ports.values()
    assert port not in {sa.translated_port for sa in view.sas}
    assert port not in {session.peer_port for session in view.sessions}
    assert port in {event.detail["port"] for event in net.of("port-freed")}
    assert client.stack.address is None


def test_a_client_hangs_up(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    one.stack.close(net.now)
    net.run(5)
    gone(net, one, 1024)
    assert net.ping(two)
    kinds = [event.kind for event in net.events if event.peer_port == net.outside[one.address, 4500]]
    for kind in ("ppp-down", "session-down", "address-freed", "tunnel-down", "esp-down", "port-freed", "ike-down"):
        assert kind in kinds, kind
    assert net.of("address-freed")[0].detail["user"] == "user1"
    assert net.of("tunnel-down")[0].detail["by"] == "client"
    assert not net.of("refused")
    assert not net.of("dropped")


def test_the_gateway_deletes_ipsec(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    net.gateway.delete_ipsec(net.now, net.spi(one))
    net.run(20)
    gone(net, one, 1024)
    assert one.of(events.Failed)[0].facts["by"] == "gateway"
    assert net.ping(two)
    assert len(net.view().ike_sas) == 1


def test_ipsec_is_found_by_the_port_that_ike_comes_from(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    net.gateway.delete_ipsec(net.now, udp_port=net.outside[two.address, 4500])
    net.run(20)
    gone(net, two, 1025)
    assert net.ping(one)


def test_the_gateway_deletes_esp_alone(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    net.gateway.delete_esp(net.now, net.spi(one))
    assert len(net.view().ike_sas) == 2
    net.run(20)
    gone(net, one, 1024)
    assert net.ping(two)


@pytest.mark.parametrize("personality", ["demux", "clear"])
def test_the_gateway_closes_a_tunnel(world, personality) -> None:
    net = world(personality)
    without = {} if personality == "demux" else {"ike": None}
    one, two = net.dial(1, **without), net.dial(2, **without)
    session = net.view().sessions[0]
    net.gateway.close_l2tp(net.now, session.tunnel_local)
    assert [s.tunnel_local for s in net.view().sessions] == [net.view().sessions[0].tunnel_local] != [session.tunnel_local]
    net.run(20)
    assert not one.up
    assert "StopCCN result 1" in one.of(events.Failed)[0].reason or "CDN result 3" in one.of(events.Failed)[0].reason
    assert net.ping(two)
    assert net.of("tunnel-down")[0].detail["by"] == "gateway"


def test_the_gateway_closes_a_call(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    net.gateway.close_call(net.now, net.view().sessions[0].session_local)
    net.run(20)
    assert "CDN result 3" in one.of(events.Failed)[0].reason
    gone(net, one, 1024)
    assert net.ping(two)


def test_orders_for_what_is_not_there(world) -> None:
    net = world("demux")
    for order, said in (
        (lambda: net.gateway.delete_ipsec(net.now, "deadbeef"), "'list SAs': no ESP SA with SPI deadbeef"),
        (lambda: net.gateway.delete_ipsec(net.now, udp_port=7), "'list SAs': no IKE SA for 7"),
        (lambda: net.gateway.delete_ipsec(net.now, address="192.0.2.9"), "'list SAs': no IKE SA for 192.0.2.9"),
        (lambda: net.gateway.delete_esp(net.now, "deadbeef"), "'list SAs': no ESP SA with SPI deadbeef"),
        (lambda: net.gateway.rekey(net.now, "deadbeef"), "'list SAs': no ESP SA with SPI deadbeef"),
        (lambda: net.gateway.rekey_ike(net.now, udp_port=7), "'list SAs': no IKE SA for 7"),
        (lambda: net.gateway.close_l2tp(net.now, 7), "'close the tunnel': no tunnel 7 is up"),
        (lambda: net.gateway.close_call(net.now, 7), "'close the call': no call 7 is up"),
        (lambda: net.gateway.reconfigure(net.now, address="192.0.2.1"), "'reconfigure': address can only be set before the start"),
        (
            lambda: net.gateway.reconfigure(net.now, port_last=1030, ipsec=False),
            "'reconfigure': ipsec, port_last can only be set before the start",
        ),
    ):
        with pytest.raises(DeviceError) as caught:
            order()
        assert str(caught.value) == f"gateway: {said}"
    with pytest.raises(UsageError, match="no setting colour"):
        net.gateway.reconfigure(net.now, colour="red")


def test_a_client_that_vanishes_is_freed(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    one.stack.vanish()
    net.run(120)
    assert [s.peer_port for s in net.view().sessions] == [1025], "L2TP's Hello found out"
    assert net.of("tunnel-down")[0].detail["by"] == "silence"
    assert net.ping(two)
    net.run(300)
    gone(net, one, 1024)
    assert net.ping(two)
    assert len(net.gateway.ipsec.associations) == 1
    assert len(net.gateway.lns.tunnels) == 1


def test_a_client_that_answers_dpd_is_found_dead_by_it(world) -> None:
    net = world("demux", idle=None, hello=None, echo=None)
    dpd = bytes.fromhex("afcad71368a1f1c96b8696fc77570100")
    one = net.dial(1, ike__vendor_ids=(bytes.fromhex("4a131c81070358455c5728f20e95452f"), dpd))
    net.run(400)
    assert one.up, "as long as it answers"
    one.stack.vanish()
    net.run(100)
    gone(net, one, 1024)
    assert "dead" in net.of("esp-down")[0].detail["reason"]


def test_lcp_echoes_find_a_dead_peer(world) -> None:
    net = world("demux", idle=None, hello=None)
    one = net.dial(1)
    one.stack.vanish()
    net.run(200)
    assert not net.view().sessions
    assert "Echo" in net.of("ppp-down")[0].detail["reason"]


def test_restart_forgets_all_without_a_word(world) -> None:
    net = world("demux")
    one = net.dial(1)
    start = len(net.crossed)
    net.gateway.restart(net.now)
    net.settle()
    assert len(net.crossed) == start
    view = net.view()
    assert (view.sessions, view.sas, view.ike_sas, view.ports) == ((), (), (), {})
    assert not net.ping(one)
    assert "unknown SPI" in net.of("dropped")[-1].detail["reason"]
    again = net.dial(2)
    assert again.up
    assert [s.peer_port for s in net.view().sessions] == [1024]


def test_silence_ends_what_depends_on_hearing(world) -> None:
    net = world("demux")
    one = net.dial(1)
    net.gateway.silence(net.now)
    start = len(net.crossed)
    assert not net.ping(one)
    assert all(packet.src != "203.0.113.231" for packet in net.crossed[start:])
    net.gateway.silence(net.now, False)
    assert net.ping(one)


def test_shut_down_is_told_to_everybody(world) -> None:
    net = world("demux")
    clients = [net.dial(number) for number in (1, 2, 3)]
    net.gateway.shut_down(net.now)
    net.run(10)
    assert net.gateway.ended
    assert not any(client.up for client in clients)
    assert all(client.of(events.Failed)[0].facts["by"] == "gateway" for client in clients)
    assert not net.view().sas


def test_a_client_returns_by_another_mapping(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    one.stack.close(net.now)
    net.run(5)
    net.forget(one)
    again = net.dial(1, name="again")
    assert again.up
    assert net.ping(again)
    assert net.ping(two)
    assert sorted(net.view().ports.values()) == [1025, 1026]


def test_a_crashed_client_returns_by_the_same_mapping(world) -> None:
    """It is the same client by address and port: its port too. What is stale ends by itself and hurts nobody."""
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    one.stack.vanish()
    del net.clients["c1"]
    again = net.dial(1)
    assert again.up
    assert [event.detail["port"] for event in net.of("port-given")] == [1024, 1025]
    net.run(300)
    assert net.ping(again)
    assert net.ping(two)
    assert len(net.view().sessions) == 2
    assert len(net.gateway.ipsec.associations) == 2


def test_a_nat_that_gives_another_mapping_is_followed(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    old = net.outside[one.address, 4500]
    net.forget(one)
    assert net.ping(one)
    assert net.ping(two)
    ports = {sa.udp_port for sa in net.view().sas if sa.translated_port == 1024}
    assert ports == {net.outside[one.address, 4500]} != {old}
    one.stack.rekey_ipsec(net.now)
    net.run(60)
    assert net.ping(one)
    assert sorted(net.view().ports.values()) == [1024, 1025]


def test_a_rekey_may_be_the_first_to_come_by_the_new_mapping(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    net.forget(one)
    one.stack.rekey_ipsec(net.now)
    net.settle()
    assert net.of("esp-up")[-1].peer_port == net.outside[one.address, 4500], "it is followed before any ESP has come that way"
    net.run(60)
    assert net.ping(one)
    assert net.ping(two)
    assert [event.detail["port"] for event in net.of("port-given")] == [1024, 1025]
    assert {sa.udp_port for sa in net.view().sas if sa.translated_port == 1024} == {net.outside[one.address, 4500]}


def test_a_gateway_that_does_not_follow_drops_it(world) -> None:
    net = world("demux", follow=False)
    one, two = net.dial(1), net.dial(2)
    net.forget(one)
    assert not net.ping(one)
    assert net.ping(two)


def test_a_wrong_password(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2, ppp__password="wrong")
    assert not two.up
    assert two.of(events.Failed)[0].stage == "PPP authentication"
    assert net.ping(one)
    net.run(30)
    gone(net, two, 1025)
    refused = [event for event in net.of("refused") if event.detail["layer"] == "PPP authentication"]
    assert refused[0].detail["user"] == "user2"


def test_an_unknown_user(world) -> None:
    net = world("demux")
    assert not net.dial(1, ppp__user="nobody").up


def test_a_wrong_key(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2, ike__psk=b"wrong", wait=100)
    assert not two.up
    assert two.of(events.Failed)[0].stage == "main mode"
    assert "pre-shared key" in str([event.detail for event in net.of("refused")])
    assert net.ping(one)
    net.run(60)
    assert len(net.gateway.ipsec.associations) == 1
    assert net.gateway.ipsec.associations.half_open == 0


def test_the_pool_ends(world) -> None:
    net = world("demux", pool_last="172.16.1.11")
    one, two = net.dial(1), net.dial(2)
    three = net.dial(3)
    assert not three.up
    assert three.of(events.Failed)[0].stage == "IPCP"
    assert net.ping(one)
    assert net.ping(two)
    assert "the address pool is exhausted" in {event.detail["reason"] for event in net.of("refused")}
    one.stack.close(net.now)
    net.run(10)
    assert net.dial(4).stack.address == "172.16.1.10"


def test_settings_change_for_those_who_come(world) -> None:
    net = world("demux")
    one = net.dial(1)
    net.gateway.reconfigure(net.now, psk=Secret("another"), users={"user2": Secret("new")})
    assert net.dial(2, ike__psk=b"another", ppp__password="new").up
    assert not net.dial(3, wait=100).up
    assert net.ping(one)


def test_initial_contact_of_a_neighbour_hurts_nobody(world) -> None:
    net = world("demux")
    one = net.dial(1)
    two = net.dial(2, ike__initial_contact=True)
    assert two.up
    assert net.ping(one)
    assert net.ping(two)


def test_initial_contact_clears_what_its_own_client_left(world) -> None:
    net = world("demux", initial_contact="same-client")
    one, two = net.dial(1), net.dial(2)
    one.stack.vanish()
    del net.clients["c1"]
    again = net.dial(1, ike__initial_contact=True)
    assert again.up
    assert len(net.gateway.ipsec.associations) == 2
    assert net.ping(again)
    assert net.ping(two)


def test_initial_contact_by_address_clears_the_neighbours(world) -> None:
    net = world("demux", initial_contact="same-address")
    one = net.dial(1)
    net.dial(2, ike__initial_contact=True)
    net.run(5)
    assert not one.up


def test_a_lifetime_in_kilobytes_ends_and_renews(world) -> None:
    net = world("demux")
    one = net.dial(1, ike__esp_proposals=(EspProposal("aes-256", "sha1", lifetime_kb=64),))
    for _ in range(400):
        assert net.ping(one, payload=bytes(900))
        net.run(0.1)
    assert len(one.of(events.EspUp)) > 4
    net.run(60)
    assert net.ping(one)
    assert net.view().ports == {1: 1024}
    assert not net.of("port-freed")


@pytest.mark.parametrize("method", ["mschapv2", "mschapv1", "chap-md5", "pap"])
def test_every_authentication(world, method) -> None:
    net = world("demux", authentication=(method,))
    one = net.dial(1, ppp__accept=(method,))
    assert net.ping(one)
    assert net.of("ppp-up")[0].detail["user"] == "user1"
    assert not net.dial(2, ppp__accept=(method,), ppp__password="wrong", wait=60).up
    assert net.ping(one)


def test_authentications_are_offered_in_order(world) -> None:
    net = world("demux", authentication=("chap-md5", "mschapv1"))
    assert net.dial(1, ppp__accept=("mschapv1",)).of(events.Authenticated)[0].method == "mschapv1"
    assert net.dial(2, ppp__accept=("mschapv1", "chap-md5")).of(events.Authenticated)[0].method == "chap-md5"
    assert not net.dial(3, ppp__accept=("pap",), wait=60).up


def test_no_authentication(world) -> None:
    assert world("demux", authentication=()).dial(1).up


def test_who_does_not_log_in_takes_no_address(world) -> None:
    net = world("demux", pool_last="172.16.1.10")
    assert not net.dial(1, ppp__password="wrong").up
    assert net.dial(2).stack.address == "172.16.1.10"


def sccn(packet: Packet) -> bool:
    """Whether it is an SCCCN in clear: its first AVP is Message Type 3 (RFC 2661 section 4.4.1)."""
    return packet.dst == GATEWAY and packet.payload[:1] == b"\xc8" and packet.payload[18:20] == b"\x00\x03"


def test_the_call_may_overtake_the_end_of_the_tunnels_set_up(world) -> None:
    """It acknowledges the SCCRP, and the SCCCN is still under way."""
    net = world("clear")
    held: list[Packet] = []
    net.drop = lambda packet: sccn(packet) and not held and not held.append(packet)
    one = net.dial(1, ike=None)
    assert held
    assert one.up
    assert net.ping(one)


def test_a_tunnel_whose_set_up_never_ends_is_given_up(world) -> None:
    net = world("clear", call_wait=20.0)
    net.drop = sccn
    one = net.dial(1, ike=None, wait=15.0)
    assert net.gateway.lns.half_open == 1
    net.clients.clear()
    assert not one.up
    net.run(60.0)
    assert net.gateway.lns.half_open == 0
    assert net.gateway.lns.tunnels == {}
