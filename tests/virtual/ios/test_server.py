"""The servers, by programs that nobody here wrote: OpenSSH's client, telnet, and unicon, which starts either."""

from __future__ import annotations

import os
import pty
import select
import shutil
import socket
import subprocess
import time
from contextlib import suppress

import pytest
from running import Running, connection, play
from terminal import STARTUP

from harness.devices import journal
from harness.devices.ios.driver import Ios
from harness.devices.ssh_keys import Refused
from harness.errors import DeviceError
from harness.model import Secret
from harness.virtual.ios.state import State

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")

CHANGE = ["ip nat translation udp-timeout 60", "interface FastEthernet0/0", " ip address 192.0.2.1 255.255.255.0", " speed 100"]
needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="no program ssh (Debian package openssh-client)")
needs_telnet = pytest.mark.skipif(shutil.which("telnet") is None, reason="no program telnet (Debian package inetutils-telnet)")
BY = [pytest.param("ssh", marks=needs_ssh), pytest.param("telnet", marks=needs_telnet)]


@pytest.fixture
def router(tmp_path):
    with Running(State(startup=STARTUP, boot_s=0.3), tmp_path) as running:
        yield running


# --- our own driver ---


@pytest.mark.parametrize("protocol", BY)
def test_the_driver_configures_saves_and_restores(router, tmp_path, protocol):
    book = journal.Journal.create("lab", "lab.yaml", tmp_path / "restore")
    before = router.ask(lambda state: state.configuration.text())

    async def body(device):
        found = await device.version()
        assert (found.hostname, found.version, found.model) == ("LNS", "12.4(1)", "7206VXR")
        await device.configure(CHANGE)
        changed = router.ask(lambda state: state.configuration.tree)
        assert changed.first("interface FastEthernet0/0").value("ip address") == "192.0.2.1 255.255.255.0"
        assert changed.has("ip nat translation udp-timeout 60")
        await device.configure(["crypto dynamic-map DYN 10", " set nat demux"])
        assert "crypto dynamic-map DYN 10" in await device.running_config()
        way = await device.way()
        assert (way.protocol, way.line, way.source, way.by_ip) == (protocol, "vty 0", "127.0.0.1", True)
        others = {"ssh": "telnet", "telnet": "ssh"}
        with pytest.raises(DeviceError, match=f"would take {protocol} off the terminal lines vty 0 4"):
            await device.configure(["line vty 0 4", f" transport input {others[protocol]}"])
        await device.restore()

    play(body, Ios(connection(router, protocol), journal=book))
    assert router.ask(lambda state: state.configuration.text()) == before
    assert book.open == ()


@needs_ssh
def test_a_wrong_enable_password(router):
    device = Ios(connection(router, enable=Secret("letmein-wrong")), timeout=10)
    with pytest.raises(Refused, match="enable password"):
        play(lambda device: device.version(), device)


@needs_ssh
def test_a_wrong_password(router):
    with pytest.raises(Refused, match="refuses user 'natstorm'"):
        play(lambda device: device.version(), Ios(connection(router, password=Secret("letmein-wrong"))))


@needs_ssh
def test_an_older_release_refuses_the_line(tmp_path):
    async def body(device):
        with pytest.raises(DeviceError, match=r"^edge: 'configure': .*Invalid input"):
            await device.configure(["crypto dynamic-map DYN 10", " set nat demux"])

    with Running(State(startup=STARTUP, release="12.3(11)T3"), tmp_path, telnet=False) as router:
        play(body, Ios(connection(router)))


# --- plain pyATS ---


@pytest.mark.parametrize("protocol", BY)
def test_plain_pyats(router, tmp_path, monkeypatch, protocol):
    topology = pytest.importorskip("pyats.topology")
    from harness.devices.ios import terminal

    terminal.load()
    port = router.ssh_port if protocol == "ssh" else router.telnet_port
    # The name that unicon is given for the host key check would ask for the user's own file.
    monkeypatch.setenv("HOME", str(tmp_path))
    options = f"-o UserKnownHostsFile={router.known_hosts} -o StrictHostKeyChecking=yes"
    testbed = topology.loader.load(
        {
            "devices": {
                "lns": {
                    "os": "ios",
                    "platform": "c7200",  # pyATS asks for it, and only sometimes gives it a default
                    "type": "router",
                    "alias": "lns",
                    "credentials": {
                        "default": {"username": "natstorm", "password": "letmein-please"},
                        "enable": {"password": "enable-me-too"},
                    },
                    "connections": {"cli": {"protocol": protocol, "ip": "127.0.0.1", "port": port, "ssh_options": options}},
                }
            }
        }
    )
    lns = testbed.devices["lns"]
    lns.connect(via="cli", log_stdout=False, learn_hostname=True, connection_timeout=60, logfile=os.devnull)
    try:
        lns.configure(["crypto dynamic-map DYNAMIC_MAP 10", "set nat demux"])
        assert " set nat demux" in lns.execute("show running-config | section crypto dynamic-map").replace("\r", "").splitlines()
        assert "Current privilege level is 15" in lns.execute("show privilege")
        lns.configure("no crypto dynamic-map DYNAMIC_MAP 10")
        assert "DYNAMIC_MAP" not in lns.execute("show running-config")
    finally:
        lns.settings.GRACEFUL_DISCONNECT_WAIT_SEC = lns.settings.POST_DISCONNECT_WAIT_SEC = 0
        lns.disconnect()


