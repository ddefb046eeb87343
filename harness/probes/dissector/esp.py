"""ESP (RFC 4303), UDP-encapsulated (RFC 3948) or not: integrity, decryption, padding. Keys are the run's, by SPI."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

from harness.errors import ProtocolError
from harness.probes.dissector import cbc
from harness.probes.keyring import CIPHER_BLOCK, UNPROVED, EspKey, Keyring

# Length of the ICV: RFC 2403, RFC 2404, RFC 4868
_ICV = {"md5": 12, "sha1": 12, "sha256": 16, "sha384": 24, "sha512": 32, UNPROVED: 0}
_PADDING = bytes(range(1, 256))
_KNOWN = (4, 17)  # IP in IP and UDP: what L2TP is carried by in ESP


@dataclass(frozen=True, slots=True)
class EspPacket:
    """`facts` as Observation.esp wants them. `payload` is the decrypted payload, None where no key is known or the ICV is wrong.
    Where there is no ICV nothing is claimed of it (`icv_ok` None)."""

    facts: dict[str, Any]
    payload: bytes | None = None
    next_header: int | None = None
    problem: str | None = None


def read_esp(packet: bytes, keys: Keyring, *, null: bool = False) -> EspPacket:
    """`null`: one for which there is no key may be of null encryption. ProtocolError (layer "esp") where the bytes are too few for
    SPI and sequence number."""
    if len(packet) < 8:
        raise ProtocolError("esp", f"{len(packet)} bytes, SPI and sequence number take 8")
    facts: dict[str, Any] = {"spi": packet[:4].hex(), "sequence": int.from_bytes(packet[4:8]), "icv_ok": None}
    candidates = keys.esp.get(facts["spi"], ())
    if not candidates:
        return _unencrypted(packet, facts) if null else EspPacket(facts)
    key = next((k for k in candidates if _authentic(packet, k)), None)
    facts["icv_ok"] = None if key is not None and key.authentication == UNPROVED else key is not None
    if key is None:
        return EspPacket(facts, problem="esp: the integrity check value does not fit the run's key")
    facts.update(encryption=key.encryption, authentication=key.authentication, direction=key.direction)
    try:
        payload, next_header = _open(packet, key)
    except ProtocolError as error:
        return EspPacket(facts, problem=str(error))
    facts["next_header"] = next_header
    return EspPacket(facts, payload, next_header)


def _unencrypted(packet: bytes, facts: dict[str, Any]) -> EspPacket:
    """Read as of null encryption with an ICV of 96 bits, which nobody here can check; closed where it makes no sense so. Padding
    that counts up and a known next header are told from ciphertext by chance in one of 2**16 at least (RFC 5879 section 8)."""
    try:
        payload, next_header = _open(packet, EspKey("", facts["spi"], "in", "null", "sha1", b"", b""))
    except ProtocolError:
        return EspPacket(facts)
    if next_header not in _KNOWN:
        return EspPacket(facts)
    return EspPacket(facts | {"encryption": "null", "next_header": next_header, "direction": ""}, payload, next_header)


def _authentic(packet: bytes, key: EspKey) -> bool:
    size = _ICV[key.authentication]
    if not size:
        return True
    if len(packet) < 8 + size:
        return False
    digest = hmac.digest(key.auth_key, packet[:-size], key.authentication)
    return hmac.compare_digest(digest[:size], packet[-size:])


def _open(packet: bytes, key: EspKey) -> tuple[bytes, int]:
    block = CIPHER_BLOCK[key.encryption]
    iv_size = 0 if key.encryption == "null" else block
    body = packet[8 + iv_size : len(packet) - _ICV[key.authentication]]
    if len(body) < 2 or len(body) % block:
        raise ProtocolError("esp", f"{len(body)} encrypted bytes are no whole number of {block}-byte blocks", 8)
    plain = cbc.decrypt(key.encryption, key.key, packet[8 : 8 + iv_size], body)
    padding, next_header = plain[-2], plain[-1]
    if padding + 2 > len(plain):
        raise ProtocolError("esp", f"{padding} bytes of padding in {len(plain)}", len(packet))
    end = len(plain) - 2 - padding
    if plain[end:-2] != _PADDING[:padding]:
        raise ProtocolError("esp", "the padding is not 1, 2, 3 … (RFC 4303 §2.4)", len(packet))
    return plain[:end], next_header
