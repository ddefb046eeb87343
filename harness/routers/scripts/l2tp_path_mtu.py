"""`ip pmtu`, `ip dfbit set` and Don't Fragment: packets from a host behind the LNS and from callers, and ICMP messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.script import L2TP, RouterScript
from harness.routers.wants import HOST, INJECTION, VOLUNTARY

if TYPE_CHECKING:
    from harness.routers.l2tp_play import L2tpPlay

PATH_MTU = 1000
"""What the ICMP messages say that the path takes, in bytes."""
SMALL, LARGE = 600, 1200
"""Bytes of a packet that fits into a tunnel on such a path, and of one that does not."""
SIZES = (1300, 1340, 1360, 1370, 1380, 1390, 1400, 1410, 1420, 1440, 1460, 1480, 1500)
"""On either side of what a NAT leaves of 1500."""
WHOLE = 1500
"""Bytes of a packet that fits the wire alone, and no tunnel on it."""
UNTIL_GONE_S = 60.0
"""After the last call's end: its tunnel has gone then, and the next call has one of its own, made by what is configured now."""
SECOND_USER, PASSWORD = "second@example.com", "cisco"


async def _learn(play: L2tpPlay, what: str, mtu: int = PATH_MTU) -> None:
    """An ICMP message about the last ESP packet that the LNS has sent."""
    from harness.routers import forgeries  # heavy, and collecting the suites reads these scripts
    from harness.routers.l2tp_lab import ADDRESSES, LNS
    from harness.wire.packet import ESP

    quoted = play.crossed(ADDRESSES[LNS], ESP)[-1][: forgeries.QUOTED]
    await play.inject(forgeries.fragmentation_needed(ADDRESSES[LNS], quoted, mtu), what, mtu=mtu)


async def _a_tunnel(play: L2tpPlay, phase: str) -> str:
    """A new call, packets with and without Don't Fragment, an ICMP message, and a packet that is too large for what it says."""
    caller = await play.dial()
    await play.host_sends(caller, f"{phase}: small with DF", SMALL, df=True)
    await play.host_sends(caller, f"{phase}: small without DF", SMALL, df=False)
    await play.host_sends(caller, f"{phase}: large with DF, before", LARGE, df=True)
    await _learn(play, f"fragmentation needed, {phase}")
    return caller


async def on_and_off(play: L2tpPlay) -> None:
    from harness.routers.l2tp_lab import LAC, LNS

    for phase, line in (("off", None), ("on", "ip pmtu"), ("off again", "no ip pmtu")):
        if line is not None:
            for device in (LNS, LAC):
                await play.configure(device, "vpdn-group 1", line)
        caller = await _a_tunnel(play, phase)
        limit = await play.host_sends(caller, f"{phase}: large with DF", LARGE, df=True)
        await play.host_sends(caller, f"{phase}: large without DF", LARGE, df=False)
        if limit is not None:
            await play.host_sends(caller, f"{phase}: as large as told", limit, df=True)
            await play.host_sends(caller, f"{phase}: larger by a byte", limit + 1, df=True)
        await play.ping(caller, size=SMALL, df=True)
        await play.ping(caller, size=WHOLE, df=True)
        await play.ping(caller, size=SMALL)
        await play.hang_up(caller)
        await play.rest(UNTIL_GONE_S)


async def df_bit_set(play: L2tpPlay) -> None:
    from harness.routers.l2tp_lab import LNS

    for phase, line in (("unset", None), ("set", "ip dfbit set"), ("unset again", "no ip dfbit set")):
        if line is not None:
            await play.offer(LNS, "vpdn-group 1", line)
        caller = await play.dial()
        await play.host_sends(caller, f"{phase}: small without DF", SMALL, df=False)
        await play.hang_up(caller)
        await play.rest(UNTIL_GONE_S)


