"""The Linux gateway's driver over SSH: a guest that stands for somebody's router, with OpenSSH's server and daemons of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from enclosed import enclosed

from bench_in_a_box import sshd
from bench_in_a_box.guest import serve
from harness.devices.journal import Journal
from harness.devices.linux_config import GatewaySettings
from harness.devices.linux_gateway import LinuxGateway
from harness.devices.linux_state import KeptTheirs
from harness.devices.ssh import SshConnection
from harness.errors import DeviceError
from harness.lab import kernel_modules, packages
from harness.lab.namespaces import OFFLOADS
from harness.lab.uml import GuestPlan, UmlGuest
from harness.model import Secret
from harness.model.reach import Connection

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(sshd.missing() is not None, reason="no OpenSSH server unpacked (natstorm setup)"),
]
ROUTER = "203.0.113.231"
PSK = Secret("Zaphod42's heart")

# What was there before: a configuration of somebody's, a rule, and a charon that they started (a program of that name will do).
THEIRS = """
mkdir -p /etc/swanctl /etc/ppp; echo '# theirs' > /etc/swanctl/swanctl.conf; chmod 640 /etc/swanctl/swanctl.conf
printf 'charon {\\n  filelog { }\\n}\\n' > /etc/strongswan.conf
iptables-legacy -A INPUT -p udp --dport 9 -j DROP; iptables-legacy -P FORWARD DROP; iptables-legacy -N theirs
iptables-legacy -t mangle -A POSTROUTING -p udp --dport 9 -j ACCEPT
mkdir -p /run/theirs; cp /bin/sleep /run/theirs/charon; setsid /run/theirs/charon 6000 </dev/null >/dev/null 2>&1 &
cp /bin/bash /run/theirs/pppd; for log in charon xl2tpd pppd; do echo theirs > /var/log/$log.log; done
"""
# A link of somebody's and one that our xl2tpd has started, which differ in the mark that they bear.
LINK = "setsid env {mark} /run/theirs/pppd -c 'while :; do sleep 60; done' pppd file {options} </dev/null >/dev/null 2>&1 &\n"
OF_NOBODY, OPTIONS = "NATSTORM_RUN=another", "/etc/ppp/options.xl2tpd"
SA = "src 198.51.100.1 dst 198.51.100.2 proto esp spi 0x1234"
OUR_SA = f"src {ROUTER} dst 203.0.113.232 proto esp spi 0x1235"
POLICY = "src 10.1.0.0/16 dst 10.2.0.0/16 dir out tmpl src 198.51.100.1 dst 198.51.100.2 proto esp mode tunnel"
OUR_POLICY = f"src {ROUTER}/32 dst 203.0.113.232/32 proto udp sport 1701 dir out tmpl proto esp mode transport"
THEIRS_SPOKEN = ["src 10.1.0.0/16 dst 10.2.0.0/16", "src 198.51.100.1 dst 198.51.100.2"]
KEYS = "mode transport enc 'cbc(aes)' 0x" + "00" * 16 + " auth 'hmac(sha1)' 0x" + "11" * 20
STATE = """
for file in /etc/strongswan.conf /etc/swanctl/swanctl.conf /etc/xl2tpd/xl2tpd.conf /etc/ppp/options.xl2tpd /etc/ppp/chap-secrets \
    /etc/natstorm/rules /var/log/{charon,xl2tpd,pppd,demux}.log; do
    echo "$file $(stat -c '%a %u:%g' $file 2>/dev/null) $({ md5sum < $file; } 2>/dev/null)"; done
