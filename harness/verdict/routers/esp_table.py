"""A NAT's entries of ESP: what is shown of tunnels, held against the wire and the endpoints, and what clearing does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Evidence, FrameKind, Observation, Side, Step, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import arrived, exchanged, exchanges, frames, printed, rows, step

SIDES = (Side.INSIDE, Side.OUTSIDE)
NAT = "nat"
SHOW, CLEAR = "show ip nat translations", "clear ip nat translation"
CLIENTS = {f"west-{number}": f"10.0.0.{10 + number}" for number in range(1, 7)}
EAST = "east-1"
LIFE_S = 300
"""Of an ESP entry: the document's sample has 4:59 left of it."""
SLACK_S = 2
OUTBOUND_FLAG = "0x100000"


def tunnels_of(evidence: Evidence, until: float, since: float = 0.0) -> dict[str, tuple[set[str], set[str]]]:
    """Address of an inside endpoint → the SPIs of what it sent and of what came to it, as the inside wire has them."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for frame in frames(evidence, FrameKind.ESP, side=Side.INSIDE, since=since, until=until):
        out = frame.src in CLIENTS.values()
        sent, came = found.setdefault(frame.src if out else frame.dst, (set(), set()))
        (sent if out else came).add(str((frame.esp or {}).get("spi")))
    return found


def lines(evidence: Evidence, command: str, label: str) -> set[str]:
    """The rows under the heading as they are printed, one space between the columns."""
    text = printed(evidence, NAT, command, label).text
    return {" ".join(line.split()) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("Pro ")}


def expected_lines(evidence: Evidence, until: float) -> set[str]:
    """The document's two rows for every tunnel on the wire: an SPI has eight capital hexadecimal digits, in the place of a port."""
    nat, east = evidence.nat_outside, evidence.gateway_address
    found = set()
    for inside, (sent, came) in tunnels_of(evidence, until).items():
        found |= {f"esp {nat}:0 {inside}:0 {east}:0 {east}:{spi.upper()}" for spi in sent}
        found |= {f"esp {nat}:0 {inside}:{spi.upper()} {east}:0 {east}:0" for spi in came}
    return found


def expect_lost(found: Findings, evidence: Evidence, at: Step, why: str) -> None:
    """What the concentrator sent in that time was seen outside the NAT, and neither inside nor by a host."""
    sent = frames(evidence, FrameKind.ESP, since=at.began, until=at.ended, src=evidence.gateway_address or "")
    require(bool(sent), f"the concentrator sent no ESP {why}")
    for frame in frames(evidence, FrameKind.ESP, side=Side.INSIDE, since=at.began, until=at.ended):
        found.expect(frame.src in CLIENTS.values(), f"ESP from outside crossed the NAT {why}", frame)
    for packet, got in arrived(evidence, since=at.began, until=at.ended):
        found.expect(got is None, f"packet {packet.data['number']} came to {packet.data['dst']} {why}", *sent)


def _exchange_works(found: Findings, evidence: Evidence, label: str, why: str) -> None:
    talks = [one for one in exchanged(evidence) if one.name.endswith(f":{label}")]
    require(bool(talks), f"nobody exchanged packets {why}")
    for at in talks:
        for sent, got in arrived(evidence, since=at.began, until=at.ended):
            found.expect(got is not None, f"packet {sent.data['number']} did not come to {sent.data['dst']} {why}")


# What is shown


@check(*SIDES)
def two_rows_a_tunnel(evidence: Evidence) -> Verdict:
    """ESN-50: of each tunnel there are two rows in the document's form: with the SPI of what goes out beside the outside global
    address, and with that of what comes in beside the inside local one. The SPIs are those of the wire, beside the right host."""
    said = printed(evidence, NAT, f"{SHOW} esp", "up")
    require(len(tunnels_of(evidence, said.t)) > 1, "fewer than two tunnels crossed the NAT")
    rows(evidence, NAT, f"{SHOW} esp", "up")
    shown, wanted = lines(evidence, f"{SHOW} esp", "up"), expected_lines(evidence, said.t)
    found = Findings(shown=sorted(shown))
    for line in sorted(wanted - shown):
        found.expect(False, f"the table lacks `{line}`")
    for line in sorted(shown - wanted):
        found.expect(False, f"the table has `{line}`, which no packet was seen of")
    found.expect(bool(shown), "the table is empty")
    return found.verdict("two rows a tunnel, with the SPIs of the wire")


