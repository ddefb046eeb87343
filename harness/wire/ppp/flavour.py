"""The three flavours of CHAP, MD5 (RFC 1994), MS-CHAPv1 (RFC 2433), MS-CHAPv2 (RFC 2759): what is in a response, and in a result.

An MS-CHAPv1 value is LM response (24) | NT response (24) | 1 to use the latter; an MS-CHAPv2 value is peer challenge (16) |
zeros (8) | NT response (24) | flags (1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from harness.wire.config import Entropy
from harness.wire.ppp import mschap

FAILURES = {
    "646": "the account may not log on at this time of day",
    "647": "the account is disabled",
    "648": "the password has expired",
    "649": "no permission to dial in",
    "691": "wrong user name or password",
    "709": "the password could not be changed",
}
"""Microsoft's error numbers (RFC 2433 §6, RFC 2759 §6)."""
GRANTED = "Access granted"


@dataclass(frozen=True, slots=True)
class Asked:
    """A challenge, and by whom it is, or was, to be answered."""

    identifier: int
    challenge: bytes
    user: str
    password: str


class Flavour(ABC):
    """`challenge_size` is of the challenges that are sent; `value_size` of the response's value. `version` is V= of a failure."""

    title: str
    challenge_size: int
    value_size: int
    version: int | None = None

    def takes(self, challenge: bytes) -> bool:
        return len(challenge) == self.challenge_size

    @abstractmethod
    def respond(self, asked: Asked, entropy: Entropy) -> bytes:
        """The value of the Response."""

    @abstractmethod
    def fits(self, asked: Asked, value: bytes) -> bool:
        """Whether this value of a Response is right."""

    def granted(self, asked: Asked, value: bytes) -> str:
        """The text of the Success."""
        return GRANTED

    def proven(self, asked: Asked, value: bytes, text: str) -> str | None:
        """The message in a Success that answers our `value`; None where it does not prove what it has to."""
        return text


class Md5(Flavour):
    title = "CHAP-MD5"
    challenge_size = 16
    value_size = 16

    def takes(self, challenge: bytes) -> bool:
        return bool(challenge)

    def respond(self, asked: Asked, entropy: Entropy) -> bytes:
        return mschap.chap_md5(asked.identifier, asked.password, asked.challenge)

    def fits(self, asked: Asked, value: bytes) -> bool:
        return mschap.same(mschap.chap_md5(asked.identifier, asked.password, asked.challenge), value)


class MsChapV1(Flavour):
    title = "MS-CHAPv1"
    challenge_size = 8
    value_size = 49
    version = 2

    def respond(self, asked: Asked, entropy: Entropy) -> bytes:
        return bytes(24) + mschap.v1_response(asked.challenge, mschap.nt_password_hash(asked.password)) + b"\1"

    def fits(self, asked: Asked, value: bytes) -> bool:
        """RFC 2433 §5: the last byte says which of the two responses counts."""
        if value[48]:
            return mschap.same(mschap.v1_response(asked.challenge, mschap.nt_password_hash(asked.password)), value[24:48])
        return mschap.same(mschap.v1_response(asked.challenge, mschap.lm_password_hash(asked.password)), value[:24])


class MsChapV2(Flavour):
    title = "MS-CHAPv2"
    challenge_size = 16
    value_size = 49
    version = 3

    def respond(self, asked: Asked, entropy: Entropy) -> bytes:
        own = entropy(self.challenge_size)
        return own + bytes(8) + mschap.nt_response(asked.challenge, own, asked.user, asked.password) + b"\0"

    def fits(self, asked: Asked, value: bytes) -> bool:
        return mschap.same(mschap.nt_response(asked.challenge, value[:16], asked.user, asked.password), value[24:48])

    def granted(self, asked: Asked, value: bytes) -> str:
        return f"{self._proof(asked, value)} M={GRANTED}"

    def proven(self, asked: Asked, value: bytes, text: str) -> str | None:
        proof = self._proof(asked, value)
        if not mschap.same(text[: len(proof)].upper().encode(), proof.encode()):
            return None
        return text[len(proof) :].strip().removeprefix("M=")

    @staticmethod
    def _proof(asked: Asked, value: bytes) -> str:
        return mschap.authenticator_response(asked.password, value[24:48], value[:16], asked.challenge, asked.user)


FLAVOURS: Mapping[str, Flavour] = {"chap-md5": Md5(), "mschapv1": MsChapV1(), "mschapv2": MsChapV2()}


def denied(flavour: Flavour, again: bytes, *, retry: bool, error: str = "691") -> str:
    """The text of a Failure; `again` is the challenge that a further attempt would have to answer."""
    if flavour.version is None:
        return "Access denied"
    text = f"E={error} R={int(retry)} C={again.hex().upper()} V={flavour.version}"
    return text if flavour.version < 3 else text + " M=Access denied"


def denial(flavour: Flavour, text: str) -> tuple[str, dict[str, str]]:
    """A Failure's text in words, and its fields: "error", "retry" and "challenge" where it has them."""
    if flavour.version is None:
        return (f"{flavour.title} failure: {text}" if text else f"{flavour.title} failure (wrong user name or password)"), {}
    fields = dict(word.partition("=")[::2] for word in text.split(" M=")[0].split())
    number = fields.get("E", "")
    facts = {"error": number} | {name: fields[key] for key, name in (("R", "retry"), ("C", "challenge")) if key in fields}
    return f"{flavour.title} failure E={number} ({FAILURES.get(number, text)})", facts
