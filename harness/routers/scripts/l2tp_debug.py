"""What routers tell of a tunnel while it comes up (`debug crypto socket`, `debug vpdn l2x-events`), how a message that nobody
acknowledges is repeated, and what the crypto engine counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.routers.script import L2TP, RouterScript
from harness.routers.wants import LOG, LOSS

if TYPE_CHECKING:
    from harness.routers.l2tp_play import L2tpPlay
    from harness.wire.packet import Packet

LAC, LNS = "lac", "lns"
ENGINE, SAS = "show crypto engine connections active", "show crypto ipsec sa"
SOCKETS = "show crypto sockets"
DEAF_S = 12.0
"""Long enough for a message to be repeated after 1, 2 and 4 s, and too short for the tunnel to be given up."""


async def debugged(play: L2tpPlay) -> None:
    await play.execute(LNS, "debug crypto socket")
    await play.execute(LNS, "debug vpdn l2x-events")
    await play.execute(LNS, SOCKETS, "before")
    caller = await play.dial()
    await play.ping(caller)
    await play.rest(2)
    for device in (LAC, LNS):
        await play.execute(device, SOCKETS, "up")


async def not_acknowledged(play: L2tpPlay) -> None:
    """From the LNS's first protected message on, which answers the request for a tunnel, nothing that the LAC protects arrives."""
    await play.execute(LNS, "debug vpdn l2x-events")
    with play.losing(_after_the_answer(play)):
        caller = await play.dial(wait_s=4 * DEAF_S)
    await play.ping(caller)


def _after_the_answer(play: L2tpPlay) -> Callable[[Packet], bool]:
    from harness.routers.l2tp_lab import ADDRESSES
    from harness.wire.packet import ESP

    answered_at: float | None = None

    def lost(packet: Packet) -> bool:
        nonlocal answered_at
        now = play.lab.epoch()
        if packet.protocol == ESP and packet.src == ADDRESSES[LNS] and answered_at is None:
            answered_at = now
        deaf = answered_at is not None and now < answered_at + DEAF_S
        return deaf and packet.protocol == ESP and packet.src == ADDRESSES[LAC]

    return lost


async def counted(play: L2tpPlay) -> None:
    """A call; then five echoes, and after a look at the counters ten more."""
    caller = await play.dial()
    await play.rest(5)
    for label, echoes in (("first", 5), ("second", 10)):
        for _ in range(echoes):
            await play.ping(caller)
        await play.rest(5)
        for device in (LAC, LNS):
            await play.execute(device, ENGINE, label)
            await play.execute(device, SAS, label)
        await play.rest(1)


DEBUG = (
    RouterScript("l2tp-debug", "a tunnel comes up, and the LNS tells of it", L2TP, debugged, wants=(LOG,)),
    RouterScript(
        "l2tp-unacknowledged", "the LNS's answer is not acknowledged for a while", L2TP, not_acknowledged, wants=(LOSS, LOG)
    ),
    RouterScript("l2tp-engine", "echoes, and what the crypto engine counts", L2TP, counted, release="12.2(11)T"),
)
