"""Whether a link that a LAC has begun for us can be taken over as it is (RFC 2661 §4.4.5)."""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import ProtocolError
from harness.wire.config import PppConfig
from harness.wire.ppp.flavour import FLAVOURS
from harness.wire.ppp.lcp import Kind, LcpOptions, authentication_name, method_of
from harness.wire.ppp.packet import Code, parse_options
from harness.wire.proxy import AuthenType, Proxy

_TYPES: Mapping[str, tuple[AuthenType, ...]] = {
    "pap": (AuthenType.PAP,),
    "chap-md5": (AuthenType.CHAP,),
    "mschapv1": (AuthenType.MSCHAPV1, AuthenType.CHAP),
    "mschapv2": (AuthenType.CHAP,),  # the RFC is older than it
}


def has_answer(proxy: Proxy) -> bool:
    """Whether the LAC has asked the user who it is, too."""
    return proxy.authen_type not in (None, AuthenType.NONE)


def obstacle(config: PppConfig, options: LcpOptions, proxy: Proxy) -> str | None:
    """What stands in the way, in words; None where nothing does."""
    if not proxy.has_lcp:
        return "it comes without the last Configure-Requests"
    try:
        sent, received = parse_options("lcp", proxy.last_sent), parse_options("lcp", proxy.last_received)
    except ProtocolError as error:
        return f"its options cannot be read ({error.reason})"
    if options.judge(received)[0] is not Code.CONFIGURE_ACK:
        return "the user asks for what is not taken here"
    asked = dict(sent).get(Kind.AUTHENTICATION)
    method = method_of(asked)
    if method not in (config.demands or (None,)):
        wanted = " or ".join(config.demands) or "none"
        return f"it has {'no authentication' if asked is None else authentication_name(asked)}, not {wanted}"
    if method is not None and has_answer(proxy):
        if proxy.authen_type not in _TYPES[method]:
            return f"authentication of type {proxy.authen_type} is none by {method}"
        if method in FLAVOURS and len(proxy.authen_response) != FLAVOURS[method].value_size:
            return f"a response of {len(proxy.authen_response)} bytes is none by {method}"
        if method in FLAVOURS and not FLAVOURS[method].takes(proxy.authen_challenge):
            return f"a challenge of {len(proxy.authen_challenge)} bytes is none by {method}"
    return None
