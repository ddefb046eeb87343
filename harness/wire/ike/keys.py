"""Key material of both phases (RFC 2409 §5, §5.5, Appendix B), for pre-shared keys and signatures."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from harness.wire.crypto.ciphers import CIPHERS, CbcCipher
from harness.wire.crypto.digest import HASHES, Hash


@dataclass(slots=True)
class Usage:
    """How many bytes a key has protected: sent, and received and found authentic."""

    octets: int = 0


@dataclass(frozen=True, slots=True)
class Phase1Keys:
    """SKEYID and what comes of it. `iv` is that of the first encrypted message; `encryption_key` is as long as the cipher takes."""

    hash: Hash
    skeyid: bytes
    d: bytes
    a: bytes
    e: bytes
    encryption_key: bytes
    cipher: CbcCipher
    iv: bytes
    usage: Usage = field(default_factory=Usage, compare=False)

    def message_iv(self, last_block: bytes, message_id: int) -> bytes:
        """The first IV of a phase-2 exchange: the hash of phase 1's last cipher block and the message ID, cut to a block."""
        return self.hash.digest(last_block + message_id.to_bytes(4))[: self.cipher.block]

    def encrypt(self, iv: bytes, chain: bytes) -> bytes:
        """Payloads, padded with zeros to whole blocks."""
        plain = chain + bytes(-len(chain) % self.cipher.block)
        self.usage.octets += len(plain)
        return self.cipher.encrypt(iv, plain)


def skeyid_psk(algorithm: Hash, psk: bytes, nonce_i: bytes, nonce_r: bytes) -> bytes:
    return algorithm.prf(psk, nonce_i + nonce_r)


def skeyid_signatures(algorithm: Hash, shared: bytes, nonce_i: bytes, nonce_r: bytes) -> bytes:
    return algorithm.prf(nonce_i + nonce_r, shared)


def derive(algorithm: Hash, skeyid: bytes, shared: bytes, cookies: bytes) -> tuple[bytes, bytes, bytes]:
    """SKEYID_d, SKEYID_a, SKEYID_e. `cookies` is CKY-I | CKY-R."""
    seed = shared + cookies
    d = algorithm.prf(skeyid, seed + b"\x00")
    a = algorithm.prf(skeyid, d + seed + b"\x01")
    e = algorithm.prf(skeyid, a + seed + b"\x02")
    return d, a, e


def stretched(algorithm: Hash, skeyid_e: bytes, size: int) -> bytes:
    """The encryption key: SKEYID_e itself where it is long enough, else K1 | K2 | … of Appendix B."""
    if size <= len(skeyid_e):
        return skeyid_e[:size]
    block = algorithm.prf(skeyid_e, b"\x00")
    key = block
    while len(key) < size:
        block = algorithm.prf(skeyid_e, block)
        key += block
    return key[:size]


def phase_1(
    hash_name: str,
    encryption: str,
    skeyid: bytes,
    publics: tuple[bytes, bytes],
    shared: bytes,
    cookies: bytes,
) -> Phase1Keys:
    """`publics` (KE bodies) are the initiator's and the responder's, in this order."""
    algorithm, row = HASHES[hash_name], CIPHERS[encryption]
    d, a, e = derive(algorithm, skeyid, shared, cookies)
    key = stretched(algorithm, e, row.key_size)
    iv = algorithm.digest(publics[0] + publics[1])[: row.block]
    return Phase1Keys(algorithm, skeyid, d, a, e, key, row.keyed(key), iv)


def identity_hash(
    keys: Phase1Keys, publics: tuple[bytes, bytes], cookies: tuple[bytes, bytes], sa: bytes, identity: bytes
) -> bytes:
    """HASH_I or HASH_R. Public values and cookies begin with those of the side that is hashed; `sa` is the body of the
    initiator's SA payload on either side, `identity` that of the ID payload."""
    return keys.hash.prf(keys.skeyid, publics[0] + publics[1] + cookies[0] + cookies[1] + sa + identity)


def message_hash(keys: Phase1Keys, message_id: int, *parts: bytes) -> bytes:
    """HASH(1) and HASH(2) of quick mode and the hash of an informational exchange: prf(SKEYID_a, M-ID | parts)."""
    return keys.hash.prf(keys.a, message_id.to_bytes(4) + b"".join(parts))


def third_hash(keys: Phase1Keys, message_id: int, nonce_i: bytes, nonce_r: bytes) -> bytes:
    """HASH(3) of quick mode."""
    return keys.hash.prf(keys.a, b"\x00" + message_id.to_bytes(4) + nonce_i + nonce_r)


def ipsec_keys(
    keys: Phase1Keys, protocol: int, spi: bytes, nonces: tuple[bytes, bytes], shared: bytes, sizes: tuple[int, int]
) -> tuple[bytes, bytes]:
    """KEYMAT for the SA that its receiver knows by `spi`: keys for encryption and authentication of `sizes` bytes. `shared` is
    g(qm)^xy, b"" without PFS (RFC 2409 §5.5)."""
    material = keymat(keys.hash, keys.d, shared + bytes((protocol,)) + spi + nonces[0] + nonces[1], sum(sizes))
    return material[: sizes[0]], material[sizes[0] :]


def keymat(algorithm: Hash, skeyid_d: bytes, seed: bytes, size: int) -> bytes:
    """K1 | K2 | … of RFC 2409 §5.5, cut to `size`: each block is keyed over the one before it and the seed."""
    block = material = b""
    while len(material) < size:
        block = algorithm.prf(skeyid_d, block + seed)
        material += block
    return material[:size]


def same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)
