"""What a RADIUS server was asked and told: of users, and of IPsec sessions."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model import Evidence, FrameKind, Side, Told, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.l2tp_world import LAC, LNS, Call, calls
from harness.verdict.routers.reading import CLOSE_S, deletes, frames, step, told

USERS, SESSIONS = "radius", "radius-2"
"""The servers with which users are counted, and IPsec sessions."""
START, STOP = "start", "stop"
OVERHEAD = 1500
"""Octets that a record may tell beyond what a caller's own packets came to: what else a link carries, but no other caller's."""


def records(evidence: Evidence, server: str, *statuses: str, since: float = 0.0, until: float = float("inf")) -> list[Told]:
    """Of all statuses where none is named."""
    found = told(evidence, "accounting", server, since=since, until=until)
    return [one for one in found if not statuses or one.data["status"] in statuses]


def judged(evidence: Evidence, call: Call) -> list[Told]:
    """What was asked about a call's user while it was dialled."""
    found = told(evidence, "judged", USERS, since=call.since, until=call.until)
    return [one for one in found if one.data["user"] == call.user]


@check(Side.OUTSIDE)
def users_are_judged_and_counted_by_radius(evidence: Evidence) -> Verdict:
    """SEC-135: whom the server accepts comes up, whom it rejects does not; of everyone who does there is one start and one stop,
    with the user's name and address, and what that one's link carried: input octets are what came from the user (RFC 2866 §5.3),
    output octets what was sent there (§5.4)."""
    found = Findings()
    one_sided = False
    dialled = calls(evidence, 3)
    sessions: list[str] = []
    rejected = set()
    for call in dialled:
        answers = judged(evidence, call)
        accepted = any(one.data["accepted"] for one in answers)
        found.expect(bool(answers), f"the server was not asked about {call.user} ({call.name})")
        found.expect(all(one.data["nas"] == LNS for one in answers), f"another than the LNS asked about {call.user}")
        found.expect(accepted or call.up is None, f"{call.name} came up though the server had not accepted {call.user}")
        require(not accepted or call.up is not None, f"{call.name} did not come up, whatever the server said")
        if answers and not accepted:
            rejected.add(call.user)
        if call.up is not None and accepted:
            sessions += counted(found, evidence, call)
            one_sided |= abs(carried(evidence, call, "out") - carried(evidence, call, "in")) >= OVERHEAD
    found.expect(len(set(sessions)) == len(sessions), f"two calls have a session in common: {sessions}")
    strange = {one.data["user"] for one in records(evidence, USERS)} - {call.user for call in dialled if call.up is not None}
    found.expect(not strange, f"there are records of {sorted(strange)}, who never came up")
    if not found.faults:
        require(bool(rejected), "the server rejected nobody")
        require(one_sided, "every link carried as much in as out, so that nothing shows which is counted as which")
    return found.verdict("every user was judged by the server, and counted from its beginning to its end")


def counted(found: Findings, evidence: Evidence, call: Call) -> list[str]:
    """Asserts one start and one stop of a call that came up; returns its session."""
    assert call.up is not None
    starts = [one for one in records(evidence, USERS, START, since=call.since, until=call.until) if one.data["user"] == call.user]
    if not found.expect(len(starts) == 1, f"{len(starts)} starts of {call.user} ({call.name})"):
        return []
    session = starts[0].data["session"]
    stops = [one for one in records(evidence, USERS, STOP) if one.data["session"] == session]
    hung_up = step(evidence, f"hang-up:{call.name}").began
    if not found.expect(len(stops) == 1, f"{len(stops)} stops of {call.user} ({call.name})"):
        return [session]
    stop = stops[0]
    found.expect(stop.data["user"] == call.user, f"the stop of {call.name}'s session is of {stop.data['user'] or 'nobody'}")
    found.expect(stop.t >= hung_up - CLOSE_S, f"{call.user} was stopped before {call.name} hung up")
    for one in (starts[0], stop):
        address = one.data["attributes"].get("framed-ip-address")
        said = f"the {one.data['status']} of {call.user} has the address {address}, not {call.up.data['address']}"
        found.expect(address == call.up.data["address"], said)
    for name, way in (("acct-input-octets", "in"), ("acct-output-octets", "out")):
        octets, wanted = stop.data["attributes"].get(name, 0), carried(evidence, call, way)
        require(wanted > 0, f"{call.name}'s link carried nothing")
        fits = wanted <= octets < wanted + OVERHEAD
        found.expect(fits, f"the stop of {call.user} tells {name} {octets}, where {call.name} had {wanted}")
    return [session]


def carried(evidence: Evidence, call: Call, way: str) -> int:
    """Octets of IP that came from the caller ("in") or got there ("out"): its echoes each way, and what a host sent it."""
    echoes = sum(one.data["size"] for one in told(evidence, "pinged", call.name) if one.data["answered"])
    sent = sum(one.data["size"] for one in told(evidence, "got", call.name))
    return int(echoes + (sent if way == "out" else 0))


@check(Side.OUTSIDE)
def ipsec_sessions_are_counted_by_the_maps_list(evidence: Evidence) -> Verdict:
    """SEC-85: with `client-accounting-list` the servers of that list are told when a peer's SAs come up, and when the last has
    gone; without it nothing, though users are counted as before."""
    found = Findings()
    off = step(evidence, "without a list")
    until = off.began - CLOSE_S
    agreed = [one for one in frames(evidence, FrameKind.IKE, until=until) if (one.ike or {}).get("message") == "QM1"]
    esp = frames(evidence, FrameKind.ESP, until=until)
    require(bool(agreed) and bool(esp), "no IPsec session came up while the map had a list")
    require(bool(deletes(evidence, "esp", until=until)), "the IPsec session was not over when the list went")
    require(bool(frames(evidence, FrameKind.ESP, src=LAC, since=off.began)), "no IPsec session came up without a list")
    require(bool(records(evidence, USERS, START, since=off.began)), "without a list nobody was counted at all")
    starts, stops = (records(evidence, SESSIONS, status) for status in (START, STOP))
    for what, some in (("starts", starts), ("stops", stops)):
        found.expect(len(some) == 1, f"{len(some)} {what} of one IPsec session")
    for one in records(evidence, SESSIONS):
        found.expect(one.data["nas"] == LNS, f"a record is of {one.data['nas']}")
        found.expect(one.t < off.began, f"a {one.data['status']} though the map has no list")
    if len(starts) == len(stops) == 1:
        found.facts["stop"] = dict(stops[0].data["attributes"])
        found.expect(starts[0].data["session"] == stops[0].data["session"], "start and stop are of two sessions")
        found.expect(agreed[0].t <= starts[0].t <= esp[-1].t, "the start did not come while the SAs were there")
        found.expect(stops[0].t >= esp[-1].t - CLOSE_S, "the stop came before the last ESP packet")
    return found.verdict("the peer's IPsec session was counted from its first SAs to their end, and without the list it was not")


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-85": ipsec_sessions_are_counted_by_the_maps_list,
    "SEC-135": users_are_judged_and_counted_by_radius,
}
