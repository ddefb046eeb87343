"""Which entry of a crypto map a packet belongs to, and what becomes of it where there is no SA, or where nobody protected it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model import Evidence, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.crypto_map_world import (
    EAST,
    ELSEWHERE,
    WEST,
    WEST_HOST,
    carried,
    ciphers,
    during,
    host,
    ike,
    in_clear,
    in_esp,
    require_sent,
    talk,
)
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import arrived, forged, frames, step, told


def served_by(found: Findings, evidence: Evidence, number: int) -> None:
    """Asserts that what west-1's host sends to that network in the east goes to the endpoint there, and that nobody else is asked
    for SAs meanwhile."""
    span = during(step(evidence, f"bring-up:west-1:east-{number}"), talk(evidence, number))
    carried(found, evidence, number, span)
    for frame in ike(evidence, span, "MM1", "QM1", src=WEST):
        found.expect(frame.dst == EAST[number], f"{frame.dst} was asked for SAs for {host(number)}", frame)


@check(Side.OUTSIDE, decrypted=True)
def the_lowest_number_wins(evidence: Evidence) -> Verdict:
    """SEC-70: a packet that the lists of 10, 20 and 30 all permit goes to the peer of 10, though 30 was entered first."""
    found = Findings()
    served_by(found, evidence, 1)
    return found.verdict("what all three lists permit was protected with the peer of entry 10, and with nobody else")


@check(Side.OUTSIDE, decrypted=True)
def what_does_not_match_falls_through(evidence: Evidence) -> Verdict:
    """SEC-71: a packet that 20 and 30 permit goes to the peer of 20, one that 30 alone permits to the peer of 30."""
    found = Findings()
    served_by(found, evidence, 2)
    served_by(found, evidence, 3)
    return found.verdict("what entry 10 does not permit went by 20, and what 20 does not permit either by 30")


@check(Side.OUTSIDE, decrypted=True)
def no_match_goes_in_the_clear(evidence: Evidence) -> Verdict:
    """SEC-72: a packet that no entry permits is forwarded as it is, while those of other networks are protected."""
    found = Findings()
    require(bool(in_esp(evidence, WEST_HOST, host(1), during(talk(evidence, 1)))), "west-1 protected nothing at all")
    span = during(talk(evidence, 4))
    sent = list(arrived(evidence, **span))
    require(bool(sent), "no host sent anything that no entry permits")
    found.expect(bool(in_clear(evidence, WEST_HOST, host(4), span)), f"nothing for {host(4)} left west-1 in the clear")
    for frame in in_esp(evidence, WEST_HOST, host(4), span):
        found.expect(False, f"what no entry permits went to {frame.dst} in ESP", frame)
    for one, got in sent:
        found.expect(got is not None, f"packet {one.data['number']} to {one.data['dst']} did not arrive")
    return found.verdict("what no entry permits went in the clear, and arrived")


@check(Side.OUTSIDE, decrypted=True)
def a_dynamic_entry_in_front_hides_the_static_one(evidence: Evidence) -> Verdict:
    """SEC-73: with the dynamic entry at 5, packets for the static entry at 10 wake nobody, and requests for its flow are served by
    the dynamic one; with the dynamic entry at 30 the static one does both."""
    found = Findings()
    asked, offered = ({where: step(evidence, f"{what}:{where}") for where in ("first", "last")} for what in ("asked", "offered"))
    for where in ("first", "last"):
        span = during(asked[where])
        require_sent(evidence, "east-1", span, f"with the dynamic entry {where}")
        requests = ike(evidence, span, "MM1", "QM1", src=EAST[1])
        if where == "first":
            left = (*requests, *in_esp(evidence, host(1), WEST_HOST, span))
            found.expect(not left, "IKE or ESP left east-1 by the static entry behind the dynamic one", *left)
        else:
            found.expect(any(one.dst == WEST for one in requests), "with the dynamic entry last, the static entry asked nobody")
        span = during(offered[where])
        rows = [row for one in ike(evidence, span, "QM1", src=WEST) for row in (one.ike or {}).get("proposals") or ()]
        kinds = {str(row.get("encryption")) for row in rows}
        require({"aes-128", "3des"} <= kinds, f"west-1 did not offer what either entry takes, with the dynamic entry {where}")
        wanted, whose = ("3des", "dynamic") if where == "first" else ("aes-128", "static")
        used = ciphers(carried(found, evidence, 1, span))
        found.expect(used == {wanted}, f"with the dynamic entry {where}, {sorted(used)} is not what the {whose} entry takes")
    return found.verdict("the dynamic entry in front took everything, and behind the static one it took nothing of it")


@check(Side.OUTSIDE)
def what_comes_in_the_clear_is_dropped(evidence: Evidence) -> Verdict:
    """SEC-75: at a static and at a dynamic entry, without an SA and with one, a packet in the clear that the entry's list permits,
    read the other way round, does not come out behind the endpoint; one of another network's does."""
    found = Findings()
    slipped = [one for one in told(evidence, "injected") if "number" in one.data]
    require(bool(slipped), "no packet was slipped in")
    through = {one.data["number"] for one in told(evidence, "got")}
    for end in ("west-1", "east-1"):
        for when in ("before", "after"):
            ours, nobodys = (f"{whose} to {end} {when}" for whose in ("ours", "nobody's"))
            there = {one.data["what"]: one.data["number"] for one in slipped}
            for what in (ours, nobodys):
                require(what in there, f"{what!r} was not slipped in")
                forged(evidence, what)
            require(there[nobodys] in through, f"{end} let nothing in that came in the clear")
            found.expect(there[ours] not in through, f"{end} let in what ought to have been protected, {when} there was an SA")
    last = list(arrived(evidence, **during(talk(evidence, 1, "again"))))
    require(bool(last) and all(got is not None for _, got in last), "what was protected did not arrive either")
    return found.verdict("what ought to have been protected was let in by neither end, and everything else was")


