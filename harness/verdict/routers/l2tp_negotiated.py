"""What crypto profiles negotiate: transform sets, modes, perfect forward secrecy, and phase 1 with which keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Evidence, FrameKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.calls import (
    LAC,
    LNS,
    UDP,
    Window,
    afterwards_up,
    first,
    is_up,
    no_session,
    of_call,
    offered,
    quick_mode,
)
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import exchanges, frames, printed, told

TUNNEL, TRANSPORT = 1, 2  # encapsulation modes, RFC 2407 §4.5
IP_IN_IP = 4
NO_PROPOSAL_CHOSEN = 14  # RFC 2408 §3.14.1
SIX = [("aes-256", "sha1"), ("3des", "sha1"), ("aes-128", "md5"), ("3des", "md5"), ("des", "md5"), ("aes-192", "md5")]
"""What the script's transform sets "one" to "six" are."""
SECOND, FIFTH = SIX[1], SIX[4]


@check(Side.OUTSIDE, decrypted=True)
def up_to_six_transform_sets(evidence: Evidence) -> Verdict:
    """SEC-59: six transform sets are taken, and offered; a seventh is refused, and not."""
    names = ("one", "two", "three", "four", "five", "six", "seven")
    lines = [f"set transform-set {' '.join(names[:count])}" for count in (6, 7)]
    six, seven = (printed(evidence, LAC, line, label) for line, label in zip(lines, ("six", "seven"), strict=True))
    by_six, by_seven = (first(evidence, "QM1", number) for number in (1, 2))
    found = Findings(six=offered(by_six), seven=offered(by_seven), said=seven.text.strip())
    found.expect(not six.refused, f"six transform sets were refused: {six.refused}")
    found.expect(offered(by_six) == SIX, f"of six transform sets {offered(by_six)} were offered", by_six)
    found.expect(is_up(evidence, 1), "the call by the sixth transform set did not come up")
    found.expect(bool(seven.refused), "a line of seven transform sets was taken")
    found.expect(offered(by_seven) == SIX, f"after a line of seven {offered(by_seven)} were offered", by_seven)
    found.expect(not is_up(evidence, 2), "a call came up by the seventh transform set")
    return found.verdict("six transform sets were offered, and a seventh was refused")


@check(Side.OUTSIDE, decrypted=True)
def first_match_is_used(evidence: Evidence) -> Verdict:
    """SEC-60: of the LNS's five the LAC offers the second and the fifth: the second is used. What comes of the other order is
    noted."""
    asked, answered = (first(evidence, name, 3) for name in ("QM1", "QM2"))
    require(offered(asked) == [SECOND, FIFTH], f"the LAC offered {offered(asked)}")
    found = Findings(chosen=offered(answered))
    found.expect(offered(answered) == [SECOND], f"the LNS chose {offered(answered)}, and not its second transform set", answered)
    used = {(esp["encryption"], esp["authentication"]) for esp in _esp(evidence, of_call(evidence, 3))}
    require(bool(used), "no ESP crossed the wire")
    found.expect(used == {SECOND}, f"ESP is {used}, and not what was agreed on")
    found.facts["in the other order"] = [
        offered(one) for name in ("QM1", "QM2") for one in quick_mode(evidence, name, of_call(evidence, 4))
    ]
    return found.verdict("the first transform set that both know was used")


def _esp(evidence: Evidence, window: Window) -> list[Mapping[str, Any]]:
    return [one.esp for one in frames(evidence, FrameKind.ESP, **window) if one.esp]


@check(Side.OUTSIDE, decrypted=True)
def no_common_transform(evidence: Evidence) -> Verdict:
    """SEC-61: without a common transform set the LNS says NO-PROPOSAL-CHOSEN, and there is no tunnel."""
    window = of_call(evidence, 1)
    require({"MM6", "QM1"} <= set(exchanges(evidence, **window)), "quick mode did not begin")
    found = Findings()
    notified = [
        one
        for one in frames(evidence, FrameKind.IKE, src=evidence.gateway_address, **window)
        if any(said["type"] == NO_PROPOSAL_CHOSEN for said in (one.ike or {}).get("notifies", ()))
    ]
    found.expect(bool(notified), "the LNS did not say NO-PROPOSAL-CHOSEN")
    found.point(*notified)
    found.expect(not quick_mode(evidence, "QM2", window), "the LNS agreed to something")
    no_session(found, evidence, 1, window)
    if not found.faults:
        afterwards_up(evidence, 2)
    return found.verdict("the LNS said NO-PROPOSAL-CHOSEN, and there was no tunnel")


