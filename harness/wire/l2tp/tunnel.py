"""The control connection as a table (RFC 2661 §7.2.1), for the side that opens it and the side that answers.

Beyond the RFC's rows: WAIT_CLEAR, in which a StopCCN waits for its acknowledgement (§5.7), and SILENCE, the end of the
retransmission schedule (§5.8).
"""

from __future__ import annotations

from enum import Enum

from harness.wire.machine import Table


class State(Enum):
    IDLE = "idle"
    WAIT_CTL_REPLY = "wait-ctl-reply"
    WAIT_CTL_CONN = "wait-ctl-conn"
    ESTABLISHED = "established"
    WAIT_CLEAR = "wait-clear"
    CLEARED = "cleared"


class Event(Enum):
    """`…_BAD` is a message that is well formed but not acceptable."""

    OPEN = "open"
    CLOSE = "close"
    SCCRQ = "SCCRQ"
    SCCRQ_BAD = "SCCRQ not acceptable"
    SCCRP = "SCCRP"
    SCCRP_BAD = "SCCRP not acceptable"
    SCCCN = "SCCCN"
    SCCCN_BAD = "SCCCN not acceptable"
    STOPCCN = "StopCCN"
    HELLO = "Hello"
    BROKEN = "a mandatory unknown AVP or message"
    ACKNOWLEDGED = "all sent is acknowledged"
    SILENCE = "retransmission ended"
    TIE_WON = "SCCRQ that loses the tie"
    TIE_LOST = "SCCRQ that wins the tie"
    TIE_EVEN = "SCCRQ with our own tie breaker"


class Action(Enum):
    SEND_SCCRQ = "send SCCRQ"
    SEND_SCCRP = "send SCCRP"
    SEND_SCCCN = "send SCCCN"
    SEND_STOPCCN = "send StopCCN"
    TUNNEL_UP = "tell the sessions that the tunnel is open"
    END_SESSION = "end the session without a CDN"
    CLEAN_UP = "clean up"
    BEGIN_AGAIN = "forget what was sent"


_WAITING = (State.WAIT_CTL_REPLY, State.WAIT_CTL_CONN, State.ESTABLISHED)
_STOP = ((Action.SEND_STOPCCN, Action.END_SESSION), State.WAIT_CLEAR)
_GONE = ((Action.END_SESSION, Action.CLEAN_UP), State.CLEARED)
_ROWS: dict[tuple[State, Event], tuple[tuple[Action, ...], State]] = {
    (State.IDLE, Event.OPEN): ((Action.SEND_SCCRQ,), State.WAIT_CTL_REPLY),
    (State.IDLE, Event.SCCRQ): ((Action.SEND_SCCRP,), State.WAIT_CTL_CONN),
    (State.IDLE, Event.SCCRQ_BAD): _STOP,
    (State.IDLE, Event.CLOSE): ((Action.CLEAN_UP,), State.CLEARED),
    (State.WAIT_CTL_REPLY, Event.SCCRP): ((Action.SEND_SCCCN, Action.TUNNEL_UP), State.ESTABLISHED),
    (State.WAIT_CTL_REPLY, Event.SCCRP_BAD): _STOP,
    (State.WAIT_CTL_REPLY, Event.SCCCN): _STOP,
    (State.WAIT_CTL_REPLY, Event.SCCCN_BAD): _STOP,
    # §4.4.3: both ends have opened at once; the lower tie breaker wins, and the other end answers as if it had not asked.
    (State.WAIT_CTL_REPLY, Event.TIE_WON): ((), State.WAIT_CTL_REPLY),
    (State.WAIT_CTL_REPLY, Event.TIE_LOST): ((Action.BEGIN_AGAIN,), State.IDLE),
    (State.WAIT_CTL_REPLY, Event.TIE_EVEN): _GONE,
    (State.WAIT_CTL_CONN, Event.SCCCN): ((Action.TUNNEL_UP,), State.ESTABLISHED),
    (State.WAIT_CTL_CONN, Event.SCCCN_BAD): _STOP,
    (State.WAIT_CTL_CONN, Event.SCCRQ): _STOP,
    (State.WAIT_CTL_CONN, Event.SCCRQ_BAD): _STOP,
    (State.WAIT_CTL_CONN, Event.SCCRP): _STOP,
    (State.WAIT_CTL_CONN, Event.SCCRP_BAD): _STOP,
    (State.ESTABLISHED, Event.HELLO): ((), State.ESTABLISHED),
    **{
        (State.ESTABLISHED, event): _STOP
        for event in (Event.SCCRQ, Event.SCCRQ_BAD, Event.SCCRP, Event.SCCRP_BAD, Event.SCCCN, Event.SCCCN_BAD)
    },
    **{(state, Event.CLOSE): _STOP for state in _WAITING},
    **{(state, Event.BROKEN): _STOP for state in _WAITING},
    **{(state, Event.STOPCCN): _GONE for state in _WAITING},
    **{(state, Event.SILENCE): _GONE for state in _WAITING},
    # Waiting for the acknowledgement of our StopCCN: only the end matters, all else is acknowledged and dropped.
    **{(State.WAIT_CLEAR, event): ((), State.WAIT_CLEAR) for event in Event if event is not Event.OPEN},
    (State.WAIT_CLEAR, Event.STOPCCN): ((Action.CLEAN_UP,), State.CLEARED),
    (State.WAIT_CLEAR, Event.ACKNOWLEDGED): ((Action.CLEAN_UP,), State.CLEARED),
    (State.WAIT_CLEAR, Event.SILENCE): ((Action.CLEAN_UP,), State.CLEARED),
    # Cleared: the channel still acknowledges what the peer repeats (§5.7); nothing else can happen any more.
    (State.CLEARED, Event.CLOSE): ((), State.CLEARED),
    (State.CLEARED, Event.STOPCCN): ((), State.CLEARED),
}
TABLE: Table[State, Event, Action] = Table("l2tp", State, Event, State.IDLE, _ROWS)
