"""IKEv1: initiator and responder, main and aggressive mode by key and by signatures, quick mode with and without PFS, others.

The peer has the right keys: hostile payload chains are also given to it to hash and encrypt, so that they are read to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from fuzzing import formats
from fuzzing.authority import credentials
from fuzzing.formats import Payload
from fuzzing.life import Shot, Violation
from fuzzing.mutation import Mutator
from fuzzing.pair import PairLife
from harness.wire.config import AhProposal, EspProposal, IkeConfig, IkeProposal
from harness.wire.events import Datagram
from harness.wire.ike import informational, phase_1, quick_mode, registry
from harness.wire.ike.association import MAX_QUICK
from harness.wire.ike.core import IkeCore
from harness.wire.ike.inbound import MAX_ANSWERED, MAX_HALF_OPEN
from harness.wire.ike.keys import Phase1Keys, message_hash
from harness.wire.ike.message import HEADER_SIZE, Header, write_message, write_payloads

CLIENT, GATEWAY, NAT = "10.0.0.2", "203.0.113.231", "203.0.113.232"
RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")
EXCHANGES = (registry.EXCHANGE_INFORMATIONAL, registry.EXCHANGE_QUICK)
WRITERS: tuple[Any, ...] = (informational, phase_1, quick_mode)
"""The modules in which chains of payloads are made."""


@contextmanager
def writing(through: Callable[[list[Payload]], list[Payload]]) -> Iterator[None]:
    """Meanwhile every chain of payloads that any core makes goes through this before it is hashed and encrypted."""

    def write(payloads: Sequence[Payload]) -> tuple[int, bytes]:
        return write_payloads(through(list(payloads)))

    for module in WRITERS:
        module.write_payloads = write
    try:
        yield
    finally:
        for module in WRITERS:
            module.write_payloads = write_payloads


class HostilePeer:
    """What somebody with the keys can say: chains that were heard before, spoilt, and sealed as they should be."""

    def __init__(self, mutator: Mutator) -> None:
        self.mutator = mutator
        self.heard: list[list[Payload]] = []
        self.bodies: list[Payload] = []

    def hear(self, chain: list[Payload]) -> list[Payload]:
        if len(self.heard) < 40:
            self.heard.append(chain)
            self.bodies += chain
        return chain

    def spoil(self, chain: list[Payload]) -> list[Payload]:
        """Now and then, while a core makes its own messages."""
        return formats.payloads(self.mutator, self.hear(chain), self.bodies) if self.mutator.chance(0.3) else self.hear(chain)

    def chain(self, more: Sequence[Payload] = ()) -> list[Payload]:
        """A hostile one."""
        choice = self.mutator.choice
        chain = list(choice.choice(self.heard)) if self.heard else [(registry.NOTIFY, bytes(12))]
        if more and self.mutator.chance(0.5):
            chain = [choice.choice(more)]
        chain = [(kind, body[:1000]) for kind, body in formats.payloads(self.mutator, chain, self.bodies)]
        return [one for one in chain if one[0] != registry.HASH][:70]

    def sealed(self, keys: Phase1Keys, last_block: bytes, cookies: bytes, more: Sequence[Payload] = ()) -> bytes:
        """Quick mode's first message, or an informational one, as it should be but for what it says."""
        choice = self.mutator.choice
        number = choice.choice((choice.getrandbits(32), choice.randrange(1, 30)))
        first, chain = write_payloads(self.chain(more))
        if self.mutator.chance(0.3):
            chain = self.mutator.spoil(chain, [body for _, body in self.bodies])
        proof = message_hash(keys, number, chain)
        cipher = keys.encrypt(keys.message_iv(last_block, number), informational.behind_hash(proof, first, chain))
        header = Header(cookies[:8], cookies[8:], registry.HASH, choice.choice(EXCHANGES), registry.FLAG_ENCRYPTION, number)
        return write_message(header, cipher)


