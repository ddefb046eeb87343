"""The other services of `ip nat service` beside those of ESP and IKE: FTP and SCCP on ports of their own, H.225, RAS and SIP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.esp_sites import PRESERVE_PORT, SPI_MATCH, SPI_MATCHING
from harness.routers.script import ESP, RouterScript
from harness.routers.wants import NEIGHBOURS

if TYPE_CHECKING:
    from harness.routers.esp_play import EspPlay
    from harness.routers.nat_hosts import NatHosts

NAT, EAST = "nat", "east-1"
CLIENTS = ("west-1", "west-2")
OUTSIDER, MANAGER = "203.0.113.9", "203.0.113.8"
SERVER, SERVER_OUTSIDE, OTHER, OTHER_OUTSIDE = "10.0.0.99", "203.0.113.99", "10.0.0.98", "203.0.113.98"
PHONE, SECOND_PHONE = "10.0.0.50", "10.0.0.51"
FTP_21, FTP_2021 = (f"ip nat service list 20 ftp tcp port {port}" for port in (21, 2021))
SKINNY = "ip nat service skinny tcp port 20002"
OTHERS = (
    "ip nat service H225",
    "ip nat service ras",
    "ip nat service sip tcp port 5060",
    "ip nat service sip udp port 5060",
)
DATA_PORT, MEDIA_PORT = 5000, 16384
QUIET_S = 2.0


async def session(hosts: NatHosts, sport: int, address: str, port: int) -> None:
    """A client outside opens a control connection, is told where the server waits for data, goes there, and goes on."""
    from harness.model import nat_words

    control = await hosts.connect(OUTSIDER, sport, address, port)
    if control is None:
        return
    seen = await hosts.say(control.server, control.client, nat_words.passive(control.server.address, DATA_PORT))
    where = nat_words.told_passive(seen["said"]) if seen else None
    if where is not None:
        await hosts.connect(OUTSIDER, sport + 1, *where)
    await hosts.say(control.client, control.server, b"LIST\r\n")


async def ftp(play: EspPlay) -> None:
    """An inside server that is asked on both ports, first without a line about it, then with one, then with both."""
    from harness.routers.nat_hosts import NatHosts

    hosts = await NatHosts.placed(play, (SERVER, OTHER), (OUTSIDER,))
    await play.together(*((name, EAST) for name in CLIENTS))
    async with hosts.step("no line"):
        await session(hosts, 3000, SERVER_OUTSIDE, 21)
    await play.rest(QUIET_S)
    await play.configure(NAT, FTP_2021)
    for number, (address, port) in enumerate(((SERVER_OUTSIDE, 21), (SERVER_OUTSIDE, 2021), (OTHER_OUTSIDE, 21))):
        async with hosts.step(f"2021 alone:{address}:{port}"):
            await session(hosts, 3100 + 2 * number, address, port)
        await play.rest(QUIET_S)
    await play.configure(NAT, FTP_21)
    for number, port in enumerate((21, 2021)):
        async with hosts.step(f"both:{SERVER_OUTSIDE}:{port}"):
            await session(hosts, 3200 + 2 * number, SERVER_OUTSIDE, port)
        await play.rest(QUIET_S)
    for name in CLIENTS:
        await play.exchange(name, EAST, label="both")


async def skinny(play: EspPlay) -> None:
    """A phone registers and opens its receive channel, without the line and with it; media come to where the manager was told."""
    from harness.model import nat_words
    from harness.routers.nat_hosts import NatHosts

    hosts = await NatHosts.placed(play, (PHONE,), (OUTSIDER, MANAGER))
    for number, lines in enumerate(((), (SKINNY,))):
        if lines:
            await play.configure(NAT, *lines)
        async with hosts.step(f"phone:{'with' if lines else 'without'} the line"):
            call = await hosts.connect(PHONE, 3000 + number, MANAGER, 20002)
            if call is not None:
                await hosts.say(call.client, call.server, nat_words.register(PHONE))
                seen = await hosts.say(call.client, call.server, nat_words.opened(PHONE, MEDIA_PORT))
                where = nat_words.told_opened(seen["said"]) if seen else None
                if where is not None:
                    await hosts.udp(OUTSIDER, 20000, *where, b"media")
        await play.rest(QUIET_S)


async def others(play: EspPlay) -> None:
    """The remaining lines are configured while tunnels are up; the tunnels go on, and are made anew."""
    from harness.routers.nat_hosts import NatHosts

    hosts = await NatHosts.placed(play, (PHONE, SECOND_PHONE), (OUTSIDER,))
    await play.together(*((name, EAST) for name in CLIENTS))
    await play.offer(NAT, *OTHERS, label="others")
    await play.execute(NAT, "show running-config", "others")
    for name in CLIENTS:
        await play.exchange(name, EAST, label="live")
    async with hosts.step("neighbours"):
        await hosts.udp(PHONE, 5060, OUTSIDER, 5060, b"OPTIONS sip:outside SIP/2.0\r\n\r\n")
        for number, port in enumerate((5060, 1720)):
            await hosts.connect(PHONE, 6000 + number, OUTSIDER, port)
        await hosts.udp(PHONE, 1719, OUTSIDER, 1719)
    async with hosts.step("TCP from port 500"):
        for host in (PHONE, SECOND_PHONE):
            await hosts.connect(host, 500, OUTSIDER, 500)
    await play.rest(QUIET_S)
    for name in (*CLIENTS, EAST):
        await play.execute(name, "clear crypto sa")
        await play.execute(name, "clear crypto isakmp")
    await play.rest(QUIET_S)
    async with play.step("tunnels anew", *CLIENTS):
        await play.together(*((name, EAST) for name in CLIENTS))
        for name in CLIENTS:
            await play.exchange(name, EAST, label="anew")


_MATCHING = dict.fromkeys((*CLIENTS, EAST), (SPI_MATCHING,))
_NEEDS = ("spi-matching", "nat-service-esp")
_STATICS = (
    f"ip nat inside source static {SERVER} {SERVER_OUTSIDE}",
    f"ip nat inside source static {OTHER} {OTHER_OUTSIDE}",
    f"access-list 20 permit {SERVER}",
)

SERVICES = (
    RouterScript(
        "nat-services-ftp",
        "an inside FTP server on ports 21 and 2021, with lines of neither, of 2021 alone and of both, beside tunnels",
        ESP,
        ftp,
        lines={NAT: (SPI_MATCH, PRESERVE_PORT, *_STATICS), **_MATCHING},
        needs=_NEEDS,
        options={"west": 2, "pool": (SERVER_OUTSIDE, OTHER_OUTSIDE)},
        wants=(NEIGHBOURS,),
    ),
    RouterScript(
        "nat-services-skinny",
        "a phone whose call manager is on port 20002, without a line about that port and with it",
        ESP,
        skinny,
        options={"west": 0, "east": 0},
        wants=(NEIGHBOURS,),
    ),
    RouterScript(
        "nat-services-others",
        "the services of H.225, RAS and SIP beside those of ESP and IKE, and TCP from port 500",
        ESP,
        others,
        lines={NAT: (SPI_MATCH, PRESERVE_PORT), **_MATCHING},
        needs=_NEEDS,
        options={"west": 2},
        wants=(NEIGHBOURS,),
    ),
)
