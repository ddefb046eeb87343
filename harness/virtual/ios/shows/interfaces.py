"""`show interfaces virtual-access N`: a call's own interface. Counters are PPP frames since the call came up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.meaning import lender
from harness.virtual.ios.shows.vpdn import interface_of
from harness.virtual.links import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.virtual.ios.router import IosRouter

BANDWIDTH_KBIT = 100000
QUIET = (
    '  Last clearing of "show interface" counters never',
    "  Input queue: 0/75/0/0 (size/max/drops/flushes); Total output drops: 0",
    "  Queueing strategy: fifo",
    "  Output queue: 0/40 (size/max)",
    "  5 minute input rate 0 bits/sec, 0 packets/sec",
    "  5 minute output rate 0 bits/sec, 0 packets/sec",
)
"""What this router has no such thing as a value for, as an interface without queues and rates shows it."""


def virtual_access(router: IosRouter, match: Match) -> list[str]:
    wanted = f"Vi{match.get('number')}"
    link = next((one for one in _links(router) if interface_of(one.interface) == wanted), None)
    if link is None:
        return [f"% Virtual-Access{match.get('number')} does not exist"]
    return list(_shown(router, link, match.get("number")))


SHOWS: Mapping[str, Callable[[IosRouter, Match], list[str]]] = {
    "show interfaces virtual-access <1-2147483647>:number": virtual_access,
}


def _links(router: IosRouter) -> Iterator[Link]:
    for tunnel in router.core.lns.tunnels.values():
        yield from tunnel.links.values()


def _shown(router: IosRouter, link: Link, number: str) -> Iterator[str]:
    tree, frames, settings = router.state.configuration.tree, link.frames, router.core.settings
    template = next((one for one in tree.find("interface") if one.words[1].startswith("Virtual-Template")), None)
    owner = None if template is None else lender(tree, template)
    echo = settings.personality.echo
    yield f"Virtual-Access{number} is up, line protocol is {'up' if link.up else 'down'} "
    yield "  Hardware is Virtual Access interface"
    if owner is not None:
        yield f"  Interface is unnumbered. Using address of {owner.words[1]} ({settings.ppp_address})"
    yield f"  MTU {link.mtu} bytes, BW {BANDWIDTH_KBIT} Kbit, DLY 100000 usec, "
    yield "     reliability 255/255, txload 1/255, rxload 1/255"
    yield "  Encapsulation PPP, loopback not set"
    yield "  Keepalive not set" if echo is None else f"  Keepalive set ({echo:.0f} sec)"
    yield f"  LCP {'Open' if link.up else 'REQsent'}"
    if link.up:
        yield "  Open: IPCP"
    yield from QUIET
    yield f"     {frames.packets_in} packets input, {frames.octets_in} bytes, 0 no buffer"
    yield "     Received 0 broadcasts, 0 runts, 0 giants, 0 throttles"
    yield "     0 input errors, 0 CRC, 0 frame, 0 overrun, 0 ignored, 0 abort"
    yield f"     {frames.packets_out} packets output, {frames.octets_out} bytes, 0 underruns"
    yield "     0 output errors, 0 collisions, 0 interface resets"
    yield "     0 output buffer failures, 0 output buffers swapped out"
    yield "     0 carrier transitions"
