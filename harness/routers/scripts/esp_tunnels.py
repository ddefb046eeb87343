"""Tunnels through a NAT: one that gives everybody an address, one that is overloaded, and what SPI matching changes in that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.esp_sites import NAT, NEITHER, PRESERVE_PORT, RUNNING, SPI_MATCH, SPI_MATCHING
from harness.routers.script import ESP, RouterScript
from harness.routers.wants import INJECTION

if TYPE_CHECKING:
    from harness.routers.esp_play import EspPlay

ROUNDS = 3
ONE, TWO = ("west-1", "east-1"), ("west-2", "east-1")
BOTH = (ONE, TWO)
TABLE, SAS = "show ip nat translations esp", "show crypto ipsec sa"
SETTLE_S = 2.0
OLD = "12.2(8)T"
"""A release before both `crypto ipsec nat-transparency` and its keyword."""
CLASH = 0x28726CD9
"""The outbound SPI of the document's sample, here chosen by two."""
POOL = (
    "interface FastEthernet0/0",
    " ip address 10.0.0.1 255.255.255.0",
    " ip nat inside",
    "interface FastEthernet0/1",
    " ip address 203.0.113.232 255.255.255.0",
    " ip nat outside",
    "ip nat pool plain 203.0.113.234 203.0.113.236 netmask 255.255.255.0",
    "ip nat inside source list 1 pool plain",
    "access-list 1 permit 10.0.0.0 0.0.0.255",
)
SHORT = "crypto ipsec security-association lifetime seconds 120"
"""The shortest that IOS takes."""
SOME = ("access-list 11 permit 10.0.0.11", "access-list 11 permit 10.0.0.13")
LISTED = ("ip nat service list 11 ESP spi-match", "ip nat service list 11 IKE preserve-port")


def _all(line: str, *names: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names, (line,))


async def tunnels_anew(play: EspPlay, *pairs: tuple[str, str]) -> None:
    """Other SPIs, and a NAT that has seen none of them."""
    for here, _ in pairs:
        await play.execute(here, "clear crypto sa")
    await play.rest(SETTLE_S)
    await play.execute(NAT, "clear ip nat translation esp")
    await play.negotiate(*pairs)


async def in_parallel(play: EspPlay, *pairs: tuple[str, str], label: str, then: tuple[tuple[str, str], ...] = ()) -> None:
    """First packets in one second, the NAT's table before anybody answers, and the answers, in the order of `then`."""
    await play.first_packets(*pairs, label=label)
    await play.execute(NAT, TABLE, label)
    await play.answers(*(then or pairs), label=label)


async def plain(play: EspPlay) -> None:
    await play.execute(NAT, RUNNING, "plain")
    await play.negotiate(*BOTH)
    await in_parallel(play, *BOTH, label="plain")
    for here, there in BOTH:
        await play.exchange(here, there)


async def three_tunnels(play: EspPlay) -> None:
    """All come up at once, then every one is used both ways, one after the other and again."""
    clients = ("west-1", "west-2", "west-3")
    await play.together(*((name, "east-1") for name in clients))
    for number in range(1, ROUNDS + 1):
        for name in clients:
            await play.exchange(name, "east-1", label=str(number))
    await play.execute(NAT, TABLE, "up")
    for name in (*clients, "east-1"):
        await play.execute(name, SAS, "up")


async def nothing_then_the_nat(play: EspPlay) -> None:
    """Endpoints whose SPIs are chance: one tunnel alone, two at once, and two at once where the NAT matches SPIs all the same."""
    await play.negotiate(ONE)
    await play.exchange(*ONE, label="alone")
    await play.execute(NAT, TABLE, "alone")
    await tunnels_anew(play, *BOTH)
    await in_parallel(play, *BOTH, label="default")
    for pair in BOTH:
        await play.exchange(*pair, label="default")
    await play.configure(NAT, SPI_MATCH)
    await tunnels_anew(play, *BOTH)
    await in_parallel(play, *BOTH, label="NAT alone", then=(TWO, ONE))
    await play.execute(NAT, "clear ip nat translation esp")
    for pair in BOTH:
        await play.exchange(*pair, label="NAT alone")


