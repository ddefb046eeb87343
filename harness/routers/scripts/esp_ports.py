"""Whose IKE keeps port 500 through the NAT, and what a gateway makes of it that demands it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.esp_sites import NAT, PRESERVE_PORT, RUNNING, SPI_MATCH, SPI_MATCHING
from harness.routers.script import ESP, RouterScript
from harness.routers.wants import LOSS
from harness.wire.ike.registry import PORT

if TYPE_CHECKING:
    from harness.routers.esp_play import EspPlay
    from harness.wire.packet import Packet

ONE, TWO = ("west-1", "east-1"), ("west-2", "east-1")
SETTLE_S = 2.0
GIVE_UP_S = 120.0
"""After which no end tries any more to reach one that does not answer."""
ROUNDS = 2
UDP = "show ip nat translations udp"
ENDS = dict.fromkeys(("west-1", "west-2", "east-1"), (SPI_MATCHING,))


async def all_anew(play: EspPlay) -> None:
    """No SA at any end, and a NAT that remembers nobody."""
    for name in ("west-1", "west-2", "east-1"):
        await play.execute(name, "clear crypto sa")
        await play.execute(name, "clear crypto isakmp")
    await play.rest(SETTLE_S)
    await play.execute(NAT, "clear ip nat translation *")


async def phase(play: EspPlay, label: str, *pairs: tuple[str, str]) -> None:
    """IKE of one after the other, then traffic of all, by turns; what the NAT says of it."""
    async with play.step(f"phase:{label}"):
        for pair in pairs:
            await play.negotiate(pair)
        for number in range(1, ROUNDS + 1):
            for pair in pairs:
                await play.exchange(*pair, label=f"{number}:{label}")
    await play.execute(NAT, UDP, label)
    for name in (NAT, *ENDS):
        await play.execute(name, RUNNING, label)


async def on_and_off(play: EspPlay) -> None:
    """With the service the clients come in the other order: the one that comes second is told apart by it."""
    await play.execute(NAT, RUNNING, "start")
    await phase(play, "default", ONE, TWO)
    await play.configure(NAT, PRESERVE_PORT)
    await all_anew(play)
    await phase(play, "on", TWO, ONE)
    await play.configure(NAT, f"no {PRESERVE_PORT}")
    await all_anew(play)
    await phase(play, "off again", ONE, TWO)


async def demanded(play: EspPlay) -> None:
    """The gateway hears IKE from port 500 alone: what comes from another is filtered before it."""

    def filtered(packet: Packet) -> bool:
        return packet.dst == play.lab.sites["east-1"].address and packet.dport == PORT and packet.sport != PORT

    with play.losing(filtered):
        await phase(play, "default", ONE, TWO)
        await play.rest(GIVE_UP_S)
        await play.configure(NAT, PRESERVE_PORT)
        await all_anew(play)
        await phase(play, "on", ONE, TWO)


PORTS = (
    RouterScript(
        "esp-preserve-port",
        "two clients of one gateway: without preserve-port, with it, and without it again",
        ESP,
        on_and_off,
        lines={NAT: (SPI_MATCH,), **ENDS},
        options={"west": 2},
    ),
    RouterScript(
        "esp-demanded-port",
        "two clients of a gateway that hears IKE from port 500 alone: without preserve-port, and with it",
        ESP,
        demanded,
        lines={NAT: (SPI_MATCH,), **ENDS},
        options={"west": 2},
        wants=(LOSS,),
    ),
)
