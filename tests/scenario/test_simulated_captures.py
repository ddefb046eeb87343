"""Simulated captures are files that the probes read as they read a capture on the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model import CaptureFacts, Side
from harness.probes.dissector import headers
from harness.probes.dissector.__main__ import interface_names
from harness.probes.pcap import read_frames
from harness.scenario.simulated_captures import GatewayCaptures, SimulatedCapture, lively
from harness.virtual.journal import Tap
from harness.wire.packet import Packet, to_ip

NOW = 1_767_225_600_123_456_789


def udp(sport: int, dport: int, payload: bytes) -> bytes:
    return to_ip(Packet("10.0.0.2", "203.0.113.231", 17, payload, sport, dport))


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


@pytest.mark.parametrize(
    ("packet", "kept"),
    [
        (udp(4500, 4500, b"\xff"), False),
        (udp(1024, 4500, bytes(68)), False),  # ESP around a Hello
        (udp(4500, 1024, bytes(84)), True),  # ESP around a StopCCN
        (udp(4500, 1024, bytes(4 + 28)), False),  # no IKE message is as short as its header
        (udp(500, 500, bytes(28)), True),
        (udp(1701, 1025, bytes(20)), False),
        (udp(1025, 1701, bytes(38)), True),
        (to_ip(Packet("10.0.0.2", "203.0.113.231", 50, bytes(68))), True),
    ],
)
def test_keepalives_are_known_by_their_length(packet: bytes, kept: bool, tmp_path: Path) -> None:
    assert lively(packet) is kept
    capture = SimulatedCapture(Side.OUTSIDE, tmp_path, "switch", kept="without-keepalives")
    capture.see(NOW, packet)
    facts = capture.close()
    assert (facts.frames, facts.kept) == (int(kept), "without-keepalives")


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
