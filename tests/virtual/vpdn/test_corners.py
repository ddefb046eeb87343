"""What a change in one line would break without anything above noticing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vpdn_bench import ACCEPT, CRYPTO, DES, LAC, LNS, OTHER_LNS, PASSWORD, PROFILE, REQUEST, USER, Bench

from harness.model import Secret
from harness.virtual.vpdn import pmtu, view
from harness.virtual.vpdn.crypto import TransformSet
from harness.virtual.vpdn.groups import Security, Target, Vpdn
from harness.wire import ip
from harness.wire.l2tp import header
from harness.wire.packet import ESP, Packet, to_ip
from harness.wire.ppp.handover import Handover
from harness.wire.retransmit import Schedule

KEEP = Security("l2tp", keep_sa=True)
MAIN, QUICK = 2, 32


def shown(world: Bench, address: str = LNS) -> view.RouterView:
    return view.of(world.loop.time(), world.boxes[address].core)


def change(world: Bench, address: str, vpdn: Vpdn) -> None:
    box = world.boxes[address]
    box.order(lambda now: box.core.reconfigure(now, vpdn=vpdn))


def kept_bench(bench, **terms) -> Bench:
    """A tunnel has been there, and its phase 1 still is."""
    world = bench(replace(ACCEPT, security=KEEP), replace(REQUEST, security=KEEP), **terms)
    world.call().close()
    world.run(30.0)
    assert len(shown(world).ike_sas) == len(shown(world, LAC).ike_sas) == 1
    return world


def test_the_lns_asks_for_proof_even_where_the_lac_does_not(bench) -> None:
    """SEC-10 with a LAC that has no wish to know who the LNS is."""
    world = bench(request=replace(REQUEST, password=Secret("wrong"), tunnel_authentication=False))
    assert world.call(wait=40.0).core.address is None
    assert not world.of(LNS, "tunnel-up")


def test_a_peer_without_a_key_gets_nowhere(bench) -> None:
    """SEC-65: a key for others is none for this one."""
    world = bench(lns_crypto=replace(CRYPTO, keys={"192.0.2.0/24": Secret("cisco")}))
    assert world.call(wait=40.0).core.address is None
    assert not world.of(LNS, "ike-up")


def test_no_transform_with_authentication_sends_nothing(bench) -> None:
    """SEC-21 on a LAC."""
    bare = replace(CRYPTO, profiles=(replace(PROFILE, sets=(replace(DES, authentication=None),)),))
    world = bench(lac_crypto=bare)
    assert world.call().core.address is None
    assert world.since() == []
    why = "crypto profile l2tp has no transform set with authentication"
    assert ("crypto", why) in [(event.detail["layer"], event.detail["reason"]) for event in world.of(LAC, "refused")]


def test_a_kept_phase_1_is_not_idle(bench) -> None:
    """SEC-44: an idle timer is for peers with tunnels."""
    world = kept_bench(bench, lns={"idle": 100.0}, lac={"idle": 100.0})
    world.run(500.0)
    assert len(shown(world).ike_sas) == len(shown(world, LAC).ike_sas) == 1


def test_a_refusal_under_a_kept_phase_1_is_an_answer(bench) -> None:
    """SEC-61 with keep-sa: main mode would change nothing, and is not tried."""
    world = kept_bench(bench)
    other = replace(CRYPTO, profiles=(replace(PROFILE, sets=(TransformSet("aes", "aes-128", "sha1", "transport"),)),))
    change(world, LNS, Vpdn((replace(ACCEPT, security=KEEP),), crypto=other))
    at = world.loop.time()
    assert world.call().core.address is None
    assert MAIN not in [kind for _, kind in world.ike(at)]
    assert any("NO_PROPOSAL_CHOSEN" in reason for reason in world.reasons(LAC))


def test_terms_that_change_hold_under_a_kept_phase_1(bench) -> None:
    """SEC-52, 26: the LNS's new and shorter life is in force for the next tunnel, without a new main mode."""
    world = kept_bench(bench)
    shorter = replace(CRYPTO, profiles=(replace(PROFILE, lifetime_s=120),))
    change(world, LNS, Vpdn((replace(ACCEPT, security=KEEP),), crypto=shorter))
    at = world.loop.time()
    assert world.call().core.address
    assert [row.lifetime_s for row in shown(world).esp_sas] == [120, 120]
    assert MAIN not in [kind for _, kind in world.ike(at)]


