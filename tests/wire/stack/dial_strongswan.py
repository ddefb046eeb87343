"""IKE, quick mode and ESP of the client's lower half against strongSwan and its kernel in a guest, one case after another.

To be run inside an enclosure; prints what became of each case as one JSON object. In the guest, whatever comes to UDP port 1701 is
sent back, so that ESP is tried both ways. Each case has an address of its own on our side. "NAT": our side is told another address
than the packets have, which to NAT-D is the same as a NAT.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.devices.linux_gateway import WAIT_FUNCTION
from harness.errors import ProtocolError
from harness.lab import kernel_modules, packages
from harness.lab.uml import GuestPlan, UmlGuest
from harness.wire.config import EspProposal, IkeConfig, IkeProposal
from harness.wire.events import Datagram, EspDown, EspUp, Failed, IkeUp, Notified, Refused, RekeyFailed
from harness.wire.ike import registry
from harness.wire.ike.natt import DIALECTS
from harness.wire.ipsec import Ipsec
from harness.wire.packet import ESP
from harness.wire.retransmit import Schedule

THEIRS = "203.0.113.231"
PATIENCE_S = 60.0  # far more than it takes, but for a busy machine

SETTLE_S = 0.5  # for a rekey that the last datagram has set off


@dataclass(frozen=True)
class Case:
    """`swan` is strongSwan's esp_proposals, `child` more of its child. `sends`: datagrams of 1000 bytes, one after the other came
    back. `dialled`: strongSwan begins."""

    number: int
    swan: str
    row: EspProposal = EspProposal("aes-128", "sha1", 3600, 0)  # noqa: RUF009 - frozen
    config: dict[str, Any] = field(default_factory=dict)
    mode: str = "transport"
    child: str = ""
    natted: bool = False
    dialled: bool = False
    sends: int = 3

    @property
    def address(self) -> str:
        return f"203.0.113.{self.number}"


# Without rand_bytes strongSwan takes off up to 60000 of the 30000, and then may never begin a rekey at all.
BYTES = "rekey_bytes = 30000\n    rand_bytes = 10000\n    life_bytes = 90000"
SMALL = EspProposal("aes-128", "sha1", 3600, 60)
CASES = {
    "plain": Case(1, "aes128-sha1"),
    "PFS, NAT": Case(2, "aes128-sha1-modp1024", config={"pfs": "modp1024"}, natted=True),
    "PFS of an elliptic curve": Case(3, "aes128-sha1-ecp256", config={"pfs": "ecp256"}),
    "dialled, PFS as they like": Case(4, "aes128-sha1-modp2048", dialled=True),
    "dialled, PFS insisted on": Case(5, "aes128-sha1-modp1024", config={"pfs": "modp1024"}, dialled=True),
    "tunnel": Case(6, "aes128-sha1", config={"mode": "tunnel"}, mode="tunnel"),
    "null": Case(8, "null-sha1", EspProposal("null", "sha1", 3600, 0)),
    "aes-192, md5": Case(9, "aes192-md5", EspProposal("aes-192", "md5", 3600, 0)),
    "our kilobytes": Case(10, "aes128-sha1", SMALL, config={"rekey_margin": 0.5}, sends=100),
    "their kilobytes": Case(11, "aes128-sha1", config={"rekey_margin": None}, child=BYTES, sends=100),
    "dialled, our lower limit": Case(12, "aes128-sha1", SMALL, config={"rekey_margin": 0.5}, dialled=True, sends=100),
    "dialled, tunnel, PFS": Case(13, "aes128-sha1-modp1536", config={"mode": "tunnel"}, mode="tunnel", dialled=True),
}
STRONGSWAN_CONF = """
charon {
  load = random nonce openssl hmac kdf kernel-netlink socket-default vici
  install_routes = no
  retransmit_timeout = 1
  filelog { f { path = /var/log/charon.log
    flush_line = yes
    default = 1
    ike = 2 } }
}
swanctl { load = openssl }
"""
CONNECTION = """
connections {{ c{number} {{
  version = 1
  local_addrs = 203.0.113.231
  remote_addrs = {address}
  proposals = aes128-sha1-modp1024
  local {{ auth = psk }}
  remote {{ auth = psk
    id = %any }}
  children {{ k{number} {{
    mode = {mode}
    local_ts = dynamic[udp/1701]
    remote_ts = {remote}[udp/1701]
    esp_proposals = {swan}
    {child}
  }} }}
}} }}
"""
START = """
setsid /usr/lib/ipsec/charon </dev/null >/run/charon.out 2>&1 &
until_true 20 test -S /run/charon.vici || { cat /run/charon.out; exit 1; }
swanctl --load-all --noprompt 2>&1 || exit 1
setsid python3 -c '
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("", 1701))
while True:
    data, peer = one.recvfrom(65536)
    one.sendto(data, peer)
