"""What is said in a laboratory of routers: what a router printed, what it logged, and what whoever stands around it says of itself.

Beside the captures these are the evidence of a scenario that configures devices by their command line. What a device says of itself
is kept apart from what callers and hosts say: the one is `cli-only`, the other a peer's account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.model import refusals


@dataclass(frozen=True, slots=True)
class Printed:
    """One command that was typed, in whatever mode, and what `device` printed of it. `t` is seconds since the epoch.

    `rows` is what the command's parser read (None: there is no parser for it), `unread` and `cut` what it could not (see
    devices.rows). `label` names the moment where one command is typed several times.
    """

    t: float
    device: str
    command: str
    text: str
    label: str = ""
    rows: tuple[Any, ...] | None = None
    unread: tuple[str, ...] = ()
    cut: str = ""

    @property
    def refused(self) -> str:
        """The line by which an IOS router refuses a command ("% Invalid input detected …"), "" where it took it. That there is
        nothing to show ("%No active L2F tunnels") is no refusal, nor is a note (refusals)."""
        return refusals.refusal(self.text, shown=self.command.startswith(("show ", "sh ")))


@dataclass(frozen=True, slots=True)
class Logged:
    """A line that `device` showed where `terminal monitor` is on, without its time stamp; `t` is the lab's own, seconds since the
    epoch. `event` is what the parser of debug lines read in it (devices.ios.parsers.debug), None where it is none of those."""

    t: float
    device: str
    line: str
    event: Any = None


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody who is no router under test says of itself: a caller on a LAC's line, a host behind a router, the injector, a
    RADIUS server. `t` is seconds since the epoch.

    kind            data
    dialled         user: a caller has gone off the hook
    up              address, peer, took: its PPP is up
    down            reason: its line, or its PPP, has gone
    pinged          to, size (bytes of the IP packet), df, answered
    answers         label, count: the echo answers that had come to it until then
    unreachable     mtu: an ICMP "fragmentation needed" came to it, with that next-hop MTU; number: of its packet, where it has one
    line            protocols: PPP protocol number → frames it heard, of its whole life; carried: the IP packets among them, by
                    protocol number and UDP ports ("1", "17 500 500")
    routes          networks: those that it was told of by a routing protocol, and at which distance
    placed          endpoint, host, inside: where an endpoint of tunnels is, the host behind it, whether both are behind the NAT
    sent, got       number, src, dst: a numbered UDP packet of a host's; size and df where they matter. Of a host on a NAT's wire,
                    as it sees the packet: protocol ("udp", "tcp", "icmp"), sport, dport (ports, or the ICMP identifier), said; of
                    a TCP segment seq, ack and flags, too
    injected        to, digest, what: a forged packet that the scenario put on the wire; mtu where it is an ICMP message, number,
                    src and dst where it is a numbered one like a host's
    searched        what, frames, of: how many frames of that one's capture hold the bytes that are named so
    judged          user, accepted, nas (who asked), method: an Access-Request, and its answer
    accounting      status ("start", "stop" …), user ("" where there is none), nas, session; attributes: by RADIUS's names, values
                    as numbers and text
    """

    t: float
    who: str
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
