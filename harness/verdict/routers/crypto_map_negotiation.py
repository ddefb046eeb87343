"""With whom, and about what, an entry of a crypto map makes IKE negotiate, and what comes of a dynamic one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Evidence, FrameKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.crypto_map_world import (
    EAST,
    WEST,
    WEST_HOST,
    carried,
    ciphers,
    during,
    host,
    ids_of,
    ike,
    in_clear,
    in_esp,
    permit_of,
    require_sent,
    talk,
)
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import arrived, deletes, frames, rows, step, told

OFFERED = {1: "aes-128", 2: "3des"}
"""Of the two that west-1's entries have, what each one in the east takes."""
VOLUME_KB, KILOBYTE = 2560, 1024
"""What an SA of map-volume may carry, and of how many octets each of them is (RFC 2407 §4.5: SA Life Type 2)."""
REFUSING = (3, 4)
"""Those in the east that take no such transform, and no such flow."""


@check(Side.OUTSIDE, decrypted=True)
def either_peer_serves(evidence: Evidence) -> Verdict:
    """SEC-78: while one of the entry's two peers is cut off, its flow goes to the other one, whichever it is."""
    found = Findings()
    for down, other in ((1, 2), (2, 1)):
        span = during(step(evidence, f"down:east-{down}"))
        require_sent(evidence, "west-1", span, f"while east-{down} was cut off")
        found.expect(not in_clear(evidence, WEST_HOST, host(1), span), f"a packet went in the clear, with east-{down} cut off")
        by_other = [one for one in in_esp(evidence, WEST_HOST, host(1), span) if one.dst == EAST[other]]
        found.expect(bool(by_other), f"nothing went to east-{other} in ESP while east-{down} was cut off")
        got = told(evidence, "got", f"host of east-{other}", **span)
        found.expect(bool(got), f"nothing arrived behind east-{other} while east-{down} was cut off")
    return found.verdict("whichever of the two peers was cut off, the other one had the flow")


@check(Side.OUTSIDE, decrypted=True)
def either_transform_set_is_agreed_on(evidence: Evidence) -> Verdict:
    """SEC-79: of an entry's two transform sets, the one is agreed on with a peer that takes it alone, and the other with
    another."""
    found = Findings()
    for number, wanted in OFFERED.items():
        span = during(step(evidence, f"bring-up:west-1:east-{number}"), talk(evidence, number))
        used = ciphers(carried(found, evidence, number, span)) | ciphers(in_esp(evidence, host(number), WEST_HOST, span))
        found.expect(used <= {wanted}, f"with east-{number}, which takes {wanted}, it was {sorted(used)}")
    return found.verdict("each of the two transform sets was agreed on, where the peer took that one alone")


@check(Side.OUTSIDE, decrypted=True)
def an_entrys_volume_ends_its_sas(evidence: Evidence) -> Verdict:
    """SEC-24, of a crypto map's entry: its life in kilobytes is proposed, an SA has a successor before it has carried them, long
    before its time is up, no SA carries more, and nothing is lost at that."""
    found, at = Findings(), step(evidence, "volume")
    span = during(step(evidence, "bring-up:west-1:east-1"), at)
    offers = [row for one in ike(evidence, span, "QM1", src=WEST) for row in (one.ike or {}).get("proposals") or ()]
    require(bool(offers), "west-1 asked for no SA")
    said = {row.get("lifetime_kb") for row in offers}
    found.expect(said == {VOLUME_KB}, f"west-1 proposed {' and '.join(sorted(map(str, said)))} kB, and not {VOLUME_KB}")
    carried_by: dict[str, int] = {}
    began: dict[str, float] = {}
    for one in frames(evidence, FrameKind.ESP, src=WEST, **span):
        spi = str((one.esp or {}).get("spi"))
        carried_by[spi] = carried_by.get(spi, 0) + one.length
        began.setdefault(spi, one.t)
    limit = VOLUME_KB * KILOBYTE
    found.facts["carried"] = carried_by
    require(sum(carried_by.values()) > limit, f"the SAs carried {sum(carried_by.values())} octets: too little to end one")
    lives = min(int(row["lifetime_s"]) for row in offers if row.get("lifetime_s"))
    require(at.ended - min(began.values()) < lives / 2, "it took so long that an SA may have ended for its time")
    found.expect(len(carried_by) > 1, "one SA carried it all, and no other took its place")
    for spi, octets in carried_by.items():
        found.expect(octets <= limit, f"the SA {spi} carried {octets} octets, of {limit}")
    for sent, got in arrived(evidence, since=at.began, until=at.ended):
        found.expect(got is not None, f"packet {sent.data['number']} was lost")
    return found.verdict(f"{VOLUME_KB} kB proposed and kept to; octets of each SA: {carried_by}")


def temporary(evidence: Evidence, label: str) -> tuple[Any, ...]:
    """The entries that east-1 shows and that have a peer: its configuration names none."""
    return tuple(row for row in rows(evidence, "east-1", "show crypto map", label) if WEST in row.peers)


