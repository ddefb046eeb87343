"""The lab's nodes around either NAT, and in the gateway's place a socket that answers what it is told to."""

from __future__ import annotations

import socket
import time
from dataclasses import replace

from harness.lab import enclosure
from harness.lab.topology import Topology
from harness.testbed import check

GATEWAY = "203.0.113.231"
NAT = "203.0.113.232"
PATIENCE_S = 60.0
"""For one datagram of thousands: a machine that is busy elsewhere may stand still for seconds."""


class Play:
    """`personality`: None for the kernel's NAT, else the userland NAT's."""

    def __init__(self, prefix="10.0.0.0/24", personality=None):
        testbed = check(enclosure.ROOT / "testbeds/linux.yaml")
        clients, nat = replace(testbed.clients, prefix=prefix), replace(testbed.nat, personality=personality)
        self.testbed = replace(testbed, clients=clients, nat=nat)
        self.nodes = Topology(self.testbed)
        self.nodes.up()
        self.nodes.wan.ip("address", "add", f"{GATEWAY}/24", "dev", "switch0")
        self.nat = self.nodes.nat
        with self.nodes.wan.entered():
            self.gateway = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.gateway.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # a burst waits for a late reader
        self.gateway.bind((GATEWAY, 500))
        self.gateway.settimeout(PATIENCE_S)

    def client(self, address, port):
        with self.nodes.clients.entered():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, port))
        sock.settimeout(PATIENCE_S)
        return sock

    def shared_socket(self, port):
        """One socket for all clients: `send_as` chooses the source."""
        with self.nodes.clients.entered():
            shared = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        shared.setsockopt(socket.SOL_IP, 8, 1)  # IP_PKTINFO
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        shared.bind(("0.0.0.0", port))
        return shared

    def send_as(self, shared, number):
        """Client `number` sends its address, which is returned."""
        source = socket.inet_aton(self.testbed.clients.address(number))
        information = bytes(4) + source + bytes(4)  # struct in_pktinfo: interface, local address, destination
        shared.sendmsg([source], [(socket.IPPROTO_IP, 8, information)], 0, (GATEWAY, 500))
        return source

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def ask(self, sock, text):
        """Sends `text` and returns the address it arrived from at the gateway."""
        sock.sendto(text, (GATEWAY, 500))
        heard, seen_as = self.gateway.recvfrom(2048)
        assert heard == text
        return seen_as

    def answer(self, sock, seen_as, text):
        self.gateway.sendto(text, seen_as)
        heard, source = sock.recvfrom(2048)
        assert (heard, source) == (text, (GATEWAY, 500))
