"""What the virtual gateway costs, in memory: CPU of a set-up, alone and among thousands of others, and packets a second.

    python -m benchmarks.virtual_gateway [--clients N] [--json FILE]

Clients and gateway share the process; only the time spent in the gateway's own calls counts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from harness.model import Secret
from harness.virtual import settings as virtual
from harness.virtual.gateway import VirtualGateway
from harness.virtual.settings import Settings
from harness.wire import ip
from harness.wire.config import EspProposal, IkeConfig, IkeProposal, L2tpConfig, PppConfig, StackConfig
from harness.wire.packet import Packet
from harness.wire.stack import ClientStack

GATEWAY, NAT, PPP = "203.0.113.231", "203.0.113.232", "172.16.0.1"
RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")
PINGS = 20000

T = TypeVar("T")


class Bench:
    """Any number of clients behind one NAT. `spent` is the gateway's CPU in seconds, `packets` how many it has taken."""

    def __init__(self, group: str) -> None:
        users = {"user": Secret("password")}
        look = replace(virtual.load("demux"), ike_proposals=(IkeProposal("aes-128", "sha1", group),))
        settings = Settings(look, GATEWAY, users=users, ppp_address=PPP, pool_first="172.16.0.10", pool_last="172.31.255.250")
        self.gateway = VirtualGateway(settings, os.urandom, witnessed=False)
        self.group = group
        self.now = 0.0
        self.spent = 0.0
        self.packets = 0
        self.clients: list[ClientStack] = []
        self._inside: dict[int, tuple[ClientStack, int]] = {}

    def charge(self, call: Callable[[], T]) -> T:
        began = time.thread_time()
        result = call()
        self.spent += time.thread_time() - began
        return result

    def set_up(self) -> ClientStack:
        number = len(self.clients)
        ike = IkeConfig(
            f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", GATEWAY, b"sharedsecret",
            (IkeProposal("aes-128", "sha1", self.group),), (EspProposal("aes-128", "sha1"),), (RFC_3947,),
        )  # fmt: skip
        client = ClientStack(StackConfig(ike, L2tpConfig("bench"), PppConfig("user", "password")), os.urandom)
        self.clients.append(client)
        self._inside[2 * number + 1] = client, 500
        self._inside[2 * number + 2] = client, 4500
        client.start(self.now)
        self.carry(client, number)
        if client.address is None:
            raise RuntimeError(f"client {number} did not come up: {client.state.value}, {client.take_events()}")
        client.take_events()
        return client

    def carry(self, client: ClientStack, number: int) -> None:
        gateway = self.gateway
        while datagrams := client.take_datagrams():
            for one in datagrams:
                port = 2 * number + (1 if one.sport == 500 else 2)
                packet = Packet(NAT, GATEWAY, one.protocol, one.payload, port, one.dport)
                self.packets += 1
                self.charge(lambda packet=packet: gateway.receive(self.now, packet))  # type: ignore[misc]
            for packet in self.charge(gateway.take_packets):
                to, port = self._inside[packet.dport]
                to.receive(self.now, port, packet.payload)
        gateway.take_events()


def measure(group: str, clients: int) -> dict[str, float]:
    """Milliseconds of CPU a set-up: the first `clients` / 10 and the last; and what a deadline that comes costs."""
    bench = Bench(group)
    tenth = max(1, clients // 10)
    costs = []
    for _ in range(clients):
        before = bench.spent
        bench.set_up()
        costs.append(bench.spent - before)
    first, last = sum(costs[:tenth]) / tenth, sum(costs[-tenth:]) / tenth
    mean = sum(costs) / clients
    return {"clients": clients, "first_ms": first * 1e3, "last_ms": last * 1e3, "set_ups_per_s": 1 / mean}


def forward(others: int) -> dict[str, float]:
    """Echo requests of one client, among `others`, that the gateway answers itself."""
    bench = Bench("modp1024")
    for _ in range(others + 1):
        client = bench.set_up()
    body = ip.build_echo(ip.Echo(True, 1, 1, bytes(500)))
    request = ip.build_ipv4(client.address or "", PPP, ip.ICMP, body)
    bench.spent, bench.packets = 0.0, 0
    for _ in range(PINGS):
        client.send_ip(bench.now, request)
        bench.carry(client, others)
        client.take_events()
    return {"clients": others + 1, "packets_per_s": 2 * bench.packets / bench.spent, "us_per_ping": bench.spent / PINGS * 1e6}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.virtual_gateway", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=500, help="set-ups to measure (default: 500)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    figures: dict[str, object] = {}
    for group in ("modp1024", "modp2048"):
        cost = figures[group] = measure(group, arguments.clients)
        print(
            f"{group}, {arguments.clients} clients: {cost['first_ms']:.2f} ms of CPU a set-up for the first tenth,"
            f" {cost['last_ms']:.2f} ms for the last; {cost['set_ups_per_s']:.0f} set-ups/s"
        )
    for others in (0, arguments.clients):
        cost = figures[f"forward among {others}"] = forward(others)
        rate, each = cost["packets_per_s"], cost["us_per_ping"]
        print(f"pings answered among {others} others: {rate:.0f} packets/s, {each:.0f} µs of CPU a ping")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
