"""ARP for IPv4 on Ethernet (RFC 826), and one node that speaks IP by it: packets out become frames, frames in give packets.

Sans-IO: frames, packets and `now` come in, frames and a deadline go out. Hardware addresses are 6 bytes, IP addresses 4, packed.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.errors import ProtocolError

ETH_P_IP, ETH_P_ARP = 0x0800, 0x0806
BROADCAST = b"\xff" * 6
TRIES, WAIT_S = 3, 1.0
"""How often a neighbour is asked for, and how long after one time the next is."""
WAITING = 64
"""Packets kept for one neighbour who has not answered yet."""

_HEADER = 14
_MESSAGE = struct.Struct("!HHBBH6s4s6s4s")
_REQUEST, _REPLY = 1, 2


@dataclass(frozen=True, slots=True)
class Arp:
    """One message. `request`: it asks who has `target`; else it says that `sender` is at `hardware`."""

    request: bool
    hardware: bytes
    sender: bytes
    target: bytes
    target_hardware: bytes = bytes(6)


def frame(to: bytes, by: bytes, kind: int, payload: bytes) -> bytes:
    return to + by + kind.to_bytes(2) + payload


def build(message: Arp) -> bytes:
    """The payload of its frame."""
    operation = _REQUEST if message.request else _REPLY
    ends = message.hardware, message.sender, message.target_hardware, message.target
    return _MESSAGE.pack(1, ETH_P_IP, 6, 4, operation, *ends)


def parse(payload: bytes) -> Arp:
    """ProtocolError for what is not about IPv4 on Ethernet, or cut."""
    if len(payload) < _MESSAGE.size:
        raise ProtocolError("arp", "cut short", len(payload))
    kind, protocol, long, short, operation, hardware, sender, wanted, target = _MESSAGE.unpack_from(payload)
    if (kind, protocol, long, short) != (1, ETH_P_IP, 6, 4) or operation not in (_REQUEST, _REPLY):
        raise ProtocolError("arp", "not about IPv4 on Ethernet", 0)
    return Arp(operation == _REQUEST, hardware, sender, target, wanted)


@dataclass(slots=True)
class _Asked:
    """A neighbour who has been asked for. `by`: the address for which it is asked."""

    by: bytes
    again: float
    tries: int = 1
    packets: list[bytes] = field(default_factory=list)


class EthernetNode:
    """`answers` says of who asks, and for whom, whether this node is the one, or stands for it (RFC 1027).

    `counts`: strange (frames for others, of other protocols, or malformed), unresolved (packets whose neighbour did not answer),
    overflowed (too many waited).
    """

    def __init__(self, hardware: bytes, answers: Callable[[bytes, bytes], bool]) -> None:
        self.hardware = hardware
        self.counts: Counter[str] = Counter()
        self.neighbours: dict[bytes, bytes] = {}
        self._answers = answers
        self._asked: dict[bytes, _Asked] = {}
        self._frames: list[bytes] = []

    def receive(self, now: float, data: bytes) -> bytes | None:
        """The IP packet in a frame that was sent to this node, without what Ethernet pads it with; None for all else."""
        kind, payload = int.from_bytes(data[12:_HEADER]), data[_HEADER:]
        if kind == ETH_P_ARP:
            self._hear(payload)
        elif kind == ETH_P_IP and data[:6] == self.hardware and len(payload) >= 20:
            return payload[: int.from_bytes(payload[2:4])]
        else:
            self.counts["strange"] += 1
        return None

    def send(self, now: float, by: bytes, hop: bytes, packet: bytes) -> None:
        """To neighbour `hop`, who is asked for first by this node's address `by` where it is not known."""
        if hop in self.neighbours:
            self._frames.append(frame(self.neighbours[hop], self.hardware, ETH_P_IP, packet))
            return
        self.ask(now, by, hop)
        if len(waiting := self._asked[hop].packets) < WAITING:
            waiting.append(packet)
        else:
            self.counts["overflowed"] += 1

    def ask(self, now: float, by: bytes, hop: bytes) -> None:
        """Unless it is being asked for: then the next time comes by itself."""
        if hop not in self._asked:
            self._asked[hop] = _Asked(by, now + WAIT_S)
            self._request(by, hop)

    def take_frames(self) -> list[bytes]:
        taken, self._frames = self._frames, []
        return taken

    @property
    def deadline(self) -> float | None:
        return min((one.again for one in self._asked.values()), default=None)

    def tick(self, now: float) -> None:
        """Asks again for those who have not answered, and gives up after TRIES."""
        for hop, asked in list(self._asked.items()):
            if asked.again > now:
                continue
            if asked.tries == TRIES:
                self.counts["unresolved"] += len(asked.packets)
                del self._asked[hop]
            else:
                asked.tries, asked.again = asked.tries + 1, now + WAIT_S
                self._request(asked.by, hop)

    def _hear(self, payload: bytes) -> None:
        try:
            message = parse(payload)
        except ProtocolError:
            self.counts["strange"] += 1
            return
        if message.hardware == self.hardware:
            return
        ours = self._answers(message.sender, message.target)
        if ours or message.sender in self._asked or message.sender in self.neighbours:
            self._learn(message.sender, message.hardware)
        if ours and message.request:
            said = Arp(False, self.hardware, message.target, message.sender, message.hardware)
            self._frames.append(frame(message.hardware, self.hardware, ETH_P_ARP, build(said)))

    def _learn(self, address: bytes, hardware: bytes) -> None:
        self.neighbours[address] = hardware
        if (asked := self._asked.pop(address, None)) is not None:
            self._frames += (frame(hardware, self.hardware, ETH_P_IP, packet) for packet in asked.packets)

    def _request(self, by: bytes, hop: bytes) -> None:
        self._frames.append(frame(BROADCAST, self.hardware, ETH_P_ARP, build(Arp(True, self.hardware, by, hop))))
