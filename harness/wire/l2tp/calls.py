"""The calls of one tunnel, in either role: their IDs, and the messages that are about a call (RFC 2661 §6.6 to §6.12, §7.4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from harness.errors import ProtocolError
from harness.wire import events
from harness.wire.config import Entropy, L2tpConfig
from harness.wire.l2tp import offer, session
from harness.wire.l2tp.avp import Result, Value
from harness.wire.l2tp.call import Call
from harness.wire.l2tp.message import Message, Type, describe
from harness.wire.proxy import Proxy

REMEMBERED = 16
"""How many ended calls' IDs are neither given again nor counted as a stranger's: messages for them may still be under way."""


class Calls:
    """`send` takes (type, the peer's session ID, AVPs). `ended` is told of every call that ends by itself, established or not,
    after its CallDown: by whom ("gateway", "client"), why, and with which result."""

    __slots__ = ("_config", "_ended", "_entropy", "_events", "_live", "_recent", "_send", "_serial", "first")

    def __init__(
        self,
        config: L2tpConfig,
        entropy: Entropy,
        send: Callable[[Type, int, dict[str, Value]], None],
        told: list[events.Event],
        ended: Callable[[str, str, Result], None],
    ) -> None:
        self._config = config
        self._entropy = entropy
        self._send = send
        self._events = told
        self._ended = ended
        self._live: dict[int, Call] = {}
        self._recent: deque[int] | None = None
        self._serial = 0
        self.first = int.from_bytes(entropy(2)) % 0xFFFF + 1  # the ID of the first call, never the reserved 0 (§5.3)

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Call]:
        return iter(tuple(self._live.values()))

    def get(self, local: int) -> Call | None:
        return self._live.get(local)

    # What the owner orders

    def place(self, proxy: Proxy | None) -> Call:
        """A new call from this side, which waits for its tunnel."""
        call = self._new(0, opener=True)
        call.proxy = proxy
        self._live[call.local] = call
        self._fire(call, session.Event.OPEN)
        return call

    def hang_up(self, call: Call, result: Result, reason: str) -> None:
        if call.established:
            self._events.append(events.CallDown(False, result.result, reason, call.local))
        self._fire(call, session.Event.CLOSE, result)

    def tunnel_up(self) -> None:
        for call in self:
            if call.state is session.State.WAIT_TUNNEL:
                self._fire(call, session.Event.TUNNEL_UP)

    def every(self, event: session.Event) -> None:
        """TUNNEL_DOWN or CLOSE, which end every call; the tunnel's end tells of it."""
        for call in self:
            self._fire(call, event)

    # What comes in

    def receive(self, header_session: int, message: Message) -> bool:
        """False where the message is for a call that is not, and lately was not, one of ours."""
        if message.type is Type.ICRQ:
            self.requested(message)
            return True
        if message.type is Type.OCRQ:
            refused = self._new(message.number("assigned-session-id"))
            self._fire(refused, session.Event.OCRQ, offer.CALL_NO_FACILITIES)
            return True
        call = self._find(header_session, message)
        if call is None:  # a CDN for a call that the peer has given up before our answer, and that is gone here too, names no ID
            return message.type is Type.CDN and header_session == 0
        if message.type is Type.CDN:
            self._disconnected(call, message.result)
        else:
            self._advanced(call, message)
        return True

    def carrier(self, local: int, ns: int | None) -> Call | None:
        """The call that a data message numbered `ns` has come for; None where that is a stranger's. ProtocolError where it carries
        no data yet, or any more, or where the number does not do."""
        call = self._live.get(local)
        if call is None and local != self.first and not self._is_recent(local):
            return None
        state = session.State.IDLE if call is None else call.state
        if call is None or state is not session.State.ESTABLISHED:
            raise ProtocolError("l2tp", f"data in session state {state.value}")
        call.take_number(ns)
        return call

    def requested(self, message: Message, refused: Result | None = None) -> None:
        """An ICRQ; `refused` is a reason that is known already."""
        remote = message.number("assigned-session-id")
        known = next((call for call in self._live.values() if remote == call.remote != 0), None)
        if known is not None:
            self._break(known, session.Event.ICRQ, "ICRQ", offer.OUT_OF_RANGE)
            return
        if remote == 0:
            refused = offer.OUT_OF_RANGE
        elif len(self._live) >= self._config.max_sessions:
            refused = refused or offer.CALL_NO_FACILITIES_NOW
        call = self._new(remote)
        if refused is not None:
            self._fire(call, session.Event.ICRQ_BAD, refused)
            return
        self._live[call.local] = call
        self._fire(call, session.Event.ICRQ)

    def broken(self, local: int, reason: str) -> None:
        """A message for this call held a mandatory AVP that is not known."""
        call = self._live.get(local)
        if call is not None:
            self._break(call, session.Event.BROKEN, reason, offer.UNKNOWN_AVP)

    def _disconnected(self, call: Call, result: Result) -> None:
        live = call.state is not session.State.IDLE
        reason = describe(Type.CDN, result)
        self._fire(call, session.Event.CDN)
        if live:
            self._events.append(events.CallDown(True, result.result, reason, call.local))
            self._ended("gateway", reason, result)

    def _advanced(self, call: Call, message: Message) -> None:
        """ICRP, ICCN, WEN, SLI, and the answers to an outgoing call that nobody asked for."""
        event = session.Event[message.type.name]
        if message.type is Type.ICRP:
            remote = message.number("assigned-session-id")
            if remote == 0 or any(remote == other.remote for other in self._live.values() if other is not call):
                event = session.Event.ICRP_BAD
            elif call.state is session.State.WAIT_REPLY:
                call.remote = remote
        elif message.type is Type.ICCN and call.state is session.State.WAIT_CONNECT:
            call.proxy = offer.proxy_of(message)
            if "sequencing-required" in message.values:
                call.require_numbers()
        self._break(call, event, f"{message.type.name} not acceptable in call state {call.state.value}", offer.OUT_OF_RANGE)

    def _break(self, call: Call, event: session.Event, reason: str, result: Result) -> None:
        """Fires an event that may end the call."""
        before = call.state
        self._fire(call, event, result)
        if before is not session.State.IDLE and call.state is session.State.IDLE:
            self._events.append(events.CallDown(False, result.result, reason, call.local))
            self._ended("client", reason, result)

    def _find(self, local: int, message: Message) -> Call | None:
        """By our session ID in the header. Where the peer does not know it yet, by its own in the message (a CDN before the ICRP);
        a message without any is for the only call there is. A call that has just ended is IDLE again: the table knows what may
        still come for it."""
        if local:
            return self._live.get(local) or (Call(local) if self._is_recent(local) else None)
        remote = message.values.get("assigned-session-id")
        found = [call for call in self._live.values() if remote in (None, call.remote)]
        return found[0] if len(found) == 1 else None

    # The table at work

    def _fire(self, call: Call, event: session.Event, result: Result = offer.CALL_ADMINISTRATIVE) -> None:
        config = self._config
        for action in call.machine.fire(event):
            match action:
                case session.Action.SEND_ICRQ:
                    self._send(Type.ICRQ, 0, offer.call(config, call.local, self._serial))
                    self._serial += 1
                case session.Action.SEND_ICRP:
                    self._send(Type.ICRP, call.remote, {"assigned-session-id": call.local})
                case session.Action.SEND_ICCN:
                    self._send(Type.ICCN, call.remote, offer.connected(config, call.proxy, sequencing=call.required))
                case session.Action.SEND_CDN:
                    self._send(Type.CDN, call.remote, {"result-code": result, "assigned-session-id": call.local})
                case session.Action.CALL_UP:
                    handed_over = None if call.opener else call.proxy
                    self._events.append(events.CallUp(call.local, call.remote, handed_over))
                case session.Action.CLEAN_UP:
                    self._forget(call)

    def _is_recent(self, local: int) -> bool:
        return self._recent is not None and local in self._recent

    def _forget(self, call: Call) -> None:
        if self._live.pop(call.local, None) is not None:
            self._recent = self._recent or deque(maxlen=REMEMBERED)
            self._recent.append(call.local)

    def _new(self, remote: int, *, opener: bool = False) -> Call:
        """A call under an ID that no live call has and none had lately; not yet among the live ones."""
        if len(self._live) + REMEMBERED >= 0xFFFF:
            raise ProtocolError("l2tp", "there is no session ID left in this tunnel")
        local = self.first
        if local in self._live or self._is_recent(local):
            local = int.from_bytes(self._entropy(2)) % 0xFFFF + 1
        while local in self._live or self._is_recent(local):
            local = local % 0xFFFF + 1
        return Call(local, remote=remote, opener=opener, insists=self._config.sequencing == "always")
