"""INITIAL-CONTACT (RFC 2407 §4.6.3.3): a peer says that it remembers no SA from before. Whose old ones then go?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from harness.virtual.peers import Association


class ContactPolicy(Protocol):
    def stale(self, newcomer: Association, others: Iterable[Association]) -> list[Association]:
        """Those of `others` that go, because of what `newcomer` said."""


class Ignored:
    """Nobody's: behind a NAT an address says nothing of who is there; what is stale ends by its own timers."""

    def stale(self, newcomer: Association, others: Iterable[Association]) -> list[Association]:
        return []


class SameClient:
    """Those at the same address and port."""

    def stale(self, newcomer: Association, others: Iterable[Association]) -> list[Association]:
        here = newcomer.address, newcomer.udp_port
        return [one for one in others if one is not newcomer and (one.address, one.udp_port) == here]


class SameAddress:
    """Those at the same address, as the RFC says, which has no NAT in mind."""

    def stale(self, newcomer: Association, others: Iterable[Association]) -> list[Association]:
        return [one for one in others if one is not newcomer and one.address == newcomer.address]


POLICIES: Mapping[str, Callable[[], ContactPolicy]] = {"ignore": Ignored, "same-client": SameClient, "same-address": SameAddress}


def policy(name: str) -> ContactPolicy:
    return POLICIES[name]()
