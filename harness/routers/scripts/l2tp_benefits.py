"""What L2TP Security promises of a protected tunnel: that nobody reads, changes or repeats what it carries, and that it finds out
when its peer has gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.script import L2TP, RouterScript
from harness.routers.wants import HOST, INJECTION, LATER, LOSS

if TYPE_CHECKING:
    from harness.routers.l2tp_play import L2tpPlay

IDLE_S = 300.0
"""Some periods of L2TP's Hello, which is a minute where nothing says otherwise (RFC 2661 section 5.5 recommends that)."""
NOTICED_S = 900.0
"""A period, and all retransmissions that may be configured, and as much again in which nothing more is to be heard."""
OLD = 100
"""So many packets are repeated: more than the 32 or 64 that a window of the last ones holds (RFC 2401 appendix C)."""
ALTERED = (20 + 4, 20 + 7, 20 + 8, 20 + 40, -1)
"""Bytes of an IP packet with ESP in which a bit is turned over: sequence number, high and low, initialization vector, ciphertext,
ICV. Whoever lets the first one move the window takes nothing more."""
NO_LCP_ECHOES = ("interface Virtual-Template1", "no keepalive")
"""So that L2TP's own keepalive is the only one."""
BEHIND_NETWORK, BEHIND = "192.168.77.0/24", "192.168.77.7"
"""A network behind a caller, and somebody in it."""
ROUTES_S = 65.0
"""Two periods of RIP's updates, and a little (RFC 2453 section 3.8)."""
COUNTED = 50
"""Echoes that a caller's own interface has to count, in and out."""
ONE_WAY, ONE_WAY_OCTETS = 10, 400
"""Packets beside them that a host sends to the caller and nobody answers: no interface can have taken them in."""
SECOND_USER, PASSWORD = "second@cisco.com", "cisco"
NAMES = {"lac": "COMPULSORY-ACCESS", "lns": "COMPULSORY-SERVER"}
"""Host names too long to be found in ciphertext by chance."""


async def idle(play: L2tpPlay) -> None:
    caller = await play.dial()
    await play.ping(caller)
    await play.rest(IDLE_S)
    await play.ping(caller)
    await play.hang_up(caller)


async def altered(play: L2tpPlay) -> None:
    from harness.routers import forgeries  # heavy, and collecting the suites reads these scripts
    from harness.routers.l2tp_lab import ADDRESSES, LAC, LNS
    from harness.wire.packet import ESP

    caller = await play.dial()
    await play.ping(caller)
    with play.losing(lambda packet: packet.protocol == ESP and packet.src == ADDRESSES[LAC]):
        await play.ping(caller)
    original = play.crossed(ADDRESSES[LAC], ESP)[-1]
    play.count_answers(caller, "before")
    await play.execute(LNS, "show crypto ipsec sa", "before")
    await play.inject_all([forgeries.flipped(original, at) for at in ALTERED], "altered ESP")
    play.count_answers(caller, "altered")
    await play.execute(LNS, "show crypto ipsec sa", "altered")
    await play.inject(original, "the packet as it was")
    play.count_answers(caller, "as it was")
    await play.ping(caller)


async def repeated(play: L2tpPlay) -> None:
    from harness.routers.l2tp_lab import ADDRESSES, LAC, LNS
    from harness.wire.packet import ESP

    caller = await play.dial()
    await play.pings(caller, OLD)
    old = {device: play.crossed(ADDRESSES[device], ESP)[-OLD:] for device in (LAC, LNS)}
    for device in (LNS, LAC):
        await play.execute(device, "show crypto ipsec sa", "before")
    play.count_answers(caller, "before")
    await play.inject_all(old[LAC], "old ESP to the LNS")
    play.count_answers(caller, "to the LNS")
    await play.inject_all(old[LNS], "old ESP to the LAC")
    play.count_answers(caller, "to the LAC")
    for device in (LNS, LAC):
        await play.execute(device, "show crypto ipsec sa", "after")
    await play.ping(caller)


