"""Linux's own PPPoE in a guest, pppd and the kernel's, calls a virtual IOS router that stands beside it as a process.

To be run inside an enclosure; prints, as one JSON object, what came of it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from pathlib import Path

from harness.lab import enclosure, kernel_modules, packages, tools
from harness.lab.topology import Attachment, choose_transport
from harness.lab.uml import GuestPlan, UmlGuest

STARTUP = """\
hostname Rack7
username modem password 0 secret
ip local pool HOMES 172.16.9.10 172.16.9.20
vpdn enable
vpdn-group 1
 accept-dialin
  protocol l2tp
  virtual-template 1
 terminate-from hostname LAC
bba-group pppoe global
 virtual-template 1
interface Loopback0
 ip address 172.16.9.1 255.255.255.255
interface FastEthernet0/0
 ip address 127.0.0.1 255.0.0.0
interface FastEthernet1/0
 pppoe enable group global
interface Virtual-Template1
 ip unnumbered Loopback0
 peer default ip address pool HOMES
 ppp authentication chap
line vty 0 4
 login local
end
"""
MRU = 1400
"""What the router asks for."""
MODULES = (*kernel_modules.for_gateway("plain"), "pppoe")
PPPD = (
    "cd /run; timeout {seconds} pppd plugin rp-pppoe.so nic-vec0 user modem password {password} noauth noipdefault nodefaultroute "
    "noipv6 mtu 1492 mru 1492 maxfail 1 lcp-max-configure 20 nodetach > /run/pppd.log 2>&1"
)
WAIT = "for i in $(seq 300); do ip -4 -o address show dev ppp0 2>/dev/null | grep peer && break; sleep 0.1; done"
PING = "ping -q -c 3 -i 0.2 -W 5 -M do -s {size} 172.16.9.1 | grep received"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "startup-config")
        file.write_text(STARTUP, encoding="ascii")
        attachment, ours = _wire()
        words = ["--startup", str(file), "--wire", "127.0.0.1", "--callers", ours, "FastEthernet1/0", "--telnet", "127.0.0.1"]
        argv = enclosure.python("harness.virtual.ios.process")
        with subprocess.Popen([*argv, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as router:
            assert router.stdout is not None
            guest = UmlGuest(GuestPlan("home", attachment, Path(folder), [], packages.guest_directory(), modules=MODULES))
            try:
                assert router.stdout.readline() == "ready\n"
                await guest.start()
                print(json.dumps(await _called(guest)))
            finally:
                await guest.stop()
                router.terminate()


async def _called(guest: UmlGuest) -> dict[str, object]:
    async def said(command: str, timeout: float = 60.0) -> str:
        return (await guest.execute(command, timeout)).output.strip()

    call = asyncio.ensure_future(guest.execute(PPPD.format(password="secret", seconds=60), 90))
    found: dict[str, object] = {"address": await said(WAIT)}
    found["small"], found["whole"] = await said(PING.format(size=56)), await said(PING.format(size=MRU - 28))
    await said("pkill -TERM pppd")
    await call
    found["log"] = await said("cat /run/pppd.log")
    found["wrong"] = (await guest.execute(PPPD.format(password="other", seconds=60), 90)).status
    found["wrong log"] = await said("cat /run/pppd.log")
    return found


def _wire() -> tuple[Attachment, str]:
    """Where the guest is plugged in, and the interface at the other end."""
    step = "wire the guest"
    tools.run(["ip", "link", "set", "lo", "up"], step=step)
    if choose_transport("auto") == "tap":
        tools.run(["ip", "tuntap", "add", "dev", "home0", "mode", "tap"], step=step)
        tools.run(["ip", "link", "set", "home0", "up"], step=step)
        return Attachment("", "tap", "home0"), "home0"
    tools.run(["ip", "link", "add", "home0", "type", "veth", "peer", "name", "dsl0"], step=step)
    for name in ("home0", "dsl0"):
        tools.run(["ip", "link", "set", name, "up"], step=step)
    return Attachment("", "raw", "home0"), "dsl0"


if __name__ == "__main__":
    asyncio.run(main())
