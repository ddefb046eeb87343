"""Main mode (RFC 2409 §5.4, pre-shared key; §5.1, signatures) as one table for both roles.

initiator                    responder
MM1  SA, VIDs          ─▶
                       ◀─    MM2  SA, VIDs
MM3  KE, NONCE, NAT-D  ─▶
                       ◀─    MM4  KE, NONCE, NAT-D
MM5  ID, HASH (secret) ─▶
                       ◀─    MM6  ID, HASH (secret)

With signatures, MM3 and MM4 bear a CERTREQ too, MM5 and MM6 CERT and SIG in place of HASH.
"""

from __future__ import annotations

from enum import Enum

from harness.wire.machine import Table


class State(Enum):
    IDLE = "idle"
    WAIT_MM2 = "waiting for MM2"
    WAIT_MM3 = "waiting for MM3"
    WAIT_MM4 = "waiting for MM4"
    WAIT_MM5 = "waiting for MM5"
    WAIT_MM6 = "waiting for MM6"
    ESTABLISHED = "established"
    ENDED = "ended"


class Event(Enum):
    START = "start"
    MM1 = "MM1"
    MM2 = "MM2"
    MM3 = "MM3"
    MM4 = "MM4"
    MM5 = "MM5"
    MM6 = "MM6"
    SILENCE = "no answer"  # the schedule of retransmissions has ended
    REFUSAL = "refusal"  # an error notification that concerns this exchange
    CLOSE = "close"  # we end it
    DELETED = "deleted"  # the peer, authenticated, deletes the SA


class Action(Enum):
    SEND_OFFER = "send MM1"
    TAKE_OFFER = "take MM1"
    SEND_CHOICE = "send MM2"
    TAKE_CHOICE = "take MM2"
    TAKE_KEYS = "take KE and NONCE, derive the keys"
    SEND_KEYS = "send MM3 or MM4"
    FLOAT = "move to port 4500 if there is a NAT"
    TAKE_IDENTITY = "check ID and HASH"
    SEND_IDENTITY = "send MM5 or MM6"
    ANNOUNCE = "announce the SA"
    FAIL_SILENCE = "give up, unanswered"
    FAIL_REFUSED = "give up, refused"


_A, _E, _S = Action, Event, State
_WAITING = (_S.WAIT_MM2, _S.WAIT_MM3, _S.WAIT_MM4, _S.WAIT_MM5, _S.WAIT_MM6)

TABLE: Table[State, Event, Action] = Table(
    "main mode",
    State,
    Event,
    State.IDLE,
    {
        (_S.IDLE, _E.START): ((_A.SEND_OFFER,), _S.WAIT_MM2),
        (_S.WAIT_MM2, _E.MM2): ((_A.TAKE_CHOICE, _A.SEND_KEYS), _S.WAIT_MM4),
        (_S.WAIT_MM4, _E.MM4): ((_A.TAKE_KEYS, _A.FLOAT, _A.SEND_IDENTITY), _S.WAIT_MM6),
        (_S.WAIT_MM6, _E.MM6): ((_A.TAKE_IDENTITY, _A.ANNOUNCE), _S.ESTABLISHED),
        (_S.IDLE, _E.MM1): ((_A.TAKE_OFFER, _A.SEND_CHOICE), _S.WAIT_MM3),
        (_S.WAIT_MM3, _E.MM3): ((_A.TAKE_KEYS, _A.SEND_KEYS), _S.WAIT_MM5),
        (_S.WAIT_MM5, _E.MM5): ((_A.TAKE_IDENTITY, _A.FLOAT, _A.SEND_IDENTITY, _A.ANNOUNCE), _S.ESTABLISHED),
        **{(state, _E.SILENCE): ((_A.FAIL_SILENCE,), _S.ENDED) for state in _WAITING},
        **{(state, _E.REFUSAL): ((_A.FAIL_REFUSED,), _S.ENDED) for state in _WAITING},
        **{(state, _E.CLOSE): ((), _S.ENDED) for state in (*_WAITING, _S.ESTABLISHED)},
        (_S.ESTABLISHED, _E.DELETED): ((), _S.ENDED),
    },
)
