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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.devices.linux_config import GatewaySettings, variant
from harness.devices.linux_gateway import WAIT_FUNCTION, LinuxGateway
from harness.lab import kernel_modules, packages
from harness.lab.uml import GuestPlan, UmlGuest

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

FILES = {
    "/etc/strongswan.conf": """
charon {
  load = random nonce openssl hmac kdf kernel-netlink socket-default vici
  install_routes = no
  filelog { f { path = /var/log/charon.log
    default = 1 } }
}
swanctl { load = openssl }
""",
    "/etc/swanctl/swanctl.conf": """
connections { l2tp {
  version = 1
  remote_addrs = 203.0.113.231
  proposals = @IKE@
  local { auth = psk }
  remote { auth = psk
    id = 203.0.113.231 }
  children { l2tp {
    mode = transport
    local_ts = dynamic[udp/1701]
    remote_ts = dynamic[udp/1701]
    esp_proposals = aes128-sha1
  } }
} }
secrets { ike-1 { secret = sharedsecret } }
""",
    "/etc/xl2tpd/xl2tpd.conf": """
[global]
port = 1701
debug tunnel = yes
[lac vpn]
lns = 203.0.113.231
refuse pap = yes
require authentication = no
name = user@N@
pppoptfile = /etc/ppp/options.l2tp
length bit = yes
""",
    "/etc/ppp/options.l2tp": """
name user@N@
noauth
refuse-eap
noccp
nodefaultroute
mtu 1280
mru 1280
ipcp-accept-local
ipcp-accept-remote
lcp-echo-interval 5
lcp-echo-failure 4
""",
    "/etc/ppp/chap-secrets": "user@N@ * pw@N@ *\n",
}

CONNECT = """
setsid /usr/lib/ipsec/charon </dev/null >/dev/null 2>&1 &
iptables-legacy-restore <<RULES
*filter
:OUTPUT ACCEPT
-A OUTPUT -p udp --dport 1701 -m policy --dir out --pol none -j DROP
COMMIT
RULES
setsid xl2tpd -D -p /run/xl2tpd.pid </dev/null >/var/log/xl2tpd.log 2>&1 &
until_true 20 test -S /run/charon.vici && swanctl --load-all --noprompt >/dev/null || exit 1
swanctl --initiate --child l2tp --timeout 20 2>&1 | tail -n 1
until_true 10 test -p /run/xl2tpd/l2tp-control && echo 'c vpn' > /run/xl2tpd/l2tp-control
have_ppp() { local line; while read -r line; do [[ $line == *ppp0:* ]] && return; done < /proc/net/dev; return 1; }
addressed() { have_ppp && [[ $(ip -4 -o addr show dev ppp0 2>/dev/null) == *peer* ]]; }
until_true @WAIT@ addressed; ip -4 -o addr show dev ppp0
"""


@dataclass(frozen=True)
class Tap:
    netns: str
    interface: str
    kind: str = "tap"


class Client:
    def __init__(self, number: int, scratch: Path, directory: Path) -> None:
        self.number = number
        plan = GuestPlan(
            f"c{number}",
            Tap("lan", f"c{number}"),
            scratch / f"c{number}",
            [f"10.0.0.{10 + number}/24"],
            directory,
            ["default via 10.0.0.1"],
        )
        plan.scratch.mkdir()
        self.guest = UmlGuest(plan)

    async def connect(self, wait: int, ike: str) -> str:
        script = WAIT_FUNCTION + "rm -f /etc/ppp/chap-secrets\n"
        for path, text in FILES.items():
            text = text.replace("@N@", str(self.number)).replace("@IKE@", ike)
            script += f"cat > {path} <<'END'\n{text}\nEND\n"
        return (await self.guest.execute(script + CONNECT.replace("@WAIT@", str(wait)), wait + 60)).output.strip()

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
        guest = UmlGuest(GuestPlan("gateway", Tap("wan", "gw0"), scratch / "gateway", ["203.0.113.231/24"], directory, (), modules))
        clients = [Client(n, scratch, directory) for n in range(1, arguments.clients + 1)]
        await asyncio.gather(guest.start(), *(c.guest.start() for c in clients))
        gateway = LinuxGateway(guest.execute, GatewaySettings(variant=arguments.variant))
        await gateway.start()
        capture = None
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            capture = subprocess.Popen(
                ["ip", "netns", "exec", "wan", "tcpdump", "-Uni", "br0", "-Z", "root", "-w", str(arguments.out / "wan.pcap")],
                stderr=subprocess.DEVNULL,
            )
        result["connect"] = [await clients[0].connect(15, arguments.ike)]
        alone = asyncio.create_task(clients[0].ping(12 if arguments.clients == 2 else 4 * arguments.clients, 5))
        for client in clients[1:]:
            await asyncio.sleep(1)
            result["connect"].append(await client.connect(arguments.patience, arguments.ike))
        result["first while others connect"] = await alone
        await keep(gateway, arguments.out, "connected")
        result["together"] = await asyncio.gather(*(c.ping(arguments.seconds, 10) for c in clients))
        await keep(gateway, arguments.out, "end")
        if arguments.out:
            for log, text in (await gateway.logs()).items():
                (arguments.out / f"{log}.log").write_text(text)
            for client in clients:
                text = (await client.guest.execute("cat /var/log/xl2tpd.log /var/log/charon.log")).output
                (arguments.out / f"c{client.number}.log").write_text(text)
        result["memory_MiB"] = int((await guest.execute("free -m | awk '/Mem/{print $3}'")).output)
        if capture is not None:
            capture.terminate()
            capture.wait()
        await asyncio.gather(guest.stop(), *(c.guest.stop() for c in clients))
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
