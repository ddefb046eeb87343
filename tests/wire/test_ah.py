"""AH against a plain reading of RFC 2402, and against everything a router or a hostile peer can do to a packet."""

from __future__ import annotations

import hashlib
import hmac
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire import ip
from harness.wire.ah import LAST_SEQUENCE, AhInboundSa, AhOutboundSa, ah_spi_of
from harness.wire.crypto.digest import INTEGRITY

SPI = 0xA4A4A4A4
HERE, THERE = "10.0.0.2", "203.0.113.231"
DATAGRAM = ip.build_udp(ip.packed(HERE), ip.packed(THERE), 1701, 1701, b"hello")
PACKET = ip.build_ipv4(HERE, THERE, ip.UDP, DATAGRAM, identification=77)
DIGESTS = {"md5": hashlib.md5, "sha1": hashlib.sha1, "sha256": hashlib.sha256}


def pair(authentication: str = "sha1") -> tuple[AhOutboundSa, AhInboundSa]:
    key = bytes(range(1, INTEGRITY[authentication].key_size + 1))
    return AhOutboundSa(SPI, authentication, key), AhInboundSa(SPI, authentication, key)


def with_options(packet: bytes, options: bytes) -> bytes:
    """The packet with options in its header, padded to whole words."""
    options += bytes(-len(options) % 4)
    total = len(packet) + len(options)
    bare = bytes((0x45 + len(options) // 4,)) + packet[1:2] + total.to_bytes(2) + packet[4:10] + b"\0\0" + packet[12:20] + options
    return bare[:10] + ip.checksum(bare).to_bytes(2) + bare[12:] + packet[20:]


def on_the_way(packet: bytes, **changes: int) -> bytes:
    """What routers do: another TTL, TOS, flags; the header's checksum follows."""
    header = bytearray(packet[: (packet[0] & 15) * 4])
    header[1] = changes.get("tos", header[1])
    header[6] = changes.get("flags", header[6])
    header[8] = changes.get("ttl", header[8])
    header[10:12] = bytes(2)
    header[10:12] = ip.checksum(bytes(header)).to_bytes(2)
    return bytes(header) + packet[len(header) :]


@pytest.mark.parametrize("authentication", INTEGRITY)
@pytest.mark.parametrize("tunnel", [False, True])
def test_packets_match_a_plain_reading_of_the_rfc(authentication: str, tunnel: bool) -> None:
    row, (out, inbound) = INTEGRITY[authentication], pair(authentication)
    key = bytes(range(1, row.key_size + 1))
    octets = 0
    for number in range(1, 10):
        sealed = out.seal_tunnel("192.0.2.1", "192.0.2.2", PACKET, identification=5) if tunnel else out.seal(PACKET)
        ah = sealed[20 : 32 + row.icv_size]
        assert ah[:12] == bytes((4 if tunnel else 17, len(ah) // 4 - 2, 0, 0)) + SPI.to_bytes(4) + number.to_bytes(4)
        header = bytearray(sealed[:20])
        for mutable in (slice(1, 2), slice(6, 9), slice(10, 12)):
            header[mutable] = bytes(mutable.stop - mutable.start)
        covered = bytes(header) + ah[:12] + bytes(row.icv_size) + (PACKET if tunnel else DATAGRAM)
        assert ah[12:] == hmac.new(key, covered, DIGESTS[authentication]).digest()[: row.icv_size]
        parsed = ip.parse_ipv4(sealed)
        assert (parsed.protocol, len(sealed)) == (51, 20 + len(ah) + len(PACKET if tunnel else DATAGRAM))
        assert ah_spi_of(parsed.payload) == SPI
        assert inbound.open(sealed) == PACKET
        octets += len(sealed)
    assert (out.octets, inbound.octets, inbound.packets) == (octets, octets, 9)


def test_what_routers_change_does_not_matter() -> None:
    out, inbound = pair()
    far = on_the_way(out.seal(PACKET), tos=0x28, ttl=3, flags=0x40)
    opened = ip.parse_ipv4(inbound.open(far))
    assert (opened.payload, opened.ttl, opened.protocol) == (DATAGRAM, 3, 17)


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (bytes.fromhex("94040000"), None),  # Router Alert: covered as it is
        (bytes.fromhex("01070b04c0000201000000000000"), bytes.fromhex("01070b08c0000201cb0071090000")),  # Record Route
        (bytes.fromhex("440800050000000000"), bytes.fromhex("440800f50000ffff00")),  # Timestamp, then the end of the list
    ],
)
def test_options_that_change_on_the_way_count_as_zeros(options: bytes, changed: bytes | None) -> None:
    out, inbound = pair()
    sealed = out.seal(with_options(PACKET, options))
    if changed is not None:
        size = (sealed[0] & 15) * 4
        sealed = on_the_way(sealed[:20] + changed + bytes(size - 20 - len(changed)) + sealed[size:])
    assert ip.parse_ipv4(inbound.open(sealed)).payload == DATAGRAM


def test_an_option_that_nobody_may_change_is_covered() -> None:
    out, inbound = pair()
    sealed = bytearray(out.seal(with_options(PACKET, bytes.fromhex("94040000"))))
    sealed[23] = 1
    with pytest.raises(ProtocolError, match="wrong ICV"):
        inbound.open(on_the_way(bytes(sealed)))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("8307040a00000100", "source route"),
        ("8907040a00000100", "source route"),
        ("07000000", "does not fit"),  # a length of nothing
        ("07010000", "does not fit"),  # shorter than itself
        ("07090400", "does not fit"),  # longer than the header
        ("01010107", "does not fit"),  # cut off before its length
    ],
)
def test_source_routes_and_options_that_do_not_fit_are_refused(options: str, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        pair()[0].seal(with_options(PACKET, bytes.fromhex(options)))


@pytest.mark.parametrize("at", [12, 16])
def test_a_nat_breaks_it(at: int) -> None:
    """The reason for RFC 3715 §2.1 (a): the addresses are covered, and the checksum that a NAT mends does not help."""
    out, inbound = pair()
    sealed = bytearray(out.seal(PACKET))
    sealed[at : at + 4] = ip.packed("203.0.113.232")
    with pytest.raises(ProtocolError, match="wrong ICV"):
        inbound.open(on_the_way(bytes(sealed)))


@given(st.integers(0, 8 * 200))
def test_any_bit_flipped_beyond_the_mutable_fields_is_refused(bit: int) -> None:
    out, inbound = pair()
    good = out.seal(PACKET)
    bit %= 8 * len(good)
    sealed = bytearray(good)
    sealed[bit // 8] ^= 1 << bit % 8
    mutable = bit // 8 in (1, 6, 7, 8, 10, 11)
    changed = on_the_way(bytes(sealed)) if bit // 8 < 20 and bit // 8 != 0 else bytes(sealed)
    try:
        opened = inbound.open(changed)
    except ProtocolError:
        assert inbound.window.highest == 0
        assert inbound.open(good) == PACKET
    else:
        assert mutable
        assert opened[20:] == DATAGRAM


def test_replays_and_wrapping_are_refused() -> None:
    out, inbound = pair()
    sealed = out.seal(PACKET)
    inbound.open(sealed)
    with pytest.raises(ProtocolError, match="sequence 1 was received before") as told:
        inbound.open(sealed)
    assert told.value.layer == "ah"
    out.sequence = LAST_SEQUENCE
    with pytest.raises(ProtocolError, match="used up"):
        out.seal(PACKET)


def test_fragments_and_giants_are_not_protected() -> None:
    out, _ = pair()
    fragment = on_the_way(PACKET, flags=0x20)
    with pytest.raises(ProtocolError, match="fragment"):
        out.seal(fragment)
    with pytest.raises(ProtocolError, match="do not fit"):
        out.seal(ip.build_ipv4(HERE, THERE, 17, bytes(65535 - 25)))


@pytest.mark.parametrize(("authentication", "size"), [("sha1", 16), ("md5", 20), ("sha512", 64), ("", 0)])
def test_unknown_transforms_and_wrong_keys_are_refused(authentication: str, size: int) -> None:
    with pytest.raises(ProtocolError):
        AhInboundSa(SPI, authentication, bytes(size))


@given(st.binary(max_size=120), st.booleans(), st.integers(0, 255))
def test_any_bytes_are_refused_as_protocol_errors(data: bytes, framed: bool, seed: int) -> None:
    """Bare, or as the payload of a well-formed packet to AH; and in the way of options too."""
    packet = ip.build_ipv4(HERE, THERE, 51, data) if framed else data
    if framed and seed % 2:
        packet = with_options(packet, random.Random(seed).randbytes(seed % 40))
    with pytest.raises(ProtocolError):
        pair()[1].open(packet)
    try:
        ah_spi_of(data)
    except ProtocolError:
        assert len(data) < 12
