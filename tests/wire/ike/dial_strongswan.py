"""Our IKE core against strongSwan in a guest, one case after another on one boot; prints what became of each as one JSON object.

To be run inside an enclosure. Each case has an address of its own on our side, by which strongSwan tells its connections apart.
"NAT": our core is told another address than the packets have, of itself (as a client behind a NAT) or of strongSwan (as a gateway
whose client is behind one); to NAT-D that is the same as a NAT.
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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import authorities as pki
from cryptography.hazmat.primitives.serialization import Encoding

from harness.devices.linux_gateway import WAIT_FUNCTION
from harness.lab import kernel_modules, packages
from harness.lab.uml import GuestPlan, UmlGuest
from harness.wire.config import EspProposal, IkeConfig, IkeProposal
from harness.wire.crypto.certificates import Credentials
from harness.wire.events import EspUp, Failed, IkeUp, InitialContact, Refused
from harness.wire.ike import registry
from harness.wire.ike.core import IkeCore
from harness.wire.ike.natt import DIALECTS
from harness.wire.retransmit import Schedule

THEIRS = "203.0.113.231"
BITS = 2048  # strongSwan takes no shorter keys
PATIENCE_S = 60.0  # far more than it takes, but for a busy machine
ESP = (EspProposal("aes-128", "sha1"),)


@dataclass(frozen=True)
class Case:
    """`dialled`: strongSwan begins. `swan` is its proposal, `row` ours; `ids` are ours and strongSwan's as swanctl writes them."""

    number: int
    swan: str
    row: IkeProposal
    dialled: bool = False
    aggressive: bool = False
    natted: bool = False
    ids: tuple[str, str] = ("", "")
    identity: str = "address"
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"203.0.113.{self.number}"


SIGNED = IkeProposal("aes-256", "sha256", "modp2048", authentication="rsa")
SIGNED_SWAN = "aes256-sha256-modp2048"
ROAD = ("laptop.example.com", "gateway.example.com")
DN = ("O=Test, CN=laptop", "O=Test, CN=gateway")
FQDN = "fqdn:laptop.example.com"
OLD = IkeProposal("3des", "md5", "modp768", 3600, 5000)
CASES = {
    "main, aes192-md5-modp1536": Case(1, "aes192-md5-modp1536", IkeProposal("aes-192", "md5", "modp1536"), natted=True),
    "main, 3des-md5-modp768": Case(2, "3des-md5-modp768", OLD, config={"initial_contact": True}),
    "aggressive": Case(3, "aes128-sha1-modp1024", IkeProposal("aes-128", "sha1", "modp1024"), aggressive=True),
    "aggressive, FQDN, NAT": Case(
        4,
        "aes128-sha1-modp1024",
        IkeProposal("aes-128", "sha1", "modp1024"),
        aggressive=True,
        natted=True,
        ids=ROAD,
        identity=FQDN,
        config={"initial_contact": True},
    ),
    "main, signatures, NAT": Case(5, SIGNED_SWAN, SIGNED, natted=True, ids=ROAD, identity=FQDN),
    "aggressive, signatures, DN": Case(6, SIGNED_SWAN, SIGNED, aggressive=True, ids=DN, identity="dn"),
    "dialled, main, aes192-md5-modp1536": Case(
        11, "aes192-md5-modp1536", IkeProposal("aes-192", "md5", "modp1536"), dialled=True, ids=("203.0.113.11", THEIRS)
    ),
    "dialled, aggressive, FQDN, NAT": Case(
        12,
        "aes128-sha1-modp1536",
        IkeProposal("aes-128", "sha1", "modp1536"),
        dialled=True,
        aggressive=True,
        natted=True,
        ids=ROAD,
        identity=FQDN,
        config={"psk": b"", "psk_for": {ROAD[1]: b"sharedsecret"}.get},
    ),
    "dialled, main, signatures, DN": Case(13, SIGNED_SWAN, SIGNED, dialled=True, ids=DN, identity="dn"),
    "dialled, aggressive, signatures, NAT": Case(
        14, SIGNED_SWAN, SIGNED, dialled=True, aggressive=True, natted=True, ids=ROAD, identity=FQDN
    ),
    "dialled, main, a stranger's signature": Case(15, SIGNED_SWAN, SIGNED, dialled=True, ids=ROAD, identity=FQDN),
}
STRANGER = 15
TOLD = ("exchange", "encryption", "hash", "group", "authentication", "identity", "nat_local", "nat_remote", "lifetime_kb")

