"""Access lists as IOS reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.virtual.access_list import ANY, AccessList, Flow, access_list, flow_of, parse_extended
from harness.wire import ip
from harness.wire.config import Selector
from harness.wire.packet import Packet, to_ip


def number(address: str) -> int:
    return int.from_bytes(ip.packed(address))


def flow(source: str, destination: str, protocol: int = 17, sport: int = 1000, dport: int = 2000) -> Flow:
    return Flow(number(source), number(destination), protocol, sport, dport)


@pytest.mark.parametrize(
    ("line", "fits", "fits_not"),
    [
        ("permit ip any any", flow("1.2.3.4", "5.6.7.8", 88), None),
        ("permit udp host 10.0.0.12 eq 1701 host 10.0.0.13 eq 1701", flow("10.0.0.12", "10.0.0.13", 17, 1701, 1701),
         flow("10.0.0.12", "10.0.0.13", 17, 1701, 1702)),
        ("permit udp any any eq isakmp", flow("10.0.0.1", "10.0.0.2", dport=500), flow("10.0.0.1", "10.0.0.2", sport=500)),
        ("permit tcp any any", flow("10.0.0.1", "10.0.0.2", 6), flow("10.0.0.1", "10.0.0.2", 17)),
        ("permit ip 10.1.0.0 0.0.255.255 any", flow("10.1.255.1", "1.1.1.1"), flow("10.2.0.1", "1.1.1.1")),
        # Bits that matter need not be the first ones: every odd host of 10.1.x.0/24.
        ("permit ip 10.1.0.1 0.0.255.254 any", flow("10.1.9.7", "1.1.1.1"), flow("10.1.9.8", "1.1.1.1")),
        ("permit esp any host 10.0.0.2", flow("10.0.0.1", "10.0.0.2", 50, 0, 0), flow("10.0.0.1", "10.0.0.2", 51, 0, 0)),
        ("permit 47 any any log", flow("10.0.0.1", "10.0.0.2", 47, 0, 0), flow("10.0.0.1", "10.0.0.2", 4, 0, 0)),
    ],
)  # fmt: skip
def test_a_line_fits_what_it_says(line: str, fits: Flow, fits_not: Flow | None) -> None:
    rules = access_list(101, line)
    assert rules.permits(fits)
    if fits_not is not None:
        assert not rules.permits(fits_not)


def test_the_first_line_that_fits_decides_and_the_end_denies() -> None:
    rules = access_list("TUNNEL", "deny ip host 10.1.0.9 any", "permit ip 10.1.0.0 0.0.255.255 any", "deny ip any any")
    assert [rules.permits(flow(source, "1.1.1.1")) for source in ("10.1.0.9", "10.1.0.8", "10.2.0.8")] == [False, True, False]
    assert rules.first(flow("10.1.0.9", "1.1.1.1")) is rules.entries[0]
    assert access_list(101, "permit tcp any any").first(flow("10.1.0.9", "1.1.1.1")) is None
    assert not AccessList("empty").permits(flow("10.1.0.9", "1.1.1.1"))


def test_a_standard_list_looks_at_the_source_alone() -> None:
    rules = access_list(10, "permit 10.1.1.1", "permit 10.2.0.0 0.0.255.255", "deny any")
    found = [rules.permits(flow(source, "9.9.9.9")) for source in ("10.1.1.1", "10.1.1.2", "10.2.3.4")]
    assert found == [True, False, True]
    assert rules.entries[0].destination == ANY


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        (101, "allow ip any any", "'allow' stands where permit or deny"),
        (101, "permit upd any any", "'upd' is no protocol"),
        (101, "permit ip any", "the line ends where an address"),
        (101, "permit ip 10.0.0.0 any any", "'any' is no IPv4 address"),
        (101, "permit ip 10.0.0.300 0.0.0.255 any", "'10.0.0.300' is no IPv4 address"),
        (101, "permit ip any eq 5 any", "only tcp and udp have ports"),
        (101, "permit udp any eq l2tp any", "'l2tp' is no port"),
        (101, "permit udp any any eq 65536", "'65536' is no port"),
        (101, "permit ip any any established", "'established' at the end"),
        (101, "", "the line ends where permit or deny"),
        (10, "permit udp any any", "is no IPv4 address"),
        (2700, "permit ip any any", "no IP access list has the number 2700"),
    ],
)
def test_what_is_wrong_is_named(name: int, line: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        access_list(name, line)


addresses = st.integers(0, 0xFFFFFFFF)
selectors = st.tuples(addresses, addresses, st.sampled_from((0, 17)), st.sampled_from((0, 500))).map(
    lambda four: Selector(four[0] & four[1], four[1], four[2], four[3] if four[2] else 0)
)


@given(selectors, selectors, addresses, addresses)
def test_a_line_comes_back_from_its_own_words_and_covers_are_what_they_hold(
    source: Selector, other: Selector, address: int, noise: int
) -> None:
    protocol = source.protocol
    destination = Selector(other.address, other.mask, protocol, other.port if protocol else 0)
    entry = access_list(101, "permit ip any any").entries[0]
    entry = type(entry)("permit", source, destination)
    assert parse_extended(str(entry).split()) == entry
    within = (address & ~source.mask & 0xFFFFFFFF) | source.address
    assert source.holds(within, source.protocol or 6, source.port or 7)
    narrower = Selector(within & (source.mask | noise), source.mask | noise, source.protocol or 17, source.port or 9)
    assert source.covers(narrower)
    assert source.covers(source)
    if source.mask and not narrower.covers(source):
        wider = Selector(0, 0)
        assert not source.covers(wider)


def test_flows_of_packets_and_of_their_fragments() -> None:
    packet = to_ip(Packet("10.0.0.1", "10.0.0.2", 17, b"hello, world", 1701, 4500))
    assert flow_of(packet) == flow("10.0.0.1", "10.0.0.2", 17, 1701, 4500)
    bare = packet[:6] + b"\x00\x01" + packet[8:10] + bytes(2) + packet[12:20]
    later = bare[:10] + ip.checksum(bare).to_bytes(2) + bare[12:] + packet[20:]
    assert flow_of(later) == flow("10.0.0.1", "10.0.0.2", 17, 0, 0)
    assert not access_list(101, "permit udp any any eq 4500").permits(flow_of(later))
    assert flow_of(packet).reversed == flow("10.0.0.2", "10.0.0.1", 17, 4500, 1701)
    assert str(flow_of(packet)) == "protocol 17 from 10.0.0.1:1701 to 10.0.0.2:4500"
