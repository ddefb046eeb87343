"""What one side says in its messages, and what it takes from the other's (RFC 2661 §6; order and values as Microsoft's client)."""

from __future__ import annotations

from harness.wire.config import L2tpConfig
from harness.wire.l2tp.avp import Result, Value
from harness.wire.l2tp.message import Message, Type

PROTOCOL_VERSION = 0x0100
PROXY_AUTHEN_NONE = 4
ANALOGUE = 2  # the bearer that Microsoft's client names, for want of a line
CONNECT_SPEED = 100_000_000  # bits a second, likewise

STOP_GENERAL = Result(1)
STOP_NOT_AUTHORISED = Result(4)
STOP_VERSION = Result(5)
STOP_STATE_MACHINE = Result(7)
CALL_ADMINISTRATIVE = Result(3)
OUT_OF_RANGE = Result(2, 3)
UNKNOWN_AVP = Result(2, 8)


def introduction(config: L2tpConfig, tunnel_id: int) -> dict[str, Value]:
    """The AVPs of SCCRQ and SCCRP."""
    return {
        "protocol-version": PROTOCOL_VERSION,
        "framing-capabilities": config.framing,
        "bearer-capabilities": config.bearer,
        "firmware-revision": config.firmware,
        "host-name": config.host_name,
        "vendor-name": config.vendor_name,
        "assigned-tunnel-id": tunnel_id,
        "receive-window-size": config.receive_window,
    }


def call(config: L2tpConfig, session_id: int) -> dict[str, Value]:
    """The AVPs of ICRQ."""
    values: dict[str, Value] = {"assigned-session-id": session_id, "call-serial-number": 0, "bearer-type": ANALOGUE}
    if config.correlation_id is not None:
        values["correlation-id"] = config.correlation_id
    return values


def connected(config: L2tpConfig) -> dict[str, Value]:
    """The AVPs of ICCN."""
    return {"tx-connect-speed": CONNECT_SPEED, "framing-type": config.framing, "proxy-authen-type": PROXY_AUTHEN_NONE}


def refusal(message: Message) -> Result | None:
    """Why an SCCRQ, SCCRP or SCCCN is not acceptable, as the result that the StopCCN will carry; None where it is."""
    if message.type is Type.SCCCN:
        return None
    if message.number("protocol-version") != PROTOCOL_VERSION:
        return STOP_VERSION
    if "challenge" in message.values:  # answering one takes a tunnel secret, and there is none here
        return STOP_NOT_AUTHORISED
    if message.number("assigned-tunnel-id") == 0 or message.values.get("receive-window-size") == 0:
        return OUT_OF_RANGE
    return None
