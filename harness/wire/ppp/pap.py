"""PAP (RFC 1334 §2): the password in clear, one table for the peer and the authenticator.

Wire form: Authenticate-Request is length (1) | peer ID | length (1) | password; Ack and Nak are length (1) | message.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import ClassVar

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.config import Entropy, PppConfig
from harness.wire.machine import Machine, Table
from harness.wire.ppp.authentication import Exchange
from harness.wire.ppp.authority import Claim, Decision
from harness.wire.ppp.flavour import GRANTED
from harness.wire.ppp.frame import Protocol
from harness.wire.ppp.packet import Packet, build, parse, readable


class Code(IntEnum):
    REQUEST = 1
    ACK = 2
    NAK = 3


class State(Enum):
    CLOSED = "closed"
    WAIT_RESULT = "wait-result"  # the peer's role
    WAIT_REQUEST = "wait-request"  # the authenticator's role
    WAIT_DECISION = "wait-decision"
    DONE_PEER = "authenticated"
    DONE_AUTHENTICATOR = "has authenticated"
    FAILED = "failed"


class Event(Enum):
    OPEN_PEER = "open as peer"
    OPEN_AUTHENTICATOR = "open as authenticator"
    REQUEST_ASKED = "Authenticate-Request that somebody else has to judge"
    REQUEST_GOOD = "Authenticate-Request that fits"
    REQUEST_BAD = "Authenticate-Request that does not fit"
    ACK = "Authenticate-Ack"
    NAK = "Authenticate-Nak"
    TIMEOUT = "timeout"
    GIVE_UP = "the schedule has ended"
    CLOSE = "close"


class Action(Enum):
    SEND_REQUEST = "send Authenticate-Request"
    SEND_AGAIN = "send again"
    WAIT = "start timer"
    SEND_RESULT = "send Authenticate-Ack or -Nak"
    SUCCEED = "authenticated"
    FAIL = "failed"
    STOP_TIMER = "stop timer"


_FAILED = ((Action.STOP_TIMER, Action.FAIL), State.FAILED)
_ROWS: dict[tuple[State, Event], tuple[tuple[Action, ...], State]] = {
    (State.CLOSED, Event.OPEN_PEER): ((Action.SEND_REQUEST,), State.WAIT_RESULT),
    (State.WAIT_RESULT, Event.ACK): ((Action.STOP_TIMER, Action.SUCCEED), State.DONE_PEER),
    (State.WAIT_RESULT, Event.NAK): _FAILED,
    (State.WAIT_RESULT, Event.TIMEOUT): ((Action.SEND_AGAIN,), State.WAIT_RESULT),
    (State.WAIT_RESULT, Event.GIVE_UP): _FAILED,
    (State.DONE_PEER, Event.ACK): ((), State.DONE_PEER),  # of a request that went out twice
    (State.CLOSED, Event.OPEN_AUTHENTICATOR): ((Action.WAIT,), State.WAIT_REQUEST),
    (State.WAIT_REQUEST, Event.REQUEST_GOOD): (
        (Action.STOP_TIMER, Action.SEND_RESULT, Action.SUCCEED),
        State.DONE_AUTHENTICATOR,
    ),
    (State.WAIT_REQUEST, Event.REQUEST_BAD): ((Action.STOP_TIMER, Action.SEND_RESULT, Action.FAIL), State.FAILED),
    # Until the judge has answered, a request that comes again changes nothing.
    (State.WAIT_REQUEST, Event.REQUEST_ASKED): ((Action.STOP_TIMER,), State.WAIT_DECISION),
    (State.WAIT_DECISION, Event.REQUEST_ASKED): ((), State.WAIT_DECISION),
    (State.WAIT_DECISION, Event.REQUEST_GOOD): ((Action.SEND_RESULT, Action.SUCCEED), State.DONE_AUTHENTICATOR),
    (State.WAIT_DECISION, Event.REQUEST_BAD): ((Action.SEND_RESULT, Action.FAIL), State.FAILED),
    (State.WAIT_REQUEST, Event.TIMEOUT): ((), State.WAIT_REQUEST),
    (State.WAIT_REQUEST, Event.GIVE_UP): _FAILED,
    # RFC 1334 §2.2.1: a request that comes again, because the answer was lost, gets the same answer.
    (State.DONE_AUTHENTICATOR, Event.REQUEST_GOOD): ((Action.SEND_RESULT,), State.DONE_AUTHENTICATOR),
    (State.DONE_AUTHENTICATOR, Event.REQUEST_BAD): ((Action.SEND_RESULT,), State.DONE_AUTHENTICATOR),
    **{(state, Event.CLOSE): ((Action.STOP_TIMER,), State.CLOSED) for state in State},
}
TABLE: Table[State, Event, Action] = Table("pap", State, Event, State.CLOSED, _ROWS)


class Pap(Exchange):
    protocol: ClassVar[Protocol] = Protocol.PAP
    asking_codes: ClassVar[frozenset[int]] = frozenset((Code.REQUEST,))

    def __init__(self, config: PppConfig, method: str, entropy: Entropy, send: Callable[[bytes], None]) -> None:
        super().__init__(config, method, entropy, send)
        self._machine = Machine(TABLE)
        self._identifier = 0
        self._request = b""
        self._verdict: tuple[Code, bytes] = (Code.NAK, b"")

    @property
    def state(self) -> State:
        return self._machine.state

    def open_peer(self, now: float) -> None:
        self._fire(now, Event.OPEN_PEER)

    def open_authenticator(self, now: float) -> None:
        self._authenticates = True
        self._fire(now, Event.OPEN_AUTHENTICATOR)

    def take_over(self, now: float, identifier: int, challenge: bytes, value: bytes, user: str) -> None:
        self.open_authenticator(now)
        self._requested(now, identifier, user, value)

    def close(self, now: float) -> None:
        self._pending = None
        self._fire(now, Event.CLOSE)

    def receive(self, now: float, information: bytes) -> None:
        packet = parse("pap", information)
        reader = Reader("pap", packet.data)
        match packet.code:
            case Code.REQUEST:
                user = readable(reader.take(reader.u8("peer ID length"), "peer ID"))
                password = reader.take(reader.u8("password length"), "password")
                self._requested(now, packet.identifier, user, password)
            case Code.ACK | Code.NAK:
                # RFC 1334 §2.2.2 has a message; some authenticators leave even its length out.
                text = readable(reader.take(reader.u8("message length"), "message")) if reader.left else ""
                if packet.identifier != self._identifier or self._authenticates:
                    raise ProtocolError("pap", f"{Code(packet.code).name} {packet.identifier} answers no request of ours")
                self._answered(now, Code(packet.code), text)
            case _:
                raise ProtocolError("pap", f"code {packet.code} is unknown", 0)

    def _answered(self, now: float, code: Code, text: str) -> None:
        event = Event.ACK if code is Code.ACK else Event.NAK
        if self._machine.state is State.WAIT_RESULT:
            self.message = text if code is Code.ACK else f"PAP failure: {text}" if text else "PAP failure (wrong user or password)"
            if code is Code.NAK:
                self.facts, self.ended_by = {"message": text}, "gateway"
        self._fire(now, event)

    def _requested(self, now: float, identifier: int, user: str, password: bytes) -> None:
        state = self._machine.state
        if (state, Event.REQUEST_GOOD) in TABLE.rows:
            self._identifier = identifier
        if state is State.WAIT_DECISION:
            self._fire(now, Event.REQUEST_ASKED)
        elif state is not State.WAIT_REQUEST:
            self._fire(now, Event.REQUEST_GOOD)  # judged for good: only the result may have been lost
        elif not self._put(now, Claim(self.method, user, identifier, b"", password)):
            self._fire(now, Event.REQUEST_ASKED)

    def _decided(self, now: float, claim: Claim, decision: Decision) -> None:
        self.user, self.message = claim.user, decision.message
        self._verdict = (Code.ACK, GRANTED.encode()) if decision.good else (Code.NAK, b"Access denied")
        self._fire(now, Event.REQUEST_GOOD if decision.good else Event.REQUEST_BAD)

    def _waiting_for(self) -> str:
        return "waits for an Authenticate-Request" if self._authenticates else "transmissions of the Authenticate-Request"

    def _again(self, now: float) -> None:
        self._fire(now, Event.TIMEOUT)

    def _give_up(self, now: float) -> None:
        self._fire(now, Event.GIVE_UP)

    def _fire(self, now: float, event: Event) -> None:
        for action in self._machine.fire(event):
            match action:
                case Action.SEND_REQUEST:
                    self._identifier = self._entropy(1)[0]
                    words = self._config.user.encode(), self._config.password.encode()
                    data = b"".join(bytes((len(word),)) + word for word in words)
                    self._request = build(Packet(Code.REQUEST, self._identifier, data))
                    self._send(self._request)
                    self._timer.start(now, self._request)
                case Action.SEND_AGAIN:
                    self._send(self._request)
                case Action.WAIT:
                    self._timer.start(now, b"")
                case Action.SEND_RESULT:
                    code, text = self._verdict
                    self._send(build(Packet(code, self._identifier, bytes((len(text),)) + text)))
                case Action.SUCCEED:
                    self.outcome = True
                case Action.FAIL:
                    self.outcome = False
                case Action.STOP_TIMER:
                    self._timer.stop()
