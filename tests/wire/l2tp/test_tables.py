"""Both tables, every pair of state and event: what RFC 2661 §7 lists does what it says, all else is an error."""

from __future__ import annotations

import pytest

from harness.errors import ProtocolError
from harness.wire.l2tp import session, tunnel
from harness.wire.machine import Machine

T, E, A = tunnel.State, tunnel.Event, tunnel.Action
S, F, B = session.State, session.Event, session.Action

# RFC 2661 §7.2.1, row by row: state, event, what is sent, next state ("idle" after an end is CLEARED or WAIT_CLEAR here).
TUNNEL_RFC = [
    (T.IDLE, E.OPEN, A.SEND_SCCRQ, T.WAIT_CTL_REPLY),
    (T.IDLE, E.SCCRQ, A.SEND_SCCRP, T.WAIT_CTL_CONN),
    (T.IDLE, E.SCCRQ_BAD, A.SEND_STOPCCN, T.WAIT_CLEAR),
    (T.WAIT_CTL_REPLY, E.SCCRP, A.SEND_SCCCN, T.ESTABLISHED),
    (T.WAIT_CTL_REPLY, E.SCCRP_BAD, A.SEND_STOPCCN, T.WAIT_CLEAR),
    (T.WAIT_CTL_REPLY, E.SCCCN, A.SEND_STOPCCN, T.WAIT_CLEAR),
    (T.WAIT_CTL_CONN, E.SCCCN, A.TUNNEL_UP, T.ESTABLISHED),
    (T.WAIT_CTL_CONN, E.SCCCN_BAD, A.SEND_STOPCCN, T.WAIT_CLEAR),
    (T.WAIT_CTL_CONN, E.SCCRQ, A.SEND_STOPCCN, T.WAIT_CLEAR),
    (T.WAIT_CTL_CONN, E.SCCRP, A.SEND_STOPCCN, T.WAIT_CLEAR),
    (T.ESTABLISHED, E.CLOSE, A.SEND_STOPCCN, T.WAIT_CLEAR),
    (T.ESTABLISHED, E.SCCRQ, A.SEND_STOPCCN, T.WAIT_CLEAR),
    (T.ESTABLISHED, E.SCCRP, A.SEND_STOPCCN, T.WAIT_CLEAR),
    (T.ESTABLISHED, E.SCCCN, A.SEND_STOPCCN, T.WAIT_CLEAR),
    (T.WAIT_CTL_REPLY, E.TIE_LOST, A.BEGIN_AGAIN, T.IDLE),
    *((state, E.STOPCCN, A.CLEAN_UP, T.CLEARED) for state in (T.WAIT_CTL_REPLY, T.WAIT_CTL_CONN, T.ESTABLISHED)),
]
# RFC 2661 §7.4.1 (LAC) and §7.4.2 (LNS).
SESSION_RFC = [
    (S.IDLE, F.OPEN, None, S.WAIT_TUNNEL),
    (S.IDLE, F.ICCN, None, S.IDLE),
    (S.IDLE, F.ICRP, None, S.IDLE),
    (S.IDLE, F.CDN, None, S.IDLE),
    (S.IDLE, F.OCRQ, B.SEND_CDN, S.IDLE),
    *((state, event, B.SEND_CDN, S.IDLE) for state in (S.WAIT_REPLY, S.ESTABLISHED) for event in (F.OCRQ, F.OCRP, F.OCCN)),
    (S.WAIT_TUNNEL, F.CLOSE, B.CLEAN_UP, S.IDLE),
    (S.WAIT_TUNNEL, F.TUNNEL_UP, B.SEND_ICRQ, S.WAIT_REPLY),
    (S.WAIT_REPLY, F.ICRP, B.SEND_ICCN, S.ESTABLISHED),
    (S.WAIT_REPLY, F.ICRP_BAD, B.SEND_CDN, S.IDLE),
    (S.WAIT_REPLY, F.ICRQ, B.SEND_CDN, S.IDLE),
    (S.WAIT_REPLY, F.CDN, B.CLEAN_UP, S.IDLE),
    (S.WAIT_REPLY, F.ICCN, B.CLEAN_UP, S.IDLE),
    (S.WAIT_REPLY, F.CLOSE, B.SEND_CDN, S.IDLE),
    *((S.ESTABLISHED, event, B.SEND_CDN, S.IDLE) for event in (F.ICRQ, F.ICRP, F.ICCN, F.CLOSE)),
    (S.ESTABLISHED, F.CDN, B.CLEAN_UP, S.IDLE),
    (S.IDLE, F.ICRQ, B.SEND_ICRP, S.WAIT_CONNECT),
    (S.IDLE, F.ICRQ_BAD, B.SEND_CDN, S.IDLE),
    (S.WAIT_CONNECT, F.ICCN, B.CALL_UP, S.ESTABLISHED),
    (S.WAIT_CONNECT, F.ICRQ, B.SEND_CDN, S.IDLE),
    (S.WAIT_CONNECT, F.ICRP, B.SEND_CDN, S.IDLE),
    (S.WAIT_CONNECT, F.CDN, B.CLEAN_UP, S.IDLE),
    (S.WAIT_CONNECT, F.CLOSE, B.SEND_CDN, S.IDLE),
]
TIES = {E.TIE_WON, E.TIE_LOST, E.TIE_EVEN}
# Pairs that no table lists, written out so that a row that slips in, or out, shows.
TUNNEL_UNLISTED = {
    T.IDLE: {E.SCCRP, E.SCCRP_BAD, E.SCCCN, E.SCCCN_BAD, E.STOPCCN, E.HELLO, E.BROKEN, E.ACKNOWLEDGED, E.SILENCE} | TIES,
    T.WAIT_CTL_REPLY: {E.OPEN, E.SCCRQ, E.SCCRQ_BAD, E.HELLO, E.ACKNOWLEDGED},
    T.WAIT_CTL_CONN: {E.OPEN, E.HELLO, E.ACKNOWLEDGED} | TIES,
    T.ESTABLISHED: {E.OPEN, E.ACKNOWLEDGED} | TIES,
    T.WAIT_CLEAR: {E.OPEN},
    T.CLEARED: set(E) - {E.CLOSE, E.STOPCCN},
}
SESSION_UNLISTED = {
    S.IDLE: {F.WEN, F.SLI, F.BROKEN},
    S.WAIT_TUNNEL: set(F) - {F.TUNNEL_UP, F.TUNNEL_DOWN, F.CLOSE},
    S.WAIT_REPLY: {F.OPEN, F.TUNNEL_UP, F.WEN, F.SLI},
    S.WAIT_CONNECT: {F.OPEN, F.TUNNEL_UP, F.WEN, F.SLI},
    S.ESTABLISHED: {F.OPEN, F.TUNNEL_UP},
}


