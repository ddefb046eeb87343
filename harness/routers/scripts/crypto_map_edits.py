"""Entries of a crypto map that are changed, removed and made anew as something else, while there is traffic for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.esp_sites import flow
from harness.routers.script import ESP, RouterScript
from harness.routers.scripts.crypto_maps import EAST_1, EAST_2, MAP, ON, SETTLE_S, SILENT_S, WEST_1, answering, bare, clear, static

if TYPE_CHECKING:
    from harness.routers.esp_play import EspPlay

BY_HAND = f"crypto map {MAP} 10 ipsec-manual"
SOMESET = "crypto ipsec transform-set someset ah-md5-hmac esp-des"
KEYS = (
    "set session-key inbound ah 256 98765432109876549876543210987654",
    "set session-key outbound ah 256 fedcbafedcbafedcbafedcbafedcbafedc",
    "set session-key inbound esp 256 cipher 0123456789012345",
    "set session-key outbound esp 256 cipher abcdefabcdefabcd",
)
"""The document's, an outbound key of 34 digits among them; the other end has them the other way round."""
TURNED = tuple(
    key.replace("inbound", "?").replace("outbound", "inbound").replace("?", "outbound") for key in KEYS
)


async def retyped(play: EspPlay) -> None:
    await play.bring_up(WEST_1.name, EAST_1.name)
    for site in (WEST_1, EAST_1):
        await play.offer(site.name, BY_HAND, label="over the other")
    await clear(play, WEST_1.name)
    async with play.step("as it was"):
        await play.bring_up(WEST_1.name, EAST_1.name)
        await play.exchange(WEST_1.name, EAST_1.name)
    for here, there, keys in ((WEST_1, EAST_1, KEYS), (EAST_1, WEST_1, TURNED)):
        lines = ("match address 101", "set transform-set someset", f"set peer {there.address}", *keys)
        await play.offer(here.name, f"no crypto map {MAP} 10", SOMESET, BY_HAND, *lines, *ON, label="anew")
    await play.rest(SETTLE_S)
    async with play.step("by hand"):
        await play.exchange(WEST_1.name, EAST_1.name)
    for site in (WEST_1, EAST_1):
        await play.execute(site.name, "show crypto ipsec sa", "by hand")


async def edited(play: EspPlay) -> None:
    async with play.step("before"):
        for there in (EAST_1, EAST_2):
            await play.bring_up(WEST_1.name, there.name)
            await play.exchange(WEST_1.name, there.name)
    await play.execute(WEST_1.name, "show crypto map", "before")
    await play.offer(WEST_1.name, f"crypto map {MAP} 10", "set transform-set 3des", label="no keyword")
    await play.execute(WEST_1.name, "show crypto map", "edited")
    await clear(play, WEST_1.name)
    async with play.step("edited"):
        for there in (EAST_1, EAST_2):
            await play.bring_up(WEST_1.name, there.name)
            await play.exchange(WEST_1.name, there.name)
    await play.offer(WEST_1.name, f"no crypto map {MAP} 10", label="removed")
    await play.rest(SETTLE_S)
    async with play.step("removed"):
        await play.send(WEST_1.name, EAST_1.name)
        await play.rest(SILENT_S)
        await play.exchange(WEST_1.name, EAST_2.name)
    await play.execute(WEST_1.name, "show crypto map", "removed")


EDITS = (
    RouterScript(
        "map-retyped",
        "an entry that IKE serves and that is to be one with keys by hand: offered over the other, then deleted and entered anew",
        ESP,
        retyped,
        instead={
            here.name: (*bare(here), f"access-list 101 {flow(here, there)}", *static(10, 101, (there,)), *ON)
            for here, there in ((WEST_1, EAST_1), (EAST_1, WEST_1))
        },
        options={"nat": False},
    ),
    RouterScript(
        "map-edited",
        "of two entries, one is edited without a keyword, and then removed",
        ESP,
        edited,
        instead={
            WEST_1.name: (
                *bare(WEST_1),
                *(f"access-list {100 + site.number} {flow(WEST_1, site)}" for site in (EAST_1, EAST_2)),
                *static(10, 101, (EAST_1,)),
                *static(20, 102, (EAST_2,)),
                *ON,
            ),
            EAST_1.name: answering(EAST_1, "aes 3des"),
            EAST_2.name: answering(EAST_2, "aes 3des"),
        },
        options={"nat": False, "east": 2},
    ),
)
