"""What a RADIUS client is given and gives: servers, datagrams to send, and events."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.wire.events import Event
from harness.wire.ppp.authority import Decision
from harness.wire.radius.attributes import Attributes


@dataclass(frozen=True, slots=True)
class Server:
    """`tries` is how often a packet is sent in all, each time with `timeout_s` for the answer. `dead_s`: for how long a server that
    has not answered is passed over while another is left; 0: not at all."""

    address: str
    secret: bytes = field(repr=False)
    auth_port: int = 1812
    acct_port: int = 1813
    timeout_s: float = 5.0
    tries: int = 4
    dead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One UDP datagram to send, from one's own port `sport`."""

    address: str
    sport: int
    dport: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Judged(Event):
    """A server has decided on the claim of question `number`; `attributes` are all that it said."""

    number: int
    decision: Decision
    server: Server
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """A server has acknowledged the accounting record of question `number`."""

    number: int
    server: Server


@dataclass(frozen=True, slots=True)
class Silent(Event):
    """A server has let all tries of a question to its `port` pass."""

    number: int
    server: Server
    port: int


@dataclass(frozen=True, slots=True)
class Unanswered(Event):
    """No server is left for question `number`."""

    number: int