async def endpoints_then_the_nat(play: EspPlay) -> None:
    """Endpoints with predictable SPIs: two at once without SPI matching on the NAT, and with it."""
    await play.negotiate(*BOTH)
    await in_parallel(play, *BOTH, label="endpoints alone")
    for pair in BOTH:
        await play.exchange(*pair, label="endpoints alone")
    await play.configure(NAT, SPI_MATCH)
    await tunnels_anew(play, *BOTH)
    await in_parallel(play, *BOTH, label="matched")
    for pair in BOTH:
        await play.exchange(*pair, label="matched")


async def two_of_three_listed(play: EspPlay) -> None:
    """Their IKE comes one after the other, so that whose port is free is known; then first packets at once, the unlisted one's
    between the others', and it is answered last: by then its packet has come out."""
    three = tuple((f"west-{number}", "east-1") for number in (1, 2, 3))
    for pair in three:
        await play.negotiate(pair)
    await in_parallel(play, *three, label="listed", then=(three[0], three[2], three[1]))
    for pair in three:
        await play.exchange(*pair, label="listed")


async def every_pair(play: EspPlay) -> None:
    """Everybody inside with everybody outside, in both directions at once."""
    pairs = tuple((f"west-{here}", f"east-{there}") for here in (1, 2, 3) for there in (1, 2))
    await play.negotiate(*pairs)
    await in_parallel(play, *pairs, label="every pair")
    for pair in pairs:
        await play.exchange(*pair)


async def rekeys(play: EspPlay) -> None:
    """Each way every ten seconds, for the life of two SAs and a half, each time one side first and the other five seconds later."""
    await play.together(*BOTH)
    async with play.step("rekeying"):
        for _ in range(30):
            for here, there in BOTH:
                await play.send(here, there)
            await play.rest(5.0)
            for here, there in BOTH:
                await play.send(there, here)
            await play.rest(5.0)
    await play.execute(NAT, TABLE, "rekeyed")


async def clash(play: EspPlay) -> None:
    """One insider's tunnel is up when another chooses the same SPI. A gateway may not have agreed to that: then ESP of the second
    with the first one's outbound SPI is forged, so that the NAT meets it, and the gateway is the next to speak."""
    await play.bring_up(*ONE)
    await play.exchange(*ONE, label="before")
    await play.negotiate(TWO)
    for number in range(1, ROUNDS + 1):
        await play.exchange(*ONE, label=f"after {number}")
        await play.exchange(*TWO, label=f"after {number}")
    await play.borrow_spi(TWO[0], ONE[0], "ESP with another's SPI")
    await play.exchange(*ONE[::-1], label="after the forged one")


async def prerequisites(play: EspPlay) -> None:
    """All that the feature asks for; then without one thing after another: a gateway of an older release, the NAT's service, the
    gateway's SPI matching."""
    old = (("west-1", "east-2"), ("west-2", "east-2"))

    async def attempt(label: str, *pairs: tuple[str, str]) -> None:
        for name in (NAT, *dict.fromkeys(name for pair in pairs for name in pair)):
            await play.execute(name, RUNNING, label)
        await play.execute(pairs[0][1], SAS, label)
        await in_parallel(play, *pairs, label=label)

    await play.negotiate(*BOTH)
    await attempt("complete", *BOTH)
    await play.offer("east-2", SPI_MATCHING, label="older")
    await play.negotiate(*old)
    await attempt("older gateway", *old)
    await play.configure(NAT, f"no {SPI_MATCH}")
    await tunnels_anew(play, *BOTH)
    await attempt("no service", *BOTH)
    await play.configure(NAT, SPI_MATCH)
    await play.configure("east-1", f"no {SPI_MATCHING}", NEITHER)
    await tunnels_anew(play, *BOTH)
    await attempt("gateway without", *BOTH)


