"""The virtual IOS router as a process: how it starts, what it says where it cannot, and what it ends with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from enclosed import enclosed

from harness.lab import enclosure
from harness.lab.namespaces import Netns

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")

ROOT = Path(__file__).resolve().parents[2]
STARTUP = "hostname Rack7\nusername natstorm password 0 box\ninterface FastEthernet0/0\n ip address 127.0.0.1 255.0.0.0\n"
VTY = "line vty 0 4\n login local\nend\n"
IDLE = "natstorm-ios: no `vpdn enable` with a vpdn-group that has `accept-dialin`\n"
TRANSLATES_NOTHING = (
    "natstorm-ios: `ip nat inside` on FastEthernet0/0 translates nothing: this router is a LAC, LNS or gateway (--wire), "
    "and that takes a NAT (--role nat)\n"
)
PATIENCE_S = 30.0
# Starts the router as its own child, says its number and what it said, and stays.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline().split()[0], flush=True)
time.sleep(600)
"""


def command(folder: str, *more: str, startup: str = STARTUP + VTY) -> list[str]:
    file = Path(folder, "startup-config")
    file.write_text(startup)
    return [*enclosure.python("harness.virtual.ios.process"), "--startup", str(file), "--wire", "127.0.0.1", *more]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while alive(pid):
        assert time.monotonic() < end, "it lives on"
        time.sleep(0.05)


