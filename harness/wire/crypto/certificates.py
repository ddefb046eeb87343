"""RSA signatures as IKEv1 makes them, and the certificates that vouch for the keys.

Sources: RFC 2409 §5.1 (the hash is signed as it is, in a PKCS #1 block of type 1, without the name of its algorithm), RFC 8017
§9.2 (that block), RFC 5280 §6.1 (the path: names, signatures, dates, basic constraints, key usage).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import gmpy2
from Crypto.Util.asn1 import DerObject, DerObjectId, DerSequence, DerSetOf
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from harness.errors import ProtocolError

MAX_PATH = 8  # certificates between a peer's own and the anchor
_LEAST_PADDING = 8
_STRINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}  # by the DER tag
T = TypeVar("T", bound=x509.ExtensionType)
_UNDERSTOOD = {
    x509.oid.ExtensionOID.BASIC_CONSTRAINTS,
    x509.oid.ExtensionOID.KEY_USAGE,
    x509.oid.ExtensionOID.EXTENDED_KEY_USAGE,
    x509.oid.ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    x509.oid.ExtensionOID.CERTIFICATE_POLICIES,
}
"""Extensions that may be marked critical: a certificate with any other is refused (RFC 5280 §4.2)."""
_UNREADABLE = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, x509.InvalidVersion,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one signs with, and whom one trusts. `chain` begins with one's own certificate; issuers that the peer may lack follow.
    `date` turns a time on the core's clock into the date at which the peer's certificates have to be valid."""

    key: RSAPrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]
    anchors: tuple[x509.Certificate, ...]
    date: Callable[[float], datetime]

    @classmethod
    def from_pem(cls, key: bytes, chain: bytes, anchors: bytes, date: Callable[[float], datetime]) -> Credentials:
        """From the contents of PEM files. What is in them is the owner's word: a mistake is a ValueError."""
        private = load_pem_private_key(key, None)
        own = tuple(x509.load_pem_x509_certificates(chain))
        if not isinstance(private, RSAPrivateKey):
            raise ValueError("the private key is no RSA key")
        if own[0].public_key() != private.public_key():
            raise ValueError("the first certificate is not that of the private key")
        return cls(private, own, tuple(x509.load_pem_x509_certificates(anchors)), date)


def sign(key: RSAPrivateKey, digest: bytes) -> bytes:
    numbers = key.private_numbers()
    modulus = numbers.public_numbers.n
    size = (modulus.bit_length() + 7) // 8
    return int(gmpy2.powmod(int.from_bytes(_block(digest, size)), numbers.d, modulus)).to_bytes(size)


def check_signature(key: RSAPublicKey, signature: bytes, digest: bytes) -> None:
    numbers = key.public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    if len(signature) != size or int.from_bytes(signature) >= numbers.n:
        raise ProtocolError("crypto", f"a signature of {len(signature)} bytes does not fit an RSA key of {size} bytes")
    found = int(gmpy2.powmod(int.from_bytes(signature), numbers.e, numbers.n)).to_bytes(size)
    if not hmac.compare_digest(found, _block(digest, size)):
        raise ProtocolError("crypto", "the signature is not that of the certificate's key over this exchange")


def _block(digest: bytes, size: int) -> bytes:
    padding = size - len(digest) - 3
    if padding < _LEAST_PADDING:
        raise ProtocolError("crypto", f"an RSA key of {size} bytes is too short to sign a hash of {len(digest)}")
    return b"\x00\x01" + b"\xff" * padding + b"\x00" + digest


