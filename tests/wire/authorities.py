"""Certificates made for a test: an authority, what it issues, and the keys. The same in every run."""

from __future__ import annotations

import ipaddress
import random
import zlib
from datetime import UTC, datetime
from functools import cache

import gmpy2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from harness.wire.crypto.certificates import Credentials

TODAY = datetime(2030, 1, 1, tzinfo=UTC)
FROM, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)


def key(name: str, bits: int = 1024) -> rsa.RSAPrivateKey:
    """Drawn from the name: nothing that has to stay secret."""
    return _key(name, bits)


@cache
def _key(name: str, bits: int) -> rsa.RSAPrivateKey:
    draw = random.Random(f"{name} {bits}")
    top = 0b11 << bits // 2 - 2
    p, q = (int(gmpy2.next_prime(draw.getrandbits(bits // 2) | top)) for _ in "pq")
    exponent = int(gmpy2.invert(65537, (p - 1) * (q - 1)))
    crt = rsa.rsa_crt_dmp1(exponent, p), rsa.rsa_crt_dmq1(exponent, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, exponent, *crt, rsa.RSAPublicNumbers(65537, p * q)).private_key()


def name(common: str) -> x509.Name:
    names = (x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, common))
    return x509.Name(names)


def certificate(
    subject: str,
    issuer: str,
    *extensions: x509.ExtensionType,
    bits: int = 1024,
    since: datetime = FROM,
    until: datetime = UNTIL,
    critical: bool = True,
    keys: tuple[str, str] | None = None,
) -> x509.Certificate:
    """Of the key named like the subject, signed with the key named like the issuer, unless `keys` names others."""
    public, private = keys or (subject, issuer)
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
    builder = builder.public_key(key(public, bits).public_key()).serial_number(zlib.crc32(f"{subject} of {issuer}".encode()) | 1)
    builder = builder.not_valid_before(since).not_valid_after(until)
    for extension in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key(private, bits), hashes.SHA256())


def authority(subject: str = "root", issuer: str | None = None, length: int | None = None, bits: int = 1024) -> x509.Certificate:
    return certificate(subject, issuer or subject, x509.BasicConstraints(True, length), bits=bits)


def alternative(*names: str) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = []
    for one in names:
        if one.replace(".", "").isdigit():
            found.append(x509.IPAddress(ipaddress.IPv4Address(one)))
        else:
            found.append(x509.RFC822Name(one) if "@" in one else x509.DNSName(one))
    return x509.SubjectAlternativeName(found)


def credentials(
    subject: str, *names: str, anchors: tuple[x509.Certificate, ...] = (), issuer: str = "root", bits: int = 1024
) -> Credentials:
    """Of a certificate with these alternative names; trusting the root unless `anchors` says otherwise."""
    own = certificate(subject, issuer, alternative(*names or (f"{subject}.example.com",)), bits=bits)
    return Credentials(key(subject, bits), (own,), anchors or (authority(bits=bits),), lambda now: TODAY)


def key_pem(private: rsa.RSAPrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
