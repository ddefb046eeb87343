"""Messages that a script sends in somebody else's name: bytes, as they go behind the UDP header."""

from __future__ import annotations

from harness.wire.l2tp import header
from harness.wire.l2tp.avp import Value
from harness.wire.l2tp.message import Type, build


def sccrq(host: str = "LAC") -> bytes:
    """An L2TP message that asks for a tunnel, as from a LAC of that name."""
    values: dict[str, Value] = {
        "protocol-version": 0x0100,
        "framing-capabilities": 1,
        "host-name": host,
        "assigned-tunnel-id": 77,
        "receive-window-size": 8,
    }
    return header.build_control(0, 0, 0, 0, build(Type.SCCRQ, values))
