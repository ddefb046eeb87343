"""What is fuzzed: each target's kind of life, and its share of all datagrams."""

from __future__ import annotations

from dataclasses import dataclass

from fuzzing.endpoint import EndpointLife
from fuzzing.esp import EspLife
from fuzzing.gateway import GatewayLife
from fuzzing.ike import IkeLife
from fuzzing.l2tp import L2tpLife
from fuzzing.life import Life
from fuzzing.nat import NatLife
from fuzzing.ppp import PppLife
from fuzzing.pppoe import PppoeLife
from fuzzing.radius import RadiusLife
from fuzzing.reassembly import ReassemblyLife
from fuzzing.stack import StackLife

SOCKETS = "sockets"
"""The target that is no life in this process, but a process with sockets (`fuzzing.sockets`)."""


@dataclass(frozen=True, slots=True)
class Target:
    """`share` is a weight among the targets'. `life` is None for SOCKETS."""

    life: type[Life] | None
    share: float


TARGETS: dict[str, Target] = {
    "ike": Target(IkeLife, 16),
    "esp": Target(EspLife, 6),
    "l2tp": Target(L2tpLife, 15),
    "ppp": Target(PppLife, 15),
    "pppoe": Target(PppoeLife, 4),
    "radius": Target(RadiusLife, 6),
    "stack": Target(StackLife, 12),
    "gateway": Target(GatewayLife, 16),
    "endpoint": Target(EndpointLife, 8),
    "nat": Target(NatLife, 7),
    "reassembly": Target(ReassemblyLife, 3),
    SOCKETS: Target(None, 2),
}


def seed_of(seed: int, target: str, number: int) -> str:
    """Of one life."""
    return f"{seed}/{target}/{number}"
