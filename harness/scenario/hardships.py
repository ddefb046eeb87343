"""Scenarios in which something is wrong: a client's secret, the gateway, the NAT, the datagrams themselves.

The project's own tests play them, not the suites: what they ask is whether the harness says who failed, at which stage and why, and
whether the others live on. Step names beside those of `scripts`: "reconfigure", "gateway-silent", "gateway-killed", "nat-forgets",
"link-down", "garbage". The clients that are to fail are `brisk`: they give up within seconds.
"""

from __future__ import annotations

from harness.model import RecordKind, Secret
from harness.scenario.play import Play
from harness.scenario.script import Script

HOLD_S = 1.5
ECHO_S = 10.0
"""Between two LCP Echo-Requests of a client that is `linux`, which has patience for four."""
CUT_S = 11.0
SEED = 20


async def misfits(play: Play) -> None:
    """Client 1 is well throughout; clients 2 to 5 come together, each with something that the gateway does not take."""
    await play.reconfigure(ike_proposals=("aes256-sha1-ecp384", "3des-sha1-modp2048"), esp_proposals=("aes256-sha1",))
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect_together(["c2", "c3", "c4", "c5"])
    await play.hold(HOLD_S)
    await play.client_close("c1")


async def silence(play: Play) -> None:
    """The gateway falls silent while client 2 sets itself up beside client 1; client 3 dials a gateway that says nothing."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect_while("c2", RecordKind.IKE_UP, play.gateway_silent)
    await play.connect("c3")
    await play.hold(HOLD_S)


async def death(play: Play) -> None:
    """The gateway's daemons die while client 2 sets itself up beside client 1."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect_while("c2", RecordKind.IKE_UP, play.gateway_killed)
    await play.hold(2 * HOLD_S)


async def amnesia(play: Play) -> None:
    """The NAT forgets its mappings in the midst of two clients' traffic."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(HOLD_S)
    await play.nat_forgets(first="c2")
    await play.hold(2 * HOLD_S)
    await play.client_close("c2")
    await play.client_close("c1")


async def outage(play: Play) -> None:
    """The link between NAT and gateway is cut in the midst of two clients' traffic, for longer than between two LCP Echo-Requests
    of client 1's and for less than anybody's patience; then all goes on, for longer than until the next one."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect("c2")
    await play.hold(HOLD_S)
    await play.link_cut(CUT_S)
    await play.hold(ECHO_S + HOLD_S)
    await play.client_close("c2")
    await play.client_close("c1")


async def litter(play: Play) -> None:
    """Garbage flies both ways from the first datagram of client 2 to the last good-bye, client 1 in the midst of its traffic."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    async with play.garbage(SEED):
        await play.connect("c2")
        await play.hold(2 * HOLD_S)
        await play.client_close("c2")
        await play.hold(HOLD_S)
        await play.client_close("c1")


BRISK = {"personality": "brisk"}
HARDSHIPS = {
    script.name: script
    for script in (
        Script(
            "misfits",
            "wrong pre-shared key, wrong password, no common IKE proposal, no common ESP proposal, beside one that is well",
            5,
            misfits,
            overrides={
                "c2": {**BRISK, "psk": Secret("not the shared secret")},
                "c3": {**BRISK, "password": Secret("not the password")},
                "c4": {"personality": "modp1024"},
                "c5": {"personality": "3des"},
            },
        ),
        Script("silence", "a gateway that falls silent", 3, silence, overrides={"c1": BRISK, "c2": BRISK, "c3": BRISK}),
        Script("death", "a gateway that dies", 2, death, overrides={"c1": BRISK, "c2": BRISK}),
        Script("amnesia", "a NAT that forgets its mappings", 2, amnesia),
        Script(
            "outage",
            "a link between NAT and gateway that is down for a while",
            2,
            outage,
            overrides={"c1": {"personality": "linux"}},
        ),
        Script("litter", "garbage datagrams at any moment", 2, litter),
    )
}