async def interfaces(play: L2tpPlay) -> None:
    from harness.routers.l2tp_lab import LNS

    busy = await play.dial()
    await play.dial(SECOND_USER, PASSWORD)
    sessions = await play.execute(LNS, "show vpdn session")
    numbers = sorted({row.interface.removeprefix("Vi") for row in sessions.rows or () if (row.interface or "").startswith("Vi")})
    for label in ("before", "after"):
        for number in numbers:
            await play.execute(LNS, f"show interfaces virtual-access {number}", label)
        if label == "before":
            await play.pings(busy, COUNTED)
            for packet in range(1, ONE_WAY + 1):
                await play.host_sends(busy, f"one way {packet}", ONE_WAY_OCTETS, df=False)


async def neighbours(play: L2tpPlay) -> None:
    caller = await play.dial()
    await play.host_sends(caller, "before", 200, df=False, to=BEHIND)
    await play.tell_routes(caller, BEHIND_NETWORK)
    await play.hear_routes(caller, ROUTES_S)
    await play.tell_routes(caller, BEHIND_NETWORK)
    await play.host_sends(caller, "after", 200, df=False, to=BEHIND)


async def cut(play: L2tpPlay) -> None:
    caller = await play.dial()
    async with play.step("idle"):
        await play.rest(IDLE_S)
    await play.ping(caller)
    async with play.step("cut"):
        with play.losing(lambda packet: True):
            began = play.lab.epoch()
            await play.await_down(caller, NOTICED_S)
            await play.rest(max(0.0, NOTICED_S - (play.lab.epoch() - began)))
    again = await play.dial()
    await play.ping(again)


BENEFITS = (
    RouterScript(
        "l2tp-idle-call",
        "a call that says nothing for five minutes, between a LAC and an LNS with long names",
        L2TP,
        idle,
        lines={
            "lac": ("vpdn-group 1", f"local name {NAMES['lac']}"),
            "lns": ("vpdn-group 1", f"terminate-from hostname {NAMES['lac']}", f"local name {NAMES['lns']}", *NO_LCP_ECHOES),
        },
        options={
            "words": {
                "the user's name": b"userSerial10",
                "the domain": b"cisco.com",
                "the LAC's name": NAMES["lac"].encode(),
                "the LNS's name": NAMES["lns"].encode(),
                "the head of an LCP frame": b"\xff\x03\xc0\x21",
                "the caller's data": b"caller 1 echo",
            }
        },
    ),
    RouterScript(
        "l2tp-altered-esp",
        "an ESP packet that is lost, copies with a bit turned over, and itself",
        L2TP,
        altered,
        wants=(LOSS, INJECTION),
    ),
    RouterScript(
        "l2tp-repeated-esp", "a hundred old ESP packets in each direction once more", L2TP, repeated, wants=(INJECTION,)
    ),
    RouterScript(
        "l2tp-cut-path",
        "a quiet call whose path is cut, and a new one when it is whole again",
        L2TP,
        cut,
        lines={"lns": NO_LCP_ECHOES},
        wants=(LOSS, LATER),
    ),
    RouterScript(
        "l2tp-neighbours",
        "a caller that is a router, with a network behind it, and RIP between it and the LNS",
        L2TP,
        neighbours,
        lines={
            "lns": (
                "interface FastEthernet0/1", "ip address 192.0.2.1 255.255.255.0", "exit",
                "router rip", "version 2", "network 172.16.0.0", "network 192.0.2.0", "no auto-summary",
            )
        },
        wants=(HOST,),
    ),
    RouterScript(
        "l2tp-interfaces",
        "two calls, one of which is busy, and what their interfaces count",
        L2TP,
        interfaces,
        lines={"lns": (f"username {SECOND_USER} password 0 {PASSWORD}", *NO_LCP_ECHOES)},
        wants=(HOST,),
    ),
)  # fmt: skip
