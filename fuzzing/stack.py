"""The whole client: on the way up, up, and on the way down; with IPsec and without. Strangers change nothing of a client who is up;
a hostile gateway, who has the keys, may end it, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fuzzing import formats
from fuzzing.corpus import FRAMES, MESSAGES
from fuzzing.ike import HostilePeer, writing
from fuzzing.life import Life, Shot, Violation
from fuzzing.pair import passed
from fuzzing.world import GATEWAY, NAT, PPP, World, settings
from harness.wire import ip
from harness.wire.l2tp import header
from harness.wire.stack import State


class StackLife(Life):
    shots = 250

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        draw = self.setting
        self.peer = HostilePeer(self.mutator)
        self.world = World(settings(draw.choice(("demux", "demux", "clear"))), draw)
        self.client = self.world.add(1)
        self.client.stopped = True
        self.world.settle()
        with writing(self.peer.hear):
            for _ in range(draw.choice((0, 3, 6, 9, 12, 15, 20, 40, 40, 40))):
                self.world.release(self.client, 1)
        if self.client.up:
            self.world.release(self.client)
        if draw.random() < 0.1:
            self.client.stopped = True
            self.client.stack.close(self.world.now)
            self.world.settle()
        self.hostile_gateway = not self.client.up or draw.random() < 0.6

    def aim(self) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        if mutator.chance(0.01):
            return [Shot(("tick", choice.choice((0.1, 1.0, 10.0))))]
        if self.client.held and mutator.chance(0.05):
            return [Shot(("real",))]
        if self.hostile_gateway and mutator.chance(0.6):
            made = self._insider()
            if made is not None:
                return [made]
        seen = list(self.world.received) or list(self.world.sent)
        if not seen or mutator.chance(0.04):
            return [Shot((choice.choice((500, 4500, 1701, 0, 9)), 17), mutator.noise())]
        packet = choice.choice(seen)
        others = [choice.choice(seen).payload for _ in range(3)]
        data = packet.payload if mutator.chance(0.1) else mutator.spoil(packet.payload, others)
        own = packet.sport if mutator.chance(0.9) else choice.choice((500, 4500, 1701, 0))
        if not self.world.ipsec and not self.hostile_gateway:
            own = 500  # in the clear, whoever speaks to its port speaks as the gateway
        return [Shot((own, choice.choice((17,) * 9 + (50, 51))), data)]

    def _insider(self) -> Shot | None:
        choice, mutator, gateway = self.mutator.choice, self.mutator, self.world.gateway
        if not self.world.ipsec:
            return Shot((1701, 17), self._l2tp())
        associations = list(gateway.ipsec.associations)
        if associations and (not len(gateway.ipsec.sadb.by_spi) or mutator.chance(0.4)):
            own: Any = associations[0].core._all
            if not own.sas:
                return None
            sa = own.sas[-1]
            spis = [spi for pair in own.pairs for spi in (pair.spi_out, pair.spi_in)]
            more = [(12, b"\0\0\0\1\3\4\0\1" + spi) for spi in spis] + [(12, b"\0\0\0\1\1\x10\0\1" + sa.cookies)]
            return Shot((4500, 17), bytes(4) + self.peer.sealed(sa.keys, sa.last_block, sa.cookies, more))
        for sa in gateway.ipsec.sadb:
            payload = ip.build_udp(ip.packed(GATEWAY), ip.packed(NAT), 1701, 1701, self._l2tp())
            if mutator.chance(0.08):
                payload = mutator.spoil(payload)
            return Shot((4500, 17), sa.outbound.seal(17 if mutator.chance(0.95) else choice.randrange(256), payload))
        return None

    def _l2tp(self) -> bytes:
        choice, mutator = self.mutator.choice, self.mutator
        core = self.client.stack._l2tp
        channel = core._channel
        if mutator.chance(0.4):
            frame = formats.ppp(mutator, choice.choice(FRAMES), FRAMES)
            if mutator.chance(0.2):
                echo = ip.build_echo(ip.Echo(True, 1, 1, b"from a gateway"))
                echo = ip.build_ipv4(PPP, self.client.stack.address or PPP, 1, echo)
                frame = b"\xff\x03\x00\x21" + formats.inner(mutator, echo)
            return header.build_data(core.tunnel_local, core.session_local, frame)
        messages = [
            header.build_control(core.tunnel_local, core.session_local, channel._nr, channel._first, body) for _, body in MESSAGES
        ]
        return formats.l2tp(mutator, choice.choice(messages), messages)

    def take(self, shot: Shot) -> None:
        world, stack = self.world, self.client.stack
        match shot.door[0]:
            case "tick":
                world.run(shot.door[1])
            case "real":
                self.world.release(self.client, 1)
            case port:
                world.now += 0.001
                stack.receive(world.now, port, shot.data, shot.door[1])
                if stack.deadline is not None and stack.deadline <= world.now:
                    passed(stack, world.now)
                # What it answers to hostile words, the gateway need not hear: theirs is no conversation.
                stack.take_datagrams()
                stack.take_events()

    def check(self) -> None:
        if not self.hostile_gateway and not self.world.ping(self.client):
            raise Violation(f"strangers have ended a client who was up: it is {self.client.stack.state.value}")

    def end(self) -> None:
        stack, until = self.client.stack, self.world.now + 3600.0
        stack.close(self.world.now)
        for _ in range(1000):
            due = stack.deadline
            if due is None:
                if stack.state not in (State.ENDED, State.SILENT):
                    raise Violation(f"closed, nothing is due, and yet it is {stack.state.value}")
                return
            if due > until:
                break
            self.world.now = max(self.world.now, due)
            passed(stack, self.world.now)
            stack.take_datagrams()
            stack.take_events()
        raise Violation("an orderly end does not come to its end")

    def parts(self) -> Iterable[Any]:
        return [self.client.stack]
