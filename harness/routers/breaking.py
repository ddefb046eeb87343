"""What a laboratory of routers builds where one mechanism is broken (harness/faults)."""

from __future__ import annotations

from harness.faults.fault import Fault
from harness.routers.makers import Makers
from harness.virtual.ios.endpoint_role import EndpointParts, EndpointRole
from harness.virtual.ios.nat_role import NatRole, NatRoleParts
from harness.virtual.ios.router import IosRouter, RouterParts
from harness.virtual.ios.state import State
from harness.wire.config import Entropy


def router_parts(fault: Fault) -> RouterParts:
    """A router's own, with the fault's among them."""
    parts = RouterParts()
    if fault.router is not None:
        fault.router(parts)
    return parts


def makers(fault: Fault) -> Makers:
    """Every router made by these has parts of its own, with the fault's among them."""

    def router(device: str, state: State, entropy: Entropy) -> IosRouter:
        return IosRouter(state, entropy, parts=router_parts(fault))

    def nat(device: str, state: State, entropy: Entropy) -> NatRole:
        parts = NatRoleParts()
        if fault.ios_nat is not None:
            fault.ios_nat(parts)
        return NatRole(state, entropy, parts=parts)

    def endpoint(device: str, state: State, entropy: Entropy) -> EndpointRole:
        parts = EndpointParts()
        if fault.endpoint is not None:
            fault.endpoint(parts)
        return EndpointRole(state, entropy, parts=parts)

    return Makers(router, nat, endpoint)
