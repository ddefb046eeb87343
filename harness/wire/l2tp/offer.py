"""What one side says in its messages, and reads in the other's (RFC 2661 §6; order and values as Microsoft's client)."""

from __future__ import annotations

from harness.errors import ProtocolError
from harness.wire.config import L2tpConfig
from harness.wire.l2tp.avp import HIDEABLE, Result, Value
from harness.wire.l2tp.message import Message
from harness.wire.proxy import AuthenType, Proxy

PROTOCOL_VERSION = 0x0100
ANALOGUE = 2  # the bearer that Microsoft's client names, for want of a line
CONNECT_SPEED = 100_000_000  # bits a second, likewise

STOP_GENERAL = Result(1)
STOP_NOT_AUTHORISED = Result(4)
STOP_VERSION = Result(5)
STOP_STATE_MACHINE = Result(7)
CALL_ADMINISTRATIVE = Result(3)
CALL_NO_FACILITIES_NOW = Result(4)
CALL_NO_FACILITIES = Result(5)
OUT_OF_RANGE = Result(2, 3)
UNKNOWN_AVP = Result(2, 8)


def check(config: L2tpConfig) -> None:
    """ProtocolError for a configuration that asks for what the RFC does not allow, or what takes a secret that is not there."""
    if not config.hide <= HIDEABLE:
        raise ProtocolError("l2tp", f"not to be hidden: {', '.join(sorted(config.hide - HIDEABLE))}")
    if (config.challenge or config.hide) and not config.secret:
        raise ProtocolError("l2tp", "a challenge and hidden AVPs take a tunnel secret")


def introduction(config: L2tpConfig, tunnel_id: int) -> dict[str, Value]:
    """The AVPs of SCCRQ and SCCRP; those of tie and authentication come on top."""
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


def call(config: L2tpConfig, session_id: int, serial: int) -> dict[str, Value]:
    """The AVPs of ICRQ; `serial` counts the calls of a tunnel from 0."""
    values: dict[str, Value] = {"assigned-session-id": session_id, "call-serial-number": serial, "bearer-type": ANALOGUE}
    if config.correlation_id is not None:
        values["correlation-id"] = config.correlation_id
    return values


def connected(config: L2tpConfig, proxy: Proxy | None, *, sequencing: bool) -> dict[str, Value]:
    """The AVPs of ICCN."""
    values: dict[str, Value] = {"tx-connect-speed": CONNECT_SPEED, "framing-type": config.framing}
    values |= {"proxy-authen-type": AuthenType.NONE.value} if proxy is None else _proxied(proxy)
    if sequencing:
        values["sequencing-required"] = b""
    return values


def _proxied(proxy: Proxy) -> dict[str, Value]:
    """§4.4.5; what the type of authentication has no use for is left out."""
    values: dict[str, Value] = {
        "initial-received-lcp-confreq": proxy.initial_received,
        "last-sent-lcp-confreq": proxy.last_sent,
        "last-received-lcp-confreq": proxy.last_received,
    }
    values = {name: value for name, value in values.items() if value}
    if proxy.authen_type is not None:
        values["proxy-authen-type"] = proxy.authen_type
    if proxy.authen_type not in (None, AuthenType.NONE):
        values["proxy-authen-name"] = proxy.authen_name
        if proxy.authen_challenge:
            values["proxy-authen-challenge"] = proxy.authen_challenge
        if proxy.authen_type != AuthenType.TEXTUAL:
            values["proxy-authen-id"] = proxy.authen_id
        values["proxy-authen-response"] = proxy.authen_response
    return values


def proxy_of(message: Message) -> Proxy | None:
    """What an ICCN hands over; None where that is nothing."""
    kind = message.values.get("proxy-authen-type")
    proxy = Proxy(
        message.raw("initial-received-lcp-confreq"),
        message.raw("last-sent-lcp-confreq"),
        message.raw("last-received-lcp-confreq"),
        kind if isinstance(kind, int) else None,
        message.text("proxy-authen-name"),
        message.raw("proxy-authen-challenge"),
        message.number("proxy-authen-id", 0) & 0xFF,
        message.raw("proxy-authen-response"),
    )
    return None if proxy in (Proxy(), Proxy(authen_type=AuthenType.NONE)) else proxy
