"""Entries of a crypto map that are edited, removed, and made anew as what they were not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Evidence, FrameKind, Observation, Printed, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.crypto_map_world import (
    EAST,
    WEST,
    WEST_HOST,
    Span,
    carried,
    ciphers,
    during,
    host,
    ike,
    in_ah,
    in_clear,
    in_esp,
)
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import arrived, frames, printed, rows, step

ENDS = {"west-1": WEST, "east-1": EAST[1]}
BY_HAND = "crypto map vpn 10 ipsec-manual"
SPI = "00000100"
"""256, which is every SPI of the document's example."""


def offered(evidence: Evidence, label: str, device: str) -> tuple[Printed, ...]:
    return tuple(one for one in evidence.printed if one.label == label and one.device == device and one.rows is None)


def taken(found: Findings, lines: tuple[Printed, ...]) -> None:
    for one in lines:
        found.expect(not one.refused, f"{one.device} refused {one.command!r}: {one.refused}")


def by_hand(found: Findings, evidence: Evidence) -> dict[str, tuple[Observation, ...]]:
    """Asserts that the two hosts talk in AH, without IKE and without anything else; returns it by who sent it."""
    span = during(step(evidence, "by hand"))
    sent = list(arrived(evidence, **span))
    require(bool(sent), "no host sent anything once the keys were set by hand")
    packets = {name: in_ah(evidence, span, address) for name, address in ENDS.items()}
    for name, some in packets.items():
        found.expect(bool(some), f"no AH from {name}")
    for one, got in sent:
        found.expect(got is not None, f"packet {one.data['number']} to {one.data['dst']} did not arrive")
    stray = (*frames(evidence, FrameKind.ESP, **span), *ike(evidence, span, "MM1", "QM1"))
    for frame in (*stray, *in_clear(evidence, WEST_HOST, host(1), span), *in_clear(evidence, host(1), WEST_HOST, span)):
        found.expect(False, f"{frame.kind.value} from {frame.src}, where keys are set by hand", frame)
    return packets


@check(Side.OUTSIDE, decrypted=True)
def what_an_entry_is_cannot_be_changed(evidence: Evidence) -> Verdict:
    """SEC-74: `ipsec-manual` over an entry of `ipsec-isakmp` changes nothing, IKE serves it as before; deleted and entered anew it
    is one of keys by hand."""
    found = Findings()
    for device in ENDS:
        printed(evidence, device, BY_HAND, "over the other")
    span = during(step(evidence, "as it was"))
    found.expect(bool(ike(evidence, span, "QM1", src=WEST, dst=EAST[1])), "IKE does not serve the entry any more")
    carried(found, evidence, 1, span)
    for device, address in ENDS.items():
        early = in_ah(evidence, span, address)
        found.expect(not early, f"{device} uses AH though its entry was not deleted", *early)
        lines = offered(evidence, "anew", device)
        require(any(one.command == BY_HAND for one in lines), f"{device} was not given the entry anew")
        taken(found, lines)
    by_hand(found, evidence)
    return found.verdict("the entry stayed what it was until it was deleted, and was another when it was entered anew")


@check(Side.OUTSIDE)
def keys_by_hand_as_in_the_document(evidence: Evidence) -> Verdict:
    """SEC-84: the document's example is taken line by line; what it protects is ESP in AH, with SPI 256 in both, each way."""
    found = Findings()
    for device in ENDS:
        lines = offered(evidence, "anew", device)
        require(sum(one.command.startswith("set session-key") for one in lines) == 4, f"{device} was not given four session keys")
        taken(found, lines)
    for name, packets in by_hand(found, evidence).items():
        for frame in packets:
            ah = frame.headers.get("ah") or {}
            found.expect(ah.get("spi") == SPI, f"AH from {name} has SPI {ah.get('spi')}", frame)
            found.expect(ah.get("esp_spi") == SPI, f"in AH from {name} is ESP of SPI {ah.get('esp_spi')}", frame)
        spis = {sa.spi for row in rows(evidence, name, "show crypto ipsec sa", "by hand") for sa in row.sas}
        found.expect(spis == {SPI}, f"{name} shows SAs with {sorted(spis)}")
    return found.verdict("the SAs have the SPIs of the configuration")


