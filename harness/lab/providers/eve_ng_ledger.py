"""What a run has started and cut in somebody else's EVE-NG lab, on disk before it is done: what is not in there is left alone.

One file a lab, JSON a line: {"did": entry}, and {"undone": entry} once it was taken back. A line is on the disk before its request
is sent, so that a run that is killed leaves no deed unrecorded, and a later one can undo all of it. An unfinished last line stands
for a request that was never sent. While a process works on the lab it holds a lock beside the file, which the kernel takes back
with the process. No secrets in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.devices import durable
from harness.errors import LabError


@dataclass(frozen=True, slots=True)
class Started:
    """A node that was stopped when we came."""

    node: int
    name: str


@dataclass(frozen=True, slots=True)
class Cut:
    """An interface that is off its network because of us. `device`: the interface of EVE-NG's host that was set down; "" where the
    interface was detached from `network` in the lab itself."""

    node: int
    interface: int
    network: int
    device: str = ""


Entry = Started | Cut
_KINDS: dict[str, type[Started] | type[Cut]] = {"started": Started, "cut": Cut}


class Ledger:
    """Of one lab of one server, in `folder` (None: the user's own)."""

    def __init__(self, folder: Path | None, server: str, lab: str) -> None:
        readable = re.sub(r"[^A-Za-z0-9]+", "-", lab.removesuffix(".unl")).strip("-")[:40]
        digest = hashlib.sha256(f"{server} {lab}".encode()).hexdigest()[:12]
        self.path = (folder or default_folder()) / f"{readable}-{digest}.jsonl"
        self._title = {"server": server, "lab": lab}
        self._lock: int | None = None

    def hold(self) -> None:
        """Takes the lock, for as long as this process lives or until `release`. LabError where another process has it."""
        if self._lock is not None:
            return
        with self._writing():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            step = f"take hold of the lab {self._title['lab']}"
            raise LabError(step, f"process {owner} on this machine works on it", "let it end, or end it") from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is done and not yet undone, in the order in which it was done."""
        outstanding: dict[Entry, None] = {}
        for line in self._lines():
            if "did" in line:
                outstanding[_entry(line["did"], self.path)] = None
            elif "undone" in line:
                outstanding.pop(_entry(line["undone"], self.path), None)
        return tuple(outstanding)

    @property
    def started(self) -> tuple[Started, ...]:
        return tuple(one for one in self.entries if isinstance(one, Started))

    @property
    def cuts(self) -> tuple[Cut, ...]:
        return tuple(one for one in self.entries if isinstance(one, Cut))

    def did(self, entry: Entry) -> None:
        """Before it is done."""
        if not self.path.exists():
            self._append(self._title)
        self._append({"did": _plain(entry)})

    def undone(self, entry: Entry) -> None:
        self._append({"undone": _plain(entry)})
        if not self.entries:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()

    def _append(self, value: object) -> None:
        assert self._lock is not None, "the ledger is written by who holds it"
        with self._writing():
            durable.append_to(self.path, value)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            cure = "nothing is done in a lab without it; set XDG_STATE_HOME to a place that can be written"
            raise LabError("write the ledger", f"{self.path}: {error.strerror}", cure) from None

    def _lines(self) -> list[dict[str, Any]]:
        return [value for _, value in durable.lines(self.path) if isinstance(value, dict)]


def default_folder() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "natstorm" / "eve-ng"


def _plain(entry: Entry) -> dict[str, Any]:
    kind = next(name for name, of in _KINDS.items() if isinstance(entry, of))
    return {"kind": kind, **asdict(entry)}


def _entry(value: Any, path: Path) -> Entry:
    try:
        fields = dict(value)
        return _KINDS[fields.pop("kind")](**fields)
    except (TypeError, ValueError, KeyError):
        seen = f"{path} holds {str(value)[:80]!r}, which this version does not know"
        raise LabError("read what earlier runs did in the lab", seen, f"look at the lab, then remove {path}") from None
