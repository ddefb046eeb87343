"""A virtual IOS router's command line as a laboratory in virtual time uses it: what is typed into a session, what it prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from harness.errors import DeviceError
from harness.virtual.ios.session import Session
from harness.virtual.ios.state import State

USER = "natstorm"
PRIVILEGED = 15


class Log:
    """The console, which stands among a router's sessions, never ends and is given all that the router logs: `hear` gets it."""

    deadline: float | None = None
    line, user, source, heard = "con 0", None, "", 0.0

    def __init__(self, state: State, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._state = state
        self._join(0.0)
        state.on_reload.append(self._join)

    def _join(self, now: float) -> None:
        self._state.sessions.append(cast("Session", self))

    def notify(self, lines: list[str]) -> None:
        for line in lines:
            self._hear(line.partition(": ")[2])

    def tick(self, now: float) -> None:
        """It has no time-out."""

    def cut(self) -> None:
        """It joins the router's sessions again once that is down."""


class Terminal:
    """One session at a time, in the privileged mode at the least. `now` gives the router's time, `settle` lets out what the router
    has to send after a line."""

    def __init__(self, device: str, state: State, now: Callable[[], float], settle: Callable[[], None]) -> None:
        self.device = device
        self.state = state
        self._now = now
        self._settle = settle
        self._session = self._begin()

    def _begin(self) -> Session:
        session = Session(self.state, user=USER)
        session.open(self._now())
        session.level = PRIVILEGED
        session.receive(self._now(), b"terminal length 0\r")
        session.take_output()
        return session

    def type(self, line: str) -> str:
        """A line and what is printed until the next prompt, without either. DeviceError where the router is down, or cuts the
        connection."""
        now = self._now()
        if now < self.state.up_at:
            raise DeviceError(self.device, line, f"it is down, and up again in {self.state.up_at - now:.0f} s")
        if self._session.closed:  # IOS ends a session on which nothing is typed for ten minutes
            self._session = self._begin()
        self._session.receive(now, f"{line}\r".encode("latin-1"))
        self._settle()
        said = self._session.take_output().decode("latin-1")
        body = said.partition("\r\n")[2]
        return body.rpartition("\r\n")[0].replace("\r\n", "\n")

    @property
    def prompt(self) -> str:
        self._session.receive(self._now(), b"\r")
        return self._session.take_output().decode("latin-1").rpartition("\r\n")[2]

    def walk(self, *lines: str) -> list[tuple[str, str]]:
        """On the console, from the first prompt on, in whatever mode the lines lead to: each line, what was printed of it, and as
        the last line of that the prompt that came then. The first one is ""."""
        session = Session(self.state, "con 0", user=USER)
        now = self._now()
        session.open(now)
        found = []
        for line in ("", *lines):
            session.receive(now, f"{line}\r".encode("latin-1"))
            self._settle()
            found.append((line, session.take_output().decode("latin-1").partition("\r\n")[2].replace("\r\n", "\n").strip("\n")))
        session.close()
        return found

    def configure(self, *lines: str) -> list[tuple[str, str]]:
        """Each line in configuration mode, and what was printed of it."""
        self.type("configure terminal")
        try:
            return [(line, self.type(line.strip())) for line in lines]
        finally:
            self.type("end")
