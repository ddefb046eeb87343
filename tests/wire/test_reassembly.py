"""Fragments in any order become the packet again; what never completes is bounded in number, bytes and time."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from harness.wire import ip
from harness.wire.reassembly import HOLD_S, MOST, MOST_BYTES, Reassembly

PACKET = ip.build_ipv4("10.0.0.2", "203.0.113.231", ip.UDP, random.Random(1).randbytes(3001), identification=7)


def piece(packet: bytes, start: int, size: int, *, last: bool, ident: int = 7) -> bytes:
    body = packet[20 + start : 20 + start + size]
    bare = packet[:2] + (20 + len(body)).to_bytes(2) + ident.to_bytes(2) + ((0 if last else 0x2000) | start // 8).to_bytes(2)
    bare += packet[8:10] + b"\0\0" + packet[12:20]
    return bare[:10] + ip.checksum(bare).to_bytes(2) + bare[12:] + body


def cut(packet: bytes, size: int, ident: int = 7) -> list[bytes]:
    length = len(packet) - 20
    return [piece(packet, at, size, last=at + size >= length, ident=ident) for at in range(0, length, size)]


@given(st.integers(1, 187), st.randoms(use_true_random=False), st.booleans())
def test_any_order_and_doubles(size: int, chance: random.Random, doubled: bool) -> None:
    parts = cut(PACKET, size * 8)
    chance.shuffle(parts)
    last, first = parts[-1], parts[:-1]
    box = Reassembly()
    for part in first * 2 if doubled else first:
        assert box.add(0.0, part) is None
    assert box.add(0.0, last) == PACKET
    assert (len(box), box._bytes) == (0, 0)


def test_what_is_no_fragment_goes_through() -> None:
    assert Reassembly().add(0.0, PACKET) == PACKET


def test_overlaps_never_join_and_do_not_stay() -> None:
    box = Reassembly()
    first, second = cut(PACKET, 1504)
    assert box.add(0.0, first) is None
    assert box.add(0.0, piece(PACKET, 8, 1504, last=False)) is None
    assert box.add(0.0, second) is None
    big = ip.build_ipv4("10.0.0.2", "203.0.113.231", ip.UDP, bytes(60000), identification=8)
    for start in range(0, 800, 8):
        assert box.add(0.0, piece(big, start, 50000, last=False, ident=8)) is None
    assert box._bytes <= 3 * 0xFFFF


def test_time_ends_it() -> None:
    box = Reassembly()
    first, second, third = cut(PACKET, 1200)
    assert box.add(0.0, first) is None
    assert box.add(HOLD_S, second) is None
    assert box.add(HOLD_S + 0.1, third) is None  # of the first two, nothing is left
    assert len(box) == 1
    assert box.add(HOLD_S + 0.2, first) is None
    assert box.add(HOLD_S + 0.3, second) == PACKET


def test_a_flood_is_bounded_in_number_and_in_bytes() -> None:
    box = Reassembly()
    for ident in range(MOST * 3):
        box.add(0.0, cut(PACKET, 1504, ident)[0])
        assert len(box) <= MOST
    big = ip.build_ipv4("10.0.0.2", "203.0.113.231", ip.UDP, bytes(65000))
    for ident in range(MOST * 3, MOST * 4):
        box.add(0.0, piece(big, 0, 64000, last=False, ident=ident))
        assert box._bytes <= MOST_BYTES
    assert box._bytes == sum(pieces.size for pieces in box._under_way.values())


@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 0xFFFF)), max_size=30))
def test_any_bytes_are_counted_right(packets: list[tuple[bytes, int]]) -> None:
    box = Reassembly()
    for data, flags in packets:
        packet = bytearray(ip.build_ipv4("10.0.0.2", "10.0.0.3", 17, data))
        packet[6:8] = flags.to_bytes(2)
        box.add(0.0, bytes(packet))
        box.add(0.0, data)
        assert box._bytes == sum(sum(map(len, one.parts.values())) for one in box._under_way.values())