@check(Side.OUTSIDE, decrypted=True)
def a_dynamic_entry_without_an_sa_drops(evidence: Evidence) -> Verdict:
    """SEC-76: what the dynamic entry's list permits does not leave as long as there is no SA: neither as it is nor in ESP, and IKE
    is not begun for it."""
    found = Findings()
    at = step(evidence, "dynamic without an SA")
    span = during(at)
    require_sent(evidence, "east-1", span, "without an SA")
    require(bool(in_clear(evidence, host(1), ELSEWHERE, span)), "what no list permits did not leave east-1 either")
    require(bool(in_esp(evidence, host(1), WEST_HOST, during(talk(evidence, 1)))), "with an SA nothing left east-1 either")
    clear = in_clear(evidence, host(1), WEST_HOST, span)
    found.expect(not clear, "what the dynamic entry's list permits left in the clear", *clear)
    for frame in frames(evidence, src=EAST[1], **span):
        found.expect(False, f"{frame.kind.value} left east-1 for a packet of its dynamic entry", frame)
    return found.verdict("without an SA the packet of the dynamic entry was dropped, and nobody was asked for one")


@check(Side.OUTSIDE, decrypted=True)
def a_static_entry_without_an_sa_wakes_ike(evidence: Evidence) -> Verdict:
    """SEC-77: the first packet that the static entry's list permits makes IKE begin with the entry's peer, and never goes in the
    clear; then there are SAs."""
    found = Findings()
    span = during(step(evidence, "static without an SA"))
    require_sent(evidence, "west-1", span, "without an SA")
    before = ike(evidence, {"since": 0.0, "until": span["since"] - 1e-3}, "MM1", src=WEST)
    require(not before, "west-1 had begun IKE before")
    begun = ike(evidence, span, "MM1", src=WEST)
    found.expect(bool(begun), "west-1 did not begin IKE")
    for frame in begun:
        found.expect(frame.dst == EAST[1], f"west-1 began IKE with {frame.dst}", frame)
    found.expect(bool(ike(evidence, span, "QM3", src=WEST)), "no SAs were agreed on")
    everything = during(step(evidence, "static without an SA"), talk(evidence, 1))
    clear = in_clear(evidence, WEST_HOST, host(1), everything)
    found.expect(not clear, "the packet went in the clear", *clear)
    carried(found, evidence, 1, during(talk(evidence, 1)))
    return found.verdict("the first packet of the static entry's made IKE begin, and those after it were protected")


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-70": the_lowest_number_wins,
    "SEC-71": what_does_not_match_falls_through,
    "SEC-72": no_match_goes_in_the_clear,
    "SEC-73": a_dynamic_entry_in_front_hides_the_static_one,
    "SEC-75": what_comes_in_the_clear_is_dropped,
    "SEC-76": a_dynamic_entry_without_an_sa_drops,
    "SEC-77": a_static_entry_without_an_sa_wakes_ike,
}
