"""HMACs by the vectors of their RFCs."""

from __future__ import annotations

import pytest

from harness.wire.crypto.digest import HASHES, INTEGRITY

# hash, key, data, HMAC
PRF_VECTORS = {
    "RFC 2202 §2 case 1": ("md5", b"\x0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
    "RFC 2202 §2 case 2": ("md5", b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
    "RFC 2202 §3 case 1": ("sha1", b"\x0b" * 20, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
    "RFC 2202 §3 case 2": ("sha1", b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    "RFC 4231 §4.2": (
        "sha256",
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    "RFC 4231 §4.3": (
        "sha256",
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
}

# algorithm, key, data, ICV
ICV_VECTORS = {
    "RFC 2403 §2 cutting RFC 2202 §2 case 1 to 96 bits": ("md5", b"\x0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8"),
    "RFC 2404 §2 cutting RFC 2202 §3 case 1 to 96 bits": ("sha1", b"\x0b" * 20, b"Hi There", "b617318655057264e28bc0b6"),
    "RFC 4868 §2.7.2.1 AUTH256-1": ("sha256", b"\x0b" * 32, b"Hi There", "198a607eb44bfbc69903a0f1cf2bbdc5"),
}


@pytest.mark.parametrize("source", PRF_VECTORS)
def test_prf(source: str) -> None:
    name, key, data, expected = PRF_VECTORS[source]
    assert HASHES[name].prf(key, data).hex() == expected
    assert len(HASHES[name].digest(data)) == HASHES[name].size


@pytest.mark.parametrize("source", ICV_VECTORS)
def test_icv(source: str) -> None:
    name, key, data, expected = ICV_VECTORS[source]
    checker = INTEGRITY[name].checker(key)
    assert checker.make(data).hex() == expected
    assert checker.fits(data, bytes.fromhex(expected))
    assert not checker.fits(data + b"!", bytes.fromhex(expected))
    assert not checker.fits(data, bytes.fromhex(expected)[:-1])
    assert len(bytes.fromhex(expected)) == checker.size == INTEGRITY[name].icv_size


@pytest.mark.parametrize("name", INTEGRITY)
def test_a_key_of_the_wrong_size_is_the_callers_mistake(name: str) -> None:
    with pytest.raises(ValueError):
        INTEGRITY[name].checker(b"short")
