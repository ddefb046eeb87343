"""What the two sides of phase 1 tell each other, and what follows from it, whatever exchange carries it (RFC 2409 §5, RFC 3947 §3).

Methods named take_… check before they keep anything that matters, but it is the run's business to go back to a copy of the whole
where a later check of the same message fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.errors import ProtocolError
from harness.wire.config import Entropy, IkeConfig, IkeProposal
from harness.wire.crypto.dh import GROUPS, KeyPair
from harness.wire.crypto.digest import HASHES
from harness.wire.ike import natt, registry
from harness.wire.ike.attributes import PHASE_1
from harness.wire.ike.authentication import (
    Authentication,
    authentication,
    certificate_requests,
    own_identity,
    read_certificate_requests,
)
from harness.wire.ike.keys import Phase1Keys, identity_hash, phase_1
from harness.wire.ike.message import Header, Payload, every, only
from harness.wire.ike.payloads import Identification
from harness.wire.ike.proposals import ike_choice, ike_offer, read_sa, write_sa

NONCE_SIZE = 32
Body = tuple[int, bytes]
"""A payload to send: its type and its body."""


class Handshake:
    """Shallow copies are independent: every value in it is immutable."""

    __slots__ = (
        "_authentication", "_config", "_entropy", "_identity", "_initiator", "_pair", "_peer_nonce", "_peer_public",
        "_peer_vendor_ids", "_proposal", "_shared", "choice", "dialect", "icookie", "iv", "keys", "nat", "nonce", "offer",
        "peer_identity", "peer_name", "rcookie",
    )  # fmt: skip

    def __init__(self, config: IkeConfig, entropy: Entropy, *, initiator: bool) -> None:
        self.icookie = entropy(8) if initiator else bytes(8)
        self.rcookie = bytes(8) if initiator else entropy(8)
        self.nonce = entropy(NONCE_SIZE)
        self.offer = b""  # body of the initiator's SA payload, which both HASHes cover
        self.choice = b""
        self.dialect: natt.Dialect | None = None
        self.keys: Phase1Keys | None = None
        self.iv = b""
        self.nat = (False, False)  # this side is behind one, the peer is
        self.peer_identity = b""  # body of its ID payload
        self.peer_name = ""  # in text, once proved
        self._identity = own_identity(config).write()
        self._config = config
        self._entropy = entropy
        self._initiator = initiator
        self._proposal: IkeProposal | None = None
        self._pair: KeyPair | None = None
        self._authentication: Authentication | None = None
        self._peer_public = b""
        self._peer_nonce = b""
        self._peer_vendor_ids: list[bytes] = []
        self._shared = b""

    def __copy__(self) -> Handshake:
        """As copy.copy would do of itself, at half the cost; every message taken needs one."""
        twin = object.__new__(type(self))
        for name in Handshake.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    @property
    def cookies(self) -> bytes:
        return self.icookie + self.rcookie

    @property
    def agreed(self) -> IkeProposal:
        if self._proposal is None:
            raise AssertionError("the table lets no keys be made before the proposal is agreed")
        return self._proposal

    @property
    def agreed_keys(self) -> Phase1Keys:
        if self.keys is None:
            raise AssertionError("the table lets nothing be proved or encrypted before the keys are there")
        return self.keys

    @property
    def authentication(self) -> Authentication | None:
        """As soon as there are keys."""
        return self._authentication

    @property
    def peer_dpd(self) -> bool:
        return registry.DPD_VENDOR_ID in self._peer_vendor_ids

    # Proposals and vendor IDs

    def make_offer(self, rows: Iterable[IkeProposal]) -> Body:
        self.offer = ike_offer(tuple(rows))
        return registry.SA, self.offer

    def take_offer(self, message: str, header: Header, payloads: Sequence[Payload], rows: Iterable[IkeProposal]) -> bool:
        """Whether one of `rows` is in it."""
        offer = only(payloads, registry.SA, message)
        choice = ike_choice(read_sa(PHASE_1, offer), rows)
        if choice is None:
            return False
        self.icookie = header.icookie
        self.offer = offer
        self.choice = write_sa(PHASE_1, [choice[0]])
        self._proposal = choice[1]
        self._take_vendor_ids(payloads)
        return True

    def take_choice(self, message: str, header: Header, payloads: Sequence[Payload]) -> None:
        proposals = read_sa(PHASE_1, only(payloads, registry.SA, message))
        if len(proposals) != 1 or len(proposals[0].transforms) != 1:
            raise ProtocolError("ike", f"{message} holds more than the one transform chosen")
        choice = ike_choice(proposals, self._config.proposals)
        if choice is None:
            raise ProtocolError("ike", f"the peer chose what was not offered: {proposals[0].transforms[0]}")
        if header.rcookie == bytes(8):
            raise ProtocolError("ike", f"{message} with a responder's cookie of zero", 8)
        self.rcookie = header.rcookie
        self._proposal = choice[1]
        self._take_vendor_ids(payloads)

    def vendor_ids(self) -> list[Body]:
        return [(registry.VENDOR_ID, value) for value in self._config.vendor_ids]

    def _take_vendor_ids(self, payloads: Sequence[Payload]) -> None:
        self._peer_vendor_ids = every(payloads, registry.VENDOR_ID)
        self.dialect = natt.common_dialect(self._config.vendor_ids, self._peer_vendor_ids)

    # Keys

    def key_payloads(self, group: str) -> list[Body]:
        if self._pair is None:
            self._pair = GROUPS[group].key_pair(self._entropy)
        return [(registry.KE, self._pair.public), (registry.NONCE, self.nonce)]

    def certificate_requests(self, rows: Iterable[IkeProposal]) -> list[Body]:
        return certificate_requests(self._config, rows)

    def take_keys(self, message: str, payloads: Sequence[Payload], *, by_identity: bool) -> None:
        """KE and NONCE, and the keys that follow. `by_identity`: the peer's ID is in the same message and names its key."""
        public, nonce = only(payloads, registry.KE, message), only(payloads, registry.NONCE, message)
        if not 8 <= len(nonce) <= 256:
            raise ProtocolError("ike", f"{message} with a nonce of {len(nonce)} bytes")
        read_certificate_requests(payloads)
        agreed, config = self.agreed, self._config
        peer = Identification.read(only(payloads, registry.ID, message)).name if by_identity else config.peer_address
        proof = authentication(config, agreed, initiator=self._initiator, peer=peer)
        if self._pair is None:
            self._pair = GROUPS[agreed.group].key_pair(self._entropy)
        shared = self._pair.shared(public)
        self._peer_public, self._peer_nonce, self._authentication = public, nonce, proof
        nonces, publics = (self.nonce, nonce), (self._pair.public, public)
        if not self._initiator:
            nonces, publics = nonces[::-1], publics[::-1]
        skeyid = proof.skeyid(HASHES[agreed.hash], shared, nonces)
        self.keys = phase_1(agreed.hash, agreed.encryption, skeyid, publics, shared, self.cookies)
        self.iv = self.keys.iv

    # NAT traversal

    def nat_payloads(self, ends: natt.Ends) -> list[Body]:
        """Two NAT-D, where both sides speak a dialect (RFC 3947 §3.2)."""
        if self.dialect is None:
            return []
        values = natt.own_nat_d(HASHES[self.agreed.hash], self.cookies, ends)
        return [(self.dialect.nat_d, value) for value in values]

    def take_nat(self, payloads: Sequence[Payload], *ends: natt.Ends) -> None:
        """Several `ends`: the peer may mean any of them, and there is a NAT only if none fits."""
        if self.dialect is None:
            return
        received = every(payloads, registry.NAT_D, registry.NAT_D_DRAFT)
        seen = [natt.behind_nat(HASHES[self.agreed.hash], self.cookies, these, received) for these in ends]
        self.nat = all(local for local, _ in seen), all(remote for _, remote in seen)

    # Identities and proofs

    def identity_payload(self) -> Body:
        return registry.ID, self._identity

    def proof(self) -> list[Body]:
        if self._authentication is None:
            raise AssertionError("the table lets nothing be proved before there are keys")
        return self._authentication.prove(self._digest(self._identity, ours=True))

    def take_identity(self, message: str, payloads: Sequence[Payload]) -> None:
        body = only(payloads, registry.ID, message)
        Identification.read(body)
        self.peer_identity = body

    def take_proof(self, now: float, message: str, payloads: Sequence[Payload]) -> None:
        """The proof of the identity taken before."""
        if self._authentication is None:
            raise AssertionError("the table lets nothing be proved before there are keys")
        identity = Identification.read(self.peer_identity)
        digest = self._digest(self.peer_identity, ours=False)
        self.peer_name = self._authentication.check(now, message, payloads, identity, digest)

    def _digest(self, identity: bytes, *, ours: bool) -> bytes:
        """HASH_I or HASH_R: public values and cookies begin with those of the side whose proof it is."""
        if self._pair is None:
            raise AssertionError("the table lets nothing be proved before there are keys")
        publics, cookies = (self._pair.public, self._peer_public), (self.icookie, self.rcookie)
        return identity_hash(
            self.agreed_keys,
            publics if ours else publics[::-1],
            cookies if ours is self._initiator else cookies[::-1],
            self.offer,
            identity,
        )
