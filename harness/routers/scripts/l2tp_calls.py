"""Callers of a LAC whose calls are tunnelled: which ones, to where, under which names and passwords, and what of PPP the LNS does
again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.script import L2TP, RouterScript
from harness.routers.wants import LOG, SERIAL

if TYPE_CHECKING:
    from harness.routers.l2tp_play import L2tpPlay

LAC, LNS = "lac", "lns"
GROUP = "vpdn-group 1"
TEMPLATE = "interface Virtual-Template1"
OTHER_USER = "visitor@other.example"
NEEDS = ("l2tp-security", "crypto-map-profile")
FORGOTTEN_S = 90.0
"""After so long a LAC tries an LNS again that it could not reach."""


async def a_call(play: L2tpPlay) -> None:
    caller = await play.dial()
    for _ in range(3):
        await play.ping(caller)
    for device in (LAC, LNS):
        await play.execute(device, "show vpdn", "up")
    await play.hang_up(caller)
    await play.rest(FORGOTTEN_S)  # the tunnel ends, since nobody calls


async def domains(play: L2tpPlay) -> None:
    await play.dial(OTHER_USER)
    ours = await play.dial()
    await play.ping(ours)
    await play.configure(LAC, GROUP, "request-dialin", "domain other.example")
    for caller in (await play.dial(OTHER_USER), await play.dial()):
        await play.ping(caller)


async def two_servers(play: L2tpPlay) -> None:
    await play.ping(await play.dial())
    await play.end_tunnels(LAC)
    await play.configure(LAC, GROUP, "no initiate-to ip 10.0.0.13", "initiate-to ip 10.0.0.14")
    await play.ping(await play.dial())


async def names(play: L2tpPlay) -> None:
    await play.ping(await play.dial())
    await play.end_tunnels(LAC)
    await play.configure(LAC, GROUP, "local name OTHER")
    await play.dial()
    await play.rest(FORGOTTEN_S)
    await play.configure(LNS, GROUP, "terminate-from hostname OTHER")
    await play.ping(await play.dial())


async def tunnel_password(play: L2tpPlay) -> None:
    await play.dial()
    await play.rest(FORGOTTEN_S)
    await play.configure(LAC, GROUP, "l2tp tunnel password cisco")
    await play.ping(await play.dial())


async def lcp(play: L2tpPlay) -> None:
    async def calls(*lines: str, number: int = 1) -> None:
        for _ in range(number):
            if lines:
                await play.configure(LNS, *lines)
            await play.ping(await play.dial(accept=("chap-md5", "pap")))
            await play.end_tunnels(LAC)

    await calls(GROUP, "lcp renegotiation on-mismatch")
    await calls(TEMPLATE, "ppp authentication pap")
    await calls(TEMPLATE, "ppp authentication chap")
    await calls(GROUP, "lcp renegotiation always", number=2)
    await calls(GROUP, "no lcp renegotiation always")


async def pool(play: L2tpPlay) -> None:
    for caller in (await play.dial(), await play.dial()):
        await play.ping(caller)


async def logging(play: L2tpPlay) -> None:
    for line in ("vpdn logging", "no vpdn logging"):
        for device in (LAC, LNS):
            await play.configure(device, line)
        async with play.step(line):
            caller = await play.dial()
            await play.ping(caller)
            await play.hang_up(caller)
            await play.end_tunnels(LNS)


async def client(play: L2tpPlay) -> None:
    await play.offer(
        LAC,
        "interface Serial1/0",
        "ip address negotiated",
        "encapsulation ppp",
        "clockrate 128000",
        "no cdp enable",
        "ppp chap hostname userSerial10@cisco.com",
        "ppp chap password cisco",
        label="client",
    )
    await play.execute(LAC, "show running-config", "client")


CALLS = (
    RouterScript("l2tp-call", "one call through LAC and LNS, protected, from dialling to hanging up", L2TP, a_call, needs=NEEDS),
    RouterScript(
        "l2tp-domains",
        "callers of two domains, of which the LAC tunnels one, then both",
        L2TP,
        domains,
        lines={LNS: (f"username {OTHER_USER} password 0 cisco",), LAC: (f"username {OTHER_USER} password 0 cisco",)},
        needs=NEEDS,
    ),
    RouterScript(
        "l2tp-two-servers",
        "calls to one LNS, then to the other that `initiate-to` names instead",
        L2TP,
        two_servers,
        lines={LAC: ("crypto isakmp key cisco address 10.0.0.14",)},
        needs=NEEDS,
        options={"second_lns": True},
    ),
    RouterScript(
        "l2tp-names",
        "a LAC that bears the name which the LNS terminates, another one, and the one that it then terminates",
        L2TP,
        names,
        lines={LAC: ("hostname Access",)},
        needs=NEEDS,
    ),
    RouterScript(
        "l2tp-tunnel-password",
        "a LAC with another tunnel password than the LNS's, then with the same",
        L2TP,
        tunnel_password,
        lines={LAC: (GROUP, "l2tp tunnel password wrong")},
        needs=NEEDS,
    ),
    RouterScript("l2tp-lcp", "calls whose LCP the LNS may take over, or begin again", L2TP, lcp, needs=NEEDS),
    RouterScript(
        "l2tp-pool",
        "two callers whose addresses come from the router's local pool",
        L2TP,
        pool,
        lines={
            LNS: (
                "ip address-pool local",
                "ip local pool default 172.16.2.10 172.16.2.11",
                TEMPLATE,
                "no peer default ip address pool DIALIN",
            )
        },
        needs=NEEDS,
    ),
    RouterScript(
        "l2tp-logging",
        "a call from its beginning to its end with VPDN events logged, and one without",
        L2TP,
        logging,
        needs=NEEDS,
        wants=(LOG,),
    ),
    RouterScript(
        "l2tp-client-example",
        "the configuration of the document's client, typed into a router",
        L2TP,
        client,
        instead={LAC: ("hostname Client",), LNS: ("hostname LNS",)},
        wants=(SERIAL,),
    ),
)
