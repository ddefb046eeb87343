"""The virtual gateway's real sockets: its process in a lab, hostile frames straight onto its link, from anywhere and in anybody's
name, while a bystander's marks go through the kernel's NAT and have to be answered throughout.

    python -m fuzzing.sockets DATAGRAMS SEED

inside an enclosure; prints one JSON object. What is thrown depends on the run's own keys: it cannot be played again from the seed.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzzing import formats, memory
from fuzzing.corpus import MESSAGES
from fuzzing.ike import HostilePeer
from fuzzing.mutation import Mutator
from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal
from harness.clients.transport import Transport, open_ports
from harness.errors import NatstormError, ProtocolError
from harness.lab import enclosure
from harness.lab.topology import Topology
from harness.lab.virtual_gateway import VirtualNode
from harness.model import RecordKind
from harness.testbed.load import check
from harness.wire import ip
from harness.wire.l2tp import header
from harness.wire.packet import Packet, from_ip, to_ip

if TYPE_CHECKING:
    from fuzzing.crew import Order, Report
    from harness.clients.client import Client

RATE = 6000.0
"""Datagrams a second offered at most."""
ROUND = 1000
"""Between two looks at the bystander, the process's memory and its counters; in each the insider dials anew."""
OFFERED = 2
"""No more than so many times the datagrams that are to reach the gateway."""
PATIENCE_S = 20.0
ALL_PROTOCOLS, IPV4 = 3, b"\x08\x00"
PORT = "to-gw"
LAB_S, SLOWEST = 120.0, 200.0
"""To bring up and take down the lab; datagrams a second at the least, on a machine that has much else to do."""
COUNTERS = ("wire", "dropped", "refused", "peak_kib", "associations", "tunnels")
STRANGERS = ("203.0.113.9", "198.51.100.9")


