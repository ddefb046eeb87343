"""Searching a capture for bytes."""

from __future__ import annotations

import pytest

from harness.errors import CaptureError
from harness.probes.pcap import RAW_IP, PcapWriter
from harness.probes.words import frames_with


def test_frames_are_counted_that_hold_a_word(tmp_path):
    with PcapWriter(tmp_path / "a.pcap", RAW_IP) as writer:
        for number, data in enumerate((b"a name, and a name", b"nothing", b"\xff\x03\xc0\x21", b"a nam")):
            writer.write(number, data)
    found, frames = frames_with(tmp_path / "a.pcap", {"name": b"a name", "LCP": b"\xff\x03\xc0\x21", "host": b"LAC"})
    assert (found, frames) == ({"name": 1, "LCP": 1, "host": 0}, 4)


def test_a_file_that_is_no_capture_is_told(tmp_path):
    (tmp_path / "a.pcap").write_bytes(b"a name")
    with pytest.raises(CaptureError):
        frames_with(tmp_path / "a.pcap", {"name": b"a name"})
