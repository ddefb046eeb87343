"""Two certificates and their authority, the same in every run: keys drawn from names, for nothing that has to stay secret."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from functools import lru_cache

import gmpy2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from harness.wire.crypto.certificates import Credentials

SINCE, TODAY, UNTIL = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2030, 2040))
BITS = 1024
ROOT = "root"


@lru_cache(maxsize=8)
def credentials(name: str) -> Credentials:
    """Whose certificate says `name`.example.com, and who trusts the root."""
    own = _certificate(name, x509.SubjectAlternativeName([x509.DNSName(f"{name}.example.com")]))
    root = _certificate(ROOT, x509.BasicConstraints(True, None))
    return Credentials(_key(name), (own,), (root,), lambda now: TODAY)


@lru_cache(maxsize=8)
def _key(name: str) -> rsa.RSAPrivateKey:
    draw = random.Random(name)
    half = BITS // 2
    p, q = (int(gmpy2.next_prime(draw.getrandbits(half) | 0b11 << half - 2)) for _ in "pq")
    exponent = int(gmpy2.invert(65537, (p - 1) * (q - 1)))
    crt = rsa.rsa_crt_dmp1(exponent, p), rsa.rsa_crt_dmq1(exponent, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, exponent, *crt, rsa.RSAPublicNumbers(65537, p * q)).private_key()


def _certificate(subject: str, extension: x509.ExtensionType) -> x509.Certificate:
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(ROOT))
    builder = builder.public_key(_key(subject).public_key()).serial_number(len(subject))
    builder = builder.not_valid_before(SINCE).not_valid_after(UNTIL).add_extension(extension, critical=True)
    return builder.sign(_key(ROOT), hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
