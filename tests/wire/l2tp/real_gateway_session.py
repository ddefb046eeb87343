"""Run in namespaces of its own by test_real_gateway: one guest with a real xl2tpd and pppd, and cores of ours on the other end of
its cable, first as clients of it, then as the LNS that it dials. Prints one JSON object: what each case came to.

    unshare --net --mount --pid --fork --kill-child --mount-proc .venv/bin/python tests/wire/l2tp/real_gateway_session.py [CASE…]
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from harness.devices.linux_gateway import WAIT_FUNCTION
from harness.lab import packages
from harness.lab.uml import GuestPlan, UmlGuest
from harness.wire import events
from harness.wire.config import L2tpConfig, PppConfig
from harness.wire.l2tp import Frame, L2tpCore, tunnel_of
from harness.wire.l2tp.header import ALL_BITS
from harness.wire.ppp import PppCore
from harness.wire.retransmit import Schedule

HERE, THERE = "203.0.113.1", "203.0.113.231"
SECRET = "tunnel-secret"
# xl2tpd 1.3.18 looks the secret up when it answers our challenge, and so reads what is hidden in messages about calls only.
HIDDEN = frozenset({"assigned-session-id", "call-serial-number", "bearer-type", "tx-connect-speed", "framing-type"})
XL2TPD = """[global]
port = 1701
debug avp = yes
debug state = yes
debug tunnel = yes
{role}
challenge = yes
require authentication = no
name = {name}
pppoptfile = /etc/ppp/options.x
length bit = yes
"""
LNS_ROLE = "[lns default]\nip range = 172.16.1.10-172.16.1.20\nlocal ip = 172.16.1.1"
LAC_ROLE = f"[lac vpn]\nlns = {HERE}"
OPTIONS = """noccp
noipv6
nodefaultroute
mtu 1280
mru 1280
debug
logfile /var/log/pppd.log
ipcp-accept-local
ipcp-accept-remote
"""
PPPD = {"pap": "require-pap", "chap-md5": "require-chap", "mschapv1": "require-mschap"}
STOP = """
gone() { ! pidof "$1" >/dev/null; }
kill -KILL $(pidof xl2tpd pppd) 2>/dev/null; until_true 5 gone xl2tpd; until_true 5 gone pppd
"""
START = """
mkdir -p /run/xl2tpd; rm -f /run/xl2tpd/l2tp-control /run/xl2tpd.pid; : > /var/log/pppd.log
setsid xl2tpd -D -c /etc/xl2tpd/x.conf -p /run/xl2tpd.pid -s /etc/xl2tpd/x.secrets </dev/null >/var/log/xl2tpd.log 2>&1 &
until_true 10 test -p /run/xl2tpd/l2tp-control || { cat /var/log/xl2tpd.log; exit 1; }
"""
ADDRESSED = """
have_ppp() { local line; while read -r line; do [[ $line == *ppp0:* ]] && return; done < /proc/net/dev; return 1; }
addressed() { have_ppp && [[ $(ip -4 -o addr show dev ppp0 2>/dev/null) == *peer* ]]; }
until_true 12 addressed; ip -4 -o addr show dev ppp0
"""
PING = "ping -q -c 2 -i 0.2 -W 2 @"


TOPOLOGY = f"""
set -e
mount -t tmpfs run /run; ip link set lo up
ip tuntap add dev gw0 mode tap; ip addr add {HERE}/24 dev gw0; ip link set gw0 up
"""


@dataclass
class Case:
    """`ours` is our role. `secret` is our tunnel secret; the guest's is always SECRET."""

    ours: str
    method: str
    secret: str = SECRET
    hide: bool = False
    calls: int = 1
    fails: bool = False
    ppp: dict[str, Any] = field(default_factory=dict)


CASES = {
    "client pap": Case("client", "pap"),
    "client chap-md5, two calls": Case("client", "chap-md5", calls=2),
    "client mschapv1, hidden AVPs": Case("client", "mschapv1", hide=True),
    "client wrong tunnel secret": Case("client", "pap", secret="another", fails=True),
    "lns pap": Case("lns", "pap"),
    "lns chap-md5, hidden AVPs": Case("lns", "chap-md5", hide=True),
    "lns wrong tunnel secret": Case("lns", "chap-md5", secret="another", fails=True),
    "lns empty pool": Case("lns", "chap-md5", ppp={"assign": lambda user: None}, fails=True),
    "lns chap-md5 then mschapv1": Case("lns", "mschapv1", ppp={"demand": ("chap-md5", "mschapv1")}),
}


