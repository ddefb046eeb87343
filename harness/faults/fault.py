"""What a fault is: one mechanism of one box broken, never an output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.clients.client import Stack
from harness.nat.parts import Parts as NatParts
from harness.virtual.parts import Parts as GatewayParts
from harness.wire.config import Entropy, StackConfig

GATEWAY, NAT, CLIENT = BOXES = ("gateway", "nat", "client")


@dataclass(frozen=True, slots=True)
class Fault:
    """`box` is the one that is broken, `breaks` says what of it in a sentence. Of `gateway`, `nat` and `client` the one of the
    broken box is given: it puts something else in the place of a mechanism among the parts, or builds another client's stack.
    """

    name: str
    box: str
    breaks: str
    gateway: Callable[[GatewayParts], None] | None = None
    nat: Callable[[NatParts], None] | None = None
    client: Callable[[StackConfig, Entropy], Stack] | None = None
