"""IKEv1 conversations: decrypts what the run's keys allow, and names each message by its place in the exchange.

IVs (RFC 2409, appendix B): the first encrypted main-mode message uses hash(g^xi | g^xr), given with the key; each further one the
last block of the one before. Quick mode and informational exchanges begin with hash(last phase-1 block | message ID) and chain
likewise within their message ID. An exact retransmission must not move a chain on, so messages are remembered by digest; that also
spares the work on the second side of the NAT.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Any

from harness.errors import ProtocolError
from harness.probes.dissector import cbc
from harness.probes.dissector import ike_names as names
from harness.probes.dissector.ike_layers import Payload, chain, describe, payload_names, read_header
from harness.probes.keyring import CIPHER_BLOCK, IkeKey, Keyring

_ENCRYPTED = 0x01
_NO_COOKIE = "00" * 8


@dataclass(slots=True)
class _Exchange:
    """One message ID within an SA: who began it, the messages so far, and the IV that the next one uses."""

    begun_by_initiator: bool
    messages: int = 0
    iv: bytes | None = None


@dataclass(slots=True)
class _Conversation:
    """All that goes under one initiator cookie."""

    initiators: set[str] = field(default_factory=set)  # addresses, as many as there are sides
    responders: set[str] = field(default_factory=set)
    blocks: list[bytes] = field(default_factory=list)  # the phase-1 chain: last ciphertext blocks, oldest first
    exchanges: dict[int, _Exchange] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    facts: dict[str, Any]
    problem: str | None


class IkeReader:
    """Feed it the messages of both sides in the order of their time stamps."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys
        self._conversations: dict[str, _Conversation] = {}
        self._known: dict[bytes, _Known] = {}
        self._seen: set[tuple[str, bytes]] = set()

    def read(self, side: str, message: bytes, src: str, dst: str) -> tuple[dict[str, Any], str | None]:
        """(Observation.ike, problem). ProtocolError where not even the header can be read."""
        digest = hashlib.blake2b(message, digest_size=16).digest()
        known = self._known.get(digest)
        if known is None:
            known = self._known[digest] = self._read(message, src, dst)
        self._roles(known.facts, src, dst)
        again = (side, digest) in self._seen
        self._seen.add((side, digest))
        return known.facts | {"retransmission": again}, known.problem

    def _roles(self, facts: dict[str, Any], src: str, dst: str) -> _Conversation:
        conversation = self._conversations.get(facts["icookie"])
        if conversation is None:
            conversation = self._conversations[facts["icookie"]] = _Conversation({src}, {dst})
        elif facts["rcookie"] == _NO_COOKIE and facts["exchange"] in ("main mode", "aggressive mode"):
            conversation.initiators.add(src)
            conversation.responders.add(dst)
        return conversation

    def _read(self, message: bytes, src: str, dst: str) -> _Known:
        header = read_header(message)
        facts: dict[str, Any] = {
            "icookie": bytes(header.icookie).hex(),
            "rcookie": bytes(header.rcookie).hex(),
            "version": f"{header.version >> 4}.{header.version & 15}",
            "exchange": names.EXCHANGES.get(header.exchange, f"exchange {header.exchange}"),
            "message_id": f"{header.message_id:08x}",
            "flags": header.flags,
            "encrypted": bool(header.flags & _ENCRYPTED),
            "decrypted": False,
            "message": None,
            "from_initiator": None,
        } | {"payloads": []} | describe([])
        if header.version >> 4 != 1:
            facts["exchange"] = f"IKEv{header.version >> 4} exchange {header.exchange}"
            return _Known(facts, f"ike: version {facts['version']} is not read here")
        conversation = self._roles(facts, src, dst)
        answers = src in conversation.responders or dst in conversation.initiators
        sent_by_initiator = src in conversation.initiators or not answers
        facts["from_initiator"] = sent_by_initiator
        problem = None
        try:
            payloads = self._payloads(header, facts, conversation, sent_by_initiator)
            if payloads is not None:
                facts["payloads"] = payload_names(payloads)
                facts.update(describe(payloads))
                public = next((payload.body for payload in payloads if payload.kind == names.KE), None)
                if public is not None and not facts["encrypted"]:
                    facts["key_exchange"] = public.hex()
        except ProtocolError as error:
            problem = str(error)
        facts["message"] = self._name(header, facts, conversation, sent_by_initiator)
        return _Known(facts, problem)

    def _payloads(
        self, header: Any, facts: dict[str, Any], conversation: _Conversation, by_initiator: bool
    ) -> list[Payload] | None:
        """None where no key of the run opens the message."""
        body = bytes(header.body)
        if not facts["encrypted"]:
            return chain(header.next_payload, body)
        exchange = None
        if header.message_id:
            exchange = conversation.exchanges.setdefault(header.message_id, _Exchange(by_initiator))
        key = self._keys.ike.get((facts["icookie"], facts["rcookie"]))
        if key is None:
            return None
        block = CIPHER_BLOCK[key.encryption]
        if not body or len(body) % block:
            raise ProtocolError("ike", f"{len(body)} encrypted bytes are no whole number of {block}-byte blocks", 24)
        for iv in self._ivs(key, header.message_id, conversation, exchange):
            payloads = self._try(key, iv, header.next_payload, body, bool(header.message_id))
            if payloads is not None:
                facts["decrypted"] = True
                if exchange is None:
                    conversation.blocks.append(body[-block:])
                else:
                    exchange.iv = body[-block:]
                return payloads
        raise ProtocolError("ike", "decrypts to nonsense with the run's key")

    @staticmethod
    def _ivs(key: IkeKey, message_id: int, conversation: _Conversation, exchange: _Exchange | None) -> list[bytes]:
        """The IV that ought to fit first; then those of earlier points of the chain, for a capture that misses a message."""
        bases = [*reversed(conversation.blocks), key.iv]
        if exchange is None:
            return bases
        size = CIPHER_BLOCK[key.encryption]
        fresh = [hashlib.new(key.hash, base + struct.pack("!I", message_id)).digest()[:size] for base in bases]
        return fresh if exchange.iv is None else [exchange.iv, *fresh]

    @staticmethod
    def _try(key: IkeKey, iv: bytes, first: int, body: bytes, second_phase: bool) -> list[Payload] | None:
        """The payloads, or None where this IV does not fit: its first block holds the first payload's header, and shows it."""
        try:
            payloads = chain(first, cbc.decrypt(key.encryption, key.key, iv, body), padded=True)
        except ProtocolError:
            return None
        if not second_phase:
            return payloads
        size = hashlib.new(key.hash).digest_size
        return payloads if payloads and payloads[0].kind == names.HASH and len(payloads[0].body) == size else None

    @staticmethod
    def _name(header: Any, facts: dict[str, Any], conversation: _Conversation, by_initiator: bool) -> str | None:
        """The message's name in its exchange. Called once for each distinct message, in their order."""
        if header.exchange == names.MAIN:
            if facts["encrypted"]:
                return "MM5" if by_initiator else "MM6"
            if "SA" in facts["payloads"]:
                return "MM1" if facts["rcookie"] == _NO_COOKIE else "MM2"
            if "KE" in facts["payloads"]:
                return "MM3" if by_initiator else "MM4"
            return None
        if header.exchange == names.INFORMATIONAL:
            return "INFO"
        if header.exchange == names.AGGRESSIVE:
            return "AM1" if facts["rcookie"] == _NO_COOKIE else "AM3" if by_initiator else "AM2"
        if header.exchange == names.QUICK:
            exchange = conversation.exchanges.setdefault(header.message_id, _Exchange(by_initiator))
            exchange.messages += 1
            if by_initiator != exchange.begun_by_initiator:
                return "QM2" if exchange.messages <= 2 else "QM4"
            return "QM1" if exchange.messages == 1 else "QM3"
        return None
