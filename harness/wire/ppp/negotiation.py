"""One control protocol (LCP, IPCP) at work: the automaton of RFC 1661 §4.1 with its timer, its identifiers and its options.

What the options mean is the business of `Options`, one class a protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from harness.errors import ProtocolError
from harness.wire.machine import Machine
from harness.wire.ppp.automaton import TABLE, TIMED, Action, Event, State
from harness.wire.ppp.packet import Code, Option, Packet, build, build_options, parse, parse_options
from harness.wire.retransmit import Schedule

MAX_TERMINATE = 2  # RFC 1661 §4.6
MAX_FAILURE = 5  # Naks before a Reject (§4.6)
MAX_DISAGREEMENTS = 20
"""Naks and Rejects, of either side, without this layer coming up. The RFC's automaton resets its counter on every answer, so two
sides that answer each other but never agree would go on for ever."""

_BASIC = frozenset(code for code in Code if code <= Code.CODE_REJECT)


class Signal(Enum):
    """What the layer tells its owner: this-layer-up, -down, -finished (§4.4); -started has no use over L2TP."""

    UP = "up"
    DOWN = "down"
    FINISHED = "finished"


class Options(Protocol):
    """The meaning of one protocol's options."""

    name: str  # "lcp", "ipcp": the layer in ProtocolErrors

    def request(self) -> tuple[Option, ...]:
        """What to ask for now."""

    def judge(self, options: tuple[Option, ...]) -> tuple[Code, tuple[Option, ...]]:
        """The answer to the peer's request: Ack with all of it, Nak with what would do, Reject with what will not."""

    def agree(self, options: tuple[Option, ...]) -> None:
        """The peer's request has been acknowledged."""

    def nak(self, options: tuple[Option, ...]) -> None:
        """The peer would rather have these."""

    def reject(self, options: tuple[Option, ...]) -> None:
        """The peer will not have these."""


