"""What the three messages that open a tunnel carry and have to answer: who each end is, tunnel authentication (RFC 2661 §5.1.1),
and the tie where both ends open one at once (§4.4.3)."""

from __future__ import annotations

from harness.wire.config import Entropy, L2tpConfig
from harness.wire.l2tp import offer, secret
from harness.wire.l2tp.avp import Result, Value
from harness.wire.l2tp.message import Message, Type
from harness.wire.l2tp.tunnel import Event

CHALLENGE_SIZE = 16
TIE_BREAKER_SIZE = 8


class Handshake:
    """`refuse` is a reason, known beforehand, why no tunnel is to be had. `host` and `vendor` are the peer's names."""

    __slots__ = ("_challenge", "_config", "_entropy", "_peer_challenge", "_refuse", "_tie", "host", "vendor")

    def __init__(self, config: L2tpConfig, entropy: Entropy, refuse: Result | None) -> None:
        self._config = config
        self._entropy = entropy
        self._refuse = refuse
        self._challenge = b""  # ours to the peer
        self._peer_challenge = b""
        self._tie: bytes | None = None
        self.host = ""
        self.vendor = ""

    def values(self, kind: Type, tunnel_id: int) -> dict[str, Value]:
        """The AVPs of SCCRQ, SCCRP or SCCCN; with fresh random numbers, and so to be called once for each."""
        values: dict[str, Value] = {} if kind is Type.SCCCN else offer.introduction(self._config, tunnel_id)
        if kind is Type.SCCRQ and self._config.tie_breaker:
            values["tie-breaker"] = self._tie = self._entropy(TIE_BREAKER_SIZE)
        if kind is not Type.SCCCN and self._config.challenge:
            values["challenge"] = self._challenge = self._entropy(CHALLENGE_SIZE)
        if self._peer_challenge:
            values["challenge-response"] = secret.response(self._config.secret, kind, self._peer_challenge)
        return values

    def refusal(self, message: Message) -> Result | None:
        """Why one of the three is not acceptable, as the result that the StopCCN will carry; None where it is."""
        if self._refuse is not None:
            return self._refuse
        if message.type is not Type.SCCCN:
            if message.number("protocol-version") != offer.PROTOCOL_VERSION:
                return offer.STOP_VERSION
            if "challenge" in message.values and not self._config.secret:
                return offer.STOP_NOT_AUTHORISED
            if message.number("assigned-tunnel-id") == 0 or message.values.get("receive-window-size") == 0:
                return offer.OUT_OF_RANGE
        if message.type is Type.SCCRQ or not self._challenge:
            return None
        answer = message.values.get("challenge-response")
        right = secret.answers(answer, self._config.secret, message.type, self._challenge)
        return None if right else offer.STOP_NOT_AUTHORISED

    def learn(self, message: Message) -> None:
        """From an acceptable SCCRQ or SCCRP."""
        self.host, self.vendor = message.text("host-name"), message.text("vendor-name")
        self._peer_challenge = message.raw("challenge")

    def tie(self, request: Message) -> Event | None:
        """Between our SCCRQ and this one: whoever has the lower tie breaker wins, and who has one over who has none. None where
        neither has: then there will be two tunnels."""
        theirs = request.raw("tie-breaker") or None
        if theirs == self._tie:
            return None if theirs is None else Event.TIE_EVEN
        lost = self._tie is None or (theirs is not None and theirs < self._tie)
        return Event.TIE_LOST if lost else Event.TIE_WON

    def begin_again(self) -> None:
        """Our SCCRQ counts for nothing any more."""
        self._challenge, self._tie = b"", None
