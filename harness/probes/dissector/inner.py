"""From an L2TP datagram (what ESP held, or what came in clear) to the dictionary of model.Inner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.errors import ProtocolError
from harness.probes.dissector.headers import UdpDatagram, udp_datagram
from harness.probes.dissector.l2tp import read_l2tp
from harness.probes.dissector.ppp import read_ppp

L2TP_PORT = 1701


@dataclass(frozen=True, slots=True)
class InnerDatagram:
    """`facts` lacks only checksum_fits, which depends on the outer addresses. `secret`: where in the segment a password stands."""

    facts: dict[str, Any]
    datagram: UdpDatagram
    problem: str | None = None
    secret: tuple[int, int] | None = None


def read_inner(segment: bytes) -> InnerDatagram:
    """A UDP segment, header and all. ProtocolError (layer "udp") where it is none."""
    udp = udp_datagram(segment)
    facts: dict[str, Any] = {"sport": udp.sport, "dport": udp.dport, "udp_checksum": udp.checksum}
    facts.update(l2tp=None, ppp=None, mark=None)
    if len(udp.segment) != len(segment):
        return InnerDatagram(facts, udp, f"udp: {len(segment) - len(udp.segment)} bytes follow the datagram")
    try:
        message = read_l2tp(udp.payload)
        facts["l2tp"] = message.facts
        if message.ppp is None:
            return InnerDatagram(facts, udp)
        ppp = read_ppp(message.ppp)
    except ProtocolError as error:
        return InnerDatagram(facts, udp, str(error))
    facts["ppp"], facts["mark"] = ppp.facts, ppp.mark
    secret = None
    if ppp.secret is not None:
        # A length field may end the message before the datagram; the header's size is told by where the frame begins.
        begins = 8 + udp.payload.index(message.ppp)
        secret = (begins + ppp.secret[0], ppp.secret[1])
    return InnerDatagram(facts, udp, ppp.problem, secret)
