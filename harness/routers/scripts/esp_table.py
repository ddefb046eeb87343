"""What a NAT's table shows of hosts and tunnels that went through it, and what becomes of them when entries are cleared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import LabError
from harness.routers.esp_sites import PRESERVE_PORT, SPI_MATCH, SPI_MATCHING
from harness.routers.script import ESP, RouterScript
from harness.routers.wants import LATER, NEIGHBOURS

if TYPE_CHECKING:
    from harness.routers.esp_play import EspPlay

NAT, EAST = "nat", "east-1"
SHOW, CLEAR = "show ip nat translations", "clear ip nat translation"
FIRST, SECOND = "192.168.1.95", "192.168.1.89"
DNS, TELNET, TELNET_2 = "171.69.2.132", "171.69.1.220", "171.69.1.161"
OUTSIDE = "171.69.233.209"
"""Hosts and the NAT's address of the document's samples."""
ONE_UDP = f"{CLEAR} udp inside {OUTSIDE} 1220 {FIRST} 1220 {DNS} 53 {DNS} 53"
ONE_OUTSIDE = f"{CLEAR} outside {TELNET} {TELNET}"
EAST_2 = "203.0.113.242"
ESP_OF_ONE = f"{CLEAR} esp outside {EAST_2} {EAST_2}"
SHORT_OF_S, BEYOND_S = 280.0, 330.0
"""A little less and a little more than the five minutes that an ESP entry lives."""
QUIET_S = 2.0
TICK_S = 0.5
RULE = "ip nat inside source list 1 interface FastEthernet0/1"
FILTERS = ("", " esp", " icmp", " pptp", " tcp", " udp", " verbose", " vrf red", " vrf blue")
VRF_HOSTS = ("192.168.121.113", "192.168.122.49", "192.168.11.1", "192.168.11.3", "192.168.5.20")


def _nat(inside: str, mask: str, outside: str, *rules: str, vrf: str = "") -> tuple[str, ...]:
    return (
        "hostname NAT",
        *((f"ip vrf {vrf}", "ip vrf blue") if vrf else ()),
        "interface FastEthernet0/0",
        *((f" ip vrf forwarding {vrf}",) if vrf else ()),
        f" ip address {inside} {mask}",
        " ip nat inside",
        "interface FastEthernet0/1",
        f" ip address {outside} 255.255.255.0",
        " ip nat outside",
        *rules,
        "access-list 1 permit any",
        "access-list 10 permit any",
    )


async def overloaded(play: EspPlay) -> None:
    """The document's three flows, with the ages of its verbose sample; then one entry after the other is cleared."""
    from harness.routers.nat_hosts import NatHosts

    hosts = await NatHosts.placed(play, (FIRST, SECOND), (DNS, TELNET, TELNET_2))
    async with hosts.step("talk"):
        one = await hosts.connect(SECOND, 11012, TELNET, 23)
        if one is None:
            raise _without(SECOND, TELNET)
        await play.rest(23.0)
        await hosts.say(one.server, one.client, b"login: ")
        await play.rest(48.0)
        two = await hosts.connect(FIRST, 1067, TELNET_2, 23)
        asked = await hosts.udp(FIRST, 1220, DNS, 53, b"a name")
        await play.rest(QUIET_S)
        if two is None or asked is None:
            raise _without(FIRST, f"{TELNET_2} and {DNS}")
        await hosts.say(two.server, two.client, b"login: ")
        await hosts.answer(asked, b"its address")
    await play.execute(NAT, SHOW, "up")
    await play.execute(NAT, f"{SHOW} verbose", "up")
    await play.rest(QUIET_S)
    for name, commands in (
        ("refused", ("disable", f"{CLEAR} *", "exit")),
        ("udp cleared", (ONE_UDP,)),
        ("outside cleared", (ONE_OUTSIDE,)),
        ("all cleared", (f"{CLEAR} *",)),
    ):
        for command in commands:
            await play.execute(NAT, command, name)
        await play.execute(NAT, SHOW, name)
        async with hosts.step(name):
            await hosts.answer(asked, b"more")
            await hosts.say(one.server, one.client, b"more")
            await hosts.say(two.server, two.client, b"more")
        await play.rest(QUIET_S)


def _without(host: str, whom: str) -> LabError:
    return LabError("talk through the NAT", f"what {host} and {whom} sent did not all come in time", "look at the captures")


async def own_addresses(play: EspPlay) -> None:
    """Each inside host exchanges a packet with each outside one."""
    from harness.routers.nat_hosts import NatHosts

    inside = play.options["hosts"]
    hosts = await NatHosts.placed(play, inside, (DNS, TELNET))
    async with hosts.step("talk"):
        for number, host in enumerate(inside):
            for there, port in ((DNS, 53), (TELNET, 69)):
                asked = await hosts.udp(host, 4000 + number, there, port)
                if asked is not None:
                    await hosts.answer(asked)
    for more in play.options["shown"]:
        await play.execute(NAT, f"{SHOW}{more}", "up")