def at_the_door(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as door:
        door.settimeout(PATIENCE_S)
        return door.recv(100)


@pytest.mark.lab
@enclosed
def test_it_stands_until_it_is_told_to_end_or_its_parent_is_gone():
    netns = Netns.create("rack")
    netns.ip("link", "set", "lo", "up")
    with netns.entered(), tempfile.TemporaryDirectory() as folder:
        words = command(folder, "--ssh", "127.0.0.1", "2222", "--telnet", "127.0.0.1", "2323")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as router:
            ready, kind, key = router.stdout.readline().split()
            assert (ready, kind.partition("-")[0], len(key) > 60) == ("ready", "ssh", True)
            assert Path(f"/proc/{router.pid}/comm").read_text() == "natstorm-ios\n"
            assert at_the_door(2222).startswith(b"SSH-2.0-")
            assert at_the_door(2323)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port, pytest.raises(OSError, match="in use"):
                port.bind(("127.0.0.1", 500))  # it stands on the wire
            router.send_signal(signal.SIGTERM)
            assert router.wait(PATIENCE_S) == 0
            assert router.stderr.read() == IDLE
        words = command(folder, "--telnet", "127.0.0.1", "2323", startup=STARTUP + " ip nat inside\nfrobnicate the tunnels\n" + VTY)
        log = Path(folder, "log")
        with log.open("w") as errors:
            parent = subprocess.Popen([sys.executable, "-c", PARENT, *words], stdout=subprocess.PIPE, stderr=errors, text=True)
            pid, ready = parent.stdout.readline().split()
            assert ready == "ready"  # without SSH there is no key
            assert alive(int(pid))
            parent.kill()
            parent.wait(PATIENCE_S)
            gone(int(pid))
        said = "natstorm-ios: the startup configuration has a line that is not taken: frobnicate the tunnels\n"
        assert log.read_text() == said + IDLE + TRANSLATES_NOTHING


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        (["--startup", "/nowhere/startup-config"], 3, "No such file or directory: '/nowhere/startup-config'"),
        (["--wire", "192.0.2.1"], 3, "open the gateway's sockets: Cannot assign requested address"),
        (["--release", "twelve"], 3, "'twelve' "),
        (["--ssh", "127.0.0.1", "port"], 2, "port is no port"),
        (["--ssh", "127.0.0.1", "22", "23"], 2, "22 23 is no port"),
        (["--telnet", "127.0.0.1", "65536"], 2, "65536 is no port"),
        (["--lan", "lan0"], 2, "expected 3 arguments"),
        (["--port", "in0", "FastEthernet0/0"], 2, "--role has a --port for each of its interfaces"),
        (["--role", "nat"], 2, "not allowed with argument --wire"),
    ],
)
def test_what_it_cannot_is_told(tmp_path, more, status, said):
    done = subprocess.run(command(str(tmp_path), *more), capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert done.returncode == status
    assert said in done.stderr
    assert "natstorm-ios: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


CALLERS = (
    "vpdn enable\nbba-group pppoe global\n virtual-template 1\ninterface Virtual-Template1\n ppp authentication chap\n"
    "vpdn-group 1\n accept-dialin\n  protocol l2tp\n  virtual-template 1\n terminate-from hostname LAC\n"
    "interface FastEthernet1/0\n pppoe enable group global\n"
)


@pytest.mark.lab
@enclosed
def test_somebody_elses_host_finds_the_concentrator():
    """`pppoe-discovery`, of Debian's ppp, is the judge of what it offers; of its sessions pppd is, in test_pppoe_by_pppd."""
    from harness.lab import namespaces, packages

    rack, customer = Netns.create("rack"), Netns.create("customer")
    namespaces.link(rack, "dsl0", customer, "modem0")
    with tempfile.TemporaryDirectory() as folder:
        with rack.entered():
            startup = STARTUP + CALLERS + VTY
            words = command(folder, "--callers", "dsl0", "FastEthernet1/0", "--telnet", "127.0.0.1", "2323", startup=startup)
            router = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert router.stdout.readline() == "ready\n"
            with customer.entered():
                program = packages.guest_directory() / "usr/sbin/pppoe-discovery"
                found = subprocess.run([program, "-I", "modem0"], capture_output=True, text=True, check=False)
            assert found.returncode == 0, found.stderr
            assert "Access-Concentrator: Rack7" in found.stdout
            assert "Got a cookie" in found.stdout
        finally:
            router.terminate()
            router.wait(PATIENCE_S)
        assert router.stderr.read() == ""


@pytest.mark.lab
@enclosed
def test_hosts_on_both_sides_of_a_nat_find_their_way_through_it():
    """The kernel's own IP and ARP are the judge: it resolves the router on either side, and takes what that has translated."""
    from harness.lab import namespaces
    from harness.routers.esp_lab import CONFIGURATION

    rack, inside, outside = Netns.create("rack"), Netns.create("inside"), Netns.create("outside")
    for netns, port, address in ((inside, "in0", "10.0.0.11/24"), (outside, "out0", "203.0.113.241/24")):
        namespaces.link(rack, port, netns, "eth0")
        netns.ip("address", "add", address, "dev", "eth0")
    inside.ip("route", "add", "default", "dev", "eth0")  # without a next hop: it asks for everybody, and the router stands for them
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "startup-config")
        file.write_text(f"{CONFIGURATION.read_text()}\n{VTY}")
        words = [*enclosure.python("harness.virtual.ios.process"), "--startup", str(file), "--role", "nat"]
        words += ["--port", "in0", "FastEthernet0/0", "--port", "out0", "FastEthernet0/1"]
        with rack.entered():
            router = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert router.stdout.readline() == "ready\n"
            with inside.entered():
                client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with outside.entered():
                server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with client, server:
                for one, at in ((client, ("10.0.0.11", 5000)), (server, ("203.0.113.241", 9000))):
                    one.settimeout(PATIENCE_S)
                    one.bind(at)
                client.sendto(b"words", ("203.0.113.241", 9000))
                said, seen = server.recvfrom(100)
                assert (said, seen) == (b"words", ("203.0.113.232", 5000))
                server.sendto(b"an answer", seen)
                assert client.recvfrom(100) == (b"an answer", ("203.0.113.241", 9000))
        finally:
            router.terminate()
            router.wait(PATIENCE_S)
        assert router.stderr.read() == ""
