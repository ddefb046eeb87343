"""Serves requests over stdin and stdout, one JSON object a line, until stdin ends.

Request:  {"captures": {side: path}, "keys": path or null, "addresses": {"gateway", "nat_outside", "clients": {name: address}},
           "decrypted": path or null, "decrypted_side": side, "shifts": {side: [nanoseconds, parts a billion, since]},
           "null_esp": true where ESP without a key may be of null encryption}
Answer:   one line an observation (harness.model.Observation's fields; absent ones have their default), in the order of time within
          each side; then {"done": {side: frames}, "damaged": {side: why the file ends early}} or {"error": text}.
`shifts` says how much later a side's clock is, at `since` (nanoseconds) and how fast that grows: the sides are read in the order of
time without it, and the observations keep the stamps of the files.
Before the first request it says {"ready": scapy's version}.
"""

from __future__ import annotations

import heapq
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import scapy
import scapy.packet

from harness.errors import CaptureError, NatstormError
from harness.probes.dissector.decrypted import DecryptedCopy
from harness.probes.dissector.frames import Addresses, FrameDissector
from harness.probes.keyring import EMPTY, read_keys
from harness.probes.pcap import RawFrame, read_frames


def serve(requests: TextIO, answers: TextIO) -> None:
    answers.write(json.dumps({"ready": scapy.VERSION}) + "\n")
    answers.flush()
    for line in requests:
        try:
            end = _dissect(json.loads(line), answers)
        except (NatstormError, OSError) as error:
            end = {"error": str(error)}
        answers.write(json.dumps(end) + "\n")
        answers.flush()


def _dissect(request: dict[str, Any], answers: TextIO) -> dict[str, Any]:
    keys = read_keys(request["keys"]) if request.get("keys") else EMPTY
    interfaces = {side: interface_names(path) for side, path in request["captures"].items()}
    dissector = FrameDissector(keys, Addresses(**request.get("addresses", {})), interfaces, null_esp=bool(request.get("null_esp")))
    copy = DecryptedCopy(request["decrypted"]) if request.get("decrypted") else None
    counts, damaged = dict.fromkeys(request["captures"], 0), {}
    shifts: dict[str, list[int]] = request.get("shifts") or {}
    encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

    def frames(side: str, path: str) -> Iterator[tuple[int, str, RawFrame]]:
        reader = read_frames(path)
        while True:
            try:
                frame = next(reader, None)
            except (NatstormError, OSError) as error:
                if not counts[side]:
                    raise
                damaged[side] = str(error)
                return
            if frame is None:
                return
            counts[side] += 1
            late, growth, since = shifts.get(side, (0, 0, 0))
            yield frame.nanoseconds - late - (frame.nanoseconds - since) * growth // 1_000_000_000, side, frame

    try:
        # Both sides in one stream of time: an IV chain, and a checksum's addresses, may be known from the other side only.
        streams = [frames(side, path) for side, path in request["captures"].items()]
        for _, side, frame in heapq.merge(*streams, key=lambda entry: entry[0]):
            observation, shown = dissector.dissect(side, frame)
            answers.write(encode(observation) + "\n")
            if copy is not None and side == request.get("decrypted_side", "inside"):
                copy.write(frame, shown)
    finally:
        if copy is not None:
            copy.close()
    return {"done": counts, "damaged": damaged}


def interface_names(capture: str) -> dict[int, str]:
    """Index → name, from the file beside a capture on all interfaces, if there is one (`far-end.links`: lines "INDEX NAME")."""
    beside = Path(capture).with_suffix(".links")
    if not beside.exists():
        return {}
    rows = [line.split() for line in beside.read_text(encoding="utf-8").splitlines()]
    damaged = [row for row in rows if len(row) != 2 or not row[0].isdigit()]
    if damaged:
        raise CaptureError(f"{beside}: {' '.join(damaged[0])!r} is no number and name of an interface")
    return {int(index): name for index, name in rows}


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=False)  # type: ignore[union-attr]
    serve(sys.stdin, sys.stdout)