def test_each_group_asks_by_its_own_profile(bench) -> None:
    """Under one and the same ISAKMP SA."""
    second = replace(PROFILE, sequence=11, name="second", lifetime_s=240)
    crypto = replace(CRYPTO, profiles=(PROFILE, second))
    groups = (
        replace(REQUEST, security=KEEP),
        replace(REQUEST, name="2", domains=("example.com",), security=Security("second", keep_sa=True)),
    )
    users = {name: Secret(PASSWORD) for name in (USER, "second@example.com")}
    world = bench(replace(ACCEPT, security=KEEP), groups, lac_crypto=crypto, lns={"users": users})
    world.call().close()
    world.run(30.0)
    at = world.loop.time()
    assert world.call("second@example.com").core.address
    assert [row.lifetime_s for row in shown(world, LAC).esp_sas] == [240, 240]
    assert MAIN not in [kind for _, kind in world.ike(at)]


def test_a_dead_lns_is_tried_last_for_a_minute(bench) -> None:
    targets = (Target(OTHER_LNS, priority=1), Target(LNS, priority=2))
    world = bench(request=replace(REQUEST, targets=targets), lac={"ike_schedule": Schedule((1.0, 2.0))})
    assert world.call().core.address
    at = world.loop.time()
    assert world.call().core.address
    assert OTHER_LNS not in {packet.dst for packet in world.since(at)}
    world.run(70.0)
    at = world.loop.time()
    assert world.call().core.address
    assert OTHER_LNS in {packet.dst for packet in world.since(at)}


def test_a_call_finds_no_room_in_a_tunnel_that_closes(bench) -> None:
    """It gets a tunnel of its own, while the StopCCN of the old one is still under way."""
    world = bench(replace(ACCEPT, security=None), replace(REQUEST, security=None))
    world.call()
    (old,) = shown(world, LAC).tunnels
    world.lose = lambda packet: len(packet.payload) < 60 and packet.dst == LAC
    world.lac.order(lambda now: world.lac.core.close_l2tp(now, old.number))
    world.run(0.2)
    assert old.number in world.lac.core.lac.tunnels
    world.lose = lambda packet: False
    assert world.call().core.address
    assert [row.number != old.number for row in shown(world, LAC).tunnels] == [True]


def test_a_shared_socket_keeps_its_clone_until_the_last_tunnel(bench) -> None:
    """SEC-54."""
    second = replace(REQUEST, name="2", domains=("example.com",), no_session_s=300.0)
    users = {name: Secret(PASSWORD) for name in (USER, "second@example.com")}
    world = bench(request=(REQUEST, second), lns={"users": users})
    one, _ = world.call(), world.call("second@example.com")
    assert [(entry.sequence, entry.tunnels) for entry in shown(world, LAC).maps] == [(10, 0), (20, 2)]
    one.close()
    world.run(30.0)
    assert [(entry.sequence, entry.tunnels) for entry in shown(world, LAC).maps] == [(10, 0), (20, 1)]


def test_a_lac_that_shuts_down_says_so_first(bench) -> None:
    """Its SAs stay until the LNS has acknowledged the StopCCN, or for as long as one waits for that."""
    world = bench()
    world.call()
    world.lose = lambda packet: packet.src == LNS
    world.lac.order(lambda now: world.lac.core.shut_down(now))
    world.run(3.0)
    assert shown(world, LAC).esp_sas
    assert not world.lac.core.ended
    world.run(5.0)
    assert world.lac.core.ended


def test_anothers_message_for_a_clear_tunnel(bench) -> None:
    world = bench(replace(ACCEPT, security=None), replace(REQUEST, security=None))
    caller = world.call()
    (tunnel,) = shown(world, LAC).tunnels
    ping = ip.build_ipv4("172.16.1.1", caller.core.address, ip.ICMP, ip.build_echo(ip.Echo(True, 9, 9, b"spoofed")))
    data = header.build_data(tunnel.number, tunnel.sessions[0].number, b"\xff\x03\x00\x21" + ping)
    before = len(caller.core.packets)
    for source, port in ((OTHER_LNS, 1701), (LNS, 1702), (LNS, 1701)):
        world.switch.send(to_ip(Packet(source, LAC, ip.UDP, data, port, 1701)))
        world.run(1.0)
        assert len(caller.core.packets) - before == ((source, port) == (LNS, 1701))


