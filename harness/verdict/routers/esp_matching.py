"""SPI matching: entries at once for whom the access list permits, tunnels in parallel, SPIs that can be told in advance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from harness.model import Evidence, FrameKind, Observation, Side, Told, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.esp_reading import (
    Attempt,
    attempt,
    crossings,
    endpoint,
    expect_exchanges,
    expect_let_go,
    expect_own,
    host,
    inbound,
    insiders,
    replies,
    sent_in,
    spi_of,
    told_pairs,
)
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import frames, rows, step, told

SIDES = (Side.INSIDE, Side.OUTSIDE)
TABLE = "show ip nat translations esp"
SAME_SECOND_S = 1.0
CROSSING_S = 0.5
"""From a host through its endpoint to the NAT, at most."""


@check(*SIDES)
def entries_are_there_at_once(evidence: Evidence) -> Verdict:
    """ESN-08: with SPI matching the first ESP crosses before any reply, and the NAT's table has both halves of the entry by then,
    with the SPI by which the reply comes."""
    tried = attempt(evidence, "matched")
    found = Findings(delays=tried.delays)
    _expect_immediate(found, tried, tried.went)
    for (here, there), foretold in _foretold(evidence, tried, "matched").items():
        used = _used(evidence, tried, here, there)
        if found.expect(bool(used), f"the answer of {there} did not come to {here}"):
            fault = f"before any reply the NAT had inbound SPI {_told(foretold)} of {here}, and {used} came"
            found.expect(used in foretold, fault)
    return found.verdict("every entry was there at once, both halves of it")


@check(*SIDES, keys="esp")
def who_is_not_listed_waits(evidence: Evidence) -> Verdict:
    """ESN-09: endpoints that the access list permits are served at once; the one that it does not has to wait for a reply, and is
    served then: what was held itself, and what comes after it."""
    tried = attempt(evidence, "listed")
    unlisted = ("west-2", "east-1")
    require(unlisted in tried.went and len(tried.went) > 1, "there was nobody beside the list, or nobody on it")
    found = Findings(delays=tried.delays)
    _expect_immediate(found, tried, [pair for pair in tried.went if pair != unlisted])
    found.expect(unlisted in tried.held, "ESP of west-2 crossed before any reply, though the access list does not permit it")
    require(bool(replies(evidence, unlisted[1], since=tried.asked.ended)), f"{unlisted[1]} never replied")
    expect_let_go(found, tried)
    expect_exchanges(found, evidence, ":listed")
    expect_own(found, evidence)
    return found.verdict("those on the list were served at once, the one beside it after a reply")


@check(*SIDES)
def endpoints_alone_gain_nothing(evidence: Evidence) -> Verdict:
    """ESN-11: endpoints with predictable SPIs wait as by default where the NAT does not match them; where it does they do not."""
    require(attempt(evidence, "matched").parallel, "nor are these endpoints served in parallel where the NAT matches SPIs")
    tried = attempt(evidence, "endpoints alone")
    found = Findings(delays=tried.delays)
    found.expect(bool(tried.held), "first packets of all crossed before any reply, without SPI matching on the NAT")
    expect_exchanges(found, evidence, ":endpoints alone")
    return found.verdict("without SPI matching on the NAT, endpoints that match SPIs had to wait")


@check(*SIDES)
def set_up_in_parallel(evidence: Evidence) -> Verdict:
    """ESN-12: of two that begin in one second with one gateway, the second waits without SPI matching, and neither does with it."""
    before, after = attempt(evidence, "endpoints alone"), attempt(evidence, "matched")
    for tried in (before, after):
        moments = [one.inside.t for one in tried.went.values()]
        require(len(moments) > 1, "fewer than two tunnels began")
        require(max(moments) - min(moments) < SAME_SECOND_S, "the tunnels did not begin in one second")
        require(len({there for _, there in tried.went}) == 1, "the tunnels were not with one gateway")
    found = Findings(delays_without=before.delays, delays_with=after.delays)
    found.expect(bool(before.held), "without SPI matching nobody had to wait")
    _expect_immediate(found, after, after.went)
    for sent in after.lost:
        found.expect(False, f"with SPI matching the answer to {sent.data['dst']} did not come")
    return found.verdict("the second waited without SPI matching, and neither did with it")


@check(*SIDES, keys="esp")
def every_pair_is_mapped_right(evidence: Evidence) -> Verdict:
    """ESN-13: each insider with each gateway at once; every packet comes, and nobody is given another's ESP."""
    tried = attempt(evidence, "every pair")
    insiders, gateways = ({pair[side] for pair in tried.went} for side in (0, 1))
    several = len(insiders) > 1 and len(gateways) > 1 and len(tried.went) == len(insiders) * len(gateways)
    require(several, "not each of several insiders with each of several gateways")
    found = Findings(pairs=len(tried.went))
    _expect_immediate(found, tried, tried.went)
    for sent in tried.lost:
        found.expect(False, f"the answer of {sent.who} to {sent.data['dst']} did not come")
    expect_exchanges(found, evidence)
    expect_own(found, evidence)
    return found.verdict("every pair's packets came to their own end")


