"""CHAP (RFC 1994) in its three flavours: one table for the peer and the authenticator.

Wire form of Challenge and Response: value size (1) | value | name; what the value holds is the flavour's business.
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
from harness.wire.ppp.flavour import FLAVOURS, GRANTED, Asked, denial, denied
from harness.wire.ppp.frame import Protocol
from harness.wire.ppp.packet import Packet, build, parse, readable


class Code(IntEnum):
    CHALLENGE = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


class State(Enum):
    CLOSED = "closed"
    WAIT_CHALLENGE = "wait-challenge"  # the peer's role
    WAIT_RESULT = "wait-result"
    WAIT_RESPONSE = "wait-response"  # the authenticator's role
    WAIT_DECISION = "wait-decision"
    DONE_PEER = "authenticated"
    DONE_AUTHENTICATOR = "has authenticated"
    FAILED = "failed"


class Event(Enum):
    OPEN_PEER = "open as peer"
    OPEN_AUTHENTICATOR = "open as authenticator"
    TAKE_OVER = "open as authenticator, after somebody else's Challenge"
    CHALLENGE = "Challenge"
    RESPONSE_ASKED = "Response that somebody else has to judge"
    RESPONSE_GOOD = "Response that fits"
    RESPONSE_BAD = "Response that does not fit"
    RESPONSE_MISSED = "Response that does not fit, with another attempt allowed"
    RESPONSE_REPEATED = "Response that has been judged"
    SUCCESS = "Success"
    SUCCESS_FORGED = "Success without proof of the password"
    FAILURE = "Failure"
    FAILURE_OPEN = "Failure that allows another attempt, and there is another password"
    TIMEOUT = "timeout"
    GIVE_UP = "the schedule has ended"
    CLOSE = "close"


class Action(Enum):
    SEND_CHALLENGE = "send Challenge"
    SEND_RESPONSE = "send Response"
    SEND_AGAIN = "send again"
    SEND_RESULT = "send Success or Failure"
    SEND_CHANCE = "send Failure with a new challenge, and wait"
    SUCCEED = "authenticated"
    FAIL = "failed"
    STOP_TIMER = "stop timer"


_WAITING = (State.WAIT_CHALLENGE, State.WAIT_RESULT, State.WAIT_RESPONSE)
_FAILED = ((Action.STOP_TIMER, Action.FAIL), State.FAILED)
_ROWS: dict[tuple[State, Event], tuple[tuple[Action, ...], State]] = {
    (State.CLOSED, Event.OPEN_PEER): ((), State.WAIT_CHALLENGE),
    (State.WAIT_CHALLENGE, Event.CHALLENGE): ((Action.SEND_RESPONSE,), State.WAIT_RESULT),
    # The authenticator repeats its Challenge when our Response, or its result, was lost.
    (State.WAIT_RESULT, Event.CHALLENGE): ((Action.SEND_RESPONSE,), State.WAIT_RESULT),
    (State.WAIT_RESULT, Event.SUCCESS): ((Action.STOP_TIMER, Action.SUCCEED), State.DONE_PEER),
    (State.WAIT_RESULT, Event.SUCCESS_FORGED): _FAILED,
    (State.WAIT_RESULT, Event.FAILURE): _FAILED,
    (State.WAIT_RESULT, Event.FAILURE_OPEN): ((Action.SEND_RESPONSE,), State.WAIT_RESULT),
    # RFC 1994 §2: challenges may come at any time while the link is up, and are answered.
    (State.DONE_PEER, Event.CHALLENGE): ((Action.SEND_RESPONSE,), State.DONE_PEER),
    (State.DONE_PEER, Event.SUCCESS): ((Action.STOP_TIMER,), State.DONE_PEER),
    (State.DONE_PEER, Event.SUCCESS_FORGED): _FAILED,
    (State.DONE_PEER, Event.FAILURE): _FAILED,
    (State.DONE_PEER, Event.TIMEOUT): ((Action.SEND_AGAIN,), State.DONE_PEER),
    (State.DONE_PEER, Event.GIVE_UP): _FAILED,
    (State.CLOSED, Event.OPEN_AUTHENTICATOR): ((Action.SEND_CHALLENGE,), State.WAIT_RESPONSE),
    (State.CLOSED, Event.TAKE_OVER): ((), State.WAIT_RESPONSE),
    (State.WAIT_RESPONSE, Event.RESPONSE_GOOD): (
        (Action.STOP_TIMER, Action.SEND_RESULT, Action.SUCCEED),
        State.DONE_AUTHENTICATOR,
    ),
    (State.WAIT_RESPONSE, Event.RESPONSE_BAD): (
        (Action.STOP_TIMER, Action.SEND_RESULT, Action.FAIL),
        State.FAILED,
    ),
    # Whoever is asked answers in the end, and the peer waits as long as its own schedule lasts.
    (State.WAIT_RESPONSE, Event.RESPONSE_ASKED): ((Action.STOP_TIMER,), State.WAIT_DECISION),
    (State.WAIT_DECISION, Event.RESPONSE_GOOD): ((Action.SEND_RESULT, Action.SUCCEED), State.DONE_AUTHENTICATOR),
    (State.WAIT_DECISION, Event.RESPONSE_BAD): ((Action.SEND_RESULT, Action.FAIL), State.FAILED),
    (State.WAIT_DECISION, Event.RESPONSE_MISSED): ((Action.SEND_CHANCE,), State.WAIT_RESPONSE),
    (State.WAIT_DECISION, Event.RESPONSE_REPEATED): ((), State.WAIT_DECISION),
    # RFC 2433 §6, RFC 2759 §6: R=1 with a new challenge, which the next Response answers.
    (State.WAIT_RESPONSE, Event.RESPONSE_MISSED): ((Action.SEND_CHANCE,), State.WAIT_RESPONSE),
    (State.WAIT_RESPONSE, Event.RESPONSE_REPEATED): ((Action.SEND_RESULT,), State.WAIT_RESPONSE),
    # RFC 1994 §4.2: a Response that comes again gets the same result again.
    (State.DONE_AUTHENTICATOR, Event.RESPONSE_GOOD): ((Action.SEND_RESULT,), State.DONE_AUTHENTICATOR),
    (State.DONE_AUTHENTICATOR, Event.RESPONSE_BAD): ((Action.SEND_RESULT,), State.DONE_AUTHENTICATOR),
    **{(state, Event.TIMEOUT): ((Action.SEND_AGAIN,), state) for state in (State.WAIT_RESULT, State.WAIT_RESPONSE)},
    **{(state, Event.GIVE_UP): _FAILED for state in (State.WAIT_RESULT, State.WAIT_RESPONSE)},
    **{(state, Event.CLOSE): ((Action.STOP_TIMER,), State.CLOSED) for state in State},
}
TABLE: Table[State, Event, Action] = Table("chap", State, Event, State.CLOSED, _ROWS)


class Chap(Exchange):
    protocol: ClassVar[Protocol] = Protocol.CHAP
    asking_codes: ClassVar[frozenset[int]] = frozenset((Code.RESPONSE,))

    def __init__(self, config: PppConfig, method: str, entropy: Entropy, send: Callable[[bytes], None]) -> None:
        super().__init__(config, method, entropy, send)
        self._flavour = FLAVOURS[method]
        self._machine = Machine(TABLE)
        self._identifier = 0
        self._challenge = b""
        self._packet = b""  # what is sent again
        self._result = b""
        # the peer's role
        self._answered: tuple[int, bytes] | None = None  # the challenge that `_packet` answers
        self._passwords = [config.password, *config.retry_passwords]
        self._value = b""
        # the authenticator's role
        self._chances = config.retries
        self._judged: tuple[int, bytes] | None = None

    @property
    def state(self) -> State:
        return self._machine.state

    def open_peer(self, now: float) -> None:
        self._fire(now, Event.OPEN_PEER)

    def open_authenticator(self, now: float) -> None:
        self._authenticates = True
        self._identifier = self._entropy(1)[0]
        self._challenge = self._entropy(self._flavour.challenge_size)
        self._fire(now, Event.OPEN_AUTHENTICATOR)

    def take_over(self, now: float, identifier: int, challenge: bytes, value: bytes, user: str) -> None:
        self._authenticates = True
        self._identifier, self._challenge = identifier, challenge
        self._fire(now, Event.TAKE_OVER)
        self._responded(now, Packet(Code.RESPONSE, identifier, bytes((len(value),)) + value + user.encode()))

    def close(self, now: float) -> None:
        self._pending = None
        self._fire(now, Event.CLOSE)

    def receive(self, now: float, information: bytes) -> None:
        packet = parse("chap", information)
        match packet.code:
            case Code.CHALLENGE:
                self._challenged(now, packet)
            case Code.RESPONSE:
                self._responded(now, packet)
            case Code.SUCCESS:
                self._match(packet)
                self._succeeded(now, readable(packet.data))
            case Code.FAILURE:
                self._match(packet)
                self._failed(now, readable(packet.data))
            case _:
                raise ProtocolError("chap", f"code {packet.code} is unknown", 0)

    # The peer's role

    def _challenged(self, now: float, packet: Packet) -> None:
        reader = Reader("chap", packet.data)
        value = reader.take(reader.u8("value size"), "challenge")
        if not self._flavour.takes(value):
            raise ProtocolError("chap", f"a challenge of {len(value)} bytes")
        if (self._machine.state, Event.CHALLENGE) in TABLE.rows and self._answered != (packet.identifier, value):
            self._respond(packet.identifier, value)
        self._fire(now, Event.CHALLENGE)

    def _respond(self, identifier: int, challenge: bytes) -> None:
        self._identifier, self._challenge = identifier, challenge
        self._answered = identifier, challenge
        self._value = self._flavour.respond(self._asked, self._entropy)
        data = bytes((len(self._value),)) + self._value + self._config.user.encode()
        self._packet = build(Packet(Code.RESPONSE, identifier, data))

    @property
    def _asked(self) -> Asked:
        return Asked(self._identifier, self._challenge, self._config.user, self._passwords[0])

    def _match(self, packet: Packet) -> None:
        if self._answered is None or packet.identifier != self._identifier:
            raise ProtocolError("chap", f"{Code(packet.code).name} {packet.identifier} answers no Response of ours")

    def _succeeded(self, now: float, text: str) -> None:
        message = self._flavour.proven(self._asked, self._value, text)
        if message is None:
            title = self._flavour.title
            self.message = f"{title} Success with a wrong authenticator response (the gateway does not know the password)"
        else:
            self.message = message
        self._fire(now, Event.SUCCESS_FORGED if message is None else Event.SUCCESS)

    def _failed(self, now: float, text: str) -> None:
        self.message, facts = denial(self._flavour, text)
        again = facts.pop("challenge", "")
        self.facts, self.ended_by = {"message": text} | facts, "gateway"
        if len(self._passwords) > 1 and facts.get("retry") == "1" and self._machine.state is State.WAIT_RESULT:
            try:
                challenge = bytes.fromhex(again)
            except ValueError:
                challenge = b""
            if self._flavour.takes(challenge):
                del self._passwords[0]
                self._respond((self._identifier + 1) & 0xFF, challenge)
                self._fire(now, Event.FAILURE_OPEN)
                return
        self._fire(now, Event.FAILURE)

    # The authenticator's role

    def _responded(self, now: float, packet: Packet) -> None:
        reader = Reader("chap", packet.data)
        value = reader.take(reader.u8("value size"), "response")
        user = readable(reader.rest())
        after_failure = self._judged is not None and packet.identifier == (self._identifier + 1) & 0xFF
        if (packet.identifier != self._identifier and not after_failure) or len(value) != self._flavour.value_size:
            raise ProtocolError("chap", f"Response {packet.identifier} of {len(value)} bytes fits no Challenge of ours")
        if self._machine.state is State.WAIT_DECISION or (self._waits and self._judged == (packet.identifier, value)):
            self._fire(now, Event.RESPONSE_REPEATED)
        elif not self._waits:
            self._fire(now, Event.RESPONSE_GOOD)  # judged for good: only the result may have been lost
        elif not self._put(now, Claim(self.method, user, packet.identifier, self._challenge, value)):
            self._fire(now, Event.RESPONSE_ASKED)

    @property
    def _waits(self) -> bool:
        return self._machine.state is State.WAIT_RESPONSE

    def _decided(self, now: float, claim: Claim, decision: Decision) -> None:
        self.user, self._identifier, self._judged = claim.user, claim.identifier, (claim.identifier, claim.value)
        self.message, good = decision.message, decision.good
        if good:
            event, text = Event.RESPONSE_GOOD, decision.text or GRANTED
        else:
            retry = self._chances > 0 and self._flavour.version is not None
            event = Event.RESPONSE_MISSED if retry else Event.RESPONSE_BAD
            self._chances -= 1
            self._challenge = self._entropy(self._flavour.challenge_size)
            text = denied(self._flavour, self._challenge, retry=retry, error=decision.error)
        self._result = build(Packet(Code.SUCCESS if good else Code.FAILURE, claim.identifier, text.encode()))
        self._fire(now, event)

    # Both

    def _waiting_for(self) -> str:
        return f"transmissions of the {'Challenge' if self._authenticates else 'Response'}"

    def _again(self, now: float) -> None:
        self._fire(now, Event.TIMEOUT)

    def _give_up(self, now: float) -> None:
        self._fire(now, Event.GIVE_UP)

    def _fire(self, now: float, event: Event) -> None:
        for action in self._machine.fire(event):
            match action:
                case Action.SEND_CHALLENGE:
                    value = bytes((len(self._challenge),)) + self._challenge + self._config.name.encode()
                    self._packet = build(Packet(Code.CHALLENGE, self._identifier, value))
                    self._send(self._packet)
                    self._timer.start(now, self._packet)
                case Action.SEND_RESPONSE:
                    self._send(self._packet)
                    self._timer.start(now, self._packet)
                case Action.SEND_CHANCE:
                    self._packet = self._result
                    self._send(self._packet)
                    self._timer.start(now, self._packet)
                case Action.SEND_AGAIN:
                    self._send(self._packet)
                case Action.SEND_RESULT:
                    self._send(self._result)
                case Action.SUCCEED:
                    self.outcome = True
                case Action.FAIL:
                    self.outcome = False
                case Action.STOP_TIMER:
                    self._timer.stop()
