"""Whatever the gateway does not take is told, once, of whoever sent it, with the layer that objected and the reason."""

from __future__ import annotations

import pytest

from harness.errors import ProtocolError
from harness.model import GatewayEvent
from harness.virtual.gateway import VirtualGateway
from harness.virtual.journal import PER_SECOND, Journal
from harness.virtual.parts import Parts
from harness.wire import events, ip
from harness.wire.esp import OutboundSa
from harness.wire.packet import ESP, Packet

GATEWAY, STRANGER = "203.0.113.231", "198.51.100.9"
HEADER = bytes.fromhex("0102030405060708 0000000000000000 01100200 00000000 0000001c")
UNKNOWN = HEADER[:8] + bytes.fromhex("1112131415161718") + HEADER[16:]
MARKER = bytes(4)
STOP = bytes.fromhex("c802000c 1234 0000 0000 0000")


def complaint(net, packet: Packet) -> GatewayEvent:
    """The one event that comes of it."""
    net.gateway.receive(net.now, packet)
    (event,) = net.gateway.take_events()
    assert (event.t, event.peer_address, event.peer_port) == (net.now, packet.src, packet.sport)
    assert not net.gateway.take_packets()
    return event


def udp(payload: bytes, dport: int, *, dst: str = GATEWAY) -> Packet:
    return Packet(STRANGER, dst, ip.UDP, payload, 5555, dport)


@pytest.mark.parametrize(
    ("personality", "packet", "told"),
    [
        ("demux", udp(HEADER, 500, dst="203.0.113.9"), ("dropped", "ip", "it is for 203.0.113.9")),
        ("demux", udp(b"x", 53), ("dropped", "ip", "UDP port 53 is not served")),
        ("demux", udp(STOP, 1701), ("dropped", "ip", "L2TP in the clear, where the policy asks for IPsec")),
        ("demux", Packet(STRANGER, GATEWAY, 6, b"x"), ("dropped", "ip", "IP protocol 6 is not served")),
        ("clear", udp(HEADER, 500), ("dropped", "ip", "there is no IPsec here")),
        ("clear", Packet(STRANGER, GATEWAY, ESP, bytes(40)), ("dropped", "ip", "there is no IPsec here")),
        ("demux", udp(HEADER[:27], 500), ("refused", "ike", "27 bytes are shorter than an ISAKMP header")),
        ("demux", udp(MARKER + HEADER[:3], 4500), ("refused", "ike", "3 bytes are shorter than an ISAKMP header")),
        ("demux", udp(UNKNOWN, 500), ("refused", "ike", "cookies of no SA of ours")),
        ("demux", udp(MARKER + UNKNOWN, 4500), ("refused", "ike", "cookies of no SA of ours")),
        ("demux", udp(b"\x12\x34\x56\x78" + bytes(40), 4500), ("dropped", "esp", "unknown SPI 12345678")),
        ("demux", Packet(STRANGER, GATEWAY, ESP, b"\x12\x34\x56\x78" + bytes(40)), ("dropped", "esp", "unknown SPI 12345678")),
        ("clear", udp(b"noise", 1701), ("dropped", "l2tp", "this is no L2TP")),
        ("clear", udp(STOP, 1701), ("dropped", "l2tp", "there is no tunnel 4660")),
    ],
)
def test_what_is_not_taken(world, personality, packet, told) -> None:
    event = complaint(world(personality), packet)
    assert (event.kind, event.detail["layer"], event.detail["reason"]) == told


@pytest.mark.parametrize("port", [500, 4500])
def test_a_keepalive_is_no_complaint(world, port) -> None:
    net = world("demux")
    net.gateway.receive(net.now, udp(b"\xff", port))
    assert [event.kind for event in net.gateway.take_events()] == ([] if port == 4500 else ["refused"])


def test_esp_of_somebody_elses(world) -> None:
    net = world("demux", follow=False)
    one = net.dial(1)
    esp = next(p for p in reversed(net.crossed) if p.dst == GATEWAY and p.payload[:4] != MARKER)
    spi = esp.payload[:4].hex()
    moved = Packet(STRANGER, GATEWAY, ip.UDP, esp.payload, 4500, 4500)
    owner = f"203.0.113.232:{net.outside[one.address, 4500]}"
    event = complaint(net, moved)
    assert (event.kind, event.detail) == ("dropped", {"layer": "esp", "reason": f"SA {spi} belongs to {owner}"})
    event = complaint(net, Packet(esp.src, GATEWAY, ESP, esp.payload))
    assert (event.kind, event.detail) == ("dropped", {"layer": "esp", "reason": f"SA {spi} came as IP protocol 50"})
    damaged = Packet(esp.src, GATEWAY, ip.UDP, esp.payload[:-1] + bytes([esp.payload[-1] ^ 1]), esp.sport, 4500)
    event = complaint(net, damaged)
    assert (event.kind, event.detail["layer"]) == ("dropped", "esp")
    assert net.ping(one)


