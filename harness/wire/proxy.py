"""What a LAC has settled with a dial-in user before it calls the LNS, and hands over with the call (RFC 2661 §4.4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class AuthenType(IntEnum):
    TEXTUAL = 1  # a user name and a password typed at a prompt
    CHAP = 2
    PAP = 3
    NONE = 4
    MSCHAPV1 = 5


@dataclass(frozen=True, slots=True)
class Proxy:
    """Proxy LCP: the options (a Configure-Request without code, identifier and length) of the first request that the LAC received,
    of the last that it sent, of the last that it received and acknowledged; all empty where LCP is left to the LNS.

    Proxy authentication: `authen_type`, the user's name, the challenge that the LAC sent, its identifier, and the answer: the CHAP
    value, or the password itself. `authen_type` None says nothing at all.
    """

    initial_received: bytes = b""
    last_sent: bytes = b""
    last_received: bytes = b""
    authen_type: int | None = None
    authen_name: str = ""
    authen_challenge: bytes = b""
    authen_id: int = 0
    authen_response: bytes = field(default=b"", repr=False)

    @property
    def has_lcp(self) -> bool:
        return bool(self.last_sent and self.last_received)
