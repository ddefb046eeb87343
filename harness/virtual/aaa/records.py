"""Accounting records: what is counted, and the attributes that tell it (RFC 2866 §5). Pure.

Octets and packets are those of IP that the link carried, or of ESP; input is what came from the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from harness.wire.radius.attributes import Attribute, attribute

PPP, FRAMED, VIRTUAL = 1, 2, 5
"""Framed-Protocol, Service-Type, NAS-Port-Type."""
AUTHENTIC = {"radius": 1, "local": 2}
GIGAWORD = 1 << 32
LONGEST = 247
"""Bytes of a name that a record takes, whatever a peer calls itself: what fits a vendor's attribute too."""


class Status(IntEnum):
    START = 1
    STOP = 2
    INTERIM = 3


class Cause(IntEnum):
    """Acct-Terminate-Cause (RFC 2866 §5.10), as far as a link here ends by it."""

    USER_REQUEST = 1
    LOST_CARRIER = 2
    LOST_SERVICE = 3
    ADMIN_RESET = 6
    NAS_REQUEST = 10


BY = {"client": Cause.USER_REQUEST, "silence": Cause.LOST_CARRIER, "ipsec": Cause.LOST_SERVICE, "order": Cause.ADMIN_RESET}


def cause(by: str, reason: str) -> Cause:
    """`by` is who ended it, in the journal's words. PPP tells of a peer that fell silent in its reason alone."""
    return Cause.LOST_CARRIER if reason.startswith("no answer") else BY.get(by, Cause.NAS_REQUEST)


@dataclass(slots=True)
class Traffic:
    octets_in: int = 0
    octets_out: int = 0
    packets_in: int = 0
    packets_out: int = 0

    def came(self, octets: int) -> None:
        self.octets_in += octets
        self.packets_in += 1

    def went(self, octets: int) -> None:
        self.octets_out += octets
        self.packets_out += 1


@dataclass(slots=True, eq=False)
class Session:
    """What is accounted as one: `said` is in each of its records, `traffic` says what there has been of it."""

    number: int
    began: float
    said: tuple[Attribute, ...]
    traffic: Callable[[], Traffic]

    @property
    def name(self) -> str:
        """Acct-Session-Id."""
        return f"{self.number:08X}"


def of_link(user: str, port: int, nas: str, address: str, classes: tuple[bytes, ...], by: str) -> tuple[Attribute, ...]:
    """What the records of a user's PPP link say of it; `by` is who let the user in."""
    named = (attribute("user-name", user.encode()[:LONGEST]),) if user else ()
    return (
        *named,
        *on_port(port, nas),
        attribute("framed-ip-address", address),
        *((attribute("acct-authentic", AUTHENTIC[by]),) if by in AUTHENTIC else ()),
        *(attribute("class", value) for value in classes),
    )


def on_port(port: int, nas: str) -> tuple[Attribute, ...]:
    """Which service, on which port of which router: in questions about a user as in records."""
    return (
        attribute("service-type", FRAMED),
        attribute("framed-protocol", PPP),
        attribute("nas-ip-address", nas),
        attribute("nas-port", port),
        attribute("nas-port-type", VIRTUAL),
    )


def of_flow(nas: str, peer: str, identity: str) -> tuple[Attribute, ...]:
    """What the records of an IPsec session say of it, in Cisco's words for the peer; there is no user."""
    return (
        attribute("nas-ip-address", nas),
        attribute("nas-port-type", VIRTUAL),
        attribute("cisco-avpair", f"isakmp-initiator-ip={peer}"),
        attribute("cisco-avpair", f"isakmp-phase1-id={identity or peer}".encode()[:LONGEST]),
    )


def record(session: Session, status: Status, now: float, why: Cause | None = None) -> tuple[Attribute, ...]:
    return (
        attribute("acct-status-type", status),
        attribute("acct-session-id", session.name),
        *session.said,
        *(_counted(session, now) if status is not Status.START else ()),
        *((attribute("acct-terminate-cause", why),) if why is not None else ()),
    )


def _counted(session: Session, now: float) -> Iterator[Attribute]:
    """Numbers go out as their lower 32 bits; the gigawords beside tell the rest of the octets (RFC 2869 §5.1, §5.2)."""
    traffic = session.traffic()
    yield attribute("acct-session-time", int(now - session.began))
    for way, octets, packets in (
        ("input", traffic.octets_in, traffic.packets_in),
        ("output", traffic.octets_out, traffic.packets_out),
    ):
        yield attribute(f"acct-{way}-octets", octets)
        yield attribute(f"acct-{way}-packets", packets)
        if octets >= GIGAWORD:
            yield attribute(f"acct-{way}-gigawords", octets // GIGAWORD)
