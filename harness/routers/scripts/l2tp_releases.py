"""`l2tp security crypto-profile` offered to routers of releases and platforms before and after it was brought, and a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.script import L2TP, RouterScript
from harness.routers.scripts.l2tp_calls import GROUP, LAC, LNS
from harness.routers.scripts.l2tp_protection import PROTECTED
from harness.routers.scripts.starting import without

if TYPE_CHECKING:
    from harness.routers.l2tp_play import L2tpPlay

TEMPLATE = "crypto map l2tpsec 10 ipsec-isakmp profile l2tp"


async def offered(play: L2tpPlay) -> None:
    """Nothing is protected beforehand: where the command is refused, calls go in the clear."""
    async with play.step("offer the command", platform=play.options.get("platform")):
        for device in (LAC, LNS):
            await play.execute(device, "show version", "release")
            (template,) = await play.offer(device, TEMPLATE, label="release")
            if not template.refused:
                await play.configure(device, TEMPLATE, "set transform-set esp-des-sha-transport")
                await play.configure(device, "interface FastEthernet0/0", "crypto map l2tpsec")
            await play.offer(device, GROUP, PROTECTED, label="release")
    await play.ping(await play.dial())


def _script(name: str, release: str, platform: str | None = None) -> RouterScript:
    return RouterScript(
        name,
        f"L2TP security offered to IOS {release}" + (f" on the {platform}" if platform else ""),
        L2TP,
        offered,
        instead={
            LAC: without("l2tp-lac.cfg", "l2tp security", "crypto map"),
            LNS: without("l2tp-lns.cfg", "l2tp security", "crypto map"),
        },
        release=release,
        about_release=True,
        options={"platform": platform} if platform else {},
    )


RELEASES = (
    _script("l2tp-release-before", "12.2(2)T"),
    _script("l2tp-release-first", "12.2(4)T"),
    _script("l2tp-release-7500-before", "12.2(4)T", "7500"),
    _script("l2tp-release-7500", "12.2(4)T3", "7500"),
    _script("l2tp-release-as5300-before", "12.2(8)T", "AS5300"),
    _script("l2tp-release-as5300", "12.2(11)T", "AS5300"),
    _script("l2tp-release-sba", "12.2(27)SBA"),
)
