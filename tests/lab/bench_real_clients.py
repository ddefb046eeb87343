"""What becomes of real clients behind one NAT, with none of the harness's own protocol cores in play.

    .venv/bin/python tests/lab/bench_real_clients.py [--clients N] [--out DIR] VARIANT

Each client is strongSwan + xl2tpd in a guest of its own. Client 1 connects and pings at 5/s; then the others connect, one after
the other; then all ping at once for a while. Prints one JSON object. DIR gets the wan capture, the gateway's logs and its views.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.devices.linux_config import GatewaySettings, variant
from harness.devices.linux_gateway import LinuxGateway
from harness.lab import kernel_modules, packages
from harness.lab.linux_client import GuestClient
from harness.lab.uml import GuestPlan, UmlGuest
from harness.model import ClientPlan, Secret
from harness.scenario.real_clients import REAL

GATEWAY = "203.0.113.231"
TOPOLOGY = """
set -e
mount -t tmpfs run /run; mkdir -p /run/netns
for n in lan nat wan; do ip netns add $n; ip -n $n link set lo up; done
ip -n lan link add br0 type bridge; ip -n lan link set br0 up
ip -n wan link add br0 type bridge; ip -n wan link set br0 up
ip -n nat link add inside type veth peer name nat0 netns lan
ip -n nat link add outside type veth peer name nat0 netns wan
ip -n nat addr add 10.0.0.1/24 dev inside; ip -n nat link set inside up
ip -n nat addr add 203.0.113.232/24 dev outside; ip -n nat link set outside up
for d in 'lan nat0' 'nat inside' 'nat outside' 'wan nat0'; do set -- $d; ip netns exec $1 ethtool -K $2 tx off >/dev/null; done
ip -n wan tuntap add dev gw0 mode tap; for p in gw0 nat0; do ip -n wan link set $p master br0 up; done
for c in $(seq $CLIENTS); do ip -n lan tuntap add dev c$c mode tap; ip -n lan link set c$c master br0 up; done
ip -n lan link set nat0 master br0 up
ip netns exec nat sysctl -qw net.ipv4.ip_forward=1
ip netns exec nat nft -f - <<NAT
table ip nat {
  chain post {
    type nat hook postrouting priority srcnat
    oifname "outside" ip protocol udp masquerade to :1024-65535
  }
}
NAT
"""

@dataclass(frozen=True)
class Tap:
    netns: str
    interface: str
    kind: str = "tap"


class Client:
    def __init__(self, number: int, scratch: Path, ike: str) -> None:
        self.number = number
        plan = ClientPlan(
            number, f"10.0.0.{10 + number}", GATEWAY, Secret("sharedsecret"), f"user{number}", Secret(f"pw{number}"), REAL
        )
        one = GuestClient(plan, Tap("lan", f"c{number}"), ("default via 10.0.0.1",), scratch / f"c{number}", prefix=24)
        one.driver.settings = replace(one.driver.settings, ike_proposal=ike)
        self.start, self.stop, self.guest, self.driver = one.start, one.stop, one.guest, one.driver

    async def connect(self, wait: int) -> str:
        """What `ip` says of its PPP link, at the latest after `wait` seconds."""
        await self.driver.connect(lambda fact: None, lambda packet: None)
        await self.driver.until_addressed(wait)
        return (await self.guest.execute("ip -4 -o addr show dev ppp0 2>&1")).output.strip()

    async def ping(self, seconds: int, rate: int) -> dict[str, Any]:
        output = (await self.guest.execute(f"ping -q -i {1 / rate:g} -w {seconds} 172.16.1.1", seconds + 20)).output
        found = re.search(r"(\d+) packets transmitted, (\d+) received", output)
        return {"sent": int(found[1]), "answered": int(found[2])} if found else {"sent": 0, "answered": 0, "output": output}


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    subprocess.run(["bash", "-c", TOPOLOGY], check=True, env={**os.environ, "CLIENTS": str(arguments.clients)})
    directory = packages.guest_directory()
    result: dict[str, Any] = {"variant": arguments.variant}
    with tempfile.TemporaryDirectory(dir="/run") as name:
        scratch = Path(name)
        modules = kernel_modules.for_gateway(variant(arguments.variant).ipsec)
        (scratch / "gateway").mkdir()
        guest = UmlGuest(GuestPlan("gateway", Tap("wan", "gw0"), scratch / "gateway", [f"{GATEWAY}/24"], directory, (), modules))
        clients = [Client(n, scratch, arguments.ike) for n in range(1, arguments.clients + 1)]
        await asyncio.gather(guest.start(), *(c.start() for c in clients))
        gateway = LinuxGateway(guest.execute, GatewaySettings(variant=arguments.variant))
        await gateway.start()
        capture = None
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            capture = subprocess.Popen(
                ["ip", "netns", "exec", "wan", "tcpdump", "-Uni", "br0", "-Z", "root", "-w", str(arguments.out / "wan.pcap")],
                stderr=subprocess.DEVNULL,
            )
        result["connect"] = [await clients[0].connect(60)]
        alone = asyncio.create_task(clients[0].ping(arguments.patience + 2 if arguments.clients == 2 else 4 * arguments.clients, 5))
        for client in clients[1:]:
            await asyncio.sleep(1)
            result["connect"].append(await client.connect(arguments.patience))
        result["first while others connect"] = await alone
        await keep(gateway, arguments.out, "connected")
        result["together"] = await asyncio.gather(*(c.ping(arguments.seconds, 10) for c in clients))
        await keep(gateway, arguments.out, "end")
        if arguments.out:
            for log, text in (await gateway.logs()).items():
                (arguments.out / f"{log}.log").write_text(text)
            for client in clients:
                (arguments.out / f"c{client.number}.log").write_text((await client.driver.logs())["charon"])
        result["memory_MiB"] = int((await guest.execute("free -m | awk '/Mem/{print $3}'")).output)
        if capture is not None:
            capture.terminate()
            capture.wait()
        await asyncio.gather(guest.stop(), *(c.stop() for c in clients))
    return result


async def keep(gateway: LinuxGateway, out: Path | None, label: str) -> None:
    if out is not None:
        for name, text in (await gateway.view(label)).texts.items():
            (out / f"{label}-{name}.txt").write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("variant")
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--patience", type=int, default=20, help="seconds that a later client may take from IPsec to PPP")
    parser.add_argument("--ike", default="aes128-sha1-modp1024")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if "NATSTORM_BENCH" not in os.environ:
        os.environ["NATSTORM_BENCH"] = "1"
        again = [sys.executable, __file__, *sys.argv[1:]]
        os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *again])
    print(json.dumps(asyncio.run(run(arguments)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