def entries(evidence: Evidence, label: str) -> dict[int, Any]:
    """West-1's by their numbers."""
    return {row.sequence: row for row in rows(evidence, "west-1", "show crypto map", label)}


def by_entry(found: Findings, evidence: Evidence, name: str, number: int, wanted: str, which: int) -> None:
    """Asserts what protects the flow to that one in the east in the step `name`; the exchange is the `which`-th of its name."""
    began, exchange = step(evidence, name), step(evidence, f"exchange:west-1:east-{number}", which)
    span: Span = {"since": began.began, "until": during(exchange)["until"]}
    used = ciphers(carried(found, evidence, number, span))
    found.expect(used <= {wanted}, f"in the step {name!r}, the flow to east-{number} was protected by {sorted(used)}, not {wanted}")


@check(Side.OUTSIDE, decrypted=True)
def without_a_keyword_an_entry_is_edited(evidence: Evidence) -> Verdict:
    """SEC-86: `crypto map M N` without a keyword leads into the entry that is there: what is set is changed, all else stays, and
    there is no further entry."""
    found = Findings()
    lines = offered(evidence, "no keyword", "west-1")
    require(bool(lines), "nothing was edited")
    taken(found, lines)
    by_entry(found, evidence, "before", 1, "aes-128", 0)
    by_entry(found, evidence, "edited", 1, "3des", 1)
    by_entry(found, evidence, "edited", 2, "aes-128", 1)
    before, after = entries(evidence, "before"), entries(evidence, "edited")
    require(10 in before, "west-1 shows no entry 10 from before")
    found.expect(set(before) == set(after), f"west-1 shows the entries {sorted(after)}, where it had {sorted(before)}")
    if 10 in after:
        kept = [(one.peers, one.access_list, one.kind) for one in (before[10], after[10])]
        found.expect(kept[0] == kept[1], "entry 10 has another peer, list or kind than before")
    return found.verdict("the entry was edited: another transform set, with the same peer, for the same flow")


@check(Side.OUTSIDE, decrypted=True)
def an_entry_that_is_removed_protects_no_more(evidence: Evidence) -> Verdict:
    """SEC-87: after `no crypto map M N`, what was the entry's goes in the clear; the other entry protects as before."""
    found = Findings()
    lines = offered(evidence, "removed", "west-1")
    require(bool(lines), "nothing was removed")
    taken(found, lines)
    require(bool(in_esp(evidence, WEST_HOST, host(1), during(step(evidence, "edited")))), "the entry had protected nothing before")
    removed = step(evidence, "removed")
    span = during(removed)
    sent = [one for one, _ in arrived(evidence, **span) if (one.data["src"], one.data["dst"]) == (WEST_HOST, host(1))]
    require(bool(sent), "west-1's host sent nothing of the removed entry's")
    found.expect(bool(in_clear(evidence, WEST_HOST, host(1), span)), "what was the removed entry's did not go in the clear")
    esp = in_esp(evidence, WEST_HOST, host(1), span)
    found.expect(not esp, "what was the removed entry's went in ESP", *esp)
    begun = ike(evidence, span, "MM1", "QM1", src=WEST, dst=EAST[1])
    found.expect(not begun, "west-1 asked the removed entry's peer for SAs", *begun)
    last = step(evidence, "exchange:west-1:east-2", 2)
    carried(found, evidence, 2, during(last))
    found.expect(10 not in entries(evidence, "removed"), "west-1 still shows the entry")
    return found.verdict("what was the removed entry's went in the clear, and the other entry protected as before")


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-74": what_an_entry_is_cannot_be_changed,
    "SEC-84": keys_by_hand_as_in_the_document,
    "SEC-86": without_a_keyword_an_entry_is_edited,
    "SEC-87": an_entry_that_is_removed_protects_no_more,
}
