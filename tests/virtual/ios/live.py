"""A live virtual IOS router with a terminal on it, in the worlds of tests/virtual and tests/virtual/vpdn."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from terminal import Terminal

from harness.virtual.ios.router import IosRouter
from harness.virtual.ios.session import Session
from harness.virtual.ios.state import State

HERE = Path(__file__).parent
CONFIGURATIONS = HERE / "configurations"
sys.path.insert(0, str(HERE.parent / "vpdn"))


def example(name: str) -> list[str]:
    return (CONFIGURATIONS / f"{name}.cfg").read_text().splitlines()


class Live(Terminal):
    """`clock` gives the world's time, `order` lets out what the router has to send."""

    def __init__(self, clock, order=lambda: None, seed=3, release="12.4(1)", startup=None):
        state = State(release=release, startup=startup)
        self.clock, self.order = clock, order
        self.router = IosRouter(state, random.Random(seed).randbytes)
        super().__init__(state, open_=False)
        self.state.tick(clock())
        self.connect()

    def connect(self):
        """Anew where the last connection is over: IOS ends one on which nothing is typed for ten minutes."""
        if self.session.closed:
            self.session = Session(self.state, user="natstorm")
        self.session.open(self.clock())
        self.session.level = 15
        self.read()
        self.type("terminal length 0\r")

    def type(self, text):
        self.now = self.clock()
        self.session.receive(self.now, text.encode("latin-1"))
        self.order()
        return self.read()

    def configure(self, *lines):
        """In configuration mode; every line has to be taken."""
        self.run("configure terminal")
        for line in lines:
            said = self.run(line.rstrip())
            assert not [one for one in said if one.startswith("%") and "NOTE" not in one], (line, said)
        self.run("end")

    def shown(self, command, parse):
        """The rows of what a command prints, every line of which has to be understood."""
        found = parse("\n".join([*self.run(command), ""]))
        assert not found.unread, found.unread
        assert not found.cut, found.cut
        return found.rows