@check(*SIDES)
def spis_can_be_told_in_advance(evidence: Evidence) -> Verdict:
    """ESN-14: of every tunnel, the NAT has the inbound SPI before any reply, and it is the one that the reply then bears: inbound
    follows from outbound SPI by a relation that repeats. The pairs, and what they have in common, are in the facts."""
    tried = attempt(evidence, "every pair")
    require(len(tried.went) > 1, "one pair of SPIs shows no relation")
    found, pairs = Findings(), []
    for (here, there), foretold in _foretold(evidence, tried, "every pair").items():
        used, out = _used(evidence, tried, here, there), spi_of(tried.went[here, there].inside)
        if not found.expect(bool(used), f"the answer of {there} did not come to {here}"):
            continue
        pairs.append((used, out))
        fault = f"for outbound SPI {out} of {here} with {there} the NAT expected {_told(foretold)}, and {used} came"
        found.expect(used in foretold, fault)
    found.facts |= {"pairs": [f"{used} in, {out} out" for used, out in pairs], "relation": _relation(pairs)}
    return found.verdict("the NAT knew every inbound SPI from the outbound one")


@check(*SIDES)
def rekeys_are_followed(evidence: Evidence) -> Verdict:
    """ESN-15: over rekeys no packet is lost, and the first ESP of a new SPI does not wait for a reply. A packet that the gateway
    sent by a new SA before the endpoint inside had spoken by it is told in the facts: no entry could have been made yet."""
    during = step(evidence, "rekeying")
    found = Findings()
    lost = [sent for sent, got in sent_in(evidence, during) if got is None]
    early = tuple(_before_its_insider(evidence, lost))
    for sent in lost:
        fault = f"packet {sent.data['number']} of {sent.who} to {sent.data['dst']} was lost"
        found.expect(sent in early, fault)
    delays: dict[str, list[float | None]] = {}
    for here, there in sorted({(here, there) for here in ("west-1", "west-2") for there in ("east-1",)}):
        firsts: dict[str, Observation] = {}
        for one in crossings(evidence, here, there, since=during.began, until=during.ended):
            if spi_of(one.inside) in firsts:
                continue
            firsts[spi_of(one.inside)] = one.inside
            (answer, *_) = replies(evidence, there, since=one.inside.t) or (None,)
            waited = one.outside is None or (answer is not None and one.outside.t > answer.t)
            found.expect(not waited, f"{here}'s first ESP with SPI {spi_of(one.inside)} waited for a reply", one.inside)
            delays.setdefault(here, []).append(one.delay_s)
        require(len(firsts) > 1, f"{here} did not rekey")
    found.facts |= {"delays": delays, "before the insider": [sent.data["number"] for sent in early]}
    return found.verdict("new SPIs were followed without delay or loss")


def _before_its_insider(evidence: Evidence, lost: Iterable[Told]) -> Iterator[Told]:
    """Those of the lost packets that a gateway has put into ESP of a new SPI, while the endpoint inside had not sent any by the new
    SA yet: its next ESP is the first of that. Each has an ESP packet outside of its own, which never came in."""
    came = {(spi_of(one), (one.esp or {}).get("sequence")) for one in frames(evidence, FrameKind.ESP, side=Side.INSIDE)}
    orphans = [one for one in frames(evidence, FrameKind.ESP) if (spi_of(one), (one.esp or {}).get("sequence")) not in came]
    known = {one.data["host"]: one.who.removeprefix("host of ") for one in told(evidence, "placed")}
    for sent in lost:
        here, gateway = known.get(sent.data["dst"]), endpoint(evidence, sent.who.removeprefix("host of "))
        if here not in insiders(evidence):
            continue
        own = frames(evidence, FrameKind.ESP, side=Side.INSIDE, src=endpoint(evidence, here))
        spoken = {spi_of(one) for one in own if one.t <= sent.t}
        following = next((one for one in own if one.t > sent.t), None)
        mine = next((one for one in orphans if one.src == gateway and sent.t <= one.t <= sent.t + CROSSING_S), None)
        if mine is not None and following is not None and spi_of(following) not in spoken:
            orphans.remove(mine)
            yield sent