@pytest.mark.parametrize(("state", "event", "action", "after"), TUNNEL_RFC)
def test_the_tunnel_does_as_the_rfc_lists(
    state: tunnel.State, event: tunnel.Event, action: tunnel.Action, after: tunnel.State
) -> None:
    actions, following = tunnel.TABLE.rows[state, event]
    assert action in actions
    assert following is after


@pytest.mark.parametrize(("state", "event", "action", "after"), SESSION_RFC)
def test_the_call_does_as_the_rfc_lists(
    state: session.State, event: session.Event, action: session.Action | None, after: session.State
) -> None:
    actions, following = session.TABLE.rows[state, event]
    assert actions == () if action is None else action in actions
    assert following is after


@pytest.mark.parametrize("state", list(T))
@pytest.mark.parametrize("event", list(E))
def test_every_pair_of_the_tunnel(state: tunnel.State, event: tunnel.Event) -> None:
    machine = Machine(tunnel.TABLE)
    machine.state = state
    if event in TUNNEL_UNLISTED[state]:
        with pytest.raises(ProtocolError):
            machine.fire(event)
        assert machine.state is state
    else:
        assert isinstance(machine.fire(event), tuple)


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("event", list(F))
def test_every_pair_of_the_call(state: session.State, event: session.Event) -> None:
    machine = Machine(session.TABLE)
    machine.state = state
    if event in SESSION_UNLISTED[state]:
        with pytest.raises(ProtocolError):
            machine.fire(event)
        assert machine.state is state
    else:
        assert isinstance(machine.fire(event), tuple)
