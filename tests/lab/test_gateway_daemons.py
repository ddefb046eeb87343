"""The gateway's daemons in a guest of an ordinary user: started, looked at, silenced, killed and started again."""

import asyncio
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from enclosed import enclosed

from harness.devices.linux_config import GatewaySettings
from harness.devices.linux_gateway import LinuxGateway
from harness.errors import DeviceError
from harness.lab import kernel_modules, packages
from harness.lab.uml import GuestPlan, UmlGuest
from harness.lab.witness import InGuest, far_end, translated
from harness.model import Secret, Side

pytestmark = pytest.mark.lab


@dataclass(frozen=True)
class Raw:
    netns: str = ""
    kind: str = "raw"
    interface: str = "gw0"


def pings():
    ping = next(packages.guest_directory().glob("**/bin/ping"))
    return subprocess.run([ping, "-c", "1", "-W", "2", "203.0.113.231"], capture_output=True, check=False).returncode == 0


async def play():
    batch = "link add gw0 type veth peer name gw1\nlink set gw0 up\nlink set gw1 up\naddress add 203.0.113.232/24 dev gw1\n"
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)
    scratch = Path("/tmp/scratch")
    scratch.mkdir()
    modules = kernel_modules.for_gateway("demux")
    plan = GuestPlan("gateway", Raw(), scratch, ["203.0.113.231/24"], packages.guest_directory(), modules=modules)
    guest = UmlGuest(plan)
    await guest.start()
    gateway = LinuxGateway(guest.execute, GatewaySettings(variant="demux-user"))
    try:
        await gateway.start()
        assert await gateway.running() == {"charon": True, "xl2tpd": True}

        witnesses = [far_end(InGuest(guest), ["127.0.0.0/8"]), translated(InGuest(guest))]
        for witness in witnesses:
            await witness.start()
        view = await gateway.view("idle")
        assert (view.sessions, view.sas, view.ike_sas) == ((), (), ())
        assert "unread" not in view.texts
        facts = [await witness.stop(scratch) for witness in witnesses]
        assert [(f.side, f.frames, f.dropped, f.complete) for f in facts] == [
            (Side.FAR_END, 0, 0, True),
            (Side.TRANSLATED, 0, 0, True),
        ]
        assert all(Path(f.path).stat().st_size == 24 for f in facts)  # a capture file's header

        # an interface that comes and goes while the capture runs, with a packet on it, and a burst larger than libpcap's own buffer
        witness = far_end(InGuest(guest), ["198.51.100.0/24"])
        await witness.start()
        come = "ip link add ppp7 type dummy; ip address add 198.51.100.1/24 dev ppp7; ip link set ppp7 up"
        index = int((await guest.execute(f"{come}; cat /sys/class/net/ppp7/ifindex")).output)
        burst = "ip neighbour add 198.51.100.2 dev ppp7 lladdr 02:00:00:00:00:02; ping -f -c 300 -W 1 198.51.100.2"
        await guest.execute(f"{burst}; ip link del ppp7")
        facts = [await witness.stop(scratch)]
        assert (facts[0].frames, facts[0].dropped, facts[0].complete) == (300, 0, True)
        assert f"{index} ppp7\n" in (scratch / "far-end.links").read_text()
        assert Path(facts[0].path).read_bytes()[20:24] == (276).to_bytes(4, "little")  # Linux cooked frames that tell the interface

        for action, argument in ((gateway.delete_ipsec, "00c0ffee"), (gateway.close_l2tp, 4711), (gateway.close_call, 4711)):
            with pytest.raises(DeviceError):
                await action(argument)

        assert pings()
        await gateway.silence()
        assert not pings()
        await gateway.silence(False)
        assert pings()

        await gateway.reconfigure(psk=Secret("another"), ike_proposals=("aes256-sha256-ecp384",))
        assert (await guest.execute("grep -c another /etc/swanctl/swanctl.conf")).output == "1\n"

        await gateway.kill_daemons()
        assert await gateway.running() == {"charon": False, "xl2tpd": False}
        await gateway.restart_daemons()
        await gateway.stop_daemons()
        assert await gateway.running() == {"charon": False, "xl2tpd": False}
        logs = await gateway.logs()
        assert "Starting IKE charon daemon" in logs["charon"]
        assert "Listening on IP address 0.0.0.0, port 1701" in logs["xl2tpd"]
    finally:
        await guest.stop()


@enclosed(rootless=True, timeout=180)
def test_the_daemons_of_an_ordinary_users_gateway():
    asyncio.run(play())
