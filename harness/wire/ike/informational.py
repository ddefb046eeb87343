"""Informational exchanges (RFC 2408 §4.8, RFC 2409 §5.7): one message, no answer, protected as soon as there are keys."""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import ProtocolError
from harness.wire.events import InitialContact, Notified
from harness.wire.ike import registry
from harness.wire.ike.keys import Phase1Keys, message_hash, same
from harness.wire.ike.message import HEADER_SIZE, Header, Payload, read_payloads, write_message, write_payloads
from harness.wire.ike.payloads import Notification
from harness.wire.ike.sa import Outbox


def plain_notification(header: Header, kind: int) -> bytes:
    """An unprotected notification, for a peer with which there are no keys yet."""
    body = Notification(registry.PROTO_ISAKMP, kind, b"", b"").write()
    first, chain = write_payloads([(registry.NOTIFY, body)])
    return write_message(header._replace(first=first), chain)


def behind_hash(proof: bytes, first: int, chain: bytes) -> bytes:
    """A HASH payload and the chain it covers, whose first payload is of type `first`."""
    return bytes((first, 0)) + (len(proof) + 4).to_bytes(2) + proof + chain


def seal(keys: Phase1Keys, last_block: bytes, cookies: bytes, message_id: int, payloads: Iterable[tuple[int, bytes]]) -> bytes:
    """A protected message of an informational exchange; `message_id` is new with each."""
    first, chain = write_payloads(payloads)
    proof = message_hash(keys, message_id, chain)
    sealed = keys.encrypt(keys.message_iv(last_block, message_id), behind_hash(proof, first, chain))
    flags = registry.FLAG_ENCRYPTION
    header = Header(cookies[:8], cookies[8:], registry.HASH, registry.EXCHANGE_INFORMATIONAL, flags, message_id)
    return write_message(header, sealed)


def unseal(keys: Phase1Keys, iv: bytes, header: Header, data: bytes, *before: bytes) -> tuple[list[Payload], bytes]:
    """Payloads behind the HASH, once that has been checked over `before` and all of them; and the last cipher block.

    Serves quick mode too, whose second message hashes the initiator's nonce before the payloads.
    """
    cipher = data[HEADER_SIZE:]
    if not cipher:
        raise ProtocolError("ike", "an encrypted message without payloads", HEADER_SIZE)
    plain = keys.cipher.decrypt(iv, cipher)
    payloads = read_payloads(header.first, plain)
    if not payloads or payloads[0].type != registry.HASH:
        raise ProtocolError("ike", "a protected message does not begin with a HASH", HEADER_SIZE)
    proof = payloads[0]
    covered = plain[proof.end : payloads[-1].end]
    if not same(proof.body, message_hash(keys, header.message_id, *before, covered)):
        raise ProtocolError("ike", "the HASH of a protected message does not match")
    return payloads[1:], cipher[-keys.cipher.block :]


def report_notifications(outbox: Outbox, notifications: Iterable[Notification], *, protected: bool) -> None:
    for notification in notifications:
        kind = InitialContact if protected and notification.type == registry.INITIAL_CONTACT else Notified
        outbox.event(kind(notification.type, notification.name, notification.data, protected))
