"""One L2TP tunnel with one session in it, sans-IO. A core that is started opens both (LAC, client); one that is not started
answers the first SCCRQ (LNS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from harness.errors import ProtocolError
from harness.wire import events
from harness.wire.config import Entropy, L2tpConfig
from harness.wire.l2tp import header, offer, session, tunnel
from harness.wire.l2tp.avp import Result, UnknownMandatory, Value
from harness.wire.l2tp.channel import DEFAULT_WINDOW, Arrival, Channel
from harness.wire.l2tp.message import Message, Type, build, describe, parse
from harness.wire.machine import Machine
from harness.wire.ppp.frame import inner_ip

End: TypeAlias = tuple[bool, Result, str]
"""Why the tunnel ended: by the peer, the result code (0: none, silence), in words."""

_TUNNEL_MESSAGES = frozenset((Type.SCCRQ, Type.SCCRP, Type.SCCCN, Type.STOPCCN, Type.HELLO))


def inner_packet(payload: bytes) -> bytes | None:
    """The IP packet in somebody's L2TP data message, if there is one. Takes any bytes."""
    try:
        message = header.parse(payload)
    except ProtocolError:
        return None
    return None if message.control else inner_ip(message.body)


@dataclass(frozen=True, slots=True)
class Frame(events.Event):
    """A PPP frame that came out of the session. Internal to the stack."""

    frame: bytes


