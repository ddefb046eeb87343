"""The harness's side of the dissector: a process that lives as long as the session and turns captures into observations.

    dissector = Dissector()             # starts the process; its start-up overlaps with whatever follows
    seen = dissector.dissect({Side.INSIDE: path, Side.OUTSIDE: path}, keys=path, addresses=Addresses(gateway, nat_outside, clients))
    seen[Side.INSIDE][0].kind
    dissector.close()                   # also a context manager

Blocking on purpose, so that it outlives any event loop; `dissect_async` hands the wait to a thread.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.errors import CaptureError
from harness.model import ClockOffset, FrameKind, Inner, Mark, Observation, Side

SHORT = 16  # characters: addresses, names, SPIs and cookies, but no digests


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who is who. `clients` maps a client's name, as in the key file, to its address inside."""

    gateway: str
    nat_outside: str
    clients: Mapping[str, str] = field(default_factory=dict)


class Dissection(dict[Side, tuple[Observation, ...]]):
    """Observations by side. `damaged` names the captures whose file ends early, and where: the frames before that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: dict[Side, str] = {}


class Dissector:
    """One process, any number of requests, one at a time; a second caller waits. After a crash the next request starts another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "harness.probes.dissector"]
        root = str(Path(__file__).resolve().parents[2])
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, cwd=root)

    def dissect(
        self,
        captures: Mapping[Side, Path | str],
        *,
        keys: Path | str | None = None,
        addresses: Addresses | None = None,
        decrypted: Path | str | None = None,
        decrypted_side: Side = Side.INSIDE,
        clock: ClockOffset | None = None,
        null_esp: bool = False,
        timeout: float = 600.0,
    ) -> Dissection:
        """Every frame of every capture, by side and in file order.

        `keys` is the run's keys.jsonl. `decrypted` is where the copy of `decrypted_side` that needs no keys is written.
        `clock`: how much later the outside's clock is; both sides are then read in the order in which things happened. `null_esp`:
        ESP for which there is no key is read as one of null encryption (RFC 2410), where it makes sense as such.
        CaptureError where a file cannot be read, the dissector dies (with its last words), or `timeout` seconds pass.
        """
        request: dict[str, Any] = {
            "captures": {side.value: str(Path(path).absolute()) for side, path in captures.items()},
            "keys": None if keys is None else str(Path(keys).absolute()),
            "decrypted": None if decrypted is None else str(Path(decrypted).absolute()),
            "decrypted_side": decrypted_side.value,
            "null_esp": null_esp,
        }
        if clock is not None and clock.corrected:
            shift = [round(clock.offset_s * 1e9), round(clock.drift_ppm * 1000), round(clock.at * 1e9)]
            request["shifts"] = {Side.OUTSIDE.value: shift}
        if addresses is not None:
            request["addresses"] = {
                "gateway": addresses.gateway,
                "nat_outside": addresses.nat_outside,
                "clients": dict(addresses.clients),
            }
        with self._lock:
            return self._ask(request, timeout)

    async def dissect_async(self, captures: Mapping[Side, Path | str], **options: Any) -> Dissection:
        """`dissect` without blocking the event loop; the same arguments."""
        return await asyncio.to_thread(self.dissect, captures, **options)

    def _ask(self, request: dict[str, Any], timeout: float) -> Dissection:
        if self._process.poll() is not None:
            self._discard()
            self._process = self._start()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def expire() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout, expire)
        timer.start()
        found: dict[Side, list[Observation]] = {Side(side): [] for side in request["captures"]}
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                answer = json.loads(line, object_pairs_hook=_shared)
                if "frame" in answer:
                    seen = observation(answer)
                    found[seen.side].append(seen)
                elif "error" in answer:
                    raise CaptureError(f"the capture cannot be read: {answer['error']}")
                elif "done" in answer:
                    return self._gather(found, answer["damaged"])
        except BrokenPipeError:
            pass  # it died before it read the request: told below, with its last words
        except ValueError:
            process.kill()  # half a line, cut off by its death; or a line that no dissector of ours writes
        finally:
            timer.cancel()
        status = process.wait(timeout=10)
        why = f"took longer than {timeout:g} s" if late.is_set() else f"died with status {status}"
        raise CaptureError(f"the dissector {why}{self._last_words()}")

    @staticmethod
    def _gather(found: dict[Side, list[Observation]], damaged: dict[str, str]) -> Dissection:
        dissection = Dissection()
        dissection.update({side: tuple(seen) for side, seen in found.items()})
        dissection.damaged = {Side(side): why for side, why in damaged.items()}
        return dissection

    def _last_words(self) -> str:
        self._stderr.seek(0)
        words = self._stderr.read().decode("utf-8", "replace").strip()
        return f"; its last words:\n{words[-4000:]}" if words else ", without a word"

    def _discard(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue  # bytes for a process that is gone
        self._stderr.close()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115

    def close(self) -> None:
        """Ends the process: it leaves by itself when its input ends."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                self._process.kill()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._stderr.close()

    def __enter__(self) -> Dissector:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _shared(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys and short values are one string each, however many frames have them: less than half the memory."""
    return {sys.intern(k): sys.intern(v) if type(v) is str and len(v) <= SHORT else v for k, v in pairs}


def observation(line: Mapping[str, Any]) -> Observation:
    """One line of the dissector as the model's object."""
    fields = dict(line)
    fields["side"] = Side(fields["side"])
    fields["kind"] = FrameKind(fields["kind"])
    if fields.get("inner"):
        inner = dict(fields["inner"])
        inner["checksum_fits"] = tuple((src, dst) for src, dst in inner["checksum_fits"])
        inner["mark"] = _mark(inner["mark"])
        fields["inner"] = Inner(**inner)
    if "mark" in fields:
        fields["mark"] = _mark(fields["mark"])
    return Observation(**fields)


def _mark(mark: Mapping[str, Any] | None) -> Mark | None:
    return None if mark is None else Mark(**mark)
