"""Which NAT a lab has: the kernel's own, or the project's, where the testbed names a personality for it."""

from __future__ import annotations

from harness.lab.namespaces import Netns
from harness.lab.nat import NatNode
from harness.lab.userland_nat import UserlandNat
from harness.model.testbed import Testbed

Nat = NatNode | UserlandNat


def nat_of(testbed: Testbed, netns: Netns) -> Nat:
    """The testbed's NAT in namespace `netns`, not yet started. UsageError where it has a personality that nobody knows."""
    spec, prefix = testbed.nat, testbed.clients.prefix
    if spec.personality is None:
        return NatNode(netns, spec, prefix)
    return UserlandNat(netns, spec, prefix, spec.personality)