@check(Side.OUTSIDE, decrypted=True)
def mode_of_the_transform_set(evidence: Evidence) -> Verdict:
    """SEC-62: `mode transport` is what quick mode agrees on and ESP is; a transform set without the line is tunnel mode."""
    require(is_up(evidence, 1), "no call came up in transport mode")
    found = Findings()
    for number, name, encapsulation, within in ((1, "transport", TRANSPORT, UDP), (2, "tunnel", TUNNEL, IP_IN_IP)):
        window = of_call(evidence, number)
        for message in ("QM1", "QM2"):
            said = first(evidence, message, number)
            modes = {one.get("encapsulation") for one in (said.ike or {})["proposals"]}
            found.expect(modes == {encapsulation}, f"{message} says {modes} where {name} mode is configured", said)
        headers = {one.get("next_header") for one in _esp(evidence, window)}
        require(bool(headers), f"no ESP crossed the wire in {name} mode")
        found.expect(headers == {within}, f"ESP holds protocols {headers} in {name} mode, and not {within}")
    return found.verdict("transport mode with the line, and tunnel mode without it")


@check(Side.OUTSIDE)
def no_map_no_protection(evidence: Evidence) -> Verdict:
    """SEC-63: where an interface has no crypto map nothing can be protected, and there is no tunnel, in the clear least of all."""
    found = Findings()
    for number, device in ((1, LAC), (2, LNS)):
        window = of_call(evidence, number)
        require(bool(told(evidence, "dialled", f"caller {number}")), f"nobody called while {device} had no crypto map")
        found.facts[device] = list(exchanges(evidence, **window))
        no_session(found, evidence, number, window)
    if not found.faults:
        afterwards_up(evidence, 3)
    return found.verdict("without the crypto map on the LAC's or the LNS's interface there was no tunnel")


@check(Side.OUTSIDE, decrypted=True)
def no_key_exchange_without_pfs(evidence: Evidence) -> Verdict:
    """SEC-64: with PFS N quick mode has no KE payload; where the profiles ask for PFS it has."""
    found = Findings()
    for number, wanted in ((1, False), (3, True)):
        for name in ("QM1", "QM2"):
            message = first(evidence, name, number)
            there = "KE" in (message.ike or {})["payloads"]
            what = "has no KE payload, though PFS is asked for" if wanted else "has a KE payload without PFS"
            found.expect(there is wanted, f"{name} of call {number} {what}", message)
    return found.verdict("quick mode exchanges keys where PFS is asked for, and nowhere else")


@check(Side.OUTSIDE)
def keys_by_address(evidence: Evidence) -> Verdict:
    """SEC-65: the right key for the peer's address leads to a tunnel; with another key main mode fails at its last messages, and a
    key for another address is none."""
    found = Findings()
    for number, what in ((2, "another key"), (3, "a key for another address")):
        window = of_call(evidence, number)
        seen = exchanges(evidence, **window)
        found.facts[what] = list(seen)
        for name in ("MM6", "QM1"):
            found.expect(name not in seen, f"with {what} {name} crossed the wire")
        no_session(found, evidence, number, window)
        reached = number == 3 or "MM5" in seen or bool(found.faults)
        require(reached, f"with {what} main mode did not come to its authentication")
    if not found.faults:
        require(is_up(evidence, 1), "no call came up with the right key")
        afterwards_up(evidence, 4)
    return found.verdict("the right key leads to a tunnel, and main mode fails at its authentication with another")


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-59": up_to_six_transform_sets,
    "SEC-60": first_match_is_used,
    "SEC-61": no_common_transform,
    "SEC-62": mode_of_the_transform_set,
    "SEC-63": no_map_no_protection,
    "SEC-64": no_key_exchange_without_pfs,
    "SEC-65": keys_by_address,
}
