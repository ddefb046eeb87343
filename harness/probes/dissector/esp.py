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


@dataclass(frozen=True, slots=True)
class EspPacket:
    """`facts` as Observation.esp wants them. `payload` is the decrypted payload, None where no key is known or the ICV is wrong.
    Where there is no ICV nothing is claimed of it (`icv_ok` None)."""

    facts: dict[str, Any]
    payload: bytes | None = None
    next_header: int | None = None
    problem: str | None = None


def read_esp(packet: bytes, keys: Keyring) -> EspPacket:
    """ProtocolError (layer "esp") where the bytes are too few for SPI and sequence number."""
    if len(packet) < 8:
        raise ProtocolError("esp", f"{len(packet)} bytes, SPI and sequence number take 8")
    facts: dict[str, Any] = {"spi": packet[:4].hex(), "sequence": int.from_bytes(packet[4:8]), "icv_ok": None}
    candidates = keys.esp.get(facts["spi"], ())
    if not candidates:
        return EspPacket(facts)
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
