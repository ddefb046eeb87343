"""Any datagram from anywhere: nothing is raised, and nobody else's connection changes."""

from __future__ import annotations

import random

import pytest

from harness.wire import ip
from harness.wire.l2tp import header
from harness.wire.packet import Packet

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"


def mutated(choice: random.Random, packet: Packet) -> Packet:
    """The same from elsewhere, or a neighbour of it: bytes changed, cut, lengthened, or to another port."""
    data = bytearray(packet.payload)
    for _ in range(choice.choice((0, 1, 1, 2, 8))):
        if data:
            data[choice.randrange(min(len(data), choice.choice((8, 40, len(data)))))] = choice.randrange(256)
    if choice.random() < 0.2:
        del data[choice.randrange(len(data) + 1) :]
    if choice.random() < 0.1:
        data += choice.randbytes(choice.randrange(60))
    source = choice.choice((packet.src, packet.src, "198.51.100.9"))
    sport = packet.sport if choice.random() < 0.5 else choice.randrange(65536)
    dport = packet.dport if choice.random() < 0.8 else choice.choice((500, 4500, 1701, 0, 9))
    return Packet(source, packet.dst, choice.choice((17, 17, 17, 50, 51, 1)), bytes(data), sport, dport)


def state(net) -> object:
    view = net.view()
    return view.sessions, view.sas, view.ike_sas, view.ports


@pytest.mark.parametrize("personality", ["demux", "plain", "clear"])
@pytest.mark.parametrize("seed", range(3))
def test_mutations_of_real_traffic(world, personality, seed) -> None:
    net = world(personality, seed=seed)
    without = {"ike": None} if personality == "clear" else {}
    one = net.dial(1, **without)
    two = net.dial(2, **without)
    net.ping(two)
    traffic = [packet for packet in net.crossed if packet.dst == GATEWAY]
    if personality == "clear":  # nothing protects these from who can speak in their place
        traffic = [packet for packet in traffic if packet.sport == net.outside[one.address, 1701]]
    before = state(net)
    choice = random.Random(seed)
    for _ in range(3000):
        packet = mutated(choice, choice.choice(traffic))
        if personality == "clear" and packet.src == NAT:
            packet = Packet("198.51.100.9", *(getattr(packet, name) for name in ("dst", "protocol", "payload", "sport", "dport")))
        net.gateway.receive(net.now, packet)
        net.now += 0.001
        if choice.random() < 0.05:
            net.gateway.tick(net.now)
        net.gateway.take_packets()
        net.gateway.take_events()
        net.gateway.take_taps()
    assert state(net) == before
    assert net.ping(two)
    net.run(120)  # what was half open ends by itself, and who was evicted
    left = 1 if personality == "plain" else 2
    assert len(net.gateway.ipsec.associations) == (0 if personality == "clear" else left)
    assert len(net.view().sessions) == left
    assert len(list(net.gateway.lns)) == left
    assert net.gateway.lns.half_open == 0
    assert net.gateway.ipsec.associations.half_open == 0
    assert net.ping(two)


def test_replayed_esp_moves_nobody(world) -> None:
    net = world("demux")
    one = net.dial(1)
    net.ping(one)
    last = next(p for p in reversed(net.crossed) if p.dst == GATEWAY)
    before = state(net)
    net.gateway.receive(net.now, Packet("198.51.100.9", GATEWAY, ip.UDP, last.payload, 4500, 4500))
    assert state(net) == before
    assert "received before" in net.gateway.take_events()[-1].detail["reason"]


def test_half_open_peers_are_limited(world) -> None:
    net = world("demux", half_open=10)
    one = net.dial(1)
    first = next(packet for packet in net.crossed if packet.dst == GATEWAY)
    for number in range(50):
        message = number.to_bytes(8, "big").replace(bytes(7), b"\1" * 7) + first.payload[8:]
        net.gateway.receive(net.now, Packet("198.51.100.9", GATEWAY, ip.UDP, message, 500, 500))
    assert net.gateway.ipsec.associations.half_open == 10
    assert net.ping(one)
    net.run(120)
    assert net.gateway.ipsec.associations.half_open == 0
    assert net.dial(2).up


def test_half_open_tunnels_are_limited(world) -> None:
    net = world("clear", half_open=10)
    one = net.dial(1, ike=None)
    request = next(packet for packet in net.crossed if packet.dst == GATEWAY)
    for port in range(2000, 2050):
        net.gateway.receive(net.now, Packet("198.51.100.9", GATEWAY, ip.UDP, request.payload, port, 1701))
    assert net.gateway.lns.half_open == 10
    assert net.ping(one)
    net.run(60)
    assert len(net.gateway.lns.tunnels) == 1
    assert net.dial(2, ike=None).up


def test_a_copied_sccrq_opens_no_second_tunnel(world) -> None:
    net = world("clear")
    net.dial(1, ike=None)
    request = next(packet for packet in net.crossed if packet.dst == GATEWAY)
    net.gateway.receive(net.now, request)
    assert len(net.gateway.lns.tunnels) == 1


def test_one_client_cannot_reach_into_anothers_tunnel(world) -> None:
    """With translated ports a tunnel's ID alone is not enough."""
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    target = net.view().sessions[0]
    stop = bytes.fromhex("c802000c") + target.tunnel_local.to_bytes(2, "big") + bytes(6)
    two.stack._ipsec.send(net.now, stop)
    two.stack.tick(net.now)
    net.settle()
    assert "is another peer's" in net.of("dropped")[-1].detail["reason"]
    assert net.ping(one)


def test_a_link_does_not_outlive_its_tunnels_end(world) -> None:
    """Found by `make fuzz`: LCP terminated, then a message that breaks the tunnel, then silence. The link's time to be hung up had
    come, its call had gone with the tunnel, and the deadline stayed where it was."""
    net = world("clear")
    one = net.dial(1, ike=None)
    port = net.outside[one.address, 1701]
    one.stack._ppp.close(net.now)
    one.stack.tick(net.now)
    net.settle()
    core, channel = one.stack._l2tp, one.stack._l2tp._channel
    unknown = bytes.fromhex("800800000000") + (6).to_bytes(2) + bytes.fromhex("800600000fff")
    message = header.build_control(core.tunnel_remote, 0, channel._first, channel._nr, unknown)
    net.gateway.receive(net.now, Packet(NAT, GATEWAY, ip.UDP, message, port, 1701))
    one.stack.vanish()
    began = net.now
    for _ in range(100):
        if net.gateway.deadline is None:
            break
        net.now = net.gateway.deadline
        net.gateway.tick(net.now)
        assert net.gateway.deadline is None or net.gateway.deadline > net.now
        net.settle()
    assert net.now > began + 20
    assert not net.gateway.lns.tunnels
    assert [event.detail["by"] for event in net.of("session-down")] == ["gateway"]
