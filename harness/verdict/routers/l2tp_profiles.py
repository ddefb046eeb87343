"""Crypto profiles as templates: what is cloned from them, and what they take no notice of.

What a router shows of its maps stands beside what quick mode said on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Evidence, FrameKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.calls import ALWAYS, LAC, LAC_ADDRESS, LNS, first, is_up, of_call, one_socket, permits, quick_mode
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import came_up, frames, l2tp, printed, rows, step, steps

LNS_2_ADDRESS = "10.0.0.14"
SHOW = "show crypto map tag l2tpsec"
NOBODY = "10.0.0.99"
SYSLOG = 514

TEMPLATE: Mapping[str, tuple[str, Any]] = {
    "sequence": ("its number", 10),
    "access_list": ("its access list", None),
    "peers": ("its peers", ()),
    "current_peer": ("its current peer", "0.0.0.0"),
    "lifetime_kb": ("its life in kilobytes", 4608000),
    "lifetime_s": ("its life in seconds", 3600),
    "pfs": ("its PFS", False),
    "transform_sets": ("its transform sets", ("esp-des-sha-transport",)),
}
"""What is shown of the template, by the row's field."""


# Templates and clones


@check(Side.OUTSIDE)
def template_before_tunnels(evidence: Evidence) -> Verdict:
    """SEC-50: before there are tunnels the map has the template alone, which matches nothing and has no peer."""
    shown = printed(evidence, LAC, SHOW, "before")
    entries = rows(evidence, LAC, SHOW, "before")
    found = Findings(entries=len(entries))
    require(not frames(evidence, FrameKind.IKE, FrameKind.ESP, until=shown.t), "a tunnel was asked for before")
    found.expect(len(entries) == 1, f"the map has {len(entries)} entries, and not the template alone")
    for entry in entries[:1]:
        for name, (what, wanted) in TEMPLATE.items():
            value = getattr(entry, name)
            found.expect(value == wanted, f"{what} is {value}, and not {wanted}")
    return found.verdict("the map has one entry, the template, without peer and access list")


@check(Side.OUTSIDE, decrypted=True)
def clone_on_demand(evidence: Evidence) -> Verdict:
    """SEC-51: a tunnel has an entry of its own, with the peer, the access list that quick mode asks for, and all else as the
    template has it."""
    require(is_up(evidence, 1), "no call came up, so nothing was to be cloned")
    asked = first(evidence, "QM1", 1)
    template = rows(evidence, LAC, SHOW, "before")[0]
    found = Findings(asked=permits(asked))
    one_socket(found, asked, evidence.gateway_address)
    for device, peer in ((LAC, evidence.gateway_address), (LNS, LAC_ADDRESS)):
        clones = [one for one in rows(evidence, device, SHOW, "up") if one.access_list is not None or one.peers]
        found.facts[f"{device} shows"] = [one.sequence for one in clones]
        if not found.expect(len(clones) == 1, f"{device} shows {len(clones)} clones of one tunnel"):
            continue
        (clone,) = clones
        wanted = {
            "sequence": 20,
            "peers": (peer,),
            "current_peer": peer,
            "permits": (permits(asked, mirrored=device == LNS),),
            "interfaces": ("FastEthernet0/0",),
            **{name: getattr(template, name) for name in ("lifetime_kb", "lifetime_s", "pfs", "transform_sets")},
        }
        for name, value in wanted.items():
            has = getattr(clone, name)
            found.expect(has == value, f"the clone of {device} has {has} as its {name}, and not {value}")
    return found.verdict("the tunnel has one clone at either end, with its peer, its socket and the template's terms")


