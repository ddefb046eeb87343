"""What checks on routers ask of the evidence: steps, what was printed, told and logged, and frames between two moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import Inconclusive
from harness.model import Evidence, FrameKind, Logged, Observation, Printed, Side, Step, Told

REFUSALS = ("SCCRP", "StopCCN")
CLOSE_S = 1e-3
"""Seconds by which the injector's clock and the capture's may differ in the same moment."""


# Steps


def steps(evidence: Evidence, name: str) -> tuple[Step, ...]:
    return tuple(step for step in evidence.steps if step.name == name)


def step(evidence: Evidence, name: str, number: int = 0) -> Step:
    """The `number`-th step of that name. Inconclusive where it was not carried out."""
    found = steps(evidence, name)
    if len(found) <= number:
        raise Inconclusive(f"the step {name!r} was not carried out{'' if not number else f' {number + 1} times'}")
    return found[number]


# What routers print and log


def printed(evidence: Evidence, device: str, command: str, label: str = "") -> Printed:
    """What `device` printed of that very command under that label; the last one where it was typed several times. Inconclusive
    where it was not typed."""
    found = [one for one in evidence.printed if (one.device, one.command, one.label) == (device, command, label)]
    if not found:
        raise Inconclusive(f"{device} was not asked {command!r}{f' ({label})' if label else ''}")
    return found[-1]


def rows(evidence: Evidence, device: str, command: str, label: str = "") -> tuple[Any, ...]:
    """Its rows. Inconclusive where no parser read them, or not all of it: no judgement rests on output that was half understood."""
    said = printed(evidence, device, command, label)
    if said.refused:
        raise Inconclusive(f"{device} refused {command!r}: {said.refused}")
    if said.rows is None:
        raise Inconclusive(f"no parser reads {command!r} of {device}")
    if said.unread or said.cut:
        raise Inconclusive(f"{command!r} of {device} was not wholly understood: {said.cut or said.unread[0]}")
    return said.rows


def logged(evidence: Evidence, device: str, *, since: float = 0.0, until: float = float("inf")) -> tuple[Logged, ...]:
    return tuple(one for one in evidence.logged if one.device == device and since <= one.t <= until)


# What others tell


def told(evidence: Evidence, kind: str, who: str = "", *, since: float = 0.0, until: float = float("inf")) -> tuple[Told, ...]:
    """`who` "" is anybody."""
    return tuple(one for one in evidence.told if one.kind == kind and who in ("", one.who) and since <= one.t <= until)


def came_up(evidence: Evidence, who: str) -> Told | None:
    return next(iter(told(evidence, "up", who)), None)


def pings(evidence: Evidence, who: str, *, since: float = 0.0) -> tuple[bool, ...]:
    return tuple(bool(one.data["answered"]) for one in told(evidence, "pinged", who, since=since))


def exchanged(evidence: Evidence) -> tuple[Step, ...]:
    """The steps in which a packet went from one endpoint's host to another's, and one back."""
    return tuple(step for step in evidence.steps if step.name.startswith("exchange:"))


def arrived(evidence: Evidence, *, since: float = 0.0, until: float = float("inf")) -> Iterator[tuple[Told, Told | None]]:
    """Every packet that a host sent in that time, and what its first receiver tells of it, whenever that was."""
    received = {one.data["number"]: one for one in reversed(told(evidence, "got"))}
    for sent in told(evidence, "sent", since=since, until=until):
        yield sent, received.get(sent.data["number"])


# The wire


def frames(
    evidence: Evidence, *kinds: FrameKind, side: Side = Side.OUTSIDE, since: float = 0.0, until: float = float("inf"), src: str = ""
) -> tuple[Observation, ...]:
    """In order; of all kinds where none is named, from anybody where `src` is "". What the script itself forged is left out, also
    where it repeated a packet: that one alone, and not what it was a copy of."""
    forged = injections(evidence)
    return tuple(
        frame
        for frame in evidence.observations.get(side, ())
        if (not kinds or frame.kind in kinds)
        and since <= frame.t <= until
        and src in ("", frame.src)
        and not is_forged(frame, forged)
    )


def forged(evidence: Evidence, what: str, *, side: Side = Side.OUTSIDE) -> Observation:
    """The frame that the script itself forged under that name. Inconclusive where it is not in the capture."""
    digests = {str(one.data["digest"]) for one in told(evidence, "injected") if one.data["what"] == what}
    found = [frame for frame in evidence.observations.get(side, ()) if frame.payload_digest in digests]
    if not found:
        raise Inconclusive(f"the forged {what} is not on the wire")
    return found[0]


def deletes(
    evidence: Evidence, protocol: str, *, since: float = 0.0, until: float = float("inf"), src: str = ""
) -> tuple[str, ...]:
    """The SPIs that Delete payloads of a protocol ("esp", "isakmp": there they are both cookies) name, in their order."""
    found: list[str] = []
    for frame in frames(evidence, FrameKind.IKE, since=since, until=until, src=src):
        for one in (frame.ike or {}).get("deletes") or ():
            if one["protocol"] == protocol:
                found += (str(spi) for spi in one["spis"])
    return tuple(found)


def cookies(frame: Observation) -> str:
    """Which ISAKMP SA a message belongs to, as a Delete names it."""
    ike = frame.ike or {}
    return f"{ike.get('icookie', '')}{ike.get('rcookie', '')}"


def injections(evidence: Evidence) -> dict[str, float]:
    """Digests of what the script put on the wire, and when it first did."""
    found: dict[str, float] = {}
    for one in told(evidence, "injected"):
        found.setdefault(str(one.data["digest"]), one.t)
    return found


def is_forged(frame: Observation, forged: Mapping[str, float]) -> bool:
    return frame.t >= forged.get(frame.payload_digest, float("inf")) - CLOSE_S


def carrying(
    evidence: Evidence, src: str, size: int, *, since: float = 0.0, until: float = float("inf")
) -> tuple[Observation, ...]:
    """What carried an IP packet of `size` bytes from `src` ("": from anybody) in a tunnel on the wire, in ESP or in the clear."""

    def fits(frame: Observation) -> bool:
        ppp = (frame.inner.ppp if frame.inner is not None else None) or {}
        return ppp.get("ip_length") == size and src in ("", ppp.get("src"))

    found = frames(evidence, FrameKind.ESP, FrameKind.L2TP_CLEAR, since=since, until=until)
    return tuple(frame for frame in found if fits(frame))


def exchanges(evidence: Evidence, *, since: float = 0.0, until: float = float("inf"), side: Side = Side.OUTSIDE) -> tuple[str, ...]:
    """The names of the ISAKMP messages ("MM1" … "QM3", "INFO") in their order, retransmissions left out."""
    found = frames(evidence, FrameKind.IKE, since=since, until=until, side=side)
    return tuple(str((one.ike or {}).get("message")) for one in found if not (one.ike or {}).get("retransmission"))


def l2tp(
    evidence: Evidence, *messages: str, since: float = 0.0, until: float = float("inf"), src: str = "", clear: bool | None = None
) -> tuple[Observation, ...]:
    """L2TP control messages of these names (all where none is named) on the wire, inside ESP or in the clear; `clear` says which
    alone."""

    def wanted() -> Iterator[Observation]:
        for frame in frames(evidence, FrameKind.ESP, FrameKind.L2TP_CLEAR, since=since, until=until, src=src):
            name = message_of(frame)
            if name and (not messages or name in messages) and clear in (None, frame.kind is FrameKind.L2TP_CLEAR):
                yield frame

    return tuple(wanted())


def message_of(frame: Observation) -> str:
    """ "" where it is no L2TP control message that could be read."""
    header = frame.inner.l2tp if frame.inner is not None else None
    return str((header or {}).get("message") or "")


def ppp(
    evidence: Evidence, protocol: str, *codes: str, since: float = 0.0, until: float = float("inf"), src: str = ""
) -> tuple[Observation, ...]:
    """PPP frames in L2TP's data messages, inside ESP or in the clear; of these codes alone where any is named."""

    def wanted(frame: Observation) -> bool:
        said = ppp_of(frame)
        return said.get("protocol") == protocol and (not codes or said.get("code") in codes)

    found = frames(evidence, FrameKind.ESP, FrameKind.L2TP_CLEAR, since=since, until=until, src=src)
    return tuple(frame for frame in found if wanted(frame))


def ppp_of(frame: Observation) -> Mapping[str, Any]:
    return (frame.inner.ppp if frame.inner is not None else None) or {}


def header_of(frame: Observation) -> Mapping[str, Any]:
    """L2TP's, of a control or a data message."""
    return (frame.inner.l2tp if frame.inner is not None else None) or {}


def avp(frame: Observation, name: str) -> Any:
    """An attribute of a control message by RFC 2661's name, None where it has none of that name."""
    header = frame.inner.l2tp if frame.inner is not None else None
    return ((header or {}).get("avps") or {}).get(name)
