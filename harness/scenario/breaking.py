"""What a simulated bench builds where one mechanism is broken (harness/faults)."""

from __future__ import annotations

from harness.clients import personality
from harness.clients.fleet import simulated
from harness.faults.fault import Fault
from harness.nat.core import NatCore
from harness.nat.parts import build
from harness.nat.personality import Personality
from harness.routers import gateway_configuration
from harness.routers.breaking import router_parts
from harness.routers.script import GatewayStart
from harness.scenario.simulated_network import Makers
from harness.virtual.gateway import VirtualGateway
from harness.virtual.ios.router import IosRouter
from harness.virtual.parts import Parts
from harness.virtual.settings import Settings
from harness.wire.config import Entropy


def makers(fault: Fault) -> Makers:
    """Every gateway, NAT and client made by these has parts of its own, with the fault's among them."""

    def nat(personality: Personality, *, outside: str, inside: str, entropy: Entropy) -> NatCore:
        parts = build(personality, entropy)
        if fault.nat is not None:
            fault.nat(parts)
        return NatCore(personality, outside=outside, inside=inside, entropy=entropy, parts=parts)

    def gateway(settings: Settings, entropy: Entropy) -> VirtualGateway:
        parts = Parts()
        if fault.gateway is not None:
            fault.gateway(parts)
        return VirtualGateway(settings, entropy, parts)

    def router(settings: Settings, entropy: Entropy, start: GatewayStart) -> IosRouter:
        return gateway_configuration.router(settings, entropy, start, router_parts(fault))

    def look(name: str) -> personality.Personality:
        known = personality.load(name)
        return known if fault.look is None else fault.look(known)

    return Makers(stack=fault.client or simulated, look=look, nat=nat, gateway=gateway, router=router)
