"""The keeper: the process inside an enclosure that holds a lab up for `natstorm lab`, and answers the commands about it.

Requests, one JSON object a line: {"do": "status"}, {"do": "down"}, {"do": "enter", "node"} (answered with file descriptors of the
namespaces), {"do": "capture", "link"} (with that of a packet socket), {"do": "link", "link", "up"}, {"do": "execute", "command"}
and {"do": "shell", "rows", "columns"} for the gateway. A shell's connection carries on with {"type": base64}, {"rows", "columns"}
from the command, {"output"} and {"status"} from here.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import LabError, NatstormError
from harness.lab import control, launcher, link_capture
from harness.lab.cables import Cable, named
from harness.lab.gateways import UmlGateway, gateway_of
from harness.lab.namespaces import NETNS_DIRECTORY
from harness.lab.software import Lab
from harness.model.testbed import Testbed

SCRATCH = Path("/tmp/natstorm-lab")
LOG = Path("/tmp/natstorm-lab.log")
NAMESPACES = ("user", "mnt", "pid")
"""What a shell enters besides its node's network namespace, in this order."""


def main(arguments: Sequence[str]) -> None:
    """`arguments`: the variant ("" for the default), the listening socket's and the report pipe's descriptors.

    The testbed comes pickled on standard input, from the command that started this process.
    """
    variant, listener, report = arguments
    testbed: Testbed = pickle.load(sys.stdin.buffer)
    sys.exit(asyncio.run(Keeper(int(listener), int(report)).run(testbed, variant or None)))


