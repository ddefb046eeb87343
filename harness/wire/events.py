"""Everything a core can tell its owner. Values only; byte strings are raw, numbers are as on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True, slots=True)
class EspUp(Event):
    """A pair of ESP SAs is installed. Keys as in IkeUp. `spi_in` is the one this side receives on."""

    spi_in: int
    spi_out: int
    encapsulation: str  # "udp-transport", "transport"
    encryption: str
    authentication: str
    lifetime_s: int
    lifetime_kb: int
    key_in: bytes
    auth_key_in: bytes
    key_out: bytes
    auth_key_out: bytes
    rekey: bool


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
    session_local: int
    session_remote: int


@dataclass(frozen=True, slots=True)
class CallDown(Event):
    by_peer: bool
    result: int
    reason: str


@dataclass(frozen=True, slots=True)
class TunnelDown(Event):
    by_peer: bool
    result: int  # StopCCN result code; 0 where there was none (silence)
    reason: str


@dataclass(frozen=True, slots=True)
class LcpUp(Event):
    mru_peer: int
    authentication: str  # "mschapv2", "chap-md5" or "none"


@dataclass(frozen=True, slots=True)
class Authenticated(Event):
    method: str
    message: str


@dataclass(frozen=True, slots=True)
class PppUp(Event):
    address: str
    peer: str
    dns: tuple[str, ...]


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
