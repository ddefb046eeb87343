"""What PAP and CHAP have in common: one direction of authentication, in the peer's role or the authenticator's.

The peer says who it is; the authenticator asks and judges (RFC 1334 §1, RFC 1994 §1.2).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from harness.wire.config import Entropy, PppConfig
from harness.wire.ppp.authority import Authority, Claim, Decision, Passwords
from harness.wire.ppp.frame import Protocol
from harness.wire.retransmit import Retransmit


class Exchange(ABC):
    """`outcome` is None until it is decided, then True or False with `message` in words and, where it is False, `ended_by`:
    "gateway" (the other side said no), "client" (this side did), "silence". `user` is whom the authenticator has judged."""

    protocol: ClassVar[Protocol]
    asking_codes: ClassVar[frozenset[int]]
    """The packets that go to the authenticator; all others go to the peer."""

    def __init__(self, config: PppConfig, method: str, entropy: Entropy, send: Callable[[bytes], None]) -> None:
        self.method = method
        self.outcome: bool | None = None
        self.message = ""
        self.user = ""
        self.ended_by = "client"
        self.facts: dict[str, str] = {}
        self._config = config
        self._entropy = entropy
        self._send = send
        self._timer = Retransmit(config.schedule)
        self._authenticates = False
        self._authority: Authority = config.authority or Passwords(config.secrets)
        self._pending: Claim | None = None  # of which the authority has still to say what it is worth

    @property
    def deadline(self) -> float | None:
        return self._timer.deadline

    def takes(self, protocol: int, code: int) -> bool:
        return protocol == self.protocol and self._authenticates == (code in self.asking_codes)

    def tick(self, now: float) -> None:
        again = self._timer.expire(now)
        if again is None:
            self.message, self.ended_by = f"no answer to {self._timer.tries} {self._waiting_for()}", "silence"
            self._give_up(now)
        elif again:
            self._again(now)

    def decide(self, now: float, claim: Claim, decision: Decision) -> None:
        """What the authority has made of a claim that it took time for. One that nobody waits for any more is let go."""
        if self._pending is claim:
            self._pending = None
            self._decided(now, claim, decision)

    def _put(self, now: float, claim: Claim) -> bool:
        """As authenticator: has a claim judged. Whether that is done; else `decide` will come."""
        self._pending = claim
        decision = self._authority.judge(now, claim)
        if decision is not None:
            self.decide(now, claim, decision)
        return decision is not None

    @abstractmethod
    def open_peer(self, now: float) -> None: ...

    @abstractmethod
    def open_authenticator(self, now: float) -> None: ...

    @abstractmethod
    def take_over(self, now: float, identifier: int, challenge: bytes, value: bytes, user: str) -> None:
        """As authenticator, judges an answer that somebody else has asked for (a LAC, RFC 2661 §4.4.5), and tells the peer the
        result. ProtocolError where it is no such answer."""

    @abstractmethod
    def close(self, now: float) -> None: ...

    @abstractmethod
    def receive(self, now: float, information: bytes) -> None:
        """ProtocolError for what is malformed, or not expected."""

    @abstractmethod
    def _decided(self, now: float, claim: Claim, decision: Decision) -> None: ...

    @abstractmethod
    def _waiting_for(self) -> str:
        """What was sent in vain, as in "no answer to 10 transmissions of the Response"."""

    @abstractmethod
    def _again(self, now: float) -> None: ...

    @abstractmethod
    def _give_up(self, now: float) -> None: ...
