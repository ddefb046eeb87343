"""What a VPDN group with a crypto profile lets onto the wire and what it takes from it, and what one without it does."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model import Evidence, FrameKind, Observation, Side, Step, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.l2tp_world import LAC, LNS, calls, clear, of_tunnels
from harness.verdict.routers.reading import (
    REFUSALS,
    avp,
    forged,
    frames,
    header_of,
    l2tp,
    message_of,
    pings,
    ppp,
    printed,
    rows,
    step,
    told,
)

CALLER = "caller 1"
REQUEST, PLAIN_REQUEST = "SCCRQ in the clear", "SCCRQ without protection"
DATA, STOP = "data in the clear", "StopCCN in the clear"


@check(Side.OUTSIDE)
def nothing_in_clear_between_lac_and_lns(evidence: Evidence) -> Verdict:
    """SEC-02: a call's whole life is IKE on port 500 and ESP; no L2TP is in the clear, between these two or anybody."""
    (call,) = calls(evidence, 1)
    between = [frame for frame in frames(evidence) if {frame.src, frame.dst} == {LAC, LNS}]
    found = Findings(kinds=sorted({frame.kind.value for frame in between}))
    require(call.alive, "no call came up, so nothing was to be protected")
    for frame in between:
        fits = frame.kind is FrameKind.ESP or (frame.kind is FrameKind.IKE and 500 in (frame.sport, frame.dport))
        found.expect(fits, f"{frame.kind.value} crossed the wire from {frame.src}", frame)
    for frame in clear(evidence):
        found.expect(False, f"L2TP crossed the wire in the clear, from {frame.src} to {frame.dst}", frame)
    for src in (LAC, LNS):
        seen = any(frame.kind is FrameKind.ESP and frame.src == src for frame in between)
        require(seen or bool(found.faults), f"no ESP of {src} crossed the wire")
    return found.verdict("nothing but IKE on port 500 and ESP crossed the wire between LAC and LNS")


@check(Side.OUTSIDE, decrypted=True)
def unprotected_by_default(evidence: Evidence) -> Verdict:
    """SEC-30: where no group names a crypto profile, calls come up by L2TP in the clear, and IPsec has no part in it."""
    (call,) = calls(evidence, 1)
    found = Findings()
    for frame in frames(evidence, FrameKind.ESP, FrameKind.IKE):
        found.expect(False, f"{frame.kind.value} crossed the wire, though no group is protected", frame)
    for src in (LAC, LNS):
        found.expect(bool(l2tp(evidence, src=src, clear=True)), f"{src} sent no L2TP in the clear")
    found.expect(call.alive, "L2TP in the clear brought no connection")
    return found.verdict("without a crypto profile a call is up by L2TP in the clear")


@check(Side.OUTSIDE, decrypted=True)
def clear_request_is_ignored(evidence: Evidence) -> Verdict:
    """SEC-31: where the group is protected, an SCCRQ in the clear gets no answer and makes no tunnel. The same request is answered
    once the group is not protected."""
    at, later = step(evidence, f"inject:{REQUEST}"), step(evidence, f"inject:{PLAIN_REQUEST}")
    forged(evidence, REQUEST)
    require(bool(_answers(evidence, later)), "such a request is not answered without protection either, so silence says nothing")
    unprotected = step(evidence, "configure:lns")
    alive = pings(evidence, CALLER, since=at.ended)
    require(bool(alive), "no protected call was asked afterwards whether it lives, so silence says nothing of the LNS")
    found = Findings()
    for frame in _answers(evidence, at):
        found.expect(False, f"the LNS answered an SCCRQ in the clear with {_name(frame)}", frame)
    for frame in l2tp(evidence, since=at.ended, until=unprotected.began, clear=True):
        found.expect(False, "L2TP went on in the clear afterwards", frame)
    asked = avp(forged(evidence, REQUEST), "Assigned Tunnel ID")
    made = [row for row in rows(evidence, "lns", "show vpdn", "forged") if getattr(row, "remote_id", None) == asked]
    found.expect(not made, f"the LNS shows a tunnel with the requester's ID {asked}")
    found.expect(all(alive), "the protected call that was up died of it")
    return found.verdict("the LNS was silent to an SCCRQ in the clear, and alive to the protected call")


