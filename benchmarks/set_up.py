"""CPU time of one client's full set-up, from first datagram to PPP up: this side only, the responder is a process apart."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import enclosure
from benchmarks.responder import PASSWORD, PSK, USER
from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal
from harness.clients.transport import Transport, open_ports
from harness.errors import NatstormError
from harness.model import ClientPlan, RecordKind, Secret

AT_ONCE = 10  # clients that connect at the same time, as in a storm
PATIENCE_S = 60.0


@dataclass(frozen=True)
class SetUp:
    """Milliseconds of CPU (user and system, this process only) a set-up, and what one exchanged."""

    cpu_ms: float
    clients: int
    sent: float  # datagrams a client
    received: float


def plan(number: int, personality: str) -> ClientPlan:
    address = f"10.0.{number + 1 >> 8}.{number + 1 & 255}"
    return ClientPlan(number, address, enclosure.GATEWAY, Secret(PSK), USER, Secret(PASSWORD), personality)


@contextmanager
def responder(group: str, encryption: str) -> Iterator[None]:
    command = ["unshare", "--net", sys.executable, "-m", "benchmarks.responder", group, encryption]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        enclosure.link(int(process.stdout.readline()))
        process.stdin.write("linked\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            raise NatstormError("the responder did not start")
        yield
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=30)


async def connect(fleet: Fleet, numbers: range, personality: str) -> None:
    """All of `numbers` are up when it returns."""
    clients = [fleet.add(plan(number, personality)) for number in numbers]
    for start in range(0, len(clients), AT_ONCE):
        batch = clients[start : start + AT_ONCE]
        for client in batch:
            client.connect()
        if not await fleet.until(lambda _, batch=batch: all(client.up for client in batch), PATIENCE_S):  # type: ignore[misc]
            failed = [client.last.get(RecordKind.FAILED) for client in batch if not client.up]
            raise NatstormError(f"not all clients came up: {failed}")


Connect = Callable[[Fleet, range, str], Awaitable[None]]
"""Has the clients of these numbers and of that personality up when it returns."""


def measure(
    clients: int, personality: str, group: str, encryption: str, warm_up: int = 2 * AT_ONCE, connect: Connect = connect
) -> SetUp:
    async def play() -> SetUp:
        with tempfile.TemporaryDirectory() as folder, Journal(Path(folder), RunClock.fix()) as journal:
            async with Fleet(carriers=[Transport(open_ports())], journal=journal) as fleet:
                await connect(fleet, range(1, warm_up + 1), personality)
                counted = fleet.facts()
                before = time.process_time()
                await connect(fleet, range(warm_up + 1, warm_up + clients + 1), personality)
                spent = time.process_time() - before
                after = fleet.facts()
        sent, received = (after[name] - counted[name] for name in ("sent", "received"))
        return SetUp(spent * 1000 / clients, clients, sent / clients, received / clients)

    with responder(group, encryption):
        return asyncio.run(play())
