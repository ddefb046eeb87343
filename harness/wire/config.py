"""What a stack is told before it starts. Plain values; `clients` fills them from a personality file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.wire.retransmit import Schedule

Entropy = Callable[[int], bytes]
"""Gives that many random bytes. Tests pass a seeded one."""


@dataclass(frozen=True, slots=True)
class IkeProposal:
    """One phase-1 transform: names as in `wire.crypto` ("aes-256", "aes-128", "3des"; "sha1", "sha256"; "modp1024", "modp2048",
    "ecp256", "ecp384"). `lifetime_s` in seconds."""

    encryption: str
    hash: str
    group: str
    lifetime_s: int = 28800


@dataclass(frozen=True, slots=True)
class EspProposal:
    """One phase-2 transform. `lifetime_kb` is in kilobytes, 0 to leave it out."""

    encryption: str
    authentication: str
    lifetime_s: int = 3600
    lifetime_kb: int = 250_000


@dataclass(frozen=True, slots=True)
class IkeConfig:
    """An IKEv1 peer with a pre-shared key.

    `address` is the peer's own view of its address (inside the NAT), which enters the IDs, NAT-D and NAT-OA. `vendor_ids` go out
    in order; the RFC 3947 one among them turns NAT-T on. `identity` is "address" or "fqdn:NAME"; port and protocol of the
    phase-1 ID are (0, 0) unless `id_protocol`/`id_port` say otherwise. `rekey_margin` is a share of the lifetime: 0.8 begins
    the rekey at 80 % of it; None leaves rekeying to the peer.
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
    keepalive_s: float = 20.0
    dpd_s: float | None = None  # idle seconds before an R-U-THERE; None answers only
    rekey_margin: float | None = 0.8
    schedule: Schedule = field(default=Schedule((1.0, 2.0, 4.0, 8.0, 16.0)))


@dataclass(frozen=True, slots=True)
class L2tpConfig:
    """`hello_s`: seconds of silence before a Hello, 0 for none. `correlation_id`: 16 bytes for the Microsoft AVP of the ICRQ, or
    None. `header_bits`: the header bits taken from the peer; a Microsoft client drops packets with any but T, L and S.
    `start_delay_s`: seconds between the first pair of ESP SAs and the SCCRQ; a real system needs some to install them, and a
    gateway whose own are not there yet drops what comes too early."""

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
    schedule: Schedule = field(default=Schedule((1.0, 2.0, 4.0, 8.0, 8.0)))


@dataclass(frozen=True, slots=True)
class PppConfig:
    """`echo_s`: seconds between LCP Echo-Requests, None to send none; `echo_misses` unanswered ones end the link.
    `accept` are the authentication protocols taken, best first ("mschapv2", "chap-md5").

    The other role, which the same tables serve: `demand` is the authentication asked of the peer (None: none), `secrets` its
    users and passwords, `name` the name in the challenge; `local_address` is one's own address (0.0.0.0: the peer assigns it),
    `assign` the address the peer gets, `assign_dns` its name servers."""

    user: str
    password: str = field(repr=False)
    mru: int = 1400
    accept: tuple[str, ...] = ("mschapv2", "chap-md5")
    echo_s: float | None = 10.0
    echo_misses: int = 4
    request_dns: bool = True
    compression: bool = True  # ask for PFC and ACFC (RFC 1661 §6.5, §6.6), as Windows and pppd do
    demand: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = ""
    local_address: str = "0.0.0.0"
    assign: str | None = None
    assign_dns: tuple[str, ...] = ()
    schedule: Schedule = field(default=Schedule((3.0,) * 10))


@dataclass(frozen=True, slots=True)
class StackConfig:
    ike: IkeConfig
    l2tp: L2tpConfig
    ppp: PppConfig