async def filtered(play: EspPlay) -> None:
    """A tunnel, and a host beside it that speaks TCP, UDP and ICMP."""
    from harness.routers.nat_hosts import NatHosts

    hosts = await NatHosts.placed(play, ("10.0.0.50",), ("203.0.113.9",))
    await play.bring_up("west-1", EAST)
    await play.exchange("west-1", EAST)
    async with hosts.step("talk"):
        await hosts.connect("10.0.0.50", 11012, "203.0.113.9", 23)
        await hosts.udp("10.0.0.50", 1220, "203.0.113.9", 53)
        await hosts.ping("10.0.0.50", "203.0.113.9", 20)
    for more in FILTERS:
        await play.execute(NAT, f"{SHOW}{more}", "up")


async def tunnels(play: EspPlay) -> None:
    """The entries of two tunnels, and what comes from outside once those of ESP are cleared."""
    clients = ("west-1", "west-2")
    await play.together(*((name, EAST) for name in clients))
    for name in clients:
        await play.exchange(name, EAST, label="up")
    await play.rest(3.0)
    await play.exchange("west-1", EAST, label="later")
    for what in ("esp", "esp verbose", "udp"):
        await play.execute(NAT, f"{SHOW} {what}", "up")
    for name in (*clients, EAST):
        await play.execute(name, "show crypto ipsec sa", "up")
    await play.rest(QUIET_S)
    await play.execute(NAT, f"{CLEAR} esp")
    for what in ("esp", "udp"):
        await play.execute(NAT, f"{SHOW} {what}", "cleared")
    async with play.step("esp cleared", *clients):
        for name in clients:
            await play.send(EAST, name)
        await play.rest(QUIET_S)
    await play.rest(QUIET_S)
    for name in clients:
        await play.exchange(name, EAST, label="anew")
    await play.rest(QUIET_S)
    async with play.step("the concentrator deletes its SAs", EAST):
        await play.execute(EAST, "clear crypto sa")
        await play.rest(QUIET_S)


async def two_gateways(play: EspPlay) -> None:
    """Tunnels with two gateways, and what comes from either once the entries of ESP towards one are cleared."""
    pairs = (("west-1", EAST), ("west-2", "east-2"))
    await play.together(*pairs)
    for here, there in pairs:
        await play.exchange(here, there, label="up")
    await play.execute(NAT, f"{SHOW} esp", "up")
    await play.rest(QUIET_S)
    await play.execute(NAT, ESP_OF_ONE)
    await play.execute(NAT, f"{SHOW} esp", "cleared")
    for here, there in pairs:
        async with play.step(f"from {there}", there):
            await play.send(there, here)
            await play.rest(QUIET_S)


async def life(play: EspPlay) -> None:
    """Packets from outside after times that a live entry lasts, and after one that it does not."""
    await play.bring_up("west-1", EAST)
    await play.exchange("west-1", EAST, label="up")
    await play.execute(NAT, f"{SHOW} esp verbose", "up")
    for name, idle_s in (("short", SHORT_OF_S), ("short again", SHORT_OF_S), ("long", BEYOND_S)):
        await play.rest(idle_s)
        await play.execute(NAT, f"{SHOW} esp verbose", name)
        async with play.step(f"idle:{name}", idle_s=idle_s):
            await play.send(EAST, "west-1")
            await play.rest(QUIET_S)
    await play.rest(QUIET_S)
    await play.exchange("west-1", EAST, label="anew")


