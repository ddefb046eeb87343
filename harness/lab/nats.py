"""Which NAT a lab has: the kernel's own, or the project's, where the testbed names a personality for it."""

from __future__ import annotations

from harness.lab.namespaces import Netns
from harness.lab.nat import NatNode
from harness.lab.userland_nat import UserlandNat
from harness.model.testbed import Testbed

Nat = NatNode | UserlandNat


def nat_of(testbed: Testbed, netns: Netns, personality: str | None = None) -> Nat:
    """The testbed's NAT in namespace `netns`, not yet started, or in its place one of that `personality`. UsageError where there is
    none of that name."""
    spec, prefix = testbed.nat, testbed.clients.prefix
    chosen = personality or spec.personality
    return NatNode(netns, spec, prefix) if chosen is None else UserlandNat(netns, spec, prefix, chosen)
