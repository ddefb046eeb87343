"""Scripts for an LNS whose clients tunnel for themselves, by the client-initiated example of "L2TP Security"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.script import GatewayStart
from harness.scenario.router_lines import GATEWAY
from harness.scenario.script import HOLD_S, Script

if TYPE_CHECKING:
    from harness.scenario.play import Play

LIFE_S = 120
"""Of the ESP SAs of the example's profile."""
GLOBAL_LIFE_S = 600
RELEASED_S = 150.0
"""A Hello after 60 s of silence, 23 s in which it is sent again, and something: then an LNS knows that a client has gone."""
VOLUME_KB = 2560
"""The least life in kilobytes that a line can say."""
SIZES = (600, 1400, 1420, 1460)
"""Of packets that must not be fragmented; IPsec in UDP takes from 1500 more than a tunnel without NAT does."""
ASKED = ("show crypto isakmp sa", "show crypto ipsec sa")


async def lives(play: Play) -> None:
    """Two clients over five lives of their SAs; one hangs up, the other stays; a third is lost without a word."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(HOLD_S)
    await _shown(play, "up")
    await play.hold(5.4 * LIFE_S)
    await _shown(play, "later")
    await play.client_close("c2")
    await play.client_close("c1")
    await play.hold(HOLD_S)
    await _shown(play, "hung up")
    await play.connect("c3")
    await play.hold(8 * HOLD_S)
    await play.vanish("c3")
    await play.hold(RELEASED_S)
    await _shown(play, "lost")


async def bare(play: Play) -> None:
    """A client that offers ESP without authentication, and one that offers it with: the router has a transform set of each kind."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(HOLD_S)


async def path_mtu(play: Play) -> None:
    """A host behind the LNS asks a client in packets that must not be fragmented; where one is too big for the way, in one that
    should not be."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    for size in SIZES:
        mtu = await play.host_asks("c1", size)
        if mtu is not None:
            await play.host_asks("c1", mtu)
    await play.hold(HOLD_S)


async def volume(play: Play) -> None:
    """One client that sends nine tenths of what its SA may carry, long before its SA's time is up: Windows renews at eight."""
    await play.connect("c1")
    await play.hold(0.9 * VOLUME_KB / 1.4 / play.marks_per_s)


async def _shown(play: Play, label: str) -> None:
    for command in ASKED:
        await play.console.execute(GATEWAY, command, label)


VOLUNTARY = (
    Script(
        "voluntary", "clients that tunnel for themselves, over five lives of 120 s", 3, lives, time="virtual", marks_per_s=0.25,
        personality="windows2000-des", overrides={"c2": {"personality": "short-lived"}}, overrun_s=3600.0,
        router=GatewayStart("voluntary", (f"crypto ipsec security-association lifetime seconds {GLOBAL_LIFE_S}",)),
    ),
    Script(
        "voluntary-bare", "ESP without authentication is offered to an LNS", 2, bare, time="virtual",
        personality="windows2000-des", overrides={"c1": {"personality": "des-alone"}}, not_up=frozenset({"c1"}),
        router=GatewayStart("voluntary", (
            "crypto ipsec transform-set bare esp-des", " mode transport", "crypto map l2tpsec 10 ipsec-isakmp profile l2tp",
            " set transform-set bare esp-des-sha-transport",
        )),
    ),
    Script(
        "voluntary-pmtu", "large packets that must not be fragmented, through IPsec in UDP", 1, path_mtu, time="virtual",
        personality="windows2000-des", router=GatewayStart("voluntary"),
    ),
    Script(
        "voluntary-volume", f"an ESP SA that may carry {VOLUME_KB} kB", 1, volume, time="virtual", marks_per_s=50.0,
        mark_sizes=(1400,), personality="windows2000-des",
        router=GatewayStart("voluntary", (
            "crypto map l2tpsec 10 ipsec-isakmp profile l2tp", " set security-association lifetime seconds 3600",
            f" set security-association lifetime kilobytes {VOLUME_KB}",
        )),
    ),
)  # fmt: skip
