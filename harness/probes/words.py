"""Which frames of a capture hold certain bytes: what anybody finds who has the capture, and no keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.probes.pcap import read_frames


def frames_with(path: Path | str, words: Mapping[str, bytes]) -> tuple[dict[str, int], int]:
    """By the name of each of the `words`, how many frames hold it; and how many frames there are. CaptureError as `read_frames`."""
    found, count = dict.fromkeys(words, 0), 0
    for frame in read_frames(path):
        count += 1
        for name, word in words.items():
            found[name] += word in frame.data
    return found, count
