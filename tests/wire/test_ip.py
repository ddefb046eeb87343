"""IPv4, UDP and ICMP against known packets, and against any bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire import ip


def slow_checksum(data: bytes) -> int:
    """RFC 1071 §1 read literally."""
    total = 0
    for place in range(0, len(data), 2):
        total += int.from_bytes(data[place : place + 2].ljust(2, b"\0"))
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def test_checksum_of_rfc_1071() -> None:
    """RFC 1071 §3: the words 0001 f203 f4f5 f6f7 sum to ddf2."""
    assert ip.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


@given(st.binary(max_size=80))
def test_checksum_is_the_sum_of_words(data: bytes) -> None:
    assert ip.checksum(data) == slow_checksum(data)


def test_the_echo_of_rfc_3602_case_7() -> None:
    """RFC 3602 §4, case 7: a whole ping from 192.168.123.3 to 192.168.123.200, checksums and all."""
    packet = bytes.fromhex(
        "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a2040008090a0b0c0d0e0f1011121314151617"
        "18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
    )
    outer = ip.parse_ipv4(packet)
    assert (outer.source, outer.destination, outer.protocol, outer.ttl) == ("192.168.123.3", "192.168.123.200", ip.ICMP, 64)
    echo = ip.parse_echo(outer.payload)
    assert echo == ip.Echo(True, 0xA90A, 0x0100, packet[28:])
    built = ip.build_ipv4(outer.source, outer.destination, ip.ICMP, ip.build_echo(echo), identification=0x0904, ttl=64)
    assert built == packet


@given(st.binary(max_size=60), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_udp_there_and_back(payload: bytes, sport: int, dport: int) -> None:
    one, other, third = ip.packed("10.0.0.2"), ip.packed("203.0.113.231"), ip.packed("203.0.113.232")
    datagram = ip.build_udp(one, other, sport, dport, payload)
    parsed = ip.parse_udp(datagram)
    assert (parsed.sport, parsed.dport, parsed.payload) == (sport, dport, payload)
    assert parsed.checksum != 0
    assert ip.udp_checksum_good(one, other, datagram)
    assert not ip.udp_checksum_good(third, other, datagram)


def test_a_udp_checksum_of_zero_counts_as_none() -> None:
    assert ip.udp_checksum_good(bytes(4), bytes(4), bytes.fromhex("06a506a500090000ff"))


def test_after_a_nat_the_checksum_of_the_inner_datagram_is_off_by_the_addresses() -> None:
    """The difference between two checksums is that of the addresses, as RFC 3948 §3.1.2 (b) undoes it."""
    inside, outside, gateway = (ip.packed(a) for a in ("10.0.0.2", "203.0.113.232", "203.0.113.231"))
    before = ip.parse_udp(ip.build_udp(inside, gateway, 1701, 1701, b"x" * 10)).checksum
    after = ip.parse_udp(ip.build_udp(outside, gateway, 1701, 1701, b"x" * 10)).checksum
    assert before != after
    words = [int.from_bytes(a[n : n + 2]) for a in (inside, outside) for n in (0, 2)]
    assert (before - after + words[0] + words[1] - words[2] - words[3]) % 0xFFFF == 0


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    for parse in (ip.parse_ipv4, ip.parse_udp, ip.parse_echo):
        with suppress(ProtocolError):
            parse(data)


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.256", "::1", "host"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        ip.packed(text)


def test_lengths_that_contradict_each_other_are_refused() -> None:
    good = ip.build_ipv4("10.0.0.2", "10.0.0.3", 17, b"payload")
    for bad in (good[:-1], b"\x44" + good[1:], b"\x65" + good[1:], good[:8] + b"\x01" + good[9:]):
        with pytest.raises(ProtocolError):
            ip.parse_ipv4(bad)
    assert ip.parse_ipv4(good + b"trailer").payload == b"payload"
    with pytest.raises(ProtocolError):
        ip.build_ipv4("10.0.0.2", "10.0.0.3", 17, bytes(0xFFFF))