class Keeper:
    def __init__(self, listener: int, report: int) -> None:
        self._listener = socket.socket(fileno=listener)
        self._report = os.fdopen(report, "w", encoding="utf-8")
        self._lab: Lab | None = None
        self._since = time.time()
        self._over = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self, testbed: Testbed, variant: str | None) -> int:
        """Brings the lab up, holds it until told otherwise, takes it down; 0, or 3 where it did not come up."""
        _to_log()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._over.set)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._over.set)
        try:
            lab = await self._bring_up(testbed, variant)
        except NatstormError as error:
            self._tell({"failed": _told(error, "bring the lab up")})
            return 3
        self._lab = lab
        serving = asyncio.create_task(self._serve())
        try:
            self._tell({"ready": self.status()})
            self._report.close()
            await self._over.wait()
        except BrokenPipeError:
            print("the command that asked for this lab is gone", file=sys.stderr, flush=True)
            return 3
        finally:
            serving.cancel()
            await lab.down()
        return 0

    async def _bring_up(self, testbed: Testbed, variant: str | None) -> Lab:
        lab = Lab(testbed, SCRATCH, gateway_of, tell=lambda step: self._tell({"step": step}))
        coming = asyncio.create_task(lab.up(variant))
        stopped = asyncio.create_task(self._over.wait())
        await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
            raise LabError("bring the lab up", "told to stop")
        coming.result()
        return lab

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._report.write(json.dumps(message) + "\n")
            self._report.flush()
        except (BrokenPipeError, ValueError):
            # Nobody listens any more: the command was killed. A lab that nobody asked for must not stay.
            self._over.set()

    # --- requests ---

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener.setblocking(False)
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            if control.peer_uid(connection) != os.geteuid():
                connection.close()
                continue
            task = asyncio.create_task(self._answer(connection))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        try:
            while line := await reader.readline():
                request = json.loads(line)
                try:
                    if request["do"] == "enter":
                        self._hand_over(request["node"], connection)
                    elif request["do"] == "capture":
                        with link_capture.tap(self._cable(request["link"])) as packets:
                            control.send_with_fds(connection, {"capturing": request["link"]}, [packets.fileno()])
                    else:
                        await self._carry_out(request, reader, writer)
                except NatstormError as error:
                    _send(writer, {"error": _told(error, request["do"])})
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the command went away in the middle; nothing here depends on it
        finally:
            writer.close()

    async def _carry_out(self, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match request["do"]:
            case "status":
                _send(writer, self.status())
            case "down":
                _send(writer, {"going": True})
                self._over.set()
            case "link":
                cable = self._cable(request["link"])
                if request["up"]:
                    cable.mend()
                else:
                    cable.cut()
                _send(writer, {"up": cable.up})
            case "execute":
                result = await self._guest().execute(request["command"], timeout=600.0)
                _send(writer, {"output": result.output, "status": result.status})
            case "shell":
                await self._shell(request["rows"], request["columns"], reader, writer)
            case other:
                cure = "the keeper is of another version: natstorm lab down"
                raise LabError("answer a request", f"unknown request {other!r}", cure)

    def _held(self) -> Lab:
        if self._lab is None:
            raise LabError("answer a request", "the lab is still coming up", "wait for `natstorm lab up` to end")
        return self._lab

    def _cable(self, name: str) -> Cable:
        return named(self._held().topology.cables, name)

    def _guest(self) -> UmlGateway:
        gateway = self._held().gateway
        if not isinstance(gateway, UmlGateway):
            cure = "natstorm lab shell gateway enters its node"
            raise LabError("run a command on the gateway", "it is a process, not a machine", cure)
        return gateway

    def status(self) -> dict[str, Any]:
        lab = self._held()
        testbed = lab.testbed
        attachment = lab.topology.attachment
        host = testbed.gateway.end_host
        behind = [] if host is None else [{"node": "host", "addresses": [f"{host.name} {host.address}"], "about": "the end host"}]
        return {
            "testbed": testbed.name,
            "file": os.path.abspath(testbed.file),
            "variant": lab.variant,
            "since": self._since,
            "launcher": int(os.environ[launcher.LAUNCHER]),
            "nodes": [
                {
                    "node": "clients",
                    "addresses": [f"{testbed.clients.interface.name} {testbed.clients.interface.address}"],
                    "about": f"clients {testbed.clients.prefix} from {testbed.clients.first}",
                },
                {
                    "node": "nat",
                    "addresses": [f"{port.name} {port.address}" for port in (testbed.nat.inside, testbed.nat.outside)],
                    "about": f"masquerade to ports {testbed.nat.first_port}-{testbed.nat.last_port}",
                },
                {
                    "node": "wan",
                    "addresses": [],
                    "about": "" if attachment is None else f"a switch; the gateway is on {attachment.kind} {attachment.interface}",
                },
                {
                    "node": "gateway",
                    "addresses": [f"{testbed.gateway.interface.name} {testbed.gateway.interface.address}"],
                    "about": f"{lab.variant}, {'running' if lab.gateway.running else 'DEAD'}",
                },
                *behind,
            ],
            "namespaces": [one.name for one in lab.topology.nodes],
            "in_guest": testbed.gateway.in_guest,
            "gateway_running": lab.gateway.running,
            "links": [
                {"link": one.name, "ends": [[plug.node, plug.interface] for plug in one.ends], "up": one.up}
                for one in lab.topology.cables
            ],
            "mappings": [asdict(mapping) for mapping in lab.nat.mappings()],
            "took": {step: round(seconds, 3) for step, seconds in lab.took.items()},
        }

    def _hand_over(self, node: str, connection: socket.socket) -> None:
        known = [one.name for one in self._held().topology.nodes]
        if node not in known:
            raise LabError(f"enter {node}", "there is no node of that name", f"one of {', '.join(known)}")
        paths = [Path("/proc/self/ns", kind) for kind in NAMESPACES] + [NETNS_DIRECTORY / node]
        handles = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in paths]
        try:
            # Past the writer, which knows no descriptors; whatever went through it before has been drained.
            control.send_with_fds(connection, {"mark": os.environ[launcher.MARK]}, handles)
        finally:
            for handle in handles:
                os.close(handle)

    async def _shell(self, rows: int, columns: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        job = self._guest().shell(rows, columns)
        job.on_output = lambda text: _send(writer, {"output": text})
        ended = asyncio.create_task(job.wait())
        line = asyncio.create_task(reader.readline())
        try:
            while not ended.done():
                await asyncio.wait({ended, line}, return_when=asyncio.FIRST_COMPLETED)
                if line.done():
                    said = line.result()
                    if not said:
                        job.signal(signal.SIGHUP)
                        return
                    message = json.loads(said)
                    if "type" in message:
                        job.type(base64.b64decode(message["type"]))
                    else:
                        job.resize(message["rows"], message["columns"])
                    line = asyncio.create_task(reader.readline())
            _send(writer, {"status": ended.result().status})
        finally:
            line.cancel()
            ended.cancel()


def _told(error: NatstormError, step: str) -> dict[str, str | None]:
    """A LabError's parts, for the command to raise it again; of another error, one in `step`."""
    known = error if isinstance(error, LabError) else LabError(step, str(error))
    return {"step": known.step, "seen": known.seen, "cure": known.cure}


def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")


def _to_log() -> None:
    """The caller's terminal is not ours to keep: output goes to a file on the enclosure's tmpfs."""
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
