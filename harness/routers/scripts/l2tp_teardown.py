"""What becomes of the SAs when an L2TP tunnel has ended, with keep-sa and without, and what the next tunnel needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.routers.script import L2TP, RouterScript
from harness.routers.scripts.l2tp_calls import GROUP, LAC, LNS, NEEDS
from harness.routers.scripts.l2tp_protection import PROTECTED
from harness.routers.wants import LATER

if TYPE_CHECKING:
    from harness.routers.l2tp_play import L2tpPlay

KEEP = f"{PROTECTED} keep-sa"
BOTH_KEEP: Mapping[str, tuple[str, ...]] = {LAC: (GROUP, KEEP), LNS: (GROUP, KEEP)}
ANY_PEER = "crypto isakmp key cisco address 10.0.0.0 255.255.0.0"
IKE_LIFE_S = 600
VISITORS = tuple(f"10.0.1.{number}" for number in range(1, 13))
LEAVING = VISITORS[8:]
"""Visitors that come when SAs are not kept any more."""
AWAY, HOME = "10.0.1.99", "10.0.0.12"


async def shown(play: L2tpPlay, label: str, *devices: str) -> None:
    for device in devices or (LAC, LNS):
        await play.execute(device, "show crypto isakmp sa", label)
        await play.execute(device, "show crypto ipsec sa", label)


async def call_and_call_again(play: L2tpPlay) -> None:
    await play.ping(await play.dial())
    await shown(play, "up")
    await play.end_tunnels(LNS)
    await shown(play, "ended")
    await play.ping(await play.dial())


async def one_side_only(play: L2tpPlay) -> None:
    for keeps, other in ((LAC, LNS), (LNS, LAC)):
        await play.configure(keeps, GROUP, KEEP)
        await play.configure(other, GROUP, PROTECTED)
        async with play.step(f"only {keeps} keeps"):
            await play.ping(await play.dial())
            await play.end_tunnels(LNS)
            await shown(play, f"only {keeps} keeps")
            await play.ping(await play.dial())
            await play.end_tunnels(LNS)
        for device in (LAC, LNS):
            await play.execute(device, "clear crypto isakmp")


async def visitors(play: L2tpPlay) -> None:
    for address in VISITORS:
        if address == LEAVING[0]:
            await play.configure(LNS, GROUP, PROTECTED)
        await play.move_lac(address)
        async with play.step(f"visit:{address}", LAC):
            caller = await play.dial()
            await play.ping(caller)
            await play.end_tunnels(LNS)
        await play.execute(LNS, "show crypto isakmp sa", address)


async def moved(play: L2tpPlay) -> None:
    for number, address in enumerate((HOME, AWAY, HOME)):
        if number:
            await play.move_lac(address)
        async with play.step("from home" if address == HOME else "from elsewhere"):
            await play.ping(await play.dial())
            await play.end_tunnels(LNS)


async def life(play: L2tpPlay) -> None:
    for wait in (120.0, float(IKE_LIFE_S)):
        await play.ping(await play.dial())
        await play.end_tunnels(LNS)
        await play.rest(wait)
    await shown(play, "expired")
    await play.ping(await play.dial())


TEARDOWN = (
    RouterScript("l2tp-teardown", "a tunnel that ends, and the next one", L2TP, call_and_call_again, needs=NEEDS),
    RouterScript(
        "l2tp-keep-sa",
        "a tunnel that ends, and the next one, where both ends keep the ISAKMP SA",
        L2TP,
        call_and_call_again,
        lines=BOTH_KEEP,
        needs=NEEDS,
    ),
    RouterScript(
        "l2tp-keep-sa-one-side", "tunnels that end where one end alone keeps the ISAKMP SA", L2TP, one_side_only, needs=NEEDS
    ),
    RouterScript(
        "l2tp-keep-sa-visitors",
        "peers of ever new addresses that come once, to an LNS that keeps their ISAKMP SAs, and then keeps none",
        L2TP,
        visitors,
        lines={LAC: BOTH_KEEP[LAC], LNS: (*BOTH_KEEP[LNS], ANY_PEER)},
        needs=NEEDS,
        options={"lac_moves_to": VISITORS},
    ),
    RouterScript(
        "l2tp-keep-sa-moved",
        "a LAC that moves to another address and back, while the LNS keeps the ISAKMP SAs of both",
        L2TP,
        moved,
        lines={LAC: BOTH_KEEP[LAC], LNS: (*BOTH_KEEP[LNS], ANY_PEER)},
        needs=NEEDS,
        options={"lac_moves_to": (AWAY,)},
    ),
    RouterScript(
        "l2tp-keep-sa-life",
        "a kept ISAKMP SA that is used within its life, and asked for after it",
        L2TP,
        life,
        lines={device: (*lines, "crypto isakmp policy 1", f"lifetime {IKE_LIFE_S}") for device, lines in BOTH_KEEP.items()},
        needs=NEEDS,
        wants=(LATER,),
    ),
)
