from __future__ import annotations

import json
from socket import inet_aton
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.probes.dissect import observation
from harness.probes.dissector.frames import Addresses, FrameDissector
from harness.probes.keyring import EMPTY, parse_keys
from harness.probes.pcap import ETHERNET, LINUX_SLL, LINUX_SLL2, PPP, RAW_IP, RawFrame

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"


def frame(data: bytes, number: int = 1, link: int = ETHERNET) -> RawFrame:
    return RawFrame(number, 1.0, 1_000_000_000, link, data, False)


def look(data: bytes, link: int = ETHERNET, side: str = "inside") -> dict[str, Any]:
    return FrameDissector(EMPTY, Addresses(GATEWAY, NAT)).dissect(side, frame(data, link=link))[0]


LINKS = st.sampled_from([ETHERNET, LINUX_SLL, LINUX_SLL2, PPP, RAW_IP, 147])


@given(st.binary(max_size=400), LINKS)
def test_no_bytes_make_it_raise(data: bytes, link: int) -> None:
    seen, copy = FrameDissector(EMPTY, Addresses(GATEWAY, NAT)).dissect("inside", frame(data, link=link))
    observation(json.loads(json.dumps(seen)))
    assert copy == data


@settings(max_examples=400, deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from([500, 4500, 1701, 1024]), st.sampled_from([b"", bytes(4), b"\xc8\x02", b"\x00\x02"])
)
def test_no_payload_makes_it_raise(payload: bytes, port: int, prefix: bytes) -> None:
    """Random bytes behind sound headers reach the IKE, ESP, L2TP and PPP code; a second frame meets the state of the first."""
    dissector = FrameDissector(EMPTY, Addresses(GATEWAY, NAT))
    body = prefix + payload
    if prefix == b"\xc8\x02":
        body = prefix + (2 + 2 + len(payload)).to_bytes(2) + payload  # a length that fits, so that AVPs are reached
    udp = (40000).to_bytes(2) + port.to_bytes(2) + (8 + len(body)).to_bytes(2) + bytes(2) + body
    head = b"\x45\0" + (20 + len(udp)).to_bytes(2) + bytes(4) + b"\x40\x11\0\0" + inet_aton("10.0.0.2") + inet_aton(GATEWAY)
    for number in (1, 2):
        seen, _ = dissector.dissect("inside", frame(head + udp, number, RAW_IP))
        observation(json.loads(json.dumps(seen)))
    assert seen["sport"] == 40000


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 255), st.binary(max_size=200), st.integers(0, 3))
def test_no_ike_payload_makes_it_raise(first: int, body: bytes, flags: int) -> None:
    message = bytes(range(1, 17)) + bytes([first, 0x10, 2, flags]) + bytes(4) + (28 + 4 + len(body)).to_bytes(4)
    message += b"\0\0" + (4 + len(body)).to_bytes(2) + body
    udp = (500).to_bytes(2) + (500).to_bytes(2) + (8 + len(message)).to_bytes(2) + bytes(2) + message
    head = b"\x45\0" + (20 + len(udp)).to_bytes(2) + bytes(4) + b"\x40\x11\0\0" + inet_aton("10.0.0.2") + inet_aton(GATEWAY)
    seen = look(head + udp, RAW_IP)
    observation(json.loads(json.dumps(seen)))
    assert seen["kind"] == "ike"
    assert seen["ike"]["icookie"] == "0102030405060708"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([0xC021, 0x8021, 0xC223, 0xC023, 0x0021, 0x80FD]), st.binary(max_size=120))
def test_no_ppp_frame_makes_it_raise(protocol: int, body: bytes) -> None:
    l2tp = b"\x00\x02\x00\x01\x00\x01\xff\x03" + protocol.to_bytes(2) + body
    udp = (1701).to_bytes(2) * 2 + (8 + len(l2tp)).to_bytes(2) + bytes(2) + l2tp
    head = b"\x45\0" + (20 + len(udp)).to_bytes(2) + bytes(4) + b"\x40\x11\0\0" + inet_aton("10.0.0.2") + inet_aton(GATEWAY)
    seen = look(head + udp, RAW_IP)
    assert observation(json.loads(json.dumps(seen))).inner is not None