class Negotiation:
    """`send` takes one packet's bytes. `extension` is given the packets of codes above Code-Reject that the protocol knows
    (LCP's echo and Protocol-Reject) and says whether it knew this one."""

    def __init__(
        self,
        options: Options,
        schedule: Schedule,
        send: Callable[[bytes], None],
        extension: Callable[[float, Packet], bool] = lambda now, packet: False,
    ) -> None:
        self.options = options
        self.deadline: float | None = None
        self.disagreements = 0
        self.heard = False  # any well-formed packet since the last Up
        self.closed_by_peer: bytes | None = None  # data of the peer's Terminate-Request
        self._schedule = schedule
        self._send = send
        self._extension = extension
        self._machine = Machine(TABLE)
        self._signals: list[Signal] = []
        self._left = 0  # the restart counter
        self._sent = 0  # transmissions since irc
        self._naks = 0
        self._farewell = b""
        self._identifier = 0
        self._asked: bytes | None = None  # options of the request that is under way
        self._request_identifier = 0
        self._answered = True  # the request under way has had a valid reply

    @property
    def state(self) -> State:
        return self._machine.state

    @property
    def opened(self) -> bool:
        return self._machine.state is State.OPENED

    @property
    def sent(self) -> int:
        """How many requests went out since the counter was last set."""
        return self._sent

    @property
    def hopeless(self) -> bool:
        return self.disagreements >= MAX_DISAGREEMENTS

    def take_signals(self) -> list[Signal]:
        signals, self._signals = self._signals, []
        return signals

    # Events from the owner

    def up(self, now: float) -> None:
        self.heard = False
        self.closed_by_peer = None
        self.disagreements = 0
        self._naks = 0
        self._fire(now, Event.UP)

    def down(self, now: float) -> None:
        self._fire(now, Event.DOWN)

    def open(self, now: float) -> None:
        self._fire(now, Event.OPEN)

    def close(self, now: float, reason: str = "") -> None:
        """`reason` is what the Terminate-Request says (RFC 1661 §5.5)."""
        self._farewell = reason.encode()
        self._fire(now, Event.CLOSE)

    def adopt(self, now: float, agreed: tuple[Option, ...]) -> None:
        """Opens as if both requests had just been acknowledged, without a packet: somebody else has seen to that. `agreed` is the
        peer's request."""
        self.options.agree(agreed)
        for event in (Event.OPEN, Event.UP, Event.REQUEST_GOOD, Event.ACK):
            for action in self._machine.fire(event):
                if action in (Action.LAYER_UP, Action.INIT_RESTART):
                    self._act(now, action, None)
        self.deadline = None

    def rejected(self, now: float, *, fatal: bool) -> None:
        """The peer's Protocol-Reject named this protocol (fatal), or one that can be done without."""
        self._fire(now, Event.REJECT_FATAL if fatal else Event.REJECT_HARMLESS)

    def echoed(self, now: float, reply: Packet | None) -> None:
        """An echo or discard came; `reply` goes out if the automaton says so."""
        self._fire(now, Event.ECHO, reply)

    def send(self, code: Code, data: bytes) -> int:
        """A packet outside the automaton (echo, Protocol-Reject) under a fresh identifier, which is returned."""
        self._identifier = (self._identifier + 1) & 0xFF
        self._send(build(Packet(code, self._identifier, data)))
        return self._identifier

    def tick(self, now: float) -> None:
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            self._fire(now, Event.TIMEOUT if self._left > 0 else Event.TIMEOUT_LAST)

    def receive(self, now: float, information: bytes) -> None:
        """ProtocolError for what is malformed, for answers to no request of ours, and for what the state does not allow."""
        packet = parse(self.options.name, information)
        self.heard = True
        match packet.code:
            case Code.CONFIGURE_REQUEST:
                self._configure_request(now, packet)
            case Code.CONFIGURE_ACK:
                self._match(packet)
                if packet.data != self._asked:
                    raise ProtocolError(self.options.name, "the Configure-Ack has other options than the request")
                self._reply(now, Event.ACK)
            case Code.CONFIGURE_NAK | Code.CONFIGURE_REJECT:
                self._configure_nak(now, packet)
            case Code.TERMINATE_REQUEST:
                self.closed_by_peer = packet.data
                self._fire(now, Event.TERMINATE_REQUEST, packet)
            case Code.TERMINATE_ACK:
                self._fire(now, Event.TERMINATE_ACK)
            case Code.CODE_REJECT:
                fatal = not packet.data or packet.data[0] in _BASIC
                self._fire(now, Event.REJECT_FATAL if fatal else Event.REJECT_HARMLESS)
            case _:
                if not self._extension(now, packet):
                    self._fire(now, Event.UNKNOWN_CODE, packet)

    # Configure packets

    def _configure_request(self, now: float, packet: Packet) -> None:
        wanted = parse_options(self.options.name, packet.data)
        code, options = self.options.judge(wanted)
        if code is Code.CONFIGURE_NAK and self._naks >= MAX_FAILURE:
            kinds = {option.type for option in options}
            code, options = Code.CONFIGURE_REJECT, tuple(option for option in wanted if option.type in kinds)
        self._naks = self._naks + 1 if code is Code.CONFIGURE_NAK else 0
        answer = Packet(code, packet.identifier, packet.data if code is Code.CONFIGURE_ACK else build_options(options))
        if code is Code.CONFIGURE_ACK:
            if self._machine.state in (State.STOPPED, State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT, State.OPENED):
                self.options.agree(wanted)
            self._fire(now, Event.REQUEST_GOOD, answer)
        else:
            self.disagreements += 1
            self._fire(now, Event.REQUEST_BAD, answer)

    def _configure_nak(self, now: float, packet: Packet) -> None:
        self._match(packet)
        options = parse_options(self.options.name, packet.data)
        if packet.code == Code.CONFIGURE_REJECT:
            asked = parse_options(self.options.name, self._asked or b"")
            if not options or not set(options) <= set(asked):
                raise ProtocolError(self.options.name, "the Configure-Reject names options that were not asked for")
            self.options.reject(options)
        else:
            self.options.nak(options)
        self.disagreements += 1
        self._reply(now, Event.NAK)

    def _match(self, packet: Packet) -> None:
        if self._answered or self._asked is None or packet.identifier != self._request_identifier:
            raise ProtocolError(self.options.name, f"{Code(packet.code).name} {packet.identifier} answers no request under way")

    def _reply(self, now: float, event: Event) -> None:
        self._answered = True
        self._fire(now, event)

    # The automaton's actions

    def _fire(self, now: float, event: Event, packet: Packet | None = None) -> None:
        for action in self._machine.fire(event):
            self._act(now, action, packet)
        if self._machine.state not in TIMED:
            self.deadline = None
        elif self.deadline is None:
            self._arm(now)

    def _act(self, now: float, action: Action, packet: Packet | None) -> None:
        match action:
            case Action.LAYER_UP:
                self.disagreements = 0
                self._signals.append(Signal.UP)
            case Action.LAYER_DOWN:
                self._signals.append(Signal.DOWN)
            case Action.LAYER_FINISHED:
                self._signals.append(Signal.FINISHED)
            case Action.LAYER_STARTED:
                pass  # the lower layer, an L2TP call, is brought up by the owner and needs no telling
            case Action.INIT_RESTART:
                ending = self._machine.state in (State.CLOSING, State.STOPPING)
                self._left = MAX_TERMINATE if ending else len(self._schedule.waits)
                self._sent = 0
                self._arm(now)
            case Action.ZERO_RESTART:
                self._left = 0
                self._sent = 0
                self._arm(now)
            case Action.SEND_REQUEST:
                self._request(now)
            case Action.SEND_TERMINATE_REQUEST:
                self.send(Code.TERMINATE_REQUEST, self._farewell)
                self._count(now)
            case Action.SEND_TERMINATE_ACK:
                identifier = self._identifier if packet is None else packet.identifier
                self._send(build(Packet(Code.TERMINATE_ACK, identifier, b"")))
            case Action.SEND_ACK | Action.SEND_NAK | Action.SEND_ECHO_REPLY:
                if packet is not None:
                    self._send(build(packet))
            case Action.SEND_CODE_REJECT:
                if packet is not None:
                    self.send(Code.CODE_REJECT, build(packet))

    def _request(self, now: float) -> None:
        """A Configure-Request. The identifier stays for a retransmission (§5.1), so that a late answer still counts."""
        data = build_options(self.options.request())
        if self._answered or data != self._asked:
            self._asked = data
            self._answered = False
            self.send(Code.CONFIGURE_REQUEST, data)
            self._request_identifier = self._identifier
        else:
            self._send(build(Packet(Code.CONFIGURE_REQUEST, self._request_identifier, data)))
        self._count(now)

    def _count(self, now: float) -> None:
        self._left -= 1
        self._sent += 1
        self._arm(now)

    def _arm(self, now: float) -> None:
        waits = self._schedule.waits
        self.deadline = now + waits[min(max(self._sent - 1, 0), len(waits) - 1)]
