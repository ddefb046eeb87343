"""Tunnels of endpoints with predictable SPIs through a NAT that matches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.esp_sites import PRESERVE_PORT, SPI_MATCH, SPI_MATCHING
from harness.routers.script import ESP, RouterScript

if TYPE_CHECKING:
    from harness.routers.esp_play import EspPlay

ROUNDS = 3


async def three_tunnels(play: EspPlay) -> None:
    """All come up at once, then every one is used both ways, one after the other and again."""
    clients = ("west-1", "west-2", "west-3")
    await play.together(*((name, "east-1") for name in clients))
    for number in range(1, ROUNDS + 1):
        for name in clients:
            await play.exchange(name, "east-1", label=str(number))
    await play.execute("nat", "show ip nat translations esp", "up")
    for name in (*clients, "east-1"):
        await play.execute(name, "show crypto ipsec sa", "up")


TUNNELS = (
    RouterScript(
        "esp-three-tunnels",
        "three tunnels through one NAT, with SPI matching on the NAT and at both ends",
        ESP,
        three_tunnels,
        lines={
            "nat": (SPI_MATCH, PRESERVE_PORT),
            **dict.fromkeys(("west-1", "west-2", "west-3", "east-1"), (SPI_MATCHING,)),
        },
        needs=("spi-matching", "nat-service-esp"),
        options={"west": 3},
    ),
)
