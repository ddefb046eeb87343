"""`ip pmtu` and Don't Fragment: what is learnt, from whom, and what the outer header says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vpdn_bench import ACCEPT, CRYPTO, LAC, LNS, LNS_PPP, PASSWORD, PROFILE, REQUEST, USER, Bench

from harness.errors import ProtocolError
from harness.model import Secret
from harness.virtual.vpdn import pmtu, view
from harness.virtual.vpdn.crypto import TransformSet
from harness.virtual.vpdn.groups import AcceptGroup
from harness.wire import ip
from harness.wire.packet import ESP, Packet, to_ip

HOST, ROUTER = "192.0.2.80", "10.0.0.1"
DISCOVERS = replace(ACCEPT, pmtu=True)


def fragmentation_needed(quoted: bytes, mtu: int) -> bytes:
    """What a router on the way says (RFC 792, RFC 1191), to whoever sent the packet whose head is quoted."""
    bare = bytes((3, 4, 0, 0, 0, 0)) + mtu.to_bytes(2) + quoted
    message = bare[:2] + ip.checksum(bare).to_bytes(2) + bare[4:]
    return ip.build_ipv4(ROUTER, ip.dotted(quoted[12:16]), ip.ICMP, message)


def from_lan(world: Bench, size: int, *, df: bool, to: str = "172.16.1.10") -> list[bytes]:
    """An IP packet of that many bytes from the host behind the LNS; what comes back to the host."""
    answers: list[bytes] = []
    world.lns._to_host.send = answers.append
    packet = ip.build_ipv4(HOST, to, ip.UDP, bytes(size - 20), df=df)
    world.lns.order(lambda now: world.lns.core.receive_lan(now, packet))
    world.run(1.0)
    return answers


def arrived(caller, size: int) -> int:
    return sum(len(packet) == size for packet in caller.core.packets)


def last_outer(world: Bench) -> bytes:
    return next(data for _, data in reversed(world.raw) if data[12:16] == ip.packed(LNS) and data[9] in (ESP, ip.UDP))


def path_mtus(world: Bench) -> list[int | None]:
    return [row.path_mtu for row in view.of(world.loop.time(), world.lns.core).tunnels]


@pytest.mark.parametrize(("discovers", "learnt"), [(False, None), (True, 1000)])
def test_an_mtu_is_learnt_where_the_group_asks_for_it(bench, discovers: bool, learnt: int | None) -> None:
    """SEC-110, 111, 119."""
    world = bench(replace(ACCEPT, pmtu=discovers))
    caller = world.call()
    from_lan(world, 900, df=True)
    world.switch.send(fragmentation_needed(last_outer(world)[:28], 1000))
    world.run(1.0)
    assert path_mtus(world) == [learnt]
    answers = from_lan(world, 990, df=True)
    assert bool(answers) is discovers
    assert arrived(caller, 990) == (0 if discovers else 1)


def test_too_big_is_refused_with_the_size_that_fits(bench) -> None:
    """SEC-112, 115: the sender is told a size, and exactly that size passes, in an outer packet of the path's MTU at most."""
    world = bench(DISCOVERS)
    caller = world.call()
    from_lan(world, 900, df=True)
    world.switch.send(fragmentation_needed(last_outer(world)[:28], 1000))
    world.run(1.0)
    (answer,) = from_lan(world, 1000, df=True)
    parsed = ip.parse_ipv4(answer)
    assert (parsed.source, parsed.destination, parsed.protocol) == (LNS_PPP, HOST, ip.ICMP)
    assert (parsed.payload[:2], ip.checksum(parsed.payload)) == (b"\3\4", 0)
    limit = int.from_bytes(parsed.payload[6:8])
    assert parsed.payload[8:28][2:4] == (1000).to_bytes(2)
    assert from_lan(world, limit, df=True) == []
    assert arrived(caller, limit) == 1
    assert 1000 - 8 - 9 <= len(last_outer(world)) <= 1000  # within a cipher block and the header fields that may be left out
    assert len(from_lan(world, limit + 1, df=True)) == 1
    assert arrived(caller, limit + 1) == 0
    assert from_lan(world, limit + 1, df=False) == []  # without DF the network may cut it
    assert arrived(caller, limit + 1) == 1


@pytest.mark.parametrize(
    ("terms", "inner", "outer"),
    [
        ({"pmtu": True}, True, True),
        ({"pmtu": True}, False, False),
        ({}, True, False),
        ({}, False, False),
        ({"df_bit": "set"}, False, True),
        ({"df_bit": "set"}, True, True),
    ],
)
@pytest.mark.parametrize("security", [ACCEPT.security, None])
def test_dont_fragment_outside(bench, terms, inner: bool, outer: bool, security) -> None:
    """SEC-113, 114, 116, both in ESP and in the clear; towards the LNS too."""
    world = bench(replace(ACCEPT, security=security, **terms), replace(REQUEST, security=security, **terms))
    caller = world.call()
    from_lan(world, 500, df=inner)
    assert arrived(caller, 500) == 1
    sent = world.since()[-1]
    assert (sent.src, sent.df) == (LNS, outer)
    at = world.loop.time()
    assert world.ping(caller, df=inner)
    assert next(packet.df for packet in world.since(at) if packet.src == LAC) is outer