def test_nobody_goes_on_with_what_another_has_begun(world) -> None:
    net = world("demux")
    net.dial(1)
    first, second = [packet for packet in net.crossed if packet.dst == GATEWAY][:2]
    net.gateway.restart(net.now)
    net.gateway.receive(net.now, Packet("203.0.113.232", GATEWAY, ip.UDP, first.payload, 20000, 500))
    (answer,) = net.gateway.take_packets()
    net.gateway.take_events()
    message = second.payload[:8] + answer.payload[8:16] + second.payload[16:]
    event = complaint(net, Packet(STRANGER, GATEWAY, ip.UDP, message, 500, 500))
    assert (event.kind, event.detail) == ("refused", {"layer": "ike", "reason": "a half-open exchange of 203.0.113.232's"})
    net.gateway.receive(net.now, Packet("203.0.113.232", GATEWAY, ip.UDP, message, 20000, 500))
    assert net.gateway.take_packets(), "it was neither ended nor changed"


def test_as_many_half_open_as_there_may_be_and_not_one_more(world) -> None:
    net = world("demux", half_open=1)
    net.dial(1)
    first = next(packet for packet in net.crossed if packet.dst == GATEWAY)
    start = Packet(STRANGER, GATEWAY, ip.UDP, b"\7" * 8 + first.payload[8:], 500, 500)
    net.gateway.receive(net.now, start)
    assert net.gateway.take_packets()
    net.gateway.take_events()
    event = complaint(net, Packet(STRANGER, GATEWAY, ip.UDP, b"\6" * 8 + first.payload[8:], 501, 500))
    assert (event.kind, event.detail) == ("refused", {"layer": "ike", "reason": "1 peers are half open already"})


def test_as_many_tunnels_as_there_may_be_and_not_one_more(world) -> None:
    net = world("clear", max_tunnels=2)
    assert net.dial(1, ike=None).up
    assert net.dial(2, ike=None).up
    request = next(packet for packet in net.crossed if packet.dst == GATEWAY)
    event = complaint(net, Packet(STRANGER, GATEWAY, ip.UDP, request.payload, 1701, 1701))
    assert event.detail == {"layer": "l2tp", "reason": "2 tunnels, 0 of them half open, are all it takes"}


def test_no_port_is_left(world) -> None:
    net = world("demux", port_first=1024, port_last=1024)
    assert net.dial(1).up
    net.events.clear()
    two = net.dial(2)
    assert not two.up
    (event,) = {(e.peer_address, e.peer_port, *sorted(e.detail.items())) for e in net.of("refused") if e.detail["layer"] == "demux"}
    where = "203.0.113.232", net.outside[two.address, 4500]
    assert event == (*where, ("layer", "demux"), ("reason", "every translated port is taken"))


def test_the_last_port_goes_to_one_of_two_that_come_at_once(world) -> None:
    """Both were agreed with while the port was still free: who is second to install its SA has to go."""
    net = world("demux", port_first=1024, port_last=1024)
    held: list[Packet] = []
    net.drop = lambda packet: packet.dst == GATEWAY and packet.payload[:4] == MARKER and not held.append(packet)
    one, two = net.dial(1, wait=0.0), net.dial(2, wait=0.0)
    while held:  # message by message, now of one and now of the other
        batch, held[:] = sorted(held, key=lambda packet: packet.sport), []
        for packet in batch:
            net.gateway.receive(net.now, packet)
        net.settle()
    net.drop = lambda packet: False
    net.run(60)
    assert sorted((one.up, two.up)) == [False, True]
    assert len(net.of("port-given")) == 1
    lost = two if one.up else one
    (event,) = [e for e in net.of("refused") if e.detail["layer"] == "esp"]
    assert (event.peer_port, event.detail["reason"]) == (net.outside[lost.address, 4500], "every translated port is taken")


def test_esp_that_carries_something_else(world) -> None:
    net = world("demux")
    one = net.dial(1)
    one.stack.rekey_ipsec(net.now)  # an SA that nothing has been sent by
    net.settle()
    esp = one.of(events.EspUp)[-1]
    sa = OutboundSa(esp.spi_out, esp.encryption, esp.authentication, esp.key_out, esp.auth_key_out, net.random.randbytes)
    source, sport = net.translated(one, 4500, ip.UDP)

    def sealed(sport: int, dport: int) -> bytes:
        return sa.seal(ip.UDP, ip.build_udp(ip.packed(source), ip.packed(GATEWAY), sport, dport, b"x"))

    for payload, layer, reason in (
        (sealed(1701, 1702), "esp", f"UDP 1701 to 1702 is not what SA {esp.spi_out:08x} is for"),
        (sealed(1702, 1701), "esp", f"UDP 1702 to 1701 is not what SA {esp.spi_out:08x} is for"),
        (sa.seal(6, bytes(20)), "esp", "next header 6 is not UDP"),
        (sealed(1701, 1701), "l2tp", "this is no L2TP"),
    ):
        net.gateway.receive(net.now, Packet(source, GATEWAY, ip.UDP, payload, sport, 4500))
        (event,) = net.gateway.take_events()
        assert (event.t, event.kind, event.peer_address) == (net.now, "dropped", source)
        assert event.peer_port == (1024 if layer == "l2tp" else sport), "L2TP knows nobody by another port"
        assert (event.detail["layer"], event.detail["reason"]) == (layer, reason)
    assert net.ping(one) is False, "its own sequence numbers are used up to here"


