"""An incoming call as a table (RFC 2661 §7.4.1 for the LAC, §7.4.2 for the LNS), both roles in one.

A client with its own L2TP is its own LAC: it opens the call and sends ICRQ.
"""

from __future__ import annotations

from enum import Enum

from harness.wire.machine import Table


class State(Enum):
    IDLE = "idle"
    WAIT_TUNNEL = "wait-tunnel"
    WAIT_REPLY = "wait-reply"
    WAIT_CONNECT = "wait-connect"
    ESTABLISHED = "established"


class Event(Enum):
    """`…_BAD` is a message that is well formed but not acceptable."""

    OPEN = "open"
    CLOSE = "close"
    TUNNEL_UP = "tunnel open"
    TUNNEL_DOWN = "tunnel gone"
    ICRQ = "ICRQ"
    ICRQ_BAD = "ICRQ not acceptable"
    ICRP = "ICRP"
    ICRP_BAD = "ICRP not acceptable"
    ICCN = "ICCN"
    OCRQ = "OCRQ"
    OCRP = "OCRP"
    OCCN = "OCCN"
    CDN = "CDN"
    WEN = "WEN"
    SLI = "SLI"
    BROKEN = "a mandatory unknown AVP"


class Action(Enum):
    SEND_ICRQ = "send ICRQ"
    SEND_ICRP = "send ICRP"
    SEND_ICCN = "send ICCN"
    SEND_CDN = "send CDN"
    CALL_UP = "the call is established"
    CLEAN_UP = "clean up"


_LIVE = (State.WAIT_REPLY, State.WAIT_CONNECT, State.ESTABLISHED)
_HANG_UP = ((Action.SEND_CDN, Action.CLEAN_UP), State.IDLE)
_GONE = ((Action.CLEAN_UP,), State.IDLE)
_ROWS: dict[tuple[State, Event], tuple[tuple[Action, ...], State]] = {
    (State.IDLE, Event.OPEN): ((), State.WAIT_TUNNEL),
    (State.IDLE, Event.ICRQ): ((Action.SEND_ICRP,), State.WAIT_CONNECT),
    (State.IDLE, Event.ICRQ_BAD): ((Action.SEND_CDN,), State.IDLE),
    # No call is placed for the peer's sake: an outgoing call is refused at once, and what would follow it has nothing to follow.
    (State.IDLE, Event.OCRQ): ((Action.SEND_CDN,), State.IDLE),
    **{(state, event): _HANG_UP for state in _LIVE for event in (Event.OCRQ, Event.OCRP, Event.OCCN)},
    **{(State.IDLE, event): ((), State.IDLE) for event in (Event.OCRP, Event.OCCN)},
    **{(State.IDLE, event): ((), State.IDLE) for event in (Event.TUNNEL_UP, Event.TUNNEL_DOWN, Event.CLOSE)},
    # §7.4: what comes for a call that is gone is passed over.
    **{(State.IDLE, event): ((), State.IDLE) for event in (Event.ICRP, Event.ICRP_BAD, Event.ICCN, Event.CDN)},
    (State.WAIT_TUNNEL, Event.TUNNEL_UP): ((Action.SEND_ICRQ,), State.WAIT_REPLY),
    (State.WAIT_TUNNEL, Event.CLOSE): _GONE,
    (State.WAIT_TUNNEL, Event.TUNNEL_DOWN): _GONE,
    (State.WAIT_REPLY, Event.ICRP): ((Action.SEND_ICCN, Action.CALL_UP), State.ESTABLISHED),
    (State.WAIT_REPLY, Event.ICRP_BAD): _HANG_UP,
    (State.WAIT_REPLY, Event.ICRQ): _HANG_UP,
    (State.WAIT_REPLY, Event.ICRQ_BAD): _HANG_UP,
    (State.WAIT_REPLY, Event.ICCN): _GONE,
    (State.WAIT_CONNECT, Event.ICCN): ((Action.CALL_UP,), State.ESTABLISHED),
    **{
        (state, event): _HANG_UP
        for state in (State.WAIT_CONNECT, State.ESTABLISHED)
        for event in (Event.ICRQ, Event.ICRQ_BAD, Event.ICRP, Event.ICRP_BAD)
    },
    (State.ESTABLISHED, Event.ICCN): _HANG_UP,
    **{(state, Event.CDN): _GONE for state in _LIVE},
    **{(state, Event.TUNNEL_DOWN): _GONE for state in _LIVE},
    **{(state, Event.CLOSE): _HANG_UP for state in _LIVE},
    **{(state, Event.BROKEN): _HANG_UP for state in _LIVE},
    # WAN-Error-Notify and Set-Link-Info concern asynchronous lines; a Microsoft client takes SLI and does nothing with it.
    **{(State.ESTABLISHED, event): ((), State.ESTABLISHED) for event in (Event.WEN, Event.SLI)},
}
TABLE: Table[State, Event, Action] = Table("l2tp", State, Event, State.IDLE, _ROWS)
