"""Simulated captures are files that the probes read as they read a capture on the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model import CaptureFacts, Side
from harness.probes.dissector import headers
from harness.probes.dissector.__main__ import interface_names
from harness.probes.pcap import read_frames
from harness.scenario.simulated_captures import GatewayCaptures, Lively, SimulatedCapture
from harness.virtual.journal import Tap
from harness.wire.packet import Packet, to_ip

NOW = 1_767_225_600_123_456_789


def udp(sport: int, dport: int, payload: bytes) -> bytes:
    """Between a client and the gateway, which has the well-known port."""
    ends = ("10.0.0.2", "203.0.113.231") if dport in (500, 1701, 4500) else ("203.0.113.231", "10.0.0.2")
    return to_ip(Packet(*ends, 17, payload, sport, dport))


def test_a_capture_holds_the_packets_with_their_nanoseconds(tmp_path: Path) -> None:
    capture = SimulatedCapture(Side.INSIDE, tmp_path, "inside of NAT 1")
    packets = [udp(500, 500, b"main mode"), udp(4500, 4500, b"\xff")]
    for number, packet in enumerate(packets):
        capture.see(NOW + number, packet)
    path = tmp_path / "inside.pcap"
    assert capture.close() == CaptureFacts(Side.INSIDE, str(path), "inside of NAT 1", 2, 0, True, "everything")
    frames = list(read_frames(path))
    assert [frame.nanoseconds for frame in frames] == [NOW, NOW + 1]
    assert [headers.network_layer(frame.link, frame.data) for frame in frames] == [(0x0800, packet) for packet in packets]


SECOND = 1_000_000_000
SPI = b"\0\0\x10\1"
HELLO = bytes.fromhex("c80200140001000000010001") + bytes(8)
SCCRQ = bytes.fromhex("c80200640000000000000000") + bytes(88)
DATA = bytes.fromhex("00020001000100000021") + bytes(64)


@pytest.mark.parametrize(
    ("age_s", "packet", "kept"),
    [
        (100, udp(4500, 4500, b"\xff"), False),
        (100, udp(1024, 4500, SPI + bytes(64)), False),  # ESP around a Hello
        (59, udp(1024, 4500, SPI + bytes(64)), True),  # or around PPP's negotiation
        (100, udp(4500, 1024, SPI + bytes(80)), True),  # ESP around a StopCCN
        (100, udp(4500, 1024, bytes(4 + 28)), True),  # IKE
        (100, udp(500, 500, bytes(28)), True),
        (100, udp(1701, 1025, HELLO), False),
        (100, udp(1025, 1701, HELLO), False),
        (59, udp(1025, 1701, HELLO), True),
        (100, udp(1025, 1701, DATA), True),
        (100, to_ip(Packet("10.0.0.2", "203.0.113.231", 50, bytes(68))), True),
    ],
)
def test_keepalives_are_known_by_their_length_once_negotiation_is_over(
    age_s: int, packet: bytes, kept: bool
) -> None:
    keep = Lively()
    assert keep(NOW, udp(1024, 4500, SPI + bytes(64)))
    assert keep(NOW, udp(1025, 1701, SCCRQ))
    assert keep(NOW + age_s * SECOND, packet) is kept


def test_a_port_that_serves_another_tunnel_is_young_again() -> None:
    keep = Lively()
    ends = (1025, 1701)
    assert [keep(NOW + at * SECOND, udp(*ends, what)) for at, what in ((0, SCCRQ), (100, HELLO), (200, SCCRQ), (210, HELLO))] == [
        True, False, True, True,
    ]  # fmt: skip


def test_what_was_kept_stands_in_the_facts(tmp_path: Path) -> None:
    capture = SimulatedCapture(Side.OUTSIDE, tmp_path, "switch", kept="without-keepalives")
    capture.see(NOW, udp(4500, 4500, b"\xff"))
    capture.see(NOW, udp(500, 500, bytes(28)))
    facts = capture.close()
    assert (facts.frames, facts.kept) == (1, "without-keepalives")


def test_the_far_end_tells_link_and_direction(tmp_path: Path) -> None:
    captures = GatewayCaptures(tmp_path, translated=True)
    ping = to_ip(Packet("172.16.0.10", "172.16.0.1", 1, b"ping"))
    captures.see(NOW, Tap(0.0, "far-end", "ppp0", "in", ping, 7))
    captures.see(NOW, Tap(0.0, "far-end", "ppp1", "out", ping, 9))
    captures.see(NOW, Tap(0.0, "translated", None, "in", udp(1024, 1701, b"l2tp")))
    assert [(facts.side, facts.frames) for facts in captures.close()] == [(Side.FAR_END, 2), (Side.TRANSLATED, 1)]
    path = tmp_path / "far-end.pcap"
    assert interface_names(str(path)) == {7: "ppp0", 9: "ppp1"}
    frames = list(read_frames(path))
    assert [headers.cooked(frame.link, frame.data) for frame in frames] == [
        {"interface_index": 7, "packet_type": 0},
        {"interface_index": 9, "packet_type": 4},
    ]
    assert headers.network_layer(frames[0].link, frames[0].data) == (0x0800, ping)
    (frame,) = read_frames(tmp_path / "translated.pcap")
    assert frame.data == udp(1024, 1701, b"l2tp")
