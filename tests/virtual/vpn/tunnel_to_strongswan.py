"""The tunnel-mode endpoint against strongSwan and Linux's ESP in a guest, one case after another on one boot; prints JSON.

To be run inside an enclosure. Each case has an address of its own on our side. The endpoint's packets go out and come in whole, by
raw sockets; in the cases with a NAT, a NAT core stands in between, so that strongSwan sees a real one.

    our host 10.1.0.5 ── endpoint ── (NAT core) ══ 203.0.113.N ── 203.0.113.231, strongSwan, 10.2.0.5
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from vpn_bench import SETS, policy

from harness.devices.linux_gateway import WAIT_FUNCTION
from harness.lab import kernel_modules, packages
from harness.lab.uml import GuestPlan, UmlGuest
from harness.model import Secret
from harness.nat import NatCore, load
from harness.virtual import vpn_view
from harness.virtual.crypto_map import DynamicReference, IsakmpEntry
from harness.virtual.nat_transparency import NatTransparency
from harness.virtual.router import echo_answer
from harness.virtual.vpn_endpoint import VpnEndpoint
from harness.virtual.vpn_settings import EndpointSettings, IsakmpKey
from harness.wire import ip
from harness.wire.config import IkeProposal
from harness.wire.packet import Packet, to_ip
from harness.wire.retransmit import Schedule

THEIRS, THEIR_HOST, OUR_HOST = "203.0.113.231", "10.2.0.5", "10.1.0.5"
PATIENCE_S = 60.0  # far more than it takes, but for a busy machine
FLOW = "permit ip 10.1.0.0 0.0.255.255 10.2.0.0 0.0.255.255"


@dataclass(frozen=True)
class Case:
    number: int
    dialled: bool = False
    natted: bool = False
    how: NatTransparency = field(default=NatTransparency())
    pfs: str | None = None

    @property
    def address(self) -> str:
        return f"203.0.113.{self.number}"

    @property
    def own(self) -> str:
        return "10.0.0.2" if self.natted else self.address


CASES = {
    "we begin": Case(1, pfs="modp1536"),
    "we begin, behind a NAT": Case(2, natted=True),
    "we begin, matching SPIs": Case(3, how=NatTransparency(spi_matching=True)),
    "strongSwan begins": Case(11, dialled=True),
    "strongSwan begins, we match SPIs": Case(12, dialled=True, how=NatTransparency(spi_matching=True)),
}

STRONGSWAN_CONF = """
charon {
  load = random nonce openssl hmac kdf kernel-netlink socket-default vici
  install_routes = no
  retransmit_timeout = 1
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
    id = {own} }}
  children {{ k{number} {{
    mode = tunnel
    local_ts = 10.2.0.0/16
    remote_ts = 10.1.0.0/16
    esp_proposals = aes128-sha1{pfs}
  }} }}
}} }}
"""
START = """
ip address add 10.2.0.5/32 dev lo
ip route add 10.1.0.0/16 dev vec0 src 10.2.0.5
setsid /usr/lib/ipsec/charon </dev/null >/run/charon.out 2>&1 &
until_true 20 test -S /run/charon.vici || { cat /run/charon.out; exit 1; }
swanctl --load-all --noprompt 2>&1 || exit 1
"""


@dataclass(frozen=True)
class Tap:
    netns: str = ""
    kind: str = "tap"
    interface: str = "gw0"


def settings_of(case: Case) -> EndpointSettings:
    static = IsakmpEntry(10, "101", (THEIRS,), ("aes",), pfs=case.pfs)
    rules = policy(DynamicReference(20, "any") if case.dialled else static, lists={"101": (FLOW,)})
    rules = replace(rules, dynamic_maps={"any": (IsakmpEntry(10, "101", (), ("aes",)),)}, transform_sets=SETS)
    return EndpointSettings(
        case.own,
        (IPv4Network("10.1.0.0/16"),),
        rules,
        (IsakmpKey(IPv4Network("0.0.0.0/0"), Secret("sharedsecret")),),
        ike_proposals=(IkeProposal("aes-128", "sha1", "modp1024"),),
        nat_transparency=case.how,
        schedule=Schedule((1.0,) * 10),
    )


class Wire:
    """The endpoint, its NAT if any, and raw sockets. A host behind it answers pings and keeps what answers its own."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.core = VpnEndpoint(settings_of(case), os.urandom)
        self.nat = NatCore(load("pat"), outside=case.address, inside="10.0.0.0/24", entropy=os.urandom) if case.natted else None
        self.answers: list[int] = []
        self.asked = 0
        self.kinds: set[str] = set()
        self.out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.inward = [socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol) for protocol in (17, 50)]
        for one in self.inward:
            one.bind((case.address, 0))
        self.silent = []
        for port in (500, 4500):  # so that the kernel does not say that nobody is there
            holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            holder.bind((case.address, port))
            self.silent.append(holder)

    def close(self) -> None:
        for one in (self.out, *self.inward, *self.silent):
            one.close()

    def ping(self, number: int) -> None:
        request = ip.build_echo(ip.Echo(True, 7, number, b"through the tunnel"))
        self.core.receive(time.monotonic(), "inside", ip.build_ipv4(OUR_HOST, THEIR_HOST, ip.ICMP, request))

    def settle(self) -> None:
        now = time.monotonic()
        moved = True
        while moved:
            moved = False
            for side, packet in self.core.take_packets():
                moved = True
                if side == "outside":
                    self._out(now, packet)
                    continue
                answer = echo_answer(packet)
                if answer is not None:
                    self.asked += 1
                    self.core.receive(now, "inside", answer)
                elif (echo := ip.parse_echo(ip.parse_ipv4(packet).payload)) is not None:
                    self.answers.append(echo.sequence)
            for side, packet in self.nat.take_packets() if self.nat is not None else ():
                moved = True
                if side == "outside":
                    self._send(packet)
                else:
                    self.core.receive(now, "outside", packet)

    def _out(self, now: float, packet: bytes) -> None:
        if self.nat is not None:
            self.nat.receive(now, "inside", packet)
        else:
            self._send(packet)

    def _send(self, packet: bytes) -> None:
        parsed = ip.parse_ipv4(packet)
        self.kinds.add("esp" if parsed.protocol == 50 else str(ip.parse_udp(parsed.payload).dport))
        self.out.sendto(packet, (THEIRS, 0))

    def run(self, until: Callable[[], bool]) -> bool:
        end = time.monotonic() + PATIENCE_S
        while True:
            self.settle()
            if until():
                return True
            if time.monotonic() > end:
                return False
            for ready in select.select(self.inward, [], [], 0.1)[0]:
                packet = checksummed(ready.recv(65536))
                if packet[12:16] != ip.packed(THEIRS):
                    continue
                if self.nat is not None:
                    self.nat.receive(time.monotonic(), "outside", packet)
                else:
                    self.core.receive(time.monotonic(), "outside", packet)
            self.core.tick(time.monotonic())


    def answered(self, count: int) -> int:
        """Pings until so many are answered. The first are lost where Linux has the SAs a moment later than we have."""
        before = len(self.answers)
        for number in range(before + 1, before + 20 * count):
            self.ping(number)
            end = time.monotonic() + 0.5
            if not self.run(lambda end=end, number=number: self.answers[-1:] == [number] or time.monotonic() > end):  # type: ignore[misc]
                break
            if len(self.answers) - before >= count:
                break
        return len(self.answers) - before


