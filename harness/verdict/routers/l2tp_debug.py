"""What routers tell of a tunnel that comes up, and how the LNS repeats what nobody acknowledges: held against what crossed the
wire."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from harness.model import Evidence, FrameKind, Observation, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.calls import LAC, LAC_ADDRESS, LNS, UDP
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import avp, came_up, frames, l2tp, logged, message_of, pings, printed, rows

SOCKET, L2X = "debug crypto socket", "debug vpdn l2x-events"
SOCKETS = "show crypto sockets"

ORDER: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("the request that came in", "message", {"direction": "I", "message": "SCCRQ"}),
    ("the request for security", "security-requested", {}),
    ("the challenge in it", "challenge", {"message": "SCCRQ"}),
    ("the new tunnel", "tunnel-created", {}),
    ("the answer that went out", "message", {"direction": "O"}),
    ("the first delay of repetitions", "retransmit-delay", {}),
    ("the change from idle to wait-ctl-reply", "tunnel-state", {"from_state": "idle", "to_state": "wait-ctl-reply"}),
    ("the binding of the socket", "bound", {}),
)
"""The lines of the document's sample in its order: what a line tells, its kind, and some of its fields."""

FIRST_REPEAT_S = (0.75, 1.5)
"""Between these a message is repeated first where its delay is 1 s: timers are coarse."""


def _events(evidence: Evidence, *commands: str) -> list[Any]:
    """The LNS's debug lines. Inconclusive where debugging was not switched on, or no call came up."""
    for command in commands:
        said = printed(evidence, LNS, command)
        require(not said.refused, f"the LNS refused {command!r}: {said.refused}")
    require(came_up(evidence, "caller 1") is not None, "no call came up, so there was nothing to tell")
    return [one.event for one in logged(evidence, LNS) if one.event is not None]


def _first(events: list[Any], kind: str, **wanted: Any) -> int | None:
    """Where the first event of that kind, with those fields, stands."""
    return next(
        (n for n, one in enumerate(events) if one.kind == kind and all(getattr(one, name) == wanted[name] for name in wanted)), None
    )


def _handshake(evidence: Evidence) -> tuple[Observation, Observation]:
    """SCCRQ and the LNS's first answer, inside ESP. An acknowledgement of its own before that answers nothing yet."""
    requests = l2tp(evidence, "SCCRQ", src=LAC_ADDRESS, clear=False)
    require(bool(requests), "no protected SCCRQ crossed the wire")
    said = l2tp(evidence, src=evidence.gateway_address, since=requests[0].t)
    answers = [one for one in said if message_of(one) != "ZLB"]
    require(bool(answers), "the LNS did not answer the SCCRQ")
    return requests[0], answers[0]


# Debug


@check(Side.OUTSIDE, decrypted="esp")
def socket_is_opened_then_bound(evidence: Evidence) -> Verdict:
    """SEC-90: the socket is opened passively, and bound afterwards; it is the one of the messages on the wire."""
    events = _events(evidence, SOCKET)
    request, _ = _handshake(evidence)
    inner = request.inner
    opened, bound = _first(events, "passive-open"), _first(events, "bound")
    found = Findings(told=[one.kind for one in events if one.kind in ("passive-open", "bound")])
    if found.expect(opened is not None, "the LNS did not tell that the socket was opened") and opened is not None:
        event = events[opened]
        assert inner is not None
        wanted = {
            "local_address": request.dst,
            "local_port": inner.dport,
            "remote_address": request.src,
            "remote_port": inner.sport,
            "protocol": UDP,
            "interface": "Fa0/0",
        }
        for name, value in wanted.items():
            has = getattr(event, name)
            found.expect(has == value, f"the socket's {name} is told as {has}, and on the wire it is {value}", request)
    if found.expect(bound is not None, "the LNS did not tell that the socket was bound") and bound is not None:
        found.expect(opened is None or opened < bound, "the socket was bound before it was opened")
    return found.verdict("the socket was opened, then bound, and is the one of the wire")


