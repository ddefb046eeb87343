"""PPP over Ethernet: hosts on one card and a concentrator, hit by frames that neither has sent, all of them on one wire.

A session opens once and closes once, nothing comes of one that is not open, and there are never more than there may be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from fuzzing.life import Life, Shot, Violation
from fuzzing.pair import REMEMBERED, passed
from harness.errors import ProtocolError
from harness.wire.pppoe import Arrived, Closed, Concentrator, Host, Opened, packet
from harness.wire.pppoe.host import State
from harness.wire.pppoe.packet import Code, Frame, Tag

HOSTS, LAC = (b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"), b"\x02\0\0\0\0\x0a"
MOST = 6
LCP = b"\xff\x03\xc0\x21\x09\x01\x00\x08\0\0\0\0"


class PppoeLife(Life):
    shots = 150

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        draw = self.setting
        service = draw.choice(("", "internet"))
        self.concentrator = Concentrator("LAC", LAC, draw.randbytes, most=MOST, per_host=draw.choice((MOST, 2)))
        self.hosts = [Host(draw.choice(HOSTS), draw.randbytes, service=service) for _ in range(draw.randrange(1, 4))]
        self.waiting: deque[Shot] = deque(maxlen=REMEMBERED)
        self.crossed: deque[bytes] = deque(maxlen=REMEMBERED)
        self.open: set[int] = set()
        for host in self.hosts:
            host.open(self.now)
        self._exchange()

    def aim(self) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        kind = choice.random()
        if kind < 0.12 and self.waiting:
            return [self.waiting.popleft()]
        if kind < 0.16:
            return [Shot(("tick", choice.choice((0.01, 1.0, 3.0, 9.0))))]
        if kind < 0.2:
            return [Shot(("real", choice.choice(("send", "close")), choice.randrange(len(self.hosts))))]
        if kind < 0.24 or not self.crossed:
            return [Shot(("hostile",), choice.choice((*HOSTS, LAC, packet.BROADCAST)) + mutator.noise())]
        seen = choice.choice(self.crossed)
        spoiled = self._tags(seen) if mutator.chance(0.5) else mutator.spoil(seen, self.crossed)
        return [Shot(("hostile",), seen if mutator.chance(0.1) else spoiled)]

    def _tags(self, data: bytes) -> bytes:
        """With tags left out, doubled and changed, and now and then another code, session or end."""
        read, mutator = packet.parse(data), self.mutator
        choice = mutator.choice

        def spoil(one: tuple[int, bytes]) -> tuple[int, bytes]:
            kind = choice.choice([*Tag, 0x0999]) if mutator.chance(0.3) else one[0]
            return kind, mutator.spoil(one[1])[:200] if mutator.chance(0.6) else one[1]

        code = choice.choice([*Code, 0x33]) if mutator.chance(0.2) else read.code
        session = choice.choice((0, 1, 2, 3, packet.NOBODY)) if mutator.chance(0.3) else read.session
        dst = choice.choice((*HOSTS, LAC, packet.BROADCAST)) if mutator.chance(0.2) else read.dst
        tags = tuple(mutator.items(read.tags, read.tags, spoil))
        try:
            return packet.build(Frame(dst, read.src, code, session, tags, read.payload))
        except ProtocolError:  # more than a frame holds
            return data + bytes(3)

    def take(self, shot: Shot) -> None:
        how, *door = shot.door
        if how == "tick":
            self.now += door[0]
            for host in self.hosts:
                passed(host, self.now)
        elif how == "real" and door:
            host = self.hosts[door[1]]
            if door[0] == "send":
                host.send(LCP)
            elif host.state is not State.IDLE:
                host.close(self.now)
        else:
            self._arrive(shot.data)
        self._exchange()

    def _arrive(self, data: bytes) -> None:
        with suppress(ProtocolError):
            self.concentrator.receive(data)
        self._hear()
        for host in self.hosts:
            with suppress(ProtocolError):
                host.receive(self.now, data)
            if host.take_ppp() and host.state not in (State.OPEN, State.OVER):
                raise Violation("PPP came to a host that has no session")

    def _hear(self) -> None:
        for event in self.concentrator.take_events():
            there = event.session in self.open
            match event:
                case Opened():
                    if there or not 0 < event.session < packet.NOBODY:
                        raise Violation(f"session {event.session} was opened, and {'was open' if there else 'is none'}")
                    self.open.add(event.session)
                case Arrived() | Closed():
                    if not there:
                        raise Violation(f"{type(event).__name__} of session {event.session}, which is not open")
                    if isinstance(event, Closed):
                        self.open.discard(event.session)

    def _exchange(self) -> None:
        for end in (self.concentrator, *self.hosts):
            for data in end.take_frames():
                self.crossed.append(data)
                self.waiting.append(Shot(("real",), data))

    def check(self) -> None:
        if self.open != set(self.concentrator.sessions) or len(self.open) > MOST:
            raise Violation(f"{len(self.open)} sessions were opened, and there are {len(self.concentrator.sessions)}")

    def end(self) -> None:
        for _ in range(100):
            due = min((host.deadline for host in self.hosts if host.deadline is not None), default=None)
            if due is None:
                break
            self.now = max(self.now, due)
            for host in self.hosts:
                passed(host, self.now)
            self._exchange()
        if any(host.state not in (State.OPEN, State.OVER) for host in self.hosts):
            raise Violation("a host that neither has a session nor has given up")

    def parts(self) -> Iterable[Any]:
        return (self.concentrator, *self.hosts)
