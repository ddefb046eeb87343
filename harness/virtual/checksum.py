"""What becomes of the UDP checksum inside ESP: a NAT has changed addresses that it covers and could not mend it (RFC 3948 §3.1.2).

A checksum of zero says that the sender computed none, and is accepted always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from harness.wire import ip


class ChecksumPolicy(Protocol):
    def accepts(self, datagram: bytes, source: bytes, destination: bytes, original: tuple[str, ...]) -> bool:
        """Of a UDP datagram out of ESP between two packed addresses as the gateway sees them. `original` are those that the peer
        told in NAT-OA, the initiator's first, or none."""


class Ignore:
    """Whatever it is (`vpdn ip udp ignore checksum`): ESP has authenticated the packet."""

    def accepts(self, datagram: bytes, source: bytes, destination: bytes, original: tuple[str, ...]) -> bool:
        return True


class Verify:
    """As if there were no NAT: what was computed over an inside address is wrong."""

    def accepts(self, datagram: bytes, source: bytes, destination: bytes, original: tuple[str, ...]) -> bool:
        return ip.udp_checksum_good(source, destination, datagram)


class Recompute:
    """By the addresses that the sender computed it over, which NAT-OA tells (RFC 3948 §3.1.2, first way)."""

    def accepts(self, datagram: bytes, source: bytes, destination: bytes, original: tuple[str, ...]) -> bool:
        if len(original) == 2:
            source, destination = ip.packed(original[0]), ip.packed(original[1])
        return ip.udp_checksum_good(source, destination, datagram)


POLICIES: Mapping[str, Callable[[], ChecksumPolicy]] = {"ignore": Ignore, "verify": Verify, "recompute": Recompute}


def policy(name: str) -> ChecksumPolicy:
    return POLICIES[name]()
