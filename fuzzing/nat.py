"""The NAT core, both sides, every personality: somebody's mapping stays, whatever others send; what comes out is well-formed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from fuzzing import formats
from fuzzing.life import Life, Shot, Violation
from fuzzing.pair import passed
from harness.nat import NatCore, load
from harness.nat.personality import names
from harness.wire import ip
from harness.wire.packet import Packet, to_ip

NAT, GATEWAY, STRANGER = "203.0.113.232", "203.0.113.231", "198.51.100.9"
BYSTANDER, OTHERS = "10.0.0.2", ("10.0.0.3", "10.0.0.4", "10.0.0.5")
CHANGING = frozenset(("lossy", "corrupting", "alg", "slow"))
"""Personalities whose links lose, delay or spoil packets, or that change payloads: what comes through is not what was sent."""


class NatLife(Life):
    shots = 3000
    weight_limit = 12 << 20

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        name = self.setting.choice(names())
        self.steady = name not in CHANGING
        self.target = NatCore(load(name), outside=NAT, inside="10.0.0.0/24", entropy=self.setting.randbytes)
        self.router = load(name).translation is None
        self.seen: dict[str, deque[bytes]] = {"inside": deque(maxlen=60), "outside": deque(maxlen=60)}
        self.own = to_ip(Packet(BYSTANDER, GATEWAY, 17, b"the bystander's own", 4500, 4500))
        self.port = self._port()
        for number, inside in enumerate(OTHERS):
            for port in (500, 4500, 1701):
                self._real(
                    "inside", to_ip(Packet(inside, GATEWAY, 17, self.setting.randbytes(60), port, port), identification=number)
                )
            self._real("inside", to_ip(Packet(inside, GATEWAY, 50, self.setting.randbytes(80))))
            echo = ip.build_echo(ip.Echo(True, number, 1, b"echo"))
            self._real("inside", ip.build_ipv4(inside, GATEWAY, 1, echo))

    def _real(self, side: str, packet: bytes) -> None:
        self.seen[side].append(packet)
        self.target.receive(self.now, side, packet)  # type: ignore[arg-type]
        for where, out in self.target.take_packets():
            if where == "outside":  # its answer, as the far end would make it
                self.seen["outside"].append(_turned(out))
                self.seen["outside"].append(_unreachable(out))

    def _port(self) -> int | None:
        """The outside port at which the bystander's packet comes out; None where it does not."""
        self.target.receive(self.now, "inside", self.own)
        out = [packet for side, packet in self.target.take_packets() if side == "outside" and packet.endswith(self.own[28:])]
        return int.from_bytes(out[-1][20:22]) if out else None

    def aim(self) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        if mutator.chance(0.002):
            return [Shot(("tick", choice.choice((0.001, 0.1, 1.0))))]
        side = choice.choice(("inside", "outside"))
        seen = list(self.seen[side]) or [self.own]
        addresses = [ip.packed(one) for one in (*OTHERS, NAT, GATEWAY, STRANGER, "10.0.0.200", "224.0.0.1", "0.0.0.0")]
        data = choice.choice(seen)
        match choice.randrange(8):
            case 0:
                data = mutator.noise()
            case 1 | 2:
                data = mutator.spoil(data, seen)
            case 3 if len(data) > 48:  # in pieces
                cut = 20 + 8 * choice.randrange(1, (len(data) - 20) // 8)
                first, last = _fragments(data, cut)
                shots = [Shot((side,), one if mutator.chance(0.7) else mutator.spoil(one, seen)) for one in (first, last)]
                return shots if mutator.chance(0.5) else shots[::-1]
            case _:
                data = formats.inner(mutator, data, addresses)
        if len(data) >= 20 and data[12:16] == ip.packed(BYSTANDER):  # in the bystander's own name it is the bystander
            data = data[:15] + b"\7" + data[16:]
        return [Shot((side,), data)]

    def take(self, shot: Shot) -> None:
        if shot.door[0] == "tick":
            self.now += shot.door[1]
            passed(self.target, self.now)
        else:
            self.now += 0.000_5
            self.target.receive(self.now, shot.door[0], shot.data)
        for side, packet in self.target.take_packets():
            size = (packet[0] & 15) * 4
            if len(packet) < size or int.from_bytes(packet[2:4]) != len(packet):
                raise Violation("a packet that came out is not as long as it says")
            if side == "outside" and not self.router and packet[12:16] != ip.packed(NAT):
                raise Violation("a packet went out with an inside address")
        if (due := self.target.deadline) and due <= self.now:
            passed(self.target, self.now)
            self.target.take_packets()

    def check(self) -> None:
        if self.steady and self.port is not None and (port := self._port()) != self.port:
            raise Violation(f"the bystander's mapping has changed to {'none' if port is None else 'another port'}")
        translation = self.target.personality.translation
        if translation is not None and len(self.target.mappings()) > translation.limit:
            raise Violation("more mappings than the table takes")

    def parts(self) -> Iterable[Any]:
        return [self.target]


def _turned(packet: bytes) -> bytes:
    """From where it went to where it came from; an echo request becomes its reply."""
    back = packet[:12] + packet[16:20] + packet[12:16]
    if packet[9] == 1:
        return back + b"\0" + packet[21:]
    return back + packet[22:24] + packet[20:22] + packet[24:]


def _unreachable(packet: bytes) -> bytes:
    """The ICMP error that a host at its destination would send."""
    bare = b"\3\3\0\0\0\0\0\0" + packet[:28]
    body = bare[:2] + ip.checksum(bare).to_bytes(2) + bare[4:]
    return ip.build_ipv4(ip.dotted(packet[16:20]), ip.dotted(packet[12:16]), 1, body)


def _fragments(packet: bytes, cut: int) -> tuple[bytes, bytes]:
    def piece(body: bytes, flags: int) -> bytes:
        bare = packet[:2] + (20 + len(body)).to_bytes(2) + packet[4:6] + flags.to_bytes(2) + packet[8:10] + bytes(2) + packet[12:20]
        return bare[:10] + ip.checksum(bare).to_bytes(2) + bare[12:] + body

    return piece(packet[20:cut], 0x2000), piece(packet[cut:], (cut - 20) // 8)
