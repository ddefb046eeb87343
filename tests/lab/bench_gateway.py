"""Run one command against a real gateway, in namespaces of its own that vanish with it.

    .venv/bin/python tests/lab/bench_gateway.py [--direct] [--out DIR] plain-kernel [COMMAND…]

COMMAND (default: a shell) runs in the network namespace of the clients: any address of 10.0.0.0/24 may be used as source; the
gateway is 203.0.113.231, behind a NAT that shows 203.0.113.232 (with --direct: routed, no NAT). PSK sharedsecret, users
user1/pw1 …, PPP gateway 172.16.1.1. Environment: NATSTORM_GATEWAY=203.0.113.231. DIR gets outside.pcap and the gateway's logs and
views afterwards. Other namespaces to look into meanwhile: `ip netns exec nat …`, `ip netns exec wan …`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.devices.linux_config import GatewaySettings, variant
from harness.devices.linux_gateway import LinuxGateway
from harness.lab import kernel_modules, packages
from harness.lab.uml import GuestPlan, UmlGuest

NAT = """
table ip nat {
  chain post {
    type nat hook postrouting priority srcnat
    oifname "outside" ip saddr 10.0.0.0/24 ip protocol udp masquerade to :1024-65535
    oifname "outside" ip saddr 10.0.0.0/24 masquerade
  }
}
"""
TOPOLOGY = """
set -e
mount -t tmpfs run /run; mkdir -p /run/netns
for n in clients nat wan; do ip netns add $n; ip -n $n link set lo up; done
ip -n clients link add uplink type veth peer name inside netns nat
ip -n nat link add outside type veth peer name nat0 netns wan
ip -n clients addr add 192.0.2.2/30 dev uplink; ip -n clients link set uplink up
ip -n clients route add local 10.0.0.0/24 dev lo; ip -n clients route add default via 192.0.2.1 src 10.0.0.2
ip -n nat addr add 192.0.2.1/30 dev inside; ip -n nat link set inside up
ip -n nat addr add 203.0.113.232/24 dev outside; ip -n nat link set outside up
ip -n nat route add 10.0.0.0/24 via 192.0.2.2
ip netns exec nat sysctl -qw net.ipv4.ip_forward=1
for d in 'clients uplink' 'nat inside' 'nat outside' 'wan nat0'; do
  set -- $d; ip netns exec $1 ethtool -K $2 tx off >/dev/null
done
ip -n wan link add br0 type bridge; ip -n wan link set br0 up
ip -n wan tuntap add dev gw0 mode tap; for p in gw0 nat0; do ip -n wan link set $p master br0 up; done
"""


@dataclass(frozen=True)
class Tap:
    netns: str = "wan"
    kind: str = "tap"
    interface: str = "gw0"


async def run(arguments: argparse.Namespace) -> int:
    subprocess.run(["bash", "-c", TOPOLOGY], check=True)
    if not arguments.direct:
        subprocess.run(["ip", "netns", "exec", "nat", "nft", "-f", "-"], input=NAT, text=True, check=True)
    packages_dir = packages.guest_directory()
    with tempfile.TemporaryDirectory(dir="/run") as scratch:
        modules = kernel_modules.for_gateway(variant(arguments.variant).ipsec)
        routes = ["10.0.0.0/24 via 203.0.113.232"] if arguments.direct else []
        plan = GuestPlan("gateway", Tap(), Path(scratch), ["203.0.113.231/24"], packages_dir, routes, modules)
        guest = UmlGuest(plan)
        await guest.start()
        gateway = LinuxGateway(guest.execute, GatewaySettings(variant=arguments.variant))
        await gateway.start()
        times = f"booted in {guest.boot_seconds:.2f} s, daemons in {gateway.start_seconds:.2f} s"
        print(f"gateway {arguments.variant}: {times}", file=sys.stderr)
        capture = None
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            capture = subprocess.Popen(
                ["ip", "netns", "exec", "wan", "tcpdump", "-Uni", "br0", "-Z", "root", "-w", str(arguments.out / "outside.pcap")],
                stderr=subprocess.PIPE,
                text=True,
            )
            assert capture.stderr is not None
            while "listening on" not in capture.stderr.readline():
                pass
        command = arguments.command or ["bash"]
        environment = {**os.environ, "NATSTORM_GATEWAY": "203.0.113.231"}
        child = await asyncio.create_subprocess_exec("ip", "netns", "exec", "clients", *command, env=environment)
        status = await child.wait()
        if capture is not None:
            for name, text in (await gateway.logs()).items():
                (arguments.out / f"{name}.log").write_text(text)
            for name, text in (await gateway.view("end")).texts.items():
                (arguments.out / f"view-{name}.txt").write_text(text)
            shutil.copy(guest.console, arguments.out / "console.log")
            capture.terminate()
            capture.wait()
        await guest.stop()
    return status


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("variant")
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if "NATSTORM_BENCH" not in os.environ:
        os.environ["NATSTORM_BENCH"] = "1"
        again = [sys.executable, __file__, *sys.argv[1:]]
        os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *again])
    del os.environ["NATSTORM_BENCH"]
    return asyncio.run(run(arguments))


if __name__ == "__main__":
    sys.exit(main())
