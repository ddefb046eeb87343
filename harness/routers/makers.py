"""What stands at the places of a laboratory of routers; a fault puts another there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.virtual.ios.router import IosRouter
from harness.virtual.ios.state import State
from harness.wire.config import Entropy


def sound(device: str, state: State, entropy: Entropy) -> IosRouter:
    return IosRouter(state, entropy)


@dataclass(frozen=True, slots=True)
class Makers:
    """`router` makes a LAC or an LNS, by its name in the lab."""

    router: Callable[[str, State, Entropy], IosRouter] = sound
