"""pcapng as Wireshark's own programs write it, and blocks made by hand for what they never write."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CaptureError
from harness.probes.dissector import headers
from harness.probes.pcap import LINUX_SLL2, LOOP, NULL, RAW_IP, PcapWriter, RawFrame, read_frames
from harness.probes.pcapng import Told

needs_editcap = pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap is not installed")
START = 1_700_000_000_123_456_789


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<", options: bytes = b"") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def interface(link: int = 1, snap: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(ticks: int, data: bytes, number: int = 0, original: int | None = None, order: str = "<") -> bytes:
    sizes = len(data), len(data) if original is None else original
    return block(6, struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, *sizes) + data, order)


def read(tmp_path: Path, *blocks: bytes) -> tuple[list[RawFrame], Told]:
    path, told = tmp_path / "a.pcapng", Told()
    path.write_bytes(b"".join(blocks))
    return list(read_frames(path, told)), told


@needs_editcap
def test_reads_what_editcap_and_mergecap_write(tmp_path: Path) -> None:
    frames = [(START + n * 1_000_003, bytes([n]) * (n + 20)) for n in range(40)]
    for name, part in (("a", frames[::2]), ("b", frames[1::2])):
        with PcapWriter(tmp_path / f"{name}.pcap", 1) as writer:
            for stamp, data in part:
                writer.write(stamp, data)
    subprocess.run(["editcap", "-F", "pcapng", tmp_path / "a.pcap", tmp_path / "a.pcapng"], check=True)
    told = Told()
    assert [(f.nanoseconds, f.data, f.link, f.cut) for f in read_frames(tmp_path / "a.pcapng", told)] == [
        (stamp, data, 1, False) for stamp, data in frames[::2]
    ]
    assert told.format == "pcapng"
    merged = tmp_path / "m.pcapng"
    subprocess.run(["mergecap", "-F", "pcapng", "-w", merged, tmp_path / "a.pcap", tmp_path / "b.pcap"], check=True)
    assert [(f.number, f.nanoseconds, f.data) for f in read_frames(merged)] == [(n, *one) for n, one in enumerate(frames, 1)]
    subprocess.run(["editcap", "-F", "pcapng", "-s", "10", tmp_path / "a.pcap", tmp_path / "s.pcapng"], check=True)
    assert all(f.cut and len(f.data) == 10 for f in read_frames(tmp_path / "s.pcapng"))


@pytest.mark.parametrize("order", ["<", ">"])
def test_resolution_and_offset_are_the_interfaces_own(tmp_path: Path, order: str) -> None:
    binary = option(9, bytes([0x80 | 10]), order) + option(14, struct.pack(order + "q", 100), order)
    frames, _ = read(
        tmp_path, section(order), interface(order=order), interface(101, options=option(9, b"\x09", order), order=order),
        interface(0, options=binary, order=order), enhanced(5_250_000, b"micro", order=order),
        enhanced(5_000_000_007, b"nano", 1, order=order), enhanced(1536, b"1/1024 s", 2, order=order),
    )  # fmt: skip
    assert [(f.nanoseconds, f.link, f.data) for f in frames] == [
        (5_250_000_000, 1, b"micro"),
        (5_000_000_007, 101, b"nano"),
        (101_500_000_000, 0, b"1/1024 s"),
    ]


def test_a_second_section_has_its_own_interfaces_and_byte_order(tmp_path: Path) -> None:
    frames, _ = read(
        tmp_path, section(), interface(1), enhanced(1, b"a"), section(">"), interface(276, order=">"), enhanced(2, b"b", order=">")
    )
    assert [(f.number, f.link, f.nanoseconds) for f in frames] == [(1, 1, 1000), (2, 276, 2000)]


def test_unknown_blocks_are_skipped_and_statistics_kept(tmp_path: Path) -> None:
    lost = struct.pack("<III", 0, 0, 0) + option(5, struct.pack("<Q", 3)) + option(7, struct.pack("<Q", 4))
    strange = block(0xBAD, b"private"), block(4, b"names")
    frames, told = read(tmp_path, section(), strange[0], interface(), strange[1], enhanced(1, b"a"), block(5, lost))
    assert [f.data for f in frames] == [b"a"]
    assert told.dropped == 7
    assert read(tmp_path, section(), interface(), enhanced(1, b"a"))[1].dropped is None


def test_simple_packets_have_the_stamp_before_them_and_say_so(tmp_path: Path) -> None:
    simple = block(3, struct.pack("<I", 9) + b"simple")
    frames, told = read(tmp_path, section(), interface(snap=6), enhanced(7, b"a"), simple)
    assert [(f.nanoseconds, f.data, f.cut) for f in frames] == [(7000, b"a", False), (7000, b"simple", True)]
    assert told.unstamped == 1


def test_packet_blocks_of_early_writers(tmp_path: Path) -> None:
    frames, told = read(tmp_path, section(), interface(), block(2, struct.pack("<HHIIII", 0, 2, 0, 8, 3, 5) + b"old"))
    assert [(f.nanoseconds, f.data, f.cut) for f in frames] == [(8000, b"old", True)]
    assert told.dropped == 2


def test_a_file_cut_anywhere_gives_its_whole_frames(tmp_path: Path) -> None:
    parts = [section(), interface(), enhanced(1, b"first"), enhanced(2, b"second")]
    data = b"".join(parts)
    ends = {sum(map(len, parts[:n])): n for n in range(1, 5)}
    path = tmp_path / "cut.pcapng"
    for cut in range(4, len(data)):
        path.write_bytes(data[:cut])
        if cut in ends:
            assert [f.data for f in read_frames(path)] == [b"first", b"second"][: ends[cut] - 2 if ends[cut] > 2 else 0]
        else:
            with pytest.raises(CaptureError, match="ends in the middle of block"):
                list(read_frames(path))
    path.write_bytes(data[:-1])
    frames = read_frames(path)
    assert next(frames).data == b"first"
    with pytest.raises(CaptureError, match="middle of block 4"):
        next(frames)


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ((section(), enhanced(1, b"a")), "names interface 0 of 0"),
        ((section(), interface(), block(6, struct.pack("<IIIII", 0, 0, 1, 500, 500) + b"short")), "claims 500 bytes"),
        ((section(), interface(), block(6, b"tiny")), "block 3 .*damaged"),
        ((section(), struct.pack("<II", 1, 13) + bytes(20)), "claims 13 bytes"),
        ((section(), struct.pack("<II", 1, 1 << 30) + bytes(20)), "claims 1073741824 bytes"),
        ((section(), interface()[:-4] + struct.pack("<I", 99)), "another length"),
        ((section(), interface(options=struct.pack("<HH", 9, 400))), "option of 400 bytes"),
    ],
)
def test_says_what_is_damaged(tmp_path: Path, blocks: tuple[bytes, ...], words: str) -> None:
    with pytest.raises(CaptureError, match=words):
        read(tmp_path, *blocks)


IP = bytes.fromhex("450000140001000040000000") + bytes(8)


@pytest.mark.parametrize(
    ("link", "before", "after"),
    [
        (NULL, (2).to_bytes(4, "little"), IP),
        (NULL, (2).to_bytes(4), IP),
        (LOOP, (2).to_bytes(4), IP),
        (RAW_IP, b"", IP),
        (LINUX_SLL2, b"\x08\x00" + bytes(18), IP),
        (1, bytes(12) + b"\x81\x00\x00\x05\x08\x00", IP),
        (1, bytes(12) + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00", IP),
    ],
)
def test_link_headers_are_taken_off(link: int, before: bytes, after: bytes) -> None:
    ethertype, data = headers.network_layer(link, before + after)
    assert headers.is_ipv4(ethertype)
    assert data == after


def test_ipv6_on_a_loopback_is_not_taken_for_ipv4() -> None:
    assert not headers.is_ipv4(headers.network_layer(NULL, (30).to_bytes(4, "little") + bytes(40))[0])


@needs_editcap
def test_the_dissector_reads_pcapng_as_it_reads_pcap(dissector: Any, world: Any, craft: Any, tmp_path: Path) -> None:
    from harness.model import Side

    craft.Client(world, 1).main_mode()
    files = world.write(tmp_path)
    subprocess.run(["editcap", "-F", "pcapng", files.inside, tmp_path / "in.pcapng"], check=True)
    assert dissector.dissect({Side.INSIDE: tmp_path / "in.pcapng"}) == dissector.dissect({Side.INSIDE: files.inside})
