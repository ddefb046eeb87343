"""What becomes of IPsec's SAs when an L2TP tunnel has ended, with `keep-sa` and without, and what the next tunnel needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.model import Evidence, FrameKind, Observation, Outcome, Side, Step, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.l2tp_world import LAC, LNS, Call, calls, clear
from harness.verdict.routers.reading import CLOSE_S, cookies, deletes, exchanges, frames, l2tp, rows, step, steps, told

DEVICES = ("lac", "lns")
IKE_LIFE_S = 600.0
"""Of the ISAKMP SAs of the script l2tp-keep-sa-life."""
LATE_S = 60.0
"""So long after its life a router may still speak of an ISAKMP SA, to delete it."""
MAIN_MODE = ("MM1", "MM2", "MM3", "MM4", "MM5", "MM6")
QUICK_MODE = ("QM1", "QM2", "QM3")


@dataclass(frozen=True, slots=True)
class Ended:
    """A tunnel that was brought up and ended, and the call after it. `isakmp` are the cookies of the ISAKMP SA that its quick mode
    used, `spis` those of its ESP SAs; `gone` and `gone_isakmp` what Deletes named before the next call."""

    first: Call
    second: Call
    at: Step
    isakmp: str
    spis: frozenset[str]
    gone: frozenset[str]
    gone_isakmp: frozenset[str]


def ended(evidence: Evidence) -> Ended:
    """Inconclusive where no protected tunnel was up, or it was not ended."""
    first, second = calls(evidence, 2)[:2]
    at = step(evidence, "end:lns")
    require(first.alive, "no tunnel was up that could be ended")
    began = at.began - CLOSE_S  # the router says so in the very moment in which it is told to
    require(bool(l2tp(evidence, "StopCCN", since=began, until=second.since)), "no StopCCN ended the tunnel")
    quick = _messages(evidence, "QM1", since=first.since, until=at.began)
    require(bool(quick), "there was no quick mode for the tunnel")
    spis = {str((frame.esp or {})["spi"]) for frame in frames(evidence, FrameKind.ESP, until=at.began)}
    gone, gone_isakmp = (deletes(evidence, what, since=began, until=second.since) for what in ("esp", "isakmp"))
    return Ended(first, second, at, cookies(quick[-1]), frozenset(spis), frozenset(gone), frozenset(gone_isakmp))


@check(Side.OUTSIDE, decrypted=True)
def both_phases_go(evidence: Evidence) -> Verdict:
    """SEC-38: by default the tunnel's end destroys its ESP SAs and its ISAKMP SA, by Deletes on the wire; the routers show none,
    and the next tunnel needs main mode."""
    one = ended(evidence)
    found = Findings(isakmp=one.isakmp, spis=sorted(one.spis))
    _phase_2_is_gone(evidence, one, found)
    found.expect(one.isakmp in one.gone_isakmp, "no Delete names the ISAKMP SA")
    for device in DEVICES:
        left = [row for row in rows(evidence, device, "show crypto isakmp sa", "ended") if _lives(row)]
        found.expect(not left, f"{device} still shows {len(left)} ISAKMP SAs")
    began = _messages(evidence, "MM1", since=one.second.since)
    again = {cookies(frame) for frame in _messages(evidence, "QM1", since=one.second.since)}
    known = bool(found.faults)  # what is found already stands, whatever becomes of the next tunnel
    require(known or (bool(again) and one.second.alive), "the next tunnel did not come up, so nothing is known of what it needs")
    if again:
        found.expect(bool(began) and one.isakmp not in again, "the next tunnel came up by the ISAKMP SA of the last one")
    return found.verdict("with the tunnel both phases were deleted")


@check(Side.OUTSIDE, decrypted=True)
def phase_1_is_kept(evidence: Evidence) -> Verdict:
    """SEC-39: with keep-sa the tunnel's end destroys its ESP SAs and leaves the ISAKMP SA, which both routers show and no Delete
    names."""
    one = ended(evidence)
    found = Findings(isakmp=one.isakmp, spis=sorted(one.spis))
    _phase_2_is_gone(evidence, one, found)
    found.expect(one.isakmp not in one.gone_isakmp, "a Delete names the ISAKMP SA")
    for device in DEVICES:
        require(
            any(_lives(row) for row in rows(evidence, device, "show crypto isakmp sa", "up")),
            f"{device} showed no ISAKMP SA before",
        )
        left = [row for row in rows(evidence, device, "show crypto isakmp sa", "ended") if _lives(row)]
        found.expect(len(left) == 1, f"{device} shows {len(left)} ISAKMP SAs, not the one that is kept")
    return found.verdict("with the tunnel phase 2 was deleted, and phase 1 kept")


@check(Side.OUTSIDE, decrypted=True)
def quick_mode_is_enough(evidence: Evidence) -> Verdict:
    """SEC-40: the tunnel after one whose ISAKMP SA was kept needs quick mode's three messages, and none of main mode's six. How
    long both calls took is noted."""
    one = ended(evidence)
    require(one.second.up is not None and one.first.up is not None, "the next call did not come up")
    seconds = [call.up.data["took"] for call in (one.first, one.second) if call.up is not None]
    spoken = [name for name in exchanges(evidence, since=one.second.since) if name in (*MAIN_MODE, *QUICK_MODE)]
    before = [name for name in exchanges(evidence, until=one.at.began) if name in MAIN_MODE]
    require(len(before) == len(MAIN_MODE), "the first tunnel came up without a main mode of its own")
    found = Findings(first_took_s=seconds[0], second_took_s=seconds[1], messages=spoken)
    found.expect(tuple(spoken) == QUICK_MODE, f"the next tunnel took {', '.join(spoken) or 'no exchange'}")
    used = {cookies(frame) for frame in _messages(evidence, *QUICK_MODE, since=one.second.since)}
    found.expect(used == {one.isakmp}, "its quick mode went by another ISAKMP SA")
    found.expect(one.second.alive, "it carries no call")
    return found.verdict(f"the next tunnel took quick mode alone, and {seconds[1]:g} s in place of {seconds[0]:g} s")


@check(Side.OUTSIDE, decrypted=True)
def one_side_keeps(evidence: Evidence) -> Verdict:
    """SEC-41: what is left of phase 1 where one end alone keeps it, and what the next call then takes."""
    facts: dict[str, object] = {}
    for keeper in DEVICES:
        label = f"only {keeper} keeps"
        at = step(evidence, label)
        made = [call for call in calls(evidence, 4) if at.began <= call.since < at.ended]
        require(len(made) == 2, f"there were not two calls while {label}")
        facts[label] = {
            "isakmp_sas_left": {
                device: len([row for row in rows(evidence, device, "show crypto isakmp sa", label) if _lives(row)])
                for device in DEVICES
            },
            "deleted_by": sorted(
                {src for src in (LAC, LNS) if deletes(evidence, "isakmp", src=src, since=at.began, until=made[1].since)}
            ),
            "next_call": [
                name for name in exchanges(evidence, since=made[1].since, until=at.ended) if name in (*MAIN_MODE, *QUICK_MODE)
            ],
            "next_call_up": made[1].alive,
        }
    return Verdict(Outcome.PASS, "what one end's keep-sa leaves behind", facts)


@check(Side.OUTSIDE, decrypted=True)
def kept_phase_1s_pile_up(evidence: Evidence) -> Verdict:
    """SEC-42: an LNS with keep-sa has an ISAKMP SA more with every peer that came once; without keep-sa it has none of a peer's."""
    switched = step(evidence, "configure:lns")
    visits = [one for one in evidence.steps if one.name.startswith("visit:")]
    kept = [one for one in visits if one.ended <= switched.began]
    require(len(kept) > 2 and len(visits) > len(kept), "there were no peers with keep-sa and without")
    ups = told(evidence, "up")
    found, counts = Findings(), []
    for number, visit in enumerate(visits, 1):
        peer = visit.name.partition(":")[2]
        require(any(visit.began <= one.t <= visit.ended for one in ups), f"no call of {peer} came up")
        made = {cookies(frame) for frame in _messages(evidence, "QM1", since=visit.began, until=visit.ended, src=peer)}
        require(len(made) == 1, f"{peer} did not have one ISAKMP SA")
        deleted = set(deletes(evidence, "isakmp", src=LNS, since=visit.began)) & made
        shown = [row for row in rows(evidence, "lns", "show crypto isakmp sa", peer) if _lives(row)]
        counts.append(len(shown))
        theirs = [row for row in shown if peer in (row.src, row.dst)]
        if visit in kept:
            found.expect(not deleted, f"the LNS deleted the ISAKMP SA of {peer}, in spite of keep-sa")
            found.expect(bool(theirs), f"the LNS shows no ISAKMP SA of {peer}, which came with keep-sa")
            found.expect(len(shown) >= number, f"after {number} peers the LNS shows {len(shown)} ISAKMP SAs")
        else:
            found.expect(bool(deleted), f"the LNS did not delete the ISAKMP SA of {peer}, though nothing is kept any more")
            found.expect(not theirs, f"the LNS still shows an ISAKMP SA of {peer}, which came without keep-sa")
    found.facts["isakmp_sas"] = counts
    return found.verdict(f"{len(kept)} peers that came once left {counts[len(kept) - 1]} ISAKMP SAs, the others none")