def test_the_caller_is_told_by_its_lac(bench) -> None:
    """SEC-112 at the other end: a LAC with `ip pmtu` answers the caller itself."""
    world = bench(request=replace(REQUEST, pmtu=True))
    caller = world.call()
    before = len(world.since())
    assert not world.ping(caller, payload=bytes(1450), df=True)
    assert len(world.since()) == before
    parsed = ip.parse_ipv4(caller.core.packets[-1])
    assert parsed.payload[:2] == b"\3\4"
    limit = int.from_bytes(parsed.payload[6:8])
    assert 1350 < limit < 1478
    at = world.loop.time()
    caller.send(caller.core.ping(LNS_PPP, bytes(limit - 28), df=True))
    world.run(1.0)
    assert max(len(data) for stamp, data in world.raw if data[12:16] == ip.packed(LAC)) <= 1500
    assert [packet.df for packet in world.since(at) if packet.src == LAC][:1] == [True]


def test_each_tunnel_learns_for_itself(bench) -> None:
    """SEC-117: of two groups only the one with `ip pmtu` takes part, though the same LAC has both tunnels."""
    second = AcceptGroup(name="2", terminate_from="SECOND", password=Secret("cisco"), security=None, pmtu=False)
    to_second = replace(REQUEST, name="2", domains=("example.com",), local_name="SECOND", security=None)
    users = {name: Secret(PASSWORD) for name in (USER, "second@example.com")}
    world = bench((DISCOVERS, second), (REQUEST, to_second), lns={"users": users})
    callers = [world.call(), world.call("second@example.com")]
    for address in ("172.16.1.10", "172.16.1.11"):
        from_lan(world, 600, df=True, to=address)
        world.switch.send(fragmentation_needed(last_outer(world)[:28], 1000))
        world.run(1.0)
    assert path_mtus(world) == [1000, None]
    assert len(from_lan(world, 1000, df=True)) == 1
    assert from_lan(world, 1000, df=True, to="172.16.1.11") == []
    assert [arrived(caller, 1000) for caller in callers] == [0, 1]


def _spi(data: bytes) -> bytes:
    return data[:20] + bytes((data[20] ^ 1,)) + data[21:28]


def _ends(data: bytes) -> bytes:
    return data[:16] + ip.packed("10.0.0.99") + data[20:28]


FORGED = {
    "another SPI": (_spi, 1000),
    "another destination": (_ends, 1000),
    "another sender": (lambda data: data[:12] + ip.packed("10.0.0.77") + data[16:28], 1000),
    "another protocol": (lambda data: data[:9] + bytes((17,)) + data[10:28], 1000),
    "cut short": (lambda data: data[:27], 1000),
    "an MTU that cannot be": (lambda data: data[:28], 67),
    "no MTU at all": (lambda data: data[:28], 0),
    "an MTU that grows": (lambda data: data[:28], 1500),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_message_teaches_nothing(bench, forged: str) -> None:
    """SEC-121; SEC-111 is the control."""
    change, mtu = FORGED[forged]
    world = bench(DISCOVERS)
    caller = world.call()
    from_lan(world, 600, df=True)
    message = bytearray(fragmentation_needed(change(last_outer(world)), mtu))
    message[16:20] = ip.packed(LNS)
    message[10:12] = bytes(2)
    message[10:12] = ip.checksum(bytes(message[:20])).to_bytes(2)
    world.switch.send(bytes(message))
    world.run(1.0)
    assert path_mtus(world) == [None]
    assert world.of(LNS, "dropped")
    assert from_lan(world, 1300, df=True) == []
    assert arrived(caller, 1300) == 1


@pytest.mark.parametrize("encryption", ["des", "aes-256", "3des"])
@pytest.mark.parametrize("mode", ["transport", "tunnel"])
def test_whatever_fits_passes_in_one_packet(bench, encryption: str, mode) -> None:
    """SEC-122 without the NAT: no size that is allowed makes an outer packet larger than the path takes."""
    sets = (TransformSet("t", encryption, "sha1", mode),)
    both = replace(CRYPTO, profiles=(replace(PROFILE, sets=sets),))
    world = bench(DISCOVERS, lns_crypto=both, lac_crypto=both)
    caller = world.call(mru=1500)
    passed = 0
    for size in range(1380, 1500, 3):
        answers = from_lan(world, size, df=True)
        assert bool(answers) is not bool(arrived(caller, size))
        passed += not answers
        assert len(last_outer(world)) <= 1500
    assert 5 <= passed < 40


@pytest.mark.parametrize(
    ("mtu", "wrap", "room"),
    [
        (1500, None, 1456),
        (1500, pmtu.Wrap("des", "sha1", udp=False, tunnel=False), 1422),  # 1500-20-8-8-12 = 1452: 1448 in blocks of 8; -2-24
        (1500, pmtu.Wrap("aes-256", "sha1", udp=True, tunnel=True), 1378),  # 1500-20-8-8-16-12 = 1436: 1424 in 16s; -2-20-24
        (60, None, 16),
        (30, None, 0),
    ],
)
def test_room(mtu: int, wrap, room: int) -> None:
    assert pmtu.room(mtu, wrap) == room


def test_what_is_no_such_message() -> None:
    echo = ip.build_echo(ip.Echo(True, 1, 1, b""))
    assert pmtu.fragmentation_needed(echo) is None
    for broken in (b"", echo[:7], echo[:3] + b"\0" + echo[4:]):
        with pytest.raises(ProtocolError):
            pmtu.fragmentation_needed(broken)


def test_dont_fragment_survives_a_packets_way_over_a_link() -> None:
    from harness.wire.packet import from_ip

    for df in (True, False):
        packet = Packet(LAC, LNS, ip.UDP, b"x", 1, 2, df)
        assert from_ip(to_ip(packet)) == packet
        assert to_ip(packet)[6:8] == (b"\x40\0" if df else b"\0\0")