async def storm(play: EspPlay) -> None:
    """Everybody's traffic goes on while the whole table is cleared; for a moment afterwards the clients have nothing to say."""
    clients = tuple(f"west-{number}" for number in range(1, int(play.options["west"]) + 1))

    async def both_ways(seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            for name in clients:
                await play.send(name, EAST)
                await play.send(EAST, name)
            await play.rest(TICK_S)

    await play.together(*((name, EAST) for name in clients))
    async with play.step("storm"):
        await both_ways(4.0)
        await play.execute(NAT, f"{SHOW} verbose", "before")
        await play.execute(NAT, f"{CLEAR} *")
        await play.execute(NAT, f"{SHOW} verbose", "after")
        async with play.step("all cleared"):
            for name in clients:
                await play.send(EAST, name)
            await play.rest(QUIET_S)
        await play.rest(TICK_S)
        async with play.step("recovery"):
            await both_ways(8.0)
    await play.rest(QUIET_S)
    for name in clients:
        await play.exchange(name, EAST, label="after the storm")


async def keywords(play: EspPlay) -> None:
    from harness.routers.nat_hosts import NatHosts

    hosts = await NatHosts.placed(play, ("10.0.0.50",), ("203.0.113.9",))
    await play.execute(NAT, "show version", "release")
    async with hosts.step("talk"):
        await hosts.connect("10.0.0.50", 11012, "203.0.113.9", 23)
    for more in ("", " esp", " vrf red"):
        await play.execute(NAT, f"{SHOW}{more}", "release")


NO_ENDPOINTS = {"west": 0, "east": 0}
MATCHED = (SPI_MATCH, PRESERVE_PORT)


def _matched(west: int) -> dict[str, tuple[str, ...]]:
    ends = (*(f"west-{number}" for number in range(1, west + 1)), EAST)
    return {NAT: MATCHED, **dict.fromkeys(ends, (SPI_MATCHING,))}


def _pool(inside: str, mask: str, rule: str, vrf: str = "") -> tuple[str, ...]:
    pool = "ip nat pool net 171.69.233.209 171.69.233.214 prefix-length 24"
    return _nat(inside, mask, "171.69.233.1", pool, rule, vrf=vrf)


def _release(release: str) -> RouterScript:
    return RouterScript(
        f"nat-table-{release.replace('(', '-').replace(')', '')}",
        f"the keywords of `{SHOW}` offered to IOS {release}",
        ESP,
        keywords,
        release=release,
        about_release=True,
        options=NO_ENDPOINTS,
        wants=(NEIGHBOURS,),
    )


_POOL = {**NO_ENDPOINTS, "nat_outside": "171.69.233.1", "pool": tuple(f"171.69.233.{number}" for number in range(209, 215))}

TABLES = (
    RouterScript(
        "nat-table-overload",
        "the three flows of the document's samples through an overloaded address, and their entries cleared one after the other",
        ESP,
        overloaded,
        instead={NAT: _nat("192.168.1.1", "255.255.255.0", OUTSIDE, f"{RULE} overload")},
        options={**NO_ENDPOINTS, "nat_outside": OUTSIDE},
        wants=(NEIGHBOURS,),
    ),
    RouterScript(
        "nat-table-pool",
        "two inside hosts with an outside address each",
        ESP,
        own_addresses,
        instead={NAT: _pool("192.168.1.1", "255.255.255.0", "ip nat inside source list 1 pool net")},
        options={**_POOL, "hosts": (FIRST, SECOND), "shown": ("",)},
        wants=(NEIGHBOURS,),
    ),
    RouterScript(
        "nat-table-vrf",
        "five hosts of a VRF with an outside address each",
        ESP,
        own_addresses,
        instead={NAT: _pool("192.168.0.1", "255.255.0.0", "ip nat inside source list 1 pool net vrf red", vrf="red")},
        needs=("show-nat-vrf",),
        options={**_POOL, "hosts": VRF_HOSTS, "shown": ("", " vrf red", " vrf blue")},
        wants=(NEIGHBOURS,),
    ),
    RouterScript(
        "nat-table-filters",
        "a tunnel and a host with TCP, UDP and ICMP, all of one VRF, shown by every keyword",
        ESP,
        filtered,
        instead={NAT: _nat("10.0.0.1", "255.255.255.0", "203.0.113.232", f"{RULE} vrf red overload", vrf="red")},
        lines=_matched(1),
        needs=("show-nat-esp", "show-nat-vrf", "spi-matching", "nat-service-esp"),
        wants=(NEIGHBOURS,),
    ),
    RouterScript(
        "nat-table-esp",
        "the entries of two tunnels, before and after those of ESP are cleared",
        ESP,
        tunnels,
        lines=_matched(2),
        needs=("show-nat-esp", "spi-matching", "nat-service-esp"),
        options={"west": 2},
    ),
    RouterScript(
        "nat-table-gateways",
        "the entries of tunnels with two gateways, and those of ESP towards one of them cleared",
        ESP,
        two_gateways,
        lines={**_matched(2), "east-2": (SPI_MATCHING,)},
        needs=("show-nat-esp", "spi-matching", "nat-service-esp"),
        options={"west": 2, "east": 2},
    ),
    RouterScript(
        "nat-table-life",
        "a tunnel that is idle for almost five minutes, twice, and then for more",
        ESP,
        life,
        lines=_matched(1),
        needs=("show-nat-esp", "spi-matching", "nat-service-esp"),
        wants=(LATER,),
    ),
    RouterScript(
        "nat-table-storm",
        "six clients in traffic while the NAT's whole table is cleared",
        ESP,
        storm,
        lines=_matched(6),
        needs=("spi-matching", "nat-service-esp"),
        options={"west": 6},
    ),
    *map(_release, ("12.2(8)T", "12.2(13)T", "12.2(15)T")),
)