@check(*SIDES)
def spis_are_live_ones(evidence: Evidence) -> Verdict:
    """ESN-51: the SPIs of the table are those of the endpoints' own SAs: each side's, at either end."""
    table = rows(evidence, NAT, f"{SHOW} esp", "up")
    found, everybodys = Findings(), (set[str](), set[str]())
    shown_by = {row.inside_local for row in table}
    require(bool(shown_by), "the table has no entry of ESP")
    for device, inside in CLIENTS.items():
        if inside not in shown_by:
            continue
        into, out = (_spis(evidence, device, way) for way in ("inbound", "outbound"))
        everybodys[0].update(into)
        everybodys[1].update(out)
        theirs = [row for row in table if row.inside_local == inside]
        held = {row.inside_spi for row in theirs} - {None}, {row.outside_spi for row in theirs} - {None}
        found.expect(held[0] == into, f"the table has {sorted(held[0])} towards {device}, whose inbound SAs are {sorted(into)}")
        found.expect(held[1] == out, f"the table has {sorted(held[1])} from {device}, whose outbound SAs are {sorted(out)}")
    into, out = (_spis(evidence, EAST, way) for way in ("inbound", "outbound"))
    found.expect(everybodys == (out, into), f"{EAST} has other SPIs than its peers: {sorted(into)} and {sorted(out)}")
    return found.verdict("the table's SPIs are live ones of both ends")


def _spis(evidence: Evidence, device: str, way: str) -> set[str]:
    return {sa.spi for flow in rows(evidence, device, "show crypto ipsec sa", "up") for sa in flow.sas if sa.direction == way}


@check(*SIDES)
def verbose_tells_of_each_half(evidence: Evidence) -> Verdict:
    """ESN-52: below each row are its times, which fit the packets on the wire, and its flags and counts, which are the document's:
    the outbound half is flagged and used once, the inbound half has the time that is left and the mapping's number."""
    command = f"{SHOW} esp verbose"
    now = printed(evidence, NAT, command, "up").t
    table = rows(evidence, NAT, command, "up")
    require(bool(table), "the table has no entry of ESP")
    found, ids = Findings(), []
    for row in table:
        name = f"{row.inside_local} {'from' if row.outside_spi else 'towards'} {row.outside_spi or row.inside_spi}"
        if not found.expect(row.details is not None, f"nothing is told below the row of {name}"):
            continue
        details = row.details
        first, last = _span(evidence, row, now)
        for what, says, is_ in (("create", details.create_s, now - first), ("use", details.use_s, now - last)):
            fits = says is not None and abs(says - is_) <= SLACK_S
            found.expect(fits, f"{what} of {name} is told as {says} s, and by the wire it is {is_:.0f} s")
        found.expect("extended" in details.flags, f"{name} is not flagged as extended")
        outbound = row.outside_spi is not None
        found.expect((OUTBOUND_FLAG in details.flags) is outbound, f"the flags of {name} are {list(details.flags)}")
        found.expect(details.use_count == int(outbound), f"use_count of {name} is {details.use_count}")
        found.expect(details.lc_entries == 0, f"lc_entries of {name} is {details.lc_entries}")
        found.expect((details.map_id is not None) is not outbound, f"Map-Id(In) of {name} is {details.map_id}")
        found.expect((details.left_s is not None) is not outbound, f"left of {name} is {details.left_s}")
        if details.left_s is not None:
            left = LIFE_S - (now - last)
            found.expect(abs(details.left_s - left) <= SLACK_S, f"{name} has {details.left_s} s left, and should have {left:.0f}")
        ids.append(details.entry_id)
    found.expect(None not in ids and len(set(ids)) == len(ids), f"the entries' numbers are {ids}")
    return found.verdict("what is told of each half is the document's, and fits the wire")


