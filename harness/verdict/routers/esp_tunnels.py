"""Tunnels through a NAT: whether they are up together, what crosses, and who has to wait for whose reply."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model import Evidence, FrameKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.esp_matching import MATCHING
from harness.verdict.routers.esp_reading import (
    attempt,
    configured,
    crossings,
    exchanges_came,
    expect_exchanges,
    expect_let_go,
    expect_own,
    replies,
    sent_in,
    told_pairs,
)
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import arrived, exchanged, frames, printed, rows, step

SIDES = (Side.INSIDE, Side.OUTSIDE)
TABLE = "show ip nat translations esp"
TUNNEL = 1
"""Encapsulation Mode of a proposal (RFC 2407 §4.5), of IP protocol 50 without UDP."""
IP_IN_IP = 4


@check(*SIDES, keys="esp")
def plain_nat_needs_no_support(evidence: Evidence) -> Verdict:
    """ESN-01: through a NAT that is not overloaded and has no services, tunnels carry their packets at once and both ways."""
    lines = configured(evidence, "nat", "plain")
    require(not any(line.startswith("ip nat service") or line.endswith("overload") for line in lines), "this NAT is no plain one")
    tried = attempt(evidence, "plain")
    found = Findings(delays=tried.delays)
    outside = [one.outside for one in tried.went.values() if one.outside is not None]
    addresses = {frame.src for frame in outside}
    translated = addresses.isdisjoint(one.inside.src for one in tried.went.values())
    require(translated and len(addresses) == len(outside), "the NAT did not give each insider an address")
    for pair in tried.went:
        found.expect(pair not in tried.held, f"ESP of {told_pairs((pair,))} did not cross")
    for frame in outside:
        found.expect(frame.sport is None, "ESP crossed in UDP", frame)
    for sent in tried.lost:
        found.expect(False, f"the answer to {sent.data['dst']} did not come")
    expect_exchanges(found, evidence)
    expect_own(found, evidence)
    return found.verdict("every tunnel carried its packets both ways through a NAT that knows nothing of ESP")


@check(*SIDES)
def one_tunnel_with_the_feature_off(evidence: Evidence) -> Verdict:
    """ESN-02: recorded, whether a single tunnel passes an overloaded address without SPI matching."""
    alone = step(evidence, "exchange:west-1:east-1:alone")
    went = crossings(evidence, "west-1", "east-1", since=alone.began, until=alone.ended)
    require(bool(went), "no ESP came to the NAT: the tunnel was not up")
    came = [got is not None for _, got in sent_in(evidence, alone)]
    entries = len(rows(evidence, "nat", TABLE, "alone"))
    both = len(came) > 1 and all(came)
    said = "one tunnel alone passed both ways" if both else "one tunnel alone did not pass both ways"
    found = Findings(passed=both, delay_s=went[0].delay_s, entries=entries)
    found.expect(True, "")
    return found.verdict(said)


@check(*SIDES)
def several_tunnels_are_up_together(evidence: Evidence) -> Verdict:
    """ESN-03: once all are up, a packet of every one crosses both ways, time and again, and comes to its own host."""
    found = Findings()
    talks = exchanged(evidence)
    require(len({one.clients for one in talks}) > 1, "fewer than two tunnels were asked whether they live")
    for one in talks:
        for sent, got in sent_in(evidence, one):
            found.expect(got is not None, f"packet {sent.data['number']} of {sent.who} did not come to {sent.data['dst']}")
    for sent, got in arrived(evidence):
        if got is not None:
            found.expect(got.data["dst"] == sent.data["dst"], f"packet {sent.data['number']} came to {got.data['dst']}")
    return found.verdict("every tunnel carried its packets both ways while the others were up")


@check(*SIDES)
def esp_goes_without_udp(evidence: Evidence) -> Verdict:
    """ESN-04: the tunnels' packets are protocol 50 on both sides of the NAT, and nothing is on UDP 4500."""
    found = Findings()
    for side in SIDES:
        require(bool(frames(evidence, FrameKind.ESP, side=side)), f"no ESP crossed the {side.value} of the NAT")
        for frame in frames(evidence, side=side):
            found.expect(4500 not in (frame.sport, frame.dport), f"{frame.kind.value} on UDP 4500 {side.value} the NAT", frame)
            if frame.kind is FrameKind.ESP:
                found.expect(frame.sport is None, f"ESP in UDP {side.value} the NAT", frame)
    return found.verdict("ESP crossed the NAT as protocol 50, and nothing was on UDP 4500")


