"""`crypto ipsec nat-transparency` in all its states at endpoints about a NAT, and a tunnel made in each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.routers.esp_sites import PRESERVE_PORT, SPI_MATCH, SPI_MATCHING
from harness.routers.script import ESP, RouterScript
from harness.routers.wants import LATER

if TYPE_CHECKING:
    from harness.routers.esp_play import EspPlay

WEST, EAST_1, NAT = "west-1", "east-1", "nat"
ENDS = (WEST, EAST_1)
UDP_ENCAPS = "crypto ipsec nat-transparency udp-encaps"
NO_UDP, NO_SPI = f"no {UDP_ENCAPS}", f"no {SPI_MATCHING}"
BOTH_OFF = (UDP_ENCAPS, NO_UDP, NO_SPI)
"""In the order that the document states, whatever was before."""
QUIET_S = 2.0
IDLE_S = 400.0
"""Longer than an ESP entry of the NAT lives."""

STATES: Mapping[str, tuple[str, ...]] = {
    "udp-encaps": (UDP_ENCAPS,),
    "no spi-matching": (SPI_MATCHING, NO_SPI),
    "no udp-encaps": (UDP_ENCAPS, NO_UDP),
    "both off": BOTH_OFF,
    "both off in reverse": (UDP_ENCAPS, NO_SPI, NO_UDP),
}
ORDERS: tuple[tuple[str, ...], ...] = (
    (UDP_ENCAPS, SPI_MATCHING),
    (SPI_MATCHING, UDP_ENCAPS),
    (UDP_ENCAPS, SPI_MATCHING, UDP_ENCAPS, SPI_MATCHING),
    (SPI_MATCHING, NO_UDP),
    (NO_UDP, SPI_MATCHING, UDP_ENCAPS),
    (NO_UDP, NO_SPI, SPI_MATCHING),
)


async def state(play: EspPlay, name: str, *, wait_s: float = 30.0) -> None:
    """Whatever tunnel there was is forgotten at both ends; then one is made, and used both ways."""
    for device in ENDS:
        await play.execute(device, "clear crypto sa")
        await play.execute(device, "clear crypto isakmp")
    await play.rest(QUIET_S)
    async with play.step(f"state:{name}", *ENDS):
        await play.bring_up(WEST, EAST_1, wait_s=wait_s)
        await play.exchange(WEST, EAST_1, label=name)
    for device in ENDS:
        await play.execute(device, "show crypto ipsec sa", name)
        await play.execute(device, "show running-config", name)
    await play.rest(QUIET_S)


async def all_states(play: EspPlay) -> None:
    await state(play, "default")
    for device in ENDS:
        await play.configure(device, SPI_MATCHING)
    async with play.step("live:spi-matching", *ENDS):
        await play.exchange(WEST, EAST_1, label="live")
    await play.rest(QUIET_S)
    await state(play, "spi-matching")
    for name, lines in STATES.items():
        for device in ENDS:
            await play.configure(device, *lines)
        await state(play, name)
    for number, order in enumerate(ORDERS, 1):
        async with play.step(f"order:{number}", WEST, lines=list(order)):
            await play.configure(WEST, *order)
            await play.execute(WEST, "show running-config", f"order {number}")


async def idle(play: EspPlay) -> None:
    """After a time without packets the concentrator's side speaks first."""
    for name, lines in (("udp-encaps", (UDP_ENCAPS,)), ("both off", BOTH_OFF)):
        for device in ENDS:
            await play.configure(device, *lines)
        await state(play, name)
        await play.rest(IDLE_S)
        async with play.step(f"from outside:{name}", *ENDS):
            await play.send(EAST_1, WEST)
            await play.rest(QUIET_S)
        await play.rest(QUIET_S)
        await play.exchange(WEST, EAST_1, label=f"{name} again")


async def disagreeing(play: EspPlay) -> None:
    for west, east in ((UDP_ENCAPS, SPI_MATCHING), (SPI_MATCHING, UDP_ENCAPS)):
        await play.configure(WEST, west)
        await play.configure(EAST_1, east)
        await state(play, f"{west.split()[-1]} and {east.split()[-1]}")


async def releases(play: EspPlay) -> None:
    """Each release is offered both keywords, then makes its tunnel."""
    for number in range(1, int(play.options["west"]) + 1):
        device = f"west-{number}"
        await play.execute(device, "show version", "release")
        for line in (UDP_ENCAPS, SPI_MATCHING):
            await play.offer(device, line, label="release")
        async with play.step(f"release:{device}", device):
            await play.bring_up(device, EAST_1)
            await play.exchange(device, EAST_1)
        await play.rest(QUIET_S)


TRANSPARENCY = (
    RouterScript(
        "esp-transparency",
        "a tunnel through a NAT in every state that the two keywords of `crypto ipsec nat-transparency` can be in",
        ESP,
        all_states,
        lines={NAT: (SPI_MATCH, PRESERVE_PORT)},
        needs=("nat-transparency", "spi-matching"),
    ),
    RouterScript(
        "esp-transparency-idle",
        "a tunnel through a NAT that is idle for longer than the NAT knows of it, with UDP encapsulation and with neither",
        ESP,
        idle,
        lines={WEST: ("crypto isakmp nat keepalive 20",)},
        needs=("nat-transparency", "spi-matching"),
        wants=(LATER,),
    ),
    RouterScript(
        "esp-transparency-disagreeing",
        "a tunnel through a NAT between an end with UDP encapsulation and one with SPI matching, either way round",
        ESP,
        disagreeing,
        lines={NAT: (SPI_MATCH, PRESERVE_PORT)},
        needs=("nat-transparency", "spi-matching"),
    ),
    RouterScript(
        "esp-transparency-releases",
        "both keywords offered to endpoints of three releases, and their tunnels through a NAT",
        ESP,
        releases,
        about_release=True,
        options={"west": 3, "releases": {"west-1": "12.2(11)T", "west-2": "12.2(13)T", "west-3": "12.2(15)T"}},
    ),
)