def test_the_two_roles_never_share_a_tunnel_id(bench) -> None:
    world = bench()
    world.call()
    (number,) = world.lac.core.lac.tunnels
    assert world.lac.core.lns._taken(number)
    assert not world.lac.core.lns._taken(number ^ 1)


@pytest.mark.parametrize(("spi", "fits"), [(b"\0\0\x10\1", True), (b"\0\0\x10\2", False), (b"", True)])
def test_a_quotation_in_udp_counts_as_far_as_it_goes(spi: bytes, fits: bool) -> None:
    """SEC-121 behind a NAT: RFC 792 promises 8 bytes, which is no more than the UDP header."""
    head = (4500).to_bytes(2) + (20000).to_bytes(2) + bytes(4) + spi
    told = pmtu.Told(1000, LNS, LAC, ip.UDP, head)
    assert told.quotes_esp(LAC, 0x1001, 20000) is fits
    assert not told.quotes_esp(LAC, 0x1001, 20001)
    assert not told.quotes_esp(LNS, 0x1001, 20000)


def test_a_handover_tells_first_last_and_answered() -> None:
    """RFC 2661 §4.4.5: the first request that came, and of the later ones those that were acknowledged."""
    lcp, chap = b"\xff\x03\xc0\x21", b"\xff\x03\xc2\x23"
    seen = Handover()
    seen.incoming(lcp + bytes.fromhex("01010008 0d0401aa"))
    seen.outgoing(lcp + bytes.fromhex("04010008 0d0401aa"))  # rejected
    seen.incoming(lcp + bytes.fromhex("01020008 01040578"))
    seen.outgoing(lcp + bytes.fromhex("02020008 01040578"))
    seen.outgoing(lcp + bytes.fromhex("01070009 0305c22305"))
    seen.incoming(lcp + bytes.fromhex("02070009 0305c22305"))
    seen.outgoing(chap + bytes.fromhex("0105000a 02abcd") + b"LAC")
    seen.incoming(chap + bytes.fromhex("0204000a 02ffff") + b"bad")  # answers another challenge
    assert not seen.answered
    seen.incoming(chap + bytes.fromhex("0205000a 021234") + b"who")
    proxy = seen.proxy()
    lcps = proxy.initial_received, proxy.last_received, proxy.last_sent
    assert [options.hex() for options in lcps] == ["0d0401aa", "01040578", "0305c22305"]
    assert (proxy.authen_type, proxy.authen_name, proxy.authen_id) == (2, "who", 5)
    assert (proxy.authen_challenge, proxy.authen_response) == (b"\xab\xcd", b"\x12\x34")


def test_an_inner_packet_of_somebody_elses_is_refused(bench) -> None:
    """SEC-62's control: tunnel mode is for the two hosts themselves (RFC 4301 §5.2), and for nothing else."""
    both = replace(CRYPTO, profiles=(replace(PROFILE, sets=(replace(DES, mode="tunnel"),)),))
    world = bench(lac_crypto=both, lns_crypto=both)
    caller = world.call()
    (sa,) = world.lac.core.ipsec.sadb
    for source, protocol in (("10.9.9.9", 4), (LAC, 17)):
        datagram = ip.build_udp(ip.packed(source), ip.packed(LNS), 1701, 1701, b"")
        inner = ip.build_ipv4(source, LNS, ip.UDP, datagram) if protocol == 4 else datagram
        world.switch.send(to_ip(Packet(LAC, LNS, ESP, sa.outbound.seal(protocol, inner))))
    world.run(1.0)
    first, second = world.reasons(LNS, "dropped")
    assert "from 10.9.9.9 to 10.0.0.13, which the SA is not for" in first
    assert "next header 17 in tunnel mode" in second
    assert world.ping(caller)
