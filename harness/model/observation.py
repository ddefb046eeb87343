"""Observations: what an outsider saw on the wire, one frame each.

An observation is filled in by `harness.probes` alone, from captures and the run's keys. Nothing of a client's own account
enters it, so that the two can be compared in `harness.verdict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Side(StrEnum):
    INSIDE = "inside"  # between the clients and the NAT
    INSIDE_2 = "inside-2"  # the same at a second site, whose clients are behind another NAT
    OUTSIDE = "outside"  # between the NAT and the gateway
    FAR_END = "far-end"  # behind the gateway's decapsulation, where the end host's traffic is
    TRANSLATED = "translated"  # inside the gateway, between IPsec and L2TP: clear L2TP with translated ports is expected here


class FrameKind(StrEnum):
    IKE = "ike"
    ESP = "esp"  # UDP-encapsulated or protocol 50
    KEEPALIVE = "keepalive"  # the single byte 0xff of RFC 3948
    L2TP_CLEAR = "l2tp-clear"  # UDP 1701 that nothing protects
    ICMP = "icmp"
    INJECTED = "injected"  # garbage that the scenario itself put on the wire, and what was answered to where it came from
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Mark:
    """A marked packet's own words: whose it is, its number, and whether it is a question or the answer to one.

    `size` is that of its IPv4 packet in bytes, `nonce` the run's (hexadecimal); both stay out of comparisons.
    """

    owner: int
    sequence: int
    answer: bool
    size: int = field(default=0, compare=False)
    nonce: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Inner:
    """What one ESP packet held once decrypted with the run's keys (transport mode: a UDP datagram on 1701).

    `udp_checksum` is the field as found; `checksum_fits` lists the (source, destination) address pairs, of those on
    either side of the NAT, for which it is right. `l2tp` and `ppp` are None where the layer above was not reached.
    `l2tp["message"]` is the RFC 2661 name ("SCCRQ", "StopCCN", "CDN", "Hello", "ZLB", …) and absent in data messages; `tunnel`
    and `session` are the header's, so the receiver's own numbers; `avps` maps the RFC's name ("Result Code", "Host Name", …) to
    its value, a Result Code being {"result": int, "error": int | None, "message": str}. On Side.TRANSLATED, where the frame is
    clear L2TP, `inner` is filled in from the frame itself.
    `ppp["protocol"]` is "LCP", "CHAP", "IPCP", "CCP", "IP", … and `code` the RFC's name ("Configure-Ack", "Terminate-Request", …).
    """

    sport: int
    dport: int
    udp_checksum: int
    checksum_fits: tuple[tuple[str, str], ...]
    l2tp: Mapping[str, Any] | None = None  # control: message, tunnel, session, ns, nr, avps {name: value}; data: tunnel, session
    ppp: Mapping[str, Any] | None = None  # protocol, code, id, and for IP: src, dst
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One captured frame.

    `frame` counts from 1 in its capture file, as Wireshark counts. `t` is seconds since the epoch. `payload_digest` is of the
    UDP payload (or of the IP payload where there is no UDP), so that both sides of the NAT can be paired. `length` is in bytes, of
    the IPv4 packet by its own header: what the link adds (padding, tags) is not in it; of anything else it is the frame's.
    `ike` holds: icookie, rcookie, exchange ("main mode", "quick mode", "informational", …), message_id, encrypted,
    decrypted (bool), payloads (list of names, decrypted where keys allow), vendor_ids, nat_d, nat_oa, proposals, ids,
    notifies, deletes, message ("MM1"…"MM6", "QM1"…"QM3", "INFO"), retransmission (bool), marker (bool: four zero bytes before it).
    In it: vendor_ids and nat_d are lists of hexadecimal strings in the order of the payloads; proposals a list of one mapping a
    transform (protocol "IKE"/"ESP"/"AH", encapsulation: the number on the wire, encryption, hash, authentication, group,
    lifetime_s, lifetime_kb, spi); ids a list of {"type": "ID_IPV4_ADDR", "protocol": 17, "port": 1701, "value": "10.0.0.2"};
    notifies of {"type": number, "name"}; deletes of {"protocol": "isakmp"/"esp", "spis": [hex]}.
    Beyond that: key_exchange (hexadecimal; of a KE payload in clear), version ("1.0"), flags,
    from_initiator (bool), vendors (names of the vendor IDs, "" for unknown ones); `message` is None where the exchange has no such
    names; an encrypted message that no key opens has decrypted False and empty lists. `headers` holds: protocol, tos, dscp, ecn,
    ip_id, df, mf, flags, fragment_offset, ip_options, ip_length, ip_checksum, ip_checksum_ok; with UDP: udp_checksum,
    udp_checksum_ok (None where none was sent), udp_length; with ESP: encapsulation ("udp", "none"); with ICMP: icmp_type,
    icmp_code, for errors quoted {protocol, src, dst, sport, dport}; of a fragment: fragment ("part", "last"); with AH: ah
    {next_header, spi (8 hex digits), sequence, and esp_spi where ESP follows it}; of a capture on all interfaces: interface_index,
    packet_type (0 to this host, 4 sent by it, as Linux counts them) and interface, the name ("ppp0"), absent where nothing told it;
    looks_like, where the bytes resemble L2TP in a place that is not L2TP's. Opened ESP adds
    encryption, authentication, direction and next_header to `esp`, in tunnel mode (next_header 4) inner_src and inner_dst too.
    `esp` holds: spi (8 hex digits), sequence, icv_ok (None: no key known). UDP-encapsulated ESP has ports, protocol 50 has none.
    `mark` is that of an unprotected ICMP packet (far end); a mark inside ESP stands in `inner.mark`.
    """

    side: Side
    frame: int
    t: float
    src: str
    dst: str
    sport: int | None
    dport: int | None
    ttl: int
    kind: FrameKind
    length: int
    payload_digest: str
    ike: Mapping[str, Any] | None = None
    esp: Mapping[str, Any] | None = None
    inner: Inner | None = None
    mark: Mark | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None  # why the frame could not be read to the end


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """How far a capture is to be trusted. `dropped` counts what the kernel or the interface lost. `kept` is "everything", or
    "without-keepalives": not what keeps idle sessions and NAT mappings alive (how it is known: scenario/simulated_captures.py).
    `why`: what was seen of one that is not complete, where that is known."""

    side: Side
    path: str
    interface: str
    frames: int
    dropped: int
    complete: bool  # the capturing process ran from before the first packet to the orderly end
    kept: str = "everything"
    why: str = ""