@check(Side.OUTSIDE, decrypted="esp")
def events_in_order(evidence: Evidence) -> Verdict:
    """SEC-91: the lines of a tunnel that comes up are those of the document's sample, in its order, and their names, addresses and
    numbers are those of the wire."""
    events = _events(evidence, SOCKET, L2X)
    request, answer = _handshake(evidence)
    require(avp(request, "Challenge") is not None, "the SCCRQ had no challenge")
    found = Findings(told=[one.text for one in events][: len(ORDER) + 2])
    places: dict[str, int] = {}
    for what, kind, wanted in ORDER:
        place = _first(events, kind, **wanted)
        if found.expect(place is not None, f"the LNS did not tell of {what}") and place is not None:
            places[what] = place
    names = list(places)
    for before, after in pairwise(names):
        found.expect(places[before] < places[after], f"the LNS told of {after} before {before}")
    lac, theirs, ours = avp(request, "Host Name"), avp(request, "Assigned Tunnel ID"), avp(answer, "Assigned Tunnel ID")
    peer = request.src
    on_the_wire: Mapping[str, Mapping[str, Any]] = {
        "the request that came in": {"remote_name": lac, "remote_tunnel": theirs},
        "the request for security": {"local_address": request.dst, "remote_address": peer, "local_port": 1701, "remote_port": 1701},
        "the challenge in it": {"remote_name": lac, "tunnel": ours},
        "the new tunnel": {"remote_name": lac, "remote_address": peer, "tunnel": ours},
        "the answer that went out": {"remote_name": lac, "remote_tunnel": theirs, "tunnel": ours},
        "the first delay of repetitions": {"delay_s": 1, "tunnel": ours},
        "the change from idle to wait-ctl-reply": {"tunnel": ours},
    }
    for what, values in on_the_wire.items():
        for name, value in values.items() if what in places else ():
            has = getattr(events[places[what]], name)
            found.expect(has == value, f"in {what} the {name} is told as {has}, and is {value}", request, answer)
    return found.verdict("the lines came in the document's order, with the names and numbers of the wire")


@check(Side.OUTSIDE, decrypted="esp")
def socket_becomes_active(evidence: Evidence) -> Verdict:
    """SEC-92: the socket that was created is open, and its client active, while ESP carries its messages both ways; before the
    tunnel there was none."""
    _events(evidence, SOCKET)
    before = [one for one in rows(evidence, LNS, SOCKETS, "before") if hasattr(one, "state")]
    request, answer = _handshake(evidence)
    found = Findings(before=len(before))
    found.expect(not before, f"the LNS shows {len(before)} sockets before there is a tunnel")
    for device, first in ((LNS, answer), (LAC, request)):
        shown = [one for one in rows(evidence, device, SOCKETS, "up") if hasattr(one, "state")]
        found.facts[device] = [(one.state, one.client, one.client_state) for one in shown]
        if not found.expect(len(shown) == 1, f"{device} shows {len(shown)} sockets of one tunnel"):
            continue
        (socket,) = shown
        states = socket.state, socket.client_state
        found.expect(
            states == ("Open", "Active"), f"the socket of {device} is {socket.state}, and its client {socket.client_state}"
        )
        assert first.inner is not None
        ends = tuple((ident.address, ident.port, ident.protocol) for ident in (socket.local_ident, socket.remote_ident))
        wire = (first.src, first.inner.sport, UDP), (first.dst, first.inner.dport, UDP)
        found.expect(ends == wire, f"the socket of {device} is {ends}, and on the wire it is {wire}", first)
    return found.verdict("the socket is open and its client active at either end")


@check(Side.OUTSIDE, decrypted="esp")
def answer_is_an_sccrp(evidence: Evidence) -> Verdict:
    """SEC-93: what the LNS calls an SCCRQ that it sends is an SCCRP on the wire, of message type 2."""
    events = _events(evidence, L2X)
    place = _first(events, "message", direction="O")
    require(place is not None, "the LNS did not tell of its answer")
    _, answer = _handshake(evidence)
    found = Findings(told=events[place].message if place is not None else None, sent=message_of(answer))
    found.expect(message_of(answer) == "SCCRP", f"the LNS answered the SCCRQ by {message_of(answer) or 'data'}", answer)
    found.expect(avp(answer, "Message Type") == 2, f"the answer's message type is {avp(answer, 'Message Type')}, and not 2", answer)
    for frame in l2tp(evidence, "SCCRQ", src=evidence.gateway_address):
        found.expect(False, "the LNS sent an SCCRQ", frame)
    found.point(answer)
    return found.verdict(f"the answer, told as {found.facts['told']}, is an SCCRP of type 2")


