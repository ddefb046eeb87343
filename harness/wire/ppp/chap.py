"""CHAP (RFC 1994) with MD5 and MS-CHAPv2 (RFC 2759): one table for the peer and the authenticator, one class a role.

Wire form of Challenge and Response: value size (1) | value | name. An MS-CHAPv2 response is peer challenge (16) | zeros (8) |
NT response (24) | flags (1).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.config import Entropy, PppConfig
from harness.wire.machine import Machine, Table
from harness.wire.ppp import mschap
from harness.wire.ppp.packet import Packet, build, parse, readable
from harness.wire.retransmit import Retransmit

CHALLENGE_SIZE = 16
RESPONSE_SIZE = {"mschapv2": 49, "chap-md5": 16}

FAILURES = {
    "646": "the account may not log on at this time of day",
    "647": "the account is disabled",
    "648": "the password has expired",
    "649": "no permission to dial in",
    "691": "wrong user name or password",
    "709": "the password could not be changed",
}
"""MS-CHAPv2's error numbers (RFC 2759 §6)."""


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
    DONE_PEER = "authenticated"
    DONE_AUTHENTICATOR = "has authenticated"
    FAILED = "failed"


class Event(Enum):
    OPEN_PEER = "open as peer"
    OPEN_AUTHENTICATOR = "open as authenticator"
    CHALLENGE = "Challenge"
    RESPONSE_GOOD = "Response that fits"
    RESPONSE_BAD = "Response that does not fit"
    SUCCESS = "Success"
    SUCCESS_FORGED = "Success without proof of the password"
    FAILURE = "Failure"
    TIMEOUT = "timeout"
    GIVE_UP = "the schedule has ended"
    CLOSE = "close"


class Action(Enum):
    SEND_CHALLENGE = "send Challenge"
    SEND_RESPONSE = "send Response"
    SEND_AGAIN = "send again"
    SEND_RESULT = "send Success or Failure"
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
    # RFC 1994 §2: challenges may come at any time while the link is up, and are answered.
    (State.DONE_PEER, Event.CHALLENGE): ((Action.SEND_RESPONSE,), State.DONE_PEER),
    (State.DONE_PEER, Event.SUCCESS): ((Action.STOP_TIMER,), State.DONE_PEER),
    (State.DONE_PEER, Event.SUCCESS_FORGED): _FAILED,
    (State.DONE_PEER, Event.FAILURE): _FAILED,
    (State.DONE_PEER, Event.TIMEOUT): ((Action.SEND_AGAIN,), State.DONE_PEER),
    (State.DONE_PEER, Event.GIVE_UP): _FAILED,
    (State.CLOSED, Event.OPEN_AUTHENTICATOR): ((Action.SEND_CHALLENGE,), State.WAIT_RESPONSE),
    (State.WAIT_RESPONSE, Event.RESPONSE_GOOD): (
        (Action.STOP_TIMER, Action.SEND_RESULT, Action.SUCCEED),
        State.DONE_AUTHENTICATOR,
    ),
    (State.WAIT_RESPONSE, Event.RESPONSE_BAD): (
        (Action.STOP_TIMER, Action.SEND_RESULT, Action.FAIL),
        State.FAILED,
    ),
    # RFC 1994 §4.2: a Response that comes again gets the same result again.
    (State.DONE_AUTHENTICATOR, Event.RESPONSE_GOOD): ((Action.SEND_RESULT,), State.DONE_AUTHENTICATOR),
    (State.DONE_AUTHENTICATOR, Event.RESPONSE_BAD): ((Action.SEND_RESULT,), State.DONE_AUTHENTICATOR),
    **{(state, Event.TIMEOUT): ((Action.SEND_AGAIN,), state) for state in (State.WAIT_RESULT, State.WAIT_RESPONSE)},
    **{(state, Event.GIVE_UP): _FAILED for state in (State.WAIT_RESULT, State.WAIT_RESPONSE)},
    **{(state, Event.CLOSE): ((Action.STOP_TIMER,), State.CLOSED) for state in State},
}
TABLE: Table[State, Event, Action] = Table("chap", State, Event, State.CLOSED, _ROWS)