@check(Side.OUTSIDE, decrypted=True)
def a_dynamic_entry_takes_an_unknown_peer(evidence: Evidence) -> Verdict:
    """SEC-80: who is not known gets SAs for a flow that the list permits, as that one asked for it and no wider; there is a
    temporary entry that says so."""
    found = Findings()
    came, exchange = step(evidence, "bring-up:west-1:east-1"), talk(evidence, 1)
    span = during(came, exchange)
    asked = ike(evidence, span, "QM1", src=WEST, dst=EAST[1])
    require(bool(asked), "west-1 asked east-1 for nothing")
    require(not ike(evidence, span, "MM1", src=EAST[1]), "east-1 began itself")
    granted = ike(evidence, span, "QM2", src=EAST[1], dst=WEST)
    found.expect(bool(granted), "east-1 granted nothing")
    wishes = set(map(permit_of, ids_of(asked)))
    found.expect(set(map(permit_of, ids_of(granted))) <= wishes, "east-1 granted another flow than it was asked for", *granted)
    carried(found, evidence, 1, span)
    made = temporary(evidence, "up")
    found.expect(bool(made), "east-1 shows no temporary entry with the peer")
    for row in made:
        fits = bool(row.permits) and set(row.permits) <= wishes
        found.expect(fits, f"the temporary entry has {list(row.permits)}, where {sorted(wishes)} was asked for")
    return found.verdict("an unknown peer got SAs for the flow that it asked for, and a temporary entry stands for them")


@check(Side.OUTSIDE, decrypted=True)
def a_dynamic_entry_refuses_what_does_not_fit(evidence: Evidence) -> Verdict:
    """SEC-81: a transform that is not in the entry's sets, or a flow that its list does not permit, gets no SA."""
    found = Findings()
    whole = during(step(evidence, "bring-up:west-1:east-1"), step(evidence, "ended"))
    require(bool(ike(evidence, whole, "QM2", src=EAST[1])), "what fits was granted by nobody either")
    for number in REFUSING:
        peer = EAST[number]
        require(bool(ike(evidence, whole, "MM6", src=peer)), f"east-{number} did not come as far as phase 1")
        require(bool(ike(evidence, whole, "QM1", src=WEST, dst=peer)), f"east-{number} was asked for nothing")
        granted = ike(evidence, whole, "QM2", src=peer)
        found.expect(not granted, f"east-{number} granted what does not fit", *granted)
        esp = [one for one in frames(evidence, FrameKind.ESP, **whole) if peer in (one.src, one.dst)]
        found.expect(not esp, f"there was ESP with east-{number}", *esp)
        found.expect(not told(evidence, "got", f"host of east-{number}"), f"something arrived behind east-{number}")
        said = {str(row["name"]) for one in ike(evidence, whole, "INFO", src=peer) for row in (one.ike or {}).get("notifies") or ()}
        found.facts[f"east-{number}"] = sorted(said)
    return found.verdict("neither a strange transform nor a strange flow got SAs")


@check(Side.OUTSIDE, decrypted=True)
def a_temporary_entry_goes_with_its_sas(evidence: Evidence) -> Verdict:
    """SEC-82: when the SAs of a temporary entry have ended, it is gone: the dynamic entry with a list drops what it sent before,
    that without a list lets it out in the clear, and neither knows a peer to ask."""
    found = Findings()
    ended = step(evidence, "ended")
    for number in (1, 2):
        came = step(evidence, f"bring-up:west-1:east-{number}")
        require(bool(in_esp(evidence, host(number), WEST_HOST, during(came, ended))), f"east-{number} never had an SA")
        require_sent(evidence, f"east-{number}", during(ended), "after its SAs had ended")
        require(bool(in_esp(evidence, host(number), WEST_HOST, during(talk(evidence, number, "again")))), "no new SAs came up")
        for frame in ike(evidence, during(ended), "MM1", "QM1", src=EAST[number]):
            found.expect(False, f"east-{number} asked {frame.dst} for SAs as if it knew it", frame)
        esp = in_esp(evidence, host(number), WEST_HOST, during(ended))
        found.expect(not esp, f"east-{number} sent ESP though its SAs had ended", *esp)
    require(bool(deletes(evidence, "esp", until=ended.began, src=WEST)), "west-1 did not say that its SAs had ended")
    clear = in_clear(evidence, host(1), WEST_HOST, during(ended))
    found.expect(not clear, "what the dynamic entry's list permits went in the clear", *clear)
    free = in_clear(evidence, host(2), WEST_HOST, during(ended))
    found.expect(bool(free), "without a list, the flow is still held as if the temporary entry were there")
    require(bool(temporary(evidence, "up")), "east-1 had no temporary entry")
    found.expect(not temporary(evidence, "ended"), "east-1 still shows the temporary entry")
    return found.verdict("with the SAs the temporary entries went")


@check(Side.OUTSIDE, decrypted=True)
def discover_finds_the_peer(evidence: Evidence) -> Verdict:
    """SEC-83: with `discover` at both ends, a packet of the dynamic entry's makes the router find a peer that it knows nothing of,
    and negotiate with it; without the keyword it asks nobody."""
    found = Findings()
    still, found_it = step(evidence, "not to discover"), step(evidence, "to discover")
    require_sent(evidence, "west-1", during(still), "without `discover`")
    left = [frame for src in (WEST, WEST_HOST) for frame in frames(evidence, src=src, **during(still))]
    found.expect(not left, "west-1 sent something, where peers are not to be discovered", *left)
    begun = ike(evidence, during(found_it), "MM1", src=WEST)
    found.expect(bool(begun), "west-1 began IKE with nobody")
    for frame in begun:
        found.expect(frame.dst == EAST[1], f"west-1 began IKE with {frame.dst}, which is not the peer", frame)
    carried(found, evidence, 1, during(found_it))
    return found.verdict("without `discover` nobody was asked; with it the peer was found, and the flow protected with it")


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-24": an_entrys_volume_ends_its_sas,
    "SEC-78": either_peer_serves,
    "SEC-79": either_transform_set_is_agreed_on,
    "SEC-80": a_dynamic_entry_takes_an_unknown_peer,
    "SEC-81": a_dynamic_entry_refuses_what_does_not_fit,
    "SEC-82": a_temporary_entry_goes_with_its_sas,
    "SEC-83": discover_finds_the_peer,
}
