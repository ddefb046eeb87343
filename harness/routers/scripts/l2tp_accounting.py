"""Users whom RADIUS judges and counts, and IPsec sessions that the crypto map's client accounting list counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.radius_sites import KEY, SERVERS
from harness.routers.script import L2TP, RouterScript
from harness.routers.scripts.l2tp_calls import FORGOTTEN_S, LNS, NEEDS
from harness.routers.wants import HOST

if TYPE_CHECKING:
    from harness.routers.l2tp_play import L2tpPlay

USER, OTHER, UNKNOWN = "userSerial10@cisco.com", "someone@cisco.com", "nobody@cisco.com"
PASSWORD = "cisco"
ONE_WAY, ONE_WAY_OCTETS = 3, 1200
"""Packets that a host sends to the first caller and that nobody answers, and the bytes of each: so that what a link takes in and
what it puts out are not as much."""
LISTED = "crypto map l2tpsec client-accounting-list FLOWS"
AAA = (
    f"username {UNKNOWN} password 0 {PASSWORD}",  # whom the router would let in by itself
    f"no username {USER}",
    "aaa new-model",
    *(f"radius-server host {address} auth-port 1812 acct-port 1813 key {KEY}" for address in SERVERS.values()),
    *(
        line
        for group, server in (("USERS", "radius"), ("SESSIONS", "radius-2"))
        for line in (f"aaa group server radius {group}", f"server {SERVERS[server]} auth-port 1812 acct-port 1813")
    ),
    "aaa authentication ppp default group USERS",
    "aaa accounting network default start-stop group USERS",
    "aaa accounting network FLOWS start-stop group SESSIONS",
    LISTED,
)
"""Users are counted with the one server, IPsec sessions with the other."""


async def accounting(play: L2tpPlay) -> None:
    first = await play.dial(USER, PASSWORD)
    for _ in range(4):
        await play.ping(first, size=1000)
    for number in range(1, ONE_WAY + 1):
        await play.host_sends(first, f"one way {number}", ONE_WAY_OCTETS, df=False)
    other = await play.dial(OTHER, PASSWORD)
    await play.ping(other, size=400)
    await play.hang_up(await play.dial(UNKNOWN, PASSWORD))  # in case that it came up
    await play.hang_up(other)
    await play.rest(5.0)
    await play.hang_up(first)
    await play.rest(FORGOTTEN_S)  # the tunnel ends, since nobody calls, and its SAs with it
    await play.configure(LNS, f"no {LISTED}")
    async with play.step("without a list"):
        last = await play.dial(USER, PASSWORD)
        await play.ping(last)
        await play.hang_up(last)
        await play.rest(FORGOTTEN_S)


ACCOUNTING = (
    RouterScript(
        "l2tp-accounting",
        "two users whom RADIUS knows and one whom it does not; IPsec sessions that are counted, and one that is not",
        L2TP,
        accounting,
        lines={LNS: AAA},
        needs=(*NEEDS, "crypto-map-accounting"),
        options={"radius": {USER: PASSWORD, OTHER: PASSWORD}},
        wants=(HOST,),
    ),
)
