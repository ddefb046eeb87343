"""Scripts about what a demultiplexing gateway gives its clients, and what becomes of them without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.scenario.basics import pair
from harness.scenario.script import HOLD_S, Script

if TYPE_CHECKING:
    from harness.scenario.play import Play

DETECTION_S = 150.0
"""A Windows client asks after 40 s of silence (Hello), asks again for 23 s, and then gives up; this is beyond doubt."""

FEW_PORTS = 4


async def eviction(play: Play) -> None:
    """Client 2 takes client 1's place, and goes on until client 1 has found out."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect("c2")
    await play.hold(DETECTION_S)
    await play.client_close("c2")


async def demux_removed(play: Play) -> None:
    """Two clients come with demultiplexing, two more after it was taken out of the configuration."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(HOLD_S)
    await play.demux(False)
    await play.hold(HOLD_S)
    await play.connect("c3")
    await play.hold(HOLD_S)
    await play.connect("c4")
    await play.hold(3 * HOLD_S)


async def come_back(play: Play) -> None:
    """Client 1 leaves, client 3 arrives, client 1 comes back: client 2 is there throughout."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(HOLD_S)
    await play.client_close("c1")
    await play.hold(HOLD_S)
    await play.connect("c3")
    await play.hold(HOLD_S)
    await play.come_back("c1")
    await play.hold(2 * HOLD_S)


async def one_by_one(play: Play) -> None:
    """All clients, one after the other, and traffic on all of them."""
    for plan in play.plans:
        await play.connect(plan.name)
        await play.hold(HOLD_S)
    await play.hold(2 * HOLD_S)


async def checksum(play: Play) -> None:
    """Client 1 sends the checksum of its inside address, client 2 none."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(2 * HOLD_S)


DEMUXING = (
    Script("eviction", "client 2 takes client 1's place; when does client 1 notice?", 2, eviction, time="virtual", marks_per_s=2.0),
    Script("demux-removed", "demultiplexing is switched off under two clients, two more come", 4, demux_removed, time="virtual"),
    Script("return", "a client leaves, another comes, the first one returns", 3, come_back, time="virtual"),
    Script(
        "floating-port",
        "a LAC whose own L2TP port is 1024 beside a client that is given 1024",
        2,
        one_by_one,
        time="virtual",
        overrides={"c2": {"personality": "lac-1024"}},
    ),
    Script(
        "checksum",
        "a gateway that verifies the UDP checksum inside ESP",
        2,
        checksum,
        time="virtual",
        gateway={"checksum": "verify"},
        overrides={"c1": {"personality": "brisk"}, "c2": {"personality": "zero-checksum"}},
        not_up=frozenset({"c1"}),
    ),
    Script(
        "port-space",
        f"one client more than the gateway has ports ({FEW_PORTS} of them here)",
        FEW_PORTS + 1,
        one_by_one,
        time="virtual",
        gateway={"port_last": 1024 + FEW_PORTS - 1},
        overrides={f"c{FEW_PORTS + 1}": {"personality": "brisk"}},
        not_up=frozenset({f"c{FEW_PORTS + 1}"}),
    ),
    Script("clear", "no IPsec at all: L2TP itself through the NAT", 3, one_by_one, time="virtual", personality="clear"),
    Script("no-nat", "every client has an address of its own and no NAT before it", 2, pair, time="virtual", nat="none"),
    Script(
        "two-nats",
        "the same inside address behind two NATs",
        2,
        one_by_one,
        time="virtual",
        overrides={"c2": {"site": 2, "address": "10.0.0.2"}},
    ),
    Script(
        "mixed",
        "two clients behind the NAT, one without, and a LAC",
        4,
        one_by_one,
        time="virtual",
        overrides={"c3": {"site": 0, "address": "203.0.113.50"}, "c4": {"personality": "lac-1024"}},
    ),
)
