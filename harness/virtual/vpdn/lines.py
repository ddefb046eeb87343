"""A LAC's callers and its tunnels, as state: who changes it is `lac.Lac`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from harness.virtual.links import Link
from harness.virtual.vpdn.groups import RequestGroup, Target
from harness.virtual.vpdn.maps import Flow
from harness.wire.l2tp import L2tpCore
from harness.wire.ppp.handover import Handover


class Stage(Enum):
    """Where a call is."""

    PPP = "PPP with the LAC"
    PLACING = "being placed"
    TUNNELLED = "tunnelled"
    LOCAL = "ended here"
    DOWN = "down"


@dataclass(slots=True, eq=False)
class Line:
    """A caller's line. `session` is the L2TP call's own ID, 0 where there is none."""

    number: int
    link: Link
    handover: Handover = field(default_factory=Handover)
    stage: Stage = Stage.PPP
    group: RequestGroup | None = None
    untried: list[Target] = field(default_factory=list)
    tunnel: LacTunnel | None = None
    session: int = 0
    held: bytes = b""  # the frame in which the caller has said who it is


@dataclass(slots=True, eq=False)
class LacTunnel:
    """A tunnel to the LNS at `address`. `started`: its SCCRQ has gone out, which for a protected one is not before there are SAs.
    `lines`: by session ID."""

    group: RequestGroup
    address: str
    core: L2tpCore
    lines: dict[int, Line] = field(default_factory=dict)
    waiting: list[Line] = field(default_factory=list)  # for the tunnel to be started
    started: bool = False
    up: bool = False
    closing: bool = False
    over: bool = False
    flow: Flow | None = None
    path_mtu: int | None = None
    idle_at: float | None = None
    gone_at: float | None = None

    @property
    def number(self) -> int:
        return self.core.tunnel_local

    @property
    def protected(self) -> bool:
        return self.group.security is not None

    @property
    def deadline(self) -> float | None:
        times = (self.core.deadline, self.idle_at, self.gone_at)
        return min((time for time in times if time is not None), default=None)
