"""Diffie-Hellman groups of IKE, as rows of a table.

| name     | IKE number | source               | public value on the wire      | shared secret            |
|----------|-----------|----------------------|-------------------------------|--------------------------|
| modp768  | 1         | RFC 2409 §6.1        | 96 bytes, zero-prepended      | as long as the prime     |
| modp1024 | 2         | RFC 2409 §6.2        | 128 bytes, zero-prepended     | as long as the prime     |
| modp1536 | 5         | RFC 3526 §2          | 192 bytes, zero-prepended     | as long as the prime     |
| modp2048 | 14        | RFC 3526 §3          | 256 bytes                     | as long as the prime     |
| ecp256   | 19        | RFC 5903 §3.1, §7    | x, y: 64 bytes                | x alone: 32 bytes        |
| ecp384   | 20        | RFC 5903 §3.2, §7    | x, y: 96 bytes                | x alone: 48 bytes        |

Private exponents of the MODP groups have 256 bits, twice the strength of group 14 and more (RFC 3526 §8): full-length ones cost
ten times as much. A peer's value out of range, or a point off the curve, is a ProtocolError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import gmpy2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.errors import ProtocolError

EXPONENT_BYTES = 32

_MODP768 = (
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A3620FFFFFFFFFFFFFFFF"
)
_MODP1024 = (
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF"
)
_MODP1536 = (
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05"
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB"
    "9ED529077096966D670C354E4ABC9804F1746C08CA237327FFFFFFFFFFFFFFFF"
)
_MODP2048 = (
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05"
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB"
    "9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF"
)


class KeyPair(Protocol):
    """One side's part of one exchange."""

    @property
    def public(self) -> bytes:
        """The value as the KE payload carries it."""

    def shared(self, peer: bytes) -> bytes:
        """g^xy as the key derivation of RFC 2409 takes it. Raises ProtocolError for a public value that is not one."""


class Group(Protocol):
    """What IKE needs of a group: its name, its number in the registry, the size of a public value in bytes."""

    @property
    def name(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def public_size(self) -> int: ...

    def key_pair(self, entropy: Callable[[int], bytes]) -> KeyPair: ...


@dataclass(frozen=True, slots=True)
class ModpGroup:
    """Exponentiation modulo a safe prime, with generator 2."""

    name: str
    number: int
    prime: gmpy2.mpz

    @property
    def public_size(self) -> int:
        return (int(self.prime.bit_length()) + 7) // 8

    def key_pair(self, entropy: Callable[[int], bytes]) -> ModpKeyPair:
        # The top bit is set so that the exponent never falls short of its length, the lowest so that it is never zero.
        exponent = int.from_bytes(entropy(EXPONENT_BYTES)) | 1 << (8 * EXPONENT_BYTES - 1) | 1
        return ModpKeyPair(self, exponent)


class ModpKeyPair:
    __slots__ = ("_exponent", "_group", "public")

    def __init__(self, group: ModpGroup, exponent: int) -> None:
        self._group = group
        self._exponent = gmpy2.mpz(exponent)
        self.public: bytes = int(gmpy2.powmod(2, self._exponent, group.prime)).to_bytes(group.public_size)

    def shared(self, peer: bytes) -> bytes:
        group = self._group
        if len(peer) != group.public_size:
            raise ProtocolError("dh", f"a public value of {len(peer)} bytes; {group.name} takes {group.public_size}")
        value = gmpy2.mpz(int.from_bytes(peer))
        # 0, 1 and p-1 would make the secret known to everybody.
        if not 1 < value < group.prime - 1:
            raise ProtocolError("dh", f"the peer's public value is outside the range of {group.name}")
        return int(gmpy2.powmod(value, self._exponent, group.prime)).to_bytes(group.public_size)


@dataclass(frozen=True, slots=True)
class EcpGroup:
    """A NIST curve over a prime field."""

    name: str
    number: int
    curve: ec.EllipticCurve
    order: int

    @property
    def public_size(self) -> int:
        return 2 * ((self.curve.key_size + 7) // 8)

    def key_pair(self, entropy: Callable[[int], bytes]) -> EcpKeyPair:
        # Eight bytes more than the order has: what is left of the bias of the remainder is below 2^-64.
        scalar = int.from_bytes(entropy(self.public_size // 2 + 8)) % (self.order - 1) + 1
        return EcpKeyPair(self, scalar)


class EcpKeyPair:
    __slots__ = ("_group", "_private", "public")

    def __init__(self, group: EcpGroup, scalar: int) -> None:
        self._group = group
        self._private = ec.derive_private_key(scalar, group.curve)
        self.public: bytes = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]

    def shared(self, peer: bytes) -> bytes:
        group = self._group
        if len(peer) != group.public_size:
            raise ProtocolError("dh", f"a public value of {len(peer)} bytes; {group.name} takes {group.public_size}")
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(group.curve, b"\x04" + peer)
        except ValueError as error:
            raise ProtocolError("dh", f"the peer's public value is no point of {group.name}") from error
        return self._private.exchange(ec.ECDH(), point)


GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        ModpGroup("modp768", 1, gmpy2.mpz(_MODP768, 16)),
        ModpGroup("modp1024", 2, gmpy2.mpz(_MODP1024, 16)),
        ModpGroup("modp1536", 5, gmpy2.mpz(_MODP1536, 16)),
        ModpGroup("modp2048", 14, gmpy2.mpz(_MODP2048, 16)),
        EcpGroup("ecp256", 19, ec.SECP256R1(), 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
        EcpGroup(
            "ecp384",
            20,
            ec.SECP384R1(),
            0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        ),
    )
}
