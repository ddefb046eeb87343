"""LCP's options (RFC 1661 §6; RFC 1334 §2.1 for PAP, RFC 1994 §3 for CHAP and its flavours)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from harness.errors import ProtocolError
from harness.wire.config import Entropy, PppConfig
from harness.wire.ppp.frame import Protocol
from harness.wire.ppp.packet import Code, Option

DEFAULT_MRU = 1500
SMALLEST_MRU = 128
LARGEST_MRU = 1500  # what this side is ready to receive
ETHERNET_MRU = 1492  # "MUST NOT be negotiated to a larger size" (RFC 2516 §7)
LOOPS = 5  # own magic numbers seen in the peer's packets before the link counts as looped back; chance gives one in 2**32


class Kind(IntEnum):
    MRU = 1
    ACCM = 2
    AUTHENTICATION = 3
    QUALITY = 4
    MAGIC = 5
    PFC = 7
    ACFC = 8


AUTHENTICATIONS: Mapping[str, bytes] = {
    "mschapv2": b"\xc2\x23\x81",
    "mschapv1": b"\xc2\x23\x80",
    "chap-md5": b"\xc2\x23\x05",
    "pap": b"\xc0\x23",
}
"""Value of the authentication option for each method there is code for."""

NOT_ON_ETHERNET = (Kind.ACCM, Kind.ACFC)
"""Asked for by nobody, and rejected (RFC 2516 §7); so is what is not known here, as FCS Alternatives. PFC is not asked for."""

SIZES: Mapping[int, int] = {Kind.MRU: 2, Kind.ACCM: 4, Kind.MAGIC: 4, Kind.PFC: 0, Kind.ACFC: 0}


def authentication_name(value: bytes) -> str:
    """The value of an authentication option in the words of the field: "PAP", "MS-CHAPv1", "c22399"."""
    names = {
        b"\xc0\x23": "PAP",
        b"\xc2\x23\x05": "CHAP-MD5",
        b"\xc2\x23\x80": "MS-CHAPv1",
        b"\xc2\x23\x81": "MS-CHAPv2",
        b"\xc2\x27": "EAP",
    }
    return names.get(value, value.hex())


class LcpOptions:
    """Our wishes and the peer's. What the peer asked of us counts from `agree` on."""

    name = "lcp"

    def __init__(self, config: PppConfig, entropy: Entropy) -> None:
        self._config = config
        self._entropy = entropy
        self._ours: dict[int, bytes] = {}
        self._offers = list(config.demands)  # the first is on offer
        if self._offers:
            self._ours[Kind.AUTHENTICATION] = AUTHENTICATIONS[self._offers[0]]
        self._largest = ETHERNET_MRU if config.ethernet else LARGEST_MRU
        self._ours[Kind.MRU] = (min(config.mru, ETHERNET_MRU) if config.ethernet else config.mru).to_bytes(2)
        self._ours[Kind.MAGIC] = entropy(4)
        if config.compression and not config.ethernet:
            self._ours |= {Kind.PFC: b"", Kind.ACFC: b""}
        self.loops = 0
        self._suggested = b""  # the magic number in our last Configure-Nak
        self.refused_authentication = ""  # the last method the peer asked for that is not in `accept`
        self.peer_mru = DEFAULT_MRU
        self.peer_pfc = False
        self.peer_acfc = False
        self.peer_demands: str | None = None  # the method by which the peer wants us to say who we are
        self.authentication_rejected = False  # the peer will not say who it is

    @property
    def magic(self) -> bytes:
        """Our magic number, or zeros where the peer would have none (§6.4)."""
        return self._ours.get(Kind.MAGIC, bytes(4))

    @property
    def demanded(self) -> str | None:
        """The method by which we want the peer to say who it is, as far as that has been negotiated."""
        return method_of(self._ours.get(Kind.AUTHENTICATION))

    @property
    def looped(self) -> bool:
        return self.loops >= LOOPS

    def request(self) -> tuple[Option, ...]:
        return tuple(Option(kind, value) for kind, value in self._ours.items())

    def judge(self, options: tuple[Option, ...]) -> tuple[Code, tuple[Option, ...]]:
        rejected: list[Option] = []
        better: list[Option] = []
        for option in options:
            if option.type != Kind.AUTHENTICATION and (SIZES.get(option.type) != len(option.value)):
                rejected.append(option)  # unknown, or of a size that its row does not give
            elif self._config.ethernet and option.type in NOT_ON_ETHERNET:
                rejected.append(option)
            elif self._config.ethernet and option.type == Kind.MRU and int.from_bytes(option.value) > ETHERNET_MRU:
                better.append(Option(Kind.MRU, ETHERNET_MRU.to_bytes(2)))
            elif option.type == Kind.AUTHENTICATION:
                self._judge_authentication(option, rejected, better)
            elif option.type == Kind.MRU and int.from_bytes(option.value) < SMALLEST_MRU:
                better.append(Option(Kind.MRU, SMALLEST_MRU.to_bytes(2)))
            elif option.type == Kind.MAGIC:
                self._judge_magic(option, better)
        if rejected:
            return Code.CONFIGURE_REJECT, tuple(rejected)
        if better:
            return Code.CONFIGURE_NAK, tuple(better)
        return Code.CONFIGURE_ACK, options

    def agree(self, options: tuple[Option, ...]) -> None:
        asked = dict(options)
        self.peer_mru = int.from_bytes(asked.get(Kind.MRU, DEFAULT_MRU.to_bytes(2)))
        self.peer_pfc = Kind.PFC in asked
        self.peer_acfc = Kind.ACFC in asked
        self.peer_demands = method_of(asked.get(Kind.AUTHENTICATION))

    def adopt(self, sent: tuple[Option, ...]) -> None:
        """Somebody has asked for these in our name, and the peer has acknowledged them."""
        self._ours = dict(sent)

    def nak(self, options: tuple[Option, ...]) -> None:
        for option in options:
            if option.type == Kind.MRU and len(option.value) == 2:
                wanted = int.from_bytes(option.value)
                self._ours[Kind.MRU] = min(max(wanted, SMALLEST_MRU), self._largest).to_bytes(2)
            elif option.type == Kind.MAGIC and Kind.MAGIC in self._ours:
                self.loops += option.value == self._suggested  # §6.4: our own Nak has come back
                self._ours[Kind.MAGIC] = self._entropy(4)
            elif option.type == Kind.AUTHENTICATION and option.value != self._ours.get(Kind.AUTHENTICATION):
                self._offer_next(option.value)

    def reject(self, options: tuple[Option, ...]) -> None:
        for option in options:
            if option.type == Kind.AUTHENTICATION:
                self.authentication_rejected = True
            self._ours.pop(option.type, None)

    def _offer_next(self, wanted: bytes) -> None:
        """What the peer would rather have, if that is among what is left to offer, else what is next."""
        del self._offers[:1]
        names = [name for name in self._offers if AUTHENTICATIONS[name] == wanted] or self._offers[:1]
        if not names:
            self.authentication_rejected = Kind.AUTHENTICATION in self._ours
            return
        self._offers = [names[0], *(name for name in self._offers if name != names[0])]
        self._ours[Kind.AUTHENTICATION] = AUTHENTICATIONS[names[0]]

    def saw_magic(self, value: bytes) -> None:
        """Counts our own number in an echo from the peer (§6.4)."""
        if value == self.magic != bytes(4):
            self.loops = LOOPS

    def _judge_authentication(self, option: Option, rejected: list[Option], better: list[Option]) -> None:
        """Nak with the best that is accepted; Reject where nothing is (then no authentication is taken at all)."""
        if any(option.value == AUTHENTICATIONS[name] for name in self._config.accept):
            return
        self.refused_authentication = authentication_name(option.value)
        if self._config.accept:
            better.append(Option(Kind.AUTHENTICATION, AUTHENTICATIONS[self._config.accept[0]]))
        else:
            rejected.append(option)

    def _judge_magic(self, option: Option, better: list[Option]) -> None:
        if option.value not in (self.magic, bytes(4)):
            return
        if option.value != bytes(4):
            self.loops += 1
        fresh = self._entropy(4)
        self._suggested = fresh if any(fresh) else b"\0\0\0\1"
        better.append(Option(Kind.MAGIC, self._suggested))


def lcp_options(config: PppConfig, entropy: Entropy) -> LcpOptions:
    """ProtocolError where the configuration names an authentication there is no code for."""
    for name in (*config.accept, *config.demands):
        if name not in AUTHENTICATIONS:
            raise ProtocolError("lcp", f"no authentication is named {name}")
    return LcpOptions(config, entropy)


def method_of(value: bytes | None) -> str | None:
    return next((name for name, known in AUTHENTICATIONS.items() if known == value), None)


def is_authentication(protocol: int) -> bool:
    return protocol in (Protocol.CHAP, Protocol.PAP, Protocol.EAP)
