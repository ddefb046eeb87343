"""ESP and AH inbound, every transform: what was not sealed by the key's holder, or was taken already, is refused and changes
nothing; what the holder seals may hold anything."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from fuzzing.life import Life, Shot, Violation
from harness.errors import ProtocolError
from harness.wire.ah import AhInboundSa, AhOutboundSa
from harness.wire.esp import InboundSa, OutboundSa
from harness.wire.esp.transforms import AUTHENTICATIONS, ENCRYPTIONS
from harness.wire.packet import Packet, to_ip

SPI = 0x12345678
HERE, THERE = "203.0.113.231", "203.0.113.232"


class EspLife(Life):
    """`fresh` are authentic packets that were not taken yet."""

    shots = 400

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        draw = self.setting
        self.ah = draw.random() < 0.2
        authentication = draw.choice([name for name, one in AUTHENTICATIONS.items() if one.key])  # without one nothing is forged
        auth_key = draw.randbytes(AUTHENTICATIONS[authentication].key)
        self.inbound: Any
        self.outbound: Any
        if self.ah:
            self.inbound, self.outbound = AhInboundSa(SPI, authentication, auth_key), AhOutboundSa(SPI, authentication, auth_key)
        else:
            encryption = draw.choice(tuple(ENCRYPTIONS))
            names = encryption, authentication, draw.randbytes(ENCRYPTIONS[encryption].key), auth_key
            self.inbound, self.outbound = InboundSa(SPI, *names), OutboundSa(SPI, *names, draw.randbytes)
        self.fresh: set[bytes] = set()
        self.seen: deque[bytes] = deque(maxlen=100)

    def aim(self) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        if not self.seen or mutator.chance(0.1):
            return [Shot(("sealed", mutator.chance(0.3)), self._sealed())]
        data = choice.choice(self.seen)
        match choice.randrange(8):
            case 0:
                return [Shot(("replay",), data)]
            case 1:
                return [Shot(("noise",), mutator.noise())]
            case 2:
                return [Shot(("noise",), SPI.to_bytes(4) + choice.randbytes(choice.choice((0, 3, 4, 12, 28, 44, 60, 76))))]
            case _:
                return [Shot(("spoilt",), mutator.spoil(data, list(self.seen)))]

    def _sealed(self) -> bytes:
        """An authentic packet; what is in it is anything, and numbers are left out before it."""
        payload = self.mutator.noise()
        self.outbound.sequence += self.mutator.choice.choice((0, 0, 0, 1, 63, 64, 65, 5000))
        if not self.ah:
            made: bytes = self.outbound.seal(self.mutator.choice.randrange(256), payload)
            return made
        sealed = to_ip(Packet(THERE, HERE, 17, payload[:1000], 1701, 1701))
        made = self.outbound.seal_tunnel(THERE, HERE, sealed) if self.mutator.chance(0.3) else self.outbound.seal(sealed)
        return bytes(made)

    def take(self, shot: Shot) -> None:
        if shot.door[0] == "sealed":
            self.fresh.add(shot.data)
            self.seen.append(shot.data)
            if shot.door[1]:  # it comes later, if at all
                return
        before = self._state()
        try:
            self.inbound.open(shot.data)
        except ProtocolError:
            if shot.data not in self.fresh and self._state() != before:
                raise Violation("a refused packet has changed the SA") from None
        else:
            if shot.data not in self.fresh and not self._only_mutable(shot.data):
                raise Violation("a packet was taken that is forged, or was taken before")
        self.fresh.discard(shot.data)

    def _only_mutable(self, data: bytes) -> bool:
        """AH does not cover what routers may change (RFC 2402 §3.3.3.1.1): TOS, flags and offset, TTL, checksum."""
        if not self.ah:
            return False

        def covered(packet: bytes) -> bytes:
            return packet[:1] + packet[2:6] + packet[9:10] + packet[12:]

        twins = {one for one in self.fresh if covered(one) == covered(data[: len(one)])}
        self.fresh -= twins
        return bool(twins)

    def _state(self) -> object:
        window = self.inbound.window
        return window.highest, window._seen, self.inbound.octets

    def parts(self) -> Iterable[Any]:
        return [self.inbound]