def checksummed(packet: bytes) -> bytes:
    """A tap hands over UDP without its checksum, which the sender's card would have filled in."""
    parsed = ip.parse_ipv4(packet)
    if parsed.protocol != ip.UDP:
        return packet
    told = ip.parse_udp(parsed.payload)
    return to_ip(Packet(parsed.source, parsed.destination, ip.UDP, told.payload, told.sport, told.dport))


def talk(wire: Wire) -> dict[str, Any]:
    """Set-up, five pings, a rekey, five more, and the end; what we saw of it."""
    case, core, negotiation = wire.case, wire.core, wire.core.negotiation
    if not case.dialled:
        wire.ping(0)
    up = wire.run(lambda: bool(negotiation.sas.made))
    found: dict[str, Any] = {"up": up}
    if up and not case.dialled:
        found["answers"] = wire.answered(5)
        (sa,) = negotiation.sas
        association = sa.association
        assert association is not None
        child = association.core._all.pairs[0].child
        assert child is not None
        now = time.monotonic()
        negotiation.order(now, association, lambda ike: ike.start_child(now, child))
        found["rekeyed"] = wire.run(lambda: negotiation.sas.made == 2)
        newest = list(negotiation.sas)[-1]
        for _ in range(20):  # until it has had QM3, the peer answers by the old ones
            if newest.decapsulated or not wire.answered(1):
                break
        before = newest.decapsulated
        found["answers after"] = wire.answered(5)
        found["by the new SAs"] = newest.decapsulated - before
    if up and case.dialled:
        found["asked"] = wire.run(lambda: wire.asked >= 3)
    view = vpn_view.of(time.monotonic(), core)
    found["ipsec"] = [(row.entry, row.encapsulation, str(row.local), str(row.remote), row.predictable) for row in view.ipsec]
    found["kinds"] = sorted(wire.kinds)
    events = core.take_events()
    found["refused"] = [event.detail["reason"] for event in events if event.kind in ("refused", "failed")]
    found["warnings"] = [event.detail["reason"] for event in events if event.kind == "warning"]
    return found


