"""What all sessions of one virtual IOS router share: its release, its two configurations, its clock, its lines, and its commands.

The commands of the exec modes are a registry, so that whoever knows a part of the router's live state adds what shows it:

    state.show("show ip nat translations [verbose]", lines_of, gate="")      lines_of(state, match) -> lines

Sans-IO: `now` is passed in, in seconds of a clock that only goes forward; `epoch` says which moment of the calendar 0 is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from harness.model import ios_releases
from harness.virtual.ios.configuration import Configuration, Entry
from harness.virtual.ios.configure import Trouble, load
from harness.virtual.ios.grammar import Grammar, Match, Row

if TYPE_CHECKING:
    from harness.virtual.ios.session import Session

Show = Callable[["State", Match], Iterable[str]]
Action = Callable[["Session", Match], "Iterable[str] | Ask | None"]
BOOT_S = 5.0
UNHEEDED = "NATSTORM-7-UNHEEDED"
TYPED = 1000
BUFFERED = 500
"""Lines that `show logging` has at the most."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that a command puts: `answered` is given what was typed, and says what is printed, or puts another. `key`: one
    key is enough, and it is not echoed ("[confirm]")."""

    prompt: str
    answered: Callable[[str], Iterable[str] | Ask | None]
    key: bool = False
    echo: bool = True


@dataclass(frozen=True, slots=True)
class Hardware:
    """What `show version` says that no configuration changes. `platform` is the family's name in the features' table."""

    model: str = "7206VXR"
    platform: str | None = None
    family: str = "7200"
    image: str = "C7200-ADVENTERPRISEK9-M"
    file: str = "disk0:c7200-adventerprisek9-mz.bin"
    board: str = "4279256517"
    register: str = "0x2102"


def started(hardware: Hardware, release: str) -> str:
    """What a router of that release has without a configuration."""
    return (
        f"version {ios_releases.parse(release).number}\n"
        "service timestamps debug datetime msec\nservice timestamps log datetime msec\n"
        "no service password-encryption\nhostname Router\nline con 0\nline vty 0 4\n login\nend\n"
    )


@dataclass(slots=True)
class State:
    """`startup` is the text that it boots from; None where it was erased. `up_at`: from when on it can be reached; `log` goes to
    the sessions that monitor it, and to `on_log`, a line at a time. `on_reload` is called with `now` when the router goes down;
    `troubles` are the lines that it did not take when it booted; `typed` the latest command lines of all sessions, without
    passwords that were asked for; `buffer` the latest lines that were logged; `lacks` says what is configured and does nothing, in
    sentences of the role that reads the configuration."""

    release: str = "12.4(1)"
    startup: str | None = None
    hardware: Hardware = field(default_factory=Hardware)
    epoch: datetime = datetime(2002, 3, 1, tzinfo=UTC)
    boot_s: float = BOOT_S
    now: float = 0.0
    up_at: float = 0.0
    reload_at: float | None = None
    reload_reason: str = "power-on"
    configuration: Configuration = field(default_factory=Configuration)
    rows: list[Row] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    on_reload: list[Callable[[float], None]] = field(default_factory=list)
    on_log: list[Callable[[str], None]] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    typed: deque[str] = field(default_factory=lambda: deque(maxlen=TYPED))
    buffer: deque[str] = field(default_factory=lambda: deque(maxlen=BUFFERED))
    features: frozenset[str] = frozenset()
    saved: Entry | None = None
    lacks: Callable[[], tuple[str, ...]] = tuple
    _told: tuple[str, ...] = ()
    _clock_set: timedelta = timedelta()
    _grammars: dict[int, Grammar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from harness.virtual.ios import commands, shows
        from harness.virtual.ios.shows import users

        self.features = ios_releases.features_of(ios_releases.parse(self.release), self.hardware.platform)
        shows.register(self)
        users.register(self)
        commands.register(self)
        self._boot()

    @property
    def hostname(self) -> str:
        return self.configuration.tree.value("hostname") or "Router"

    @property
    def deadline(self) -> float | None:
        """When to call `tick`."""
        times = [session.deadline for session in self.sessions if session.deadline is not None]
        return min([*times, *([] if self.reload_at is None else [self.reload_at])], default=None)

    def tick(self, now: float) -> None:
        self.now = max(self.now, now)
        if self.reload_at is not None and self.now >= self.reload_at:
            self.reload("Reload Command")
        for session in tuple(self.sessions):
            session.tick(self.now)

    def clock(self) -> datetime:
        return self.epoch + timedelta(seconds=self.now) + self._clock_set

    @property
    def clock_is_free(self) -> bool:
        """Whether nobody has set it."""
        return self._clock_set == timedelta()

    def set_clock(self, to: datetime) -> None:
        self._clock_set += to - self.clock()

    def log(self, *lines: str) -> None:
        """Tells all sessions that have `terminal monitor`, each line with its time stamp."""
        stamp = self.clock()
        text = f"*{stamp:%b} {stamp.day:>2} {stamp:%H:%M:%S}.{stamp.microsecond // 1000:03}: "
        stamped = [text + line for line in lines]
        self.buffer.extend(stamped)
        for session in tuple(self.sessions):
            session.notify(stamped)
        for told in tuple(self.on_log):
            for line in stamped:
                told(line)

    def tell_unheeded(self) -> tuple[str, ...]:
        """What is configured and does nothing, as far as it was not told before. It is logged under a facility that IOS does not
        have, as debugging, which no log host hears: for whoever sits here, and no word of the router's that is played."""
        lacks = self.lacks()
        new = tuple(one for one in lacks if one not in self._told)
        self._told = lacks
        if new:
            self.log(*(f"%{UNHEEDED}: {one}" for one in new))
        return new

    # --- commands ---

    def show(self, syntax: str, lines: Show, *, gate: str = "", level: int = 1) -> None:
        """Adds a command that prints something, and can be filtered. The syntax is that of harness.virtual.ios.syntax."""
        self.command(syntax, lambda session, match: lines(self, match), gate=gate, level=level)

    def command(self, syntax: str, action: Action, *, gate: str = "", level: int = 15) -> None:
        """Adds a command that does something for a session. One that is there already is replaced."""
        self.rows = [row for row in self.rows if row.syntax != syntax]
        self.rows.append(Row(syntax, action=action, gate=gate, level=level))
        self._grammars.clear()

    def grammar(self, level: int) -> Grammar:
        """The commands of the exec mode of that privilege."""
        high = 15 if level >= 15 else 1
        if high not in self._grammars:
            self._grammars[high] = Grammar(self.rows, self.features, high)
        return self._grammars[high]

    # --- configurations and reload ---

    def save(self) -> None:
        self.startup, self.saved = self.configuration.text(), self.configuration.tree

    @property
    def modified(self) -> bool:
        return self.configuration.tree != self.saved

    def reload(self, reason: str) -> None:
        """Down at once: every session is cut; it boots from the startup configuration, and can be reached after `boot_s`."""
        self.reload_at, self.reload_reason = None, reason
        for session in tuple(self.sessions):
            session.cut()
        self.sessions.clear()
        self.up_at = self.now + self.boot_s
        for told in tuple(self.on_reload):
            told(self.now)
        self._boot()

    def _boot(self) -> None:
        scratch = Configuration()
        text = started(self.hardware, self.release) if self.startup is None else self.startup
        self.troubles = load(scratch, text.splitlines(), self.features)
        self._told = ()
        self.configuration.become(scratch.tree)
        self.saved = scratch.tree if self.startup is not None else None
