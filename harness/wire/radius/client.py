"""A RADIUS client, sans-IO: questions and `now` in; datagrams, events and a deadline out.

A question goes to the first server, as often as that server's `tries` say, then to the next one. A retransmission is the same
packet again (RFC 2865 §2.5), so that a server knows it for one. What comes in counts only from a server's own address and port,
with an identifier that is out and the authenticator that the secret gives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import ProtocolError
from harness.wire.config import Entropy
from harness.wire.events import Event, Refused
from harness.wire.ppp.authority import Claim, Decision
from harness.wire.radius import credentials, packet
from harness.wire.radius.attributes import Attribute, Attributes, attribute
from harness.wire.radius.health import Health, Tally
from harness.wire.radius.packet import Code, Packet
from harness.wire.radius.values import Judged, Noted, Outgoing, Server, Silent, Unanswered

ACCESS_PORT, ACCOUNTING_PORT = 1645, 1646
"""One's own: what Cisco's routers send from."""
_ANSWERS = {
    True: (Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE),
    False: (Code.ACCOUNTING_RESPONSE,),
}


@dataclass(slots=True, eq=False)
class _Question:
    """`claim` None: an accounting record. `sent`: how often to the present server."""

    number: int
    claim: Claim | None
    attributes: tuple[Attribute, ...]
    untried: list[Server]
    began: float
    server: Server | None = None
    identifier: int = 0
    authenticator: bytes = b""
    data: bytes = b""
    sent: int = 0
    deadline: float | None = None


class _Channel:
    """Between one port of ours and one of a server's: 256 identifiers, and who waits for one. `server` is as it was asked last."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.out: dict[int, _Question] = {}
        self.waiting: deque[_Question] = deque()
        self._next = 0

    def give(self) -> int | None:
        """One that is not out; of those that are free, the one that was used longest ago."""
        for _ in range(256):
            self._next = (self._next + 1) & 0xFF
            if self._next not in self.out:
                return self._next
        return None


Key = tuple[str, int, bool]
"""A server's address and port, and whether it is for access."""


