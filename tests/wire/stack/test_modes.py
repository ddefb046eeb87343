"""The client without a NAT, without IPsec, in tunnel mode, with PFS, with another L2TP port, with SAs that live by kilobytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import ProtocolError
from harness.wire import events, ip
from harness.wire.config import AhProposal, EspProposal
from harness.wire.stack import State

Dial = Callable[..., Any]
PING = ip.build_ipv4("172.16.1.10", "172.16.1.1", ip.ICMP, ip.build_echo(ip.Echo(True, 1, 1, b"NSTM")))
PONG = ip.build_ipv4("172.16.1.1", "172.16.1.10", ip.ICMP, ip.build_echo(ip.Echo(False, 1, 1, b"NSTM")))


def kinds(told: list[events.Event]) -> list[str]:
    return [type(event).__name__ for event in told]


def ip_goes_both_ways(link: Any) -> None:
    assert link.client.state is State.UP, [event for event in link.told if not isinstance(event, events.EspUp)]
    assert link.client.send_ip(link.now, PING)
    link.settle()
    assert events.IpPacket(PING) in link.gateway.told
    link.gateway.send_ip(link.now, PONG)
    link.settle()
    assert link.told[-1] == events.IpPacket(PONG)


def outer(link: Any) -> set[tuple[int, int, int]]:
    """What crossed: (protocol, source port, destination port)."""
    return {(datagram.protocol, datagram.sport, datagram.dport) for _, datagram in link.crossed}


def test_without_a_nat_ike_stays_on_500_and_esp_is_protocol_50(dial: Dial) -> None:
    link = dial(nat=False)
    ip_goes_both_ways(link)
    assert outer(link) == {(17, 500, 500), (50, 0, 0)}
    (up,) = link.of(events.EspUp)
    assert up.encapsulation == "transport"


def test_without_a_nat_nobody_keeps_a_mapping_open(dial: Dial) -> None:
    link = dial(nat=False, echo_s=None)
    crossed = len(link.crossed)
    link.run(seconds=35)
    assert link.crossed[crossed:] == []


def test_without_a_nat_rekeys_and_ends_go_the_same_way(dial: Dial) -> None:
    link = dial(nat=False)
    link.client.rekey_ipsec(link.now)
    link.client.rekey_ike(link.now)
    link.run(seconds=45)
    ip_goes_both_ways(link)
    link.client.close(link.now)
    link.settle()
    assert outer(link) == {(17, 500, 500), (50, 0, 0)}
    assert kinds(link.gateway.told)[-2:] == ["EspDown", "IkeDown"]


@pytest.mark.parametrize(("nat", "wrong", "came"), [(True, (0, 50), "as IP protocol 50"), (False, (4500, 17), "in UDP")])
def test_esp_the_other_way_than_agreed_is_refused(dial: Dial, nat: bool, wrong: tuple[int, int], came: str) -> None:
    link = dial(nat=nat)
    spi, (_, outbound, encapsulation) = next(iter(link.gateway.pairs.items()))
    packet = outbound.seal(17, b"")
    port, protocol = wrong
    link.client.receive(link.now, port, packet, protocol)
    spi = int.from_bytes(packet[:4])
    assert link.client.take_events() == [events.Refused("esp", f"SA {spi:08x} is {encapsulation}, its packet came {came}")]


def test_without_ipsec_l2tp_goes_in_the_clear(dial: Dial) -> None:
    link = dial(ipsec=False)
    ip_goes_both_ways(link)
    assert outer(link) == {(17, 1701, 1701)}
    assert kinds(link.told) == ["TunnelUp", "CallUp", "LcpUp", "Authenticated", "PppUp", "IpPacket"]
    link.client.close(link.now)
    link.settle()
    assert (link.client.state, link.client.deadline) == (State.ENDED, None)
    assert {"CallDown", "TunnelDown"} <= set(kinds(link.gateway.told))


def test_without_ipsec_silence_is_noticed_all_the_same(dial: Dial) -> None:
    link = dial(ipsec=False)
    link.drop = lambda to_gateway, datagram: True
    assert link.run(lambda: link.client.state is State.ENDED, 300)
    (failed,) = link.of(events.Failed)
    assert "no answer to 4 LCP Echo-Requests" in failed.reason
    assert "esp" not in failed.facts


def test_without_ipsec_there_is_nothing_to_rekey_or_delete(dial: Dial) -> None:
    link = dial(ipsec=False)
    for order in (link.client.rekey_ipsec, link.client.rekey_ike, link.client.delete_ipsec):
        with pytest.raises(ProtocolError, match="does without IPsec"):
            order(link.now)
    ip_goes_both_ways(link)


def test_without_ipsec_other_ports_and_protocols_are_refused(dial: Dial) -> None:
    link = dial(ipsec=False)
    link.client.receive(link.now, 4500, b"\xff")
    link.client.receive(link.now, 0, bytes(40), 50)
    assert [event.reason for event in link.client.take_events()] == [
        "port 4500 is not served: there is no IPsec here",
        "IP protocol 50 is not served: there is no IPsec here",
    ]


def test_a_policy_of_ipsec_refuses_l2tp_in_the_clear(dial: Dial) -> None:
    link = dial()
    link.client.receive(link.now, 1701, bytes.fromhex("c802000c0000000000000000"))
    (refused,) = link.client.take_events()
    assert refused.reason == "L2TP in the clear came to port 1701, where the policy asks for IPsec"


@pytest.mark.parametrize("ipsec", [True, False])
def test_a_lac_with_a_floating_source_port(dial: Dial, ipsec: bool) -> None:
    """RFC 2661 §8.1: the initiator picks any source port; the quick-mode IDs name it too."""
    link = dial(ipsec=ipsec, stack={"l2tp_port": 1024})
    ip_goes_both_ways(link)
    if ipsec:
        assert {ip.parse_udp(datagram).sport for datagram in link.gateway.inside} == {1024}
        assert {ip.parse_udp(datagram).dport for datagram in link.gateway.inside} == {1701}
    else:
        assert {(d.sport, d.dport) for to_gateway, d in link.crossed if to_gateway} == {(1024, 1701)}


def test_a_gateway_may_insist_on_port_1701(dial: Dial) -> None:
    link = dial(stack={"l2tp_port": 1024}, gateway_ike={"client_ports": (0, 1701)})
    (failed,) = link.of(events.Failed)
    assert (failed.stage, failed.reason) == ("quick mode", "INVALID_ID_INFORMATION from the peer")
    refused = [event.reason for event in link.gateway.told if isinstance(event, events.Refused)]
    assert "not UDP port 0 or 1701" in refused[0]


def test_a_client_may_leave_the_inner_checksum_out(dial: Dial) -> None:
    link = dial(stack={"udp_checksum": "zero"})
    ip_goes_both_ways(link)
    assert {ip.parse_udp(datagram).checksum for datagram in link.gateway.inside} == {0}


@pytest.mark.parametrize("nat", [True, False])
def test_tunnel_mode_carries_the_inner_ip_packet_both_ways(dial: Dial, nat: bool) -> None:
    tunnel = {"mode": "tunnel"}
    link = dial(nat=nat, ike=tunnel, gateway_ike=tunnel)
    ip_goes_both_ways(link)
    (up,) = link.of(events.EspUp)
    assert up.encapsulation == ("udp-tunnel" if nat else "tunnel")
    assert up.nat_oa == ()


@pytest.mark.parametrize(
    ("next_header", "inner", "why"),
    [
        (17, b"", "next header 17 in tunnel mode"),
        (4, ip.build_ipv4("203.0.113.9", "10.0.0.2", 17, b""), "from 203.0.113.9 to 10.0.0.2, which the tunnel is not for"),
        (4, ip.build_ipv4("203.0.113.231", "10.0.0.3", 17, b""), "from 203.0.113.231 to 10.0.0.3, which the tunnel is not for"),
        (4, b"E", "shorter than a header"),
    ],
)
def test_what_the_tunnel_is_not_for_is_refused(dial: Dial, next_header: int, inner: bytes, why: str) -> None:
    tunnel = {"mode": "tunnel"}
    link = dial(ike=tunnel, gateway_ike=tunnel)
    link.gateway.send_inside(next_header, inner)
    link.settle()
    assert isinstance(link.told[-1], events.Refused)
    assert why in link.told[-1].reason
    ip_goes_both_ways(link)


@pytest.mark.parametrize("group", ["modp1024", "ecp384"])
def test_pfs_in_set_up_and_rekey(dial: Dial, group: str) -> None:
    link = dial(ike={"pfs": group}, gateway_ike={"pfs": group})
    ip_goes_both_ways(link)
    link.client.rekey_ipsec(link.now)
    link.settle()
    assert len(list(link.of(events.EspUp))) == 2
    ip_goes_both_ways(link)


@pytest.mark.parametrize("encryption", ["des", "3des", "aes-128", "aes-192", "aes-256", "null"])
@pytest.mark.parametrize("authentication", ["md5", "sha1", "sha256"])
def test_every_transform_carries_a_session(dial: Dial, encryption: str, authentication: str) -> None:
    esp = {"esp_proposals": (EspProposal(encryption, authentication),)}
    ip_goes_both_ways(dial(ike=esp, gateway_ike=esp))


def kilobytes(limit: int, margin: float | None) -> dict[str, object]:
    return {"esp_proposals": (EspProposal("aes-256", "sha1", 3600, limit),), "rekey_margin": margin}


def talk(link: Any, packets: int) -> None:
    """Echoes of 900 bytes, both ways. What is due in the meantime is done."""
    ping = ip.build_ipv4("172.16.1.10", "172.16.1.1", ip.ICMP, ip.build_echo(ip.Echo(True, 1, 1, bytes(900))))
    pong = ip.build_ipv4("172.16.1.1", "172.16.1.10", ip.ICMP, ip.build_echo(ip.Echo(False, 1, 1, bytes(900))))
    for _ in range(packets):
        if link.client.state is not State.UP:
            return
        assert link.client.send_ip(link.now, ping)
        link.gateway.send_ip(link.now, pong)
        link.settle()
        link.run(seconds=0.1)


@pytest.mark.parametrize("end", ["client", "gateway"])
def test_an_sa_is_renewed_by_kilobytes_at_either_end_and_the_session_lives(dial: Dial, end: str) -> None:
    """293 kB cross. The client renews after every 60; the gateway at 80 what the client began, after 60 what it began itself."""
    own, other = ("ike", "gateway_ike") if end == "client" else ("gateway_ike", "ike")
    link = dial(**{own: kilobytes(100, 0.6), other: kilobytes(100, None)})
    talk(link, 300)
    ups = [event for event in link.of(events.EspUp) if isinstance(event, events.EspUp)]
    assert len(ups) == 5
    assert all(up.rekey for up in ups[1:])
    assert "Failed" not in kinds(link.told)
    assert not [event for event in link.told if isinstance(event, events.Refused)]
    ip_goes_both_ways(link)


@pytest.mark.parametrize("end", ["client", "gateway"])
def test_an_sa_that_nobody_renews_ends_by_kilobytes(dial: Dial, end: str) -> None:
    """The hard limit, of which the other side would allow ten times as much."""
    few, many = kilobytes(100, None), kilobytes(1000, None)
    link = dial(ike=few if end == "client" else many, gateway_ike=many if end == "client" else few)
    talk(link, 200)
    (failed,) = link.of(events.Failed)
    assert "last ESP SA" in failed.reason
    sent = sum(len(d.payload) for to_gateway, d in link.crossed if to_gateway and d.dport == 4500 and d.payload[:4] != bytes(4))
    assert 100 * 1024 < sent < 115 * 1024


def test_ah_is_not_for_a_stack_that_writes_no_ip_header(dial: Dial) -> None:
    config = dial().client._ipsec.config
    with pytest.raises(ValueError, match="AH covers the IP header"):
        dial(ike={"ah_proposals": (AhProposal("sha1"),)})
    assert config.ah_proposals == ()
