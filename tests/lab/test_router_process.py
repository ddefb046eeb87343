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
            assert router.stderr.read() == ""
        words = command(folder, "--telnet", "127.0.0.1", "2323", startup=STARTUP + "frobnicate the tunnels\n" + VTY)
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
        assert log.read_text() == said


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
