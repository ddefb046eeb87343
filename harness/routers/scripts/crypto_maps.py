"""Which entry of a crypto map a packet belongs to, what becomes of it, and with whom and about what is negotiated then. All without
a NAT: what goes in the clear finds its way to whom it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.esp_sites import EAST, INSIDE, OUTSIDE, WEST, Site, base, flow
from harness.routers.script import ESP, RouterScript

if TYPE_CHECKING:
    from harness.routers.esp_play import EspPlay

WEST_1, WEST_HOST = Site(WEST, 1), Site(WEST, 1).host
EAST_1, EAST_2, EAST_3, EAST_4 = (Site(EAST, number) for number in range(1, 5))
ELSEWHERE = "10.9.9.9"
"""A host of no network that any list names."""
MAP = "vpn"
SETS = (
    "crypto ipsec transform-set aes esp-aes esp-sha-hmac",
    "crypto ipsec transform-set 3des esp-3des esp-md5-hmac",
    "crypto ipsec transform-set des esp-des esp-sha-hmac",
)
ON = (f"interface {OUTSIDE}", f" crypto map {MAP}")
SETTLE_S, SILENT_S, REFUSED_S, FAILOVER_S = 2.0, 10.0, 15.0, 300.0
"""After Deletes; for what is not to come; until who is refused knows it; until a peer that does not answer is given up."""
VOLUME_KB = 2560
"""The least life in kilobytes that a line can say."""
A_SECOND, LARGE = 20, 1400
"""Packets a second, and bytes of each, of those that use such a life up."""


def bare(site: Site) -> tuple[str, ...]:
    """Addresses, keys and transform sets, and no protection."""
    return (*base(site), *SETS)


def static(number: int, acl: int, peers: tuple[Site, ...], sets: str = "aes") -> tuple[str, ...]:
    return (
        f"crypto map {MAP} {number} ipsec-isakmp",
        *(f" set peer {peer.address}" for peer in peers),
        f" set transform-set {sets}",
        f" match address {acl}",
    )


def dynamic(number: int = 10, sets: str = "aes", acl: int | None = 103, more: str = "") -> tuple[str, ...]:
    """A dynamic map with an entry, and the entry of the map that refers to it."""
    return (
        "crypto dynamic-map any 10",
        f" set transform-set {sets}",
        *((f" match address {acl}",) if acl is not None else ()),
        f"crypto map {MAP} {number} ipsec-isakmp dynamic any{more}",
    )


def answering(site: Site, sets: str = "aes", *, line: str | None = None) -> tuple[str, ...]:
    """Takes requests of anybody, for the flow to west-1 or what `line` permits."""
    return (*bare(site), f"access-list 103 {line or flow(site, WEST_1)}", *dynamic(sets=sets), *ON)


async def clear(play: EspPlay, *devices: str) -> None:
    """Nobody has anything with anybody any more."""
    for device in devices:
        await play.execute(device, "clear crypto sa")
        await play.execute(device, "clear crypto isakmp")
    await play.rest(SETTLE_S)


# Sequence numbers


async def by_number(play: EspPlay) -> None:
    for there in (EAST_1, EAST_2, EAST_3):
        await play.bring_up(WEST_1.name, there.name)
        await play.exchange(WEST_1.name, there.name)
    await play.exchange(WEST_1.name, EAST_4.name)


UP_TO_3 = f"permit ip {WEST_1.network}.0 0.0.0.255 10.2.0.0 0.0.3.255"
"""To the networks of the first three in the east."""
BY_NUMBER = (
    *bare(WEST_1),
    f"access-list 110 {flow(WEST_1, EAST_1)}",
    f"access-list 120 {flow(WEST_1, EAST_1)}",
    f"access-list 120 {flow(WEST_1, EAST_2)}",
    f"access-list 130 {UP_TO_3}",
    *static(30, 130, (EAST_3,)),
    *static(10, 110, (EAST_1,)),
    *static(20, 120, (EAST_2,)),
    *ON,
)


async def dynamic_first(play: EspPlay) -> None:
    for where in ("first", "last"):
        async with play.step(f"asked:{where}", EAST_1.name):
            await play.send(EAST_1.name, WEST_1.name)
            await play.rest(SILENT_S)
        await clear(play, EAST_1.name, WEST_1.name)
        async with play.step(f"offered:{where}", EAST_1.name, WEST_1.name):
            await play.bring_up(WEST_1.name, EAST_1.name)
            await play.exchange(WEST_1.name, EAST_1.name)
        await clear(play, EAST_1.name, WEST_1.name)
        if where == "first":
            await play.configure(EAST_1.name, f"no crypto map {MAP} 5", f"crypto map {MAP} 30 ipsec-isakmp dynamic any")


# What becomes of packets


async def slip_in(play: EspPlay, when: str) -> None:
    """To the end with a static entry and to the one with a dynamic entry, each what its list has and what it has not."""
    for here, there in ((EAST_1, WEST_1), (WEST_1, EAST_1)):
        await play.slip(here.host, there.host, f"ours to {there.name} {when}")
        await play.slip(ELSEWHERE, there.host, f"nobody's to {there.name} {when}")


async def traffic(play: EspPlay) -> None:
    await slip_in(play, "before")
    async with play.step("dynamic without an SA", EAST_1.name):
        await play.send(EAST_1.name, WEST_1.name)
        await play.send(EAST_1.name, WEST_1.name, dst=ELSEWHERE)
        await play.rest(SILENT_S)
    async with play.step("static without an SA", WEST_1.name):
        await play.send(WEST_1.name, EAST_1.name)
        await play.rest(SILENT_S)
    await play.exchange(WEST_1.name, EAST_1.name)
    await slip_in(play, "after")
    await play.exchange(WEST_1.name, EAST_1.name, label="again")


# Whom it is negotiated with, and about what


async def either_peer(play: EspPlay) -> None:
    for down in (EAST_1, EAST_2):
        with play.losing(lambda packet, at=down.address: at in (packet.src, packet.dst)):  # type: ignore[misc]
            async with play.step(f"down:{down.name}", down.name):
                await play.bring_up(WEST_1.name, EAST_1.name, wait_s=FAILOVER_S)
                await play.send(WEST_1.name, EAST_1.name)
                await play.rest(SETTLE_S)
        await clear(play, WEST_1.name)


async def negotiation(play: EspPlay) -> None:
    for there in (EAST_1, EAST_2):
        await play.bring_up(WEST_1.name, there.name)
        await play.exchange(WEST_1.name, there.name)
    await play.execute(EAST_1.name, "show crypto map", "up")
    for there in (EAST_3, EAST_4):
        await play.bring_up(WEST_1.name, there.name, wait_s=REFUSED_S)
    await play.execute(WEST_1.name, "clear crypto sa")
    await play.rest(SETTLE_S)
    await play.execute(EAST_1.name, "show crypto map", "ended")
    async with play.step("ended"):
        await play.send(EAST_1.name, WEST_1.name)
        await play.send(EAST_2.name, WEST_1.name)
        await play.rest(SILENT_S)
    for there in (EAST_1, EAST_2):
        await play.bring_up(WEST_1.name, there.name)
        await play.exchange(WEST_1.name, there.name, label="again")


BROAD, NARROW = "permit ip 10.2.0.0 0.0.255.255 10.1.0.0 0.0.255.255", f"permit ip host {EAST_4.host} host {WEST_HOST}"
NEGOTIATION = {
    WEST_1.name: (
        *bare(WEST_1),
        *(f"access-list {100 + site.number} {flow(WEST_1, site)}" for site in (EAST_1, EAST_2, EAST_3, EAST_4)),
        *(line for at in (EAST_1, EAST_2, EAST_3, EAST_4) for line in static(10 * at.number, 100 + at.number, (at,), "aes 3des")),
        *ON,
    ),
    EAST_1.name: answering(EAST_1, line=BROAD),
    EAST_2.name: (*bare(EAST_2), *dynamic(sets="3des", acl=None), *ON),
    EAST_3.name: answering(EAST_3, "des"),
    EAST_4.name: answering(EAST_4, "aes 3des", line=NARROW),
}


async def volume(play: EspPlay) -> None:
    """What an SA may carry and half as much again, one way."""
    await play.bring_up(WEST_1.name, EAST_1.name)
    async with play.step("volume", WEST_1.name):
        for _ in range(3 * VOLUME_KB * 1024 // (2 * A_SECOND * LARGE)):
            for _ in range(A_SECOND):
                await play.send(WEST_1.name, EAST_1.name, size=LARGE)
                await play.rest(1 / A_SECOND)
    await play.exchange(WEST_1.name, EAST_1.name)


async def discovery(play: EspPlay) -> None:
    async with play.step("not to discover", WEST_1.name):
        await play.send(WEST_1.name, EAST_1.name)
        await play.rest(SILENT_S)
    for site in (WEST_1, EAST_1):
        await play.configure(
            site.name, f"no crypto map {MAP} 10", f"crypto map {MAP} 10 ipsec-isakmp dynamic any discover", *ON
        )
    async with play.step("to discover", WEST_1.name):
        await play.bring_up(WEST_1.name, EAST_1.name)
        await play.exchange(WEST_1.name, EAST_1.name)


MAPS = (
    RouterScript(
        "map-by-number",
        "packets that one, two or three entries of a crypto map have in their lists, and one that none has",
        ESP,
        by_number,
        instead={
            WEST_1.name: BY_NUMBER,
            EAST_3.name: answering(EAST_3, line="permit ip 10.2.0.0 0.0.3.255 10.1.1.0 0.0.0.255"),
            EAST_4.name: bare(EAST_4),
        },
        options={"nat": False, "east": 4},
    ),
    RouterScript(
        "map-dynamic-first",
        "a dynamic entry that stands before a static one for the same flow, and after it",
        ESP,
        dynamic_first,
        instead={
            WEST_1.name: (*bare(WEST_1), f"access-list 101 {flow(WEST_1, EAST_1)}", *static(10, 101, (EAST_1,), "aes 3des"), *ON),
            EAST_1.name: (
                *bare(EAST_1),
                f"access-list 103 {flow(EAST_1, WEST_1)}",
                *dynamic(5, "3des"),
                *static(10, 103, (WEST_1,)),
                *ON,
            ),
        },
        options={"nat": False},
    ),
    RouterScript(
        "map-traffic",
        "packets in the clear that ought to be protected, and packets for which there is no SA yet",
        ESP,
        traffic,
        options={"nat": False},
    ),
    RouterScript(
        "map-peers",
        "an entry with two peers, of which first the one and then the other is cut off",
        ESP,
        either_peer,
        instead={
            WEST_1.name: (*bare(WEST_1), f"access-list 101 {flow(WEST_1, EAST_1)}", *static(10, 101, (EAST_1, EAST_2)), *ON),
            EAST_1.name: answering(EAST_1),
            EAST_2.name: (
                *answering(EAST_2, line=flow(EAST_1, WEST_1)),
                f"interface {INSIDE}",
                f" ip address {EAST_1.network}.2 255.255.255.0",  # at the same network as east-1
            ),
        },
        options={"nat": False, "east": 2},
    ),
    RouterScript(
        "map-negotiation",
        "one who offers two transform sets to four who know nothing of it: two take it, two do not",
        ESP,
        negotiation,
        instead=NEGOTIATION,
        options={"nat": False, "east": 4},
    ),
    RouterScript(
        "map-discovery",
        "a dynamic entry at both ends, first without and then with `discover`",
        ESP,
        discovery,
        instead={
            WEST_1.name: (*bare(WEST_1), f"access-list 103 {flow(WEST_1, EAST_1)}", *dynamic(), *ON),
            EAST_1.name: answering(EAST_1),
        },
        needs=("crypto-map-discover",),
        options={"nat": False},
    ),
    RouterScript(
        "map-volume",
        f"an entry whose SAs may carry {VOLUME_KB} kB, and half as much again to be carried",
        ESP,
        volume,
        instead={
            WEST_1.name: (
                *bare(WEST_1),
                f"access-list 101 {flow(WEST_1, EAST_1)}",
                *static(10, 101, (EAST_1,)),
                f" set security-association lifetime kilobytes {VOLUME_KB}",
                *ON,
            ),
            EAST_1.name: answering(EAST_1),
        },
        options={"nat": False},
    ),
)
