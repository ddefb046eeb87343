"""A terminal on a virtual IOS router in memory."""

from __future__ import annotations

from harness.virtual.ios.session import Session
from harness.virtual.ios.state import State

STARTUP = """\
version 12.4
no service password-encryption
hostname LNS
enable secret enable-me-too
username natstorm password 0 letmein-please
ip nat translation udp-timeout 300
crypto isakmp key TopSecretKey9 address 0.0.0.0 0.0.0.0
interface FastEthernet0/0
 ip address 203.0.113.231 255.255.255.0
 duplex auto
interface Virtual-Template1
 ip unnumbered FastEthernet0/0
line con 0
line vty 0 4
 login local
end
"""


class Terminal:
    """`shown` is all that came; `type` gives what came because of it."""

    def __init__(self, state=None, *, user="natstorm", level=15, open_=True, **more):
        self.state = state or State(startup=STARTUP)
        self.session = Session(self.state, user=user, **more)
        self.now = 0.0
        if open_:
            self.session.open(self.now)
            self.session.level = level
            self.read()
            self.type("terminal length 0\r")

    def read(self):
        return self.session.take_output().decode("latin-1")

    def type(self, text):
        self.session.receive(self.now, text.encode("latin-1"))
        return self.read()

    def run(self, line):
        """What a command prints, without its echo and the prompt after it."""
        said = self.type(line + "\r")
        assert said.startswith(line + "\r\n"), said
        return said[len(line) + 2 :].rpartition("\r\n")[0].split("\r\n") if "\r\n" in said[len(line) + 2 :] else []

    @property
    def prompt(self):
        return self.type("\r").rpartition("\r\n")[2]
