"""Scripts about the NAT: mappings that end while they are in use, and NATs that mean well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.scenario.basics import alone, order, pair
from harness.scenario.script import HOLD_S, Script

if TYPE_CHECKING:
    from harness.scenario.play import Play

TIMER_S = 30.0
"""The time-out of the NAT personality `timer-30`."""

AFTER_S = 150.0
"""From the end of a mapping until L2TP's Hello (40 s, then 23 s) or Dead Peer Detection has settled what becomes of the session."""


async def nat_clears(play: Play) -> None:
    """The NAT, which takes ports by chance, drops client 1's mappings in the midst of its traffic: the next comes elsewhere."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(HOLD_S)
    await play.nat_clears("c1")
    await play.hold(AFTER_S)


async def nat_timeout(play: Play) -> None:
    """Client 1, which sends no keepalives, is silent for longer than the NAT remembers it."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(HOLD_S)
    await play.silence("c1", 3 * TIMER_S)
    await play.hold(AFTER_S)


async def wrapped_and_bare(play: Play) -> None:
    """Two clients with NAT traversal, then two without; all leave in the end."""
    for name in ("c1", "c2", "c3", "c4"):
        await play.connect(name)
        await play.hold(HOLD_S)
    await play.hold(HOLD_S)
    for name in ("c4", "c3", "c2", "c1"):
        await play.client_close(name)
        await play.hold(HOLD_S / 2)


NATS = (
    Script("nat-clears", "the NAT drops one client's mappings", 2, nat_clears, time="virtual", nat="symmetric", marks_per_s=1.0),
    Script(
        "nat-timeout",
        "the NAT's timer ends the mappings of a client that keeps silent",
        2,
        nat_timeout,
        time="virtual",
        nat="timer-30",
        marks_per_s=1.0,
        gateway={"echo": 600.0, "hello": 600.0},  # or the gateway itself would keep the mapping alive
        overrides={"c1": {"personality": "no-keepalive"}},
    ),
    Script("preserving", "a NAT that keeps source ports where it can", 2, pair, time="virtual", nat="preserving"),
    Script("symmetric", "a symmetric NAT", 3, order, time="virtual", nat="symmetric"),
    Script("cookie-helper", "a NAT that keeps port 500 and tells IKE by cookies", 2, pair, time="virtual", nat="cookie-helper"),
    Script("cookie-helper-alone", "the same with one client", 1, alone, time="virtual", nat="cookie-helper"),
    Script("esp-helper", "a NAT that guesses whose ESP comes back", 2, pair, time="virtual", nat="esp-helper"),
    Script("esp-helper-alone", "the same with one client", 1, alone, time="virtual", nat="esp-helper"),
    Script(
        "single-client",
        "a NAT that lets one client's ESP through, and clients that speak no NAT traversal",
        2,
        pair,
        time="virtual",
        nat="single-client",
        personality="windows2000-unpatched",
    ),
    Script(
        "wrapped-and-bare",
        "an IOS router's NAT, clients with NAT traversal, and beside them clients without",
        4,
        wrapped_and_bare,
        time="virtual",
        nat="ios-spi-match",
        overrides={name: {"personality": "windows2000-unpatched"} for name in ("c3", "c4")},
    ),
    Script("alg", "a NAT that puts its address into payloads", 2, pair, time="virtual", nat="alg"),
)
