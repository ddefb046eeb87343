"""What L2TP's data messages carry: PPP frames, in a call of one's own or in somebody's."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ProtocolError
from harness.wire import events
from harness.wire.l2tp import header
from harness.wire.ppp.frame import inner_ip


@dataclass(frozen=True, slots=True)
class Frame(events.Event):
    """A PPP frame that came out of a call. Internal to the stack. `session` is the call's local ID."""

    frame: bytes
    session: int


def inner_packet(payload: bytes) -> bytes | None:
    """The IP packet in somebody's L2TP data message, if there is one. Takes any bytes."""
    try:
        message = header.parse(payload)
    except ProtocolError:
        return None
    return None if message.control else inner_ip(message.body)