@check(Side.OUTSIDE, decrypted=True)
def stale_phase_1_blocks_nothing(evidence: Evidence) -> Verdict:
    """SEC-43: a LAC that comes from another address, and then back from its first one without what the LNS has kept for it, has its
    tunnel each time."""
    home, away, back = calls(evidence, 3)[:3]
    require(len(steps(evidence, "from home")) == 2, "the LAC did not come back to its first address")
    require(home.alive, "no tunnel came up from the first address")
    require(not deletes(evidence, "isakmp", src=LNS, until=away.since), "the LNS kept nothing that could stand in the way")
    found = Findings()
    for call in (away, back):
        began = _messages(evidence, "MM1", since=call.since, until=call.until)
        require(bool(began), f"the LAC still had an ISAKMP SA for {call.name}, so that of the LNS was not stale")
        found.expect(call.alive, f"{call.name}, from {began[0].src}, has no connection")
    require(len({frame.src for frame in _messages(evidence, "MM1")}) == 2, "the LAC came from one address alone")
    for frame in clear(evidence):
        found.expect(False, f"L2TP of {frame.src} was in the clear", frame)
    return found.verdict("kept ISAKMP SAs stood in nobody's way")


@check(Side.OUTSIDE, decrypted=True)
def kept_phase_1_ends_at_its_life(evidence: Evidence) -> Verdict:
    """SEC-44: a kept ISAKMP SA serves a tunnel within its life, and none after it: the next one begins with main mode."""
    first, within, after = calls(evidence, 3)[:3]
    began = _messages(evidence, "QM1", since=first.since, until=within.since)
    require(bool(began), "there was no quick mode")
    made, born = cookies(began[0]), began[0].t
    served = {cookies(frame) for frame in _messages(evidence, "QM1", since=within.since, until=after.since)}
    require(served == {made} and within.alive, "the ISAKMP SA was not kept for the second tunnel, so it had no life to end")
    require(after.since > born + IKE_LIFE_S + LATE_S, "the third call came within the life of the ISAKMP SA")
    found = Findings(isakmp=made)
    for frame in frames(evidence, FrameKind.IKE, since=born + IKE_LIFE_S + LATE_S):
        found.expect(cookies(frame) != made, "an ISAKMP SA was used after its life", frame)
    found.expect(bool(_messages(evidence, "MM1", since=born + IKE_LIFE_S - LATE_S)), "no main mode came after its life")
    found.expect(after.alive, "the tunnel after its life carries no call")
    return found.verdict("the kept ISAKMP SA ended at its life, and the next tunnel had another one")


