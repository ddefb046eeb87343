"""Key derivation by NIST's vectors.

The SKEYID vectors are NIST's samples for IKEv1 (CAVP, SP 800-135 component test), as carried by Mozilla NSS in
gtests/common/testvectors/ike-sha1-vectors.h and ike-sha256-vectors.h, numbers 1 to 5. Those of Appendix B there (numbers 11, 12
and 14) are NSS's own, and so come from a second implementation. NSS calls a seed of one zero byte "0".
"""

from __future__ import annotations

import pytest

from harness.wire.crypto.digest import HASHES
from harness.wire.ike.keys import derive, keymat, skeyid_psk, skeyid_signatures, stretched

# hash: SKEYID, g^xy, CKY-I, CKY-R, SKEYID_d, SKEYID_a, SKEYID_e
SKEYIDS = {
    "sha1": (
        "707197817fb2d90cf54d1842606bdea59b9f4823",
        "8ba4cbc73c0187301dc19a975823854dbd641c597f637f8d053a83b9514673eb",
        "8c3bcd3a69831d7f",
        "d2d9a7ff4fbe95a7",
        "384be709a8a5e63c3ed160cfe3921c4b37d5b32d",
        "48b327575abe3adba0f279849e289022a13e2b47",
        "a4a415c8e0c38c0da847c356cc61c24df8025560",
    ),
    "sha256": (
        "750c5c94b9c2ec20b68033e024dadf0fa87e8b48c6561b21c72478451a06583d",
        "a1ff3dc6cf9b4c04709943cb4ca1f1789bcf360b03f1d027de3ae8ee039e9155",
        "6c6beb72631ddc3d",
        "b84e24b22cffbd14",
        "a4f7ca7de913814813e3312099e7c943bd293483f387532330237f1b20957310",
        "1d4b705746c43b0a6fcbb8db33983c0f24ff6f8b6543e3779fed227c6067f004",
        "03e6f16cd9ce9f64b5cdc5b34cca7163483ba5389a30afebef3d14640b0a815e",
    ),
}
# hash: pre-shared key, Ni, Nr, SKEYID
PSK = {
    "sha1": ("c0", "03a6f25a83c8c2a3", "9d958a6618f77e7f", "ab3be41bc62f2ef0c41a3076d58768be77fadd2e"),
    "sha256": (
        "a0",
        "ead9ced494868f41",
        "f1aff4f425a94f18",
        "558a99b299773d267cf7c8ef073bf3b7af362c206c75a538403c5ef884d4cace",
    ),
}


@pytest.mark.parametrize("name", SKEYIDS)
def test_skeyid_d_a_e(name: str) -> None:
    skeyid, shared, cky_i, cky_r, *expected = (bytes.fromhex(value) for value in SKEYIDS[name])
    assert derive(HASHES[name], skeyid, shared, cky_i + cky_r) == tuple(expected)


@pytest.mark.parametrize("name", PSK)
def test_skeyid_from_a_pre_shared_key(name: str) -> None:
    psk, nonce_i, nonce_r, expected = (bytes.fromhex(value) for value in PSK[name])
    assert skeyid_psk(HASHES[name], psk, nonce_i, nonce_r) == expected


def test_skeyid_from_nonces_and_the_shared_secret() -> None:
    """Number 1 of the SHA-1 file: authentication with signatures."""
    expected, shared = (bytes.fromhex(value) for value in SKEYIDS["sha1"][:2])
    nonces = bytes.fromhex("69a62284195f1680"), bytes.fromhex("80c94ba25c8abda5")
    assert skeyid_signatures(HASHES["sha1"], shared, *nonces) == expected


def test_a_short_skeyid_e_is_stretched() -> None:
    skeyid_e = bytes.fromhex("63e81194946ebd05df7df5ebf5d8750056bf1f1d")
    expected = bytes.fromhex("933347a07de5782247dd36d1562ffe0eecade1eb4134165257e3af1000af8ae3f165063828cbb60d")
    assert stretched(HASHES["sha1"], skeyid_e, 40) == expected
    assert stretched(HASHES["sha1"], skeyid_e, 32) == expected[:32]


def test_a_long_skeyid_e_is_only_cut() -> None:
    skeyid_e = bytes.fromhex("5f00d1bd2c58ec224b1e6b71fa0f19a1faa7a193952c444411b47c1a9d8ba6fe")
    assert stretched(HASHES["sha256"], skeyid_e, 32) == skeyid_e
    assert stretched(HASHES["sha256"], skeyid_e, 15) == skeyid_e[:15]


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        (
            "sha1",
            "63e81194946ebd05df7df5ebf5d8750056bf1f1d",
            "933347a07de5782247dd36d1562ffe0eecade1ebaeaa476a5f578c34a9b2b7101a621202f61db924",
        ),
        (
            "sha256",
            "5f00d1bd2c58ec224b1e6b71fa0f19a1faa7a193952c444411b47c1a9d8ba6fe",
            "b10fff32cbeaa1e7afe6ab0b191e0bd63cd524849a4b56019146d232a24cf9af59f18ed9aabbb2dbbafecf48d72a34a8",
        ),
    ],
)
def test_keymat_feeds_each_block_into_the_next(name: str, key: str, expected: str) -> None:
    wanted = bytes.fromhex(expected)
    assert keymat(HASHES[name], bytes.fromhex(key), b"\x00", len(wanted)) == wanted