@check(Side.OUTSIDE, decrypted="esp")
def set_up_time(evidence: Evidence) -> Verdict:
    """SEC-95: how long it took from the socket's opening to its binding, as told, and on the wire; the document's sample has
    340 ms. Noted."""
    _events(evidence, SOCKET)
    lines = [one for one in logged(evidence, LNS) if one.event is not None]
    times = {kind: next((one.t for one in lines if one.event.kind == kind), None) for kind in ("passive-open", "bound")}
    opened, bound = times["passive-open"], times["bound"]
    require(opened is not None and bound is not None, "the LNS did not tell of its socket")
    assert opened is not None and bound is not None  # noqa: PT018
    request, answer = _handshake(evidence)
    ike = frames(evidence, FrameKind.IKE)
    require(bool(ike), "no IKE crossed the wire")
    up = came_up(evidence, "caller 1")
    assert up is not None
    found = Findings(
        told_ms=round((bound - opened) * 1000),
        ike_ms=round((request.t - ike[0].t) * 1000),
        answer_ms=round((answer.t - request.t) * 1000),
        call_ms=round(float(up.data["took"]) * 1000),
    )
    found.expect(True, "")
    took, ike_took = found.facts["told_ms"], found.facts["ike_ms"]
    return found.verdict(f"the socket was bound {took} ms after it was opened; IKE took {ike_took} ms")


# Repetition


@check(Side.OUTSIDE, decrypted="esp")
def repeated_after_a_second(evidence: Evidence) -> Verdict:
    """SEC-94: an answer that is not acknowledged is sent again after 1 s, then at growing intervals; once it is acknowledged the
    call comes up."""
    delays = [one.delay_s for one in _events(evidence, L2X) if one.kind == "retransmit-delay"]
    answers = l2tp(evidence, "SCCRP", src=evidence.gateway_address)
    require(bool(answers), "the LNS did not answer the SCCRQ")
    acknowledged = [one for one in l2tp(evidence, src=LAC_ADDRESS, since=answers[0].t) if one.t < answers[0].t + 0.5]
    require(bool(acknowledged), "the LAC did not acknowledge the answer, so that nothing was lost")
    gaps = [after.t - before.t for before, after in pairwise(answers)]
    found = Findings(intervals=[round(gap, 3) for gap in gaps], told=delays[:1])
    if found.expect(len(gaps) >= 3, f"the answer was sent again {len(gaps)} times only, unacknowledged", *answers):
        low, high = FIRST_REPEAT_S
        found.expect(low <= gaps[0] <= high, f"the answer first came again after {gaps[0]:.3f} s, and not after 1 s", answers[1])
        for before, after, frame in zip(gaps, gaps[1:], answers[2:], strict=False):
            found.expect(after >= 0.9 * before, f"it came again after {after:.3f} s, sooner than before ({before:.3f} s)", frame)
        found.expect(gaps[-1] > 1.5 * gaps[0], f"the intervals do not grow: {found.facts['intervals']} s", answers[-1])
    found.expect(delays[:1] == [1], f"the LNS told of a delay of {delays[:1]} s, and not of 1 s")
    alive = pings(evidence, "caller 1")
    found.expect(bool(alive) and all(alive), "the call that came up at last carries nothing")
    return found.verdict(f"the answer was sent again after {found.facts['intervals']} s")


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-90": socket_is_opened_then_bound,
    "SEC-91": events_in_order,
    "SEC-92": socket_becomes_active,
    "SEC-93": answer_is_an_sccrp,
    "SEC-94": repeated_after_a_second,
}
NOTED: Mapping[str, RouterCheck] = {"SEC-95": set_up_time}