' </dev/null >/dev/null 2>&1 &
"""


@dataclass(frozen=True)
class Tap:
    netns: str = ""
    kind: str = "tap"
    interface: str = "gw0"


def files() -> dict[str, str]:
    connections = "".join(
        CONNECTION.format(
            number=case.number, address=case.address, mode=case.mode, swan=case.swan, child=case.child, remote="dynamic"
        )
        for case in CASES.values()
    )
    return {
        "/etc/strongswan.conf": STRONGSWAN_CONF,
        "/etc/swanctl/swanctl.conf": connections + "secrets { ike-1 { secret = sharedsecret } }\n",
    }


def lower_half(case: Case) -> Ipsec:
    config = IkeConfig(
        address="10.0.0.2" if case.natted else case.address,
        peer_address=THEIRS,
        psk=b"sharedsecret",
        proposals=(IkeProposal("aes-128", "sha1", "modp1024"),),
        esp_proposals=(case.row,),
        vendor_ids=(DIALECTS[0].vendor_id, registry.DPD_VENDOR_ID),
        schedule=Schedule((1.0,) * 6),
    )
    return Ipsec(replace(config, **case.config), os.urandom)


class Wire:
    """Our sockets: UDP 500 and 4500, and IP protocol 50."""

    def __init__(self, address: str) -> None:
        self.sockets = {0: socket.socket(socket.AF_INET, socket.SOCK_RAW, ESP)}
        self.sockets[0].bind((address, 0))
        for port in (registry.PORT, registry.PORT_NATT):
            self.sockets[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sockets[port].bind((address, port))

    def send(self, datagram: Datagram) -> None:
        self.sockets[datagram.sport].sendto(datagram.payload, (THEIRS, datagram.dport))

    def receive(self, seconds: float) -> list[tuple[int, bytes, int]]:
        """(local port, payload, protocol) of what has come, IKE first: what sets an SA up is not to be overtaken."""
        ready, _, _ = select.select(list(self.sockets.values()), [], [], max(0.0, seconds))
        found = []
        for port, one in sorted(self.sockets.items(), reverse=True):
            if one in ready:
                data = one.recv(65536)
                found.append((port, data, 17) if port else (0, data[(data[0] & 15) * 4 :], ESP))
        return found

    def close(self) -> None:
        for one in self.sockets.values():
            one.close()


def talk(case: Case) -> tuple[list[Any], int, set[int]]:
    """(events, datagrams that came back, the ports that we sent from)."""
    half, wire, events, back, ports = lower_half(case), Wire(case.address), [], 0, set()
    sent, again_at, end = 0, 0.0, time.monotonic() + PATIENCE_S
    if not case.dialled:
        half.start(time.monotonic())
    try:
        while (now := time.monotonic()) < end:
            if back == case.sends:
                end = min(end, now + SETTLE_S)
            half.tick(now)
            events += half.take_events()
            if any(isinstance(event, Failed) for event in events):
                break
            if half.ready and back < case.sends and (sent == back or now >= again_at):  # the first may find no SA there yet
                half.send(now, back.to_bytes(2) * 500)
                sent, again_at = back + 1, now + 0.5
            for datagram in half.take_datagrams():
                ports.add(datagram.sport)
                wire.send(datagram)
            for port, data, protocol in wire.receive(min(0.1, end - now)):
                try:
                    message = half.receive(time.monotonic(), port, data, protocol)
                except ProtocolError as error:  # ESP that overtakes QM3, which comes to another socket: it is sent again
                    if "unknown SPI" not in error.reason:
                        raise
                else:
                    back += back < case.sends and message == back.to_bytes(2) * 500
        return events + half.take_events(), back, ports
    finally:
        for datagram in half.take_datagrams():
            wire.send(datagram)
        wire.close()


def told(events: list[Any], back: int, ports: set[int]) -> dict[str, Any]:
    ups = [event for event in events if isinstance(event, EspUp)]
    return {
        "ike": any(isinstance(event, IkeUp) for event in events),
        "back": back,
        "ports": sorted(ports),
        "encapsulation": ups[0].encapsulation if ups else None,
        "pairs": len(ups),
        "down": [event.reason for event in events if isinstance(event, EspDown)],
        "notified": [event.name for event in events if isinstance(event, Notified)],
        "wrong": [event.reason for event in events if isinstance(event, Refused | Failed | RekeyFailed)],
        "lifetime_kb": ups[0].lifetime_kb if ups else None,
    }


async def play() -> dict[str, Any]:
    lines = ["tuntap add dev gw0 mode tap", "link set gw0 up", "link set lo up"]
    lines += [f"address add {case.address}/24 dev gw0" for case in CASES.values()]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)
    scratch = Path("/tmp/guest")
    scratch.mkdir()
    modules = (*kernel_modules.for_gateway("plain"), "ecb", "md5", "crypto_null")
    guest = UmlGuest(GuestPlan("gateway", Tap(), scratch, [f"{THEIRS}/24"], packages.guest_directory(), modules=modules))
    await guest.start()
    results = {}
    try:
        script = WAIT_FUNCTION + "".join(
            f"mkdir -p {Path(path).parent}; cat > {path} <<'END'\n{text}\nEND\n" for path, text in files().items()
        )
        started = await guest.execute(script + START, 40)
        assert started.status == 0, started.output
        for title, case in CASES.items():
            if case.dialled:  # it sends MM1 again a second later, should our side not listen yet
                await guest.execute(f"setsid swanctl --initiate --child k{case.number} >/dev/null 2>&1 </dev/null &", 10)
            results[title] = told(*await asyncio.to_thread(talk, case))
            results[title]["strongSwan"] = (await guest.execute(f"swanctl --list-sas --ike c{case.number}", 10)).output
            log = (await guest.execute("cat /var/log/charon.log; : > /var/log/charon.log", 10)).output
            results[title]["strongSwan heard"] = re.findall(r"(?:parsed|generating) (QUICK_MODE .*)", log)
            if "--log" in sys.argv:
                print(title, log, file=sys.stderr)
    finally:
        await guest.stop()
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(play()), indent=1))
