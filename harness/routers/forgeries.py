"""Messages that a script sends in somebody else's name: bytes, as they go behind the UDP header."""

from __future__ import annotations

from harness.wire import ip
from harness.wire.l2tp import header
from harness.wire.l2tp.avp import Result, Value
from harness.wire.l2tp.message import Type, build

PPP_IP = b"\xff\x03\x00\x21"  # address, control, and the protocol number of IPv4 (RFC 1662 §3.1, RFC 1332 §4)
REQUESTER_CLEARS = 1  # result code of StopCCN, RFC 2661 §4.4.2


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
