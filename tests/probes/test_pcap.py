from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CaptureError
from harness.probes.pcap import PcapWriter, read_frames


def test_reads_what_it_wrote(tmp_path: Path) -> None:
    with PcapWriter(tmp_path / "a.pcap", 1) as writer:
        writer.write(1_700_000_000_123_456_789, b"one")
        writer.write(1_700_000_000_123_456_790, b"")
    frames = list(read_frames(tmp_path / "a.pcap"))
    assert [(f.number, f.nanoseconds, f.data, f.link) for f in frames] == [
        (1, 1_700_000_000_123_456_789, b"one", 1),
        (2, 1_700_000_000_123_456_790, b"", 1),
    ]


@pytest.mark.parametrize("order", ["<", ">"])
def test_reads_both_byte_orders_and_microseconds(tmp_path: Path, order: str) -> None:
    path = tmp_path / "a.pcap"
    head = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 96, 101)
    path.write_bytes(head + struct.pack(order + "IIII", 7, 250_000, 2, 60) + b"ab")
    (frame,) = read_frames(path)
    assert (frame.t, frame.link, frame.data, frame.cut) == (7.25, 101, b"ab", True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "no known byte order"),
        (b"GIF89a" + bytes(40), "begins with"),
        (struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 96, 1) + bytes(7), "header of frame 1"),
        (struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 96, 1) + struct.pack("<IIII", 0, 0, 9, 9) + b"abc", "middle of frame 1"),
        (struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 96, 1) + struct.pack("<IIII", 0, 0, 1 << 30, 9), "damaged"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=words):
        list(read_frames(path))


def test_gives_out_the_whole_frames_before_the_cut(tmp_path: Path, craft: Any) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(craft.pcap_bytes([(1, b"whole"), (2, b"cut off")])[:-1])
    frames = read_frames(path)
    assert next(frames).data == b"whole"
    with pytest.raises(CaptureError, match="frame 2"):
        next(frames)
