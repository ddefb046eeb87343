"""One L2TP tunnel and the calls in it, sans-IO. A core that is started opens the tunnel (LAC, client); one that is not started
answers the first SCCRQ (LNS). Calls may be placed from either end."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from harness.errors import ProtocolError
from harness.wire import events
from harness.wire.config import Entropy, L2tpConfig
from harness.wire.l2tp import header, offer, session, tunnel
from harness.wire.l2tp.avp import NO_VEIL, Result, UnknownMandatory, Value, Veil
from harness.wire.l2tp.calls import Calls
from harness.wire.l2tp.channel import DEFAULT_WINDOW, Arrival, Channel
from harness.wire.l2tp.data import Frame
from harness.wire.l2tp.handshake import Handshake
from harness.wire.l2tp.message import Message, Type, build, describe, parse
from harness.wire.machine import Machine
from harness.wire.ppp.frame import inner_ip
from harness.wire.proxy import Proxy

End: TypeAlias = tuple[bool, Result, str]
"""Why the tunnel ended: by the peer, the result code (0: none, silence), in words."""

VECTOR_SIZE = 16  # of the random vector for hidden AVPs
_OPENING = {
    tunnel.Action.SEND_SCCRQ: Type.SCCRQ,
    tunnel.Action.SEND_SCCRP: Type.SCCRP,
    tunnel.Action.SEND_SCCCN: Type.SCCCN,
}
_TUNNEL_MESSAGES = frozenset((Type.SCCRQ, Type.SCCRP, Type.SCCCN, Type.STOPCCN, Type.HELLO))


class L2tpCore:
    """Payloads of UDP port 1701 in and out, times in seconds.

    `receive` never raises: what it refuses becomes a Refused event, what belongs to somebody else a Strange one. `finished` is
    True once nothing more will come of this core. Failed comes once, unless the end was asked for by `close`: it is the end of the
    tunnel, or of the last call that the opener had.

    One core is one tunnel. Whoever serves many peers finds the core by `header.tunnel_of`; for tunnel 0, an SCCRQ, by who sent it
    (it comes again to 0 when the answer was lost). `tunnel_id` is one that the owner has chosen, so that no two of its tunnels have
    the same; without it one is drawn. `refuse` is why the tunnel is not to be had: its SCCRQ is answered by that StopCCN.
    """

    __slots__ = (
        "_calls", "_channel", "_closing", "_config", "_end", "_entropy", "_events", "_failed", "_handshake", "_heard", "_lasting",
        "_opener", "_packets", "_tunnel", "_was_up", "tunnel_local", "tunnel_remote",
    )  # fmt: skip
    channel_type: ClassVar[type[Channel]] = Channel

    def __init__(self, config: L2tpConfig, entropy: Entropy, *, tunnel_id: int | None = None, refuse: Result | None = None) -> None:
        offer.check(config)
        self._config = config
        self._entropy = entropy
        self._tunnel = Machine(tunnel.TABLE)
        self._channel = self.channel_type(config.schedule)
        self._packets: list[bytes] = []
        self._events: list[events.Event] = []
        self.tunnel_local = int.from_bytes(entropy(2)) % 0xFFFF + 1 if tunnel_id is None else tunnel_id  # never 0 (§5.3)
        self.tunnel_remote = 0
        self._calls = Calls(config, entropy, self._send, self._events, self._call_ended)
        self._handshake = Handshake(config, entropy, refuse)
        self._opener = False
        self._lasting = True  # the tunnel outlives its calls
        self._closing = False  # the owner asked for it
        self._failed = False
        self._was_up = False
        self._end: End = (False, offer.STOP_GENERAL, "closed")
        self._heard = 0.0

    # What the owner calls

    def start(self, now: float, *, call: bool = True) -> None:
        """Opens the tunnel, with a first call in it unless told otherwise; a tunnel that began with one ends with its last."""
        self._opener = True
        self._lasting = not call
        self._heard = now
        if call:
            self._calls.place(None)
        self._fire_tunnel(tunnel.Event.OPEN)
        self._flush(now)

    def place_call(self, now: float, proxy: Proxy | None = None) -> int:
        """Another incoming call, as a LAC makes it; returns its local session ID. It waits for the tunnel where that is not up yet.
        ProtocolError where the tunnel is over."""
        if self._closing or self._tunnel.state in (tunnel.State.WAIT_CLEAR, tunnel.State.CLEARED):
            raise ProtocolError("l2tp", f"no call in tunnel state {self._tunnel.state.value}")
        local = self._calls.place(proxy).local
        if self._tunnel.state is tunnel.State.ESTABLISHED:
            self._calls.tunnel_up()
            self._flush(now)
        return local

    def hang_up(self, now: float, session_local: int, result: Result = offer.CALL_ADMINISTRATIVE, reason: str = "closed") -> bool:
        """Ends one call by a CDN; whether there was one."""
        call = self._calls.get(session_local)
        if call is None:
            return False
        self._calls.hang_up(call, result, reason)
        self._after_call()
        self._flush(now)
        return True

    def close(self, now: float, result: Result = offer.STOP_GENERAL) -> None:
        """A CDN (result 3) for every call, then StopCCN (result 1), as Windows hangs up."""
        if self._closing or self.finished:
            return
        self._closing = True
        self._calls.every(session.Event.CLOSE)
        self._fire_tunnel(tunnel.Event.CLOSE, (False, result, "closed"))
        self._flush(now)

    def send_data(self, now: float, ppp_frame: bytes, session_local: int | None = None) -> bool:
        """False, and nothing is sent, while that call (None: the first) is not established."""
        call = self._calls.get(self.session_local if session_local is None else session_local)
        if call is None or not call.established:
            return False
        ids = self.tunnel_remote, call.remote
        self._packets.append(header.build_data(*ids, ppp_frame, call.next_numbers(), self._config.data_offset))
        return True

    def receive(self, now: float, payload: bytes) -> None:
        try:
            message = header.parse(payload, self._config.header_bits)
            (self._control if message.control else self._data)(now, message)
        except ProtocolError as error:
            self._events.append(events.Refused(error.layer, str(error)))
        if self._tunnel.state is tunnel.State.WAIT_CLEAR and self._channel.idle:
            self._fire_tunnel(tunnel.Event.ACKNOWLEDGED)
        self._flush(now)

    def tick(self, now: float) -> None:
        again = self._channel.expire(now)
        if again is None:
            self._silence()
        else:
            self._packets += again
        if self._hello_due is not None and now >= self._hello_due:
            self._heard = now
            self._send(Type.HELLO, 0, {})
        self._flush(now)

    @property
    def deadline(self) -> float | None:
        return min((time for time in (self._channel.deadline, self._hello_due) if time is not None), default=None)

    def take_packets(self) -> list[bytes]:
        packets, self._packets = self._packets, []
        return packets

    def take_events(self) -> list[events.Event]:
        told = self._events.copy()
        self._events.clear()  # the calls tell into the same list
        return told

    # What the owner may ask

    @property
    def finished(self) -> bool:
        return self._tunnel.state is tunnel.State.CLEARED

    @property
    def acknowledged(self) -> bool:
        """Whether the peer has acknowledged every control message sent so far."""
        return self._channel.idle

    @property
    def started(self) -> bool:
        return self._opener

    @property
    def sending(self) -> bool:
        """Whether there are packets to take."""
        return bool(self._packets)

    @property
    def established(self) -> bool:
        """Whether the tunnel carries a call."""
        return any(call.established for call in self._calls)

    @property
    def calls(self) -> tuple[tuple[int, int, str], ...]:
        """(local ID, remote ID, state in the RFC's words) of every call."""
        return tuple((call.local, call.remote, call.state.value) for call in self._calls)

    @property
    def session_local(self) -> int:
        """The ID of the first call, known before there is one."""
        return self._calls.first

    @property
    def session_remote(self) -> int:
        """The peer's ID of the first call; 0 while there is none."""
        call = self._calls.get(self._calls.first)
        return 0 if call is None else call.remote

    # What comes in

    def _data(self, now: float, message: header.Header) -> None:
        call = self._calls.carrier(message.session, message.ns) if message.tunnel == self.tunnel_local else None
        if call is None:
            self._strange("data", message)
            return
        self._heard = now
        if message.body:
            self._events.append(Frame(message.body, call.local))

    def _control(self, now: float, arrived: header.Header) -> None:
        """Nothing is acknowledged, and nothing changes, before the message has been read to its end."""
        if arrived.tunnel not in (0, self.tunnel_local):
            self._strange("control message", arrived)
            return
        broken: UnknownMandatory | None = None
        message: Message | None = None
        if arrived.body:
            try:
                message = parse(arrived.body, self._config.secret)
            except UnknownMandatory as error:
                broken, message = error, parse(arrived.body, self._config.secret, lenient=True)
        opening = message is not None and message.type is Type.SCCRQ and arrived.ns == 0
        if self._tunnel.state is tunnel.State.IDLE and (arrived.tunnel or not opening):
            raise ProtocolError("l2tp", "a tunnel begins with an SCCRQ for tunnel 0 with Ns 0")
        if arrived.tunnel == 0 and not self._is_mine(arrived, message if opening else None):
            return
        assert arrived.ns is not None  # `header.parse` sees to it for control messages
        assert arrived.nr is not None
        self._heard = now
        arrival = self._channel.receive(now, arrived.ns, arrived.nr, arrived.body)
        if arrival is Arrival.AHEAD:
            raise ProtocolError("l2tp", f"control message {arrived.ns} came before its predecessors")
        if arrival is not Arrival.NEW:
            return
        if broken is not None:
            self._broken(arrived, message, broken)
            raise broken
        if message is not None:
            self._process(arrived, message)

    def _is_mine(self, arrived: header.Header, request: Message | None) -> bool:
        """Whether a message for tunnel 0 is an SCCRQ that opens this tunnel, or has opened it and comes again. Settles the tie
        where both ends have opened at once."""
        state = self._tunnel.state
        if request is None:
            self._strange("control message", arrived)
            return False
        if state is tunnel.State.IDLE:
            return True
        if not self._opener:
            if request.values.get("assigned-tunnel-id") == self.tunnel_remote:
                return True
            self._strange("SCCRQ", arrived)
            return False
        tie = self._handshake.tie(request)
        if state is not tunnel.State.WAIT_CTL_REPLY or tie is None:  # another tunnel, beside this one
            self._strange("SCCRQ", arrived)
            return False
        if tie is tunnel.Event.TIE_EVEN:
            self._give_up("client", "both ends opened a tunnel at once, with the same tie breaker", None)
        self._fire_tunnel(tie, (False, Result(0), "a tie"))
        return self._tunnel.state is tunnel.State.IDLE

    def _broken(self, arrived: header.Header, message: Message | None, error: UnknownMandatory) -> None:
        """A mandatory AVP that is not known ends the call that the message is about, else the tunnel (§4.1)."""
        if arrived.session:
            self._calls.broken(arrived.session, f"the peer's message breaks the call: {error.reason}")
        elif message is not None and message.type is Type.ICRQ and self._tunnel.state is tunnel.State.ESTABLISHED:
            self._calls.requested(message, offer.UNKNOWN_AVP)
        else:
            self._give_up("client", f"the peer's message breaks the tunnel: {error.reason}", offer.UNKNOWN_AVP)
            self._fire_tunnel(tunnel.Event.BROKEN, (False, offer.UNKNOWN_AVP, error.reason))

    def _process(self, arrived: header.Header, message: Message) -> None:
        if message.type is Type.STOPCCN:
            self._stopped(message)
        elif message.type in _TUNNEL_MESSAGES:
            self._tunnel_message(message)
        elif self._tunnel.state is tunnel.State.ESTABLISHED:
            if not self._calls.receive(arrived.session, message):
                self._strange(message.type.name, arrived)
        elif self._tunnel.state is not tunnel.State.WAIT_CLEAR:
            raise ProtocolError("l2tp", f"{message.type.name} in tunnel state {self._tunnel.state.value}")

    def _tunnel_message(self, message: Message) -> None:
        event = tunnel.Event[message.type.name]
        before = self._tunnel.state
        end: End | None = None
        if message.type is not Type.HELLO:
            result = self._handshake.refusal(message)
            if result is not None:
                event = tunnel.Event[message.type.name + "_BAD"]
            if (before, message.type) in ((tunnel.State.IDLE, Type.SCCRQ), (tunnel.State.WAIT_CTL_REPLY, Type.SCCRP)):
                self._learn_tunnel(message, accepted=result is None)
            result = result or offer.STOP_STATE_MACHINE
            end = (False, result, f"{message.type.name} not acceptable: {describe(Type.STOPCCN, result)}")
        self._fire_tunnel(event, end)
        if end is not None and self._tunnel.state is tunnel.State.WAIT_CLEAR is not before:
            self._give_up("client", end[2], end[1])

    def _learn_tunnel(self, message: Message, *, accepted: bool) -> None:
        """Where it is not accepted, only where its StopCCN has to go."""
        self.tunnel_remote = self._channel.tunnel = message.number("assigned-tunnel-id")
        if accepted:
            self._channel.peer_window = message.number("receive-window-size", DEFAULT_WINDOW)
            self._handshake.learn(message)

    def _stopped(self, message: Message) -> None:
        remote = message.values.get("assigned-tunnel-id")
        if self._channel.tunnel == 0 and isinstance(remote, int):
            self._channel.tunnel = remote
        reason = describe(Type.STOPCCN, message.result)
        if self._tunnel.state is tunnel.State.WAIT_CLEAR:  # both sides stop at once: the end is ours
            self._fire_tunnel(tunnel.Event.STOPCCN)
            return
        self._give_up("gateway", reason, message.result)
        self._fire_tunnel(tunnel.Event.STOPCCN, (True, message.result, reason))

    # The table at work

    def _fire_tunnel(self, event: tunnel.Event, end: End | None = None) -> None:
        """`end` is why, where the event is an end; it counts only if the table has the row."""
        actions = self._tunnel.fire(event)
        self._end = end or self._end
        for action in actions:
            match action:
                case tunnel.Action.SEND_SCCRQ | tunnel.Action.SEND_SCCRP | tunnel.Action.SEND_SCCCN:
                    kind = _OPENING[action]
                    self._send(kind, 0, self._handshake.values(kind, self.tunnel_local))
                case tunnel.Action.SEND_STOPCCN:
                    self._send(Type.STOPCCN, 0, {"assigned-tunnel-id": self.tunnel_local, "result-code": self._end[1]})
                case tunnel.Action.TUNNEL_UP:
                    self._was_up = True
                    names = self._handshake.host, self._handshake.vendor
                    self._events.append(events.TunnelUp(self.tunnel_local, self.tunnel_remote, *names))
                    self._calls.tunnel_up()
                case tunnel.Action.END_SESSION:
                    self._calls.every(session.Event.TUNNEL_DOWN)
                case tunnel.Action.BEGIN_AGAIN:
                    self._channel = self.channel_type(self._config.schedule)
                    self._opener = False
                    self._handshake.begin_again()
                case tunnel.Action.CLEAN_UP:
                    self._channel.abandon()
                    if self._was_up:
                        by_peer, result, reason = self._end
                        self._events.append(events.TunnelDown(by_peer, result.result, reason))

    # Ends

    def _call_ended(self, by: str, reason: str, result: Result) -> None:
        if not self._lasting and not len(self._calls):
            self._give_up(by, reason, result)
        self._after_call()

    def _after_call(self) -> None:
        """A tunnel whose only call is gone has no use for the side that opened it."""
        if not self._lasting and not len(self._calls) and self._tunnel.state is tunnel.State.ESTABLISHED:
            self._fire_tunnel(tunnel.Event.CLOSE, (False, offer.STOP_GENERAL, "its only call has ended"))

    def _silence(self) -> None:
        name, tries = self._channel.waiting_for, self._channel.tries
        reason = f"no acknowledgement of {name} after {tries} transmissions"
        if self._tunnel.state is tunnel.State.WAIT_CLEAR:
            self._fire_tunnel(tunnel.Event.SILENCE)
            return
        self._give_up("silence", reason, None, {"message": name, "transmissions": tries})
        self._fire_tunnel(tunnel.Event.SILENCE, (False, Result(0), reason))

    def _give_up(self, by: str, reason: str, result: Result | None, facts: dict[str, object] | None = None) -> None:
        """`by` is who ended it: "gateway", "client", "silence"."""
        if self._failed or self._closing:
            return
        self._failed = True
        stage = "L2TP session" if self._was_up and self._tunnel.state is tunnel.State.ESTABLISHED else "L2TP tunnel"
        known: dict[str, object] = {} if result is None else {"result": result.result, "error": result.error}
        self._events.append(events.Failed(stage, reason, {"by": by, **known, **(facts or {})}))

    # Small parts

    @property
    def _hello_due(self) -> float | None:
        if self._tunnel.state is not tunnel.State.ESTABLISHED or self._config.hello_s <= 0 or not self._channel.idle:
            return None
        return self._heard + self._config.hello_s

    def _send(self, kind: Type, session_id: int, values: dict[str, Value]) -> None:
        hidden = self._config.hide & values.keys()
        veil = Veil(hidden, self._config.secret, self._entropy(VECTOR_SIZE)) if hidden else NO_VEIL
        self._channel.send(kind.name, session_id, build(kind, values, veil))

    def _flush(self, now: float) -> None:
        self._packets += self._channel.flush(now)

    def _strange(self, what: str, message: header.Header) -> None:
        ours = f"{self.tunnel_local} and {self.session_local}"
        detail = f"{what} for tunnel {message.tunnel}, session {message.session}; ours are {ours}"
        packet = None if message.control else inner_ip(message.body)
        self._events.append(events.Strange("l2tp", detail, message.tunnel, message.session, packet))
