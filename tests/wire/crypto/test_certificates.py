"""RSA signatures against OpenSSL; certificate paths, each with one thing wrong."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import authorities as pki
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire.crypto import certificates
from harness.wire.crypto.certificates import Credentials, check_signature, read_certificate, sign, trusted_key

ROOT = pki.authority()
OWN = pki.certificate("laptop", "root", pki.alternative("laptop.example.com"))


def refusal(received: list[x509.Certificate], anchors: tuple[x509.Certificate, ...] = (ROOT,), date: object = pki.TODAY) -> str:
    with pytest.raises(ProtocolError) as caught:
        trusted_key(received, anchors, date)  # type: ignore[arg-type]
    return caught.value.reason


@pytest.mark.parametrize("size", [16, 20, 32])
def test_openssl_reads_what_is_signed(size: int) -> None:
    """RFC 2409 §5.1: the bare hash in a PKCS #1 block; OpenSSL recovers it, and ours takes OpenSSL's."""
    private, digest = pki.key("laptop"), bytes(range(size))
    made = sign(private, digest)
    assert private.public_key().recover_data_from_signature(made, padding.PKCS1v15(), None) == digest
    check_signature(private.public_key(), made, digest)


def test_openssl_recovers_nothing_from_another_keys_signature() -> None:
    with pytest.raises(InvalidSignature):
        pki.key("other").public_key().recover_data_from_signature(sign(pki.key("laptop"), b"x" * 20), padding.PKCS1v15(), None)


def test_signatures_that_are_none() -> None:
    public, digest = pki.key("laptop").public_key(), b"x" * 20
    good = sign(pki.key("laptop"), digest)
    modulus = public.public_numbers().n
    bent = good[:-1] + bytes((good[-1] ^ 1,))
    for wrong in (b"", good[:-1], good + b"\0", bytes(128), b"\xff" * 128, modulus.to_bytes(128), bent, b"\0" + good):
        with pytest.raises(ProtocolError):
            check_signature(public, wrong, digest)
    with pytest.raises(ProtocolError):
        check_signature(public, good, b"y" * 20)
    with pytest.raises(ProtocolError):
        check_signature(pki.key("other").public_key(), good, digest)


def test_a_key_too_short_for_the_hash() -> None:
    with pytest.raises(ProtocolError, match="too short"):
        sign(pki.key("short", 512), bytes(60))


def test_a_certificate_of_the_anchor_is_trusted() -> None:
    assert trusted_key([OWN], [ROOT], pki.TODAY) == pki.key("laptop").public_key()


def test_a_path_over_an_intermediate_that_the_peer_sends() -> None:
    between = pki.authority("between", "root", 0)
    own = pki.certificate("laptop", "between")
    assert trusted_key([own, between], [ROOT], pki.TODAY) == pki.key("laptop").public_key()
    assert trusted_key([own, OWN, between], [ROOT], pki.TODAY) == pki.key("laptop").public_key()
    assert "comes from CN=between,O=Test, which nobody here trusts" in refusal([own])


def test_the_anchor_may_be_the_certificate_itself() -> None:
    assert trusted_key([OWN], [OWN], pki.TODAY) == pki.key("laptop").public_key()


def test_what_is_wrong_with_a_path_is_said() -> None:
    assert refusal([]) == "the peer sent no certificate"
    assert "has expired on 2040-01-01" in refusal([OWN], date=pki.UNTIL + timedelta(seconds=1))
    assert "is valid from 2020-01-01" in refusal([OWN], date=pki.FROM - timedelta(seconds=1))
    assert "which nobody here trusts" in refusal([OWN], (pki.authority("another"),))
    assert "which nobody here trusts" in refusal([pki.certificate("laptop", "laptop")])

    impostor = pki.certificate("root", "root", x509.BasicConstraints(True, None), keys=("impostor", "impostor"))
    forged = pki.certificate("laptop", "root", keys=("laptop", "impostor"))
    assert "signature in the certificate of CN=laptop,O=Test is not that of" in refusal([forged])
    assert "is not that of CN=root,O=Test" in refusal([forged, impostor])  # the impostor is found, and leads nowhere


