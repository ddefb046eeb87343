"""Everything a core can tell its owner. Values only; byte strings are raw, numbers are as on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.wire.config import Child
from harness.wire.proxy import Proxy


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP payload to send, from one's own port to the peer's, non-ESP marker and all; or the payload of an IP packet of
    `protocol` 50 (ESP) or 51 (AH), whose ports are 0."""

    sport: int
    dport: int
    payload: bytes
    protocol: int = 17


@dataclass(frozen=True, slots=True)
class Event:
    """Root of all events."""


@dataclass(frozen=True, slots=True)
class IkeUp(Event):
    """Phase 1 is established. Keys are for the run's key file, never for a report."""

    icookie: bytes
    rcookie: bytes
    encryption: str
    hash: str
    group: str
    lifetime_s: int
    nat_local: bool  # this side is behind a NAT
    nat_remote: bool
    encryption_key: bytes
    rekey: bool
    iv: bytes = b""  # of phase 1 after the key exchange: hash(g^xi | g^xr) cut to the block (RFC 2409 Appendix B)
    exchange: str = "main mode"
    authentication: str = "psk"
    identity: str = ""  # the peer's phase-1 ID
    lifetime_kb: int = 0  # 0: no limit


@dataclass(frozen=True, slots=True)
class EspUp(Event):
    """A pair of ESP SAs is installed. Keys as in IkeUp. `spi_in` is the one this side receives on."""

    spi_in: int
    spi_out: int
    encapsulation: str  # "udp-transport", "transport", "udp-tunnel", "tunnel"
    encryption: str  # "" for AH
    authentication: str
    lifetime_s: int
    lifetime_kb: int
    key_in: bytes
    auth_key_in: bytes
    key_out: bytes
    auth_key_out: bytes
    rekey: bool
    nat_oa: tuple[str, ...] = ()  # the original addresses that the peer told, the initiator's first (RFC 3947 §5.2)
    client_port: int = 0  # the UDP port in the initiator's ID, where this side answered; 0 for any
    protocol: str = "esp"  # "ah": a pair of AH SAs
    child: Child | None = None  # what they are for, where that is not L2TP
    initiator: bool = False  # this side began the quick mode


@dataclass(frozen=True, slots=True)
class EspDown(Event):
    spi_in: int
    by_peer: bool
    reason: str


@dataclass(frozen=True, slots=True)
class IkeDown(Event):
    icookie: bytes
    rcookie: bytes
    by_peer: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Notified(Event):
    type: int
    name: str
    data: bytes
    protected: bool


@dataclass(frozen=True, slots=True)
class InitialContact(Notified):
    """The peer says, under the protection of its new ISAKMP SA, that it remembers none from before (RFC 2407 §4.6.3.3). What of
    the old ones then goes is the owner's policy."""


@dataclass(frozen=True, slots=True)
class RekeyFailed(Event):
    """A rekey ("main mode" or "quick mode") came to nothing; the SA it was to replace lives on until its own lifetime ends."""

    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class TunnelUp(Event):
    tunnel_local: int
    tunnel_remote: int
    peer_host: str
    peer_vendor: str


@dataclass(frozen=True, slots=True)
class CallUp(Event):
    """`proxy` is what a LAC has settled with the dial-in user, where it says so."""

    session_local: int
    session_remote: int
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class CallDown(Event):
    """One call has ended, or has not come up; calls that end with their tunnel are told by TunnelDown alone."""

    by_peer: bool
    result: int
    reason: str
    session_local: int = 0


@dataclass(frozen=True, slots=True)
class TunnelDown(Event):
    by_peer: bool
    result: int  # StopCCN result code; 0 where there was none (silence)
    reason: str


@dataclass(frozen=True, slots=True)
class LcpUp(Event):
    mru_peer: int
    authentication: str  # by which the peer asks who we are: "mschapv2", "mschapv1", "chap-md5", "pap" or "none"


@dataclass(frozen=True, slots=True)
class Authenticated(Event):
    """We have said who we are (`role` "peer"), or the other side has (`role` "authenticator"): then `user` is who."""

    method: str
    message: str
    user: str = ""
    role: str = "peer"


@dataclass(frozen=True, slots=True)
class PppUp(Event):
    """`address` is ours, `peer` the other side's. `user` is whom we have authenticated, "" where we have not asked."""

    address: str
    peer: str
    dns: tuple[str, ...]
    nbns: tuple[str, ...] = ()
    user: str = ""


@dataclass(frozen=True, slots=True)
class PppDown(Event):
    by_peer: bool
    reason: str


@dataclass(frozen=True, slots=True)
class IpPacket(Event):
    """An IP packet that came out of the client's own session."""

    packet: bytes


@dataclass(frozen=True, slots=True)
class Strange(Event):
    """Decrypted and authentic, but not ours: another tunnel's or session's data. `packet`: the inner IP packet, if any."""

    layer: str
    detail: str
    tunnel: int | None
    session: int | None
    packet: bytes | None


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """A datagram, or a part of one, that the core refused (malformed, unauthentic, replayed, unexpected)."""

    layer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """Set-up or the established connection came to its end for a reason of this layer. `stage` is one of model.Stage's words."""

    stage: str
    reason: str
    facts: dict[str, Any]
