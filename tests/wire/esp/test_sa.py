"""ESP against published packets, and against itself on everything a hostile peer can send."""

from __future__ import annotations

import hashlib
import hmac
import random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire.esp import AUTHENTICATIONS, ENCRYPTIONS, InboundSa, OutboundSa, spi_of
from harness.wire.esp.sa import LAST_SEQUENCE

# RFC 3602 §4, cases 5 to 8: key, SPI, sequence, next header, payload, packet. The RFC's packets carry no ICV. Cases 5 and 6 are
# transport mode; 7 and 8 are the same transform in tunnel mode (next header 4).
RFC_3602 = {
    "case 5": (
        "90d382b410eeba7ad938c46cec1a82bf", 0x4321, 1, 1,
        "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
        "0000432100000001e96e8c08ab465763fd098d45dd3ff893f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856"
        "a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874aa269add047ad2d5913ac19b7cfbad4a6",
    ),
    "case 6": (
        "90d382b410eeba7ad938c46cec1a82bf", 0x4321, 8, 1,
        "0800b5e8a80a0500a69c083d0b660e00777777777777777777777777",
        "000043210000000869d08df7d203329db093fc4924e5bd80f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75",
    ),
    "case 7": (
        "0123456789abcdef0123456789abcdef", 0x8765, 2, 4,
        "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a2040008090a0b0c0d0e0f1011121314151617"
        "18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
        "0000876500000002f4e765244f6407adf13dc1380f673f37773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8"
        "e4ecaec78ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5"
        "a100b842f1c22f0d",
    ),
    "case 8": (
        "0123456789abcdef0123456789abcdef", 0x8765, 5, 4,
        "45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083da3de0300" + "ff" * 32,
        "000087650000000585d47224b5f3dd5d2101d4ea8dffab2215b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb5"
        "0f980a08c9843fd3a1b06d5c07ff9639b7eb7dfb3512e5de435e7207ed971ef3d2726d9b5ef6affc6d17a0decbb13892",
    ),
}  # fmt: skip
SPI = 0xC0FFEE01


def keys(encryption: str, authentication: str) -> tuple[bytes, bytes]:
    return bytes(range(1, ENCRYPTIONS[encryption].key + 1)), bytes(range(64, 64 + AUTHENTICATIONS[authentication].key))


def pair(encryption: str = "aes-128", authentication: str = "sha1") -> tuple[OutboundSa, InboundSa]:
    key, auth_key = keys(encryption, authentication)
    entropy = random.Random(7).randbytes
    return (
        OutboundSa(SPI, encryption, authentication, key, auth_key, entropy),
        InboundSa(SPI, encryption, authentication, key, auth_key),
    )


def test_the_table_of_transforms_has_only_rows_tested_here() -> None:
    assert set(ENCRYPTIONS) == {"aes-256", "aes-128", "3des"}
    assert set(AUTHENTICATIONS) == {"sha1", "sha256"}


@pytest.mark.parametrize("case", RFC_3602)
def test_rfc_3602_packets_come_out_byte_for_byte(case: str) -> None:
    key, spi, sequence, next_header, payload, packet = RFC_3602[case]
    wanted = bytes.fromhex(packet)
    # The SA encrypts a block of entropy to get its IV; this one decrypts to the IV that the RFC chose.
    ecb = Cipher(algorithms.AES(bytes.fromhex(key)), modes.ECB()).decryptor()
    block = ecb.update(wanted[8:24])
    sa = OutboundSa(spi, "aes-128", "sha1", bytes.fromhex(key), bytes(20), lambda count: block[:count])
    sa.sequence = sequence - 1
    assert sa.seal(next_header, bytes.fromhex(payload))[:-12] == wanted


@pytest.mark.parametrize("case", RFC_3602)
def test_rfc_3602_packets_are_opened(case: str) -> None:
    key, spi, _, next_header, payload, packet = RFC_3602[case]
    bare = bytes.fromhex(packet)
    sealed = bare + hmac.new(b"k" * 32, bare, hashlib.sha256).digest()[:16]
    sa = InboundSa(spi, "aes-128", "sha256", bytes.fromhex(key), b"k" * 32)
    assert sa.open(sealed) == (next_header, bytes.fromhex(payload))


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
@pytest.mark.parametrize("authentication", AUTHENTICATIONS)
def test_packets_match_a_plain_reading_of_the_rfc(encryption: str, authentication: str) -> None:
    """Each of a run of packets is taken apart with fresh cipher objects, so that the long-lived context is seen to be right."""
    key, auth_key = keys(encryption, authentication)
    block = ENCRYPTIONS[encryption].block
    digest, icv = (hashlib.sha1, 12) if authentication == "sha1" else (hashlib.sha256, 16)
    out, inbound = pair(encryption, authentication)
    ivs = set()
    for number in range(1, 40):
        payload = random.Random(number).randbytes(number * 3)
        packet = out.seal(17, payload)
        assert packet[:8] == SPI.to_bytes(4) + number.to_bytes(4)
        assert packet[-icv:] == hmac.new(auth_key, packet[:-icv], digest).digest()[:icv]
        iv, ciphertext = packet[8 : 8 + block], packet[8 + block : -icv]
        ivs.add(iv)
        clear = Cipher(ENCRYPTIONS[encryption].algorithm(key), modes.CBC(iv)).decryptor().update(ciphertext)
        padding = clear[len(payload) : -2]
        assert clear[: len(payload)] == payload
        assert padding == bytes(range(1, len(padding) + 1))
        assert len(padding) < block
        assert clear[-2:] == bytes([len(padding), 17])
        assert inbound.open(packet) == (17, payload)
    assert len(ivs) == 39


