"""L2TP: LAC or LNS, with and without a secret and hidden AVPs, in any state of tunnel and call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzing import formats
from fuzzing.life import Shot, Violation
from fuzzing.pair import PairLife
from harness.wire.config import L2tpConfig
from harness.wire.l2tp import L2tpCore, header

MOST_CALLS = 4
HIDDEN = frozenset(("host-name", "assigned-tunnel-id", "assigned-session-id", "call-serial-number", "tx-connect-speed"))
HIDEABLE = HIDDEN - {"host-name"}
DATA = bytes.fromhex("ff030021450000180001000040010000ac10010aac1001010000ffff")


class L2tpLife(PairLife):
    shots = 80
    real_share = 0.12
    opening_messages = 8

    def build(self) -> None:
        draw = self.setting
        secret = draw.choice((b"", b"secret"))
        hide = HIDEABLE if secret and draw.random() < 0.5 else frozenset[str]()
        config: dict[str, Any] = {
            "secret": secret, "challenge": bool(secret) and draw.random() < 0.5, "hide": hide, "max_sessions": MOST_CALLS,
            "sequencing": draw.choice(("follow", "always")), "data_offset": draw.choice((None, 0, 4)),
        }  # fmt: skip
        lac = L2tpConfig("lac", tie_breaker=draw.random() < 0.3, header_bits=0xCB00, hello_s=draw.choice((0.0, 40.0)), **config)
        lns = L2tpConfig("lns", hello_s=60.0, header_bits=0xCB00, **config)
        ends = [L2tpCore(lac, draw.randbytes), L2tpCore(lns, draw.randbytes)]
        ends[0].start(self.now)
        if draw.random() < 0.05:  # both at once: a tie
            ends[1].start(self.now)
        draw.shuffle(ends)
        self.target, self.friend = ends

    def collect(self, core: Any) -> list[Shot]:
        core.take_events()
        return [Shot(("real",), packet) for packet in core.take_packets()]

    def answer(self, shot: Shot) -> None:
        self.friend.receive(self.now, shot.data)

    def deliver(self, shot: Shot) -> None:
        self.target.receive(self.now, shot.data)

    def hostile(self) -> Sequence[Shot]:
        seen = list(self.crossed)
        kind = self.mutator.choice.random()
        if not seen or kind < 0.02:
            return [Shot(("noise",), self.mutator.noise())]
        if kind < 0.07:
            data = header.build_data(self.target.tunnel_local, self.target.session_local, DATA)
        else:
            data = self.mutator.choice.choice(seen)
        if kind < 0.15:
            return [Shot(("replay",), data)]
        if kind < 0.5 and len(data) >= 12 and data[0] & 0x80:  # in turn: what the target waits for next, so that it is read
            data = data[:4] + self.target.tunnel_local.to_bytes(2) + data[6:8] + self._expected() + data[12:]
            data = data[:2] + len(data).to_bytes(2) + data[4:]
        return [Shot(("spoilt",), formats.l2tp(self.mutator, data, seen) if kind < 0.85 else self.mutator.spoil(data, seen))]

    def _expected(self) -> bytes:
        """Ns and Nr of the message that the target's channel would take next."""
        channel = self.target._channel
        numbers: tuple[int, int] = channel._nr, channel._first
        return b"".join(number.to_bytes(2) for number in numbers)

    def check(self) -> None:
        if len(self.target.calls) > MOST_CALLS:
            raise Violation(f"more than {MOST_CALLS} calls in a tunnel")
