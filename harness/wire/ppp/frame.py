"""PPP frames as L2TP carries them (RFC 1661 §2 in RFC 1662's address and control bytes, without flags, escapes or FCS).

    [ff 03] protocol (1 or 2 bytes) information
"""

from __future__ import annotations

from enum import IntEnum

from harness.errors import ProtocolError


class Protocol(IntEnum):
    """Assigned protocol numbers that have a name here; others are plain integers."""

    IP = 0x0021
    IPV6 = 0x0057
    VJ_COMPRESSED = 0x002D
    VJ_UNCOMPRESSED = 0x002F
    COMPRESSED = 0x00FD
    IPCP = 0x8021
    IPV6CP = 0x8057
    CCP = 0x80FD
    LCP = 0xC021
    PAP = 0xC023
    LQR = 0xC025
    CHAP = 0xC223
    EAP = 0xC227


def protocol_name(protocol: int) -> str:
    try:
        return Protocol(protocol).name
    except ValueError:
        return f"protocol {protocol:04x}"


def parse(frame: bytes) -> tuple[int, bytes]:
    """(protocol, information). Compressed and plain forms are both taken at any time, as RFC 1661 §6.5 and §6.6 ask of whoever
    has offered to receive them. ProtocolError where the protocol number is cut off or breaks ISO 3309's extension rule."""
    start = 2 if frame[:2] == b"\xff\x03" else 0
    if len(frame) <= start:
        raise ProtocolError("ppp", "no protocol field", start)
    first = frame[start]
    if first & 1:
        return first, frame[start + 1 :]
    if len(frame) < start + 2:
        raise ProtocolError("ppp", "the protocol field is cut off", start)
    if not frame[start + 1] & 1:
        raise ProtocolError("ppp", f"protocol {frame[start : start + 2].hex()} does not end in an odd byte", start)
    return first << 8 | frame[start + 1], frame[start + 2 :]


def build(protocol: int, information: bytes, *, short_address: bool = False, short_protocol: bool = False) -> bytes:
    """`short_address` (ACFC) leaves out ff 03; `short_protocol` (PFC) sends one byte where the number fits one. LCP is never
    shortened, whatever was negotiated (§6.5, §6.6)."""
    if protocol == Protocol.LCP:
        return b"\xff\x03\xc0\x21" + information
    head = b"" if short_address else b"\xff\x03"
    if short_protocol and protocol < 0x100:
        return head + protocol.to_bytes(1) + information
    return head + protocol.to_bytes(2) + information


def inner_ip(frame: bytes) -> bytes | None:
    """The IPv4 packet in a frame, if it holds one. Takes any bytes: this looks into frames of strangers."""
    try:
        protocol, information = parse(frame)
    except ProtocolError:
        return None
    if protocol == Protocol.IP and len(information) >= 20 and information[0] >> 4 == 4:
        return information
    return None