@check(Side.OUTSIDE, Side.FAR_END, decrypted=True)
def clear_data_is_dropped(evidence: Evidence) -> Verdict:
    """SEC-32: data in the clear that bears the IDs of a protected session comes to nobody behind the LNS, and is not answered."""
    (call,) = calls(evidence, 1)
    at, sent = step(evidence, f"inject:{DATA}"), forged(evidence, DATA)
    genuine = ppp(evidence, "IP", until=at.began, src=LAC)
    require(bool(genuine) and call.up is not None, "the call carried nothing of its own")
    ids = tuple(header_of(genuine[-1]).get(name) for name in ("tunnel", "session"))
    said = tuple(header_of(sent).get(name) for name in ("tunnel", "session"))
    require(ids == said, f"the forged message bears the IDs {said}, and the session has {ids}")
    address = "" if call.up is None else str(call.up.data["address"])
    arrived = [frame for frame in frames(evidence, side=Side.FAR_END, until=at.began) if frame.src == address]
    require(bool(arrived), "the far end does not see what the caller sends, so its silence says nothing")
    found = Findings(tunnel=said[0], session=said[1])
    for frame in frames(evidence, side=Side.FAR_END, since=at.began, until=at.ended):
        found.expect(frame.src != address, "the data in the clear came out behind the LNS", frame)
    for frame in ppp(evidence, "IP", since=at.began, until=at.ended, src=LNS):
        found.expect(False, "the LNS answered the data in the clear", frame)
    for frame in clear(evidence, since=at.began, until=at.ended):
        found.expect(False, f"{frame.src} sent L2TP in the clear", frame)
    asked = told(evidence, "pinged", call.name, since=at.ended, until=step(evidence, f"inject:{STOP}").began)
    require(bool(asked), "nobody asked afterwards whether the session lives")
    found.expect(all(one.data["answered"] for one in asked), "the session died of it")
    return found.verdict("data in the clear with the session's own IDs was dropped")


@check(Side.OUTSIDE, decrypted=True)
def clear_stop_is_ignored(evidence: Evidence) -> Verdict:
    """SEC-33: a StopCCN in the clear, with the tunnel's IDs and the very number that the LNS waits for, ends nothing."""
    (call,) = calls(evidence, 1)
    at, sent = step(evidence, f"inject:{STOP}"), forged(evidence, STOP)
    spoken = [frame for frame in l2tp(evidence, until=at.began, src=LAC) if message_of(frame) != "ZLB"]
    require(call.up is not None and bool(spoken), "no call came up")
    wanted = {"tunnel": header_of(spoken[-1]).get("tunnel"), "ns": max(int(header_of(frame).get("ns", 0)) for frame in spoken) + 1}
    said = {name: header_of(sent).get(name) for name in wanted}
    require(said == wanted, f"the forged StopCCN bears {said}, and the LNS waits for {wanted}")
    after = pings(evidence, CALLER, since=at.ended)
    require(bool(after), "nobody asked afterwards whether the call lives")
    found = Findings(**wanted)
    for frame in clear(evidence, since=at.began):
        found.expect(False, f"{frame.src} answered it in the clear", frame)
    for frame in l2tp(evidence, "StopCCN", "CDN", since=at.began):
        found.expect(False, f"{frame.src} ended the tunnel with {message_of(frame)}", frame)
    found.expect(all(after), "the call died of it")
    return found.verdict("a StopCCN in the clear ended nothing")


@check(Side.OUTSIDE, decrypted=True)
def nothing_leaves_before_the_sas(evidence: Evidence) -> Verdict:
    """SEC-34: for a call the LAC begins IKE, and while that comes to nothing it sends nothing else; where there are SAs its SCCRQ
    goes in ESP."""
    lost, found_way = calls(evidence, 2)[:2]
    step(evidence, "the LNS is not heard")
    found = Findings()
    sent = of_tunnels(evidence, since=lost.since, until=lost.until, src=LAC)
    found.expect(any(frame.kind is FrameKind.IKE for frame in sent), "the LAC did not begin IKE for a call")
    for frame in sent:
        found.expect(frame.kind is FrameKind.IKE, f"the LAC sent {_name(frame)} before there were SAs", frame)
    for frame in clear(evidence):
        found.expect(False, f"L2TP of {frame.src} was in the clear", frame)
    require(lost.up is None, "the call came up though the LNS was not heard")
    then = of_tunnels(evidence, since=found_way.since, until=found_way.until, src=LAC)
    agreed = [number for number, frame in enumerate(then) if (frame.ike or {}).get("message") == "QM3"]
    asked = [number for number, frame in enumerate(then) if message_of(frame) == "SCCRQ"]
    require(bool(asked), "the LAC asked for no tunnel when the LNS could be heard, so its silence says nothing")
    found.expect(bool(agreed) and agreed[0] < asked[0], "the SCCRQ went out before quick mode was over", then[asked[0]])
    found.expect(found_way.alive, "the call did not come up when the LNS could be heard")
    return found.verdict("nothing but IKE left the LAC before there were SAs, and its SCCRQ after them in ESP")


