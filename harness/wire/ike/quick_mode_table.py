"""Quick mode (RFC 2409 §5.5) as one table for both roles.

initiator                                         responder
QM1  HASH(1), SA, NONCE, [KE], IDs, NAT-OA  ─▶
                                            ◀─    QM2  HASH(2), SA, NONCE, [KE], IDs, NAT-OA, [N]
QM3  HASH(3)                                ─▶
"""

from __future__ import annotations

from enum import Enum

from harness.wire.machine import Table


class State(Enum):
    IDLE = "idle"
    WAIT_QM2 = "waiting for QM2"
    WAIT_QM3 = "waiting for QM3"
    INSTALLED = "installed"
    ENDED = "ended"


class Event(Enum):
    START = "start"
    QM1 = "QM1"
    QM2 = "QM2"
    QM3 = "QM3"
    SILENCE = "no answer"
    REFUSAL = "refusal"  # an authenticated error notification
    CLOSE = "close"


class Action(Enum):
    SEND_OFFER = "send QM1"
    TAKE_OFFER = "take QM1"
    SEND_CHOICE = "send QM2"
    TAKE_CHOICE = "take QM2"
    SEND_PROOF = "send QM3"
    TAKE_PROOF = "take QM3"
    INSTALL = "derive KEYMAT, announce the SAs"
    FAIL_SILENCE = "give up, unanswered"
    FAIL_REFUSED = "give up, refused"


_A, _E, _S = Action, Event, State

TABLE: Table[State, Event, Action] = Table(
    "quick mode",
    State,
    Event,
    State.IDLE,
    {
        (_S.IDLE, _E.START): ((_A.SEND_OFFER,), _S.WAIT_QM2),
        (_S.WAIT_QM2, _E.QM2): ((_A.TAKE_CHOICE, _A.SEND_PROOF, _A.INSTALL), _S.INSTALLED),
        (_S.IDLE, _E.QM1): ((_A.TAKE_OFFER, _A.SEND_CHOICE), _S.WAIT_QM3),
        (_S.WAIT_QM3, _E.QM3): ((_A.TAKE_PROOF, _A.INSTALL), _S.INSTALLED),
        **{(state, _E.SILENCE): ((_A.FAIL_SILENCE,), _S.ENDED) for state in (_S.WAIT_QM2, _S.WAIT_QM3)},
        **{(state, _E.REFUSAL): ((_A.FAIL_REFUSED,), _S.ENDED) for state in (_S.WAIT_QM2, _S.WAIT_QM3)},
        **{(state, _E.CLOSE): ((), _S.ENDED) for state in (_S.WAIT_QM2, _S.WAIT_QM3, _S.INSTALLED)},
    },
)
