"""ESP against published packets, and against itself on everything a hostile peer can send."""

from __future__ import annotations

import hashlib
import hmac
import random

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
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
    assert set(ENCRYPTIONS) == {"aes-256", "aes-192", "aes-128", "3des", "des", "null"}
    assert set(AUTHENTICATIONS) == {"md5", "sha1", "sha256", "none"}


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
def test_rfc_3602_packets_are_whole_without_authentication(case: str) -> None:
    key, spi, sequence, next_header, payload, packet = RFC_3602[case]
    wanted = bytes.fromhex(packet)
    block = Cipher(algorithms.AES(bytes.fromhex(key)), modes.ECB()).decryptor().update(wanted[8:24])
    sa = OutboundSa(spi, "aes-128", "none", bytes.fromhex(key), b"", lambda count: block[:count])
    sa.sequence = sequence - 1
    assert sa.seal(next_header, bytes.fromhex(payload)) == wanted
    assert InboundSa(spi, "aes-128", "none", bytes.fromhex(key), b"").open(wanted) == (next_header, bytes.fromhex(payload))


@pytest.mark.parametrize("case", RFC_3602)
def test_rfc_3602_packets_are_opened(case: str) -> None:
    key, spi, _, next_header, payload, packet = RFC_3602[case]
    bare = bytes.fromhex(packet)
    sealed = bare + hmac.new(b"k" * 32, bare, hashlib.sha256).digest()[:16]
    sa = InboundSa(spi, "aes-128", "sha256", bytes.fromhex(key), b"k" * 32)
    assert sa.open(sealed) == (next_header, bytes.fromhex(payload))


# Cipher, key, IV, clear text, cipher text.
CBC_VECTORS = {
    "FIPS PUB 81, table C1": (
        "des", "0123456789abcdef", "1234567890abcdef", b"Now is the time for all ".hex(),
        "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6",
    ),
    "NIST SP 800-38A, F.2.3": (
        "aes-192", "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "000102030405060708090a0b0c0d0e0f",
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
        "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a",
    ),
    "NIST SP 800-38A, F.2.5": (
        "aes-256", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "000102030405060708090a0b0c0d0e0f",
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
    ),
}  # fmt: skip
# Authentication, key, data, HMAC before it is cut.
HMAC_VECTORS = {
    "RFC 2202 §2, case 1": ("md5", "0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
    "RFC 2202 §3, case 1": ("sha1", "0b" * 20, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
    "RFC 4868 §2.7.1, case 1": (
        "sha256", "0b" * 32, b"Hi There", "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7",
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", CBC_VECTORS)
def test_published_cipher_texts(source: str) -> None:
    encryption, key, iv, clear, sealed = CBC_VECTORS[source]
    row = ENCRYPTIONS[encryption]
    out = row.decryptor(bytes.fromhex(key))(bytes.fromhex(iv + sealed))
    assert out[row.iv :] == bytes.fromhex(clear)
    # The block that encrypts to the IV is what comes out for the IV where the block before it was zero.
    first = row.decryptor(bytes.fromhex(key))(bytes.fromhex(iv))
    assert row.encryptor(bytes.fromhex(key))(first + bytes.fromhex(clear)) == bytes.fromhex(iv + sealed)


@pytest.mark.parametrize("source", HMAC_VECTORS)
def test_published_authentications(source: str) -> None:
    """A packet under NULL encryption that has the published data in its place shows the published HMAC, cut to its length."""
    name, key, data, digest = HMAC_VECTORS[source]
    row = AUTHENTICATIONS[name]
    assert hmac.digest(bytes.fromhex(key), data, row.digest) == bytes.fromhex(digest)
    sa = InboundSa(SPI, "null", name, b"", bytes.fromhex(key))
    packet = SPI.to_bytes(4) + (1).to_bytes(4) + b"Hi\x00\x11"
    assert sa.open(packet + hmac.digest(bytes.fromhex(key), packet, row.digest)[: row.icv]) == (17, b"Hi")


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
@pytest.mark.parametrize("authentication", AUTHENTICATIONS)
def test_packets_match_a_plain_reading_of_the_rfc(encryption: str, authentication: str) -> None:
    """Each of a run of packets is taken apart with fresh cipher objects, so that the long-lived context is seen to be right."""
    key, auth_key = keys(encryption, authentication)
    block, iv_size = ENCRYPTIONS[encryption].block, ENCRYPTIONS[encryption].iv
    digest, icv = {"md5": (hashlib.md5, 12), "sha1": (hashlib.sha1, 12), "sha256": (hashlib.sha256, 16), "none": (hashlib.md5, 0)}[
        authentication
    ]
    out, inbound = pair(encryption, authentication)
    ivs, octets = set(), 0
    for number in range(1, 40):
        payload = random.Random(number).randbytes(number * 3)
        packet = out.seal(17, payload)
        end = len(packet) - icv
        assert packet[:8] == SPI.to_bytes(4) + number.to_bytes(4)
        assert packet[end:] == hmac.new(auth_key, packet[:end], digest).digest()[:icv]
        iv, ciphertext = packet[8 : 8 + iv_size], packet[8 + iv_size : end]
        ivs.add(iv)
        clear = _fresh(encryption, key, iv, ciphertext)
        padding = clear[len(payload) : -2]
        assert clear[: len(payload)] == payload
        assert padding == bytes(range(1, len(padding) + 1))
        assert len(padding) < block
        assert clear[-2:] == bytes([len(padding), 17])
        assert inbound.open(packet) == (17, payload)
        octets += len(ciphertext)
        assert (out.octets, inbound.octets) == (octets, octets)
    assert len(ivs) == (39 if iv_size else 1)


def _fresh(encryption: str, key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    algorithm = {"3des": TripleDES, "des": lambda short: TripleDES(short * 3)}.get(encryption, algorithms.AES)
    return ciphertext if encryption == "null" else Cipher(algorithm(key), modes.CBC(iv)).decryptor().update(ciphertext)


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


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_an_empty_payload_goes_through(encryption: str) -> None:
    out, inbound = pair(encryption, "sha256")
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
    [
        ("cast", "sha1", 16, 20),
        ("aes-128", "sha512", 16, 64),
        ("des", "md5", 16, 16),
        ("null", "sha1", 8, 20),
        ("aes-128", "sha1", 32, 20),
        ("3des", "sha256", 24, 20),
    ],
)
def test_unknown_transforms_and_wrong_keys_are_refused(encryption: str, authentication: str, key: int, auth_key: int) -> None:
    with pytest.raises(ProtocolError):
        InboundSa(SPI, encryption, authentication, bytes(key), bytes(auth_key))
