"""Who judges what a PPP peer says of itself: the passwords at hand, or somebody who has to be asked first.

    decision = authority.judge(now, claim)      a Decision, or None: it comes later, by PppCore.decide(now, claim, decision)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from harness.wire.ppp import mschap
from harness.wire.ppp.flavour import FLAVOURS, Asked


@dataclass(frozen=True, slots=True)
class Claim:
    """What the peer has answered. `method` is "pap" or a flavour of CHAP; `value` is PAP's password, or the value of CHAP's
    Response to `challenge`, of which `identifier` is the packet's."""

    method: str
    user: str
    identifier: int
    challenge: bytes
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """`message` is for logs. `text` is what CHAP's Success says, which in MS-CHAPv2 proves that the password is known; "" leaves it
    to us. `error` is Microsoft's number in a Failure. What else the judge has said of the user: `address`, where it has one of its
    own, and `accounting`, values of Class that its accounting records carry (RFC 2865 §5.25). `by` is who judged."""

    good: bool
    message: str
    text: str = ""
    error: str = "691"
    address: str | None = None
    accounting: tuple[bytes, ...] = ()
    by: str = "local"


class Authority(Protocol):
    def judge(self, now: float, claim: Claim) -> Decision | None:
        """None: the decision will come, whatever it is. Nobody is kept waiting for ever."""


class Passwords:
    """By users' passwords, at once."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    def judge(self, now: float, claim: Claim) -> Decision:
        password, user = self.of(claim.user), claim.user
        if password is None:
            return Decision(False, f"unknown user {user}")
        if claim.method == "pap":
            good, text = mschap.same(password.encode(), claim.value), ""
        else:
            flavour = FLAVOURS[claim.method]
            asked = Asked(claim.identifier, claim.challenge, user, password)
            good = flavour.fits(asked, claim.value)
            text = flavour.granted(asked, claim.value) if good else ""
        return Decision(good, user if good else f"wrong password for {user}", text)

    def of(self, user: str) -> str | None:
        """By the whole name, else by the name without its domain (`DOMAIN\\user`)."""
        secrets = self._secrets
        return secrets[user] if user in secrets else secrets.get(user.rpartition("\\")[2])
