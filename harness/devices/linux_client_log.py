"""What the daemons of a strongSwan + xl2tpd + pppd client say while they work, line by line, as facts. Pure.

charon's own log at level 4 of its IKE subsystem tells the key and the first IV of every ISAKMP SA, `ip xfrm monitor` the keys of
every ESP SA as the kernel has them; what stays unread is chatter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from harness.devices.linux_parsers import CLOSED, CLOSED_BY_PEER, ESTABLISHED


@dataclass(frozen=True, slots=True)
class Fact:
    """Root of all facts."""


@dataclass(frozen=True, slots=True)
class Began(Fact):
    """It is told to dial: the first datagram goes out some hundredths of a second later. No daemon says so, its driver does: a life
    must begin before its first packet, and a log is read after it."""


@dataclass(frozen=True, slots=True)
class IkeEstablished(Fact):
    """Names of algorithms as in harness/wire: "aes-128", "sha1", "modp2048"."""

    icookie: bytes
    rcookie: bytes
    encryption: str
    hash: str
    group: str
    nat_local: bool
    nat_remote: bool
    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EspEstablished(Fact):
    spi_in: int
    spi_out: int
    encapsulation: str
    encryption: str
    authentication: str
    key_in: bytes = field(repr=False)
    auth_key_in: bytes = field(repr=False)
    key_out: bytes = field(repr=False)
    auth_key_out: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EspDeleted(Fact):
    """The gateway deleted it."""

    spi: int


@dataclass(frozen=True, slots=True)
class IkeDeleted(Fact):
    """The gateway deleted it."""

    icookie: bytes
    rcookie: bytes


@dataclass(frozen=True, slots=True)
class TunnelEstablished(Fact):
    local: int
    remote: int


@dataclass(frozen=True, slots=True)
class CallEstablished(Fact):
    local: int
    remote: int


@dataclass(frozen=True, slots=True)
class LcpOpened(Fact):
    mru: int  # the peer's
    authentication: str


@dataclass(frozen=True, slots=True)
class LoggedIn(Fact):
    method: str
    message: str


@dataclass(frozen=True, slots=True)
class AddressGiven(Fact):
    address: str
    peer: str
    dns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Down(Fact):
    """`layer` is "ppp", "call" or "tunnel"; `by_peer`: the gateway said so; `result` is the result code of a CDN or StopCCN."""

    layer: str
    by_peer: bool
    result: int
    reason: str


CIPHERS = {"AES_CBC_128": "aes-128", "AES_CBC_192": "aes-192", "AES_CBC_256": "aes-256", "3DES_CBC": "3des", "DES_CBC": "des"}
HASHES = {"HMAC_MD5_96": "md5", "HMAC_SHA1_96": "sha1", "HMAC_SHA2_256_128": "sha256"}
GROUPS = {
    "MODP_768": "modp768", "MODP_1024": "modp1024", "MODP_1536": "modp1536", "MODP_2048": "modp2048",
    "ECP_256": "ecp256", "ECP_384": "ecp384",
}  # fmt: skip
AUTHENTICATIONS = {"chap MS-v2": "mschapv2", "chap MS": "mschapv1", "chap MD5": "chap-md5", "pap": "pap"}
DEFAULT_MRU = 1500  # RFC 1661 section 6.1

_CHARON = re.compile(r"\d+\[[A-Z]+\] (?:<(?:\S+\|)?(?P<sa>\d+)> )?(?P<text>.*)")
_DUMP = re.compile(r"(encryption key Ka|initial IV|natd_chunk) => (\d+) bytes")
_DUMPED = re.compile(r" *\d+: ((?:[0-9A-F]{2} ){1,16})")
_PROPOSAL = re.compile(r"selected proposal: (IKE|ESP):(\S+)")
_IKE_UP = re.compile(r"IKE_SA \S+\[(\d+)\] established between")
_ESP_UP = re.compile(r"CHILD_SA \S+ established with SPIs ([0-9a-f]{8})_i ([0-9a-f]{8})_o")
_ESP_DELETED = re.compile(r"received DELETE for ESP CHILD_SA with SPI ([0-9a-f]{8})")
_IKE_DELETED = re.compile(r"received DELETE for IKE_SA \S+\[(\d+)\]")
_STATE = re.compile(r"proto esp spi 0x([0-9a-f]{8})")
_STATE_KEY = re.compile(r"(auth-trunc|auth|enc) \S+ 0x([0-9a-f]+)")
_CALL = re.compile(r"Call established with (\S+), Local: (\d+), Remote: (\d+)")
_CALL_CLOSED = re.compile(r"Connection closed to (\S+), serial (\d+) \((.*)\)")
_CALL_ENDED = re.compile(r"Call (\d+) to (\S+) disconnected")
_RETRIES = re.compile(r"Maximum retries exceeded for tunnel (\d+)")
_REASON = re.compile(r"\((.*)\)")
_LCP_ACK = re.compile(r"(sent|rcvd) \[LCP ConfAck id=\S+(.*)\]")
_AUTH = re.compile(r"<auth ([^>]+)>")
_MRU = re.compile(r"<mru (\d+)>")
_SUCCESS = re.compile(r'rcvd \[CHAP Success id=\S+ "(.*)"\]')
_IPCP_ACK = re.compile(r"rcvd \[IPCP ConfAck id=\S+(.*)\]")
_DNS = re.compile(r"<ms-dns\d (\S+)>")
_LOCAL = re.compile(r"local\s+IP address (\S+)")
_REMOTE = re.compile(r"remote IP address (\S+)")
_PPP_DOWN = (
    (re.compile(r"LCP terminated by peer.*"), True),
    (re.compile(r"No response to \d+ echo-requests"), False),
    (re.compile(r"(?:CHAP|PAP) authentication failed.*"), True),
)


@dataclass(slots=True)
class _Exchange:
    """What is known of one ISAKMP SA so far, by charon's own number of it."""

    proposal: str = ""
    nat_local: bool = False
    nat_remote: bool = False
    dumps: dict[str, bytes] = field(default_factory=dict)
    dumping: tuple[str, int] | None = None  # name, bytes in all


