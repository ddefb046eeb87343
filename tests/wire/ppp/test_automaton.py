"""The automaton against RFC 1661 §4.1, and the negotiation that drives it."""

from __future__ import annotations

import pytest

from harness.errors import ProtocolError
from harness.wire.machine import Machine
from harness.wire.ppp.automaton import TABLE, TIMED, Action, Event, State

# "-" in the RFC's table, by event: the states in which the event cannot happen.
IMPOSSIBLE = {
    Event.UP: set(State) - {State.INITIAL, State.STARTING},
    Event.DOWN: {State.INITIAL, State.STARTING},
    Event.OPEN: set(),
    Event.CLOSE: set(),
    Event.TIMEOUT: {State.INITIAL, State.STARTING, State.CLOSED, State.STOPPED, State.OPENED},
    Event.TIMEOUT_LAST: {State.INITIAL, State.STARTING, State.CLOSED, State.STOPPED, State.OPENED},
}
BEFORE_UP = {State.INITIAL, State.STARTING}  # no packet can come while the lower layer is down

# The rows of an ordinary life, written out a second time in words (RFC 1661 §4.1 and §4.4).
LIFE = [
    (State.INITIAL, Event.OPEN, ["tls"], State.STARTING),
    (State.STARTING, Event.UP, ["irc", "scr"], State.REQ_SENT),
    (State.REQ_SENT, Event.TIMEOUT, ["scr"], State.REQ_SENT),
    (State.REQ_SENT, Event.REQUEST_GOOD, ["sca"], State.ACK_SENT),
    (State.REQ_SENT, Event.REQUEST_BAD, ["scn"], State.REQ_SENT),
    (State.REQ_SENT, Event.ACK, ["irc"], State.ACK_RCVD),
    (State.REQ_SENT, Event.NAK, ["irc", "scr"], State.REQ_SENT),
    (State.ACK_SENT, Event.ACK, ["irc", "tlu"], State.OPENED),
    (State.ACK_RCVD, Event.REQUEST_GOOD, ["sca", "tlu"], State.OPENED),
    (State.ACK_RCVD, Event.TIMEOUT, ["scr"], State.REQ_SENT),
    (State.REQ_SENT, Event.TIMEOUT_LAST, ["tlf"], State.STOPPED),
    (State.OPENED, Event.REQUEST_GOOD, ["tld", "scr", "sca"], State.ACK_SENT),
    (State.OPENED, Event.REQUEST_BAD, ["tld", "scr", "scn"], State.REQ_SENT),
    (State.OPENED, Event.CLOSE, ["tld", "irc", "str"], State.CLOSING),
    (State.OPENED, Event.TERMINATE_REQUEST, ["tld", "zrc", "sta"], State.STOPPING),
    (State.OPENED, Event.TERMINATE_ACK, ["tld", "scr"], State.REQ_SENT),
    (State.OPENED, Event.REJECT_FATAL, ["tld", "irc", "str"], State.STOPPING),
    (State.OPENED, Event.UNKNOWN_CODE, ["scj"], State.OPENED),
    (State.OPENED, Event.ECHO, ["ser"], State.OPENED),
    (State.OPENED, Event.DOWN, ["tld"], State.STARTING),
    (State.CLOSING, Event.TERMINATE_ACK, ["tlf"], State.CLOSED),
    (State.CLOSING, Event.TIMEOUT, ["str"], State.CLOSING),
    (State.CLOSING, Event.TIMEOUT_LAST, ["tlf"], State.CLOSED),
    (State.STOPPING, Event.TIMEOUT_LAST, ["tlf"], State.STOPPED),
    (State.STOPPED, Event.REQUEST_GOOD, ["irc", "scr", "sca"], State.ACK_SENT),
    (State.CLOSED, Event.REQUEST_GOOD, ["sta"], State.CLOSED),
    (State.STARTING, Event.CLOSE, ["tlf"], State.INITIAL),
]


def impossible(state: State, event: Event) -> bool:
    return state in IMPOSSIBLE.get(event, BEFORE_UP)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("event", list(Event))
def test_every_pair(state: State, event: Event) -> None:
    machine = Machine(TABLE)
    machine.state = state
    if impossible(state, event):
        with pytest.raises(ProtocolError):
            machine.fire(event)
        assert machine.state is state
    else:
        machine.fire(event)
        assert (state, event) in TABLE.rows


def test_the_table_lists_what_it_should_and_no_more() -> None:
    assert set(TABLE.unlisted()) == {(state, event) for state in State for event in Event if impossible(state, event)}


@pytest.mark.parametrize(("state", "event", "actions", "after"), LIFE)
def test_rows_of_an_ordinary_life(state: State, event: Event, actions: list[str], after: State) -> None:
    assert TABLE.rows[state, event] == (tuple(Action(word) for word in actions), after)


def test_layers_go_up_and_down_exactly_at_the_edge_of_opened() -> None:
    """§4.4: this-layer-up on entering Opened, this-layer-down on leaving it, and at no other time."""
    for (state, _), (actions, after) in TABLE.rows.items():
        assert (Action.LAYER_UP in actions) == (after is State.OPENED and state is not State.OPENED)
        assert (Action.LAYER_DOWN in actions) == (state is State.OPENED and after is not State.OPENED)


def test_whoever_enters_a_timed_state_starts_the_timer() -> None:
    """§4.6: the restart timer is started by the actions that set or use the restart counter."""
    starts = {Action.INIT_RESTART, Action.ZERO_RESTART, Action.SEND_REQUEST, Action.SEND_TERMINATE_REQUEST}
    for (state, _), (actions, after) in TABLE.rows.items():
        if after in TIMED and state not in TIMED:
            assert starts & set(actions)
