"""Locks on devices: two jobs never share a router, whatever their testbeds call it.

One file a device in a directory that all jobs see, JSON with `device`, `owner` (user@host), `pid`, `purpose`, `since`, `expires`
(UTC). All locks of a set are taken at once or none is. A lock ends when it is released, when it expires without being renewed, or
when its owner is seen to be gone: no process of this boot and PID namespace has that number and start time any more. An owner
elsewhere (another machine, another container) cannot be looked at: its lock ends by expiry alone, so clocks have to agree to
within the time that a lock lasts.

Reading and writing go on below a `flock` on the directory's guard file, held for milliseconds; a file is replaced by rename, so
that a writer that was killed leaves the old text or the new.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from harness.errors import LabError

LASTS_S = 600.0
"""How long a lock outlives its last renewal. The heartbeat renews three times as often."""
SHARED = Path("/var/lock/natstorm")
_GUARD = ".guard"


@dataclass(frozen=True, slots=True)
class Holder:
    """What a lock file says. `since` and `expires` are seconds since the epoch; `where` is the boot and PID namespace in which
    `pid` and `started` (clock ticks after boot) mean something; `token` is this one holding's own."""

    device: str
    owner: str
    pid: int
    started: int
    where: str
    purpose: str
    since: float
    expires: float
    token: str

    def __str__(self) -> str:
        return f"{self.owner} (process {self.pid}) since {_utc(self.since)}, for {self.purpose!r}, until {_utc(self.expires)}"

    def over(self, now: float) -> str | None:
        """Why this lock no longer counts; None while it does."""
        if now >= self.expires:
            return f"it expired at {_utc(self.expires)}"
        if self.where == here() and start_time(self.pid) != self.started:
            return f"process {self.pid} is gone"
        return None


