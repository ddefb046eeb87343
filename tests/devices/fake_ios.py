"""A fake: what an IOS router says to someone who logs in by SSH, so far as the driver's tests go. No IOS was at hand to compare it.

It has the prompts, a running configuration that takes lines and `no` lines, `show version`, the pager, and an enable password that
it asks for three times.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from pathlib import Path

import paramiko

SAMPLES = Path(__file__).parent / "samples" / "ios"
CONFIG = """\
version 12.4
hostname R1
!
username natstorm privilege 1 secret 5 $1$abcd$0123456789
ip nat translation udp-timeout 300
!
crypto isakmp policy 10
 encr 3des
 authentication pre-share
 group 2
crypto isakmp key TopSecretKey9 address 0.0.0.0 0.0.0.0
!
interface FastEthernet0/0
 ip address 203.0.113.231 255.255.255.0
 duplex auto
!
interface Virtual-Template1
 ip unnumbered FastEthernet0/0
!
line con 0
line vty 0 4
 login local
end
"""


class FakeIos(paramiko.ServerInterface):
    """`with FakeIos(directory) as router`: `router.port`, `router.known_hosts`, `router.config`, the lines that are running."""

    def __init__(self, directory, *, password="letmein-please", enable="enable-me-too", silent_after=None):
        self.directory = directory
        self.password = password
        self.enable = enable
        self.silent_after = silent_after  # a command that is never answered
        self.config = [line for line in CONFIG.splitlines() if line not in ("!", "end")]
        self.heard = []  # every line that was typed, passwords not among them
        self._key = paramiko.ECDSAKey.generate()
        self._transports = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.known_hosts = self.directory / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} ecdsa-sha2-nistp256 {self._key.get_base64()}\n")
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()
        for transport in self._transports:
            transport.close()

    def _serve(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(sock)
            transport.add_server_key(self._key)
            self._transports.append(transport)
            try:
                transport.start_server(server=self)
            except (paramiko.SSHException, EOFError):
                continue
            threading.Thread(target=self._session, args=(transport,), daemon=True).start()

    # --- what paramiko asks ---

    def check_auth_password(self, username, password):
        right = username == "natstorm" and password == self.password
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_pty_request(self, *_):
        return True

    def check_channel_shell_request(self, channel):
        return True

    # --- the session ---

    def _session(self, transport):
        channel = transport.accept(30)
        if channel is not None:
            with suppress(OSError):
                Session(self, channel).run()
            channel.close()
            transport.close()


class Session:
    def __init__(self, router, channel):
        self.router = router
        self.channel = channel
        self.mode = ">"
        self.section = None
        self.length = 24

    def run(self):
        self.channel.send("\r\n")
        while True:
            name = next(line.split()[1] for line in self.router.config if line.startswith("hostname "))
            self.channel.send(name + self.mode)
            line = self.read(echo=True)
            if line is None:
                return
            self.router.heard.append(line)
            if line == self.router.silent_after:
                while self.read(echo=False) is not None:
                    pass
                return
            if not self.obey(line.strip()):
                return

    def read(self, *, echo):
        """A line that was typed; None at the end."""
        typed = ""
        while True:
            byte = self.channel.recv(1).decode("latin-1")
            if not byte:
                return None
            if byte in "\r\n":
                self.channel.send("\r\n")
                return typed
            if byte == "\x03":
                return ""
            typed += byte
            if echo:
                self.channel.send(byte)

    def obey(self, line):
        if line == "exit" and self.mode in (">", "#"):
            return False
        if self.mode.startswith("(config"):
            self.configure(line)
        elif line == "enable":
            self.ask_enable()
        elif line == "disable":
            self.mode = ">"
        elif line.startswith("term"):
            if match := re.match(r"term\S* len\S* (\d+)", line):
                self.length = int(match[1])
        elif line == "show version":
            self.show((SAMPLES / "show_version" / "c7200-12.4.txt").read_text())
        elif line.startswith("config") and self.mode == "#":
            self.channel.send("Enter configuration commands, one per line.  End with CNTL/Z.\r\n")
            self.mode = "(config)#"
        elif line == "show running-config" and self.mode == "#":
            text = "\n".join(["!", *self.router.config, "end", ""])
            self.show(f"Building configuration...\n\nCurrent configuration : {len(text)} bytes\n{text}")
        elif line:
            self.channel.send("          ^\r\n% Invalid input detected at '^' marker.\r\n\r\n")
        return True

    def show(self, text):
        for number, line in enumerate(text.splitlines(), 1):
            self.channel.send(line + "\r\n")
            if self.length and number % self.length == 0:
                self.channel.send(" --More-- ")
                self.channel.recv(1)
                self.channel.send("\b" * 10 + " " * 10 + "\b" * 10)

    def ask_enable(self):
        for _ in range(3):
            self.channel.send("Password: ")
            if (typed := self.read(echo=False)) is None:
                return
            if typed == self.router.enable:
                self.mode = "#"
                return
        self.channel.send("% Bad secrets\r\n\r\n")

    def configure(self, line):
        config = self.router.config
        if line in ("end", "exit"):
            self.mode = "#" if line == "end" or self.section is None else "(config)#"
            self.section = None
            return
        if not line or line == "!":
            return
        if line.startswith("nonsense"):
            self.channel.send("          ^\r\n% Invalid input detected at '^' marker.\r\n\r\n")
            return
        opens = re.match(r"(interface|crypto isakmp policy|vpdn-group|line) \S+", line)
        if opens or (self.section is None):
            self.section = line if opens else None
            self.mode = "(config-section)#" if opens else "(config)#"
            if line.startswith("no "):
                start = config.index(line[3:]) if line[3:] in config else None
                if start is not None:
                    end = next((n for n in range(start + 1, len(config)) if not config[n].startswith(" ")), len(config))
                    del config[start:end]
            elif line not in config:
                at = config.index("line con 0")
                # A setting that can be there once only replaces the one before.
                stem = line.rsplit(" ", 1)[0]
                if line.split()[0] in ("hostname", "ip") and (old := [one for one in config if one.rsplit(" ", 1)[0] == stem]):
                    config[config.index(old[0])] = line
                else:
                    config.insert(at, line)
            return
        start = config.index(self.section)
        end = next((n for n in range(start + 1, len(config)) if not config[n].startswith(" ")), len(config))
        inside = config[start + 1 : end]
        if line.startswith("no "):
            inside = [one for one in inside if one != " " + line[3:]]
        elif " " + line not in inside:
            inside = [one for one in inside if not (line.startswith("ip address") and one.startswith(" ip address"))] + [" " + line]
        config[start + 1 : end] = inside