class L2tpCore:
    """Payloads of UDP port 1701 in and out, times in seconds.

    `receive` never raises: what it refuses becomes a Refused event, what belongs to somebody else a Strange one. `finished` is
    True once nothing more will come of this core. Failed comes once, unless the end was asked for by `close`.
    """

    def __init__(self, config: L2tpConfig, entropy: Entropy) -> None:
        self._config = config
        self._entropy = entropy
        self._tunnel = Machine(tunnel.TABLE)
        self._session = Machine(session.TABLE)
        self._channel = Channel(config.schedule)
        self._packets: list[bytes] = []
        self._events: list[events.Event] = []
        self.tunnel_local = self._identifier()
        self.tunnel_remote = 0
        self.session_local = self._identifier()
        self.session_remote = 0
        self._peer_host = ""
        self._peer_vendor = ""
        self._opener = False
        self._closing = False  # the owner asked for it
        self._failed = False
        self._was_up = False
        self._end: End = (False, offer.STOP_GENERAL, "closed")
        self._heard = 0.0
        self._sequenced = False  # data messages carry Ns: the LNS decides (§5.4)
        self._data_ns = 0
        self._data_nr = 0

    # What the owner calls

    def start(self, now: float) -> None:
        self._opener = True
        self._heard = now
        self._fire_session(session.Event.OPEN)
        self._fire_tunnel(tunnel.Event.OPEN)
        self._flush(now)

    def receive(self, now: float, payload: bytes) -> None:
        try:
            message = header.parse(payload, self._config.header_bits)
            if message.control:
                self._control(now, message)
            else:
                self._data(now, message)
        except ProtocolError as error:
            self._refuse(error)
        self._settle()
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
        times = [time for time in (self._channel.deadline, self._hello_due) if time is not None]
        return min(times, default=None)

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
        return self._session.state is session.State.ESTABLISHED

    def send_data(self, now: float, ppp_frame: bytes) -> bool:
        """False, and nothing is sent, while there is no established session."""
        if not self.established:
            return False
        sequence = None
        if self._sequenced:
            sequence = self._data_ns, self._data_nr
            self._data_ns = (self._data_ns + 1) & 0xFFFF
        self._packets.append(header.build_data(self.tunnel_remote, self.session_remote, ppp_frame, sequence))
        return True

    def close(self, now: float) -> None:
        """CDN (result 3), then StopCCN (result 1), as Windows hangs up."""
        if self._closing or self.finished:
            return
        self._closing = True
        self._fire_session(session.Event.CLOSE, offer.CALL_ADMINISTRATIVE)
        self._fire_tunnel(tunnel.Event.CLOSE, (False, offer.STOP_GENERAL, "closed"))
        self._flush(now)

    def take_packets(self) -> list[bytes]:
        packets, self._packets = self._packets, []
        return packets

    def take_events(self) -> list[events.Event]:
        told, self._events = self._events, []
        return told

    # What comes in

    def _data(self, now: float, message: header.Header) -> None:
        if (message.tunnel, message.session) != (self.tunnel_local, self.session_local):
            self._strange("data", message)
            return
        if not self.established:
            raise ProtocolError("l2tp", f"data in session state {self._session.state.value}")
        self._heard = now
        if message.ns is not None:
            self._sequenced = True
            if (message.ns - self._data_nr) & 0xFFFF >= 0x8000:
                raise ProtocolError("l2tp", f"data message {message.ns} came late: {self._data_nr} is next")
            self._data_nr = (message.ns + 1) & 0xFFFF
        if message.body:
            self._events.append(Frame(message.body))

    def _control(self, now: float, message: header.Header) -> None:
        # An SCCRQ comes to tunnel 0, and comes again to 0 when our answer was lost.
        opens = message.tunnel == 0 and not self._opener and (message.ns == 0 or self._tunnel.state is tunnel.State.IDLE)
        if message.tunnel != self.tunnel_local and not opens:
            self._strange("control message", message)
            return
        if message.ns is None or message.nr is None or (opens and message.ns != 0):
            raise ProtocolError("l2tp", f"a tunnel cannot begin with Ns {message.ns}")
        self._heard = now
        arrival = self._channel.receive(now, message.ns, message.nr, message.body)
        if arrival is Arrival.AHEAD:
            raise ProtocolError("l2tp", f"control message {message.ns} came before its predecessors")
        if arrival is Arrival.NEW:
            self._process(message)

    def _process(self, arrived: header.Header) -> None:
        try:
            message = parse(arrived.body)
        except UnknownMandatory as error:
            if arrived.session:
                self._give_up("client", f"the peer's message breaks the call: {error.reason}", offer.UNKNOWN_AVP)
                self._fire_session(session.Event.BROKEN, offer.UNKNOWN_AVP)
                self._after_call()
            else:
                self._give_up("client", f"the peer's message breaks the tunnel: {error.reason}", offer.UNKNOWN_AVP)
                self._fire_tunnel(tunnel.Event.BROKEN, (False, offer.UNKNOWN_AVP, error.reason))
            raise
        if message is None:
            return
        if message.type in _TUNNEL_MESSAGES:
            self._tunnel_message(message)
        elif self._tunnel.state is tunnel.State.ESTABLISHED:
            if arrived.session not in (0, self.session_local):
                self._strange(message.type.name, arrived)
            else:
                self._session_message(message)
        elif self._tunnel.state is not tunnel.State.WAIT_CLEAR:
            raise ProtocolError("l2tp", f"{message.type.name} in tunnel state {self._tunnel.state.value}")

    def _tunnel_message(self, message: Message) -> None:
        if message.type is Type.STOPCCN:
            self._stopped(message)
            return
        event = tunnel.Event[message.type.name]
        before = self._tunnel.state
        end: End | None = None
        if message.type is not Type.HELLO:
            result = offer.refusal(message)
            if result is not None:
                event = tunnel.Event[message.type.name + "_BAD"]
            elif (before, message.type) in ((tunnel.State.IDLE, Type.SCCRQ), (tunnel.State.WAIT_CTL_REPLY, Type.SCCRP)):
                self._learn_tunnel(message)
            result = result or offer.STOP_STATE_MACHINE
            end = (False, result, f"{message.type.name} not acceptable: {describe(Type.STOPCCN, result)}")
        self._fire_tunnel(event, end)
        if end is not None and self._tunnel.state is tunnel.State.WAIT_CLEAR is not before:
            self._give_up("client", end[2], end[1])

    def _learn_tunnel(self, message: Message) -> None:
        self.tunnel_remote = self._channel.tunnel = message.number("assigned-tunnel-id")
        window = message.values.get("receive-window-size", DEFAULT_WINDOW)
        assert isinstance(window, int)  # its row says U16
        self._channel.peer_window = window
        self._peer_host = message.text("host-name")
        self._peer_vendor = message.text("vendor-name")

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

    def _session_message(self, message: Message) -> None:
        if message.type is Type.CDN:
            live = self._session.state is not session.State.IDLE
            reason = describe(Type.CDN, message.result)
            if self.established:
                self._events.append(events.CallDown(True, message.result.result, reason))
            self._fire_session(session.Event.CDN)
            if live:
                self._give_up("gateway", reason, message.result)
                self._after_call()
            return
        if message.type.name not in session.Event.__members__:
            raise ProtocolError("l2tp", f"{message.type.name}: outgoing calls are not taken")
        event = session.Event[message.type.name]
        if message.type in (Type.ICRQ, Type.ICRP):
            remote = message.number("assigned-session-id")
            if remote == 0:
                event = session.Event[message.type.name + "_BAD"]
            elif self._session.state in (session.State.IDLE, session.State.WAIT_REPLY):
                self.session_remote = remote
        before = self._session.state
        self._fire_session(event, offer.OUT_OF_RANGE)
        if before is not session.State.IDLE and self._session.state is session.State.IDLE:
            self._give_up("client", f"{message.type.name} not acceptable in call state {before.value}", offer.OUT_OF_RANGE)
            self._after_call()

    # Tables at work

    def _fire_tunnel(self, event: tunnel.Event, end: End | None = None) -> None:
        """`end` is why, where the event is an end; it counts only if the table has the row."""
        actions = self._tunnel.fire(event)
        self._end = end or self._end
        for action in actions:
            match action:
                case tunnel.Action.SEND_SCCRQ:
                    self._send(Type.SCCRQ, 0, offer.introduction(self._config, self.tunnel_local))
                case tunnel.Action.SEND_SCCRP:
                    self._send(Type.SCCRP, 0, offer.introduction(self._config, self.tunnel_local))
                case tunnel.Action.SEND_SCCCN:
                    self._send(Type.SCCCN, 0, {})
                case tunnel.Action.SEND_STOPCCN:
                    self._send(Type.STOPCCN, 0, {"assigned-tunnel-id": self.tunnel_local, "result-code": self._end[1]})
                case tunnel.Action.TUNNEL_UP:
                    self._was_up = True
                    self._events.append(
                        events.TunnelUp(self.tunnel_local, self.tunnel_remote, self._peer_host, self._peer_vendor)
                    )
                    self._fire_session(session.Event.TUNNEL_UP)
                case tunnel.Action.END_SESSION:
                    self._fire_session(session.Event.TUNNEL_DOWN)
                case tunnel.Action.CLEAN_UP:
                    self._channel.abandon()
                    if self._was_up:
                        by_peer, result, reason = self._end
                        self._events.append(events.TunnelDown(by_peer, result.result, reason))

    def _fire_session(self, event: session.Event, result: Result = offer.CALL_ADMINISTRATIVE) -> None:
        for action in self._session.fire(event):
            match action:
                case session.Action.SEND_ICRQ:
                    self._send(Type.ICRQ, 0, offer.call(self._config, self.session_local))
                case session.Action.SEND_ICRP:
                    self._send(Type.ICRP, self.session_remote, {"assigned-session-id": self.session_local})
                case session.Action.SEND_ICCN:
                    self._send(Type.ICCN, self.session_remote, offer.connected(self._config))
                case session.Action.SEND_CDN:
                    values: dict[str, Value] = {"result-code": result, "assigned-session-id": self.session_local}
                    self._send(Type.CDN, self.session_remote, values)
                case session.Action.CALL_UP:
                    self._events.append(events.CallUp(self.session_local, self.session_remote))
                case session.Action.CLEAN_UP:
                    self.session_remote = 0

    # Ends

    def _after_call(self) -> None:
        """A tunnel whose only call is gone has no use for the side that opened it."""
        if self._opener and self._tunnel.state is tunnel.State.ESTABLISHED:
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

    def _settle(self) -> None:
        if self._tunnel.state is tunnel.State.WAIT_CLEAR and self._channel.idle:
            self._fire_tunnel(tunnel.Event.ACKNOWLEDGED)

    # Small parts

    @property
    def _hello_due(self) -> float | None:
        if self._tunnel.state is not tunnel.State.ESTABLISHED or self._config.hello_s <= 0 or not self._channel.idle:
            return None
        return self._heard + self._config.hello_s

    def _send(self, kind: Type, session_id: int, values: dict[str, Value]) -> None:
        self._channel.send(kind.name, session_id, build(kind, values))

    def _flush(self, now: float) -> None:
        self._packets += self._channel.flush(now)

    def _identifier(self) -> int:
        """A tunnel or session ID: random, never the reserved 0 (§5.3)."""
        return int.from_bytes(self._entropy(2)) % 0xFFFF + 1

    def _refuse(self, error: ProtocolError) -> None:
        self._events.append(events.Refused(error.layer, str(error)))

    def _strange(self, what: str, message: header.Header) -> None:
        ours = f"ours are {self.tunnel_local} and {self.session_local}"
        detail = f"{what} for tunnel {message.tunnel}, session {message.session}; {ours}"
        packet = None if message.control else inner_ip(message.body)
        self._events.append(events.Strange("l2tp", detail, message.tunnel, message.session, packet))
