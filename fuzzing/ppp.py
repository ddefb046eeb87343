"""PPP: either end of a link, in any state from its first Configure-Request to its end, with any authentication."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzing import formats
from fuzzing.life import Shot, Violation
from fuzzing.pair import PairLife
from harness.wire.config import PppConfig
from harness.wire.ppp import PppCore

AUTHENTICATIONS = ("mschapv2", "mschapv1", "chap-md5", "pap", None)


class PppLife(PairLife):
    shots = 80
    real_share = 0.15
    opening_messages = 14

    def build(self) -> None:
        draw = self.setting
        demand = draw.choice(AUTHENTICATIONS)
        accept = tuple(name for name in AUTHENTICATIONS if name is not None)
        client = PppConfig("user1", "pw1", accept=accept, echo_s=draw.choice((None, 10.0)), request_nbns=draw.random() < 0.5)
        server = PppConfig(
            "user9", "pw9", accept=draw.choice(((), accept)), demand=demand, secrets={"user1": draw.choice(("pw1", "other"))},
            name="lns", retries=draw.choice((0, 2)), local_address="172.16.1.1", assign="172.16.1.10", assign_dns=("172.16.1.1",),
            request_dns=False, echo_s=draw.choice((None, 30.0)),
        )  # fmt: skip
        ends = [PppCore(client, draw.randbytes), PppCore(server, draw.randbytes)]
        draw.shuffle(ends)
        self.target, self.friend = ends
        self.target.open(self.now)
        self.friend.open(self.now)

    def collect(self, core: Any) -> list[Shot]:
        core.take_events()
        return [Shot(("real",), frame) for frame in core.take_frames()]

    def answer(self, shot: Shot) -> None:
        self.friend.receive(self.now, shot.data)

    def deliver(self, shot: Shot) -> None:
        self.target.receive(self.now, shot.data)

    def hostile(self) -> Sequence[Shot]:
        seen = list(self.crossed)
        kind = self.mutator.choice.random()
        if not seen or kind < 0.03:
            return [Shot(("noise",), self.mutator.noise())]
        data = self.mutator.choice.choice(seen)
        if kind < 0.13:
            return [Shot(("replay",), data)]
        return [Shot(("spoilt",), formats.ppp(self.mutator, data, seen) if kind < 0.8 else self.mutator.spoil(data, seen))]

    def check(self) -> None:
        address = self.target.address
        if address is not None:
            frame = self.target.send_ip(b"\x45" + bytes(19))
            if frame is None or len(frame) < 21:
                raise Violation("IP does not flow though the link is up")
