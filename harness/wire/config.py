"""What a stack is told before it starts. Plain values; `clients` fills them from a personality file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from harness.wire import ip
from harness.wire.crypto.certificates import Credentials
from harness.wire.retransmit import Schedule

if TYPE_CHECKING:
    from harness.wire.ppp.authority import Authority

Entropy = Callable[[int], bytes]
"""Gives that many random bytes. Tests pass a seeded one."""


@dataclass(frozen=True, slots=True)
class IkeProposal:
    """One phase-1 transform: names as in `wire.crypto` ("aes-256", "3des", "des" …; "md5", "sha1", "sha256"; "modp768", "modp1024",
    "ecp256" …). Lifetimes in seconds and in kilobytes, 0 to leave one out; authentication is "psk" or "rsa" (signatures)."""

    encryption: str
    hash: str
    group: str
    lifetime_s: int = 28800
    lifetime_kb: int = 0
    authentication: Literal["psk", "rsa"] = "psk"


@dataclass(frozen=True, slots=True)
class EspProposal:
    """One phase-2 transform: "aes-256", "aes-192", "aes-128", "3des", "des" or "null" with "sha256", "sha1", "md5" or "none".
    `lifetime_kb` is in kilobytes, 0 to leave it out."""

    encryption: str
    authentication: str
    lifetime_s: int = 3600
    lifetime_kb: int = 250_000


@dataclass(frozen=True, slots=True)
class AhProposal:
    """One phase-2 transform of AH: authentication and lifetimes as for ESP."""

    authentication: str
    lifetime_s: int = 3600
    lifetime_kb: int = 250_000


@dataclass(frozen=True, slots=True)
class Selector:
    """One end of what a pair of SAs is for: `address` under `mask`, both as numbers; `protocol` and `port` 0 stand for any. The
    mask need not be contiguous, as those of access lists need not be."""

    address: int
    mask: int = 0xFFFFFFFF
    protocol: int = 0
    port: int = 0

    def __str__(self) -> str:
        ends = "/".join(ip.dotted(number.to_bytes(4)) for number in (self.address, self.mask))
        return f"{ends}/{self.protocol}/{self.port}"

    def holds(self, address: int, protocol: int, port: int) -> bool:
        """Whether an end of a packet is within. `port` is 0 where the packet has none, as a fragment that is not the first."""
        near = not (address ^ self.address) & self.mask
        return near and self.protocol in (0, protocol) and self.port in (0, port)

    def covers(self, other: Selector) -> bool:
        """Whether all that `other` holds is within."""
        return not self.mask & ~other.mask and self.holds(other.address, other.protocol, other.port)


@dataclass(frozen=True, slots=True)
class Child:
    """What one quick mode is to bring: SAs in tunnel mode for what flows between `local` and `remote`, our end and the peer's, by
    one of `proposals`, best first; `pfs` as in IkeConfig. `name` is the owner's word for where it comes from. A new pair of SAs
    takes the place of those of the same name and ends."""

    name: str
    local: Selector
    remote: Selector
    proposals: tuple[EspProposal | AhProposal, ...]
    pfs: str | None = None

    @property
    def key(self) -> tuple[str, Selector, Selector]:
        return self.name, self.local, self.remote


@dataclass(frozen=True, slots=True)
class IkeConfig:
    """An IKEv1 peer.

    `address` is the peer's own view of its address (inside the NAT), which enters the IDs, NAT-D and NAT-OA. `vendor_ids` go out
    in order; the RFC 3947 one among them turns NAT-T on. `l2tp_port` is one's own in the quick-mode IDs; an initiator asks for
    1701 on the other side. `client_ports` are those that a responder takes in the initiator's ID, 0 standing for any; without
    one it takes them all. `identity` is "address", "fqdn:NAME", "user-fqdn:USER@NAME" or "dn", the subject of one's own
    certificate; port and protocol of the phase-1 ID are (0, 0) unless `id_protocol`/`id_port` say otherwise. `rekey_margin` is a
    share of the lifetime: 0.8 begins the rekey at 80 % of it; None leaves rekeying to the peer. Without `renew_phase_1` it counts
    for quick mode alone: an ISAKMP SA ends at its lifetime, and a new one is made when a quick mode next needs one.

    `exchange` is what an initiator begins with; in aggressive mode it can offer only one group, that of its first proposal. A
    responder takes main mode always, aggressive mode if it may (`accept_aggressive`), and asks `psk_for`, where there is one, for
    the key instead of `psk`: by the peer's address in main mode, by its ID ("10.0.0.2", "client.example.com") in aggressive mode;
    None is no key, and a refusal. `initial_contact` tells the peer, with the first SA, that there was none before.

    `mode` is that of IPsec; the UDP encapsulation comes with the NAT. `pfs` names the group of a Diffie-Hellman exchange in quick
    mode: an initiator asks for it, a responder insists on it; without one it goes along with what the initiator asks for.
    `ah_proposals` are acceptable where there is no NAT; without any, AH is refused everywhere.

    `admit`, where there is one, is asked before a quick mode of the peer's is agreed to: None, or the notification that refuses it.

    `children`, where there is one, makes quick modes be about any flows in place of L2TP's: asked for (our end, the peer's) of a
    flow that the peer wants, it gives what may serve it, best first, of which the first with a transform in common is taken;
    or the notification that refuses. `choose_spi` gives the SPI to receive on, by the peer's own (0: not known yet, we begin); None
    refuses with INVALID_SPI. Without one they are random. `renewed`, where there is one, is asked what the child of a pair that is
    to be renewed is by now, of the same name and ends; None lets the pair end with its life.
    """

    address: str
    peer_address: str
    psk: bytes = field(repr=False)
    proposals: tuple[IkeProposal, ...]
    esp_proposals: tuple[EspProposal, ...]
    vendor_ids: tuple[bytes, ...]
    identity: str = "address"
    id_protocol: int = 0
    id_port: int = 0
    l2tp_port: int = 1701
    client_ports: tuple[int, ...] = (0, 1701)
    keepalive_s: float = 20.0  # 0: none, whatever becomes of the mapping
    dpd_s: float | None = None  # idle seconds before an R-U-THERE; None answers only
    rekey_margin: float | None = 0.8
    renew_phase_1: bool = True
    mode: Literal["transport", "tunnel"] = "transport"
    pfs: str | None = None
    ah_proposals: tuple[AhProposal, ...] = ()
    admit: Callable[[], int | None] | None = None
    children: Callable[[Selector, Selector], Sequence[Child] | int] | None = None
    choose_spi: Callable[[int], int | None] | None = None
    renewed: Callable[[Child], Child | None] | None = None
    exchange: Literal["main", "aggressive"] = "main"
    accept_aggressive: bool = False
    initial_contact: bool = False
    psk_for: Callable[[str], bytes | None] | None = None
    credentials: Credentials | None = None  # for the proposals authenticated by "rsa"
    schedule: Schedule = field(default=Schedule((1.0, 2.0, 4.0, 8.0, 16.0)))

    def __post_init__(self) -> None:
        signed = any(row.authentication == "rsa" for row in self.proposals)
        if self.credentials is None and (signed or self.identity == "dn"):
            raise ValueError("a proposal authenticated by RSA signatures, or an ID from a certificate, needs credentials")


@dataclass(frozen=True, slots=True)
class L2tpConfig:
    """`hello_s`: seconds of silence before a Hello, 0 for none. `correlation_id`: 16 bytes for the Microsoft AVP of the ICRQ, or
    None. `header_bits`: the header bits taken from the peer; a Microsoft client drops packets with any but T, L and S.
    `start_delay_s`: seconds between the first pair of ESP SAs and the SCCRQ; a real system needs some to install them, and a
    gateway whose own are not there yet drops what comes too early.

    `secret` is the tunnel's, shared with the peer (b"": none): it answers challenges and reveals hidden AVPs. With it, `challenge`
    makes the peer prove that it has it too, and `hide` names AVPs to send hidden. `tie_breaker`: insist on one tunnel where both
    ends open one at once. `sequencing` of data: "follow" the LNS, or "always" number. `max_sessions` is how many calls there may be
    in the tunnel. `data_offset`: bytes of offset padding in data messages, None for no offset field."""

    host_name: str
    vendor_name: str = "Microsoft"
    firmware: int = 0x0601
    receive_window: int = 8
    framing: int = 1
    bearer: int = 0
    hello_s: float = 40.0
    correlation_id: bytes | None = None
    header_bits: int = 0xC800
    start_delay_s: float = 0.0
    secret: bytes = field(default=b"", repr=False)
    challenge: bool = False
    hide: frozenset[str] = frozenset()
    tie_breaker: bool = False
    sequencing: Literal["follow", "always"] = "follow"
    max_sessions: int = 1
    data_offset: int | None = None
    schedule: Schedule = field(default=Schedule((1.0, 2.0, 4.0, 8.0, 8.0)))


@dataclass(frozen=True, slots=True)
class PppConfig:
    """`echo_s`: seconds between LCP Echo-Requests, None to send none; `echo_misses` unanswered ones end the link.
    `accept` are the authentication protocols taken, best first ("mschapv2", "mschapv1", "chap-md5", "pap"). `retry_passwords` are
    tried where the gateway allows another attempt. `requested_address` is what to ask for, and to give up for another.

    The other role, which the same tables serve: `demand` is the authentication asked of the peer (None: none), or several in the
    order in which they are offered; `secrets` its users and passwords, or `authority` whoever judges them instead, `name` the
    name in the challenge, `retries` how many more attempts MS-CHAP gives after a wrong password. `local_address` is one's own
    address (0.0.0.0: the peer assigns it); `assign` the address that the peer gets, or a function from the user's name to one,
    None where none is left; `assign_dns` and `assign_nbns` its name servers. `lcp_renegotiation` is what to do with an LCP that a
    LAC has negotiated already (RFC 2661 §4.4.5). `ethernet`: the link is PPPoE's, on which RFC 2516 §7 leaves out some options."""

    user: str
    password: str = field(repr=False)
    mru: int = 1400
    accept: tuple[str, ...] = ("mschapv2", "chap-md5")
    echo_s: float | None = 10.0
    echo_misses: int = 4
    request_dns: bool = True
    request_nbns: bool = False
    requested_address: str = "0.0.0.0"
    retry_passwords: tuple[str, ...] = field(default=(), repr=False)
    compression: bool = True  # ask for PFC and ACFC (RFC 1661 §6.5, §6.6), as Windows and pppd do
    demand: str | tuple[str, ...] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    authority: Authority | None = None
    name: str = ""
    retries: int = 0
    local_address: str = "0.0.0.0"
    assign: str | Callable[[str], str | None] | None = None
    assign_dns: tuple[str, ...] = ()
    assign_nbns: tuple[str, ...] = ()
    lcp_renegotiation: Literal["never", "on-mismatch", "always"] = "always"
    ethernet: bool = False
    schedule: Schedule = field(default=Schedule((3.0,) * 10))

    @property
    def demands(self) -> tuple[str, ...]:
        """The authentications to ask for, first one first."""
        return () if self.demand is None else (self.demand,) if isinstance(self.demand, str) else self.demand


@dataclass(frozen=True, slots=True)
class StackConfig:
    """`ike` None: no IPsec, L2TP in the clear. `l2tp_port` is the client's own UDP port, which enters the quick-mode IDs too (the
    peer's is 1701 always). `udp_checksum` of the UDP header inside ESP: "full", or "zero" for none computed (RFC 768)."""

    ike: IkeConfig | None
    l2tp: L2tpConfig
    ppp: PppConfig
    l2tp_port: int = 1701
    udp_checksum: Literal["full", "zero"] = "full"
