"""NAT traversal in IKE: which dialect both sides speak, and what their NAT-D payloads say (RFC 3947 §3).

A dialect is a row: its vendor ID and the numbers that RFC 3947 changed against the drafts. Dialects older than draft-02 know no
port 4500 and are not here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.wire.crypto.digest import Hash
from harness.wire.ike import registry
from harness.wire.ike.payloads import packed


@dataclass(frozen=True, slots=True)
class Dialect:
    """`nat_d`, `nat_oa`: payload types. `encapsulation`: name of the transport mode in the table of phase-2 attributes."""

    name: str
    vendor_id: bytes
    nat_d: int
    nat_oa: int
    encapsulation: str

    @property
    def family(self) -> Literal["rfc", "draft"]:
        """Whose numbers: those of RFC 3947, or of draft-ietf-ipsec-nat-t-ike-02 and -03 (all that Windows 2000 and XP know)."""
        return "rfc" if self.nat_d == registry.NAT_D else "draft"


_DRAFT = (registry.NAT_D_DRAFT, registry.NAT_OA_DRAFT, "udp-transport (draft)")

DIALECTS = (
    Dialect("RFC 3947", bytes.fromhex("4a131c81070358455c5728f20e95452f"), registry.NAT_D, registry.NAT_OA, "udp-transport"),
    Dialect("draft-ietf-ipsec-nat-t-ike-03", bytes.fromhex("7d9419a65310ca6f2c179d9215529d56"), *_DRAFT),
    Dialect("draft-ietf-ipsec-nat-t-ike-02\\n", bytes.fromhex("90cb80913ebb696e086381b5ec427b1f"), *_DRAFT),
    Dialect("draft-ietf-ipsec-nat-t-ike-02", bytes.fromhex("cd60464335df21f87cfdb2fc68b6a448"), *_DRAFT),
)


def common_dialect(ours: Collection[bytes], theirs: Collection[bytes]) -> Dialect | None:
    """The best dialect whose vendor ID both sides sent."""
    return next((row for row in DIALECTS if row.vendor_id in ours and row.vendor_id in theirs), None)


@dataclass(frozen=True, slots=True)
class Ends:
    """Addresses and ports of a message as its sender, or its receiver, sees them."""

    local: str
    local_port: int
    remote: str
    remote_port: int


def nat_d(algorithm: Hash, cookies: bytes, address: str, port: int) -> bytes:
    """HASH(CKY-I | CKY-R | IP | port), RFC 3947 §3.2."""
    return algorithm.digest(cookies + packed(address) + port.to_bytes(2))


def own_nat_d(algorithm: Hash, cookies: bytes, ends: Ends) -> tuple[bytes, bytes]:
    """The two values to send: the remote end's first."""
    return (
        nat_d(algorithm, cookies, ends.remote, ends.remote_port),
        nat_d(algorithm, cookies, ends.local, ends.local_port),
    )


def behind_nat(algorithm: Hash, cookies: bytes, ends: Ends, received: Sequence[bytes]) -> tuple[bool, bool]:
    """(we are, the peer is) behind a NAT, by the peer's NAT-D values: the first is where it sent to, the others are its own."""
    if len(received) < 2:
        return False, False
    local = received[0] != nat_d(algorithm, cookies, ends.local, ends.local_port)
    remote = nat_d(algorithm, cookies, ends.remote, ends.remote_port) not in received[1:]
    return local, remote