def carry_out(order: Order, report: Report) -> None:
    """In an enclosure of its own."""
    from fuzzing.findings import Finding

    obstacle = enclosure.obstacle()
    if obstacle is not None:
        report.cannot = str(obstacle)
        return
    command = [sys.executable, "-m", "fuzzing.sockets", str(order.datagrams), str(order.seed)]
    patience_s = LAB_S + order.datagrams / SLOWEST
    try:
        done = subprocess.run(
            enclosure.command(command), cwd=enclosure.ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=patience_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        story = f"{order.datagrams} datagrams were not thrown within {patience_s:.0f} s\n{late.stderr or ''}"
        report.findings.append(Finding(order.target, order.seed, order.first, 0, "the lab or the process hangs", story, ()))
        return
    if done.returncode:
        story = f"status {done.returncode}:\n{done.stdout}\n{done.stderr}"
        report.findings.append(Finding(order.target, order.seed, order.first, 0, "the lab or the process failed", story, ()))
        return
    told = json.loads(done.stdout.splitlines()[-1])
    report.thrown, report.seconds, report.notes = told["thrown"], told["cpu_s"], told["notes"]
    if told["wrong"]:
        signature, story = told["wrong"], json.dumps(told["notes"], indent=1)
        report.findings.append(Finding(order.target, order.seed, order.first, report.thrown, signature, story, ()))


class Wrong(Exception):
    """What may not be."""


@dataclass
class Thrower:
    """A packet socket on the switch's port to the gateway: hears what goes by, and sends what it makes of it."""

    line: socket.socket
    hardware: bytes  # the gateway's
    address: str
    mutator: Mutator
    heard: deque[Packet] = field(default_factory=lambda: deque(maxlen=100))
    sent: int = 0
    unsent: int = 0

    def listen(self) -> None:
        for _ in range(50):
            try:
                frame = self.line.recv(0xFFFF)
            except BlockingIOError:
                return
            try:
                packet = from_ip(frame[14:]) if frame[12:14] == IPV4 else None
            except ProtocolError:
                continue
            if packet is not None and packet.dst == self.address:
                self.heard.append(packet)

    def throw(self, insider: Insider) -> None:
        choice, mutator = self.mutator.choice, self.mutator
        made = insider.make() if mutator.chance(0.4) else None
        if made is None:
            real = choice.choice(self.heard)
            data = real.payload
            match choice.randrange(10):
                case 0:
                    data = mutator.noise()
                case 1:
                    pass
                case _:
                    data = mutator.spoil(data, [choice.choice(self.heard).payload for _ in range(3)])
            src, sport = (real.src, real.sport) if mutator.chance(0.6) else (choice.choice(STRANGERS), choice.randrange(1, 65536))
            protocol = choice.choice((17,) * 10 + (50,))
            made = Packet(src, self.address, protocol, data[:1450], sport, choice.choice((real.dport,) * 6 + (500, 4500, 1701)))
        whole = to_ip(made)
        if mutator.chance(0.02):  # what the kernel below has to do with
            whole = mutator.spoil(whole)[:1500]
        try:
            self.line.send(self.hardware + b"\x02\0\0\0\0\x09" + IPV4 + whole)
        except BlockingIOError:
            self.unsent += 1
        self.sent += 1


class Insider:
    """A client who has come up like any other, and then seals what it likes."""

    def __init__(self, stack: Any, at: tuple[str, int], gateway: str, mutator: Mutator, messages: list[tuple[bool, bytes]]) -> None:
        self._stack, self._at, self._gateway, self._mutator, self._messages = stack, at, gateway, mutator, messages
        self._peer = HostilePeer(mutator)

    def make(self) -> Packet | None:
        ipsec, mutator, choice = self._stack._ipsec, self._mutator, self._mutator.choice
        if mutator.chance(0.2) and ipsec._ike._all.sas:
            sa = ipsec._ike._all.sas[-1]
            more = [(12, b"\0\0\0\1\3\4\0\1" + choice.randbytes(4))]
            data = bytes(4) + self._peer.sealed(sa.keys, sa.last_block, sa.cookies, more)
        elif ipsec.pairs:
            core = self._stack._l2tp
            tunnel, body = choice.choice(self._messages)
            message = header.build_control(core.tunnel_remote if tunnel else 0, 0, core._channel._first, core._channel._nr, body)
            payload = formats.l2tp(mutator, message, [message])
            datagram = ip.build_udp(bytes(4), bytes(4), 1701, 1701, payload, checksummed=False)
            data = ipsec.pairs[next(reversed(ipsec.pairs))][1].seal(17, datagram)
        else:
            return None
        return Packet(self._at[0], self._gateway, 17, data[:1450], self._at[1], 4500)


async def storm(datagrams: int, seed: int) -> dict[str, Any]:
    """As many rounds as it takes for `datagrams` hostile ones to reach the gateway's sockets; what did not reach them (no room in a
    queue, no datagram any more when it was spoiled) counts for nothing, and beyond OFFERED times as many no more are offered."""
    testbed = check(enclosure.ROOT / "testbeds/virtual.yaml")
    topology = Topology(testbed)
    topology.up()
    mutator = Mutator(random.Random(f"{seed}/sockets"))
    wrong, samples, longest, admitted = "", [], 0.0, 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        node = VirtualNode(testbed, "demux", topology.gateway, folder)
        await node.start()
        with Journal(folder, RunClock.fix()) as diary:
            carrier = Transport(open_ports((500, 4500, 1701), enter=topology.clients.entered))
            async with Fleet(carriers=[carrier], journal=diary) as fleet:
                line = _line(topology)
                thrower = Thrower(line, _hardware(topology), testbed.gateway.address, mutator)
                bystander, hostile = (fleet.add(testbed.clients.plan(number, testbed.gateway.address)) for number in (1, 2))
                bystander.connect()
                if not await bystander.until_up(PATIENCE_S):
                    raise NatstormError(f"client 1 does not come up: {bystander.last}")
                thrower.listen()
                marked = str(bystander.last[RecordKind.ESP_UP].data["spi_in"])
                before = _of(await node.driver.view("before"), marked)
                bystander.send_marks(20)
                honest = await _received(node) - fleet.facts()["sent"]  # what else has come: nothing, if nothing was lost
                reached = 0
                try:
                    while reached < datagrams and thrower.sent < OFFERED * datagrams:
                        insider = await _admitted(hostile, node, thrower)
                        admitted += 1
                        await _round(thrower, insider, min(ROUND, datagrams - reached))
                        asked = time.monotonic()
                        await _caught_up(node)
                        longest = max(longest, time.monotonic() - asked)
                        reached = await _received(node) - fleet.facts()["sent"] - honest
                        count = bystander.count(RecordKind.MARK_ANSWERED)
                        if await bystander.until(RecordKind.MARK_ANSWERED, PATIENCE_S, beyond=count) is None:
                            raise Wrong("the bystander's marks are not answered any more")
                        if _of(await node.driver.view("meanwhile"), marked) != before:
                            raise Wrong("the bystander's SAs or session have changed")
                        assert node._process is not None
                        samples.append(memory.Sample(thrower.sent, memory.resident(node._process.pid), None))
                    growth = memory.growth(samples)
                    if not growth.flat:
                        raise Wrong(f"the process's memory grows by {growth.resident:.1f} bytes a datagram")
                except (Wrong, NatstormError) as error:
                    wrong = str(error)
                bystander.stop_marks()
                stats = await node.driver.stats() if node.running else {}
                notes = {
                    "marks answered": bystander.count(RecordKind.MARK_ANSWERED), "insider admitted": admitted,
                    "offered": thrower.sent, "unsent": thrower.unsent,
                    "gateway": {name: stats.get(name) for name in COUNTERS},
                    "longest to catch up, s": round(longest, 2), "running": node.running,
                    "bytes a datagram": round(memory.growth(samples).resident, 3) if samples else None,
                }  # fmt: skip
                line.close()
        await node.stop()
    topology.down()
    return {"thrown": min(reached, datagrams), "cpu_s": stats.get("cpu_s", 0.0), "wrong": wrong, "notes": notes}


async def _admitted(client: Client, node: VirtualNode, thrower: Thrower) -> Insider:
    """Dials anew: what the insider sealed in the last round may well have ended its own tunnel, and a gateway that drops all it
    hears for want of a session has little to bear. Whoever comes back has to be let in."""
    if client.connected:  # without ESP it hangs up at once: over it, a tunnel that its own garbage has ended would be waited for
        client.delete_ipsec()
    if client.up:
        client.disconnect()
    if client.connected:
        client.vanish()
    client.connect()
    if not await client.until_up(PATIENCE_S):
        raise Wrong(f"the insider is not let in again: {client.last}")
    thrower.listen()
    outbound = int(client.last[RecordKind.ESP_UP].data["spi_in"], 16)
    own = next(sa for sa in (await node.driver.view("before")).sas if int(sa.spi, 16) == outbound)
    return Insider(client._stack, (own.peer_address, own.udp_port or 4500), thrower.address, thrower.mutator, MESSAGES)


async def _received(node: VirtualNode) -> int:
    """Datagrams that the process has read from its sockets."""
    read: int = (await node.driver.stats())["wire"].get("received", 0)
    return read


async def _round(thrower: Thrower, insider: Insider, datagrams: int) -> None:
    began, sent = time.monotonic(), 0
    while sent < datagrams:
        due = min(datagrams, int((time.monotonic() - began) * RATE) + 1)
        for _ in range(min(due - sent, 60)):
            thrower.throw(insider)
            sent += 1
        thrower.listen()
        await asyncio.sleep(0.001)


async def _caught_up(node: VirtualNode) -> None:
    """The process answers orders, and has read what there was: it hangs on nothing."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            last = -1
            while (count := await _received(node)) - last > 200:
                last = count
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise Wrong(f"the process is not done after {PATIENCE_S:.0f} s") from None


def _of(view: Any, spi: str) -> object:
    """What the view says of the one client that receives on this SPI."""
    own = [sa for sa in view.sas if int(sa.spi, 16) == int(spi, 16)]
    port = own[0].translated_port if own else None
    pairs = {(sa.spi, sa.inbound, sa.peer_address, sa.udp_port) for sa in view.sas if sa.translated_port == port}
    sessions = {session for session in view.sessions if session.peer_port == port}
    return pairs, sessions, port


def _line(topology: Topology) -> socket.socket:
    with topology.wan.entered():
        line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(ALL_PROTOCOLS))
        line.bind((PORT, ALL_PROTOCOLS))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    return line


def _hardware(topology: Topology) -> bytes:
    attachment = topology.attachment
    assert attachment is not None
    with topology.gateway.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as asked:
        asked.bind((attachment.interface, 0))
        hardware: bytes = asked.getsockname()[4]
    return hardware


if __name__ == "__main__":
    print(json.dumps(asyncio.run(storm(int(sys.argv[1]), int(sys.argv[2])))))
