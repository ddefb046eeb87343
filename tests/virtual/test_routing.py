"""IP between clients, the gateway, and the end host behind it."""

from __future__ import annotations

import pytest

from harness.errors import ProtocolError
from harness.virtual.endhost import EndHost
from harness.virtual.router import HERE, LAN, Router, echo_answer, forwarded
from harness.wire import ip

HOST, PPP = "192.168.7.2", "172.16.1.1"


def echo(source: str, destination: str, payload: bytes = b"x", ttl: int = 64) -> bytes:
    return ip.build_ipv4(source, destination, ip.ICMP, ip.build_echo(ip.Echo(True, 1, 1, payload)), ttl=ttl)


def carry_lan(net, host: EndHost) -> None:
    """To the end host and back until both are quiet."""
    for _ in range(10):
        net.settle()
        for packet in net.lan:
            host.receive(net.now, packet)
        net.lan.clear()
        packets = host.take_packets()
        for packet in packets:
            net.gateway.receive_lan(net.now, packet)
        if not packets:
            return


def test_the_end_host_answers_a_client(world) -> None:
    net, host = world("demux"), EndHost(HOST)
    one = net.dial(1)
    net.ping(one, HOST, b"far")
    carry_lan(net, host)
    assert one.heard == [b"far"]
    (seen,) = host.take_seen()
    assert (seen.source, seen.echo.payload) == (one.stack.address, b"far")


def test_the_end_host_asks_a_client(world) -> None:
    net, host = world("demux"), EndHost(HOST)
    one, two = net.dial(1), net.dial(2)
    host.ask(two.stack.address, 9, 1, b"who is there")
    carry_lan(net, host)
    assert two.heard == [b"who is there"]
    assert not one.heard


def test_the_lan_reaches_the_gateway_itself(world) -> None:
    net, host = world("demux"), EndHost(HOST)
    host.ask(PPP, 9, 1, b"gateway?")
    carry_lan(net, host)
    assert host.take_seen()[-1].echo.payload == b"gateway?"


