"""The cryptography of one set-up, and nothing else: its calls are noted while one client connects in memory, then timed.

Noted are the Diffie-Hellman operations, every cipher and hash call of IKE, the MS-CHAPv2 functions, and the sizes of all ESP
packets, for which then the bare cipher and HMAC are run. What remains of a set-up beyond this is the harness's own work.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from benchmarks.responder import Peer
from benchmarks.set_up import plan
from harness.clients import personality
from harness.errors import NatstormError
from harness.wire.crypto import ciphers, dh, digest
from harness.wire.esp import InboundSa, OutboundSa
from harness.wire.events import PppUp
from harness.wire.ppp import mschap
from harness.wire.stack import ClientStack

Call = Callable[[], object]

NOTED: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (dh.ModpGroup, ("key_pair",)),
    (dh.ModpKeyPair, ("shared",)),
    (dh.EcpGroup, ("key_pair",)),
    (dh.EcpKeyPair, ("shared",)),
    (ciphers.CipherRow, ("keyed",)),
    (ciphers.CbcCipher, ("encrypt", "decrypt")),
    (digest.Hash, ("digest", "prf")),
    (mschap, ("nt_response", "authenticator_response")),
)


class Notes:
    """What the client's side called while `on`."""

    def __init__(self) -> None:
        self.on = False
        self.calls: list[Call] = []
        self.sealed: list[int] = []  # bytes of ESP ciphertext
        self.opened: list[int] = []


@contextmanager
def noting() -> Iterator[Notes]:
    notes = Notes()
    kept: list[tuple[Any, str, Any]] = []

    def wrap(owner: Any, name: str, note: Callable[..., None]) -> None:
        original = getattr(owner, name)
        kept.append((owner, name, original))

        def noted(*arguments: Any, **named: Any) -> Any:
            result = original(*arguments, **named)
            if notes.on:
                notes.on = False  # what it calls in turn is part of it
                note(original, arguments, named, result)
                notes.on = True
            return result

        setattr(owner, name, noted)

    def again(original: Any, arguments: Any, named: Any, result: Any) -> None:
        notes.calls.append(partial(original, *arguments, **named))

    for owner, names in NOTED:
        for name in names:
            wrap(owner, name, again)
    wrap(OutboundSa, "seal", lambda original, arguments, named, result: notes.sealed.append(len(result)))
    wrap(InboundSa, "open", lambda original, arguments, named, result: notes.opened.append(len(arguments[1])))
    try:
        yield notes
    finally:
        for owner, name, original in kept:
            setattr(owner, name, original)


def note_one(personality_name: str, group: str, encryption: str) -> Notes:
    """One client connects to the responder's cores in memory."""
    with noting() as notes:
        config = personality.load(personality_name).stack_config(plan(1, personality_name), os.urandom)
        now, client, peer = 0.0, ClientStack(config, os.urandom), Peer(group, encryption)
        notes.on = True
        client.start(now)
        for _ in range(1000):
            moved = False
            for datagram in client.take_datagrams():
                notes.on, moved = False, True
                peer.receive(now, datagram.dport, datagram.payload)
                notes.on = True
            for datagram in peer.out:
                moved = True
                client.receive(now, datagram.dport, datagram.payload)
            peer.out.clear()
            if any(isinstance(event, PppUp) for event in client.take_events()):
                return notes
            if not moved:
                assert client.deadline is not None
                now = client.deadline
                client.tick(now)
    raise NatstormError("the client did not come up in memory")


def esp_calls(notes: Notes) -> Iterator[Call]:
    """The bare cipher and HMAC of each ESP packet: one context an SA, as the SAs themselves have."""
    for sizes, direction in ((notes.sealed, "encryptor"), (notes.opened, "decryptor")):
        update = getattr(Cipher(AES(bytes(16)), CBC(bytes(16))), direction)().update
        mac = hmac.new(bytes(20), digestmod="sha1")
        for size in sizes:
            yield partial(_esp, update, mac, bytes((size - 20) // 16 * 16), bytes(size - 12))


def _esp(update: Callable[[bytes], bytes], mac: hmac.HMAC, text: bytes, covered: bytes) -> None:
    update(text)
    copy = mac.copy()
    copy.update(covered)
    copy.digest()


def measure(personality_name: str, group: str, encryption: str, rounds: int) -> tuple[float, dict[str, int]]:
    """Milliseconds of CPU for one set-up's cryptography, and how many calls of each kind that is."""
    notes = note_one(personality_name, group, encryption)
    esp = list(esp_calls(notes))
    calls = [*notes.calls, *esp]
    for call in calls:
        call()
    before = time.process_time()
    for _ in range(rounds):
        for call in calls:
            call()
    spent = time.process_time() - before
    return spent * 1000 / rounds, {"IKE, Diffie-Hellman and MS-CHAPv2 calls": len(notes.calls), "ESP packets": len(esp)}