def test_packets_out_of_order_and_lost_are_opened() -> None:
    out, inbound = pair("aes-256")
    packets = [out.seal(17, bytes([n]) * 30) for n in range(20)]
    order = [*range(0, 20, 2), 5, 3, 1]
    assert [inbound.open(packets[n])[1] for n in order] == [bytes([n]) * 30 for n in order]


def test_a_replay_is_refused_and_named() -> None:
    out, inbound = pair()
    packet = out.seal(17, b"once")
    inbound.open(packet)
    with pytest.raises(ProtocolError, match="sequence 1 was received before"):
        inbound.open(packet)


@given(st.integers(0, 8 * 70 - 1))
def test_any_bit_flipped_is_refused_and_leaves_the_window_alone(bit: int) -> None:
    out, inbound = pair()
    packet = bytearray(out.seal(17, b"x" * 30))
    good = bytes(packet)
    bit %= 8 * len(packet)
    packet[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProtocolError):
        inbound.open(bytes(packet))
    assert inbound.window.highest == 0
    assert inbound.packets == 0
    assert inbound.open(good) == (17, b"x" * 30)


def test_a_forged_sequence_does_not_move_the_window() -> None:
    out, inbound = pair()
    packet = out.seal(17, b"real")
    with pytest.raises(ProtocolError, match="wrong ICV"):
        inbound.open(packet[:4] + b"\xff\xff\xff\xff" + packet[8:])
    assert inbound.open(packet) == (17, b"real")


@pytest.mark.parametrize("tail", [b"\x01\x02\x04\x03\x11", b"\x00\x00\x00\x03\x11", b"\x40\x11", b"\xff\x11"])
def test_wrong_padding_is_refused(tail: bytes) -> None:
    key, auth_key = keys("aes-128", "sha1")
    clear = bytes(32 - len(tail)) + tail
    bare = SPI.to_bytes(4) + (1).to_bytes(4) + bytes(16)
    bare += Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor().update(clear)
    with pytest.raises(ProtocolError, match="padding"):
        pair()[1].open(bare + hmac.new(auth_key, bare, hashlib.sha1).digest()[:12])


def test_padding_that_is_good_but_fills_blocks_is_taken() -> None:
    """RFC 4303 §2.4 lets the sender pad up to 255 bytes, to hide the length."""
    key, auth_key = keys("aes-128", "sha1")
    clear = b"hi" + bytes(range(1, 253)) + b"\xfc\x11"
    bare = SPI.to_bytes(4) + (1).to_bytes(4) + bytes(16)
    bare += Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor().update(clear)
    assert pair()[1].open(bare + hmac.new(auth_key, bare, hashlib.sha1).digest()[:12]) == (17, b"hi")


def test_sequence_numbers_never_wrap() -> None:
    out, inbound = pair()
    out.sequence = LAST_SEQUENCE - 1
    assert inbound.open(out.seal(17, b"last")) == (17, b"last")
    with pytest.raises(ProtocolError, match="used up its sequence numbers"):
        out.seal(17, b"one too many")


def test_another_spi_is_refused() -> None:
    out, _ = pair()
    key, auth_key = keys("aes-128", "sha1")
    other = InboundSa(SPI + 1, "aes-128", "sha1", key, auth_key)
    with pytest.raises(ProtocolError, match="came to SA"):
        other.open(out.seal(17, b""))


def test_an_empty_payload_goes_through() -> None:
    out, inbound = pair("3des", "sha256")
    assert inbound.open(out.seal(59, b"")) == (59, b"")


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused_as_protocol_errors(data: bytes, right_spi: bool) -> None:
    with pytest.raises(ProtocolError):
        pair()[1].open(SPI.to_bytes(4) + data if right_spi else data)


@given(st.binary(max_size=20))
def test_spi_of_any_bytes(data: bytes) -> None:
    if len(data) >= 8 and any(data[:4]):
        assert spi_of(data) == int.from_bytes(data[:4])
    else:
        with pytest.raises(ProtocolError):
            spi_of(data)


@pytest.mark.parametrize(
    ("encryption", "authentication", "key", "auth_key"),
    [("aes-192", "sha1", 24, 20), ("aes-128", "md5", 16, 16), ("aes-128", "sha1", 32, 20), ("3des", "sha256", 24, 20)],
)
def test_unknown_transforms_and_wrong_keys_are_refused(encryption: str, authentication: str, key: int, auth_key: int) -> None:
    with pytest.raises(ProtocolError):
        InboundSa(SPI, encryption, authentication, bytes(key), bytes(auth_key))