@check(Side.OUTSIDE, decrypted=True)
def clone_inherits(evidence: Evidence) -> Verdict:
    """SEC-52: a life that the template is given is the next clone's, and what quick mode proposes."""
    require(is_up(evidence, 1) and is_up(evidence, 2), "the two calls did not come up")
    before, after = (first(evidence, "QM1", number) for number in (1, 2))
    lives = [{one.get("lifetime_s") for one in (message.ike or {})["proposals"]} for message in (before, after)]
    require(lives[0] == {3600}, f"the first call's SAs were proposed for {lives[0]} s, so that the change shows nothing")
    clones = [one for one in rows(evidence, LAC, SHOW, "changed") if one.peers]
    found = Findings(proposed=[sorted(one, key=str) for one in lives], shown=[one.lifetime_s for one in clones])
    found.expect(lives[1] == {120}, f"the second call's SAs were proposed for {lives[1]} s, and not for 120", after)
    found.expect([one.lifetime_s for one in clones] == [120], f"the clone shows {[one.lifetime_s for one in clones]} s, not 120")
    return found.verdict("the clone has the template's new life of 120 s, and quick mode proposed it")


@check(Side.OUTSIDE, decrypted=True)
def clone_per_tunnel(evidence: Evidence) -> Verdict:
    """SEC-53: each tunnel has its own clone, with its peer and socket; the step between their numbers is noted."""
    require(is_up(evidence, 1) and is_up(evidence, 2), "the calls to the two LNSes did not come up")
    peers = (evidence.gateway_address, LNS_2_ADDRESS)
    found = Findings()
    for label, count in (("one", 1), ("two", 2)):
        clones = sorted((one for one in rows(evidence, LAC, SHOW, label) if one.peers), key=lambda one: one.sequence)
        numbers = [one.sequence for one in clones]
        found.facts[f"numbers with {count}"] = numbers
        found.expect(len(clones) == count, f"there are {len(clones)} clones of {count} tunnels")
        found.expect(len({10, *numbers}) == len(clones) + 1, f"entries share their numbers: {numbers}")
        for peer in peers[:count]:
            asked = quick_mode(evidence, "QM1", ALWAYS, dst=peer)
            require(bool(asked), f"quick mode with {peer} did not cross the wire")
            one_socket(found, asked[0], peer)
            own = [one for one in clones if one.peers == (peer,)]
            shown = [one.permits for one in own]
            found.expect(shown == [(permits(asked[0]),)], f"the clone for {peer} permits {shown}, and quick mode asked otherwise")
    numbers = found.facts["numbers with 2"]
    found.facts["step"] = numbers[-1] - numbers[0] if len(numbers) == 2 else None
    return found.verdict(f"each tunnel has its clone; the step between them is {found.facts['step']}")


@check(Side.OUTSIDE, decrypted="esp")
def clone_is_removed(evidence: Evidence) -> Verdict:
    """SEC-54: the entry goes with its tunnel."""
    require(bool(l2tp(evidence, "StopCCN", **of_call(evidence, 1))), "the tunnel was not ended")
    found = Findings()
    for device in (LAC, LNS):
        before, after = (len(rows(evidence, device, SHOW, label)) for label in ("up", "ended"))
        require(before > 1, f"{device} had no clone while the tunnel was up")
        found.expect(after == 1, f"{device} still shows {after} entries after the tunnel's end")
    return found.verdict("the clones went with their tunnel")


@check(Side.OUTSIDE)
def other_udp_is_clear(evidence: Evidence) -> Verdict:
    """SEC-55: what the two routers send each other beside L2TP is not matched by the clones, and goes as it is."""
    window = of_call(evidence, 1)
    up = came_up(evidence, "caller 1")
    require(up is not None and bool(frames(evidence, FrameKind.ESP, **window)), "no tunnel was up")
    assert up is not None
    ends = step(evidence, "hang-up:caller 1").began
    found = Findings()
    for device, source in ((LAC, LAC_ADDRESS), (LNS, evidence.gateway_address)):
        sent = [one for one in frames(evidence, FrameKind.OTHER, src=source, until=ends) if one.dport == SYSLOG]
        require(any(one.t < window["since"] for one in sent), f"{device} sent no log message in the clear before the tunnel")
        told_again = any(one.began >= up.t for one in steps(evidence, f"configure:{device}") if one.began < ends)
        require(told_again, f"{device} had nothing to log while the tunnel was up")
        clear = [one for one in sent if one.t >= up.t]
        found.facts[device] = len(clear)
        found.expect(bool(clear), f"{device} sent no log message in the clear while the tunnel was up")
        found.point(*clear)
    return found.verdict("other UDP between the two routers went in the clear while their tunnel was protected")


