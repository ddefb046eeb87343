"""A VPDN group with a crypto profile: a call from its beginning to its end, and L2TP in the clear that somebody else sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.script import L2TP, RouterScript

if TYPE_CHECKING:
    from harness.routers.l2tp_play import L2tpPlay


async def a_call(play: L2tpPlay) -> None:
    caller = await play.dial()
    for _ in range(3):
        await play.ping(caller)
    await play.hang_up(caller)


async def clear_request(play: L2tpPlay) -> None:
    from harness.routers import forgeries  # heavy, and collecting the suites reads these scripts

    caller = await play.dial()
    await play.ping(caller)
    await play.forge(forgeries.sccrq(), "SCCRQ in the clear")
    await play.ping(caller)


PROTECTION = (
    RouterScript("l2tp-call", "one call through LAC and LNS, protected, from dialling to hanging up", L2TP, a_call),
    RouterScript("l2tp-clear-request", "an SCCRQ in the clear to an LNS whose group is protected", L2TP, clear_request),
)