class Lock:
    """A set of devices, by what identifies them for everybody (an address, not a testbed's name).

    `clock` gives seconds since the epoch. As a context manager: acquired, renewed by a thread, released.
    """

    def __init__(
        self,
        devices: Sequence[str],
        purpose: str,
        directory: Path | None = None,
        *,
        lasts_s: float = LASTS_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not devices:
            raise ValueError("a lock on no device")
        self.devices = tuple(sorted(set(devices)))
        self.purpose = purpose
        self.directory = directory or default_directory()
        self.lasts_s = lasts_s
        self.lost: LabError | None = None
        """Set once a heartbeat found that the lock had been lost."""
        self._clock = clock
        self._token = uuid.uuid4().hex
        self._held: tuple[Holder, ...] = ()
        self._end = threading.Event()
        self._heart: threading.Thread | None = None

    @property
    def held(self) -> bool:
        return bool(self._held)

    def acquire(self) -> tuple[str, ...]:
        """Takes all of them. Returns a sentence for each lock that was taken over because it was over.

        Raises LabError, and holds none, where somebody else holds one: it names owner, purpose and expiry."""
        with self._guarded():
            now = self._clock()
            notes = []
            self.lost = None
            for device in self.devices:
                holder = self._read(device)
                if holder is None or holder.token == self._token:
                    continue
                why = holder.over(now)
                if why is None:
                    seen = f"it is held by {holder}"
                    cure = "wait until it is released, or ask its owner; a lock that nobody renews expires by itself"
                    raise LabError(f"lock {device}", seen, cure)
                notes.append(f"the lock on {device} was taken over from {holder}: {why}")
            where, pid = here(), os.getpid()
            self._held = tuple(
                Holder(
                    device,
                    f"{user()}@{socket.gethostname()}",
                    pid,
                    start_time(pid) or 0,
                    where,
                    self.purpose,
                    now,
                    now + self.lasts_s,
                    self._token,
                )
                for device in self.devices
            )
            try:
                for holder in self._held:
                    self._write(holder)
            except OSError:
                self._remove()
                raise
            return tuple(notes)

    def renew(self) -> None:
        """They last from now on. Raises LabError, with who has it now, where the lock was lost meanwhile: this process stood still
        for longer than it lasts."""
        with self._guarded():
            now = self._clock()
            for device in self.devices:
                holder = self._read(device)
                if holder is None or holder.token != self._token:
                    seen = f"it is held by {holder}" if holder else "its file is gone"
                    self.lost = LabError(f"keep the lock on {device}", f"it was lost: {seen}", "stop, and begin anew")
                    raise self.lost
            self._held = tuple(_renewed(holder, now + self.lasts_s) for holder in self._held)
            for holder in self._held:
                self._write(holder)

    def release(self) -> None:
        """Those that are still ours are free again. Safe twice."""
        self._end.set()
        if self._heart is not None and self._heart is not threading.current_thread():
            self._heart.join()
            self._heart = None
        if self._held:
            with self._guarded():
                self._remove()

    def beat(self, wait: Callable[[float], bool] | None = None) -> None:
        """Renews from a thread, until released. `wait(seconds)` returns True when it is time to end."""
        self._end.clear()
        self._heart = threading.Thread(target=self._beats, args=(wait or self._end.wait,), name="natstorm-lock", daemon=True)
        self._heart.start()

    def _beats(self, wait: Callable[[float], bool]) -> None:
        while not wait(self.lasts_s / 3):
            try:
                self.renew()
            except LabError as error:  # a directory that cannot be written just now is tried again, while the lock lasts
                if self._clock() >= min(holder.expires for holder in self._held):
                    self.lost = error
                if self.lost is not None:
                    return

    def __enter__(self) -> Lock:
        self.acquire()
        self.beat()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    # --- files ---

    def _remove(self) -> None:
        for holder in self._held:
            found = self._read(holder.device)
            if found is not None and found.token == self._token:
                self._file(holder.device).unlink(missing_ok=True)
        self._held = ()

    def _file(self, device: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", device).strip("-.")[:40]
        return self.directory / f"{readable}-{hashlib.sha256(device.encode()).hexdigest()[:12]}.json"

    def _read(self, device: str) -> Holder | None:
        file = self._file(device)
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            holder = Holder(**found | {key: _epoch(found[key]) for key in ("since", "expires")})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            cure = f"where no run uses {device}: rm {file}"
            raise LabError(f"lock {device}", f"{file} cannot be understood ({error})", cure) from error
        return holder

    def _write(self, holder: Holder) -> None:
        text = json.dumps(asdict(holder) | {"since": _utc(holder.since), "expires": _utc(holder.expires)}, indent=1)
        file = self._file(holder.device)
        fresh = file.with_suffix(f".{self._token}")
        fresh.write_text(text + "\n", encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(file)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            _make(self.directory)
            guard = os.open(self.directory / _GUARD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            cure = "make it writable for all who share the devices, or set XDG_STATE_HOME to a place that is"
            raise LabError("lock the devices", f"{self.directory}: {error.strerror}", cure) from error
        try:
            with suppress(PermissionError):  # another user made it, and opened it to all
                os.fchmod(guard, 0o666)
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise LabError("lock the devices", f"{self.directory}: {error}", "look at the directory's rights and space") from error
        finally:
            os.close(guard)


def default_directory() -> Path:
    """$XDG_STATE_HOME/natstorm/locks where that is set; else one for all users of this machine."""
    state = os.environ.get("XDG_STATE_HOME")
    return Path(state) / "natstorm" / "locks" if state else SHARED


def here() -> str:
    """In which boot of which kernel, and in which PID namespace, this process has its number."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def start_time(pid: int) -> int | None:
    """When the process began, in clock ticks after boot; None where there is none of that number, or a dead one only."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may hold anything; then state, ppid, …
    return None if fields[0] in "ZX" else int(fields[19])


def _make(directory: Path) -> None:
    """Open to all, and not sticky: whoever takes over another user's lock has to replace its file."""
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        if directory == SHARED:
            directory.chmod(0o777)


def _renewed(holder: Holder, expires: float) -> Holder:
    return Holder(**asdict(holder) | {"expires": expires})


def user() -> str:
    """Who runs this, for the reader of a lock."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user that no file lists
        return str(os.geteuid())


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
