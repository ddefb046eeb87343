"""What the virtual router prints, read by Cisco's own parsers (genie), over SSH and pyATS as from a real one."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import Running
from test_live_vpdn import LAC, LNS, routers  # noqa: F401  (a fixture)

from harness.devices.ios.parsers.crypto_session import parse_crypto_session
from harness.devices.ios.parsers.nat_translations import parse_nat_translations
from harness.lab import enclosure, for_tests
from harness.model import Side
from harness.virtual.ios.nat_role import NatRole
from harness.virtual.ios.session import Session
from harness.virtual.ios.state import State
from harness.wire import ip
from harness.wire.packet import Packet, to_ip

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")

READER = Path(__file__).with_name("genie_reads.py")
CLIENTS, GATEWAY = ("10.0.0.2", "10.0.0.3"), "11.0.0.9"
STARTUP = """\
version 12.4
hostname LNS
enable secret enable-me-too
username natstorm password 0 letmein-please
interface FastEthernet0/0
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
interface FastEthernet0/1
 ip address 203.0.113.232 255.255.255.0
 ip nat outside
ip nat inside source list 1 interface FastEthernet0/1 overload
access-list 1 permit 10.0.0.0 0.0.0.255
line con 0
line vty 0 4
 login local
end
"""


def shown(state, command):
    session = Session(state, "con 0")
    session.open(0.0)
    session.level = 15
    session.receive(0.0, b"terminal length 0\r")
    session.take_output()
    session.receive(0.0, f"{command}\r".encode())
    return session.take_output().decode().replace("\r", "").partition("\n")[2]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no program ssh (Debian package openssh-client)")
def test_genie_reads_a_router_that_translates(tmp_path):
    genie = for_tests.directory(for_tests.GENIE)
    if genie is None:
        pytest.skip(f"no genie here: {for_tests.CURE} installs it")
    state = State(startup=STARTUP)
    nat = NatRole(state, random.Random(1).randbytes)
    for client in CLIENTS:
        nat.receive(0.0, Side.INSIDE, to_ip(Packet(client, GATEWAY, ip.UDP, b"MM1", 500, 500)))
        nat.receive(0.0, Side.INSIDE, to_ip(Packet(client, GATEWAY, ip.UDP, b"MM5", 4500, 4500)))
    ours = parse_nat_translations(shown(state, "show ip nat translations"))
    assert len(ours.rows) == 4
    with Running(state, tmp_path, telnet=False) as router:
        done = subprocess.run(
            [sys.executable, str(READER), str(router.ssh_port), str(router.known_hosts)],
            env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": f"{genie}:{enclosure.ROOT}"},
            capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    version = read["version"]["version"]
    assert (version["hostname"], version["version"], version["chassis"]) == ("LNS", "12.4(1)", "7206VXR")
    theirs = read["nat"]["vrf"]["default"]["index"].values()
    ends = ("inside_global", "inside_local", "outside_local", "outside_global")
    assert {(row["protocol"], *(row[end] for end in ends)) for row in theirs} == {
        (row.protocol, *(f"{getattr(row, end)}:{getattr(row, f'{end}_port')}" for end in ends)) for row in ours.rows
    }


@pytest.mark.parametrize("release", ["12.4(1)", "15.1(4)M"])
def test_genie_reads_a_session_that_is_up(routers, tmp_path, release):  # noqa: F811
    genie = for_tests.directory(for_tests.GENIE)
    if genie is None:
        pytest.skip(f"no genie here: {for_tests.CURE} installs it")
    at = routers(release=release)
    assert at.ping(at.call())
    said = "\n".join(at.terminals[LNS].run("show crypto session detail")) + "\n"
    done = subprocess.run(
        [sys.executable, str(READER)],
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": f"{genie}:{enclosure.ROOT}"},
        capture_output=True, text=True, check=False, timeout=120, input=said,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    ((interface, session),) = json.loads(done.stdout.splitlines()[-1])["interface"].items()
    (ours,) = parse_crypto_session(said).rows
    ((peer, ports),) = session["peer"].items()
    ((port, seen),) = ports["port"].items()
    assert (interface, session["session_status"], peer, int(port)) == (ours.interface, ours.status, LAC, ours.peer_port)
    ((ike,),) = [seen["ikev1_sa"].values()]
    (mine,) = ours.ikes
    assert [ike[name] for name in ("local", "remote", "sa_status", "conn_id", "capabilities")] == [
        mine.local, mine.remote, mine.state, str(mine.conn_id), "none",
    ]  # fmt: skip
    hours, minutes, seconds = map(int, ike["lifetime"].split(":"))
    assert 3600 * hours + 60 * minutes + seconds == mine.left_s
    ((permit, flow),) = seen["ipsec_flow"].items()
    (protected,) = ours.flows
    assert (permit.strip(), flow["active_sas"], flow["origin"]) == (protected.permit, protected.active_sas, protected.origin)
    assert [int(flow[name]) for name in ("inbound_pkts_decrypted", "inbound_life_kb", "inbound_life_secs")] == [
        protected.decrypted, protected.inbound_left_kb, protected.inbound_left_s,
    ]  # fmt: skip
    assert [int(flow[name]) for name in ("outbound_pkts_encrypted", "outbound_life_kb", "outbound_life_secs")] == [
        protected.encrypted, protected.outbound_left_kb, protected.outbound_left_s,
    ]  # fmt: skip
