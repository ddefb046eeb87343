"""What a provider made or changed on a server that others use too: on disk before it is done, so that a later run can undo it.

JSON lines, each synchronised to the disk: `{"n": 1, "what": "project", "id": …, "name": …, …}` before an act, `{"n": 1, "made":
ID}` once an act whose ID the server chooses is done, `{"n": 1, "undone": true}` when it is undone or came to nothing. An entry
that never got its ID (`id` is empty) tells of something that may or may not be there: it is named to a person, and never deleted.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness.devices import durable
from harness.errors import LabError


@dataclass(frozen=True, slots=True)
class Entry:
    """`what` is the provider's word for the kind of act, `within` the ID of what it belongs to (a node's project), `before` what
    has to be put back, as JSON."""

    n: int
    what: str
    id: str
    name: str
    within: str = ""
    before: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.name!r}" + (f" ({self.id})" if self.id else "")


class Ledger:
    """The entries of one lab. Reads what an earlier run left there; without a file there is none."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._entries: dict[int, Entry] = {}
        self._next = 1
        self._read()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is not undone, in the order in which it was done."""
        return tuple(self._entries.values())

    def has(self, what: str, identity: str) -> bool:
        return any(entry.what == what and entry.id == identity for entry in self._entries.values())

    def intend(self, what: str, identity: str, name: str, within: str = "", before: str = "") -> Entry:
        """To be called before the act. `identity` is empty where the server will choose it."""
        entry = Entry(self._next, what, identity, name, within, before)
        self._write(asdict(entry))
        self._entries[entry.n] = entry
        self._next += 1
        return entry

    def made(self, entry: Entry, identity: str) -> Entry:
        """The server chose this ID."""
        self._write({"n": entry.n, "made": identity})
        self._entries[entry.n] = replace(entry, id=identity)
        return self._entries[entry.n]

    def undone(self, entry: Entry) -> None:
        """The file goes with its last entry."""
        self._write({"n": entry.n, "undone": True})
        self._entries.pop(entry.n, None)
        if not self._entries:
            self.file.unlink(missing_ok=True)

    def _write(self, line: dict[str, Any]) -> None:
        try:
            durable.append_to(self.file, line)
        except OSError as error:
            cure = "nothing is made on a server without it; set XDG_STATE_HOME to a place that can be written"
            raise LabError("write the ledger", f"{self.file}: {error.strerror}", cure) from error

    def _read(self) -> None:
        try:
            lines = list(durable.lines(self.file))
        except OSError as error:
            cure = "make it readable: it says what an earlier run left behind"
            raise LabError("read the ledger", f"{self.file}: {error.strerror}", cure) from error
        for number, line in lines:
            try:
                self._take(line)
            except (KeyError, TypeError, AttributeError) as error:
                cure = f"look at it, then rm {self.file}"
                raise LabError("read the ledger", f"{self.file}:{number} is no entry", cure) from error

    def _take(self, line: dict[str, Any]) -> None:
        if line.get("undone"):
            self._entries.pop(line["n"], None)
        elif "made" in line:
            self._entries[line["n"]] = replace(self._entries[line["n"]], id=line["made"])
        else:
            entry = Entry(**line)
            self._entries[entry.n] = entry
            self._next = entry.n + 1


def state_directory() -> Path:
    """The user's own: a ledger tells what this user's runs left on servers."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "natstorm"


def ledger_file(provider: str, server: str, lab: str, directory: Path | None = None) -> Path:
    key = f"{server} {lab}"
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-.")[:60]
    return (directory or state_directory()) / provider / f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.jsonl"
