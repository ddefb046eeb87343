"""Crypto profiles: what they negotiate, and the map entries that are cloned from them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vpdn_bench import ACCEPT, CRYPTO, DES, LAC, LNS, PROFILE, REQUEST, Bench

from harness.errors import UsageError
from harness.virtual.vpdn import view
from harness.virtual.vpdn.crypto import Crypto, CryptoProfile, TransformSet
from harness.virtual.vpdn.groups import Vpdn
from harness.virtual.vpdn.maps import Flow, MapEntry

MAIN, INFORMATIONAL, QUICK = 2, 5, 32
THREE_DES = TransformSet("three", "3des", "sha1", "transport")
AES = TransformSet("aes", "aes-128", "sha1", "transport")
MD5 = TransformSet("md5", "des", "md5", "transport")


def crypto(*sets: TransformSet, **changes: object) -> Crypto:
    return replace(CRYPTO, profiles=(replace(PROFILE, sets=sets or (DES,), **changes),))


def maps(world: Bench, address: str = LAC) -> tuple[MapEntry, ...]:
    return view.of(world.loop.time(), world.boxes[address].core).maps


def agreed(world: Bench, address: str = LNS) -> view.EspSaRow:
    return view.of(world.loop.time(), world.boxes[address].core).esp_sas[-2]


TEMPLATE = MapEntry(
    "l2tpsec", 10, "l2tp", "FastEthernet0/0", "0.0.0.0", None, 3600, 4_608_000, None, ("esp-des-sha-transport",)
)


def test_before_tunnels_there_is_the_template_alone(bench) -> None:
    """SEC-50."""
    world = bench()
    assert maps(world) == maps(world, LNS) == (TEMPLATE,)


def test_a_tunnel_has_a_clone_for_as_long_as_it_lives(bench) -> None:
    """SEC-51, 54: with the peer and exactly its socket, on both sides."""
    world = bench()
    caller = world.call()
    flow = Flow(LAC, 1701, LNS, 1701)
    assert str(flow) == "permit udp host 10.0.0.12 port = 1701 host 10.0.0.13 port = 1701"
    assert maps(world) == (TEMPLATE, replace(TEMPLATE, sequence=20, peer=LNS, flow=flow, tunnels=1))
    back = Flow(LNS, 1701, LAC, 1701)
    assert maps(world, LNS) == (TEMPLATE, replace(TEMPLATE, sequence=20, peer=LAC, flow=back, tunnels=1))
    caller.close()
    world.run(30.0)
    assert maps(world) == maps(world, LNS) == (TEMPLATE,)


def test_a_clone_inherits_what_the_template_says_then(bench) -> None:
    """SEC-52: the next one, and not the one that is there; and the SAs have the life that the map shows."""
    world = bench()
    caller = world.call()
    changed = replace(REQUEST, targets=REQUEST.targets)
    vpdn = Vpdn((), (changed,), crypto=crypto(lifetime_s=120))
    world.lac.order(lambda now: world.lac.core.reconfigure(now, vpdn=vpdn))
    assert [entry.lifetime_s for entry in maps(world)] == [120, 3600]
    assert agreed(world).lifetime_s == 3600
    caller.close()
    world.run(30.0)
    assert world.call().core.address
    assert [entry.lifetime_s for entry in maps(world)] == [120, 120]
    assert agreed(world).lifetime_s == 120


def test_each_peer_has_its_own_clone(bench) -> None:
    """SEC-53: the sequence goes in steps of ten."""
    world = bench()
    for number in range(3):
        world.router(LAC, "172.17.1.1", Vpdn((), (REQUEST,), crypto=CRYPTO), at=f"10.0.1.{number + 1}")
        assert world.call().core.address
    entries = maps(world, LNS)
    assert [entry.sequence for entry in entries] == [10, 20, 30, 40]
    assert [entry.peer for entry in entries[1:]] == ["10.0.1.1", "10.0.1.2", "10.0.1.3"]


def test_the_clones_flow_is_exact(bench) -> None:
    """SEC-55: nothing else between the two hosts is matched."""
    world = bench()
    world.call()
    match = world.lac.core.ipsec.maps.matching
    assert match(17, LAC, 1701, LNS, 1701) == maps(world)[1]
    for other in ((17, LAC, 1702, LNS, 1701), (17, LAC, 1701, LNS, 1702), (17, LNS, 1701, LAC, 1701), (6, LAC, 1701, LNS, 1701)):
        assert match(*other) is None, other


def test_the_routers_own_udp_goes_by_the_map(bench) -> None:
    """What the clone permits goes by its SA, and nowhere without one; all else is clear, tunnel or not."""
    world = bench()
    world.call()
    ipsec = world.lac.core.ipsec

    def sent(*ports: int) -> list[tuple[int, int]]:
        before = len(world.wire)
        world.lac.order(lambda now: ipsec.send_own(now, LNS, *ports, b"a message"))
        return [(packet.protocol, packet.dport) for _, packet in world.wire[before:]]

    assert sent(1701, 1701) == [(50, 0)]
    assert sent(1701, 514) == sent(514, 514) == [(17, 514)]
    world.lac.order(lambda now: ipsec.close(now))
    world.run(1.0)
    assert sent(1701, 1701) == []
    assert "crypto map l2tpsec 20 has no SA for it" in world.reasons(LAC, "dropped")
    assert sent(514, 514) == [(17, 514)]


def test_peer_and_access_list_of_a_profile_count_for_nothing(bench) -> None:
    """SEC-56, 57."""
    odd = crypto(peer="192.0.2.1", match_address="101")
    world = bench(lac_crypto=odd, lns_crypto=odd)
    assert world.call().core.address
    assert [entry.peer for entry in maps(world)] == ["0.0.0.0", LNS]
    assert {packet.dst for packet in world.since()} == {LAC, LNS}


def test_names_and_numbers_are_unique_in_a_map() -> None:
    """SEC-58; in another map they may come again."""
    with pytest.raises(UsageError, match="two profiles of the name l2tp") as caught:
        Crypto((PROFILE, replace(PROFILE, sequence=20)))
    assert caught.value.cure == "give each its own"
    with pytest.raises(UsageError, match="two entries of the sequence number 10"):
        Crypto((PROFILE, replace(PROFILE, name="other")))
    assert Crypto((PROFILE, replace(PROFILE, map_name="second"))).profiles


@pytest.mark.parametrize(("count", "taken"), [(0, False), (1, True), (6, True), (7, False)])
def test_up_to_six_transform_sets(count: int, taken: bool) -> None:
    """SEC-59."""
    sets = tuple(replace(DES, name=f"set{number}") for number in range(count))
    if taken:
        assert CryptoProfile("m", 1, "p", sets).sets == sets
        return
    with pytest.raises(UsageError, match=f"has {count} transform sets"):
        CryptoProfile("m", 1, "p", sets)


@pytest.mark.parametrize(
    ("offered", "known", "chosen"),
    [
        ((THREE_DES, MD5), (DES, THREE_DES, AES, MD5), ("3des", "sha1")),
        ((MD5, THREE_DES), (DES, THREE_DES, AES, MD5), ("des", "md5")),
        ((AES, DES), (MD5, DES), ("des", "sha1")),
    ],
)
def test_the_first_offer_that_is_known_is_used(bench, offered, known, chosen) -> None:
    """SEC-60: the order is that of whoever begins."""
    world = bench(lac_crypto=crypto(*offered), lns_crypto=crypto(*known))
    assert world.call().core.address
    row = agreed(world)
    assert (row.encryption, row.authentication) == chosen


def test_without_a_common_transform_there_is_no_tunnel(bench) -> None:
    """SEC-61: phase 1 is up, NO_PROPOSAL_CHOSEN comes back, and nothing goes in the clear."""
    world = bench(lac_crypto=crypto(AES), lns_crypto=crypto(DES))
    caller = world.call()
    world.run(10.0)
    assert caller.core.down
    assert any("NO_PROPOSAL_CHOSEN from the peer" in reason for reason in world.reasons(LAC))
    assert world.of(LNS, "ike-up")
    assert not world.esp()
    assert not world.clear()
    assert world.ike().count((LAC, QUICK)) == 1


@pytest.mark.parametrize("mode", ["transport", "tunnel"])
def test_the_transform_sets_mode_is_negotiated(bench, mode) -> None:
    """SEC-62: the traffic fits it, tunnel mode's packets being larger by an IP header; both work."""
    both = crypto(replace(DES, mode=mode))
    world = bench(lac_crypto=both, lns_crypto=both)
    caller = world.call()
    at = world.loop.time()
    assert world.ping(caller, payload=bytes(100))
    assert agreed(world).mode == mode
    sizes = {len(packet.payload) for packet in world.esp(at)}
    # SPI, sequence number, IV, ICV; UDP, L2TP, PPP (one byte of protocol, nothing else), IP, ICMP; padded to the block of 8
    held = 8 + 8 + 1 + 128 + (20 if mode == "tunnel" else 0)
    assert sizes == {8 + 8 + (held + 2 + 7) // 8 * 8 + 12}


def test_modes_that_differ_find_no_agreement(bench) -> None:
    world = bench(lac_crypto=crypto(replace(DES, mode="tunnel")))
    caller = world.call()
    world.run(10.0)
    assert caller.core.down
    assert any("NO_PROPOSAL_CHOSEN" in reason for reason in world.reasons(LAC))


@pytest.mark.parametrize(("lac", "lns", "up"), [(None, None, True), ("modp1024", "modp1024", True), (None, "modp1024", False)])
def test_pfs_is_asked_for_by_the_map(bench, lac, lns, up) -> None:
    """SEC-64: without it quick mode's first message is the shorter by a KE payload; an LNS that insists refuses."""
    sizes = []
    for both in ((lac, lns), ("modp1024", "modp1024")):
        world = bench(lac_crypto=crypto(pfs=both[0]), lns_crypto=crypto(pfs=both[1]))
        caller = world.call()
        assert (caller.core.address is not None) is (up or both[0] is not None)
        first = next(p for p in world.since() if p.dport == 500 and p.payload[18] == QUICK)
        sizes.append(len(first.payload))
    assert (sizes[1] - sizes[0] >= 128) is (lac is None)


def test_a_life_of_two_minutes_is_renewed_without_loss(bench) -> None:
    """SEC-23, 25: the map's 120 s stand over the global 600; six lives later the session is still there."""
    short = replace(crypto(lifetime_s=120), lifetime_s=600)
    world = bench(lac_crypto=short, lns_crypto=short)
    caller = world.call()
    assert agreed(world).lifetime_s == 120
    for _ in range(72):
        assert world.ping(caller)
        world.run(9.0)
    ups = world.of(LNS, "esp-up")
    assert 7 <= len(ups) <= 9
    assert [event.detail["rekey"] for event in ups] == [False] + [True] * (len(ups) - 1)
    assert len({event.detail["spi_in"] for event in ups}) == len(ups)
    assert not world.of(LNS, "session-down")
    assert caller.core.address == "172.16.1.10"
    assert world.ike().count((LAC, MAIN)) == 3


@pytest.mark.parametrize(("lac", "lns"), [(100, 120), (120, 100)])
def test_the_shorter_life_is_in_force(bench, lac: int, lns: int) -> None:
    """SEC-26: on both sides."""
    world = bench(lac_crypto=crypto(lifetime_s=lac), lns_crypto=crypto(lifetime_s=lns))
    assert world.call().core.address
    assert (agreed(world).lifetime_s, agreed(world, LAC).lifetime_s) == (100, 100)


def test_a_life_by_volume_is_renewed_after_so_many_kilobytes(bench) -> None:
    """SEC-24."""
    small = crypto(lifetime_kb=64)
    world = bench(lac_crypto=small, lns_crypto=small)
    caller = world.call()
    assert (agreed(world).lifetime_kb, agreed(world).left_kb) == (64, 64)
    assert all(world.ping(caller, payload=bytes(1000)) for _ in range(8))
    assert agreed(world).left_kb == 64 - 8
    for number in range(60):
        assert world.ping(caller, payload=bytes(1000)), number
    assert len(world.of(LNS, "esp-up")) == 2
    assert not world.of(LNS, "session-down")


def test_global_lifetimes_hold_where_the_map_has_none(bench) -> None:
    both = replace(CRYPTO, lifetime_s=900, lifetime_kb=1000)
    world = bench(lac_crypto=both, lns_crypto=both)
    assert world.call().core.address
    assert (agreed(world).lifetime_s, agreed(world).lifetime_kb) == (900, 1000)
    assert [(entry.lifetime_s, entry.lifetime_kb) for entry in maps(world)] == [(900, 1000)] * 2


def test_the_longest_prefix_of_a_key_counts() -> None:
    keys = {"0.0.0.0/0": ACCEPT.password, "10.0.0.0/8": ACCEPT.password, LAC: replace(ACCEPT.password, _text="own")}
    assert Crypto(keys=keys).key_for(LAC) == b"own"
    assert Crypto(keys={LAC: ACCEPT.password}).key_for(LNS) is None
    with pytest.raises(UsageError, match="no address or network"):
        Crypto(keys={"10.0.0.256": ACCEPT.password})