def test_headers_are_examined(craft: Any) -> None:
    good = craft.ip("10.0.0.2", GATEWAY, 17, craft.udp("10.0.0.2", GATEWAY, 4500, 4500, b"\xff"), 63, 77, 0x4000, 0xB8)
    seen = look(craft.ether(good))
    assert seen["kind"] == "keepalive"
    assert seen["ttl"] == 63
    facts = seen["headers"]
    assert (facts["ip_id"], facts["df"], facts["tos"], facts["dscp"], facts["ip_checksum_ok"]) == (77, True, 0xB8, 46, True)
    assert facts["udp_checksum_ok"] is True
    bad_ip = bytearray(good)
    bad_ip[8] = 62
    assert look(craft.ether(bytes(bad_ip)))["headers"]["ip_checksum_ok"] is False
    bad_udp = bytearray(good)
    bad_udp[20] ^= 1
    assert look(craft.ether(bytes(bad_udp)))["headers"]["udp_checksum_ok"] is False
    none = craft.ip("10.0.0.2", GATEWAY, 17, craft.udp("10.0.0.2", GATEWAY, 4500, 4500, b"\xff", False))
    assert look(craft.ether(none))["headers"]["udp_checksum_ok"] is None


@pytest.mark.parametrize(
    ("sport", "dport", "payload", "kind"),
    [
        (1024, 4500, b"\xff", "keepalive"),
        (4500, 500, b"\xff", "ike"),  # a NAT may give a client 4500 for its port 500
        (1701, 4500, b"\1\2\3\4" + bytes(20), "esp"),  # … or 1701 for its 4500
        (1701, 1701, bytes(20), "l2tp-clear"),
        (1024, 1701, bytes(20), "l2tp-clear"),
        (5353, 5353, b"", "other"),
    ],
)
def test_the_gateways_port_names_the_service(craft: Any, sport: int, dport: int, payload: bytes, kind: str) -> None:
    up = craft.ether(craft.ip(NAT, GATEWAY, 17, craft.udp(NAT, GATEWAY, sport, dport, payload)))
    down = craft.ether(craft.ip(GATEWAY, NAT, 17, craft.udp(GATEWAY, NAT, dport, sport, payload)))
    assert look(up)["kind"] == look(down)["kind"] == kind


def test_the_same_payload_has_the_same_digest_on_both_sides(craft: Any) -> None:
    inside = look(craft.ether(craft.ip("10.0.0.2", GATEWAY, 17, craft.udp("10.0.0.2", GATEWAY, 500, 500, b"x"))))
    outside = look(craft.ether(craft.ip(NAT, GATEWAY, 17, craft.udp(NAT, GATEWAY, 1024, 500, b"x"), 62)))
    other = look(craft.ether(craft.ip(NAT, GATEWAY, 17, craft.udp(NAT, GATEWAY, 1024, 500, b"y"), 62)))
    assert inside["payload_digest"] == outside["payload_digest"] != other["payload_digest"]


def test_what_the_link_adds_is_no_part_of_the_packet(craft: Any) -> None:
    """A NIC pads what is short as it receives, not as it sends; a SPAN port may leave tags of VLANs on."""
    packet = craft.ip("10.0.0.2", GATEWAY, 17, craft.udp("10.0.0.2", GATEWAY, 4500, 4500, b"\xff"))
    sent = craft.ether(packet)
    padded = sent + bytes(60 - len(sent))
    tagged = sent[:12] + b"\x81\x00\x00\x64" + sent[12:] + bytes(14)
    seen = look(sent)
    assert seen["length"] == seen["headers"]["ip_length"] == 29
    assert look(padded) == look(tagged) == look(packet, RAW_IP) == seen


def test_fragments_are_judged_whole_at_the_last_one(craft: Any) -> None:
    segment = craft.udp("10.0.0.2", GATEWAY, 4500, 4500, b"\1\2\3\4\0\0\0\7" + bytes(96))
    first = craft.ip("10.0.0.2", GATEWAY, 17, segment[:56], 64, 9, 0x2000)
    second = craft.ip("10.0.0.2", GATEWAY, 17, segment[56:], 64, 9, 7)
    dissector = FrameDissector(EMPTY, Addresses(GATEWAY, NAT))
    one = dissector.dissect("inside", frame(craft.ether(second)))[0]
    two = dissector.dissect("inside", frame(craft.ether(first)))[0]
    assert (one["kind"], one["headers"]["fragment"], one["sport"]) == ("other", "part", None)
    assert (two["kind"], two["headers"]["fragment"], two["esp"]["sequence"]) == ("esp", "last", 7)
    assert two["headers"]["udp_checksum_ok"] is True


