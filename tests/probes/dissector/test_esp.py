from __future__ import annotations

import hmac
import json

import pytest

from harness.errors import ProtocolError
from harness.probes.dissector.cbc import decrypt
from harness.probes.dissector.esp import read_esp
from harness.probes.keyring import EMPTY, Keyring, parse_keys

# RFC 3602 §4, cases 1 to 4: key, IV, plaintext, ciphertext
CASES = [
    (
        "06a9214036b8a15b512e03d534120006",
        "3dafba429d9eb430b422da802c9fac41",
        b"Single block msg".hex(),
        "e353779c1079aeb82708942dbe77181a",
    ),
    (
        "c286696d887c9aa0611bbb3e2025a45a",
        "562e17996d093d28ddb3ba695a2e6f58",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
    ),
    (
        "6c3ea0477630ce21a2ce334aa746c2cd",
        "c782dc4c098c66cbd9cd27d825682c81",
        b"This is a 48-byte message (exactly 3 AES blocks)".hex(),
        "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684",
    ),
]

# RFC 3602 §4, case 5: transport mode, an echo request from 192.168.123.3; the vector carries no ICV
KEY = "90d382b410eeba7ad938c46cec1a82bf"
PACKET = bytes.fromhex(
    "0000432100000001"
    "e96e8c08ab465763fd098d45dd3ff893"
    "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856"
    "a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a"
    "a269add047ad2d5913ac19b7cfbad4a6"
)
ECHO = bytes.fromhex("08000ebda70a00008e9c083db95b0700") + bytes(range(8, 56))
AUTH = b"\x5a" * 20


def ring(authentication: str = "sha1", auth_key: bytes = AUTH) -> Keyring:
    entry = {"kind": "esp", "client": "c1", "spi": "00004321", "direction": "out", "encryption": "aes-128", "key": KEY}
    return parse_keys([json.dumps(entry | {"authentication": authentication, "auth_key": auth_key.hex()})])


def protected(packet: bytes, hash_name: str = "sha1", size: int = 12) -> bytes:
    return packet + hmac.digest(AUTH, packet, hash_name)[:size]


@pytest.mark.parametrize(("key", "iv", "plain", "cipher"), CASES)
def test_aes_cbc_vectors(key: str, iv: str, plain: str, cipher: str) -> None:
    assert decrypt("aes-128", bytes.fromhex(key), bytes.fromhex(iv), bytes.fromhex(cipher)).hex() == plain


@pytest.mark.parametrize(("hash_name", "size"), [("sha1", 12), ("sha256", 16), ("md5", 12), ("sha512", 32)])
def test_opens_the_transport_mode_vector(hash_name: str, size: int) -> None:
    opened = read_esp(protected(PACKET, hash_name, size), ring(hash_name))
    assert opened.payload == ECHO
    assert opened.next_header == 1
    assert opened.facts["icv_ok"] is True
    assert (opened.facts["spi"], opened.facts["sequence"], opened.facts["direction"]) == ("00004321", 1, "out")
    assert opened.problem is None


def test_what_has_no_icv_is_opened_and_nothing_claimed_of_it() -> None:
    opened = read_esp(PACKET, ring("none", b""))
    assert (opened.payload, opened.next_header, opened.problem) == (ECHO, 1, None)
    assert (opened.facts["authentication"], opened.facts["icv_ok"]) == ("none", None)


@pytest.mark.parametrize("at", [0, 7, 12, 40, -1])
def test_every_changed_byte_fails_the_check(at: int) -> None:
    packet = bytearray(protected(PACKET))
    packet[at] ^= 1
    opened = read_esp(bytes(packet), ring())
    assert opened.payload is None
    assert opened.facts["icv_ok"] is (None if at == 0 else False)  # another SPI is one without a key
    assert bool(opened.problem) is (at != 0)


def test_without_a_key_nothing_is_claimed() -> None:
    opened = read_esp(protected(PACKET), EMPTY)
    assert opened.facts == {"spi": "00004321", "sequence": 1, "icv_ok": None}
    assert opened.problem is None


def test_authentic_but_wrongly_padded_is_a_problem() -> None:
    opened = read_esp(protected(PACKET[:-16]), ring())
    assert opened.facts["icv_ok"] is True
    assert opened.payload is None
    assert "padding" in (opened.problem or "")


def test_authentic_but_no_whole_block_is_a_problem() -> None:
    opened = read_esp(protected(PACKET[:-1]), ring())
    assert "whole number" in (opened.problem or "")


def test_too_short_for_a_header() -> None:
    with pytest.raises(ProtocolError, match="take 8"):
        read_esp(bytes(7), EMPTY)


def bare(payload: bytes, next_header: int = 17, spi: str = "00000777") -> bytes:
    """As RFC 2410 has it: the payload, padding to four bytes, its length and what comes next; an ICV that nobody here knows."""
    padding = -(len(payload) + 2) % 4
    trailer = bytes(range(1, padding + 1)) + bytes((padding, next_header))
    return bytes.fromhex(spi) + (9).to_bytes(4) + payload + trailer + bytes(range(100, 112))


@pytest.mark.parametrize("size", range(8, 16))
def test_null_encryption_is_read_without_a_key_where_it_is_asked_for(size: int) -> None:
    payload = bytes(range(size))
    seen = read_esp(bare(payload), EMPTY, null=True)
    assert (seen.payload, seen.next_header, seen.problem) == (payload, 17, None)
    assert (seen.facts["encryption"], seen.facts["icv_ok"], seen.facts["sequence"]) == ("null", None, 9)
    assert read_esp(bare(payload), EMPTY).payload is None


@pytest.mark.parametrize("packet", [protected(PACKET), bare(bytes(12), 6), bare(bytes(11))[:-13] + b"\x07" + bytes(12)])
def test_what_makes_no_sense_as_null_encryption_stays_closed(packet: bytes) -> None:
    seen = read_esp(packet, EMPTY, null=True)
    assert (seen.payload, seen.problem, seen.facts.get("encryption")) == (None, None, None)


def test_a_key_goes_before_null_encryption() -> None:
    seen = read_esp(protected(PACKET), ring(), null=True)
    assert (seen.facts["encryption"], seen.facts["icv_ok"]) == ("aes-128", True)