iptables-legacy-save | grep -e '^-A' -e DROP -e natstorm -e theirs | sed 's/ \\[.*//'
for daemon in charon xl2tpd; do echo $daemon $(for pid in $(pidof $daemon); do tr '\\0' ' ' < /proc/$pid/cmdline; done); done
ls -d /etc/natstorm /etc/xl2tpd /run/natstorm* /run/xl2tpd* /run/charon.out /run/charon.vici 2>/dev/null; true
"""


@dataclass(frozen=True)
class Raw:
    netns: str = ""
    kind: str = "raw"
    interface: str = "gw0"


async def is_refused_with_tunnels_of_somebodys(device, gateway, book, before):
    async def refused(begin, said, end):
        assert (await device.execute(begin)).status == 0
        with pytest.raises(DeviceError, match=said) as caught:
            await gateway.start()
        assert "another box" in str(caught.value)
        assert (await device.execute(STATE)).output == before
        assert book.open == ()
        await device.execute(end)

    await refused(f"ip xfrm state add {SA} {KEYS}", r"1 IPsec SA .*\(198.51.100.1 to 198.51.100.2\)", f"ip xfrm state delete {SA}")
    policy = "src 10.1.0.0/16 dst 10.2.0.0/16 dir out"
    template = "tmpl src 198.51.100.1 dst 198.51.100.2 proto esp mode tunnel"
    said = r"1 IPsec policy .*\(10.1.0.0/16 to 10.2.0.0/16\)"
    await refused(f"ip xfrm policy add {policy} {template}", said, f"ip xfrm policy delete {policy}")
    link = LINK.format(mark="A=1", options="/etc/ppp/peers/uplink")
    await refused(link, r"pppd \d+, which \S+ has started", "kill -KILL $(pidof pppd)")


async def theirs_and_our_rules_stand_together(device, gateway):
    async def rules():
        return (await device.execute("iptables-legacy-save")).output

    at_first = await rules()
    theirs = "-A INPUT -p udp -m udp --dport 9 -j DROP"
    for line in (":FORWARD DROP", theirs, "-A natstorm-PREROUTING ! -i demux0", "MARK --set-xmark"):
        assert line in at_first
    assert at_first.index("-A INPUT -j natstorm-INPUT\n") < at_first.index(theirs)
    await gateway.silence()
    assert "-A natstorm-OUTPUT -o eth0 -j DROP" in await rules()
    await gateway.silence(False)
    assert [line.partition(" [")[0] for line in (await rules()).splitlines() if line[0] != "#"] == [
        line.partition(" [")[0] for line in at_first.splitlines() if line[0] != "#"
    ]
    await gateway.silence()  # and so it is left


async def spoken(device):
    """The SAs and policies of the gateway's, but for those of a daemon's sockets."""
    found = await device.execute("ip xfrm state list nokeys; ip xfrm policy list nosock")
    rows = [line.strip() for line in found.output.splitlines() if line.startswith("src ")]
    return sorted(" ".join(row.split()[:4]) for row in rows)


async def play():
    batch = f"link add gw0 type veth peer name gw1\nlink set gw0 up\nlink set gw1 up\naddress add {ROUTER[:-1]}2/24 dev gw1\n"
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)
    for interface in ("gw0", "gw1"):  # what is left to hardware that does not exist would not arrive in the guest
        words = [word for feature in OFFLOADS for word in (feature, "off")]
        subprocess.run(["ethtool", "-K", interface, *words], check=True, capture_output=True)
    scratch = Path("/tmp/scratch")
    scratch.mkdir()
    public = sshd.new_key(scratch / "host")
    (scratch / "user.pub").write_text(sshd.new_key(scratch / "user"))
    (scratch / "known_hosts").write_text(f"{ROUTER} {public}\n")
    modules = kernel_modules.for_gateway("demux")
    guest = UmlGuest(GuestPlan("router", Raw(), scratch, [f"{ROUTER}/24"], packages.guest_directory(), modules=modules))
    await guest.start()
    try:
        keys = ((scratch / "host").read_text(), (scratch / "user.pub").read_text())
        started = await guest.execute(serve(*keys) + THEIRS, 30)
        assert started.status == 0, started.output
        reach = Connection("gateway", ROUTER, 22, "root", key_file=str(scratch / "user"), known_hosts=str(scratch / "known_hosts"))
        book = Journal.create("field", "field.yaml", Path("/tmp/restore"))
        async with SshConnection(reach, root=True, secrets=[PSK]) as device:
            before = (await device.execute(STATE)).output
            settings = GatewaySettings(variant="demux-user", interface="eth0", psk=PSK)
            gateway = LinuxGateway(device.execute, settings, journal=book, connection=reach)
            await is_refused_with_tunnels_of_somebodys(device, gateway, book, before)
            await device.execute("mkdir -p /run/natstorm/log; echo old > /run/natstorm/log/pppd.log")  # of a run that was killed
            await gateway.start()
            assert [note.split(" has")[0] for note in gateway.notes] == ["gateway: iptables (legacy)"]
            await theirs_and_our_rules_stand_together(device, gateway)
            assert "old" not in "".join((await gateway.logs()).values())
            assert await gateway.running() == {"charon": True, "xl2tpd": True}
            own = f"NATSTORM_RUN={gateway._mark}"
            for mark, options in ((OF_NOBODY, "/etc/ppp/peers/uplink"), (own, OPTIONS)):
                await device.execute(LINK.format(mark=mark, options=options))
            for program in ("charon", "xl2tpd"):
                marked = f"tr '\\0' '\\n' < /proc/$(pidof {program})/environ | grep -cx {own}"
                assert (await device.execute(marked)).output == "1\n"
            view = await gateway.view("idle")
            assert (view.sessions, view.sas, view.ike_sas) == ((), (), ())
            assert "unread" not in view.texts
            assert PSK.reveal() in (await device.execute("cat /etc/swanctl/swanctl.conf")).output
            await gateway.reconfigure(psk=Secret("another"))
            await device.execute(f"ip xfrm state add {SA} {KEYS}; ip xfrm state add {OUR_SA} {KEYS}")
            await device.execute(f"ip xfrm policy add {POLICY}; ip xfrm policy add {OUR_POLICY}")
            await gateway.kill_daemons()
            assert await spoken(device) == THEIRS_SPOKEN
            left = await device.execute("for pid in $(pidof pppd); do tr '\\0' ' ' < /proc/$pid/cmdline; echo; done")
            assert [line.split()[-1] for line in left.output.splitlines()] == ["/etc/ppp/peers/uplink"]
            await device.execute(LINK.format(mark=own, options=OPTIONS))
            await gateway.restart_daemons()
            assert await gateway.running() == {"charon": True, "xl2tpd": True}
            assert "charon" in await gateway.logs()
            assert len(book.open) == 1
            await device.execute(f"ip xfrm state add {OUR_SA} {KEYS}; ip xfrm policy add {OUR_POLICY}")
            assert PSK.reveal() not in book.path.read_text()
            await device.execute("echo '# theirs, later' > /etc/strongswan.conf")
            with pytest.raises(KeptTheirs, match=r"which was left as it is: /etc/strongswan.conf$") as caught:
                await gateway.restore()
            assert (await device.execute("cat /etc/strongswan.conf")).output == "# theirs, later\n"
            assert (await device.execute(caught.value.by_hand)).status == 0
            await gateway.restore()
            left = await device.execute("for pid in $(pidof pppd); do tr '\\0' ' ' < /proc/$pid/cmdline; echo; done")
            assert [line.split()[-1] for line in left.output.splitlines()] == ["/etc/ppp/peers/uplink"]
            assert await spoken(device) == THEIRS_SPOKEN
            after = (await device.execute(STATE)).output
            assert after == before, f"{before}\nis now\n{after}"
            assert "demux0" not in (await device.execute("ip link; ip rule")).output
            assert book.open == ()
    finally:
        await guest.kill()


@enclosed(timeout=240)
def test_the_driver_starts_looks_at_and_puts_back_a_gateway_over_ssh():
    os.environ.pop("SSH_AUTH_SOCK", None)
    asyncio.run(play())