def test_a_mark_is_read_and_one_changed_byte_is_a_problem(craft: Any) -> None:
    echo = craft.marked("172.16.1.10", "172.16.1.1", 7, 300, False, 1200)
    seen = look(echo, RAW_IP, "far-end")
    mark = observation(seen).mark
    assert mark is not None
    assert (mark.owner, mark.sequence, mark.answer, mark.size, mark.nonce) == (7, 300, False, 1200, craft.NONCE.hex())
    broken = bytearray(echo)
    broken[700] ^= 0xFF
    broken[22:24] = bytes(2)
    broken[22:24] = craft.summed(bytes(broken[20:])).to_bytes(2)  # a checksum that fits: only the pattern tells
    seen = look(bytes(broken), RAW_IP, "far-end")
    assert "damaged pattern (owner 7, sequence 300)" in seen["problem"]
    assert seen.get("mark") is None


def test_a_cut_mark_and_a_wrong_icmp_checksum_are_problems(craft: Any) -> None:
    whole = craft.marked("172.16.1.10", "172.16.1.1", 7, 1, True, 100)
    icmp = bytearray(whole[20:90])
    icmp[2:4] = bytes(2)
    icmp[2:4] = craft.summed(bytes(icmp)).to_bytes(2)
    assert "90 came" in look(craft.ip("172.16.1.10", "172.16.1.1", 1, bytes(icmp)), RAW_IP)["problem"]
    icmp[2] ^= 1
    assert "checksum" in look(craft.ip("172.16.1.10", "172.16.1.1", 1, bytes(icmp)), RAW_IP)["problem"]


def test_checksum_fits_the_address_that_it_was_made_for(craft: Any) -> None:
    """The value measured with client 10.0.0.2: 0xf4c8 found after the NAT, where 0xecb8 would be right for the NAT's own address.

    The addresses on the other end of that measurement are not recorded; 172.16.102.1 is one for which both values hold.
    """
    nat = "172.16.102.1"
    world = craft.World()
    client = craft.Client(world, 1)
    client.main_mode()
    client.quick_mode()
    payload = craft.control(6, 7001, 0, 0, 0) + b"\0\0"
    made = craft.udp("10.0.0.2", GATEWAY, 1701, 1701, payload)
    missing = (int.from_bytes(made[6:8]) - 0xF4C8) % 0xFFFF
    payload = payload[:-2] + missing.to_bytes(2)
    assert craft.udp("10.0.0.2", GATEWAY, 1701, 1701, payload)[6:8] == b"\xf4\xc8"
    assert craft.udp(nat, GATEWAY, 1701, 1701, payload)[6:8] == b"\xec\xb8"
    packet = client.esp(True, payload)
    dissector = FrameDissector(parse_keys(map(json.dumps, world.keys)), Addresses(GATEWAY, nat, {"c1": "10.0.0.2"}))
    outside = craft.ether(craft.ip(nat, GATEWAY, 17, craft.udp(nat, GATEWAY, 2049, 4500, packet, False)))
    inner = observation(dissector.dissect("outside", frame(outside))[0]).inner
    assert inner is not None
    assert inner.udp_checksum == 0xF4C8
    assert inner.checksum_fits == (("10.0.0.2", GATEWAY),)


def test_no_checksum_fits_nothing(craft: Any) -> None:
    segment = craft.udp("198.51.100.1", GATEWAY, 1025, 1701, craft.control(6, 1, 0, 0, 0), False)
    seen = observation(look(craft.ip("198.51.100.1", GATEWAY, 17, segment), RAW_IP, "translated"))
    assert seen.inner is not None
    assert (seen.inner.udp_checksum, seen.inner.checksum_fits) == (0, ())


def test_clear_l2tp_is_read_to_the_mark(craft: Any) -> None:
    ppp = b"\xff\x03\x00\x21" + craft.marked("172.16.1.10", "172.16.1.1", 3, 9, False)
    datagram = craft.udp("198.51.100.1", GATEWAY, 1025, 1701, craft.data_message(5, 6, ppp))
    seen = observation(look(craft.ip("198.51.100.1", GATEWAY, 17, datagram), RAW_IP, "translated"))
    assert seen.inner is not None
    assert seen.inner.mark is not None
    assert seen.inner.l2tp is not None
    assert (seen.inner.sport, seen.inner.l2tp["tunnel"], seen.inner.mark.owner) == (1025, 5, 3)
    assert seen.mark is None