class Chap:
    """One direction of authentication. `outcome` is None until it is decided, then True or False with `message` in words and,
    where it is False, `ended_by`: "gateway" (the other side said no), "client" (this side did), "silence"."""

    def __init__(self, config: PppConfig, method: str, entropy: Entropy, send: Callable[[bytes], None]) -> None:
        self.method = method
        self.outcome: bool | None = None
        self.message = ""
        self.ended_by = "client"
        self.facts: dict[str, str] = {}
        self._config = config
        self._entropy = entropy
        self._send = send
        self._machine = Machine(TABLE)
        self._timer = Retransmit(config.schedule)
        self._identifier = 0
        self._challenge = b""
        self._peer_challenge = b""
        self._response = b""
        self._answered: tuple[int, bytes] | None = None  # the challenge that `_packet` answers
        self._packet = b""
        self._result = b""

    @property
    def deadline(self) -> float | None:
        return self._timer.deadline

    @property
    def state(self) -> State:
        return self._machine.state

    def open_peer(self, now: float) -> None:
        self._fire(now, Event.OPEN_PEER)

    def open_authenticator(self, now: float) -> None:
        self._fire(now, Event.OPEN_AUTHENTICATOR)

    def close(self, now: float) -> None:
        self._fire(now, Event.CLOSE)

    def tick(self, now: float) -> None:
        again = self._timer.expire(now)
        if again is None:
            what = "Challenge" if self._machine.state is State.WAIT_RESPONSE else "Response"
            self.message, self.ended_by = f"no answer to {self._timer.tries} transmissions of the {what}", "silence"
            self._fire(now, Event.GIVE_UP)
        elif again:
            self._fire(now, Event.TIMEOUT)

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
        if not value or (self.method == "mschapv2" and len(value) != CHALLENGE_SIZE):
            raise ProtocolError("chap", f"a challenge of {len(value)} bytes")
        if (self._machine.state, Event.CHALLENGE) in TABLE.rows and self._answered != (packet.identifier, value):
            self._identifier, self._challenge = packet.identifier, value
            self._answered = packet.identifier, value
            self._packet = self._respond()
        self._fire(now, Event.CHALLENGE)

    def _respond(self) -> bytes:
        config = self._config
        if self.method == "mschapv2":
            self._peer_challenge = self._entropy(CHALLENGE_SIZE)
            self._response = mschap.nt_response(self._challenge, self._peer_challenge, config.user, config.password)
            value = self._peer_challenge + bytes(8) + self._response + b"\0"
        else:
            value = mschap.chap_md5(self._identifier, config.password, self._challenge)
        return build(Packet(Code.RESPONSE, self._identifier, bytes((len(value),)) + value + config.user.encode()))

    def _match(self, packet: Packet) -> None:
        if self._answered is None or packet.identifier != self._identifier:
            raise ProtocolError("chap", f"{Code(packet.code).name} {packet.identifier} answers no Response of ours")

    def _succeeded(self, now: float, text: str) -> None:
        if self.method != "mschapv2":
            self.message = text
            self._fire(now, Event.SUCCESS)
            return
        config = self._config
        proof = mschap.authenticator_response(
            config.password, self._response, self._peer_challenge, self._challenge, config.user
        )
        good = mschap.same(text[: len(proof)].upper().encode(), proof.encode())
        if good:
            self.message = text[len(proof) :].strip().removeprefix("M=")
        else:
            self.message = "MS-CHAPv2 Success with a wrong authenticator response (the gateway does not know the password)"
        self._fire(now, Event.SUCCESS if good else Event.SUCCESS_FORGED)

    def _failed(self, now: float, text: str) -> None:
        self.facts = {"message": text}
        self.ended_by = "gateway"
        if self.method == "mschapv2":
            fields = dict(word.partition("=")[::2] for word in text.split(" M=")[0].split())
            number = fields.get("E", "")
            self.facts |= {"error": number}
            self.message = f"MS-CHAPv2 failure E={number} ({FAILURES.get(number, text)})"
        else:
            self.message = f"CHAP-MD5 failure: {text}" if text else "CHAP-MD5 failure (wrong user name or password)"
        self._fire(now, Event.FAILURE)

    # The authenticator's role

    def _responded(self, now: float, packet: Packet) -> None:
        reader = Reader("chap", packet.data)
        value = reader.take(reader.u8("value size"), "response")
        user = readable(reader.rest())
        if packet.identifier != self._identifier or len(value) != RESPONSE_SIZE[self.method]:
            raise ProtocolError("chap", f"Response {packet.identifier} of {len(value)} bytes fits no Challenge of ours")
        password = self._config.secrets.get(user.rpartition("\\")[2])
        good = password is not None and self._fits(value, user, password)
        if self._machine.state is State.WAIT_RESPONSE:
            self._result = self._verdict(good, value, user, password or "")
            self.message = user if good else f"wrong password for {user}" if password is not None else f"unknown user {user}"
        self._fire(now, Event.RESPONSE_GOOD if good else Event.RESPONSE_BAD)

    def _fits(self, value: bytes, user: str, password: str) -> bool:
        if self.method == "mschapv2":
            return mschap.same(mschap.nt_response(self._challenge, value[:16], user, password), value[24:48])
        return mschap.same(mschap.chap_md5(self._identifier, password, self._challenge), value)

    def _verdict(self, good: bool, value: bytes, user: str, password: str) -> bytes:
        if self.method != "mschapv2":
            text = "Access granted" if good else "Access denied"
        elif good:
            text = mschap.authenticator_response(password, value[24:48], value[:16], self._challenge, user) + " M=Access granted"
        else:
            text = f"E=691 R=0 C={self._entropy(CHALLENGE_SIZE).hex().upper()} V=3 M=Access denied"
        return build(Packet(Code.SUCCESS if good else Code.FAILURE, self._identifier, text.encode()))

    # Both

    def _fire(self, now: float, event: Event) -> None:
        for action in self._machine.fire(event):
            match action:
                case Action.SEND_CHALLENGE:
                    self._identifier = self._entropy(1)[0]
                    self._challenge = self._entropy(CHALLENGE_SIZE)
                    value = bytes((CHALLENGE_SIZE,)) + self._challenge + self._config.name.encode()
                    self._packet = build(Packet(Code.CHALLENGE, self._identifier, value))
                    self._send(self._packet)
                    self._timer.start(now, self._packet)
                case Action.SEND_RESPONSE:
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