@check(*SIDES, keys=True)
def a_clash_harms_nobody(evidence: Evidence) -> Verdict:
    """ESN-16: two insiders choose the same SPI towards one gateway. The first one's tunnel lives on, ESP with that SPI goes to one
    of them alone, and what it holds is for whoever gets it. So it is when the second has sent ESP that bears the SPI of the
    first."""
    first, second = "west-1", "west-2"
    chosen = [_offered(evidence, name) for name in (first, second)]
    both = chosen[0][:1]
    require(bool(both) and both[0] in chosen[1], "the two did not choose the same SPI")
    (spi,) = both
    found = Findings(spi=spi, renegotiated=len(set(chosen[1])) > 1)
    talks = [one for one in evidence.steps if one.name.startswith("exchange:") and first in one.clients and ":after " in one.name]
    require(bool(talks), f"{first} was not asked afterwards whether its tunnel lives")
    for one in talks:
        for sent, got in sent_in(evidence, one):
            found.expect(got is not None, f"packet {sent.data['number']} of {sent.who} was lost after the clash")
    takers = {}
    for name in (first, second):
        for frame in inbound(evidence, name, "east-1"):
            inner = (frame.esp or {}).get("inner_dst")
            found.expect(inner in (None, host(evidence, name)), f"{name} was given ESP that is for {inner}", frame)
            if spi_of(frame) == spi:
                takers[name] = frame
    if any(frame.sport is None for frame in frames(evidence, FrameKind.ESP, side=Side.INSIDE, src=endpoint(evidence, first))):
        step(evidence, "inject:ESP with another's SPI")  # what is in UDP has no SPI that the NAT could take for another's
    found.expect(len(takers) == 1, f"ESP with SPI {spi} went to {' and '.join(takers) or 'nobody'}", *takers.values())
    return found.verdict(f"of two with SPI {spi} one alone was served by it")


def _offered(evidence: Evidence, name: str) -> list[str]:
    """The SPIs of an endpoint's QM1s, in order."""
    spoken = frames(evidence, FrameKind.IKE, side=Side.INSIDE, src=endpoint(evidence, name))
    openings = [one.ike or {} for one in spoken if (one.ike or {}).get("message") == "QM1"]
    return [str(row["spi"]) for ike in openings for row in ike.get("proposals") or () if row.get("spi")]


def _expect_immediate(found: Findings, tried: Attempt, pairs: Iterable[tuple[str, str]]) -> None:
    for pair in pairs:
        found.expect(pair not in tried.held, f"ESP of {told_pairs((pair,))} did not cross before there was a reply")


def _foretold(evidence: Evidence, tried: Attempt, label: str) -> dict[tuple[str, str], set[str]]:
    """The inbound SPIs that the NAT had of each pair when nobody had replied yet."""
    table = rows(evidence, "nat", TABLE, label)
    return {
        (here, there): {
            row.inside_spi.lower()
            for row in table
            if row.inside_spi and (row.inside_local, row.outside_global) == (endpoint(evidence, here), endpoint(evidence, there))
        }
        for here, there in tried.went
    }


def _used(evidence: Evidence, tried: Attempt, here: str, there: str) -> str:
    """The SPI of the ESP by which the gateway answered, "" where the NAT gave the endpoint none."""
    came = inbound(evidence, here, there, since=tried.answered.began, until=tried.answered.ended)
    return spi_of(came[0]) if came else ""


def _told(spis: set[str]) -> str:
    return " and ".join(sorted(spis)) or "none"


def _relation(pairs: list[tuple[str, str]]) -> str:
    """What all pairs have in common, of a few simple things; a vendor's relation may be another."""
    numbers = [(int(here, 16), int(there, 16)) for here, there in pairs]
    for name, of in (
        ("exclusive or", {here ^ there for here, there in numbers}),
        ("difference", {(here - there) % 2**32 for here, there in numbers}),
        ("sum", {(here + there) % 2**32 for here, there in numbers}),
    ):
        if len(of) == 1:
            return f"{name} {of.pop():08x} in all {len(numbers)} pairs"
    return f"no exclusive or, difference or sum is the same in all {len(numbers)} pairs"


MATCHING: Mapping[str, RouterCheck] = {
    "ESN-08": entries_are_there_at_once,
    "ESN-09": who_is_not_listed_waits,
    "ESN-11": endpoints_alone_gain_nothing,
    "ESN-12": set_up_in_parallel,
    "ESN-13": every_pair_is_mapped_right,
    "ESN-14": spis_can_be_told_in_advance,
    "ESN-15": rekeys_are_followed,
    "ESN-16": a_clash_harms_nobody,
}
