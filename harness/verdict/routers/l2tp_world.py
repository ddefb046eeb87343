"""What checks in the world of a LAC, its callers and an LNS share: who is where, and one call after another."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import Inconclusive
from harness.model import Evidence, FrameKind, Observation, Told
from harness.verdict.routers.reading import came_up, frames, pings, told

LAC, LNS, LNS_2 = "10.0.0.12", "10.0.0.13", "10.0.0.14"
POOL = ("172.16.1.10", "172.16.1.200")
"""Both ends of the LNS's pool, in the configuration that it begins with."""
TUNNEL_PASSWORD = b"cisco"


@dataclass(frozen=True, slots=True)
class Call:
    """A caller's call, of those of a script in the order in which they were dialled. `since` and `until`: from when it was dialled
    until the next one was. `up`: its PPP is."""

    name: str
    user: str
    since: float
    until: float
    up: Told | None
    answered: tuple[bool, ...]

    @property
    def alive(self) -> bool:
        """It came up, and every one of its echoes was answered."""
        return self.up is not None and bool(self.answered) and all(self.answered)


def calls(evidence: Evidence, number: int) -> tuple[Call, ...]:
    """Inconclusive where there were not so many."""
    dialled = sorted(told(evidence, "dialled"), key=lambda one: one.t)
    if len(dialled) < number:
        raise Inconclusive(f"{len(dialled)} calls were dialled, of {number}")
    ends = [one.t for one in dialled[1:]] + [float("inf")]
    return tuple(
        Call(one.who, str(one.data["user"]), one.t, until, came_up(evidence, one.who), pings(evidence, one.who))
        for one, until in zip(dialled, ends, strict=True)
    )


def of_tunnels(evidence: Evidence, *, since: float = 0.0, until: float = float("inf"), src: str = "") -> tuple[Observation, ...]:
    """All that has to do with tunnels, protected or not: IKE, ESP, and L2TP in the clear."""
    return frames(evidence, FrameKind.IKE, FrameKind.ESP, FrameKind.L2TP_CLEAR, since=since, until=until, src=src)


def clear(evidence: Evidence, *, since: float = 0.0, until: float = float("inf"), src: str = "") -> tuple[Observation, ...]:
    return frames(evidence, FrameKind.L2TP_CLEAR, since=since, until=until, src=src)
