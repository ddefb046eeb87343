"""The restore journal: what has to be done to put devices back, on disk before they are changed.

One file a run, below `$XDG_STATE_HOME/natstorm/restore` (~/.local/state): JSON lines, readable by its owner alone, for it may hold
a device's configuration. The first line says whose it is; each other line is an `undo`, or that one is `done`. A run that lives
holds a lock on its journal, which the kernel takes away with it, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness.devices import durable
from harness.errors import LabError, UsageError
from harness.model.reach import Connection

THROUGH = ("local", "linux", "ios")


@dataclass(frozen=True, slots=True)
class Undo:
    """How one change, or several made together, is undone. All of it may be done twice.

    `what`: sentences for people. `through` is one of THROUGH: "local" runs `commands`, argument lists, on this machine (nothing
    where `unless`, a command, succeeds: then it is undone already); "linux" runs `script` by bash on the device; "ios" brings
    its configuration back to `script`, the one that was saved, where there is one, and has `commands` done in its privileged mode:
    `became` is what the change has made of it, in seconds since the epoch at `became_at`, so that what somebody else changes later
    is told from it; with neither, lines of `by_hand` that begin with `no` are typed where there is what they take away. `at` is
    how the device was reached, without secrets. `harmless`: what is to be undone lies beside what the device is, and in no other
    run's way.
    """

    what: tuple[str, ...]
    through: str = "local"
    device: str | None = None
    at: Mapping[str, Any] | None = None
    commands: tuple[tuple[str, ...], ...] = ()
    unless: tuple[str, ...] = ()
    script: str = ""
    by_hand: str = ""  # commands to type on the device, where they are not `script` itself
    harmless: bool = False
    became: str = ""
    became_at: float = 0.0

    def __post_init__(self) -> None:
        if self.through not in THROUGH:
            raise ValueError(f"no way {self.through!r} to undo anything")


def reached(connection: Connection) -> dict[str, Any]:
    """A connection as the journal keeps it: without secrets."""
    names = ("device", "host", "port", "username", "protocol", "key_file", "known_hosts")
    kept: dict[str, Any] = {name: getattr(connection, name) for name in names}
    if connection.old_ssh:
        kept["old_ssh"] = True
    return kept if connection.jump is None else {**kept, "jump": reached(connection.jump)}


def directory() -> Path:
    """Where journals are kept unless the caller says otherwise."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "natstorm" / "restore"


class Journal:
    """A run's own. `before` each change; `done` when it is undone; `close` at the end. UsageError where it cannot be written."""

    def __init__(self, path: Path, handle: int, last: int = 0) -> None:
        self.path = path
        self._handle = handle
        self._last = last
        self._open: dict[int, Undo] = {}
        self._stays = False

    @classmethod
    def create(cls, testbed: str, file: str, where: Path | None = None) -> Journal:
        """For a run on the testbed of that name, read from that file."""
        folder = where or directory()
        name = f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', testbed)}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(3).hex()}"
        path = folder / f"{name}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, durable.APPENDING | os.O_EXCL, durable.MODE)
            fcntl.flock(handle, fcntl.LOCK_EX)
            durable.keep_name(folder)
        except OSError as error:
            cure = "set XDG_STATE_HOME to a directory that this user can write"
            raise UsageError(f"no restore journal can be kept: {error.strerror}", file=str(path), cure=cure) from error
        journal = cls(path, handle)
        pid = os.getpid()
        journal._write(
            {"kind": "run", "testbed": testbed, "file": os.path.abspath(file), "pid": pid, "began": began(pid), "t": time.time()}
        )
        return journal

    @property
    def open(self) -> tuple[tuple[int, Undo], ...]:
        """What is not undone yet, in the order in which it was done."""
        return tuple(self._open.items())

    def before(self, undo: Undo) -> int:
        """To be called before the change. It is on disk when this returns; the number is for `done`."""
        self._last += 1
        self._write({"kind": "undo", "number": self._last, **asdict(undo)})
        self._open[self._last] = undo
        return self._last

    def done(self, number: int) -> None:
        self._write({"kind": "done", "number": number})
        self._open.pop(number, None)

    def close(self) -> None:
        """Where all is undone the file goes; else it stays for `natstorm restore`. Safe twice."""
        if self._handle >= 0:
            if not self._open and not self._stays:
                self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1

    def _write(self, entry: Mapping[str, Any]) -> None:
        try:
            durable.append(self._handle, entry)
        except OSError as error:
            cure = "make room there; nothing was changed that is not in it"
            raise LabError("write the restore journal", f"{self.path}: {error.strerror}", cure) from error