def test_clients_reach_each_other(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    net.ping(one, two.stack.address, b"neighbour")
    assert two.heard == [b"neighbour"]


def test_nobody_is_there(world) -> None:
    net, host = world("demux"), EndHost(HOST)
    host.ask("172.16.1.99", 9, 1, b"?")
    carry_lan(net, host)
    assert net.of("dropped")[-1].detail["reason"] == "from the LAN: nobody has the address 172.16.1.99"


def test_a_client_cannot_speak_for_another(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    one.stack.send_ip(net.now, echo(two.stack.address, PPP))
    net.settle()
    assert not two.heard
    assert "came from the client" in net.of("dropped")[-1].detail["reason"]


def test_what_is_too_long_for_the_link_is_dropped(world) -> None:
    net = world("demux")
    one = net.dial(1, ppp__mru=500)
    net.gateway.receive_lan(net.now, echo(HOST, one.stack.address, bytes(600)))
    net.settle()
    assert not one.heard
    assert "are more than the 500" in net.of("dropped")[-1].detail["reason"]


def test_the_far_end_is_tapped_at_each_link(world) -> None:
    net = world("demux")
    one, two = net.dial(1), net.dial(2)
    net.ping(one)
    net.ping(two)
    taps = [(tap.interface, tap.direction, tap.packet[12:16]) for tap in net.taps if tap.side == "far-end"]
    own, first, second = (ip.packed(address) for address in (PPP, one.stack.address, two.stack.address))
    assert taps == [("ppp0", "in", first), ("ppp0", "out", own), ("ppp1", "in", second), ("ppp1", "out", own)]


def test_nothing_is_tapped_unless_somebody_listens(world) -> None:
    net = world("demux")
    net.gateway.journal.witnessed = False
    net.ping(net.dial(1))
    assert not net.taps


def test_router() -> None:
    router = Router(PPP)
    assert router.from_client(echo("172.16.1.10", PPP), "172.16.1.10", False).to == HERE
    assert router.from_client(echo("172.16.1.10", HOST), "172.16.1.10", False).to == LAN
    assert router.from_client(echo("172.16.1.10", "172.16.1.11"), "172.16.1.10", True).to == "172.16.1.11"
    assert router.from_lan(echo(HOST, "172.16.1.10")).to == "172.16.1.10"
    for packet in (b"", bytes(20), echo("172.16.1.11", HOST), echo("172.16.1.10", HOST)[:25]):
        with pytest.raises(ProtocolError):
            router.from_client(packet, "172.16.1.10", False)


def test_forwarding_takes_one_hop_and_mends_the_checksum() -> None:
    packet = echo(HOST, PPP, ttl=9)
    onward = forwarded(packet)
    assert ip.parse_ipv4(onward).ttl == 8
    assert onward[20:] == packet[20:]
    with pytest.raises(ProtocolError):
        forwarded(echo(HOST, PPP, ttl=1))


@pytest.mark.parametrize("packet", [b"", b"junk", echo("172.16.1.10", "192.168.7.3"), echo("172.16.1.10", HOST)[:25]])
def test_the_end_host_takes_anything(packet) -> None:
    host = EndHost(HOST)
    host.receive(1.0, packet)
    assert not host.take_packets()
    assert host.take_seen()[0].reason


def test_the_end_host_remembers_what_it_saw() -> None:
    host = EndHost(HOST)
    host.receive(1.0, echo("172.16.1.10", HOST, b"asked"))
    host.receive(2.0, ip.build_ipv4("172.16.1.10", HOST, ip.UDP, bytes(8)))
    host.receive(3.0, echo("172.16.1.10", "192.168.7.3"))
    first, second, third = host.take_seen()
    assert (first.t, first.source, first.echo, first.reason) == (1.0, "172.16.1.10", ip.Echo(True, 1, 1, b"asked"), "")
    assert (second.t, second.source, second.echo, second.reason) == (2.0, "172.16.1.10", None, "")
    assert (third.t, third.source, third.echo, third.reason) == (3.0, "", None, "it is for 192.168.7.3")
    assert host.take_seen() == []
    (answer,) = host.take_packets()
    parsed = ip.parse_ipv4(answer)
    assert (parsed.source, parsed.destination, parsed.ttl) == (HOST, "172.16.1.10", 64)
    assert ip.parse_echo(parsed.payload) == ip.Echo(False, 1, 1, b"asked")


def test_what_the_end_host_asks() -> None:
    host = EndHost(HOST)
    host.ask("172.16.1.10", 7, 8, b"you?")
    (request,) = host.take_packets()
    parsed = ip.parse_ipv4(request)
    assert (parsed.source, parsed.destination, parsed.protocol, parsed.ttl) == (HOST, "172.16.1.10", ip.ICMP, 64)
    assert ip.parse_echo(parsed.payload) == ip.Echo(True, 7, 8, b"you?")
    host.receive(1.0, ip.build_ipv4("172.16.1.10", HOST, ip.ICMP, ip.build_echo(ip.Echo(False, 7, 8, b"you?"))))
    assert host.take_seen()[0].echo == ip.Echo(False, 7, 8, b"you?")
    assert not host.take_packets(), "an answer is not answered"


def test_why_a_packet_goes_nowhere() -> None:
    router = Router(PPP)
    with pytest.raises(ProtocolError, match=r"from 172\.16\.1\.11 came from the client at 172\.16\.1\.10"):
        router.from_client(echo("172.16.1.11", HOST), "172.16.1.10", False)
    with pytest.raises(ProtocolError, match="its time to live has ended"):
        router.from_lan(echo(HOST, "172.16.1.10", ttl=1))
    here = echo("172.16.1.10", PPP, ttl=1)
    assert router.from_client(here, "172.16.1.10", False).packet == here, "nothing is forwarded"
    assert ip.parse_ipv4(router.from_client(echo("172.16.1.10", HOST, ttl=2), "172.16.1.10", False).packet).ttl == 1


def test_an_answer_bears_its_requests_number() -> None:
    request = ip.build_ipv4("172.16.1.10", HOST, ip.ICMP, ip.build_echo(ip.Echo(True, 3, 4, b"p")), identification=77, ttl=9)
    answer = echo_answer(request)
    assert answer is not None
    parsed = ip.parse_ipv4(answer)
    assert (parsed.identification, parsed.ttl, ip.parse_echo(parsed.payload)) == (77, 64, ip.Echo(False, 3, 4, b"p"))
    assert echo_answer(answer) is None
