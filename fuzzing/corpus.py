"""L2TP messages and PPP frames of one real connection, from its first to its last: what insiders begin with."""

from __future__ import annotations

import random

from harness.wire.config import L2tpConfig, PppConfig
from harness.wire.l2tp import L2tpCore, header
from harness.wire.ppp import PppCore


def _recorded() -> tuple[list[tuple[bool, bytes]], list[bytes]]:
    """(L2TP messages: whether it is for a tunnel, and its body; PPP frames, of both sides)."""
    draw = random.Random(1)
    lac, lns = (L2tpCore(L2tpConfig(name), draw.randbytes) for name in ("lac", "lns"))
    here = PppCore(PppConfig("user1", "pw1"), draw.randbytes)
    server = PppConfig(
        "", "", accept=(), demand="mschapv2", secrets={"user1": "pw1"}, name="lns", local_address="172.16.1.1", assign="172.16.1.10"
    )
    there = PppCore(server, draw.randbytes)
    messages, frames = list[tuple[bool, bytes]](), list[bytes]()
    lac.start(0.0)
    here.open(0.0)
    there.open(0.0)
    for step in range(12):
        if step == 8:
            lac.hang_up(0.0, lac.session_local)
            lac.close(0.0)
            here.close(0.0)
        for packet in lac.take_packets():
            arrived = header.parse(packet)
            if arrived.body:
                messages.append((bool(arrived.tunnel), arrived.body))
            lns.receive(0.0, packet)
        for packet in lns.take_packets():
            lac.receive(0.0, packet)
        for data in here.take_frames():
            frames.append(data)
            there.receive(0.0, data)
        for data in there.take_frames():
            frames.append(data)
            here.receive(0.0, data)
    hello = bytes.fromhex("800800000000") + (6).to_bytes(2)
    return [*messages, (True, hello)], frames


MESSAGES, FRAMES = _recorded()