class End(asyncio.DatagramProtocol):
    """Our end: one tunnel, its calls, a PPP link for each; answers pings."""

    def __init__(self, case: Case) -> None:
        client = case.ours == "client"
        self.config = L2tpConfig(
            "ours", hello_s=0, secret=case.secret.encode(), challenge=True, hide=HIDDEN if case.hide else frozenset(),
            max_sessions=4, header_bits=ALL_BITS, schedule=Schedule((0.5, 1, 2, 2)),
        )  # fmt: skip
        often = Schedule((0.4,) * 30)
        self.ppp = PppConfig("user1", "pw1", accept=(case.method,), echo_s=None, request_dns=False, schedule=often)
        if not client:
            self.ppp = PppConfig(
                "", "", accept=(), demand=case.method, secrets={"user1": "pw1"}, name="ours", local_address="172.16.1.1",
                assign=lambda user: "172.16.1.77", request_dns=False, echo_s=None, schedule=often,
            )  # fmt: skip
            self.ppp = replace(self.ppp, **case.ppp)
        self.case = case
        self.core = L2tpCore(self.config, os.urandom)
        self.links: dict[int, PppCore] = {}
        self.told: list[str] = []
        self.moved = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def start(self) -> None:
        self.core.start(self._loop.time())
        for _ in range(self.case.calls - 1):
            self.core.place_call(self._loop.time())
        self.pump()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if tunnel_of(data) is not None:
            self.core.receive(self._loop.time(), data)
            self.pump()

    def tick(self) -> None:
        now = self._loop.time()
        self.core.tick(now)
        for link in self.links.values():
            link.tick(now)
        self.pump()

    def pump(self) -> None:
        now = self._loop.time()
        busy = True
        while busy:
            told, packets = self.core.take_events(), self.core.take_packets()
            busy = bool(told or packets)
            for packet in packets:
                self.transport.sendto(packet, (THERE, 1701))
            for event in told:
                match event:
                    case Frame():
                        self.links[event.session].receive(now, event.frame)
                    case events.CallUp():
                        self.links[event.session_local] = PppCore(self.ppp, os.urandom)
                        self.links[event.session_local].open(now, event.proxy)
                        self.told.append(repr(event))
                    case _:
                        self.told.append(repr(event))
            for session, link in self.links.items():
                said, frames = link.take_events(), link.take_frames()
                busy = busy or bool(said or frames)
                for frame in frames:
                    self.core.send_data(now, frame, session)
                for one in said:
                    if isinstance(one, events.IpPacket):
                        answer = link.send_ip(pong(one.packet))
                        if answer is not None:
                            self.core.send_data(now, answer, session)
                    else:
                        self.told.append(repr(one))
        due = [time for time in (self.core.deadline, *(link.deadline for link in self.links.values())) if time is not None]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(due), self.tick) if due else None
        self.moved.set()

    async def until(self, condition: Callable[[], bool], seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self.moved.clear()
                await self.moved.wait()

    def said(self, name: str) -> int:
        return sum(text.startswith(name) for text in self.told)


def pong(packet: bytes) -> bytes:
    """The answer to an ICMP echo; anything else comes back as it is, its addresses exchanged."""
    head = (packet[0] & 15) * 4
    body = bytearray(packet)
    body[12:16], body[16:20] = packet[16:20], packet[12:16]
    if packet[9] == 1 and packet[head] == 8:
        total = int.from_bytes(packet[head + 2 : head + 4]) + 0x0800
        body[head] = 0
        body[head + 2 : head + 4] = ((total & 0xFFFF) + (total >> 16)).to_bytes(2)
    return bytes(body)


def script(case: Case) -> str:
    client = case.ours == "client"
    config = XL2TPD.format(role=LNS_ROLE if client else LAC_ROLE, name="lns" if client else "user1")
    options = OPTIONS + (f"auth\n{PPPD[case.method]}\nname lns\n" if client else "noauth\nname user1\n")
    if not client:  # the client does this one method only
        refused = {"pap": "refuse-pap", "chap-md5": "refuse-chap", "mschapv1": "refuse-mschap"}
        options += "refuse-eap\nrefuse-mschap-v2\n" + "".join(f"{word}\n" for name, word in refused.items() if name != case.method)
    files = {
        "/etc/xl2tpd/x.conf": config,
        "/etc/xl2tpd/x.secrets": f"* * {SECRET}\n",
        "/etc/ppp/options.x": options,
        "/etc/ppp/chap-secrets": "user1 * pw1 *\n",
        "/etc/ppp/pap-secrets": "user1 * pw1 *\n",
    }
    texts = "".join(f"printf %s {shlex.quote(text)} > {path}\n" for path, text in files.items())
    return WAIT_FUNCTION + STOP + f"umask 077; rm -f {' '.join(files)}\n" + texts + START


async def play(case: Case, guest: UmlGuest) -> dict[str, Any]:
    prepared = await guest.execute(script(case), 30)
    assert prepared.status == 0, prepared.output
    loop = asyncio.get_running_loop()
    end = End(case)
    transport, _ = await loop.create_datagram_endpoint(lambda: end, local_addr=(HERE, 1701))
    result: dict[str, Any] = {}
    try:
        if case.ours == "client":
            end.start()
        else:
            await guest.execute("echo 'c vpn' > /run/xl2tpd/l2tp-control", 10)
        await end.until(lambda: end.said("PppUp") == case.calls or end.said("Failed") > 0, 15)
        if not case.fails:
            text = WAIT_FUNCTION + ADDRESSED + PING.replace("@", next(iter(end.links.values())).address or "nobody")
            result["ping"] = (await guest.execute(text, 30)).output
        for link in end.links.values():
            link.close(loop.time())
        end.pump()
        end.core.close(loop.time())
        end.pump()
        if end.core.started or end.said("TunnelUp"):
            await end.until(lambda: end.core.finished, 10)
    finally:
        transport.close()
    logs = await guest.execute("cat /var/log/xl2tpd.log; echo; echo =====; cat /var/log/pppd.log", 10)
    result["log"], _, result["pppd"] = logs.output.partition("=====")
    return result | {"told": end.told}


@dataclass(frozen=True)
class Tap:
    netns: str = ""
    interface: str = "gw0"
    kind: str = "tap"


async def main(names: list[str]) -> None:
    subprocess.run(["bash", "-c", TOPOLOGY], check=True)
    results = {}
    with tempfile.TemporaryDirectory(dir="/run") as scratch:
        guest = UmlGuest(GuestPlan("gateway", Tap(), Path(scratch), [f"{THERE}/24"], packages.guest_directory()))
        await guest.start()
        try:
            for name in names or CASES:
                began = asyncio.get_running_loop().time()
                results[name] = await play(CASES[name], guest)
                print(f"{name}: {asyncio.get_running_loop().time() - began:.1f} s", file=sys.stderr)
        finally:
            await guest.stop()
    print(json.dumps(results))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