def _phase_2_is_gone(evidence: Evidence, one: Ended, found: Findings) -> None:
    found.expect(bool(one.gone & one.spis), "no Delete names an ESP SA of the tunnel")
    for frame in frames(evidence, FrameKind.ESP, since=one.second.since):
        found.expect(
            str((frame.esp or {})["spi"]) not in one.spis, "an ESP SA outlived its tunnel, and carries the next one", frame
        )
    for device in DEVICES:
        before = [sa for flow in rows(evidence, device, "show crypto ipsec sa", "up") for sa in flow.sas]
        require(bool(before), f"{device} showed no ESP SAs while the tunnel was up")
        left = [sa for flow in rows(evidence, device, "show crypto ipsec sa", "ended") for sa in flow.sas]
        found.expect(not left, f"{device} still shows {len(left)} ESP SAs")


def _lives(row: object) -> bool:
    """IOS shows a deleted ISAKMP SA for a while, as MM_NO_STATE."""
    return not getattr(row, "deleted", False) and getattr(row, "state", "") != "MM_NO_STATE"


def _messages(
    evidence: Evidence, *names: str, since: float = 0.0, until: float = float("inf"), src: str = ""
) -> tuple[Observation, ...]:
    """ISAKMP messages of these names, retransmissions left out."""
    found = frames(evidence, FrameKind.IKE, since=since, until=until, src=src)
    return tuple(
        frame for frame in found if (frame.ike or {}).get("message") in names and not (frame.ike or {}).get("retransmission")
    )


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-38": both_phases_go,
    "SEC-39": phase_1_is_kept,
    "SEC-40": quick_mode_is_enough,
    "SEC-42": kept_phase_1s_pile_up,
    "SEC-43": stale_phase_1_blocks_nothing,
    "SEC-44": kept_phase_1_ends_at_its_life,
}
NOTED: Mapping[str, RouterCheck] = {"SEC-41": one_side_keeps}