class IkeLife(PairLife):
    shots = 150
    opening_messages = 12

    def build(self) -> None:
        draw = self.setting
        signed = draw.random() < 0.15
        proposals: tuple[IkeProposal, ...] = (
            IkeProposal(draw.choice(("aes-256", "3des")), draw.choice(("sha1", "sha256", "md5")), "ecp256"),
        )
        if signed:
            proposals = tuple(replace(row, authentication="rsa") for row in proposals)
        esp = (EspProposal("aes-256", "sha1"), EspProposal("3des", "md5", lifetime_kb=0))
        client = IkeConfig(
            CLIENT, GATEWAY, b"sharedsecret", proposals, esp, (RFC_3947, registry.DPD_VENDOR_ID),
            exchange=draw.choice(("main", "aggressive")), dpd_s=draw.choice((None, 10.0)), initial_contact=draw.random() < 0.5,
            pfs=draw.choice((None, None, None, "ecp256")), mode=draw.choice(("transport", "tunnel")),
            ah_proposals=draw.choice(((), (AhProposal("sha1"),))),
            credentials=credentials("laptop") if signed else None,
        )  # fmt: skip
        nat = draw.random() < 0.7
        gateway = replace(
            client, address=GATEWAY, peer_address=NAT if nat else CLIENT, rekey_margin=None, accept_aggressive=True,
            client_ports=(), credentials=credentials("gateway") if signed else None,
        )  # fmt: skip
        if draw.random() < 0.05:
            gateway = replace(gateway, psk=b"another")
        ends = [IkeCore(client, draw.randbytes), IkeCore(gateway, draw.randbytes)]
        ends[0].start(self.now)
        draw.shuffle(ends)
        self.target, self.friend = ends
        self.peer = HostilePeer(self.mutator)
        self.spoils = draw.random() < 0.5  # whether the friend's own messages come out spoilt, too

    def collect(self, core: Any) -> list[Shot]:
        core.take_events()
        return [Shot(("real", *_door(datagram)), _message(datagram)) for datagram in core.take_datagrams()]

    def answer(self, shot: Shot) -> None:
        with writing(self.peer.spoil if self.spoils else self.peer.hear):
            self.friend.receive(self.now, shot.data, shot.door[1])

    def deliver(self, shot: Shot) -> None:
        self.target.receive(self.now, shot.data, shot.door[1])

    def hostile(self) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        seen = list(self.crossed)
        port = choice.choice((500, 4500, 4500))
        kind = choice.random()
        if not seen or kind < 0.02:
            return [Shot(("noise", port), mutator.noise())]
        if kind < 0.45:
            made = self._sealed()
            if made is not None:
                return [Shot(("sealed", 4500 if self._floated() else 500), made)]
        if kind < 0.48:
            self._order()
        data = choice.choice(seen)
        if kind < 0.55:
            return [Shot(("replay", port), data)]
        if kind < 0.75 and len(data) > HEADER_SIZE and not data[19] & registry.FLAG_ENCRYPTION:
            return [Shot(("spoilt", port), self._in_the_clear(data))]
        data = mutator.spoil(data, seen)
        if kind < 0.95 and len(data) >= HEADER_SIZE:  # the length field is judged first
            data = data[:24] + len(data).to_bytes(4) + data[28:]
        return [Shot(("spoilt", port), data)]

    def _sealed(self) -> bytes | None:
        """With the keys of the friend's newest SA, or of the phase 1 that is under way."""
        own = self.friend._all
        more = [(registry.DELETE, self._delete(own)), (registry.NOTIFY, self._notify(own))]
        if own.sas:
            sa = self.mutator.choice.choice(own.sas)
            return self.peer.sealed(sa.keys, sa.last_block, sa.cookies, more)
        runs = [run for run in own.main if run.keys is not None]
        if not runs:
            return None
        run = self.mutator.choice.choice(runs)
        return self.peer.sealed(run.keys, run.last_block, run.icookie + run.rcookie, more)

    def _delete(self, own: Any) -> bytes:
        spis = [pair.spi_out for pair in own.pairs] + [pair.spi_in for pair in own.pairs] + [bytes(4)]
        spi: bytes = self.mutator.choice.choice(spis)
        return b"\0\0\0\1\3\4\0\1" + spi

    def _notify(self, own: Any) -> bytes:
        cookies: bytes = own.sas[-1].cookies if own.sas else bytes(16)
        kind = self.mutator.choice.choice((14, 24, 24576, 24578, 36136, 36137))
        return b"\0\0\0\1\1\x10" + kind.to_bytes(2) + cookies + self.mutator.choice.randbytes(4)

    def _order(self) -> None:
        """The friend begins another exchange, hostile as its chains may be."""
        with writing(self.peer.spoil):
            self.mutator.choice.choice((self.friend.rekey_ipsec, self.friend.rekey_ike))(self.now)

    def _in_the_clear(self, data: bytes) -> bytes:
        """A message of phase 1 with its chain spoilt by payloads."""
        chain, at, kind = list[Payload](), HEADER_SIZE, data[16]
        while kind and at + 4 <= len(data):
            size = int.from_bytes(data[at + 2 : at + 4])
            chain.append((kind, data[at + 4 : at + size]))
            kind, at = data[at], at + max(4, size)
        spoilt = [(kind, body[:2000]) for kind, body in formats.payloads(self.mutator, chain, self.peer.bodies)]
        first, body = write_payloads(spoilt)
        made = data[:16] + bytes((first,)) + data[17:24] + (HEADER_SIZE + len(body)).to_bytes(4) + body
        if self.mutator.chance(0.3):  # an exchange of its own
            made = self.mutator.choice.randbytes(8) + bytes(8) + made[16:]
        return made

    def _floated(self) -> bool:
        own = self.friend._all
        return bool(own.sas and own.sas[-1].floated) or any(run.floated for run in own.main)

    def check(self) -> None:
        own = self.target._all
        if sum(not run.initiator for run in own.main) > MAX_HALF_OPEN:
            raise Violation(f"more than {MAX_HALF_OPEN} half-open set-ups")
        if len(own.quick) > MAX_QUICK or any(len(sa.answered) > MAX_ANSWERED for sa in own.sas):
            raise Violation("more exchanges are remembered than may be")


def _door(datagram: Datagram) -> tuple[int]:
    return (datagram.dport,)


def _message(datagram: Datagram) -> bytes:
    return datagram.payload[4:] if datagram.dport == registry.PORT_NATT and datagram.payload[:4] == bytes(4) else datagram.payload
