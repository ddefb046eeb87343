"""What stands at the places of a laboratory of routers; a fault puts another there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.virtual.ios.endpoint_role import EndpointRole
from harness.virtual.ios.nat_role import NatRole
from harness.virtual.ios.router import IosRouter
from harness.virtual.ios.state import State
from harness.wire.config import Entropy


def sound(device: str, state: State, entropy: Entropy) -> IosRouter:
    return IosRouter(state, entropy)


def sound_nat(device: str, state: State, entropy: Entropy) -> NatRole:
    return NatRole(state, entropy)


def sound_endpoint(device: str, state: State, entropy: Entropy) -> EndpointRole:
    return EndpointRole(state, entropy)


@dataclass(frozen=True, slots=True)
class Makers:
    """`router` makes a LAC or an LNS, `nat` the NAT, `endpoint` a VPN endpoint, each by its name in the lab."""

    router: Callable[[str, State, Entropy], IosRouter] = sound
    nat: Callable[[str, State, Entropy], NatRole] = sound_nat
    endpoint: Callable[[str, State, Entropy], EndpointRole] = sound_endpoint
