"""CBC ciphers by the vectors of their sources."""

from __future__ import annotations

import pytest

from harness.errors import ProtocolError
from harness.wire.crypto.ciphers import CIPHERS

# name, key, IV, plain, cipher
VECTORS = {
    "RFC 3602 §4 case 1": (
        "aes-128",
        "06a9214036b8a15b512e03d534120006",
        "3dafba429d9eb430b422da802c9fac41",
        b"Single block msg".hex(),
        "e353779c1079aeb82708942dbe77181a",
    ),
    "RFC 3602 §4 case 2": (
        "aes-128",
        "c286696d887c9aa0611bbb3e2025a45a",
        "562e17996d093d28ddb3ba695a2e6f58",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
    ),
    "NIST SP 800-38A F.2.3, first two blocks": (
        "aes-192",
        "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
        "000102030405060708090a0b0c0d0e0f",
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
        "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a",
    ),
    "FIPS 81 Table C1, the CBC example": (
        "des",
        "0123456789abcdef",
        "1234567890abcdef",
        b"Now is the time for all ".hex(),
        "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6",
    ),
    "NIST SP 800-38A F.2.5, first two blocks": (
        "aes-256",
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        "000102030405060708090a0b0c0d0e0f",
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
    ),
    "NIST 3DES multi-block message test, example 1 (as in strongSwan's test vectors)": (
        "3des",
        "627f460e08104a1043cd265d5840eaf1313edf97df2a8a8c",
        "8e29f75ea77e5475",
        "326a494cd33fe756",
        "b22b8d66de970692",
    ),
    "NIST 3DES multi-block message test, example 2 (as in strongSwan's test vectors)": (
        "3des",
        "37ae5ebf46dff2dc0754b94f31cbb3855e7fd36dc870bfae",
        "3d1de3cc132e3b65",
        "84401f78fe6c10876d8ea23094ea5309",
        "7b1f7c7e3b1c948ebd04a75ffba7d2f5",
    ),
}


@pytest.mark.parametrize("source", VECTORS)
def test_vectors(source: str) -> None:
    name, *values = VECTORS[source]
    key, iv, plain, cipher = (bytes.fromhex(value) for value in values)
    keyed = CIPHERS[name].keyed(key)
    assert keyed.block == CIPHERS[name].block == len(iv)
    for _ in range(2):  # a keyed cipher keeps nothing from message to message
        assert keyed.encrypt(iv, plain) == cipher
        assert keyed.decrypt(iv, cipher) == plain


@pytest.mark.parametrize("name", CIPHERS)
def test_broken_blocks(name: str) -> None:
    row = CIPHERS[name]
    keyed = row.keyed(bytes(range(row.key_size)))
    with pytest.raises(ProtocolError):
        keyed.decrypt(bytes(row.block), bytes(row.block + 1))
    with pytest.raises(ValueError):
        keyed.encrypt(bytes(row.block), bytes(row.block - 1))
    with pytest.raises(ValueError):
        row.keyed(bytes(row.key_size + 1))
