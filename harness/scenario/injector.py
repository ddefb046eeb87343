"""Garbage on both sides of the NAT: random bytes, and real datagrams of this very run with something about them changed.

Downwards it comes from where the gateway is, in the gateway's name, to a port that the NAT maps to a client: nothing but its
content tells it from the gateway's own. Upwards it comes from an inside address that is no client's. Each datagram is journalled
(INJECTED) with the digest by which the captures know it.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter, deque
from hashlib import blake2b
from types import TracebackType

from harness.clients.fleet import Fleet
from harness.lab.software import Lab
from harness.lab.topology import OUTSIDE_PORT
from harness.model import RecordKind
from harness.nat import Mapping
from harness.wire import ip

INJECTOR = "injector"  # whose records they are
SAMPLES = 64  # real datagrams remembered to be changed
LONGEST = 1300  # bytes of payload: below every link's MTU
ALL_PROTOCOLS = 3  # ETH_P_ALL: the only packet socket that is shown what leaves by the interface, too
ETHERNET = 14
IPV4 = b"\x08\x00"
KEEPALIVE = b"\xff"
LOOK_S = 0.5  # so often the NAT's table is looked at; each look is a process of its own
PORTS = (500, 4500)


class Injector:
    """A context manager: it holds sockets in two namespaces. `sent` counts datagrams by way, "up" and "down".

    The same seed makes the same choices; what they are made of (the run's datagrams) differs from run to run.
    """

    def __init__(self, fleet: Fleet, lab: Lab, gateway: str, seed: int) -> None:
        self.sent: Counter[str] = Counter()
        self._fleet = fleet
        self._lab = lab
        self._gateway = gateway
        self._random = random.Random(seed)
        self._samples: deque[bytes] = deque(maxlen=SAMPLES)
        self._down_header = b""  # of the latest frame from the gateway: how the gateway's own packets look on this link
        self._real: set[bytes] = set()
        self._digests: set[str] = set()
        self._targets: list[Mapping] = []
        clients = lab.testbed.clients
        self._stray = clients.address(clients.capacity)
        with lab.clients.entered():
            self._inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._inside.bind((self._stray, 0))
        with lab.topology.wan.entered():
            self._outside = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(ALL_PROTOCOLS))
            self._outside.bind((OUTSIDE_PORT, ALL_PROTOCOLS))
            self._outside.setblocking(False)

    def __enter__(self) -> Injector:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._inside.close()
        self._outside.close()

    async def throw(self, rate: float) -> None:
        """`rate` datagrams a second each way, until cancelled."""
        look_at = self._fleet.now()
        while True:
            if self._fleet.now() >= look_at:
                look_at = self._fleet.now() + LOOK_S
                mappings = self._lab.nat.mappings()
                self._targets = [m for m in mappings if m.remote_address == self._gateway and m.inside_address != self._stray]
            self._listen()
            self._up()
            self._down()
            await asyncio.sleep(1.0 / rate)

    def payload(self) -> bytes:
        """One garbage payload: as good as random, or real but for something. Never a real one as it was, never a keepalive."""
        while True:
            made = self._changed() if self._samples and self._random.random() < 0.7 else self._anything()
            if made not in self._real and made != KEEPALIVE:
                return made

    # What it is made of

    def _listen(self) -> None:
        """Real datagrams on the link outside the NAT, either way."""
        while True:
            try:
                frame, about = self._outside.recvfrom(2048)
            except BlockingIOError:
                return
            if frame[12:14] != IPV4:
                continue
            packet = ip.parse_ipv4(frame[ETHERNET:])
            if packet.protocol != ip.UDP or packet.fragment:
                continue
            payload = ip.parse_udp(packet.payload).payload
            # What this injector sent goes by here as well: it is no sample, and no header to learn from.
            if about[2] == socket.PACKET_OUTGOING and packet.source == self._gateway and not self._sent_by_us(payload):
                self._down_header = frame[:ETHERNET]
            if not self._sent_by_us(payload):
                self._samples.append(payload)
                self._real.add(payload)

    def _sent_by_us(self, payload: bytes) -> bool:
        return digest(payload) in self._digests

    def _anything(self) -> bytes:
        return self._random.randbytes(self._random.choice((0, 1, 4, 8, 27, 28, 29, 200, LONGEST)))

    def _changed(self) -> bytes:
        sample = bytearray(self._random.choice(self._samples))
        match self._random.randrange(5):
            case 0:  # a few bits turned
                for _ in range(self._random.randint(1, 4)):
                    if sample:
                        sample[self._random.randrange(len(sample))] ^= 1 << self._random.randrange(8)
            case 1:  # cut short
                del sample[self._random.randint(0, len(sample)) :]
            case 2:  # something after its end
                sample += self._random.randbytes(self._random.randint(1, 64))
            case 3:  # the head of one, the tail of another
                other = self._random.choice(self._samples)
                cut = self._random.randint(0, min(len(sample), len(other)))
                sample[cut:] = other[cut:]
            case _:  # a field blown up or emptied
                at = self._random.randint(0, max(0, len(sample) - 4))
                sample[at : at + 4] = self._random.choice((b"\xff\xff\xff\xff", bytes(4)))
        return bytes(sample[:LONGEST])

    # How it is sent

    def _up(self) -> None:
        payload, port = self.payload(), self._random.choice(PORTS)
        self._note("up", port, payload)
        self._inside.sendto(payload, (self._gateway, port))

    def _down(self) -> None:
        """Into one of the mappings that the NAT has at this time; not before the gateway has sent anything itself."""
        if not self._targets or not self._down_header:
            return
        target, payload = self._random.choice(self._targets), self.payload()
        source, destination = ip.packed(self._gateway), ip.packed(target.outside_address)
        datagram = ip.build_udp(source, destination, target.remote_port, target.outside_port, payload)
        self._note("down", target.outside_port, payload)
        self._outside.send(self._down_header + ip.build_ipv4(self._gateway, target.outside_address, ip.UDP, datagram, ttl=64))

    def _note(self, way: str, port: int, payload: bytes) -> None:
        """Before it is sent: the captures must not know of a datagram that the journal does not."""
        told = digest(payload)
        self._digests.add(told)
        self.sent[way] += 1
        self._fleet.write(
            self._fleet.now(),
            INJECTOR,
            RecordKind.INJECTED,
            {"way": way, "port": port, "size": len(payload), "digest": told, "stray": self._stray},
        )


def digest(payload: bytes) -> str:
    """As `Observation.payload_digest`: BLAKE2b of 16 bytes, in hexadecimal."""
    return blake2b(payload, digest_size=16).hexdigest()