def read_certificate(der: bytes) -> x509.Certificate:
    """A certificate of which everything that is asked of it later can be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.public_key()
        list(certificate.extensions)
        _ = certificate.subject, certificate.issuer, certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except _UNREADABLE as error:
        raise ProtocolError("crypto", f"a certificate that cannot be read: {error}") from error
    return certificate


def read_name(der: bytes) -> x509.Name:
    """A distinguished name. Whether its strings are printable, UTF-8 or BMP strings makes no difference to it (RFC 5280 §7.1)."""
    try:
        return x509.Name([_relative_name(part) for part in _elements(DerSequence(), der)])
    except (ValueError, IndexError, KeyError) as error:
        raise ProtocolError("crypto", f"a distinguished name that cannot be read: {error}") from error


def _relative_name(der: bytes) -> x509.RelativeDistinguishedName:
    attributes = []
    for pair in _elements(DerSetOf(), der):
        kind, value = _elements(DerSequence(), pair)
        text = DerObject().decode(value, strict=True).payload.decode(_STRINGS[value[0]])
        attributes.append(x509.NameAttribute(x509.ObjectIdentifier(DerObjectId().decode(kind).value), text))
    return x509.RelativeDistinguishedName(attributes)


def _elements(reader: DerSequence | DerSetOf, der: bytes) -> list[bytes]:
    """All but integers, which no name has, are given as they stand."""
    reader.decode(der, strict=True)
    found: list[bytes | int] = [reader[index] for index in range(len(reader))]
    elements = [element for element in found if isinstance(element, bytes)]
    if len(elements) < len(found):
        raise ValueError("an integer")
    return elements


def same_name(one: x509.Name, other: x509.Name) -> bool:
    """Whether two names are the same but for case (RFC 5280 §7.1)."""
    return one.rfc4514_string().casefold() == other.rfc4514_string().casefold()


def trusted_key(received: Sequence[x509.Certificate], anchors: Iterable[x509.Certificate], date: datetime) -> RSAPublicKey:
    """The key of the first certificate, once a path of those received leads from it to an anchor. Refusals say what is missing."""
    if not received:
        raise ProtocolError("crypto", "the peer sent no certificate")
    key = received[0].public_key()
    if not isinstance(key, RSAPublicKey):
        raise ProtocolError("crypto", f"the certificate of {name_of(received[0])} is not for an RSA key")
    usage = _extension(received[0], x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise ProtocolError("crypto", f"the certificate of {name_of(received[0])} is not for signatures (key usage)")
    own, *others = received
    _walk(own, others, tuple(anchors), date)
    return key


def _walk(own: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], date: datetime) -> None:
    """From `own`, issuer by issuer, to an anchor. An anchor itself is trusted as it stands, if it may issue and has not expired."""
    current = own
    for below in range(MAX_PATH):
        _check_dates(current, date)
        _check_critical(current)
        if current in anchors:
            return
        issuer = _issuer(current, (*anchors, *others))
        _check_issuer(issuer, below)
        current = issuer
    raise ProtocolError("crypto", f"the path from {name_of(own)} to an anchor has more than {MAX_PATH} certificates")


def _issuer(certificate: x509.Certificate, candidates: Iterable[x509.Certificate]) -> x509.Certificate:
    named = [candidate for candidate in candidates if candidate.subject == certificate.issuer and candidate != certificate]
    if not named:
        whom = certificate.issuer.rfc4514_string()
        raise ProtocolError("crypto", f"the certificate of {name_of(certificate)} comes from {whom}, which nobody here trusts")
    for candidate in named:
        try:
            certificate.verify_directly_issued_by(candidate)
        except (InvalidSignature, *_UNREADABLE):
            continue
        return candidate
    raise ProtocolError("crypto", f"the signature in the certificate of {name_of(certificate)} is not that of {name_of(named[0])}")


def _check_issuer(issuer: x509.Certificate, below: int) -> None:
    """`below`: how many certificates of issuers lie between it and the peer's own."""
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise ProtocolError("crypto", f"{name_of(issuer)} is no certificate authority (basic constraints)")
    if constraints.path_length is not None and constraints.path_length < below:
        raise ProtocolError("crypto", f"{name_of(issuer)} allows {constraints.path_length} authorities below it, here are {below}")
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise ProtocolError("crypto", f"{name_of(issuer)} may not sign certificates (key usage)")


def _check_dates(certificate: x509.Certificate, date: datetime) -> None:
    if date < certificate.not_valid_before_utc:
        since = certificate.not_valid_before_utc
        raise ProtocolError("crypto", f"the certificate of {name_of(certificate)} is valid from {since:%Y-%m-%d %H:%M} on")
    if date > certificate.not_valid_after_utc:
        until = certificate.not_valid_after_utc
        raise ProtocolError("crypto", f"the certificate of {name_of(certificate)} has expired on {until:%Y-%m-%d %H:%M}")


def _check_critical(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            what = extension.oid.dotted_string
            raise ProtocolError("crypto", f"the certificate of {name_of(certificate)} has an unknown critical extension, {what}")


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    return _extension(certificate, x509.SubjectAlternativeName)


def name_of(certificate: x509.Certificate) -> str:
    """Its subject, as one writes it (RFC 4514)."""
    return certificate.subject.rfc4514_string() or "nobody"
