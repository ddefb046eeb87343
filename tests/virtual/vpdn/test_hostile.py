"""Whatever comes from outside, a router with VPDN groups raises nothing, and its live session stays."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from vpdn_bench import ACCEPT, LAC, LNS, REQUEST

from harness.simulation.access_box import CallerBox
from harness.virtual.vpdn import view
from harness.virtual.vpdn.caller import Caller
from harness.wire import ip
from harness.wire.config import PppConfig
from harness.wire.l2tp import header
from harness.wire.l2tp.message import Type, build
from harness.wire.packet import Packet
from harness.wire.ppp.handover import Handover, is_echo


def test_noise_on_every_entrance(bench) -> None:
    """On the clear port, as ICMP, as a caller's frames: mutated messages of each kind, and pure noise."""
    world = bench(replace(ACCEPT, pmtu=True), replace(REQUEST, pmtu=True))
    caller = world.call()
    (tunnel,) = view.of(world.loop.time(), world.lns.core).tunnels
    dice = random.Random(3)
    seeds = [
        header.build_control(0, 0, 0, 0, build(Type.SCCRQ, {"protocol-version": 256, "host-name": "LAC", "assigned-tunnel-id": 5})),
        header.build_data(tunnel.number, tunnel.sessions[0].number, b"\xff\x03\xc0\x21\1\1\0\4"),
        bytes((3, 4, 0, 0, 0, 0, 3, 0, 0x45)) + bytes(40),
        b"",
    ]
    lines = world.lac.core.lac.count
    for number in range(1500):
        noise = bytearray(dice.choice(seeds) or dice.randbytes(dice.randrange(60)))
        for _ in range(dice.randrange(4)):
            if noise:
                noise[dice.randrange(len(noise))] = dice.randrange(256)
        data = bytes(noise[: dice.randrange(len(noise) + 1)])
        protocol = ip.ICMP if number % 3 == 0 else ip.UDP
        for box, source in ((world.lns, LAC), (world.lac, LNS)):
            packet = Packet(source, LNS if box is world.lns else LAC, protocol, data, 1701, 1701 if protocol == ip.UDP else 0)
            box.order(lambda now, box=box, packet=packet: box.core.receive(now, packet))
        world.lac.order(lambda now, data=data: world.lac.core.receive_line(now, lines + 1, data))
    world.run(1.0)
    assert world.ping(caller)
    assert sum(view.of(world.loop.time(), world.lns.core).ignored.values()) > 100


class Mute(Caller):
    """It picks up, and that is all."""

    def dial(self, now: float) -> None:
        """Nothing is said."""

    def receive(self, now: float, frame: bytes | None) -> None:
        self.down = self.down or frame is None


def test_noise_on_a_line(bench) -> None:
    """A caller that speaks no PPP gets no further than LCP."""
    world = bench()
    dice = random.Random(4)
    caller = CallerBox(world.loop, Mute(PppConfig("", ""), dice.randbytes), world.lac)
    caller.dial()
    for _ in range(500):
        head = dice.choice((b"", b"\xff\x03\xc0\x21", b"\xff\x03\xc2\x23", b"\xff\x03\xc0\x23", b"\xff\x03\x00\x21"))
        frame = head + dice.randbytes(dice.randrange(30))
        world.lac.from_line(caller.number, frame)
    world.run(60.0)
    assert caller.core.down
    assert world.since() == []
    assert not world.lac.core.lac.lines


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([b"", b"\xc0\x21", b"\xc2\x23", b"\xc0\x23"]), st.binary(max_size=40))))
@settings(max_examples=200, deadline=None)
def test_a_handover_takes_any_frames(frames) -> None:
    handover = Handover()
    for incoming, head, rest in frames:
        (handover.incoming if incoming else handover.outgoing)(head + rest)
        is_echo(head + rest)
    if handover.answered:
        assert handover.proxy().authen_type is not None
