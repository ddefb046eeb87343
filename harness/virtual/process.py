"""The gateway as a process in its own namespace: sockets around the core, a clock, and orders from the run.

    natstorm-gateway --settings FILE --control DESCRIPTOR
    natstorm-gateway --settings - --control -          over SSH: the settings are the first line of its input, the orders follow

FILE is JSON, readable by its owner alone: "personality", "time_scale", "changes" (of the personality), "address", "psk", "users",
"ppp_address", "pool_first", "pool_last", "lan" (null, or "interface", "address" with or without its prefix length, "end_host"),
"events" (a path, for its events, one JSON object a line).

Orders come on the Unix socket DESCRIPTOR (`control`), or on the standard input; its end is the process's: it does not outlive the
run that started it.
SIGTERM ends it in order: tunnels are closed and SAs deleted, and the peers are told.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import resource
import signal
import socket
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from harness.errors import NatstormError
from harness.virtual import settings as personalities
from harness.virtual.control import Control, revealed
from harness.virtual.gateway import VirtualGateway
from harness.virtual.settings import Settings
from harness.virtual.sockets import Lan, Wire
from harness.virtual.witness import Witness

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
STANDARD = "-"
LOG_KEPT = 1 << 20
"""Bytes of the end of the log that `logs` gives."""


class Line(Protocol):
    """Where orders come from and answers go: a socket, or the two ends of a pipe."""

    def fileno(self) -> int: ...

    def recv(self, size: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...

    def setblocking(self, flag: bool, /) -> None: ...


class Pipes:
    """The standard input and output as one line."""

    def fileno(self) -> int:
        return sys.stdin.fileno()

    def recv(self, size: int, /) -> bytes:
        return os.read(self.fileno(), size)

    def sendall(self, data: bytes, /) -> None:
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]

    def setblocking(self, flag: bool, /) -> None:
        for descriptor in (self.fileno(), sys.stdout.fileno()):
            os.set_blocking(descriptor, flag)


class GatewayProcess:
    """Inside a running event loop. `over` is set once all is done."""

    def __init__(self, plan: dict[str, Any], control: Line) -> None:
        self._loop = asyncio.get_running_loop()
        self._offset = time.time() - time.monotonic()
        self.gateway = VirtualGateway(settings_of(plan), os.urandom, witnessed=False)
        self.over = asyncio.Event()
        self._wire = Wire(plan["address"])
        lan = plan["lan"]
        self._lan = None if lan is None else Lan(lan["interface"], lan["address"].partition("/")[0], lan["end_host"])
        self._events_path = Path(plan["events"])
        self._events = self._events_path.open("a", encoding="utf-8")
        self._told = 0  # bytes of it that `events` has given
        self._witness: Witness | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed: float | None = None
        self._leaving = False
        self._control = control
        self._orders = Control(self)
        control.setblocking(False)
        self._loop.add_reader(control, self._ordered)
        for descriptor, port in self._wire.filenos().items():
            self._loop.add_reader(descriptor, self._arrived, port)
        if self._lan is not None:
            self._loop.add_reader(self._lan.incoming, self._from_lan, self._lan)
            self._loop.add_reader(self._lan.arp, self._lan.read_arp)
        self._loop.add_signal_handler(signal.SIGTERM, self.leave)

    # Time

    def now(self) -> float:
        return time.monotonic()

    def epoch(self, now: float) -> float:
        return now + self._offset

    def _due(self) -> None:
        self._timer = self._armed = None
        self.gateway.tick(self.now())
        self._flush()

    def _arm(self) -> None:
        due = self.gateway.deadline
        if due is None or (self._armed is not None and self._armed <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed = due
        self._timer = self._loop.call_later(max(0.0, due - self.now()), self._due)

    # Packets

    def _arrived(self, port: int) -> None:
        gateway, clock = self.gateway, time.monotonic
        for packet in self._wire.read(port):
            gateway.receive(clock(), packet)
        self._flush()

    def _from_lan(self, lan: Lan) -> None:
        for packet in lan.read():
            self.gateway.receive_lan(self.now(), packet)
        self._flush()

    def _flush(self) -> None:
        gateway = self.gateway
        for packet in gateway.take_packets():
            self._wire.send(packet)
        for data in gateway.take_lan():
            if self._lan is not None:
                self._lan.send(data)
        for tap in gateway.take_taps():
            if self._witness is not None:
                self._witness.see(self.epoch(tap.t), tap)
        events = gateway.take_events()
        if events:
            rows = (asdict(event) | {"t": self.epoch(event.t)} for event in events)
            self._events.write("".join(json.dumps(row) + "\n" for row in rows))
        self._arm()
        if self._leaving and gateway.ended:
            self.over.set()

    # Orders

    def _ordered(self) -> None:
        try:
            heard = self._control.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:
            self.over.set()
            return
        self._flush()
        answer = self._orders.answer(heard)
        self._flush()
        self._control.setblocking(True)  # the run reads its answers at once
        try:
            self._control.sendall(answer)
        finally:
            self._control.setblocking(False)

    def leave(self) -> None:
        """The orderly end."""
        self._leaving = True
        self.gateway.shut_down(self.now())
        self._flush()

    def events(self) -> list[dict[str, Any]]:
        self._events.flush()
        with self._events_path.open(encoding="utf-8") as file:
            file.seek(self._told)
            rows = [json.loads(line) for line in file.readlines()]
            self._told = file.tell()
        return rows

    def logs(self) -> dict[str, str]:
        self._events.flush()
        with self._events_path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_KEPT))
            return {"gateway": file.read().decode("utf-8", "replace")}

    def stats(self) -> dict[str, Any]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "wire": dict(self._wire.counters),
            "lan": {} if self._lan is None else dict(self._lan.counters),
            "dropped": self.gateway.journal.dropped,
            "refused": self.gateway.journal.refused,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_kib": usage.ru_maxrss,
            "associations": len(self.gateway.ipsec.associations),
            "tunnels": len(self.gateway.lns.tunnels),
        }

    def start_witnesses(self, folder: Path) -> None:
        self._witness = Witness(folder, translated=self.gateway.settings.personality.demux)
        self.gateway.journal.witnessed = True

    def stop_witnesses(self) -> list[Any]:
        witness, self._witness = self._witness, None
        self.gateway.journal.witnessed = False
        return [] if witness is None else witness.close()

    def close(self) -> None:
        self._wire.close()
        if self._lan is not None:
            self._lan.close()
        if self._witness is not None:
            self._witness.close()
        self._events.close()


def settings_of(plan: dict[str, Any]) -> Settings:
    personality = personalities.load(plan["personality"])
    if plan["time_scale"] != 1.0:
        personality = personality.scaled(plan["time_scale"])
    own = {name: plan[name] for name in ("address", "psk", "users", "ppp_address", "pool_first", "pool_last")}
    return Settings(personality, **revealed(own)).changed(**revealed(plan["changes"]))


async def serve(plan: dict[str, Any], control: Line) -> None:
    process = GatewayProcess(plan, control)
    control.setblocking(True)
    control.sendall(b'{"done": "ready"}\n')
    control.setblocking(False)
    try:
        await process.over.wait()
    finally:
        process.close()


def _plan(settings: str) -> dict[str, Any]:
    # Byte by byte: what follows the line are orders, and a buffer of Python's would keep them.
    text = b"".join(iter(lambda: os.read(0, 1).replace(b"\n", b""), b"")) if settings == STANDARD else Path(settings).read_bytes()
    found: dict[str, Any] = json.loads(text)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="natstorm-gateway", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--settings", metavar="FILE", required=True)
    parser.add_argument("--control", metavar="DESCRIPTOR", required=True)
    given = parser.parse_args(arguments)
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    prctl(_PR_SET_NAME, ctypes.c_char_p(b"natstorm-gw"))
    control: Line = Pipes() if given.control == STANDARD else socket.socket(fileno=int(given.control))
    try:
        asyncio.run(serve(_plan(given.settings), control))
    except (NatstormError, OSError, ValueError, KeyError) as error:
        control.setblocking(True)
        control.sendall(json.dumps({"wrong": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