def close(wire: Wire) -> None:
    wire.core.clear_isakmp(time.monotonic())
    wire.settle()
    wire.close()


async def play() -> dict[str, Any]:
    lines = ["tuntap add dev gw0 mode tap", "link set gw0 up", "link set lo up"]
    lines += [f"address add {case.address}/24 dev gw0" for case in CASES.values()]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)
    scratch = Path("/tmp/guest")
    scratch.mkdir()
    modules = kernel_modules.for_gateway("plain")
    guest = UmlGuest(GuestPlan("gateway", Tap(), scratch, [f"{THEIRS}/24"], packages.guest_directory(), modules=modules))
    await guest.start()
    results: dict[str, Any] = {}
    try:
        connections = "".join(
            CONNECTION.format(number=case.number, address=case.address, own=case.own, pfs=f"-{case.pfs}" if case.pfs else "")
            for case in CASES.values()
        )
        files = {
            "/etc/strongswan.conf": STRONGSWAN_CONF,
            "/etc/swanctl/swanctl.conf": connections + "secrets { ike-1 { secret = sharedsecret } }\n",
        }
        script = WAIT_FUNCTION + "".join(
            f"mkdir -p {Path(path).parent}; cat > {path} <<'END'\n{text}\nEND\n" for path, text in files.items()
        )
        started = await guest.execute(script + START, 90)
        assert started.status == 0, started.output
        for title, case in CASES.items():
            wire = Wire(case)
            if case.dialled:  # it sends MM1 again a second later, should our side not listen yet
                ask = f"swanctl --initiate --child k{case.number}; ping -c 30 -i 0.2 -I {THEIR_HOST} {OUR_HOST}"
                await guest.execute(f"setsid sh -c '{ask}' >/run/ask.out 2>&1 </dev/null &", 60)
            results[title] = await asyncio.to_thread(talk, wire)
            results[title]["strongSwan"] = (await guest.execute(f"swanctl --list-sas --ike c{case.number}", 60)).output
            if "--log" in sys.argv:
                print(title, json.dumps(results[title]), file=sys.stderr, flush=True)
            await asyncio.to_thread(close, wire)
            gone = f"until_true 20 sh -c '! swanctl --list-sas --ike c{case.number} | grep -q ESTABLISHED'"
            results[title]["gone"] = (await guest.execute(WAIT_FUNCTION + gone, 60)).status == 0
            if case.dialled:
                await guest.execute("pkill ping", 60)
    finally:
        await guest.stop()
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(play()), indent=1))
