"""CPU time of one marked packet sent and answered through a whole client, and of one journal line beside a bare write()."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from benchmarks.set_up import connect, responder
from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal
from harness.clients.transport import Transport, open_ports
from harness.errors import NatstormError
from harness.model import RecordKind

CLIENTS = 10
RATE = 100.0  # marks a second and client


def marks(seconds: float, personality: str, group: str, encryption: str) -> tuple[float, int]:
    """Microseconds of CPU a mark sent and answered (sizes spread from 64 bytes to the MTU, journalled), and how many there were."""

    async def play() -> tuple[float, int]:
        with tempfile.TemporaryDirectory() as folder, Journal(Path(folder), RunClock.fix()) as journal:
            async with Fleet(carriers=[Transport(open_ports())], journal=journal) as fleet:
                await connect(fleet, range(1, CLIENTS + 1), personality)
                clients = list(fleet.clients.values())
                before = time.process_time()
                for client in clients:
                    client.send_marks(RATE)
                await fleet.until(lambda _: False, seconds)
                for client in clients:
                    client.stop_marks()
                await fleet.until(lambda _: not any(client.flow.unanswered for client in clients), 10)
                spent = time.process_time() - before
                answered = sum(client.count(RecordKind.MARK_ANSWERED) for client in clients)
                if answered != sum(client.flow.sent for client in clients):
                    raise NatstormError("marks were lost on loopback")
                return spent * 1e6 / answered, answered

    with responder(group, encryption):
        return asyncio.run(play())


def journal_line(lines: int) -> tuple[float, float]:
    """Microseconds of CPU a journal line, and of a write() of the same bytes."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder), RunClock.fix()) as journal:
        before = time.process_time()
        for sequence in range(lines):
            journal.write(sequence / 100, "c1", RecordKind.MARK_ANSWERED, {"sequence": sequence, "size": 64, "took": 0.001234})
        ours = time.process_time() - before
        line = (Path(folder) / "records.jsonl").read_bytes().splitlines(keepends=True)[-1]
        file = os.open(Path(folder) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        before = time.process_time()
        for _ in range(lines):
            os.write(file, line)
        bare = time.process_time() - before
        os.close(file)
    return ours * 1e6 / lines, bare * 1e6 / lines