@check(Side.OUTSIDE, decrypted="esp")
def unknown_profile(evidence: Evidence) -> Verdict:
    """SEC-35: a group whose crypto profile has not been configured has no tunnel, and nothing goes in the clear; once the profile
    is there it has one. Whether the line is taken is noted; where it is not, the group is what it was before."""
    said = printed(evidence, "lac", "l2tp security crypto-profile later", "unknown").refused
    without, with_it = calls(evidence, 2)[:2]
    require(with_it.alive, "no call came up with the profile either")
    found = Findings(said=said or "taken", came_up=without.up is not None)
    for frame in clear(evidence):
        found.expect(False, f"{frame.src} sent L2TP in the clear", frame)
    if not said:
        found.expect(without.up is None, "a call came up by a profile that there was not")
        for frame in l2tp(evidence, since=without.since, until=without.until):
            found.expect(False, f"{frame.src} sent {_name(frame)} for a profile that there was not", frame)
    found.expect(
        bool(l2tp(evidence, "SCCRQ", since=with_it.since, until=with_it.until, clear=False)), "its tunnel is not protected"
    )
    return found.verdict(f"a crypto profile that is not there: the line was {'refused' if said else 'taken'}, and nothing leaked")


@check(Side.OUTSIDE, decrypted="esp")
def profile_of_another_name(evidence: Evidence) -> Verdict:
    """SEC-36: an LNS whose group names a profile that no crypto map has accepts no tunnel; with the map's own name it does."""
    said = printed(evidence, "lns", "l2tp security crypto-profile typo", "typo").refused
    require(not said, f"the LNS refused the name, so its group kept the old one: {said}")
    wrong, right = calls(evidence, 4)[2:4]
    require(right.alive, "no call came up with the right name either")
    tried = of_tunnels(evidence, since=wrong.since, until=wrong.until)
    require(any(frame.src == LAC for frame in tried), "the LAC tried nothing while the name was wrong")
    found = Findings()
    found.expect(wrong.up is None, "a call came up by a profile of another name")
    for frame in (one for one in tried if one.kind is FrameKind.L2TP_CLEAR or message_of(one) in ("SCCRP", "ICRP")):
        found.expect(False, f"{frame.src} sent {_name(frame)} for a profile of another name", frame)
    return found.verdict("a crypto profile of another name brings no tunnel")


@check(Side.OUTSIDE, decrypted=True)
def no_form_takes_the_protection_away(evidence: Evidence) -> Verdict:
    """SEC-37: after `no l2tp security crypto-profile` an SCCRQ in the clear is answered, and a call comes up in the clear."""
    at = step(evidence, f"inject:{PLAIN_REQUEST}")
    asked = avp(forged(evidence, PLAIN_REQUEST), "Assigned Tunnel ID")
    protected, plain = calls(evidence, 2)[:2]
    require(protected.up is not None and bool(frames(evidence, FrameKind.ESP)), "the group was not protected before")
    found = Findings()
    answers = l2tp(evidence, "SCCRP", since=at.began, until=plain.since, src=LNS, clear=True)
    found.expect(any(header_of(frame).get("tunnel") == asked for frame in answers), "no SCCRP answered an SCCRQ in the clear")
    for frame in frames(evidence, FrameKind.IKE, FrameKind.ESP, since=plain.since):
        found.expect(False, f"{frame.kind.value} crossed the wire, though no group is protected", frame)
    found.expect(bool(l2tp(evidence, "ICRQ", since=plain.since, clear=True)), "no call was placed in the clear")
    found.expect(plain.alive, "no call came up in the clear")
    return found.verdict("after the no form L2TP works in the clear")


def _answers(evidence: Evidence, at: Step) -> tuple[Observation, ...]:
    """What the LNS sends in that step that can be nothing but an answer to L2TP in the clear. Protected traffic has other reasons,
    unless it accepts or refuses a tunnel."""
    sent = [frame for frame in frames(evidence, since=at.began, until=at.ended) if frame.src == LNS]
    return tuple(frame for frame in sent if frame.kind in (FrameKind.L2TP_CLEAR, FrameKind.ICMP) or message_of(frame) in REFUSALS)


def _name(frame: Observation) -> str:
    """A frame in words: "SCCRP in the clear", "esp"."""
    name = message_of(frame) or frame.kind.value
    return f"{name} in the clear" if frame.kind is FrameKind.L2TP_CLEAR else name


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-02": nothing_in_clear_between_lac_and_lns,
    "SEC-30": unprotected_by_default,
    "SEC-31": clear_request_is_ignored,
    "SEC-32": clear_data_is_dropped,
    "SEC-33": clear_stop_is_ignored,
    "SEC-34": nothing_leaves_before_the_sas,
    "SEC-35": unknown_profile,
    "SEC-36": profile_of_another_name,
    "SEC-37": no_form_takes_the_protection_away,
}
