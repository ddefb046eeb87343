"""Faults in single layers of a router: each mechanism by itself, broken and sound."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from router_rehearsal import parts

from harness.errors import ProtocolError
from harness.model import Secret
from harness.virtual import settings as virtual
from harness.virtual.aaa import records
from harness.virtual.aaa.settings import Aaa, AccountingList
from harness.virtual.ios.router import NOTHING, RouterParts
from harness.virtual.journal import Journal
from harness.virtual.peers import Association
from harness.virtual.settings import Settings
from harness.virtual.vpdn.crypto import Crypto, CryptoProfile, TransformSet
from harness.virtual.vpdn.groups import AcceptGroup, RequestGroup, Security, Target, Vpdn
from harness.virtual.vpdn.maps import Flow
from harness.virtual.vpdn.pmtu import Told
from harness.wire.esp import InboundSa, OutboundSa
from harness.wire.ip import build_ipv4
from harness.wire.ppp.authority import Claim, Decision
from harness.wire.radius import Server
from harness.wire.radius.attributes import Attribute

PEER, OTHER = "10.0.0.12", "10.0.0.77"
CIPHERS = ("aes-256", "3des", "aes-128", "des", "aes-192", "3des")
SETS = tuple(TransformSet(f"s{n}", cipher, "md5" if n == 6 else "sha1", "tunnel") for n, cipher in enumerate(CIPHERS, 1))
PROFILE = CryptoProfile("m", 10, "l2tp", SETS)
KEYS = {OTHER: Secret("another"), PEER: Secret("cisco")}
CRYPTO = Crypto((PROFILE,), applied="m", keys=KEYS)
GROUPS = (RequestGroup(name="1", domains=("one.net", "two.net"), targets=(Target(PEER), Target(OTHER))),)
VPDN = Vpdn((AcceptGroup(name="a", terminate_from="LAC"),), GROUPS, CRYPTO)
SETTINGS = Settings(virtual.load("plain"), vpdn=VPDN)
FLOW = Flow("10.0.0.13", 1701, PEER, 1701)


def sound() -> RouterParts:
    return RouterParts()


def both(fault: str) -> tuple[RouterParts, RouterParts]:
    return sound(), parts(fault)


def entropy() -> Any:
    return random.Random(1).randbytes


def ipsec(how: RouterParts, settings: Settings = SETTINGS) -> Any:
    crypto = settings.vpdn.crypto if settings.vpdn else None
    made = how.ipsec(settings, entropy(), how, Journal(), lambda packet: None, lambda now, client: None)
    made.keys_of = lambda: crypto
    return made


def lac(how: RouterParts) -> Any:
    return how.lac(SETTINGS, entropy(), how, Journal(), None, 0)


# Groups


def test_only_the_first_domain_selects() -> None:
    good, bad = (lac(how) for how in both("domain-first-only"))
    assert [one._requesting("user@two.net") for one in (good, bad)] == [GROUPS[0], None]
    assert bad._requesting("user@one.net") == GROUPS[0]


def test_any_domain_selects() -> None:
    good, bad = (lac(how) for how in both("domain-any"))
    assert [one._requesting("user@nobody.net") for one in (good, bad)] == [None, GROUPS[0]]
    assert bad._requesting("user") is None


def test_tunnels_go_to_the_first_server() -> None:
    for how, address in zip(both("lns-remembered"), (OTHER, PEER), strict=True):
        one = lac(how)
        one._tunnel_to(GROUPS[0], PEER)
        assert one._tunnel_to(GROUPS[0], OTHER).address == address


def test_the_first_group_takes_every_lac() -> None:
    for how, found in zip(both("any-terminate-from"), (None, "a"), strict=True):
        lns = how.lns(SETTINGS, entropy(), how, Journal(), None, lambda *given: None)
        group = lns._group(b"no SCCRQ that names a LAC")
        assert (group and group.name) == found


# Crypto maps


def test_no_clone_is_made() -> None:
    for how, there in zip(both("clone-not-made"), (1, 0), strict=True):
        maps = ipsec(how).maps
        maps.clone(PROFILE, FLOW)
        assert sum(entry.flow is not None for entry in maps) == there
        maps.release(FLOW)


def test_a_clone_stays() -> None:
    for how, there in zip(both("clone-not-released"), (0, 1), strict=True):
        maps = ipsec(how).maps
        maps.clone(PROFILE, FLOW)
        maps.release(FLOW)
        assert sum(entry.flow is not None for entry in maps) == there


def test_a_clone_permits_all_between_two_hosts() -> None:
    for how, found in zip(both("clone-of-hosts"), (False, True), strict=True):
        maps = ipsec(how).maps
        maps.clone(PROFILE, FLOW)
        assert (maps.matching(17, "10.0.0.13", 514, PEER, 514) is not None) is found
        assert maps.matching(17, "10.0.0.13", 514, OTHER, 514) is None


def test_a_clone_has_the_first_lives() -> None:
    for how, seconds in zip(both("clone-first-lives"), (120, 3600), strict=True):
        maps = ipsec(how).maps
        maps.clone(PROFILE, FLOW)
        maps.release(FLOW)
        assert maps.clone(replace(PROFILE, lifetime_s=120), FLOW).lifetime_s == seconds


# What is negotiated


def config(fault: str | None, crypto: Crypto = CRYPTO, peer: str = PEER) -> Any:
    how = sound() if fault is None else parts(fault)
    made = ipsec(how, replace(SETTINGS, vpdn=replace(VPDN, crypto=crypto)))
    return made._config(Association(1, peer, {500: 500}))


def test_transform_sets() -> None:
    whole = config(None).esp_proposals
    assert [row.encryption for row in whole] == list(CIPHERS)
    assert config("sets-reversed").esp_proposals == whole[::-1]
    assert config("sets-five").esp_proposals == whole[:5]


def test_the_mode() -> None:
    assert (config(None).mode, config("mode-ignored").mode) == ("tunnel", "transport")


def test_perfect_forward_secrecy() -> None:
    with_it = Crypto((replace(PROFILE, pfs="modp768"),), applied="m", keys=KEYS)
    assert (config(None).pfs, config("pfs-always").pfs) == (None, "modp1024")
    assert (config(None, with_it).pfs, config("pfs-never", with_it).pfs) == ("modp768", None)


def test_the_key() -> None:
    assert (config(None).psk, config("key-of-anybody").psk) == (b"cisco", b"another")


# ESP


def sealed(number: int) -> list[bytes]:
    out = OutboundSa(0x1000, "des", "sha1", bytes(8), bytes(20), entropy())
    return [out.seal(17, b"numbered") for _ in range(number)]


def opener(how: RouterParts) -> InboundSa:
    made = how.inbound_sa(0x1000, "des", "sha1", bytes(8), bytes(20))
    made.window = how.replay_window()
    return made


def taken(sa: InboundSa, *packets: bytes) -> int:
    """How many of these it opens."""
    found = 0
    for packet in packets:
        with suppress(ProtocolError):
            sa.open(packet)
            found += 1
    return found


def forged(packet: bytes) -> bytes:
    return packet[:-1] + bytes((packet[-1] ^ 1,))


def test_replays_left_of_the_window() -> None:
    packets = sealed(100)
    for how, old in zip(both("router-replay-left"), (0, 1), strict=True):
        sa = opener(how)
        assert taken(sa, *packets) == 100
        assert taken(sa, packets[0]) == old
        assert taken(sa, packets[99], packets[60]) == 0


def test_replays_of_any_age() -> None:
    packets = sealed(100)
    for how, old in zip(both("router-replay-unchecked"), (0, 3), strict=True):
        sa = opener(how)
        taken(sa, *packets)
        assert taken(sa, packets[0], packets[60], packets[99]) == old


def test_a_forged_packet_moves_the_window() -> None:
    (packet,) = sealed(1)
    for how, good in zip(both("router-replay-forged"), (1, 0), strict=True):
        sa = opener(how)
        assert taken(sa, forged(packet)) == 0
        assert taken(sa, packet) == good


def test_a_wrong_icv_is_taken() -> None:
    (packet,) = sealed(1)
    for how, good in zip(both("router-icv-unchecked"), (0, 1), strict=True):
        assert taken(opener(how), forged(packet)) == good


@pytest.mark.parametrize(("fault", "number"), [("engine-counts-twice", 2), ("engine-counts-out-as-in", 0)])
def test_decrypted_packets_are_miscounted(fault: str, number: int) -> None:
    (packet,) = sealed(1)
    for how, counted in zip(both(fault), (1, number), strict=True):
        sa = opener(how)
        assert taken(sa, packet, forged(packet)) == 1
        assert sa.packets == counted


# Path MTU


def paths(how: RouterParts) -> tuple[Any, Any]:
    group = AcceptGroup(name="a", security=Security("l2tp"), pmtu=True)
    held = SimpleNamespace(group=group, path_mtu=None)
    client = SimpleNamespace(address=PEER, udp_port=0, sas={1: SimpleNamespace(spi_out=0xABCD)})
    lns = SimpleNamespace(
        tunnels={5: SimpleNamespace(number=5, origin=client, address=PEER, port=1701)}, held={5: held}
    )
    return how.paths(SETTINGS, None, lns, SimpleNamespace(tunnels={})), held


def told(spi: int, mtu: int = 1000) -> Told:
    return Told(mtu, "10.0.0.13", PEER, 50, spi.to_bytes(4) + bytes(4))


def test_any_quotation_is_believed() -> None:
    for how, mtu in zip(both("path-mtu-unauthentic"), (None, 1000), strict=True):
        made, held = paths(how)
        made.learn(told(0x9999))
        assert held.path_mtu == mtu
        made.learn(told(0xABCD))
        assert held.path_mtu == 1000


def test_no_quotation_is_believed() -> None:
    for how, mtu in zip(both("path-mtu-never"), (1000, None), strict=True):
        made, held = paths(how)
        made.learn(told(0xABCD))
        assert held.path_mtu == mtu


def test_what_is_added_is_left_out() -> None:
    for how, fits in zip(both("path-mtu-too-much-room"), (956, 980), strict=True):
        made, _ = paths(how)
        assert made._room(1000, None) == fits


@pytest.mark.parametrize(
    ("fault", "df", "outer"), [("df-not-reflected", True, (True, False)), ("df-reflected-always", False, (False, True))]
)
def test_dont_fragment(fault: str, df: bool, outer: tuple[bool, bool]) -> None:
    packet = build_ipv4("192.0.2.1", "192.0.2.2", 17, bytes(20), df=df)
    for how, expected in zip(both(fault), outer, strict=True):
        core = how.core(NOTHING, entropy(), Crypto, how)
        with core._outer_df(packet, AcceptGroup(name="a", pmtu=True)):
            assert core._df is expected
        assert core._df is False


# Callers


def test_what_came_is_counted_as_what_went() -> None:
    for how, octets in zip(both("link-counted-wrong-way"), ((5, 0), (0, 5)), strict=True):
        links = how.links(SETTINGS, entropy(), how, Journal(), 0, lambda now, link, packet: None)
        link = links.begin(0.0, 1, 1, 1, ("10.0.0.12", 1701))
        link.frames.came(5)
        assert (link.frames.octets_in, link.frames.octets_out) == octets
        assert type(link.traffic) is type(link.frames)


def test_callers_share_their_counters() -> None:
    for how, other in zip(both("link-counters-shared"), (0, 1), strict=True):
        links = how.links(SETTINGS, entropy(), how, Journal(), 0, lambda now, link, packet: None)
        one, two = (links.begin(0.0, 1, number, number, ("10.0.0.12", 1701)) for number in (1, 2))
        one.frames.went(5)
        one.traffic.came(5)
        assert (two.frames.packets_out, two.traffic.packets_in) == (other, other)


def test_an_address_is_given_twice() -> None:
    for how, given in zip(both("router-pool-twice"), ((10, 11, None), (10, 10, 11)), strict=True):
        pool = how.address_pool(replace(NOTHING, pool_first="10.9.9.10", pool_last="10.9.9.11"))
        assert tuple(pool.give() for _ in range(3)) == tuple(one and f"10.9.9.{one}" for one in given)


SERVER = Server("192.0.2.9", b"s")
AAA = Aaa({"radius": (SERVER,)}, accounting={"default": AccountingList("start-stop", ("radius",))})


def desk(how: RouterParts, sent: list[Any], heard: list[Decision]) -> Any:
    settings = replace(SETTINGS, aaa=AAA)
    settled = lambda now, link, claim, decision: heard.append(decision)  # noqa: E731
    return how.desk(entropy(), lambda: settings, Journal, sent.append, settled)


def test_a_reject_lets_in() -> None:
    for how, good in zip(both("radius-reject-ignored"), (False, True), strict=True):
        heard: list[Decision] = []
        login = SimpleNamespace(link=None, claim=Claim("pap", "u", 1, b"", b"p"))
        desk(how, [], heard)._decide(0.0, login, Decision(False, "rejected"))
        assert [one.good for one in heard] == [good]


def test_nobody_hears_of_the_end() -> None:
    session = records.Session(1, 0.0, (), records.Traffic)
    for how, sent_of_stop in zip(both("accounting-stop-never"), (1, 0), strict=True):
        for status, number in ((records.Status.START, 1), (records.Status.STOP, sent_of_stop)):
            sent: list[Any] = []
            said: tuple[Attribute, ...] = records.record(session, status, 1.0, records.Cause.USER_REQUEST)
            desk(how, sent, [])._account(1.0, AAA.accounting["default"], said)
            assert len(sent) == number
