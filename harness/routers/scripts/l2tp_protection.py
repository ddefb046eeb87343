"""A VPDN group with and without a crypto profile: L2TP in the clear that somebody else sends, and what a LAC does without SAs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.script import L2TP, RouterScript
from harness.routers.scripts.l2tp_calls import FORGOTTEN_S, GROUP, LAC, LNS, NEEDS
from harness.routers.scripts.starting import without
from harness.routers.wants import INJECTION, LOSS

if TYPE_CHECKING:
    from harness.routers.l2tp_play import L2tpPlay

PROTECTED = "l2tp security crypto-profile l2tp"
NOT_PROTECTED = f"no {PROTECTED}"
STEADY_S = 5.0


async def clear_request(play: L2tpPlay) -> None:
    from harness.routers import forgeries  # heavy, and collecting the suites reads these scripts

    caller = await play.dial()
    await play.ping(caller)
    await play.forge(forgeries.sccrq(tunnel=77), "SCCRQ in the clear")
    await play.execute(LNS, "show vpdn", "forged")
    await play.ping(caller)
    await play.end_tunnels(LNS)
    await play.configure(LNS, GROUP, NOT_PROTECTED)
    await play.forge(forgeries.sccrq(tunnel=78), "SCCRQ without protection")
    await play.rest(FORGOTTEN_S)  # the LNS gives that tunnel up
    await play.configure(LAC, GROUP, NOT_PROTECTED)
    await play.ping(await play.dial())


async def clear_spoofs(play: L2tpPlay) -> None:
    """The IDs are those that the LNS itself shows; in a tunnel of one call that has just come up, the LAC has sent four control
    messages and the LNS two."""
    from harness.devices.ios.parsers.vpdn import VpdnSession, VpdnTunnel
    from harness.errors import LabError
    from harness.routers import forgeries
    from harness.routers.l2tp_play import LNS_PPP

    caller = await play.dial()
    await play.ping(caller)
    shown = await play.execute(LNS, "show vpdn", "up")
    tunnel = next((row for row in shown.rows or () if isinstance(row, VpdnTunnel)), None)
    call = next((row for row in shown.rows or () if isinstance(row, VpdnSession)), None)
    address = play.address_of(caller)
    if tunnel is None or call is None or address is None:
        raise LabError(
            "forge L2TP for a live session", seen="show vpdn of the LNS has no tunnel with a session", cure="see its log"
        )
    await play.rest(STEADY_S)
    data = forgeries.echo(tunnel.local_id, call.local_id, address, LNS_PPP, b"nobody has asked this")
    await play.forge(data, "data in the clear")
    await play.ping(caller)
    await play.rest(STEADY_S)
    await play.forge(forgeries.stop(tunnel.local_id, tunnel.remote_id, 4, 2), "StopCCN in the clear")
    await play.rest(STEADY_S)
    await play.ping(caller)


async def unprotected(play: L2tpPlay) -> None:
    caller = await play.dial()
    await play.ping(caller)
    await play.hang_up(caller)


async def before_the_sas(play: L2tpPlay) -> None:
    from harness.routers.l2tp_lab import ADDRESSES

    with play.losing(lambda packet: packet.src == ADDRESSES[LNS]):
        async with play.step("the LNS is not heard"):
            await play.dial()
            await play.rest(FORGOTTEN_S)
    await play.ping(await play.dial())


async def unknown_profiles(play: L2tpPlay) -> None:
    line = "l2tp security crypto-profile {}".format
    await play.offer(LAC, GROUP, line("later"), label="unknown")
    async with play.step("a profile that is not there"):
        await play.dial()
        await play.rest(FORGOTTEN_S)
    await play.configure(LAC, "crypto map l2tpsec 20 ipsec-isakmp profile later", "set transform-set esp-des-sha-transport")
    await play.configure(LAC, GROUP, line("later"))
    async with play.step("the profile is there"):
        await play.ping(await play.dial())
    await play.end_tunnels(LAC)
    await play.offer(LNS, GROUP, line("typo"), label="typo")
    async with play.step("a profile of another name"):
        await play.dial()
        await play.rest(FORGOTTEN_S)
    await play.configure(LNS, GROUP, PROTECTED)
    async with play.step("the profile's own name"):
        await play.ping(await play.dial())


PROTECTION = (
    RouterScript(
        "l2tp-clear-request",
        "an SCCRQ in the clear to an LNS whose group is protected, and to one whose group is no longer",
        L2TP,
        clear_request,
        needs=NEEDS,
        wants=(INJECTION,),
    ),
    RouterScript(
        "l2tp-clear-spoofs",
        "data and a StopCCN in the clear that bear the IDs of a protected call",
        L2TP,
        clear_spoofs,
        needs=NEEDS,
        wants=(INJECTION,),
    ),
    RouterScript(
        "l2tp-unprotected",
        "a call where no group names a crypto profile",
        L2TP,
        unprotected,
        instead={LAC: without("l2tp-lac.cfg", "l2tp security"), LNS: without("l2tp-lns.cfg", "l2tp security")},
        needs=("crypto-map-profile",),
        clear=True,
    ),
    RouterScript(
        "l2tp-before-the-sas",
        "a call while the LNS cannot be heard, and one when it can",
        L2TP,
        before_the_sas,
        needs=NEEDS,
        wants=(LOSS,),
    ),
    RouterScript(
        "l2tp-unknown-profiles",
        "groups that name a crypto profile which is not there, first at the LAC, then at the LNS",
        L2TP,
        unknown_profiles,
        needs=NEEDS,
    ),
)
