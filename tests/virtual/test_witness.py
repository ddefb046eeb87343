"""Captures that the gateway's process writes, read as any reader of pcap would."""

from __future__ import annotations

import pytest

from harness.model import CaptureFacts, Side
from harness.probes.pcap import LINUX_SLL2, RAW_IP, read_frames
from harness.virtual.journal import Tap
from harness.virtual.witness import Witness
from harness.wire import ip

PACKET = ip.build_ipv4("172.16.1.10", "172.16.1.1", ip.ICMP, b"marked")


def test_each_boundary_has_its_file(tmp_path) -> None:
    witness = Witness(tmp_path, translated=True)
    witness.see(1_600_000_000.25, Tap(1.0, "far-end", "ppp7", "in", PACKET, 7))
    witness.see(1_600_000_001.5, Tap(2.0, "far-end", "ppp3", "out", PACKET, 3))
    witness.see(1_600_000_002.000001, Tap(3.0, "translated", None, "in", PACKET))
    far_end, translated = tmp_path / "far-end.pcap", tmp_path / "translated.pcap"
    assert witness.close() == [
        CaptureFacts(Side.FAR_END, str(far_end), "any", 2, 0, True),
        CaptureFacts(Side.TRANSLATED, str(translated), "l2tp0", 1, 0, True),
    ]
    assert (tmp_path / "far-end.links").read_text() == "3 ppp3\n7 ppp7\n"
    frames = list(read_frames(far_end))
    assert [frame.t for frame in frames] == pytest.approx([1_600_000_000.25, 1_600_000_001.5], abs=1e-6)
    assert {frame.link for frame in frames} == {LINUX_SLL2}
    # https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html
    for frame, number, direction in zip(frames, (7, 3), (0, 4), strict=True):
        assert frame.data[:2] == b"\x08\x00"
        assert int.from_bytes(frame.data[4:8]) == number
        assert int.from_bytes(frame.data[8:10]) == 512  # ARPHRD_PPP
        assert (frame.data[10], frame.data[11], frame.data[12:20]) == (direction, 0, bytes(8))
        assert frame.data[20:] == PACKET
    (frame,) = read_frames(translated)
    assert (frame.link, frame.data) == (RAW_IP, PACKET)
    assert frame.t == pytest.approx(1_600_000_002.000001, abs=1e-6)


def test_without_translation_there_is_no_such_file(tmp_path) -> None:
    witness = Witness(tmp_path, translated=False)
    witness.see(1.0, Tap(1.0, "translated", None, "in", PACKET))
    (facts,) = witness.close()
    assert (facts.side, facts.frames, facts.complete) == (Side.FAR_END, 0, True)
    assert not (tmp_path / "translated.pcap").exists()
    assert (tmp_path / "far-end.links").read_text() == ""
