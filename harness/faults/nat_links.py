"""NATs that lose, double, damage or hold back packets on their way through, each by a rule and none by chance."""

from __future__ import annotations

from collections.abc import Callable

from harness.faults.fault import NAT, Fault
from harness.nat.draws import Draws
from harness.nat.headers import UDP, header_length
from harness.nat.link import Impairments, Link
from harness.nat.parts import Parts
from harness.nat.state import Dropped
from harness.wire.ip import build_ipv4, build_udp, dotted

IKE_PORT, NATT_PORT = 500, 4500

KEEPALIVE_LENGTH = 29
"""Of the IP packet around one byte in UDP."""


HELD_BACK_S = 0.9
"""Not so long that whoever waits for an answer would ask again."""

NO_ESP = bytes(4)
"""What stands before IKE on port 4500 (RFC 3948 section 2.2)."""


class Counting(Link):
    """Knows how many packets have passed, this one among them."""

    def __init__(self) -> None:
        super().__init__(Impairments(), Draws(b"unused"))
        self.count = 0

    def carry(self, now: float, packet: bytes) -> list[tuple[float, bytes]]:
        self.count += 1
        return super().carry(now, packet)


class LosesSeventh(Counting):
    def carry(self, now: float, packet: bytes) -> list[tuple[float, bytes]]:
        arriving = super().carry(now, packet)
        if self.count % 7 == 0:
            raise Dropped("link: lost")
        return arriving


class DoublesFifth(Counting):
    def carry(self, now: float, packet: bytes) -> list[tuple[float, bytes]]:
        return super().carry(now, packet) * (2 if self.count % 5 == 0 else 1)


class HoldsBackIke(Link):
    def __init__(self) -> None:
        super().__init__(Impairments(), Draws(b"unused"))

    def carry(self, now: float, packet: bytes) -> list[tuple[float, bytes]]:
        held_back = HELD_BACK_S if _is_ike(packet) else 0.0
        return [(at + held_back, piece) for at, piece in super().carry(now, packet)]


def _is_ike(packet: bytes) -> bool:
    at = header_length(packet)
    port, begins = int.from_bytes(packet[at + 2 : at + 4]), packet[at + 8 : at + 12]
    return packet[9] == UDP and (port == IKE_PORT or (port == NATT_PORT and begins == NO_ESP))


class SwallowsKeepalives(Counting):
    def carry(self, now: float, packet: bytes) -> list[tuple[float, bytes]]:
        if packet[9] == UDP and len(packet) == KEEPALIVE_LENGTH:
            raise Dropped("link: lost")
        return super().carry(now, packet)


class SwapsWords(Counting):
    """Two words of 16 bits, 40 bytes into the packet: no checksum notices that."""

    def carry(self, now: float, packet: bytes) -> list[tuple[float, bytes]]:
        if 500 < len(packet) < 1100:
            packet = packet[:40] + packet[42:44] + packet[40:42] + packet[44:]
        return super().carry(now, packet)


class LosesFurtherPieces(Link):
    def __init__(self) -> None:
        super().__init__(Impairments(mtu=1280, ignore_df=True), Draws(b"unused"))

    def carry(self, now: float, packet: bytes) -> list[tuple[float, bytes]]:
        return super().carry(now, packet)[:1]


class Slow(Link):
    def __init__(self) -> None:
        super().__init__(Impairments(delay_s=2.5), Draws(b"unused"))


class KeepsAlive(Counting):
    """After every twentieth packet to port 4500 there is a keepalive of the same flow, as if its client had sent it."""

    def carry(self, now: float, packet: bytes) -> list[tuple[float, bytes]]:
        arriving = super().carry(now, packet)
        at = header_length(packet)
        if packet[9] != UDP or int.from_bytes(packet[at + 2 : at + 4]) != NATT_PORT or self.count % 20:
            return arriving
        source, destination, sport = packet[12:16], packet[16:20], int.from_bytes(packet[at : at + 2])
        alive = build_udp(source, destination, sport, NATT_PORT, b"\xff", checksummed=False)
        made = build_ipv4(dotted(source), dotted(destination), UDP, alive, ttl=packet[8])
        return [*arriving, *((when, made) for when, _ in arriving[-1:])]


def _link(name: str, breaks: str, *, up: Callable[[], Link] | None = None, down: Callable[[], Link] | None = None) -> Fault:
    def broken(parts: Parts) -> None:
        if up is not None:
            parts.up = up()
        if down is not None:
            parts.down = down()

    return Fault(name, NAT, breaks, nat=broken)


FAULTS: tuple[Fault, ...] = (
    _link("nat-loses-seventh", "Every seventh packet outward is lost.", up=LosesSeventh),
    _link("nat-doubles-fifth", "Every fifth packet inward comes twice.", down=DoublesFifth),
    _link("nat-holds-back", "IKE outward is held back for 0.9 s, and what comes behind it overtakes.", up=HoldsBackIke),
    _link("nat-makes-keepalives", "The NAT sends keepalives of its own, as if they were its clients'.", up=KeepsAlive),
    _link("nat-swallows-keepalives", "UDP packets of one byte are dropped.", up=SwallowsKeepalives),
    _link(
        "nat-swaps-words",
        "In packets of 500 to 1100 bytes inward two words change places, which no checksum notices.",
        down=SwapsWords,
    ),
    _link(
        "nat-loses-pieces",
        "Packets inward of more than 1280 bytes are cut, and all but the first piece are lost.",
        down=LosesFurtherPieces,
    ),
    _link("nat-slow-inward", "What comes in takes 2.5 s.", down=Slow),
)