def _span(evidence: Evidence, row: Any, now: float) -> tuple[float, float]:
    """When the tunnel's first packet crossed the NAT, and its last one either way, before `now`."""
    own = [
        frame
        for frame in frames(evidence, FrameKind.ESP, side=Side.INSIDE, until=now)
        if row.inside_local in (frame.src, frame.dst)
    ]
    require(bool(own), f"no ESP of {row.inside_local} was seen")
    return own[0].t, own[-1].t  # with SPI matching the first packet out makes both halves


@check(*SIDES)
def an_entry_lives_five_minutes(evidence: Evidence) -> Verdict:
    """ESN-53: what comes from outside after almost five minutes without a packet gets in, and renews the entry; after more than
    five minutes the entry is gone, and it does not. The endpoint's next packet makes it anew."""
    command = f"{SHOW} esp verbose"
    found = Findings()
    for name in ("short", "short again"):
        at = step(evidence, f"idle:{name}")
        require(at.detail["idle_s"] < LIFE_S, f"the time before {at.name} was too long")
        outside = frames(evidence, FrameKind.ESP, since=at.began, until=at.ended, src=evidence.gateway_address or "")
        require(bool(outside), f"nothing came from outside after {at.name}")
        for sent, got in arrived(evidence, since=at.began, until=at.ended):
            found.expect(got is not None, f"packet {sent.data['number']} did not get in after {at.detail['idle_s']:g} s", *outside)
        table = rows(evidence, NAT, command, name)
        found.expect(len(table) == 2, f"after {at.detail['idle_s']:g} s the table has {len(table)} rows of the tunnel")
        for left in (row.details.left_s for row in table if row.details is not None and row.details.left_s is not None):
            wanted = LIFE_S - at.detail["idle_s"]
            found.expect(abs(left - wanted) <= 2 * SLACK_S, f"after {at.detail['idle_s']:g} s an entry has {left} s left")
    at = step(evidence, "idle:long")
    require(at.detail["idle_s"] > LIFE_S, "the last time was too short")
    expect_lost(found, evidence, at, f"after {at.detail['idle_s']:g} s")
    found.expect(not rows(evidence, NAT, command, "long"), f"after {at.detail['idle_s']:g} s the table still has the tunnel")
    _exchange_works(found, evidence, "anew", "once the endpoint had sent again")
    return found.verdict("an entry lives five minutes, and traffic renews it")


# What clearing does


@check(*SIDES)
def clear_esp_leaves_ike(evidence: Evidence) -> Verdict:
    """ESN-60: `clear ip nat translation esp` takes the entries of ESP, and no others: what comes by ESP from outside is lost, what
    IKE sends by its entry gets in."""
    cleared = _cleared(evidence, f"{CLEAR} esp")
    before, after = (set(rows(evidence, NAT, f"{SHOW} udp", label)) for label in ("up", "cleared"))
    require(bool(rows(evidence, NAT, f"{SHOW} esp", "up")), "there was no entry of ESP before")
    require(any(row.inside_local_port == 500 for row in before), "there was no entry of IKE before")
    found = Findings(rows_of_ike=len(before))
    left = rows(evidence, NAT, f"{SHOW} esp", "cleared")
    found.expect(not left, f"{len(left)} entries of ESP are still there")
    found.expect(after == before, f"of {len(before)} entries of UDP there are {len(after & before)} left")
    expect_lost(found, evidence, step(evidence, "esp cleared"), "after the clear")
    at = step(evidence, "the concentrator deletes its SAs")
    from_inside = [one for one in frames(evidence, FrameKind.IKE, side=Side.INSIDE, since=cleared, until=at.ended) if _inner(one)]
    require(not from_inside or from_inside[0].t > at.began, "an endpoint spoke IKE meanwhile, and made its entry anew")
    said, came = (
        frames(evidence, FrameKind.IKE, side=side, since=at.began, until=at.ended, src=evidence.gateway_address or "")
        for side in (Side.OUTSIDE, Side.INSIDE)
    )
    require(bool(said), "the concentrator sent nothing by IKE")
    found.expect(len(came) >= len(said), f"of {len(said)} messages of IKE from outside {len(came)} got in", *said)
    return found.verdict("the entries of ESP were cleared, those of IKE stayed")


