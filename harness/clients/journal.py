"""The run's diary: every Record as a JSON line, on disk before the next one is made, and the keys that decrypt the run.

A line is written by a single write() to a file opened with O_APPEND, so that a killed writer leaves whole lines, and at most one
torn line at the end (when the disk is full); `read` says so instead of passing over it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.clients.clock import RunClock
from harness.errors import CaptureError
from harness.model import ClientPlan, Record, RecordKind
from harness.model.redact import Redactor
from harness.wire.events import EspUp, IkeUp

KEYS_MODE = 0o600  # only who ran it may read what decrypts it

FREQUENT = frozenset((RecordKind.MARK_SENT, RecordKind.MARK_ANSWERED, RecordKind.MARK_RECEIVED))
"""Records of numbers alone, hundreds a second."""


class LineFile:
    """Appends whole lines. `mode` is the file's permission, held even where an older file had a wider one."""

    def __init__(self, path: Path, mode: int = 0o644) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
        os.fchmod(self._file, mode)

    def write(self, line: str) -> None:
        data = line.encode() + b"\n"
        written = os.write(self._file, data)
        if written != len(data):
            raise OSError(f"{self.path}: only {written} of {len(data)} bytes could be written")

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def ike_keys(t: float, client: str, event: IkeUp) -> Iterator[dict[str, object]]:
    """The lines of keys.jsonl for an ISAKMP SA of that end; `t` is seconds since the epoch."""
    yield {
        "t": round(t, 6),
        "client": client,
        "kind": "ike",
        "icookie": event.icookie.hex(),
        "rcookie": event.rcookie.hex(),
        "encryption": event.encryption,
        "hash": event.hash,
        "key": event.encryption_key.hex(),
        "iv": event.iv.hex(),
    }


def esp_keys(t: float, client: str, gateway: str, event: EspUp) -> Iterator[dict[str, object]]:
    """The same for both directions of a pair of ESP SAs with `gateway`."""
    for direction, spi, key, auth_key in (
        ("in", event.spi_in, event.key_in, event.auth_key_in),
        ("out", event.spi_out, event.key_out, event.auth_key_out),
    ):
        yield {
            "t": round(t, 6),
            "client": client,
            "kind": "esp",
            "spi": f"{spi:08x}",
            "direction": direction,
            "encryption": event.encryption,
            "authentication": event.authentication,
            "key": key.hex(),
            "auth_key": auth_key.hex(),
            "gateway": gateway,
        }


class Journal:
    """Writes records.jsonl and keys.jsonl in `folder`, and keeps the records for whoever asks during the run.

    `watch` is called with each record after it is on disk. `redactor` takes the secrets out of what is written: a peer may send
    back what it was told (the words of a CHAP failure, say).
    """

    def __init__(
        self, folder: Path, clock: RunClock, watch: Callable[[Record], None] | None = None, redactor: Redactor | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self.records: list[Record] = []
        self.watch = watch
        self._redactor = redactor
        self._records = LineFile(folder / "records.jsonl")
        self._keys = LineFile(folder / "keys.jsonl", KEYS_MODE)

    def write(self, now: float, client: str, kind: RecordKind, data: Mapping[str, Any]) -> Record:
        """`now` is on the run's monotonic clock."""
        record = Record(self.clock.epoch(now), client, kind, data)
        self._records.write(self._clean(record).to_json())
        self.records.append(record)
        if self.watch is not None:
            self.watch(record)
        return record

    def _clean(self, record: Record) -> Record:
        if self._redactor is None or record.kind in FREQUENT:
            return record
        return replace(record, data=self._redactor.value(record.data))

    def ike_keys(self, now: float, client: str, event: IkeUp) -> None:
        for line in ike_keys(self.clock.epoch(now), client, event):
            self._keys.write(json.dumps(line))

    def esp_keys(self, now: float, plan: ClientPlan, event: EspUp) -> None:
        for line in esp_keys(self.clock.epoch(now), plan.name, plan.gateway, event):
            self._keys.write(json.dumps(line))

    def close(self) -> None:
        self._records.close()
        self._keys.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a records file held. `torn` is the unfinished last line of a writer that was stopped in the middle of it, or ""."""

    records: tuple[Record, ...]
    torn: str = ""


def read(path: Path) -> Reading:
    """Reads a records file, even one whose writer was killed. Raises CaptureError where a whole line is not a record."""
    *lines, torn = path.read_text(encoding="utf-8", errors="replace").split("\n")
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(Record.from_json(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CaptureError(f"{path}:{number}: not a record: {error!r}") from error
    return Reading(tuple(records), torn)