class ClientLog:
    """One connection's daemons, read. Feed whole lines of each source in their order: `charon`, `kernel` (ip xfrm monitor), and
    `l2tp` (xl2tpd, with pppd's words among its own)."""

    def __init__(self) -> None:
        self._exchanges: dict[int, _Exchange] = {}
        self._esp_proposal = ""
        self._encapsulated = False
        self._states: dict[int, dict[str, bytes]] = {}  # SPI → "enc" and "auth" keys
        self._state: int | None = None  # of the block of lines that is being read
        self._pairs: list[tuple[int, int, str]] = []  # agreed, keys still to come: SPI in, SPI out, proposal
        self._mru = DEFAULT_MRU
        self._authentication = "none"
        self._acks: set[str] = set()
        self._dns: tuple[str, ...] = ()
        self._address = ""
        self._ppp_ended_by_peer = False

    def charon(self, line: str) -> list[Fact]:
        match = _CHARON.match(line)
        if match is None:
            return []
        text = match["text"]
        exchange = self._exchanges.setdefault(int(match["sa"]), _Exchange()) if match["sa"] else _Exchange()
        if exchange.dumping is not None and (dumped := _DUMPED.match(text)):
            self._dump(exchange, bytes.fromhex(dumped[1]))
        elif dump := _DUMP.match(text):
            exchange.dumping = (dump[1], int(dump[2]))
            exchange.dumps[dump[1]] = b""
        elif proposal := _PROPOSAL.match(text):
            if proposal[1] == "IKE":
                exchange.proposal = proposal[2]
            else:
                self._esp_proposal = proposal[2]
        elif "host is behind NAT" in text:
            exchange.nat_local |= text.startswith("local")
            exchange.nat_remote |= text.startswith("remote")
            self._encapsulated = True
        elif established := _IKE_UP.match(text):
            return [self._ike(self._exchanges[int(established[1])])]
        elif established := _ESP_UP.match(text):
            self._pairs.append((int(established[1], 16), int(established[2], 16), self._esp_proposal))
            return list(self._keyed())
        elif deleted := _ESP_DELETED.match(text):
            return [EspDeleted(int(deleted[1], 16))]
        elif deleted := _IKE_DELETED.match(text):
            cookies = self._exchanges[int(deleted[1])].dumps["natd_chunk"]
            return [IkeDeleted(cookies[:8], cookies[8:16])]
        return []

    def kernel(self, line: str) -> list[Fact]:
        if not line.startswith("\t"):
            self._state = None
        elif state := _STATE.search(line):
            self._state = int(state[1], 16)
        elif self._state is not None and (key := _STATE_KEY.search(line)):
            keys = self._states.setdefault(self._state, {})
            keys["enc" if key[1] == "enc" else "auth"] = bytes.fromhex(key[2])
            return list(self._keyed())
        return []

    def l2tp(self, line: str) -> list[Fact]:
        for pattern, read in self._readers:
            if match := pattern.search(line):
                return read(self, match)
        for pattern, by_peer in _PPP_DOWN:
            if match := pattern.search(line):
                self._ppp_ended_by_peer = by_peer
                return [Down("ppp", by_peer, 0, match[0])]
        return []

    # Within

    @staticmethod
    def _dump(exchange: _Exchange, octets: bytes) -> None:
        assert exchange.dumping is not None
        name, length = exchange.dumping
        # A line that is not full is followed by its text, in which what looks like an octet may stand.
        exchange.dumps[name] = (exchange.dumps[name] + octets)[:length]
        if len(exchange.dumps[name]) == length:
            exchange.dumping = None

    def _ike(self, exchange: _Exchange) -> IkeEstablished:
        cipher, integrity, *_, group = exchange.proposal.split("/")
        cookies = exchange.dumps["natd_chunk"]
        return IkeEstablished(
            cookies[:8],
            cookies[8:16],
            CIPHERS[cipher],
            HASHES[integrity],
            GROUPS[group],
            exchange.nat_local,
            exchange.nat_remote,
            exchange.dumps["encryption key Ka"],
            exchange.dumps["initial IV"],
        )

    def _keyed(self) -> Iterator[EspEstablished]:
        """Pairs of which both keys are known by now."""
        for pair in list(self._pairs):
            spi_in, spi_out, proposal = pair
            ours, theirs = self._states.get(spi_in, {}), self._states.get(spi_out, {})
            if len(ours) == len(theirs) == 2:
                self._pairs.remove(pair)
                cipher, integrity, *_ = proposal.split("/")
                way = "udp-transport" if self._encapsulated else "transport"
                keys = (ours["enc"], ours["auth"], theirs["enc"], theirs["auth"])
                yield EspEstablished(spi_in, spi_out, way, CIPHERS[cipher], HASHES[integrity], *keys)

    def _lcp(self, match: re.Match[str]) -> list[Fact]:
        self._acks.add(match[1])
        if match[1] == "sent":  # what we acknowledge is the peer's wish
            mru, auth = _MRU.search(match[2]), _AUTH.search(match[2])
            self._mru = int(mru[1]) if mru else DEFAULT_MRU
            self._authentication = AUTHENTICATIONS.get(auth[1], auth[1]) if auth else "none"
        if len(self._acks) < 2:
            return []
        self._acks.clear()
        return [LcpOpened(self._mru, self._authentication)]

    def _resolvers(self, match: re.Match[str]) -> list[Fact]:
        self._dns = tuple(_DNS.findall(match[1]))
        return []

    def _local(self, match: re.Match[str]) -> list[Fact]:
        self._address = match[1]
        return []

    _readers: tuple[tuple[re.Pattern[str], Callable[[ClientLog, re.Match[str]], list[Fact]]], ...] = (
        (_LCP_ACK, _lcp),
        (_SUCCESS, lambda log, match: [LoggedIn(log._authentication, match[1])]),
        (_IPCP_ACK, _resolvers),
        (_LOCAL, _local),
        (_REMOTE, lambda log, match: [AddressGiven(log._address, match[1], log._dns)]),
        (ESTABLISHED, lambda log, match: [TunnelEstablished(int(match[3]), int(match[4]))]),
        (_CALL, lambda log, match: [CallEstablished(int(match[2]), int(match[3]))]),
        (_CALL_CLOSED, lambda log, match: [Down("call", True, 0, match[3])]),
        (_CALL_ENDED, lambda log, match: [Down("call", log._ppp_ended_by_peer, 0, "the link ended")]),
        (CLOSED_BY_PEER, lambda log, match: [Down("tunnel", True, 0, _why(match))]),
        (CLOSED, lambda log, match: [Down("tunnel", False, 0, _why(match))]),
        (_RETRIES, lambda log, match: [Down("tunnel", False, 0, "the gateway no longer acknowledges")]),
    )


def _why(match: re.Match[str]) -> str:
    reason = _REASON.search(match.string)
    return reason[1] if reason else "no reason given"