@dataclass(frozen=True, slots=True)
class Kept:
    """A journal as it was read. `open` are the undos that are not done, in the order of the changes; `alive`: its run lives;
    `problems`: what of the file is not understood, a sentence each. Such a file is never removed."""

    path: Path
    testbed: str
    file: str
    pid: int
    began: int
    t: float
    open: tuple[tuple[int, Undo], ...]
    alive: bool
    problems: tuple[str, ...] = ()


def read(path: Path) -> Kept | None:
    """None where the file is there no more. A line that was cut off is none: the change that it announces was never made. What is
    whole and not understood, as of a later version, is among the `problems`, and the rest counts all the same."""
    undos: dict[int, Undo] = {}
    header: dict[str, Any] = {"testbed": "?", "file": "", "pid": 0, "began": 0, "t": 0.0}
    problems: list[str] = []
    alive = False
    try:
        header["t"] = path.stat().st_mtime
        for number, entry in durable.lines(path):
            try:
                _take(entry, header, undos)
            except (ValueError, KeyError, TypeError, AttributeError):
                problems.append(f"line {number} is none of a restore journal")
        alive = _locked(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        problems.append(f"it cannot be read: {error.strerror}")
    return Kept(path, open=tuple(undos.items()), alive=alive, problems=tuple(problems), **header)


def _take(entry: dict[str, Any], header: dict[str, Any], undos: dict[int, Undo]) -> None:
    """Puts what a line says into the two. ValueError, KeyError, TypeError or AttributeError where it is not understood."""
    kind = entry.pop("kind")
    if kind == "run":
        for key, default in header.items():
            header[key] = type(default)(entry[key])
    elif kind == "undo":
        number = int(entry.pop("number"))
        undos[number] = _undo(entry)
    elif kind == "done":
        undos.pop(int(entry["number"]), None)
    else:
        raise ValueError(kind)


def kept(where: Path | None = None) -> list[Kept]:
    """The journals that are there, the latest first: what was changed last is undone first."""
    found = [one for path in (where or directory()).glob("*.jsonl") if (one := read(path)) is not None]
    return sorted(found, key=lambda one: one.t, reverse=True)


def left_changed(
    connections: Iterable[Connection], file: str, where: Path | None = None, tell: Callable[[str], None] | None = None
) -> tuple[tuple[str, Kept], ...]:
    """What runs that were killed have left changed of these devices, whatever a testbed calls them, and of this machine for the
    testbed of that file: (name, journal), the latest first. A journal of that testbed that is not understood counts; of any other
    `tell` hears."""
    names = {_place(reached(one)): one.device for one in connections}
    found: dict[tuple[str, Path], Kept] = {}
    for one in kept(where):
        if one.alive:
            continue
        same = one.file == os.path.abspath(file)
        if one.problems and same:
            found.setdefault(("something that is not understood", one.path), one)
        elif one.problems and tell is not None:
            tell(f"restore journal {one.path}: {'; '.join(one.problems)}")
        for undo in (undo for _, undo in one.open if not undo.harmless):
            if undo.at is not None and (place := _place(undo.at)) in names:
                found.setdefault((names[place], one.path), one)
            elif undo.at is None and same:
                found.setdefault((undo.device or "this machine", one.path), one)
    return tuple((name, one) for (name, _), one in found.items())


def _place(at: Mapping[str, Any]) -> tuple[Any, ...]:
    """By what a device is the same one: address and port, and what is gone through on the way."""
    return (str(at["host"]).lower(), at["port"], *(_place(at["jump"]) if at.get("jump") else ()))


def reopen(journal: Kept) -> Journal:
    """To undo what is open: takes the lock where it is free."""
    handle = os.open(journal.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    with suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    found = Journal(journal.path, handle, max((number for number, _ in journal.open), default=0))
    found._open = dict(journal.open)
    found._stays = bool(journal.problems)
    return found


def began(pid: int) -> int:
    """When a process began, in the kernel's ticks since boot; 0 where there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _undo(entry: Mapping[str, Any]) -> Undo:
    undo = Undo(**entry)
    commands = tuple(tuple(command) for command in undo.commands)
    if undo.at is not None:
        _place(undo.at)
    return replace(undo, what=tuple(undo.what), commands=commands, unless=tuple(undo.unless))


def _locked(path: Path) -> bool:
    """Whether somebody who lives holds the journal."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
