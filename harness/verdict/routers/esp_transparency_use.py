"""`crypto ipsec nat-transparency`: both off, ends that disagree, releases that lack it, and a live tunnel when it changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Evidence, FrameKind, Observation, Side, Verdict, ios_releases
from harness.verdict.findings import Findings, require
from harness.verdict.routers.esp_transparency import (
    BARE,
    BOTH_OFF_LINE,
    EAST,
    ENDS,
    IN_UDP,
    SIDES,
    SPI_LINE,
    UDP_LINE,
    WEST,
    WEST_ADDRESS,
    both_off,
    carried_in,
    esp,
    expect_traffic,
    shown,
    state,
)
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import arrived, frames, printed, rows, step, told

STATUS = 16384
"""Notify types below it are errors (RFC 2408 section 3.14.1)."""
DISAGREEING = ("udp-encaps and spi-matching", "spi-matching and udp-encaps")
DOCUMENTED: Mapping[str, tuple[bool, bool]] = {
    "12.2(11)T": (False, False),
    "12.2(13)T": (True, False),
    "12.2(15)T": (True, True),
}
"""By release: whether it has the command, and whether it has its keyword `spi-matching` (the document's command history)."""


@check(*SIDES)
def both_off_fails_behind_a_nat(evidence: Evidence) -> Verdict:
    """ESN-38: with both off a tunnel through a NAT is lost when it is idle: what the outside sends then does not get in. The same
    with UDP encapsulation and its keepalives works; the cause is the configuration."""
    control, at = step(evidence, "from outside:udp-encaps"), step(evidence, "from outside:both off")
    ((_, got),) = arrived(evidence, since=control.began, until=control.ended)
    require(got is not None, "the packet did not come with UDP encapsulation either")
    for device in ENDS:
        said = shown(evidence, device, "both off")
        require(both_off(said), f"{device} has not both off: {list(said)}")
    sent = esp(evidence, at, src=evidence.gateway_address or "")
    require(bool(sent), "the eastern end sent no ESP with both off, so nothing could be lost at the NAT")
    found = Findings(cause=f"configuration: `{BOTH_OFF_LINE}` on {' and '.join(ENDS)}, with a NAT between them")
    ((packet, came),) = arrived(evidence, since=at.began, until=at.ended)
    found.expect(came is None, f"with both off, packet {packet.data['number']} from outside came through an idle NAT", *sent)
    for frame in esp(evidence, at, Side.INSIDE):
        found.expect(frame.src == WEST_ADDRESS, "ESP from outside crossed the idle NAT with both off", frame)
    for frame in sent:
        found.expect(carried_in(frame) == BARE, "ESP was in UDP with both off", frame)
    return found.verdict("with both off an idle tunnel is lost at the NAT: the configuration is the cause")


@check(*SIDES)
def releases_of_the_keywords(evidence: Evidence) -> Verdict:
    """ESN-39: the command is taken from 12.2(13)T on, its keyword `spi-matching` from 12.2(15)T on; tunnels through the NAT are
    carried accordingly: without UDP, in UDP, and without UDP again."""
    found, seen = Findings(), []
    for at in (one for one in evidence.steps if one.name.startswith("release:")):
        (device,) = at.clients
        (version,) = rows(evidence, device, "show version", "release")
        release = str(version.version)
        udp, spi = DOCUMENTED.get(release) or (_has("nat-transparency", release), _has("spi-matching", release))
        seen.append(release)
        for line, there in ((UDP_LINE, udp), (SPI_LINE, spi)):
            refused = printed(evidence, device, line, "release").refused
            found.expect(bool(refused) is not there, f"IOS {release} {'refuses' if refused else 'takes'} `{line}`")
        own = esp(evidence, at, Side.INSIDE, f"10.0.0.{10 + int(device.partition('-')[2])}")
        require(bool(own), f"{device} sent no ESP")
        wanted = IN_UDP if udp and not spi else BARE
        for frame in own:
            found.expect(carried_in(frame) == wanted, f"ESP of IOS {release} was in {carried_in(frame)}", frame)
        expect_traffic(found, evidence, f"IOS {release}", at)
    require({DOCUMENTED.get(one) for one in seen} >= set(DOCUMENTED.values()), f"the releases were {seen}, not one of each kind")
    return found.verdict(f"each of {', '.join(seen)} has what the document says")


def _has(feature: str, release: str) -> bool:
    return ios_releases.has(feature, ios_releases.parse(release))


@check(*SIDES)
def ends_that_disagree(evidence: Evidence) -> Verdict:
    """ESN-40: where one end wants UDP encapsulation and the other SPI matching, either both have the same SAs and packets pass both
    ways, carried in one way; or neither has any, and IKE told of it."""
    found = Findings()
    for name in DISAGREEING:
        at = state(evidence, name)
        require(bool(frames(evidence, FrameKind.IKE, since=at.began, until=at.ended)), f"nobody negotiated with {name}")
        into, out = ({device: _spis(evidence, device, name, way) for device in ENDS} for way in ("inbound", "outbound"))
        pairs = into[WEST] == out[EAST] and into[EAST] == out[WEST]
        found.expect(pairs, f"with {name} one end has SAs that the other has not")
        ways = {carried_in(frame) for side in SIDES for frame in esp(evidence, at, side)}
        found.expect(len(ways) <= 1, f"with {name} ESP was in {' and in '.join(sorted(ways))}")
        found.facts[name] = sorted(ways)
        if any(into.values()):
            expect_traffic(found, evidence, name, at)
        else:
            refusals = [one for one in frames(evidence, FrameKind.IKE, since=at.began, until=at.ended) if _refuses(one)]
            found.expect(bool(refusals), f"with {name} there is no tunnel, and nobody said why")
    return found.verdict("ends that disagree have a whole tunnel, or are told that there is none")


def _spis(evidence: Evidence, device: str, label: str, way: str) -> set[str]:
    return {sa.spi for flow in rows(evidence, device, "show crypto ipsec sa", label) for sa in flow.sas if sa.direction == way}


def _refuses(frame: Observation) -> bool:
    ike = frame.ike or {}
    return bool(ike.get("deletes")) or any(0 < int(one["type"]) < STATUS for one in ike.get("notifies") or ())


@check(*SIDES)
def live_sas_when_it_changes(evidence: Evidence) -> Verdict:
    """ESN-41: what becomes of a live tunnel when SPI matching is configured at both ends: noted."""
    at = step(evidence, "live:spi-matching")
    before = state(evidence, "default")
    require(bool(esp(evidence, before)), "there was no live tunnel")
    spis: list[Any] = [{str((frame.esp or {}).get("spi")) for frame in esp(evidence, one)} for one in (before, at)]
    ways = sorted({carried_in(frame) for frame in esp(evidence, at)})
    came = [got is not None for _, got in arrived(evidence, since=at.began, until=at.ended)]
    require(bool(told(evidence, "sent", since=at.began, until=at.ended)), "nothing was sent after the change")
    found = Findings(carried_in=ways, same_sas=bool(spis[1]) and spis[1] <= spis[0], packets_came=came)
    found.expect(True, "")
    kept = "the live SAs go on" if found.facts["same_sas"] else "the live SAs do not go on"
    return found.verdict(f"after the change {kept}, in {' and '.join(ways) or 'nothing'}")


CHECKS: Mapping[str, RouterCheck] = {
    "ESN-38": both_off_fails_behind_a_nat,
    "ESN-39": releases_of_the_keywords,
    "ESN-40": ends_that_disagree,
}
NOTED: Mapping[str, RouterCheck] = {"ESN-41": live_sas_when_it_changes}