STRONGSWAN_CONF = """
charon {
  load = random nonce openssl pem pubkey pkcs1 x509 constraints hmac kdf kernel-netlink socket-default vici
  install_routes = no
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  retransmit_timeout = 1
  filelog { f { path = /var/log/charon.log
    flush_line = yes
    default = 1
    ike = 2 } }
}
swanctl { load = openssl pem pubkey pkcs1 x509 }
"""
CONNECTION = """
connections {{ c{number} {{
  version = 1
  aggressive = {aggressive}
  local_addrs = 203.0.113.231
  remote_addrs = {address}
  proposals = {swan}
  local {{ auth = {auth}
    {certs}
    {theirs} }}
  remote {{ auth = {auth}
    {ours} }}
  children {{ k{number} {{
    mode = transport
    local_ts = dynamic[udp/1701]
    remote_ts = dynamic[udp/1701]
    esp_proposals = aes128-sha1
  }} }}
}} }}
"""
START = """
setsid /usr/lib/ipsec/charon </dev/null >/run/charon.out 2>&1 &
until_true 20 test -S /run/charon.vici || { cat /run/charon.out; exit 1; }
swanctl --load-all --noprompt 2>&1 || exit 1
"""


@dataclass(frozen=True)
class Tap:
    netns: str = ""
    kind: str = "tap"
    interface: str = "gw0"


def files() -> dict[str, str]:
    root = pki.authority(bits=BITS)
    own = pki.credentials("gateway", bits=BITS)
    connections = ""
    for case in CASES.values():
        signed = case.row.authentication == "rsa"
        connections += CONNECTION.format(
            number=case.number,
            aggressive="yes" if case.aggressive else "no",
            address=case.address,
            swan=case.swan,
            auth="pubkey" if signed else "psk",
            certs="certs = gateway.pem" if signed else "",
            ours=f'id = "{case.ids[0]}"' if case.ids[0] else "",
            theirs=f'id = "{case.ids[1]}"' if case.ids[1] else "",
        )
    return {
        "/etc/strongswan.conf": STRONGSWAN_CONF,
        "/etc/swanctl/swanctl.conf": connections + "secrets { ike-1 { secret = sharedsecret } }\n",
        "/etc/swanctl/x509ca/root.pem": root.public_bytes(Encoding.PEM).decode(),
        "/etc/swanctl/x509/gateway.pem": own.chain[0].public_bytes(Encoding.PEM).decode(),
        "/etc/swanctl/private/gateway.pem": pki.key_pem(own.key).decode(),
    }


def core_of(case: Case) -> IkeCore:
    anchors = (pki.authority("another", bits=BITS),) if case.number == STRANGER else ()
    credentials = pki.credentials("laptop", bits=BITS, anchors=anchors)
    dated = Credentials(credentials.key, credentials.chain, credentials.anchors, lambda now: datetime.now(UTC))
    fields: dict[str, Any] = {
        "address": "10.0.0.2" if case.natted and not case.dialled else case.address,
        "peer_address": "203.0.113.99" if case.natted and case.dialled else THEIRS,
        "psk": b"sharedsecret",
        "proposals": (case.row,),
        "esp_proposals": ESP,
        "vendor_ids": (DIALECTS[0].vendor_id, registry.DPD_VENDOR_ID),
        "identity": case.identity,
        "exchange": "aggressive" if case.aggressive else "main",
        "accept_aggressive": case.aggressive,
        "credentials": dated if case.row.authentication == "rsa" else None,
        "schedule": Schedule((1.0,) * 6),
        **case.config,
    }
    return IkeCore(IkeConfig(**fields), os.urandom)