def test_an_spi_is_nobodys_but_once(world) -> None:
    net = world("demux")
    same = bytes.fromhex("11223344")
    net.gateway = VirtualGateway(net.gateway.settings, lambda count: same if count == 4 else net.random.randbytes(count))
    one, two = net.dial(1), net.dial(2)
    assert one.up
    assert not two.up
    refused = [event for event in net.of("refused") if event.detail["layer"] == "esp"]
    told = {(e.peer_address, e.peer_port, e.detail["reason"]) for e in refused}
    assert told == {("203.0.113.232", net.outside[two.address, 4500], "its SPI is taken")}
    assert {sa.udp_port for sa in net.view().sas} == {net.outside[one.address, 4500]}
    assert net.ping(one)


class Spent(OutboundSa):
    """An SA whose sequence numbers are at their end."""

    def seal(self, next_header: int, payload: bytes) -> bytes:
        raise ProtocolError("esp", "the sequence numbers are used up")


def test_what_cannot_be_sealed(world) -> None:
    net = world("demux", parts=Parts(outbound_sa=Spent))
    assert not net.dial(1).up
    told = [e for e in net.of("dropped") if e.detail["layer"] == "esp"]
    assert told
    for event in told:
        assert (event.peer_address, event.peer_port) == ("203.0.113.232", 1024), "as L2TP knows it"
        assert event.detail["reason"] == "the sequence numbers are used up"


def test_l2tp_that_no_sa_leads_to_any_more(world) -> None:
    net = world("plain")
    one = net.dial(1)
    net.gateway.delete_esp(net.now, net.spi(one))
    one.stack.vanish()
    net.run(120)
    told = {(e.peer_address, e.peer_port, e.detail["reason"]) for e in net.of("dropped") if "layer" not in e.detail}
    assert told == {("203.0.113.232", 1701, "no SA leads there")}


def test_a_packet_that_the_lan_sends_to_nobody(world) -> None:
    net = world("demux")
    net.gateway.receive_lan(net.now, ip.build_ipv4("192.168.7.2", "172.16.1.77", ip.ICMP, b"x"))
    (event,) = net.gateway.take_events()
    assert (event.kind, event.peer_address, event.peer_port) == ("dropped", "", 0)
    assert event.detail == {"layer": "ip", "reason": "from the LAN: nobody has the address 172.16.1.77"}


def test_a_client_that_speaks_for_another_is_named(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    net.events.clear()
    one.stack.send_ip(net.now, ip.build_ipv4(two.stack.address, "172.16.1.1", ip.ICMP, b"x"))
    net.settle()
    (event,) = net.events
    session = net.view().sessions[0].session_local
    assert (event.kind, event.peer_port) == ("dropped", net.outside[one.address, 4500])
    reason = f"a packet from {two.stack.address} came from the client at {one.stack.address}"
    assert event.detail == {"layer": "ip", "session": session, "reason": reason}


def test_complaints_are_counted_by_kind_and_second() -> None:
    journal = Journal()
    journal.tell(1.0, "refused", "a", 1, reason="no", port=None)
    assert (journal.dropped, journal.refused) == (0, 1)
    (event,) = journal.take_events()
    assert (event.t, event.kind, event.peer_address, event.peer_port, event.detail) == (1.0, "refused", "a", 1, {"reason": "no"})
    for _ in range(PER_SECOND):
        journal.tell(1.9, "dropped", "a", 1)
    assert (journal.dropped, journal.refused) == (PER_SECOND, 1)
    assert len(journal.take_events()) == PER_SECOND - 1
    journal.tell(2.0, "refused", "a", 1)
    journal.tell(2.0, "refused", "a", 1)
    assert [event.detail for event in journal.take_events()] == [{"untold": 1}, {}]
    for _ in range(PER_SECOND - 2):
        journal.tell(2.5, "dropped", "a", 1)
    assert len(journal.take_events()) == PER_SECOND - 2
    journal.tell(2.6, "dropped", "a", 1)
    assert not journal.take_events()
    assert (journal.dropped, journal.refused) == (2 * PER_SECOND - 1, 3)


def test_data_for_a_session_that_the_tunnel_does_not_have(world) -> None:
    net = world("clear")
    one = net.dial(1, ike=None)
    (session,) = net.view().sessions
    odd = bytes.fromhex("0002") + session.tunnel_local.to_bytes(2) + (session.session_local ^ 1).to_bytes(2) + b"\xff\x03\x00\x21"
    source, sport = net.translated(one, 1701, ip.UDP)
    event = complaint(net, Packet(source, GATEWAY, ip.UDP, odd, sport, 1701))
    assert (event.kind, event.detail["layer"]) == ("dropped", "l2tp")
    assert event.detail["reason"].startswith(f"data for tunnel {session.tunnel_local}, session {session.session_local ^ 1}; ours")
