"""The line by which a run has a router for itself, in the running configuration: an alias that nobody types. Pure.

    alias exec natstorm-lock-0123456789ab ci@runner-7 process 4711/88213 at 5c1d3f20 until 2026-11-30T13:10:00Z for natstorm qualify

`alias exec NAME LINE` is in every release that is known here, and changes nothing. Each claim has a name of its own, so that none
is overwritten by another. It tells the owner, the process and its start, where these count (a digest of a machine's boot and PID
namespace), until when it lasts, and the purpose. IOS takes no line of more than 254 characters.
"""

from __future__ import annotations

import calendar
import re
import time
from dataclasses import dataclass

PREFIX = "natstorm-lock-"
LINE = f"alias exec {PREFIX}"
TOKEN = 12
_STAMP = "%Y-%m-%dT%H:%M:%SZ"
_TEXT = re.compile(
    r"(?P<owner>\S+) process (?P<pid>\d+)/(?P<started>\d+) at (?P<where>\S+) until (?P<until>\S+) for (?P<purpose>.*)"
)
_OWNER_LENGTH, _PURPOSE_LENGTH = 60, 80


@dataclass(frozen=True, slots=True)
class LockLine:
    """`expires` in seconds since the epoch. Of one that cannot be understood there are `token` and `text`, what it says."""

    token: str
    owner: str = ""
    pid: int = 0
    started: int = 0
    where: str = ""
    expires: float | None = None
    purpose: str = ""
    text: str = ""

    def __str__(self) -> str:
        if self.expires is None:
            return f"a line that cannot be understood ({self.text!r})"
        return f"{self.owner} (process {self.pid}), for {self.purpose!r}, until {utc(self.expires)}"

    def typed(self) -> str:
        """The line that makes it, or that takes the place of the one before with the same token."""
        assert self.expires is not None
        owner, purpose = _plain(self.owner, "", _OWNER_LENGTH), _plain(self.purpose, " ", _PURPOSE_LENGTH)
        told = f"{owner or 'somebody'} process {self.pid}/{self.started} at {self.where} until {utc(self.expires)}"
        return f"{LINE}{self.token} {told} for {purpose or 'a run'}"

    def removal(self) -> str:
        return removal(self.token)


def removal(token: str) -> str:
    return f"no {LINE}{token}"


def found(config: str) -> tuple[LockLine, ...]:
    """All that a running configuration has, by token."""
    lines = (line.strip() for line in config.splitlines())
    claims = (_read(*line.removeprefix(LINE).partition(" ")[::2]) for line in lines if line.startswith(LINE))
    return tuple(sorted(claims, key=lambda one: one.token))


def utc(seconds: float) -> str:
    return time.strftime(_STAMP, time.gmtime(seconds))


def _read(token: str, text: str) -> LockLine:
    strange = LockLine(token, text=text)
    if (match := _TEXT.fullmatch(text.strip())) is None:
        return strange
    try:
        expires = float(calendar.timegm(time.strptime(match["until"], _STAMP)))
    except ValueError:
        return strange
    pid, started = int(match["pid"]), int(match["started"])
    return LockLine(token, match["owner"], pid, started, match["where"], expires, match["purpose"])


def _plain(text: str, besides: str, length: int) -> str:
    """Without what a router's line editor takes for something else (a question mark asks for help)."""
    return re.sub(rf"[^\w.:@/+,=(){besides}-]+", "-", " ".join(text.split()), flags=re.ASCII)[:length].strip()