def talk(case: Case) -> tuple[list[Any], list[int]]:
    """Events, and the ports we sent from, until both phases are up, or refused, or time is over."""
    core, events, ports = core_of(case), [], []
    sockets = {}
    for port in (registry.PORT, registry.PORT_NATT):
        sockets[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets[port].bind((case.address, port))
    end = time.monotonic() + PATIENCE_S
    if not case.dialled:
        core.start(time.monotonic())
    while time.monotonic() < end and not any(isinstance(event, EspUp | Failed) for event in events):
        for datagram in core.take_datagrams():
            ports.append(datagram.sport)
            sockets[datagram.sport].sendto(datagram.payload, (THEIRS, datagram.dport))
        wait = min(end, core.deadline or end) - time.monotonic()
        ready, _, _ = select.select(list(sockets.values()), [], [], max(0.0, min(wait, 0.2)))
        for port, opened in sockets.items():
            if opened in ready:
                data, (_, remote_port) = opened.recvfrom(65536)
                floated = port == registry.PORT_NATT and data.startswith(registry.NON_ESP_MARKER)
                core.receive(time.monotonic(), data[4:] if floated else data, port, remote_port)
        core.tick(time.monotonic())
        events += core.take_events()
        if case.number == STRANGER and any(isinstance(event, Refused) for event in events):
            break
    for datagram in core.take_datagrams():  # what answered the last message
        sockets[datagram.sport].sendto(datagram.payload, (THEIRS, datagram.dport))
    for opened in sockets.values():
        opened.close()
    return events, ports


def told(events: list[Any], ports: list[int]) -> dict[str, Any]:
    up = next((event for event in events if isinstance(event, IkeUp)), None)
    esp = next((event for event in events if isinstance(event, EspUp)), None)
    found: dict[str, Any] = {
        "refused": [event.reason for event in events if isinstance(event, Refused)],
        "failed": [event.reason for event in events if isinstance(event, Failed)],
        "initial contact": any(isinstance(event, InitialContact) for event in events),
        "ports": sorted(set(ports)),
        "encapsulation": esp.encapsulation if esp else None,
    }
    if up is not None:
        found |= {name: getattr(up, name) for name in TOLD}
    return found


async def play() -> dict[str, Any]:
    lines = ["tuntap add dev gw0 mode tap", "link set gw0 up", "link set lo up"]
    lines += [f"address add {case.address}/24 dev gw0" for case in CASES.values()]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)
    scratch = Path("/tmp/guest")
    scratch.mkdir()
    modules = kernel_modules.for_gateway("plain")
    guest = UmlGuest(GuestPlan("gateway", Tap(), scratch, [f"{THEIRS}/24"], packages.guest_directory(), modules=modules))
    await guest.start()
    results = {}
    try:
        script = WAIT_FUNCTION + "".join(
            f"mkdir -p {Path(path).parent}; cat > {path} <<'END'\n{text}\nEND\n" for path, text in files().items()
        )
        started = await guest.execute(script + START, 90)
        assert started.status == 0, started.output
        for title, case in CASES.items():
            if case.dialled:  # it sends MM1 or AM1 again a second later, should our side not listen yet
                await guest.execute(f"setsid swanctl --initiate --child k{case.number} >/dev/null 2>&1 </dev/null &", 60)
            results[title] = told(*await asyncio.to_thread(talk, case))
            results[title]["strongSwan"] = (await guest.execute(f"swanctl --list-sas --ike c{case.number}", 60)).output
            log = (await guest.execute("cat /var/log/charon.log; : > /var/log/charon.log", 60)).output
            results[title]["strongSwan heard"] = re.findall(r"parsed .*", log)
            if "--log" in sys.argv:
                print(title, log, file=sys.stderr)
    finally:
        await guest.stop()
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(play()), indent=1))