@check(*SIDES, keys=True)
def tunnels_are_in_tunnel_mode(evidence: Evidence) -> Verdict:
    """ESN-05: quick modes offer and choose tunnel mode, and what ESP holds is a whole IP packet."""
    found = Findings()
    for message in ("QM1", "QM2"):
        spoken = [one for one in frames(evidence, FrameKind.IKE) if (one.ike or {}).get("message") == message]
        offers = [(one, row) for one in spoken for row in (one.ike or {}).get("proposals") or ()]
        require(bool(offers), f"no key opens a {message}, so what mode was agreed on is not known")
        for frame, row in offers:
            mode = row.get("encapsulation")
            found.expect(mode == TUNNEL, f"a {message} has encapsulation mode {mode}, where tunnel is {TUNNEL}", frame)
    opened = [one for one in frames(evidence, FrameKind.ESP) if (one.esp or {}).get("next_header") is not None]
    require(bool(opened), "no key opens any ESP")
    for frame in opened:
        inner = (frame.esp or {})["next_header"]
        found.expect(inner == IP_IN_IP, f"ESP holds protocol {inner}, where a tunnelled packet is {IP_IN_IP}", frame)
    return found.verdict("tunnel mode was agreed on, and ESP held whole IP packets")


@check(*SIDES, keys="esp")
def an_older_end_has_no_use_of_it(evidence: Evidence) -> Verdict:
    """ESN-06: with a gateway whose release does not know SPI matching, tunnels are not set up in parallel, and nobody is given
    another's ESP; with one that knows it they are."""
    offered = printed(evidence, "east-2", "crypto ipsec nat-transparency spi-matching", "older")
    require(bool(offered.refused), "the gateway takes the command, so its release is no older one")
    require(attempt(evidence, "complete").parallel, "nor were tunnels set up in parallel where all ends know it")
    tried = attempt(evidence, "older gateway")
    found = Findings(delays=tried.delays, lost=[sent.data["dst"] for sent in tried.lost])
    found.expect(not tried.parallel, "tunnels with an older gateway were set up in parallel, as if it matched SPIs")
    expect_own(found, evidence)
    return found.verdict("tunnels with an older gateway fell back to delay or failure")


@check(*SIDES)
def an_entry_waits_for_the_reply(evidence: Evidence) -> Verdict:
    """ESN-07: without SPI matching somebody's ESP crosses, another's does not before a reply has come from the gateway, and does
    then: what was held itself, and what comes after it. How long it waited is in the facts."""
    tried = attempt(evidence, "default")
    found = Findings(delays=tried.delays)
    found.expect(len(tried.held) < len(tried.went), "no ESP crossed at all, so there never can be a reply")
    found.expect(bool(tried.held), "ESP of all crossed before there was any reply")
    for here, there in tried.held:
        (answer, *_) = replies(evidence, there, since=tried.asked.began) or (None,)
        require(answer is not None, f"{there} never replied")
        assert answer is not None
        for one in crossings(evidence, here, there, since=tried.asked.began):
            early = one.outside is not None and one.outside.t < answer.t
            found.expect(not early, f"ESP of {here} crossed before {there} had replied", one.outside)
    expect_let_go(found, tried)
    for row in rows(evidence, "nat", TABLE, "default"):
        known = row.inside_spi is not None
        found.expect(not known, f"the NAT had inbound SPI {row.inside_spi} of {row.inside_local} before any reply")
    expect_exchanges(found, evidence, ":default", " once there had been a reply")
    return found.verdict("an entry was held until the reply came, and the tunnels worked after it")


@check(*SIDES, keys="esp")
def the_nat_alone_gains_nothing(evidence: Evidence) -> Verdict:
    """ESN-10: where the NAT alone matches SPIs, endpoints with SPIs of chance are not served in parallel, and nobody is given
    another's ESP."""
    tried = attempt(evidence, "NAT alone")
    require(exchanges_came(evidence, ":NAT alone"), "nor does a tunnel work where it is alone in being new")
    found = Findings(delays=tried.delays, lost=[sent.data["dst"] for sent in tried.lost])
    found.expect(not tried.parallel, "two tunnels with SPIs of chance were served in parallel")
    expect_own(found, evidence, since=tried.asked.began)
    return found.verdict("SPI matching on the NAT alone was of no use, and mapped nothing wrongly")


CHECKS: Mapping[str, RouterCheck] = {
    "ESN-01": plain_nat_needs_no_support,
    "ESN-03": several_tunnels_are_up_together,
    "ESN-04": esp_goes_without_udp,
    "ESN-05": tunnels_are_in_tunnel_mode,
    "ESN-06": an_older_end_has_no_use_of_it,
    "ESN-07": an_entry_waits_for_the_reply,
    "ESN-10": the_nat_alone_gains_nothing,
    **MATCHING,
}
NOTED: Mapping[str, RouterCheck] = {"ESN-02": one_tunnel_with_the_feature_off}
