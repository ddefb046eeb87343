"""The scripts that every gateway is asked first: one client, two, several, and the ways in which a session ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.scenario.script import HOLD_S, Script

if TYPE_CHECKING:
    from harness.scenario.play import Play

IDLE_S = 22.0
"""A Windows client sends its NAT-keepalive after 20 s without traffic, the default of RFC 3948 section 4; one that does not, and is
this long idle, is beyond any doubt about its timer."""

LONG_IDLE_S = 900.0


async def pair(play: Play) -> None:
    """Client 1 alone for a while, then client 2 beside it; traffic on both; both leave as Windows leaves."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect("c2")
    await play.hold(2 * HOLD_S)
    await play.client_close("c2")
    await play.hold(HOLD_S / 2)
    await play.client_close("c1")


async def alone(play: Play) -> None:
    """One client and nobody else: busy, then idle for longer than its NAT-keepalive takes, then busy again."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.idle(IDLE_S)
    await play.hold(HOLD_S / 2)
    await play.client_close("c1")


async def idle(play: Play) -> None:
    """One client that has nothing to say for a quarter of an hour."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.idle(LONG_IDLE_S)
    await play.hold(HOLD_S)


async def order(play: Play) -> None:
    """Client 2 first, then client 1, then client 3: whoever comes later, the number of the client must not matter."""
    for name in ("c2", "c1", "c3"):
        await play.connect(name)
        await play.hold(HOLD_S)


async def together(play: Play) -> None:
    """All clients send their first datagram within 10 ms; then traffic on all of them."""
    await play.connect_together([plan.name for plan in play.plans])
    await play.hold(2 * HOLD_S)


async def endings(play: Play) -> None:
    """One client per cause of an end, and a bystander (c5) that must not notice any of them.

    Client 4 goes first, since a silent loss takes longest to be noticed; the others end while the gateway waits for it. It
    announces Dead Peer Detection, which Windows does not: without it only its lifetime ends the SA of a client that has vanished.
    """
    for name in ("c2", "c1", "c3", "c4", "c5"):
        await play.connect(name)
    await play.hold(HOLD_S)
    await play.vanish("c4")
    await play.hold(HOLD_S)
    await play.delete_ipsec("c1")
    await play.hold(HOLD_S)
    await play.gateway_close("c2")
    await play.hold(HOLD_S)
    await play.client_close("c3")
    await play.hold(HOLD_S)
    await play.settle("c4")
    await play.hold(HOLD_S / 2)


BASICS = (
    Script("alone", "one client", 1, alone),
    Script("pair", "two clients, one after the other", 2, pair),
    Script("idle", "one client, idle for a quarter of an hour", 1, idle, time="virtual", overrun_s=1200.0),
    Script("order", "clients 2, 1, 3 in this order", 3, order),
    Script("together", "all clients at once", 6, together, any_number=True),
    Script(
        "endings",
        "every way in which a session ends, beside one that stays",
        5,
        endings,
        time_scale=10.0,
        overrides={"c4": {"personality": "linux"}},
    ),
)