# What a profile takes no notice of


@check(Side.OUTSIDE, decrypted=True)
def peer_is_ignored(evidence: Evidence) -> Verdict:
    """SEC-56: `set peer` in a profile has no effect: the tunnel's peer is that of the VPDN group."""
    said = printed(evidence, LAC, f"set peer {NOBODY}")
    window = of_call(evidence, 1)
    found = Findings(said=said.text.strip())
    towards = [one for one in frames(evidence, **window) if NOBODY in (one.src, one.dst)]
    found.expect(not towards, f"the LAC turned to {NOBODY}, which the profile names", *towards[:1])
    found.expect(is_up(evidence, 1), "the call did not come up with a peer in the profile")
    asked = quick_mode(evidence, "QM1", window)
    for message in asked:
        one_socket(found, message, evidence.gateway_address)
    return found.verdict("the profile's peer counted for nothing")


@check(Side.OUTSIDE, keys=True)
def address_list_is_ignored(evidence: Evidence) -> Verdict:
    """SEC-57: `match address` in a profile has no effect: what is protected is the tunnel's socket alone, though the list would
    have all UDP. What is in ESP then need not be L2TP, so that quick mode alone has to be open."""
    said = printed(evidence, LAC, "match address 101")
    found = Findings(said=said.text.strip())
    if found.expect(is_up(evidence, 2), "the call did not come up with an access list in the profile"):
        one_socket(found, first(evidence, "QM1", 2), evidence.gateway_address)
        ended = step(evidence, "ping:caller 2").ended
        sent = [one for one in frames(evidence, FrameKind.OTHER, src=LAC_ADDRESS) if one.dport == SYSLOG]
        require(any(one.t < said.t for one in sent), "the LAC sent no log message in the clear before")
        require(any(one.began >= ended for one in steps(evidence, "configure:lac")), "the LAC had nothing to log afterwards")
        clear = [one for one in sent if one.t >= ended]
        found.expect(bool(clear), "the LAC's log message, which the list permits, did not go in the clear")
        found.point(*clear)
    return found.verdict("the profile's access list counted for nothing")


@check(Side.OUTSIDE)
def names_are_unique(evidence: Evidence) -> Verdict:
    """SEC-58: a profile's name is there once in a set; another name, and the same one in another set, are taken."""
    twice = rows(evidence, LAC, SHOW, "twice")
    other = rows(evidence, LAC, SHOW, "another name")
    second = rows(evidence, LAC, "show crypto map tag second", "another set")
    said = printed(evidence, LAC, "crypto map l2tpsec 20 ipsec-isakmp profile l2tp", "twice")
    found = Findings(said=said.text.strip())
    require(30 in {one.sequence for one in other}, "a profile of another name was not taken either")
    numbers = [one.sequence for one in twice]
    found.expect(numbers == [10], f"the set has the entries {numbers} after a name was given twice")
    found.expect(bool(said.refused), "the line by which the name would be there twice was not refused")
    found.expect([one.sequence for one in second] == [10], "the name was not taken in another set")
    found.expect(is_up(evidence, 1), "no call came up by the profile whose name was given twice")
    return found.verdict("the second profile of that name was rejected, and the first one serves")


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-50": template_before_tunnels,
    "SEC-51": clone_on_demand,
    "SEC-52": clone_inherits,
    "SEC-53": clone_per_tunnel,
    "SEC-54": clone_is_removed,
    "SEC-55": other_udp_is_clear,
    "SEC-56": peer_is_ignored,
    "SEC-57": address_list_is_ignored,
    "SEC-58": names_are_unique,
}