def _inner(frame: Observation) -> bool:
    return frame.src in CLIENTS.values()


def _cleared(evidence: Evidence, command: str) -> float:
    said = printed(evidence, NAT, command)
    require(not said.refused, f"the NAT refused {command!r}: {said.refused}")
    return said.t


@check(*SIDES)
def clear_all_in_a_storm(evidence: Evidence) -> Verdict:
    """ESN-61: while everybody has traffic `clear ip nat translation *` takes all entries; every client is back. How long each one
    takes, what was lost, and whether IKE had to begin anew is noted."""
    cleared = _cleared(evidence, f"{CLEAR} *")
    before, after = (rows(evidence, NAT, f"{SHOW} verbose", label) for label in ("before", "after"))
    clients = {row.inside_local for row in before if row.protocol == "esp"}
    require(len(clients) > 2, "fewer than three clients had entries in the storm")
    found = Findings(rows_before=len(before))
    for row in after:
        old = row.details is None or row.details.create_s is None or row.details.create_s > SLACK_S
        found.expect(not old, f"the entry of {row.inside_local} ({row.protocol}) is still there")
    expect_lost(found, evidence, step(evidence, "all cleared"), "after the clear")
    names = {inside: device for device, inside in CLIENTS.items()}
    recovery: dict[str, float] = {}
    lost = 0
    for packet, got in arrived(evidence, since=cleared):
        lost += got is None
        if got is not None and packet.who == f"host of {EAST}":
            recovery.setdefault(str(got.who).removeprefix("host of "), round(got.t - cleared, 3))
    found.facts.update(recovery_s=recovery, packets_lost=lost, ike_anew="MM1" in exchanges(evidence, since=cleared))
    for inside in sorted(clients):
        found.expect(names[inside] in recovery, f"nothing came from outside to {names[inside]} after the clear")
    _exchange_works(found, evidence, "after the storm", "after the storm")
    return found.verdict(f"all {len(before)} entries were cleared, and {len(recovery)} clients are back")


@check(*SIDES)
def clear_does_not_wait_for_the_time_out(evidence: Evidence) -> Verdict:
    """ESN-63: entries that have most of their life before them, and are in use, are gone when they are cleared: a packet of an SPI
    that got in before is lost after it."""
    cleared = _cleared(evidence, f"{CLEAR} esp")
    table = rows(evidence, NAT, f"{SHOW} esp verbose", "up")
    left = [row.details.left_s for row in table if row.details is not None and row.details.left_s is not None]
    require(bool(left) and min(left) > LIFE_S / 2, f"the entries had {left} s left before the clear")
    at = step(evidence, "esp cleared")
    sent = frames(evidence, FrameKind.ESP, since=at.began, until=at.ended, src=evidence.gateway_address or "")
    again = {str((frame.esp or {}).get("spi")) for frame in sent}
    known = set[str]().union(*(came for _, came in tunnels_of(evidence, cleared).values()))
    require(bool(again) and again <= known, "what came from outside afterwards was of other SPIs than those that had got in")
    found = Findings(left_s=sorted(left))
    remaining = rows(evidence, NAT, f"{SHOW} esp", "cleared")
    found.expect(not remaining, f"{len(remaining)} entries are still there")
    expect_lost(found, evidence, at, "after the clear")
    _exchange_works(found, evidence, "anew", "once the endpoints had sent again")
    return found.verdict("live entries are cleared long before they end")


CHECKS: Mapping[str, RouterCheck] = {
    "ESN-50": two_rows_a_tunnel,
    "ESN-51": spis_are_live_ones,
    "ESN-52": verbose_tells_of_each_half,
    "ESN-53": an_entry_lives_five_minutes,
    "ESN-60": clear_esp_leaves_ike,
    "ESN-61": clear_all_in_a_storm,
    "ESN-63": clear_does_not_wait_for_the_time_out,
}