class RadiusClient:
    """`receive` never raises: what it refuses becomes a Refused event. Each question ends with one Judged, Noted or Unanswered.
    `health` is of every server that was ever asked."""

    def __init__(self, entropy: Entropy) -> None:
        self.health: dict[Server, Health] = {}
        self._entropy = entropy
        self._channels: dict[Key, _Channel] = {}
        self._datagrams: list[Outgoing] = []
        self._events: list[Event] = []
        self._numbers = 0

    # What the owner calls

    def authenticate(self, now: float, servers: Sequence[Server], claim: Claim, attributes: Iterable[Attribute] = ()) -> int:
        """Asks about a PPP peer's claim; the question's number. `attributes` are what else the server is told."""
        return self._ask(now, servers, claim, attributes)

    def account(self, now: float, servers: Sequence[Server], attributes: Iterable[Attribute]) -> int:
        """Sends an accounting record; the question's number. Acct-Delay-Time is put in (RFC 2866 §5.2)."""
        return self._ask(now, servers, None, attributes)

    def receive(self, now: float, address: str, sport: int, dport: int, payload: bytes) -> None:
        """A datagram that came from a server's port `sport` to our `dport`."""
        try:
            self._answered(now, address, sport, dport, payload)
        except ProtocolError as error:
            self._events.append(Refused(error.layer, f"{error.reason}, from {address}"))

    def tick(self, now: float) -> None:
        for channel in list(self._channels.values()):
            for question in list(channel.out.values()):
                if question.deadline is not None and question.deadline <= now:
                    self._expired(now, question)

    @property
    def deadline(self) -> float | None:
        times = (one.deadline for channel in self._channels.values() for one in channel.out.values())
        return min((time for time in times if time is not None), default=None)

    def take_datagrams(self) -> list[Outgoing]:
        taken, self._datagrams = self._datagrams, []
        return taken

    def take_events(self) -> list[Event]:
        taken, self._events = self._events, []
        return taken

    # Out

    def _ask(self, now: float, servers: Sequence[Server], claim: Claim | None, attributes: Iterable[Attribute]) -> int:
        self._numbers += 1
        alive = [server for server in servers if server not in self.health or not self.health[server].dead(now)]
        question = _Question(self._numbers, claim, tuple(attributes), alive or list(servers), now)
        self._next_server(now, question)
        return question.number

    def _next_server(self, now: float, question: _Question) -> None:
        if not question.untried:
            question.deadline = None
            self._events.append(Unanswered(question.number))
            return
        question.server, question.sent = question.untried.pop(0), 0
        self.health.setdefault(question.server, Health(now))
        channel = self._channels.setdefault(_key(question.server, question.claim), _Channel(question.server))
        channel.server = question.server
        self._begin(now, channel, question)

    def _begin(self, now: float, channel: _Channel, question: _Question) -> None:
        identifier = channel.give()
        if identifier is None:
            channel.waiting.append(question)
            return
        question.identifier = identifier
        try:
            question.data = self._built(now, question)
        except ProtocolError as error:  # a claim that no packet can carry is no claim
            self._end(question, Decision(False, error.reason, by="radius"), Attributes())
            return
        channel.out[identifier] = question
        self._send(now, question)

    def _built(self, now: float, question: _Question) -> bytes:
        claim, server = question.claim, question.server
        assert server is not None
        if claim is None:
            late = attribute("acct-delay-time", int(now - question.began))
            data = packet.accounting_request(question.identifier, (*question.attributes, late), server.secret)
            question.authenticator = data[4 : packet.HEADER]
            return data
        question.authenticator = self._entropy(16)
        said = (*credentials.proof(claim, question.authenticator, server.secret), *question.attributes)
        return packet.access_request(question.identifier, question.authenticator, said, server.secret)

    def _send(self, now: float, question: _Question) -> None:
        server = question.server
        assert server is not None
        tally = self._tally(question)
        if question.sent:
            tally.again += 1
        else:
            tally.requests += 1
        question.sent += 1
        question.deadline = now + server.timeout_s
        own = ACCOUNTING_PORT if question.claim is None else ACCESS_PORT
        self._datagrams.append(Outgoing(server.address, own, _key(server, question.claim)[1], question.data))

    def _expired(self, now: float, question: _Question) -> None:
        server = question.server
        assert server is not None
        tally = self._tally(question)
        tally.timeouts += 1
        if question.sent < server.tries:
            self._send(now, question)
            return
        tally.failure += 1
        self.health[server].died(now, server.dead_s)
        self._events.append(Silent(question.number, server, _key(server, question.claim)[1]))
        self._release(now, question)
        self._next_server(now, question)

    def _release(self, now: float, question: _Question) -> None:
        """Its identifier is free, for the next one that waits."""
        assert question.server is not None
        channel = self._channels[_key(question.server, question.claim)]
        channel.out.pop(question.identifier, None)
        while channel.waiting and len(channel.out) < 256:
            self._begin(now, channel, channel.waiting.popleft())

    # In

    def _answered(self, now: float, address: str, sport: int, dport: int, payload: bytes) -> None:
        access = dport == ACCESS_PORT
        channel = self._channels.get((address, sport, access))
        if channel is None or dport not in (ACCESS_PORT, ACCOUNTING_PORT):
            raise ProtocolError("radius", "a datagram of no server that was asked")
        tally = self.health[channel.server].of(access=access)
        try:
            answer = packet.parse(payload)
        except ProtocolError:
            tally.malformed += 1
            raise
        question = channel.out.get(answer.identifier)
        if question is None or question.server is None:
            tally.unexpected += 1
            raise ProtocolError("radius", f"code {answer.code} with identifier {answer.identifier}, which nothing waits for", 1)
        if answer.code not in _ANSWERS[access]:
            tally.unexpected += 1
            raise ProtocolError("radius", f"code {answer.code} answers no request of ours", 0)
        try:
            packet.check_response(answer, question.authenticator, question.server.secret)
        except ProtocolError:
            tally.incorrect += 1
            raise
        tally.success += 1
        tally.spent_s += now - ((question.deadline or now) - question.server.timeout_s)
        self.health[question.server].answered(now)
        decision = self._decision(answer, question.claim)
        self._end(question, decision, answer.attributes)
        self._release(now, question)

    def _tally(self, question: _Question) -> Tally:
        assert question.server is not None
        return self.health[question.server].of(access=question.claim is not None)

    @staticmethod
    def _decision(answer: Packet, claim: Claim | None) -> Decision | None:
        if claim is None:
            return None
        if answer.code != Code.ACCESS_ACCEPT:
            return credentials.denied(answer.attributes, claim)
        try:
            return credentials.granted(answer.attributes, claim)
        except ProtocolError as error:  # authentic, and of no use: the peer would not believe us
            return Decision(False, error.reason, by="radius")

    def _end(self, question: _Question, decision: Decision | None, attributes: Attributes) -> None:
        server = question.server
        assert server is not None
        question.deadline = None
        if decision is None:
            self._events.append(Noted(question.number, server))
        else:
            self._events.append(Judged(question.number, decision, server, attributes))


def _key(server: Server, claim: Claim | None) -> Key:
    return server.address, server.acct_port if claim is None else server.auth_port, claim is not None
