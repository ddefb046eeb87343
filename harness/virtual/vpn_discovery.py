"""Tunnel endpoint discovery (TED): a router that has a flow to protect, and no peer for it, asks whoever protects the other end.

The question travels as the flow does, from host to host, so that it comes to the router in front of the other host; that one
answers from its own address, and phase 1 begins with it. What question and answer look like the vendor has not published; these
are ISAKMP messages of an exchange type for private use (RFC 2408 §3.1), with the asker's address as an ID and the flow as two
more. Neither is authentic: they only say whom to begin with, and phase 1 finds out who that is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.errors import ProtocolError
from harness.virtual.access_list import Flow
from harness.virtual.crypto_map import IsakmpEntry, Match
from harness.wire import ip
from harness.wire.config import Child, Entropy
from harness.wire.ike import registry
from harness.wire.ike.message import HEADER_SIZE, Header, every, read_header, read_payloads, write_message, write_payloads
from harness.wire.ike.payloads import Identification
from harness.wire.packet import Packet

EXCHANGE = 240
AGAIN_S = 5.0
"""So long no other question for the same flow goes out."""
MOST = 64
"""Questions remembered; the oldest gives way."""


@dataclass(slots=True)
class Question:
    match: Match
    child: Child
    asked_at: float


@dataclass(slots=True)
class Discovery:
    """`address` is the router's own. What is open is found by the cookie of the question."""

    address: str
    entropy: Entropy
    open: dict[bytes, Question] = field(default_factory=dict)

    def ask(self, now: float, child: Child, match: Match, flow: Flow) -> Packet | None:
        """The question for `flow`; None where one for the same is still open."""
        self.open = {cookie: one for cookie, one in self.open.items() if now - one.asked_at < AGAIN_S}
        if any(one.child.key == child.key for one in self.open.values()):
            return None
        while len(self.open) >= MOST:
            del self.open[next(iter(self.open))]
        cookie = self.entropy(8)
        self.open[cookie] = Question(match, child, now)
        ends = [Identification.of_selector(end) for end in (child.local, child.remote)]
        source, destination = (ip.dotted(number.to_bytes(4)) for number in (flow.source, flow.destination))
        return Packet(source, destination, ip.UDP, self._message(cookie, bytes(8), ends), registry.PORT, registry.PORT)

    def answer(self, message: bytes) -> Packet | None:
        """To a question for a flow that we protect, back to who asked. ProtocolError where it is malformed."""
        header, ids = _read(message)
        if header.rcookie != bytes(8):
            return None
        asker = ids[0].name
        return Packet(self.address, asker, ip.UDP, self._message(header.icookie, self.entropy(8), []), registry.PORT, registry.PORT)

    def answered(self, message: bytes) -> Question | None:
        """The question that this answers, which is then open no more."""
        header, _ = _read(message)
        return self.open.pop(header.icookie, None) if header.rcookie != bytes(8) else None

    def _message(self, icookie: bytes, rcookie: bytes, ends: list[Identification]) -> bytes:
        ids = [Identification.of_address(self.address), *ends]
        first, chain = write_payloads([(registry.ID, one.write()) for one in ids])
        return write_message(Header(icookie, rcookie, first, EXCHANGE, 0, 0), chain)


def is_discovery(message: bytes) -> bool:
    return len(message) > HEADER_SIZE and message[18] == EXCHANGE


def discovers(match: Match) -> bool:
    return match.reference is not None and match.reference.discover and isinstance(match.entry, IsakmpEntry)


def _read(message: bytes) -> tuple[Header, list[Identification]]:
    header = read_header(message)
    ids = [Identification.read(body) for body in every(read_payloads(header.first, message, HEADER_SIZE), registry.ID)]
    if not ids or ids[0].kind != registry.ID_IPV4_ADDR:
        raise ProtocolError("ike", "a discovery without the address of who sent it")
    return header, ids
