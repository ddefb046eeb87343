"""How the two sides prove in phase 1 who they are: by a pre-shared key (RFC 2409 §5.4) or by RSA signatures (§5.1).

Either way the proof is over the same hash; what differs is SKEYID, the payloads that carry the proof, and what a failure means.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.config import IkeConfig, IkeProposal
from harness.wire.crypto.certificates import (
    Credentials,
    alternative_names,
    check_signature,
    name_of,
    read_certificate,
    read_name,
    same_name,
    sign,
    trusted_key,
)
from harness.wire.crypto.digest import Hash
from harness.wire.ike import registry
from harness.wire.ike.keys import same, skeyid_psk, skeyid_signatures
from harness.wire.ike.message import Payload, every, only
from harness.wire.ike.payloads import Identification


class Authentication(Protocol):
    """`suspicion` is what an unreadable or missing answer to one's proof usually means."""

    @property
    def suspicion(self) -> str: ...

    def skeyid(self, algorithm: Hash, shared: bytes, nonces: tuple[bytes, bytes]) -> bytes:
        """`nonces` are the initiator's and the responder's."""

    def prove(self, digest: bytes) -> list[tuple[int, bytes]]:
        """The payloads that prove one's own HASH_I or HASH_R."""

    def check(self, now: float, message: str, payloads: Sequence[Payload], identity: Identification, digest: bytes) -> str:
        """The peer's name, once its proof of `identity` over `digest` holds; else a ProtocolError."""


@dataclass(frozen=True, slots=True)
class PresharedKey:
    key: bytes = field(repr=False)

    @property
    def suspicion(self) -> str:
        return "the usual sign that the pre-shared keys differ"

    def skeyid(self, algorithm: Hash, shared: bytes, nonces: tuple[bytes, bytes]) -> bytes:
        return skeyid_psk(algorithm, self.key, *nonces)

    def prove(self, digest: bytes) -> list[tuple[int, bytes]]:
        return [(registry.HASH, digest)]

    def check(self, now: float, message: str, payloads: Sequence[Payload], identity: Identification, digest: bytes) -> str:
        if not same(digest, only(payloads, registry.HASH, message)):
            raise ProtocolError("ike", f"the HASH of {message} does not match: the pre-shared keys differ")
        return identity.name


@dataclass(frozen=True, slots=True)
class Signatures:
    credentials: Credentials

    @property
    def suspicion(self) -> str:
        return "the usual sign that the peer does not take our certificate"

    def skeyid(self, algorithm: Hash, shared: bytes, nonces: tuple[bytes, bytes]) -> bytes:
        return skeyid_signatures(algorithm, shared, *nonces)

    def prove(self, digest: bytes) -> list[tuple[int, bytes]]:
        """The certificates go along whether the peer asked for them or not: not every peer asks."""
        encoding = bytes((registry.X509_SIGNATURE,))
        chain = [(registry.CERT, encoding + certificate.public_bytes(Encoding.DER)) for certificate in self.credentials.chain]
        return [*chain, (registry.SIGNATURE, sign(self.credentials.key, digest))]

    def check(self, now: float, message: str, payloads: Sequence[Payload], identity: Identification, digest: bytes) -> str:
        signature = only(payloads, registry.SIGNATURE, message)
        certificates = _certificates(payloads)
        key = trusted_key(certificates, self.credentials.anchors, self.credentials.date(now))
        own = certificates[0]
        if not _vouches(own, identity):
            raise ProtocolError("ike", f"the certificate of {name_of(own)} does not vouch for the ID {identity}")
        check_signature(key, signature, digest)
        return name_of(own) if identity.kind == registry.ID_DER_ASN1_DN else identity.name


def authentication(config: IkeConfig, proposal: IkeProposal, *, initiator: bool, peer: str) -> Authentication:
    """`peer` is the address or the ID by which a responder finds the key."""
    if proposal.authentication == "rsa":
        return Signatures(_credentials(config))
    if initiator or config.psk_for is None:
        return PresharedKey(config.psk)
    key = config.psk_for(peer)
    if key is None:
        raise ProtocolError("ike", f"there is no pre-shared key for {peer}")
    return PresharedKey(key)


def own_identity(config: IkeConfig) -> Identification:
    kind, _, name = config.identity.partition(":")
    if kind == "address":
        return Identification.of_address(config.address, config.id_protocol, config.id_port)
    value = _credentials(config).chain[0].subject.public_bytes() if kind == "dn" else name.encode()
    return Identification(_KINDS[kind], config.id_protocol, config.id_port, value)


def certificate_requests(config: IkeConfig, rows: Iterable[IkeProposal]) -> list[tuple[int, bytes]]:
    """A CERTREQ for each anchor (RFC 2408 §3.10), where one of `rows` is authenticated by signatures."""
    if not any(row.authentication == "rsa" for row in rows):
        return []
    encoding = bytes((registry.X509_SIGNATURE,))
    anchors = _credentials(config).anchors
    return [(registry.CERT_REQUEST, encoding + anchor.subject.public_bytes()) for anchor in anchors]


def read_certificate_requests(payloads: Iterable[Payload]) -> list[bytes]:
    """The names, in DER, of the authorities from which the peer wants X.509 certificates; an empty one stands for any."""
    found = []
    for body in every(payloads, registry.CERT_REQUEST):
        reader = Reader("ike", body)
        if reader.u8("the encoding of a CERTREQ") == registry.X509_SIGNATURE:
            found.append(reader.rest())
    return found


def _certificates(payloads: Iterable[Payload]) -> list[x509.Certificate]:
    """Those encoded as X.509 for signatures; revocation lists and the like are passed over."""
    found = []
    for body in every(payloads, registry.CERT):
        reader = Reader("ike", body)
        if reader.u8("the encoding of a CERT") == registry.X509_SIGNATURE:
            found.append(read_certificate(reader.rest()))
    return found


def _vouches(certificate: x509.Certificate, identity: Identification) -> bool:
    """Whether the ID is the certificate's subject, or one of its alternative names (RFC 4945 §3.1)."""
    if identity.kind == registry.ID_DER_ASN1_DN:
        return same_name(certificate.subject, read_name(identity.value))
    names = alternative_names(certificate)
    if names is None:
        return False
    if identity.kind == registry.ID_IPV4_ADDR:
        return ipaddress.IPv4Address(identity.value) in names.get_values_for_type(x509.IPAddress)
    wanted = identity.value.decode("latin-1").lower()
    if identity.kind == registry.ID_FQDN:
        return wanted in (name.lower() for name in names.get_values_for_type(x509.DNSName))
    if identity.kind == registry.ID_USER_FQDN:
        return wanted in (name.lower() for name in names.get_values_for_type(x509.RFC822Name))
    return False


def _credentials(config: IkeConfig) -> Credentials:
    if config.credentials is None:
        raise AssertionError("IkeConfig lets no proposal ask for signatures without credentials")
    return config.credentials


_KINDS = {"fqdn": registry.ID_FQDN, "user-fqdn": registry.ID_USER_FQDN, "dn": registry.ID_DER_ASN1_DN}
