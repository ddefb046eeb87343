"""What a fault is: one mechanism of one box broken, never an output; and how one is put into a box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from harness.clients.client import Stack
from harness.clients.personality import Personality
from harness.nat.draws import Entropy as NatEntropy
from harness.nat.parts import Parts as NatParts
from harness.nat.parts import Translator
from harness.nat.personality import Personality as NatPersonality
from harness.virtual.ios.endpoint_role import EndpointParts
from harness.virtual.ios.nat_role import NatRoleParts
from harness.virtual.ios.router import RouterParts
from harness.virtual.parts import Parts as GatewayParts
from harness.virtual.settings import Settings
from harness.wire.config import Entropy, StackConfig
from harness.wire.stack import ClientStack

GATEWAY, NAT, CLIENT = BOXES = ("gateway", "nat", "client")
ROUTER, IOS_NAT, ENDPOINT = ROUTERS = ("router", "ios-nat", "endpoint")
"""What is configured by a command line: an LNS or LAC, which may serve clients as a gateway; a NAT; a tunnel-mode endpoint."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`box` is the one that is broken, `breaks` says what of it in a sentence. Of `gateway`, `nat` and `client` the one of the
    broken box is given: it puts something else in the place of a mechanism among the parts, or builds another client's stack.
    `look` changes what a client is by its personality, beside its stack. `router`, `ios_nat` and `endpoint` do the same to the
    parts of a router; `with_clients`: such a one shows where the router is a gateway with clients, beside the scripts for routers.
    """

    name: str
    box: str
    breaks: str
    gateway: Callable[[GatewayParts], None] | None = None
    nat: Callable[[NatParts], None] | None = None
    client: Callable[[StackConfig, Entropy], Stack] | None = None
    look: Callable[[Personality], Personality] | None = None
    router: Callable[[RouterParts], None] | None = None
    ios_nat: Callable[[NatRoleParts], None] | None = None
    endpoint: Callable[[EndpointParts], None] | None = None
    with_clients: bool = False


def in_gateway(name: str, breaks: str, **factories: Callable[..., Any]) -> Fault:
    """Other factories among the gateway's parts (virtual/parts.py), by their names there."""

    def broken(parts: GatewayParts) -> None:
        for part, factory in factories.items():
            setattr(parts, part, factory)

    return Fault(name, GATEWAY, breaks, gateway=broken)


def with_settings(**look: Any) -> Callable[[Settings], Settings]:
    """A gateway whose timers and limits are these, whatever its configuration says."""
    return lambda settings: settings.changed(**look)


def in_nat(name: str, breaks: str, broken: Callable[[Translator], None]) -> Fault:
    """A change to how the NAT translates; one that is a mere router has nothing to change."""

    def break_translator(parts: NatParts) -> None:
        if parts.translator is not None:
            broken(parts.translator)

    return Fault(name, NAT, breaks, nat=break_translator)


def in_client(
    name: str, breaks: str, stack: type[ClientStack] = ClientStack, config: Callable[[StackConfig], StackConfig] | None = None
) -> Fault:
    """Clients of that stack, or told otherwise than they should have been."""

    def build(told: StackConfig, entropy: Entropy) -> Stack:
        return stack(told if config is None else config(told), entropy)

    return Fault(name, CLIENT, breaks, client=build)


def told_of_ike(**changes: Any) -> Callable[[StackConfig], StackConfig]:
    """The same client with another IKE configuration, where it has one."""
    return lambda told: told if told.ike is None else replace(told, ike=replace(told.ike, **changes))


def in_router(name: str, breaks: str, *, with_clients: bool = False, **factories: Callable[..., Any]) -> Fault:
    """Other factories among a router's parts (virtual/ios/router.py), by their names there."""

    def broken(parts: RouterParts) -> None:
        for part, factory in factories.items():
            setattr(parts, part, factory)

    return Fault(name, ROUTER, breaks, router=broken, with_clients=with_clients)


def in_ios_nat(
    name: str, breaks: str, broken: Callable[[Translator], None] | None = None, **factories: Callable[..., Any]
) -> Fault:
    """A change to how a router's NAT translates, or other factories among the role's parts (virtual/ios/nat_role.py)."""

    def break_role(parts: NatRoleParts) -> None:
        for part, factory in factories.items():
            setattr(parts, part, factory)
        if broken is not None:
            parts.build = partial(_built, parts.build, broken)

    return Fault(name, IOS_NAT, breaks, ios_nat=break_role)


def _built(
    build: Callable[..., NatParts], broken: Callable[[Translator], None], look: NatPersonality, entropy: NatEntropy
) -> NatParts:
    made = build(look, entropy)
    if made.translator is not None:
        broken(made.translator)
    return made


def in_endpoint(name: str, breaks: str, **factories: Callable[..., Any]) -> Fault:
    """Other factories among a tunnel-mode endpoint's parts (virtual/ios/endpoint_role.py), by their names there."""

    def broken(parts: EndpointParts) -> None:
        for part, factory in factories.items():
            setattr(parts, part, factory)

    return Fault(name, ENDPOINT, breaks, endpoint=broken)