# --- OpenSSH and a bare socket ---


class Screen:
    """A program on a terminal of its own."""

    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.seen = ""

    def until(self, text, seconds=30.0):
        """Waits for the text, and gives what came up to its end."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come: {self.seen!r}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    data = os.read(self.fd, 4096)
                except OSError:
                    data = b""
                assert data, f"it ended before {text!r}: {self.seen!r}"
                self.seen += data.decode("latin-1")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        os.close(self.fd)
        return os.waitpid(self.pid, 0)[1]


def openssh(router):
    options = ["-o", f"UserKnownHostsFile={router.known_hosts}", "-o", "StrictHostKeyChecking=yes", "-o", "PubkeyAuthentication=no"]
    return ["ssh", "-F", "none", *options, "-p", str(router.ssh_port), "natstorm@127.0.0.1"]


@needs_ssh
def test_openssh(router):
    screen = Screen(openssh(router))
    screen.until("assword: ")
    screen.type("letmein-please\r")
    screen.until("LNS>")
    screen.type("enable\r")
    screen.until("Password: ")
    screen.type("enable-me-too\r")
    screen.until("LNS#")
    screen.type("terminal length 5\r")
    screen.until("LNS#")
    screen.type("show running-config\r")
    screen.until("--More--")
    screen.type("q")
    screen.until("LNS#")
    screen.type("exit\r")
    screen.until("closed")
    screen.end()
    assert router.ask(lambda state: list(state.sessions)) == []


@needs_ssh
def test_a_command_of_ssh_is_refused(router):
    done = subprocess.run(
        [*openssh(router)[:-1], "-o", "BatchMode=yes", "natstorm@127.0.0.1", "show", "version"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Cisco IOS" not in done.stdout


class Plain:
    """A telnet client that refuses all options."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 30)
        self.seen = b""

    def until(self, text):
        while text not in self.seen:
            data = self.sock.recv(4096)
            assert data, f"it ended before {text!r}: {self.seen!r}"
            self.seen += data
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def type(self, text):
        self.sock.sendall(text)

    def login(self, enable=True):
        self.until(b"Username: ")
        self.type(b"natstorm\r\n")
        self.until(b"Password: ")
        self.type(b"letmein-please\r\n")
        self.until(b"LNS>")
        if enable:
            self.type(b"enable\r\n")
            self.until(b"Password: ")
            self.type(b"enable-me-too\r\n")
            self.until(b"LNS#")
        return self

    def ended(self):
        """All until the other end closes."""
        with suppress(ConnectionResetError):
            while data := self.sock.recv(4096):
                self.seen += data
        return self.seen


def test_telnet_with_a_window_and_two_sessions(router):
    one, other = Plain(router.telnet_port).login(), Plain(router.telnet_port).login()
    one.type(b"\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\x05\xff\xf0show running-config\r\n")
    one.until(b"--More-- ")
    one.type(b"q")
    one.until(b"LNS#")
    other.type(b"terminal monitor\r\n")
    other.until(b"LNS#")
    one.type(b"conf t\r\nhostname EDGE\r\nend\r\n")
    one.until(b"EDGE#")
    other.until(b"%SYS-5-CONFIG_I: Configured from console by natstorm on vty 0 (127.0.0.1)\r\n")
    other.type(b"show users\r\n")
    assert other.until(b"Peer Address").count(b"vty") == 2


def test_all_lines_taken(router):
    lines = [Plain(router.telnet_port) for _ in range(5)]
    for one in lines:
        one.until(b"Username: ")
    assert b"Username" not in Plain(router.telnet_port).ended()


def test_a_connection_that_is_cut_frees_its_line(router):
    plain = Plain(router.telnet_port).login()
    plain.type(b"conf t\r\nip host one 1.1.1.1\r\nip host two 2.2.2.2")
    plain.until(b"2.2.2.2")
    plain.sock.close()
    deadline = time.monotonic() + 30
    while router.ask(lambda state: list(state.sessions)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    tree = router.ask(lambda state: state.configuration.tree)
    assert tree.has("ip host one 1.1.1.1")
    assert tree.find("ip host two") == ()


def test_reload_cuts_its_sessions_and_comes_back(router):
    one, other = Plain(router.telnet_port).login(), Plain(router.telnet_port).login()
    one.type(b"conf t\r\nhostname EDGE\r\nend\r\n")
    one.until(b"EDGE#")
    one.type(b"reload\r\n")
    one.until(b"[yes/no]: ")
    one.type(b"no\r\n")
    one.until(b"[confirm]")
    one.type(b"n")
    one.until(b"EDGE#")
    one.type(b"reload\r\n")
    one.until(b"[yes/no]: ")
    one.type(b"no\r\n")
    one.until(b"[confirm]")
    one.type(b"\r\n")
    one.ended()
    other.ended()
    deadline = time.monotonic() + 30
    while True:
        try:
            again = Plain(router.telnet_port)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    again.login()
    again.type(b"show version\r\n")
    assert b"System returned to ROM by reload command" in again.until(b"Processor board")
