"""A gateway for any number of clients, made of the protocol cores in their answering role, in a process of its own.

    python -m benchmarks.responder GROUP ENCRYPTION

It answers whoever calls and judges nothing; what a real gateway makes of the clients is for the lab. Prints its process ID, waits
for a line (its network is then there), prints "ready" once its sockets are open, and ends when its standard input does. Its CPU
time is not the generator's: that is why it is a process.
"""

from __future__ import annotations

import heapq
import os
import select
import socket
import sys
import time
from dataclasses import dataclass, field

from benchmarks.enclosure import GATEWAY
from harness.wire import events, ip
from harness.wire.config import EspProposal, IkeConfig, IkeProposal, L2tpConfig, PppConfig
from harness.wire.esp import InboundSa, OutboundSa, spi_of
from harness.wire.ike.core import IkeCore
from harness.wire.l2tp import Frame, L2tpCore
from harness.wire.ppp import PppCore

ELSEWHERE = "203.0.113.232"
"""What it believes to be its peers' address. None has it, so every client finds a NAT on the way, and none is needed."""

PPP_ADDRESS = "172.16.1.1"
PSK = "sharedsecret"
USER, PASSWORD = "user", "password"
RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")


@dataclass
class Peer:
    """One client, by its source address."""

    group: str
    encryption: str
    ike: IkeCore = field(init=False)
    l2tp: L2tpCore = field(init=False)
    ppp: PppCore = field(init=False)
    pairs: dict[int, tuple[InboundSa, OutboundSa]] = field(default_factory=dict)
    out: list[events.Datagram] = field(default_factory=list)

    def __post_init__(self) -> None:
        ike = IkeConfig(
            address=GATEWAY,
            peer_address=ELSEWHERE,
            psk=PSK.encode(),
            proposals=(IkeProposal(self.encryption, "sha1", self.group),),
            esp_proposals=(EspProposal(self.encryption, "sha1"),),
            vendor_ids=(RFC_3947,),
            rekey_margin=None,
        )
        ppp = PppConfig(
            user="",
            password="",
            accept=(),
            demand="mschapv2",
            secrets={USER: PASSWORD},
            name="responder",
            local_address=PPP_ADDRESS,
            assign="172.16.1.10",
            request_dns=False,
            echo_s=None,
        )
        self.ike = IkeCore(ike, os.urandom)
        self.l2tp = L2tpCore(L2tpConfig("responder", hello_s=0), os.urandom)
        self.ppp = PppCore(ppp, os.urandom)

    def receive(self, now: float, port: int, payload: bytes) -> None:
        if port == 500:
            self.ike.receive(now, payload, port)
        elif payload[:4] == bytes(4):
            self.ike.receive(now, payload[4:], port)
        elif len(payload) > 1:
            pair = self.pairs.get(spi_of(payload))
            if pair is not None:
                self.l2tp.receive(now, ip.parse_udp(pair[0].open(payload)[1]).payload)
        self._pump(now)

    def tick(self, now: float) -> None:
        self.ike.tick(now)
        self.l2tp.tick(now)
        self.ppp.tick(now)
        self._pump(now)

    @property
    def deadline(self) -> float | None:
        times = (self.ike.deadline, self.l2tp.deadline, self.ppp.deadline)
        return min((at for at in times if at is not None), default=None)

    def _pump(self, now: float) -> None:
        while True:
            self.out += self.ike.take_datagrams()
            told = [*self.ike.take_events(), *self.l2tp.take_events(), *self.ppp.take_events()]
            packets, frames = self.l2tp.take_packets(), self.ppp.take_frames()
            for event in told:
                self._hear(now, event)
            for packet in packets:
                self._send(packet)
            for frame in frames:
                self.l2tp.send_data(now, frame)
            if not (told or packets or frames):
                return

    def _hear(self, now: float, event: events.Event) -> None:
        match event:
            case Frame():
                self.ppp.receive(now, event.frame)
            case events.EspUp():
                names = event.encryption, event.authentication
                inbound = InboundSa(event.spi_in, *names, event.key_in, event.auth_key_in)
                outbound = OutboundSa(event.spi_out, *names, event.key_out, event.auth_key_out, os.urandom)
                self.pairs[event.spi_in] = inbound, outbound
            case events.CallUp():
                self.ppp.open(now)
            case events.IpPacket():
                self._answer(now, event.packet)

    def _answer(self, now: float, packet: bytes) -> None:
        """As a host answers an echo."""
        outer = ip.parse_ipv4(packet)
        echo = ip.parse_echo(outer.payload) if outer.protocol == ip.ICMP else None
        if echo is None or not echo.request:
            return
        body = ip.build_echo(ip.Echo(False, echo.identifier, echo.sequence, echo.payload))
        frame = self.ppp.send_ip(ip.build_ipv4(outer.destination, outer.source, ip.ICMP, body))
        if frame is not None:
            self.l2tp.send_data(now, frame)

    def _send(self, packet: bytes) -> None:
        if self.pairs:
            datagram = ip.build_udp(ip.packed(GATEWAY), ip.packed(ELSEWHERE), 1701, 1701, packet)
            self.out.append(events.Datagram(4500, 4500, next(reversed(self.pairs.values()))[1].seal(ip.UDP, datagram)))


def serve(group: str, encryption: str) -> None:
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    sockets: dict[int, socket.socket] = {}
    for port in (500, 4500):
        sockets[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets[port].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        sockets[port].bind((GATEWAY, port))
        sockets[port].setblocking(False)
    peers: dict[str, Peer] = {}
    timers: list[tuple[float, str]] = []
    print("ready", flush=True)
    while True:
        wait = max(0.0, timers[0][0] - time.monotonic()) if timers else None
        readable, _, _ = select.select([*sockets.values(), sys.stdin], [], [], wait)
        if sys.stdin in readable:
            return
        touched: set[str] = set()
        for port, one in sockets.items():
            while one in readable:
                try:
                    payload, (source, _) = one.recvfrom(65535)
                except BlockingIOError:
                    break
                if source not in peers or (port == 500 and payload[8:16] == bytes(8)):  # a first message: a new connection
                    peers[source] = Peer(group, encryption)
                peers[source].receive(time.monotonic(), port, payload)
                touched.add(source)
        now = time.monotonic()
        while timers and timers[0][0] <= now:
            _, source = heapq.heappop(timers)
            due = peers[source].deadline
            if due is not None and due <= now:
                peers[source].tick(now)
            touched.add(source)
        for source in touched:
            for datagram in peers[source].out:
                sockets[datagram.sport].sendto(datagram.payload, (source, datagram.dport))
            peers[source].out.clear()
            due = peers[source].deadline
            if due is not None:
                heapq.heappush(timers, (due, source))


if __name__ == "__main__":
    serve(*sys.argv[1:3])