TUNNELS = (
    RouterScript(
        "esp-plain-nat",
        "two tunnels through a NAT that gives each insider an outside address, and knows nothing of ESP",
        ESP,
        plain,
        lines=_all(NEITHER, "west-1", "west-2", "east-1"),
        instead={NAT: POOL},
        options={"west": 2},
    ),
    RouterScript(
        "esp-three-tunnels",
        "three tunnels through one NAT, with SPI matching on the NAT and at both ends",
        ESP,
        three_tunnels,
        lines={NAT: (SPI_MATCH, PRESERVE_PORT), **_all(SPI_MATCHING, "west-1", "west-2", "west-3", "east-1")},
        needs=("spi-matching", "nat-service-esp"),
        options={"west": 3},
    ),
    RouterScript(
        "esp-nothing-then-nat",
        "tunnels with SPIs of chance through an overloaded address: one, two at once, and two at once with SPI matching on the NAT",
        ESP,
        nothing_then_the_nat,
        lines={NAT: (PRESERVE_PORT,), **_all(NEITHER, "west-1", "west-2", "east-1")},
        options={"west": 2},
    ),
    RouterScript(
        "esp-endpoints-then-nat",
        "two tunnels with predictable SPIs set up at once: without SPI matching on the NAT, and with it",
        ESP,
        endpoints_then_the_nat,
        lines={NAT: (PRESERVE_PORT,), **_all(SPI_MATCHING, "west-1", "west-2", "east-1")},
        options={"west": 2},
    ),
    RouterScript(
        "esp-two-of-three",
        "three tunnels, two of whose endpoints the services' access list permits",
        ESP,
        two_of_three_listed,
        lines={NAT: (*SOME, *LISTED), **_all(SPI_MATCHING, "west-1", "west-2", "west-3", "east-1")},
        options={"west": 3},
    ),
    RouterScript(
        "esp-every-pair",
        "each of three insiders with each of two gateways, with SPI matching",
        ESP,
        every_pair,
        lines={NAT: (SPI_MATCH, PRESERVE_PORT), **_all(SPI_MATCHING, "west-1", "west-2", "west-3", "east-1", "east-2")},
        options={"west": 3, "east": 2},
    ),
    RouterScript(
        "esp-rekeys",
        "two matched tunnels in use while their SAs are rekeyed",
        ESP,
        rekeys,
        lines={NAT: (SPI_MATCH, PRESERVE_PORT), **dict.fromkeys(("west-1", "west-2", "east-1"), (SPI_MATCHING, SHORT))},
        options={"west": 2},
    ),
    RouterScript(
        "esp-clash",
        "two insiders choose one SPI, with SPI matching",
        ESP,
        clash,
        lines={NAT: (SPI_MATCH, PRESERVE_PORT), **_all(SPI_MATCHING, "west-1", "west-2", "east-1")},
        options={"west": 2, "first_spis": {"west-1": CLASH, "west-2": CLASH}},
        wants=(INJECTION,),
    ),
    RouterScript(
        "esp-clash-unmatched",
        "two insiders choose one SPI, where nothing is matched",
        ESP,
        clash,
        lines={NAT: (PRESERVE_PORT,), **_all(NEITHER, "west-1", "west-2", "east-1")},
        options={"west": 2, "first_spis": {"west-1": CLASH, "west-2": CLASH}},
        wants=(INJECTION,),
    ),
    RouterScript(
        "esp-prerequisites",
        "parallel set-up with all that SPI matching needs, and without one thing after another",
        ESP,
        prerequisites,
        lines={NAT: (SPI_MATCH, PRESERVE_PORT), "east-2": (), **_all(SPI_MATCHING, "west-1", "west-2", "east-1")},
        options={"west": 2, "east": 2, "releases": {"east-2": OLD}},
    ),
)