async def forged(play: L2tpPlay) -> None:
    from harness.routers import forgeries
    from harness.routers.l2tp_lab import ADDRESSES, LAC, LNS
    from harness.wire import ip
    from harness.wire.packet import ESP, Packet, to_ip

    await play.configure(LNS, "vpdn-group 1", "ip pmtu")
    caller = await play.dial()
    await play.host_sends(caller, "before", LARGE, df=True)
    real = play.crossed(ADDRESSES[LNS], ESP)[-1][: forgeries.QUOTED]
    clear = to_ip(Packet(ADDRESSES[LNS], ADDRESSES[LAC], ip.UDP, b"", 1701, 1701))
    quotations = {
        "another SPI": forgeries.flipped(real, 20),
        "another destination": real[:16] + ip.packed("10.0.0.99") + real[20:],
        "another sender": real[:12] + ip.packed("10.0.0.77") + real[16:],
        "another protocol": real[:9] + bytes((ip.UDP,)) + real[10:],
        "L2TP in the clear": clear[: forgeries.QUOTED],
    }
    for what, quoted in quotations.items():
        await play.inject(forgeries.fragmentation_needed(ADDRESSES[LNS], quoted, PATH_MTU), what, mtu=PATH_MTU)
        await play.host_sends(caller, what, LARGE, df=True)
    await _learn(play, "the packet itself")
    await play.host_sends(caller, "the packet itself", LARGE, df=True)


async def two_groups(play: L2tpPlay) -> None:
    first = await play.dial()
    second = await play.dial(SECOND_USER, PASSWORD)
    for caller, whose in ((first, "with"), (second, "without")):
        await play.host_sends(caller, f"{whose}: small with DF", SMALL, df=True)
        await play.host_sends(caller, f"{whose}: large with DF, before", LARGE, df=True)
        await _learn(play, f"fragmentation needed, {whose}")
    for caller, whose in ((first, "with"), (second, "without")):
        await play.host_sends(caller, f"{whose}: large with DF", LARGE, df=True)


async def behind_nat(play: L2tpPlay) -> None:
    client = await play.dial_voluntary()
    limit = None
    for size in SIZES:
        told = await play.host_sends(client, f"{size} bytes", size, df=True)
        limit = told if limit is None else limit
    if limit is not None:
        await play.host_sends(client, "as large as told", limit, df=True)
        await play.host_sends(client, "larger by a byte", limit + 1, df=True)


async def pseudowire_class(play: L2tpPlay) -> None:
    from harness.routers.l2tp_lab import LNS

    for label, line in (("with", "ip pmtu"), ("without", "no ip pmtu")):
        await play.offer(LNS, "pseudowire-class ether-pw", line, label=label)
        await play.execute(LNS, "show running-config", label)


PATH_MTUS = (
    RouterScript(
        "l2tp-path-mtu",
        "calls without ip pmtu, with it and without it again, large packets, and an ICMP message that fragmentation is needed",
        L2TP,
        on_and_off,
        wants=(INJECTION, HOST),
    ),
    RouterScript("l2tp-df-bit", "calls before ip dfbit set, with it and after it", L2TP, df_bit_set, wants=(HOST,)),
    RouterScript(
        "l2tp-forged-icmp",
        "ICMP messages that quote what the LNS never sent, and one that does",
        L2TP,
        forged,
        wants=(INJECTION, HOST),
    ),
    RouterScript(
        "l2tp-path-mtu-scope",
        "two groups whose tunnels run between the same two addresses, one of them with ip pmtu",
        L2TP,
        two_groups,
        lines={
            "lac": (
                "vpdn-group 2", "request-dialin", "protocol l2tp", "domain example.com", "exit", "initiate-to ip 10.0.0.13",
                "local name SECOND", "l2tp security crypto-profile l2tp", "l2tp tunnel password cisco",
            ),
            "lns": (
                f"username {SECOND_USER} password 0 {PASSWORD}",
                "vpdn-group 1", "ip pmtu", "exit",
                "vpdn-group 2", "accept-dialin", "protocol l2tp", "virtual-template 1", "exit", "terminate-from hostname SECOND",
                "l2tp security crypto-profile l2tp", "l2tp tunnel password cisco",
            ),
        },
        wants=(INJECTION, HOST),
    ),
    RouterScript(
        "l2tp-path-mtu-behind-nat",
        "packets with DF of many sizes to a client that tunnels for itself from behind a NAT",
        L2TP,
        behind_nat,
        lines={
            "lns": (
                "vpdn ip udp ignore checksum",
                "vpdn-group dial-in", "accept-dialin", "protocol l2tp", "virtual-template 1", "exit",
                "l2tp security crypto-profile l2tp", "no l2tp tunnel authentication", "ip pmtu", "exit",
                "crypto isakmp key cisco address 10.0.0.20",
            )
        },
        wants=(VOLUNTARY, HOST),
    ),
    RouterScript("l2tp-pseudowire-class", "a pseudowire class with ip pmtu and without it", L2TP, pseudowire_class),
)  # fmt: skip