def test_who_may_not_issue() -> None:
    plain = pki.certificate("between", "root")
    own = pki.certificate("laptop", "between")
    assert "CN=between,O=Test is no certificate authority" in refusal([own, plain])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    unfit = pki.certificate("between", "root", x509.BasicConstraints(True, None), usage)
    assert "may not sign certificates" in refusal([own, unfit])
    short = pki.authority("root", length=0)
    middle = pki.authority("between", "root")
    assert "allows 0 authorities below it, here are 1" in refusal([own, middle], (short,))
    expired = pki.certificate("between", "root", x509.BasicConstraints(True, None), until=pki.FROM + timedelta(days=1))
    assert "CN=between,O=Test has expired" in refusal([own, expired])


def test_who_may_not_sign_and_what_is_not_understood() -> None:
    usage = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
    assert "is not for signatures" in refusal([pki.certificate("laptop", "root", usage)])
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0")
    assert "unknown critical extension, 1.2.3.4" in refusal([pki.certificate("laptop", "root", odd)])
    trusted_key([pki.certificate("laptop", "root", odd, critical=False)], [ROOT], pki.TODAY)
    curve = x509.CertificateBuilder().subject_name(pki.name("curve")).issuer_name(pki.name("root")).serial_number(1)
    curve = curve.not_valid_before(pki.FROM).not_valid_after(pki.UNTIL)
    elliptic = curve.public_key(ec.generate_private_key(ec.SECP256R1()).public_key()).sign(pki.key("root"), pki.hashes.SHA256())
    assert "is not for an RSA key" in refusal([elliptic])


def test_a_path_without_end() -> None:
    """Two authorities that vouch for each other, and for a third."""
    loop = [pki.authority("one", "two"), pki.authority("two", "one")]
    assert "more than" in refusal([pki.certificate("laptop", "one"), *loop])


@given(st.data())
@settings(max_examples=300)
def test_damaged_certificates_are_refused_or_read(data: st.DataObject) -> None:
    good = OWN.public_bytes(Encoding.DER)
    bent = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    der = bytes(bent[: data.draw(st.integers(0, len(bent)))])
    for candidate in (der, bytes(bent)):
        try:
            read = read_certificate(candidate)
            certificates.alternative_names(read)
            certificates.name_of(read)
            trusted_key([read], [ROOT], pki.TODAY)
        except ProtocolError:
            continue
        assert read.tbs_certificate_bytes == OWN.tbs_certificate_bytes  # else its signature would not hold


STRONGSWANS = bytes.fromhex("3021310d300b060355040a1304546573743110300e0603550403130767617465776179")  # "O=Test, CN=gateway"


def test_a_name_is_the_same_in_whatever_strings() -> None:
    ours = pki.name("gateway")
    assert ours.public_bytes() != STRONGSWANS  # UTF-8 strings here, printable ones there
    assert certificates.read_name(STRONGSWANS) == certificates.read_name(ours.public_bytes()) == ours
    assert certificates.same_name(ours, pki.name("GateWay"))
    assert not certificates.same_name(ours, pki.name("gateway2"))


@given(st.data())
@settings(max_examples=300)
def test_damaged_names_are_refused_or_read(data: st.DataObject) -> None:
    bent = bytearray(STRONGSWANS)
    for _ in range(data.draw(st.integers(0, 3))):
        bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    for der in (bytes(bent), bytes(bent[: data.draw(st.integers(0, len(bent)))]), data.draw(st.binary(max_size=60))):
        with suppress(ProtocolError):
            certificates.read_name(der).rfc4514_string()


def test_credentials_from_files() -> None:
    pem, root = OWN.public_bytes(Encoding.PEM), ROOT.public_bytes(Encoding.PEM)
    found = Credentials.from_pem(pki.key_pem(pki.key("laptop")), pem + root, root, lambda now: pki.TODAY)
    assert (found.chain, found.anchors) == ((OWN, ROOT), (ROOT,))
    assert "key" not in repr(found)
    with pytest.raises(ValueError, match="not that of the private key"):
        Credentials.from_pem(pki.key_pem(pki.key("other")), pem, root, lambda now: pki.TODAY)
