"""The project's own NAT: the core alone, and its process between real interfaces, as packets a second and CPU time a packet.

The process is measured as a NAT and as a mere router (personality "none"), which costs what sockets and Ethernet cost.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace

from harness.errors import NatstormError
from harness.lab import enclosure
from harness.lab.namespaces import Netns
from harness.lab.topology import SWITCH, Topology
from harness.lab.userland_nat import UserlandNat
from harness.nat import NatCore, load
from harness.testbed import check
from harness.wire.packet import Packet, to_ip

CLIENTS = 50
SIZE = 200  # bytes of UDP payload: between a keepalive and a full packet
GATEWAY, NAT = "203.0.113.231", "203.0.113.232"
BURST = 20  # packets sent at once: what a generator does that wakes 500 times a second


@dataclass(frozen=True)
class Node:
    """`offered` and `passed` packets a second, of both directions, the latter as the kernel counts them where they are to arrive;
    `lost` of all that were sent, as the NAT says; `cpu_us` a packet that passed."""

    offered: float
    passed: float
    lost: int
    cpu_us: float


def core(packets: int, personality: str) -> float:
    """Microseconds of CPU a packet through the core alone, both directions, CLIENTS flows."""
    nat = NatCore(load(personality), outside=NAT, inside="10.0.0.0/24", entropy=bytes)
    up = [to_ip(Packet(f"10.0.0.{n + 2}", GATEWAY, 17, bytes(SIZE), 4500, 4500)) for n in range(CLIENTS)]
    for packet in up:
        nat.receive(0.0, "inside", packet)
    ports = [int.from_bytes(packet[20:22]) for _, packet in nat.take_packets()]
    translated = load(personality).translation is not None
    answered = [NAT if translated else f"10.0.0.{n + 2}" for n in range(CLIENTS)]
    down = [to_ip(Packet(GATEWAY, to, 17, bytes(SIZE), 4500, port)) for to, port in zip(answered, ports, strict=True)]
    before = time.process_time()
    for _ in range(packets // (2 * CLIENTS)):
        for there, back in zip(up, down, strict=True):
            nat.receive(1.0, "inside", there)
            nat.receive(1.0, "outside", back)
            nat.take_packets()
    spent = time.process_time() - before
    if nat.dropped:
        raise NatstormError(f"the NAT dropped packets: {dict(nat.dropped)}")
    return spent * 1e6 / (packets // (2 * CLIENTS) * 2 * CLIENTS)


def node(personality: str, rate: float, seconds: float) -> Node:
    """The process, offered `rate` packets a second in an enclosure of its own."""
    command = [sys.executable, "-m", "benchmarks.userland_nat", personality, str(rate), str(seconds)]
    done = subprocess.run(enclosure.command(command), capture_output=True, text=True, check=False)
    if done.returncode:
        raise NatstormError(f"the benchmark's lab failed: {done.stderr.strip()}")
    return Node(**json.loads(done.stdout))


def _inside(personality: str, rate: float, seconds: float) -> Node:
    testbed = check(enclosure.ROOT / "testbeds/linux.yaml")
    clients, nat_spec = replace(testbed.clients, prefix="10.0.0.0/24"), replace(testbed.nat, personality=personality)
    nodes = Topology(replace(testbed, clients=clients, nat=nat_spec))
    nodes.up()
    nat = nodes.nat
    assert isinstance(nat, UserlandNat)
    nodes.wan.ip("address", "add", f"{GATEWAY}/24", "dev", "switch0")
    nodes.wan.ip("route", "add", "10.0.0.0/24", "via", NAT)
    with nodes.wan.entered():
        gateway = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    gateway.bind((GATEWAY, 4500))
    gateway.settimeout(5)
    sockets, seen = [], []
    for number in range(CLIENTS):
        with nodes.clients.entered():
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((f"10.0.0.{number + 2}", 4500))
        one.connect((GATEWAY, 4500))
        one.send(bytes(SIZE))
        seen.append(gateway.recvfrom(2048)[1])
        sockets.append(one)
    payload = bytes(SIZE)
    ends = ((nodes.clients, testbed.clients.interface.name), (nodes.wan, SWITCH))
    before, arrived = nat.statistics(), sum(_received(*end) for end in ends)
    began, sent = time.monotonic(), 0
    while (gone := time.monotonic() - began) < seconds:
        if sent > gone * rate:
            time.sleep(BURST / rate / 2)
            continue
        for _ in range(BURST // 2):
            sockets[sent // 2 % CLIENTS].send(payload)
            gateway.sendto(payload, seen[sent // 2 % CLIENTS])
            sent += 2
    took = time.monotonic() - began
    after = nat.statistics()  # asked for behind all packets: the process answers when it has read what there was
    while after != (now := nat.statistics()) and now["passed"] != after["passed"]:
        after = now
    passed = sum(_received(*end) for end in ends) - arrived
    cpu = after["cpu_s"] - before["cpu_s"]
    nat.stop()
    return Node(sent / took, passed / took, after["lost"] - before["lost"], cpu * 1e6 / passed)


def _received(node: Netns, interface: str) -> int:
    (link,) = json.loads(node.ip("-json", "-statistics", "link", "show", "dev", interface))
    return int(link["stats64"]["rx"]["packets"])


if __name__ == "__main__":
    print(json.dumps(asdict(_inside(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))))
