"""Several clients behind one NAT: with translated ports, without them, and over rekeys."""

from __future__ import annotations

import pytest

from harness.wire import events, ip
from harness.wire.config import EspProposal
from harness.wire.esp import spi_of
from harness.wire.packet import Packet

NAT = "203.0.113.232"


def esp_to(net, since: int) -> list[int]:
    """SPIs of the ESP packets that the gateway has sent since then."""
    sent = [p for p in net.crossed[since:] if p.src == "203.0.113.231" and p.sport == 4500 and p.payload[:4] != bytes(4)]
    return [spi_of(packet.payload) for packet in sent]


def test_two_clients_both_live_each_by_its_own_port(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    assert one.up
    assert two.up
    for _ in range(3):
        assert net.ping(one)
        assert net.ping(two)
    assert [(s.peer_address, s.peer_port) for s in net.view().sessions] == [(NAT, 1024), (NAT, 1025)]
    given = [(event.detail["port"], event.peer_port) for event in net.of("port-given")]
    assert [port for port, _ in given] == [1024, 1025]
    assert len({outer for _, outer in given}) == 2


def test_the_first_to_come_gets_1024_whoever_it_is(world) -> None:
    net = world("demux")
    two, one = net.dial(2), net.dial(1)
    ports = {event.peer_port: event.detail["port"] for event in net.of("port-given")}
    assert ports[net.outside[two.address, 4500]] == 1024
    assert ports[net.outside[one.address, 4500]] == 1025


def test_a_port_is_there_before_the_first_l2tp_packet(world) -> None:
    net = world("demux")
    net.dial(1)
    kinds = [event.kind for event in net.events]
    assert kinds.index("port-given") < kinds.index("esp-up") < kinds.index("tunnel-up")
    first = next(tap for tap in net.taps if tap.side == "translated")
    assert ip.parse_udp(ip.parse_ipv4(first.packet).payload).sport == 1024


def test_translated_ports_stand_at_the_boundary_and_never_inside_esp(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    net.ping(one)
    net.ping(two)
    seen = {"in": set(), "out": set()}
    for tap in net.taps:
        if tap.side == "translated":
            udp = ip.parse_udp(ip.parse_ipv4(tap.packet).payload)
            seen[tap.direction].add(udp.sport if tap.direction == "in" else udp.dport)
            assert ip.udp_checksum_good(tap.packet[12:16], tap.packet[16:20], tap.packet[20:])
    assert seen == {"in": {1024, 1025}, "out": {1024, 1025}}
    # Both stacks pass only port 1701 up, and call every other strange.
    assert not one.of(events.Strange)
    assert not two.of(events.Strange)


def test_without_the_feature_the_newest_takes_all(world) -> None:
    net = world("plain")
    one = net.dial(1)
    assert net.ping(one)
    two = net.dial(2)
    assert two.up
    assert net.ping(two)
    start = len(net.crossed)
    assert not net.ping(one)
    # Its question was heard; the answer went into the other's SA.
    assert set(esp_to(net, start)) == {two.of(events.EspUp)[-1].spi_in}
    assert two.of(events.Strange)
    assert len({(s.peer_address, s.peer_port) for s in net.view().sessions}) == 1
    assert net.view().ports == {}


def test_of_three_the_last_alone_is_served(world) -> None:
    net = world("plain")
    clients = [net.dial(number) for number in (1, 2, 3)]
    assert [net.ping(client) for client in clients] == [False, False, True]


def test_who_was_evicted_ends_by_its_hello_and_the_gateway_notices(world) -> None:
    net = world("plain")
    one, two = net.dial(1), net.dial(2)
    net.run(200)
    assert not one.up
    assert two.up
    assert net.ping(two)
    assert len(net.view().sessions) == 1


def test_when_the_newest_leaves_the_one_before_is_found_again(world) -> None:
    net = world("plain")
    one, two = net.dial(1), net.dial(2)
    assert not net.ping(one)
    two.stack.close(net.now)
    net.run(3)
    assert net.ping(one)


def test_default_does_not_translate(world) -> None:
    net = world("default")
    one, two = net.dial(1), net.dial(2)
    assert not net.ping(one)
    assert net.ping(two)


@pytest.mark.parametrize("personality", ["plain", "demux"])
def test_without_a_nat_nobody_is_in_anybodys_way(world, personality) -> None:
    net = world(personality, nat=False)
    one, two = net.dial(1), net.dial(2)
    assert net.ping(one)
    assert net.ping(two)
    assert {p.protocol for p in net.crossed} == {17, 50}
    assert {p.dport for p in net.crossed if p.protocol == 17} == {500}
    assert not net.of("port-given")
    assert {(sa.udp_port, sa.translated_port) for sa in net.view().sas} == {(None, None)}


def test_without_ipsec_everybody_has_a_port_of_the_nats(world) -> None:
    net = world("clear")
    one, two = net.dial(1, ike=None), net.dial(2, ike=None)
    assert net.ping(one)
    assert net.ping(two)
    ports = {session.peer_port for session in net.view().sessions}
    assert ports == {net.outside[one.address, 1701], net.outside[two.address, 1701]}
    assert not net.view().sas


def test_clear_l2tp_is_dropped_where_ipsec_is_asked_for(world) -> None:
    net = world("demux")
    one = net.dial(1, ike=None, wait=40)
    assert not one.up
    assert {event.detail["reason"] for event in net.of("dropped")} == {"L2TP in the clear, where the policy asks for IPsec"}
    assert not net.view().sessions


@pytest.mark.parametrize("who", ["client", "gateway"])
def test_a_rekey_of_esp_keeps_the_port(world, who) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    before = net.view()
    if who == "client":
        one.stack.rekey_ipsec(net.now)
    else:
        net.gateway.rekey(net.now, net.spi(one))
    net.settle()
    both = [sa for sa in net.view().sas if sa.inbound and sa.translated_port == 1024]
    assert len(both) == 2, "old and new at once"
    assert net.ping(one)
    net.run(60)
    after = net.view()
    assert sorted(sa.translated_port for sa in after.sas if sa.inbound) == [1024, 1025]
    assert {sa.spi for sa in before.sas if sa.translated_port == 1024}.isdisjoint({sa.spi for sa in after.sas})
    assert after.sessions == before.sessions
    assert len(net.of("port-given")) == 2
    assert not net.of("port-freed")
    assert net.ping(one)
    assert net.ping(two)


@pytest.mark.parametrize("who", ["client", "gateway"])
def test_a_rekey_of_ike_keeps_the_port(world, who) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    before = net.view()
    if who == "client":
        one.stack.rekey_ike(net.now)
    else:
        net.gateway.rekey_ike(net.now, net.spi(one))
    net.run(60)
    assert len(one.of(events.IkeUp)) == 2
    one.stack.rekey_ipsec(net.now)
    net.run(60)
    after = net.view()
    assert len(after.ike_sas) == 2
    assert {row[:2] for row in after.ike_sas} != {row[:2] for row in before.ike_sas}
    assert sorted(sa.translated_port for sa in after.sas if sa.inbound) == [1024, 1025]
    assert after.sessions == before.sessions
    assert net.ping(one)
    assert net.ping(two)


def test_many_lifetimes_go_by(world) -> None:
    """Three clients whose SAs last ten minutes, for an hour."""
    net = world("demux")
    clients = [net.dial(n, ike__esp_proposals=(EspProposal("aes-256", "sha1", lifetime_s=600),)) for n in (1, 2, 3)]
    before = net.view().sessions
    for _ in range(12):
        net.run(300)
        assert all(net.ping(client) for client in clients)
    assert net.view().sessions == before
    assert len(net.of("esp-up")) > 3 * 6
    assert sorted(net.view().ports.values()) == [1024, 1025, 1026]


def test_a_lac_whose_own_port_is_1024_has_another_translated_port(world) -> None:
    net = world("demux")
    one = net.dial(1)
    lac = net.dial(2, l2tp_port=1024)
    assert lac.up
    assert net.ping(one)
    assert net.ping(lac)
    assert [s.peer_port for s in net.view().sessions] == [1024, 1025]


def test_a_direct_lac_at_port_1024_keeps_it(world) -> None:
    net = world("demux", nat=False)
    lac, one = net.dial(1, l2tp_port=1024), net.dial(2)
    assert net.ping(lac)
    assert net.ping(one)
    assert [s.peer_port for s in net.view().sessions] == [1024, 1701]


def test_the_same_inside_address_behind_two_nats(world) -> None:
    net = world("demux")
    one = net.dial(1)
    packets: list[Packet] = []
    other = world("demux", seed=5)  # a client of another site, whose packets come from another address
    other.gateway = net.gateway
    other.now = net.now

    def carry(packet: Packet) -> None:
        packets.append(packet)
        net.gateway.receive(
            other.now, Packet("198.51.100.7", *(getattr(packet, n) for n in ("dst", "protocol", "payload", "sport", "dport")))
        )

    other.carry = carry
    other.deliver = lambda packet: type(other).deliver(
        other, Packet(packet.src, NAT, packet.protocol, packet.payload, packet.sport, packet.dport)
    )
    two = other.dial(1, name="there")
    assert two.up
    assert other.ping(two)
    assert {(s.peer_address, s.peer_port) for s in net.view().sessions} == {(NAT, 1024), ("198.51.100.7", 1025)}
    assert one.stack.address != two.stack.address


def test_demux_taken_away_holds_for_new_clients_only(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    net.gateway.reconfigure(net.now, demux=False)
    three, four = net.dial(3), net.dial(4)
    assert [net.ping(client) for client in (one, two, three, four)] == [True, True, False, True]
    assert {s.peer_port for s in net.view().sessions} == {1024, 1025, 1701}
    one.stack.rekey_ipsec(net.now)
    net.run(60)
    assert net.ping(one), "any new SA of a client keeps its port"


def test_the_end_of_the_port_range_refuses_the_newcomer(world) -> None:
    net = world("demux", port_last=1025)
    one, two = net.dial(1), net.dial(2)
    three = net.dial(3, wait=100)
    assert not three.up
    assert "NO_PROPOSAL_CHOSEN" in three.of(events.Failed)[0].reason
    assert "every translated port is taken" in {event.detail["reason"] for event in net.of("refused")}
    assert net.ping(one)
    assert net.ping(two)
    one.stack.rekey_ipsec(net.now)  # who has a port needs no other
    net.run(60)
    assert net.ping(one)
    two.stack.close(net.now)
    net.run(5)
    four = net.dial(4)
    assert four.up
    assert [event.detail["port"] for event in net.of("port-given")] == [1024, 1025, 1025]


@pytest.mark.parametrize(("policy", "ports"), [("next", [1024, 1025, 1026, 1027]), ("lowest-free", [1024, 1025, 1024, 1026])])
def test_which_port_comes_after_a_client_has_gone(world, policy, ports) -> None:
    net = world("demux", port_policy=policy)
    one, _two = net.dial(1), net.dial(2)
    one.stack.close(net.now)
    net.run(3)
    net.dial(3)
    net.dial(1, name="again")
    assert [event.detail["port"] for event in net.of("port-given")] == ports
