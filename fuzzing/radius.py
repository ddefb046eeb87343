"""RADIUS: a client that asks and a server that answers, each in turn hit by what the other never said.

Nobody comes in, and nothing is accounted, by bytes that the other end did not send; every question ends once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

from fuzzing.life import Life, Shot, Violation
from fuzzing.pair import REMEMBERED, passed
from harness.errors import ProtocolError
from harness.model import Secret
from harness.virtual.radius_server import RadiusServer
from harness.wire.events import Refused
from harness.wire.ppp.authority import Claim
from harness.wire.ppp.flavour import FLAVOURS, Asked
from harness.wire.radius import RadiusClient, Server, packet
from harness.wire.radius.attributes import Attribute, attribute
from harness.wire.radius.values import Judged, Noted, Silent, Unanswered

CLIENT, SERVER, NOBODY = "10.0.0.13", "10.0.0.20", "10.0.0.21"
SECRET = b"xyzzy5461"
METHODS = ("pap", "chap-md5", "mschapv1", "mschapv2", "record")
KINDS = (0, 1, 2, 3, 4, 8, 18, 24, 25, 26, 40, 44, 60, 79, 80, 255)


class RadiusLife(Life):
    shots = 120

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        draw = self.setting
        self.client = RadiusClient(draw.randbytes)
        self.server = RadiusServer({CLIENT: Secret(SECRET.decode())}, {"user1": Secret("pw1")}, {"user1": "172.16.5.5"})
        tries, dead = draw.choice((1, 3)), draw.choice((0.0, 60.0))
        self.servers = tuple(Server(address, SECRET, tries=tries, dead_s=dead) for address in (SERVER, NOBODY))
        self.waiting: deque[Shot] = deque(maxlen=REMEMBERED)
        self.crossed: deque[Shot] = deque(maxlen=REMEMBERED)
        self.genuine: set[bytes] = set()
        self.asked: list[int] = []
        self.ended: Counter[int] = Counter()

    def aim(self) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        kind = choice.random()
        if kind < 0.1 or not self.crossed:
            return [Shot(("real", "ask", choice.choice(METHODS), choice.choice(("pw1", "typo"))))]
        if kind < 0.2 and self.waiting:
            return [self.waiting.popleft()]
        if kind < 0.23:
            return [Shot(("tick", choice.choice((0.01, 1.0, 5.0, 31.0))))]
        seen = choice.choice(self.crossed)
        door = ("hostile", *seen.door[1:])
        if kind < 0.27:
            return [Shot(door, mutator.noise())]
        if kind < 0.35:
            return [Shot(door, seen.data)]
        others = [one.data for one in self.crossed]
        return [Shot(door, self._attributes(seen.data) if mutator.chance(0.6) else mutator.spoil(seen.data, others))]

    def _attributes(self, data: bytes) -> bytes:
        """With attributes left out, doubled, changed; the authenticator stays what it was."""
        read, choice = packet.parse(data), self.mutator.choice

        def spoil(one: Attribute) -> Attribute:
            if self.mutator.chance(0.3):
                return Attribute(choice.choice(KINDS), one.value)
            return Attribute(one.type, self.mutator.spoil(one.value)[:240], one.vendor)

        code = read.code if self.mutator.chance(0.7) else choice.randrange(16)
        items = self.mutator.items(read.attributes, read.attributes, spoil)
        try:
            return packet.build(code, read.identifier, read.authenticator, items)
        except ProtocolError:  # more than one packet holds
            return data + bytes(3)

    def take(self, shot: Shot) -> None:
        how, *door = shot.door
        if how == "tick":
            self.now += door[0]
            passed(self.client, self.now)
        elif door[0] == "ask":
            self._ask(door[1], door[2])
        else:
            self.now += 0.0001
            self._arrive(door[0], door[1], door[2], shot.data)
        self._exchange()

    def _ask(self, method: str, password: str) -> None:
        if method == "record":
            said = attribute("acct-status-type", 1), attribute("acct-session-id", f"{len(self.asked)}")
            self.asked.append(self.client.account(self.now, self.servers, said))
            return
        claim = Claim("pap", "user1", 0, b"", password.encode())
        if method != "pap":
            flavour = FLAVOURS[method]
            asked = Asked(len(self.asked) & 0xFF, bytes(range(flavour.challenge_size)), "user1", password)
            claim = Claim(method, "user1", asked.identifier, asked.challenge, flavour.respond(asked, bytes))
        self.asked.append(self.client.authenticate(self.now, self.servers, claim))

    def _arrive(self, end: str, sport: int, dport: int, data: bytes) -> None:
        said = data[: int.from_bytes(data[2:4])] in self.genuine  # what follows the length is padding
        if end == "server":
            before = len(self.server.records)
            self.server.receive(self.now, CLIENT, sport, dport, data)
            if len(self.server.records) > before and not said:
                raise Violation("a record that the client never sent")
        else:
            self.client.receive(self.now, SERVER, sport, dport, data)
            self._hear(trusted=said)

    def _hear(self, *, trusted: bool) -> None:
        for event in self.client.take_events():
            if isinstance(event, Judged | Noted | Unanswered):
                self.ended[event.number] += 1
                if isinstance(event, Judged | Noted) and not trusted:
                    raise Violation(f"{type(event).__name__} by bytes that the server never sent")
            elif not isinstance(event, Refused | Silent):
                raise Violation(f"an event of a kind that is not known: {type(event).__name__}")

    def _exchange(self) -> None:
        self._hear(trusted=False)
        for out in self.client.take_datagrams():
            if out.address == SERVER:
                self._cross("server", out.sport, out.dport, out.payload)
        for out in self.server.take_datagrams():
            self._cross("client", out.sport, out.dport, out.payload)

    def _cross(self, end: str, sport: int, dport: int, data: bytes) -> None:
        shot = Shot(("real", end, sport, dport), data)
        self.genuine.add(data)
        self.crossed.append(shot)
        self.waiting.append(shot)

    def check(self) -> None:
        if any(times > 1 for times in self.ended.values()):
            raise Violation("a question that ended twice")

    def end(self) -> None:
        for _ in range(1000):
            due = self.client.deadline
            if due is None:
                break
            self.now = max(self.now, due)
            passed(self.client, self.now)
            self._exchange()
        if set(self.ended) != set(self.asked):
            raise Violation("a question without an end")
        self.check()

    def parts(self) -> Iterable[Any]:
        return [self.client, self.server]
