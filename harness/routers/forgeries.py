"""What a script sends in somebody else's name: messages, as they go behind the UDP header, and whole IP packets."""

from __future__ import annotations

from harness.wire import ip
from harness.wire.l2tp import header
from harness.wire.l2tp.avp import Result, Value
from harness.wire.l2tp.message import Type, build

PPP_IP = b"\xff\x03\x00\x21"  # address, control, and the protocol number of IPv4 (RFC 1662 §3.1, RFC 1332 §4)
REQUESTER_CLEARS = 1  # result code of StopCCN, RFC 2661 §4.4.2
ON_THE_WAY = "10.0.0.1"
"""A router between LAC and LNS, that nobody has."""
QUOTED = 28
"""Bytes of a packet that an ICMP error quotes: an IP header without options and 8 more (RFC 792)."""



def sccrq(host: str = "LAC", tunnel: int = 77) -> bytes:
    """An L2TP message that asks for a tunnel, as from a LAC of that name, whose own ID of the tunnel is `tunnel`."""
    values: dict[str, Value] = {
        "protocol-version": 0x0100,
        "framing-capabilities": 1,
        "host-name": host,
        "assigned-tunnel-id": tunnel,
        "receive-window-size": 8,
    }
    return header.build_control(0, 0, 0, 0, build(Type.SCCRQ, values))


def stop(tunnel: int, own: int, ns: int, nr: int) -> bytes:
    """A StopCCN to whoever calls the tunnel `tunnel`, from the one that calls it `own`."""
    body = build(Type.STOPCCN, {"assigned-tunnel-id": own, "result-code": Result(REQUESTER_CLEARS)})
    return header.build_control(tunnel, 0, ns, nr, body)


def echo(tunnel: int, session: int, src: str, dst: str, payload: bytes) -> bytes:
    """A data message of that session, the receiver's IDs, with an echo request."""
    packet = ip.build_ipv4(src, dst, ip.ICMP, ip.build_echo(ip.Echo(True, 9, 9, payload)))
    return header.build_data(tunnel, session, PPP_IP + packet)


def fragmentation_needed(to: str, quoted: bytes, mtu: int) -> bytes:
    """An IP packet with what a router on the way says of a packet with Don't Fragment that is larger than its next link takes (RFC
    792; RFC 1191 section 4: the MTU stands in the last two bytes of the header). `quoted` is the head of that packet."""
    bare = bytes((3, 4, 0, 0, 0, 0)) + mtu.to_bytes(2) + quoted
    return ip.build_ipv4(ON_THE_WAY, to, ip.ICMP, bare[:2] + ip.checksum(bare).to_bytes(2) + bare[4:])


def borrowed(packet: bytes, src: str) -> bytes:
    """The IP packet as if `src` had sent it."""
    read = ip.parse_ipv4(packet)
    return ip.build_ipv4(src, read.destination, read.protocol, read.payload, identification=0x4E53)


def flipped(packet: bytes, at: int) -> bytes:
    """The packet with the lowest bit of its byte `at` turned over; a negative one counts from the end."""
    changed = bytearray(packet)
    changed[at] ^= 1
    return bytes(changed)
