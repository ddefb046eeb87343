"""What a fault of a NAT or endpoint would have left in the evidence of tunnels: frames that cross too early, late or elsewhere."""

from __future__ import annotations

from dataclasses import replace

from edits import Edit, changed, with_frame, without

from harness.model import Evidence, FrameKind, Side
from harness.verdict.routers.esp_reading import attempt, endpoint, host, inbound, own_spis
from harness.verdict.routers.reading import step


def is_esp(frame):
    return frame.kind is FrameKind.ESP


def _first(evidence: Evidence, label: str, here: str, there: str):
    tried = attempt(evidence, label)
    return tried, tried.went[here, there]


def held_back(label: str, here: str, there: str = "east-1") -> Edit:
    """The first packet crosses after the answers have begun."""

    def edit(evidence):
        tried, one = _first(evidence, label, here, there)
        assert one.outside.t < tried.asked.ended
        return changed(lambda frame: frame is one.outside, t=tried.answered.began + 0.1)(evidence)

    return edit


def never_out(label: str, here: str, there: str = "east-1") -> Edit:
    def edit(evidence):
        _, one = _first(evidence, label, here, there)
        return without(lambda frame: frame is one.outside)(evidence)

    return edit


def let_through(label: str, here: str, there: str = "east-1") -> Edit:
    """The first packet crosses as it comes, where it had to wait."""

    def edit(evidence):
        tried, one = _first(evidence, label, here, there)
        assert one.outside.t > tried.asked.ended
        return changed(lambda frame: frame is one.outside, t=one.inside.t)(evidence)

    return edit


def no_first(label: str, here: str, there: str = "east-1") -> Edit:
    """As if its tunnel had not been up."""

    def edit(evidence):
        _, one = _first(evidence, label, here, there)
        return without(lambda frame: frame is one.inside, Side.INSIDE)(evidence)

    return edit


def spoken_early(label: str, there: str = "east-1") -> Edit:
    """The gateway sends before it is to answer."""

    def edit(evidence):
        asked = step(evidence, f"first-packets:{label}")
        src, esp = endpoint(evidence, there), {"spi": "00001000", "sequence": 9}
        return with_frame(lambda _: asked.ended - 0.1, FrameKind.ESP, src, evidence.nat_outside, esp=esp)(evidence)

    return edit


def used_before(label: str, here: str, there: str = "east-1") -> Edit:
    """The tunnel's SPI was on the wire before its first packet."""

    def edit(evidence):
        tried, one = _first(evidence, label, here, there)
        esp = {**one.inside.esp, "sequence": 99}
        at = tried.asked.began - 0.5
        return with_frame(lambda _: at, FrameKind.ESP, one.inside.src, one.inside.dst, Side.INSIDE, esp=esp)(evidence)

    return edit


def gone(during: str, host_of: str) -> Edit:
    """Nothing that was sent to that endpoint's host in the first step of that name has come."""

    def edit(evidence):
        when, to = step(evidence, during), host(evidence, host_of)
        numbers = {
            one.data["number"]
            for one in evidence.told
            if one.kind == "sent" and one.data["dst"] == to and when.began <= one.t < when.ended
        }
        assert numbers
        return replace(evidence, told=tuple(one for one in evidence.told if not _got(one, numbers)))

    return edit


def _got(one, numbers):
    return one.kind == "got" and one.data["number"] in numbers


def came(during: str) -> Edit:
    """Everything that was sent in that step has come."""

    def edit(evidence):
        when = step(evidence, during)
        there = {one.data["number"] for one in evidence.told if one.kind == "got"}
        lost = [
            one
            for one in evidence.told
            if one.kind == "sent" and when.began <= one.t < when.ended and one.data["number"] not in there
        ]
        assert lost
        return replace(evidence, told=(*evidence.told, *(replace(one, kind="got", t=one.t + 0.01) for one in lost)))

    return edit


def misgiven(to: str, of: str, since: str, there: str = "east-1") -> Edit:
    """The first ESP for `of` from that step on is given to `to`."""

    def edit(evidence):
        at, own = step(evidence, since).began, own_spis(evidence, to)
        frame = next(one for one in inbound(evidence, of, there, since=at) if one.esp["spi"] not in own)
        return changed(lambda one: one is frame, Side.INSIDE, dst=endpoint(evidence, to))(evidence)

    return edit


def unread_quick_mode(evidence):
    """No key opens the first quick mode of an endpoint inside."""
    first = next(one for one in evidence.observations[Side.INSIDE] if (one.ike or {}).get("exchange") == "quick mode")
    closed = {**first.ike, "decrypted": False, "proposals": []}
    return changed(lambda frame: frame is first, Side.INSIDE, ike=closed)(evidence)


def without_keys(evidence):
    """As where nobody knows any key, and ESP is not encrypted: no quick mode is open."""

    def quick_mode(frame):
        return (frame.ike or {}).get("exchange") == "quick mode"

    return changed(quick_mode, Side.INSIDE, ike=lambda frame: {**frame.ike, "decrypted": False, "proposals": []})(evidence)


def encrypted(evidence):
    """Nor is what ESP holds."""
    return changed(is_esp, Side.INSIDE, esp=lambda frame: {**frame.esp, "inner_dst": None})(evidence)


def unasked(suffix):
    """As if no exchange of that name had been asked for."""
    return lambda evidence: replace(
        evidence, steps=tuple(one for one in evidence.steps if not (one.name.startswith("exchange:") and one.name.endswith(suffix)))
    )
