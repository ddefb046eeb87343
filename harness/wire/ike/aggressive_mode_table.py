"""Aggressive mode (RFC 2409 §5.1, §5.4; NAT-D as in RFC 3947 §3.2) as one table for both roles.

initiator                                   responder
AM1  SA, KE, NONCE, ID, VIDs          ─▶
                                      ◀─    AM2  SA, KE, NONCE, ID, HASH or CERT and SIG, NAT-D, VIDs
AM3  HASH or CERT and SIG, NAT-D      ─▶
"""

from __future__ import annotations

from enum import Enum

from harness.wire.machine import Table


class State(Enum):
    IDLE = "idle"
    WAIT_AM2 = "waiting for AM2"
    WAIT_AM3 = "waiting for AM3"
    ESTABLISHED = "established"
    ENDED = "ended"


class Event(Enum):
    START = "start"
    AM1 = "AM1"
    AM2 = "AM2"
    AM3 = "AM3"
    SILENCE = "no answer"  # the schedule of retransmissions has ended
    REFUSAL = "refusal"  # an error notification that concerns this exchange
    CLOSE = "close"  # we end it
    DELETED = "deleted"  # the peer, authenticated, deletes the SA


class Action(Enum):
    SEND_OFFER = "send AM1"
    TAKE_OFFER = "take AM1, derive the keys"
    SEND_CHOICE = "send AM2"
    TAKE_CHOICE = "take AM2, derive the keys, check its proof"
    FLOAT = "move to port 4500 if there is a NAT"
    SEND_PROOF = "send AM3"
    TAKE_PROOF = "check the proof in AM3"
    ANNOUNCE = "announce the SA"
    FAIL_SILENCE = "give up, unanswered"
    FAIL_REFUSED = "give up, refused"


_A, _E, _S = Action, Event, State
_WAITING = (_S.WAIT_AM2, _S.WAIT_AM3)

TABLE: Table[State, Event, Action] = Table(
    "aggressive mode",
    State,
    Event,
    State.IDLE,
    {
        (_S.IDLE, _E.START): ((_A.SEND_OFFER,), _S.WAIT_AM2),
        (_S.WAIT_AM2, _E.AM2): ((_A.TAKE_CHOICE, _A.FLOAT, _A.SEND_PROOF, _A.ANNOUNCE), _S.ESTABLISHED),
        (_S.IDLE, _E.AM1): ((_A.TAKE_OFFER, _A.SEND_CHOICE), _S.WAIT_AM3),
        (_S.WAIT_AM3, _E.AM3): ((_A.TAKE_PROOF, _A.FLOAT, _A.ANNOUNCE), _S.ESTABLISHED),
        **{(state, _E.SILENCE): ((_A.FAIL_SILENCE,), _S.ENDED) for state in _WAITING},
        **{(state, _E.REFUSAL): ((_A.FAIL_REFUSED,), _S.ENDED) for state in _WAITING},
        **{(state, _E.CLOSE): ((), _S.ENDED) for state in (*_WAITING, _S.ESTABLISHED)},
        (_S.ESTABLISHED, _E.DELETED): ((), _S.ENDED),
    },
)
