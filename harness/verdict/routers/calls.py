"""What checks ask of one call of a script with a LAC and an LNS: when it was, whether it came up, what quick mode said for it."""

from __future__ import annotations

from typing import TypedDict

from harness.model import Evidence, FrameKind, Observation
from harness.verdict.findings import Findings, require
from harness.verdict.routers.reading import came_up, frames, step, steps

LAC, LNS = "lac", "lns"
LAC_ADDRESS = "10.0.0.12"
L2TP_PORT, UDP = 1701, 17


class Window(TypedDict):
    """Between two moments, in seconds since the epoch."""

    since: float
    until: float


ALWAYS = Window(since=0.0, until=float("inf"))


def of_call(evidence: Evidence, number: int) -> Window:
    """From when caller `number` dials to when the next one does."""
    began = step(evidence, f"dial:caller {number}").began
    later = steps(evidence, f"dial:caller {number + 1}")
    return Window(since=began, until=later[0].began if later else float("inf"))


def is_up(evidence: Evidence, number: int) -> bool:
    return came_up(evidence, f"caller {number}") is not None


def quick_mode(evidence: Evidence, message: str, window: Window, dst: str = "") -> tuple[Observation, ...]:
    """The messages "QM1", "QM2" of that time, retransmissions left out; to one router, or to all."""
    return tuple(
        one
        for one in frames(evidence, FrameKind.IKE, **window)
        if one.ike and one.ike.get("message") == message and not one.ike.get("retransmission") and dst in ("", one.dst)
    )


def first(evidence: Evidence, message: str, number: int) -> Observation:
    """The first message of that name for call `number`; Inconclusive where there is none, or no key opens it."""
    found = quick_mode(evidence, message, of_call(evidence, number))
    require(bool(found), f"{message} of call {number} did not cross the wire")
    require(bool((found[0].ike or {}).get("decrypted")), f"no key opens {message} of call {number}")
    return found[0]


def offered(message: Observation) -> list[tuple[str, str]]:
    """(encryption, authentication) of what a message of quick mode proposes, in its order."""
    return [(str(one.get("encryption")), str(one.get("authentication"))) for one in (message.ike or {}).get("proposals", ())]


def permits(message: Observation, *, mirrored: bool = False) -> str:
    """The line of an access list that says what QM1's identities say: the initiator's, or the responder's where it is mirrored."""
    ends = [f"host {one['value']} port = {one['port']}" for one in (message.ike or {})["ids"]]
    return f"permit udp {' '.join(reversed(ends) if mirrored else ends)}"


def one_socket(found: Findings, message: Observation, peer: str) -> None:
    """QM1 is about UDP 1701 of the LAC and that peer alone."""
    ids = (message.ike or {}).get("ids", ())
    ends = [(one["type"], one["value"], one["protocol"], one["port"]) for one in ids]
    wanted = [("ID_IPV4_ADDR", address, UDP, L2TP_PORT) for address in (LAC_ADDRESS, peer)]
    found.expect(ends == wanted, f"quick mode asks to protect {ends}, and not UDP 1701 of {LAC_ADDRESS} and {peer} alone", message)


def no_session(found: Findings, evidence: Evidence, number: int, window: Window) -> None:
    """The call does not come up, in no way: there is no ESP, and no L2TP in the clear."""
    found.expect(not is_up(evidence, number), f"caller {number} came up")
    for frame in frames(evidence, FrameKind.ESP, **window)[:1]:
        found.expect(False, f"ESP crossed the wire while caller {number} was to get nowhere", frame)
    for frame in frames(evidence, FrameKind.L2TP_CLEAR, **window)[:1]:
        found.expect(False, f"L2TP went in the clear for caller {number}", frame)


def afterwards_up(evidence: Evidence, number: int) -> None:
    """The control of what failed before: a call comes up, by ESP, where what was wrong is mended."""
    window = of_call(evidence, number)
    up = is_up(evidence, number) and bool(frames(evidence, FrameKind.ESP, **window))
    require(up, f"caller {number} did not come up where all was right, so that the others' failure says nothing")
