"""What laboratories of routers that are there have in common: their command lines and their logs, in the time of the wall.

Scripts and verdicts name a router's interfaces as the documents do (FastEthernet0/0 is the one on the wire); what a testbed calls
otherwise is typed by its own name, and read back under the documents'.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from harness.devices.ios import up_to_the_prompt
from harness.devices.ios.driver import Ios
from harness.devices.ios.stamps import STAMP
from harness.errors import DeviceError, LabError
from harness.model import Logged
from harness.routers.play import heard

LOGGING = (
    "service timestamps debug datetime msec localtime",
    "service timestamps log datetime msec localtime",
    "logging buffered 131072 debugging",
)
"""So that a router keeps all that it tells, stamped by the clock that `show clock` shows."""
CLOCK, LOG = "show clock", "show logging"
LEAVE = "exit"
_CLOCK = re.compile(r"^[*.]?(\d\d:\d\d:\d\d\.\d{3}) \S+ \w{3} (\w{3} +\d+ \d{4})\s*$", re.MULTILINE)
_LINE = re.compile(rf"^{STAMP}(?P<rest>.*)$", re.MULTILINE)
_CIPHER = re.compile(r"^(\s*crypto ipsec transform-set \S+ )esp-(?:des|3des|aes(?: \d+)?)\b(?!-)")
EARLY_S = 0.5
"""A line so long before the script began is still its own: two answers are compared, neither of which came at once."""


@dataclass(frozen=True, slots=True)
class RoutersClock:
    """What a router's clock showed when this machine's was at `t`, in seconds since the epoch."""

    shown: datetime
    t: float

    def epoch(self, stamp: datetime) -> float:
        return self.t + (stamp - self.shown).total_seconds()


class FieldConsoles(ABC):
    """The part of a `play.Lab` that is about typing. `names`: by router, the testbed's names of interfaces by the documents'.
    `null`: transform sets are typed without their ciphers."""

    def __init__(self, routers: Mapping[str, Ios], names: Mapping[str, Mapping[str, str]], *, null: bool = False) -> None:
        self.routers = routers
        self._names = names
        self._null = null
        self._clocks: dict[str, RoutersClock] = {}

    def epoch(self) -> float:
        return time.time()

    async def type(self, device: str, *lines: str, configure: bool = False) -> list[tuple[str, str]]:
        driver = self._router(device)
        wanted = [self.there(device, line) for line in lines]
        if configure:
            said = [text for _, text in await driver.offer(wanted)]
        else:
            if any(line.startswith("debug ") for line in wanted):
                self.debugs(device)
            said = [await self._ask(driver, line) for line in wanted]
        shown = (driver.redactor.text(self._here(device, text)).replace("\r\n", "\n") for text in said)
        return list(zip(lines, shown, strict=True))

    @staticmethod
    async def _ask(driver: Ios, line: str) -> str:
        """A session that is left is opened anew, in the privileged mode."""
        if line != LEAVE:
            return await driver.ask(line)
        await driver.disconnect()
        await driver.connect()
        return ""

    @abstractmethod
    def debugs(self, device: str) -> None:
        """Before debugging is switched on there."""

    async def walk(self, device: str, *lines: str) -> list[tuple[str, str]]:
        raise LabError(f"walk on the console of {device}", "a session of ours is in the privileged mode from its beginning")

    async def reboot(self, device: str) -> None:
        raise LabError(f"reload {device}", "a run does not reload somebody's router")

    def there(self, device: str, line: str) -> str:
        """A line as it is typed at the testbed's router."""
        own = _renamed(line, self._names.get(device, {}))
        return _CIPHER.sub(r"\1esp-null", own) if self._null else own

    def _here(self, device: str, text: str) -> str:
        return _renamed(text, {own: ours for ours, own in self._names.get(device, {}).items()})

    def _router(self, device: str) -> Ios:
        if device not in self.routers:
            raise DeviceError(device, "connect", f"the testbed has none in that role: it has {', '.join(self.routers)}")
        return self.routers[device]

    # What they log

    async def compare_clocks(self) -> None:
        """Before a script whose routers' logs are read."""
        for device, driver in self.routers.items():
            asked = time.time()
            said = await driver.execute(CLOCK)
            if (shown := clock_of(said)) is None:
                raise DeviceError(device, CLOCK, f"this is no time: {said.strip()!r}")
            self._clocks[device] = RoutersClock(shown, (asked + time.time()) / 2)

    async def logged(self) -> list[Logged]:
        """What the routers have logged since their clocks were compared."""
        found: list[Logged] = []
        for device, clock in self._clocks.items():
            said = self._here(device, up_to_the_prompt(await self.routers[device].execute(LOG)))
            found += logged_since(device, said.replace("\r\n", "\n"), clock)
        return sorted(found, key=lambda one: one.t)


def names_of(own: Mapping[str, str]) -> dict[str, str]:
    """A router's names of interfaces by the documents' ones, in full and as tables shorten both ("Gi0/1" by "Fa0/0")."""
    return {**own, **{_short(documents): _short(one) for documents, one in own.items()}}


def _short(name: str) -> str:
    return re.sub(r"^([A-Za-z]{2})[A-Za-z-]*", r"\1", name)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """All at once: a router may call one interface what the documents call another. Where several spaces follow a name, as in a
    table, what comes behind them stays in its column."""
    changed = {one: other for one, other in names.items() if one != other}
    if not changed:
        return text
    any_of = "|".join(map(re.escape, changed))
    found = re.compile(rf"(?<![\w/.])({any_of})(?![\w/.])( *)")
    return found.sub(lambda match: _as_wide(match[1], changed[match[1]], match[2]), text)


def _as_wide(one: str, other: str, spaces: str) -> str:
    room = len(one) + len(spaces) - len(other)
    return other + (" " * max(1, room) if len(spaces) > 1 else spaces)


def clock_of(said: str) -> datetime | None:
    """The answer to `show clock`, None where it is none."""
    match = _CLOCK.search(said)
    return None if match is None else _read(f"{match[2]} {match[1]}", "%b %d %Y %H:%M:%S.%f")


def logged_since(device: str, said: str, clock: RoutersClock) -> Iterator[Logged]:
    """The lines of `show logging` from the moment of `clock` on, without their stamps. A stamp has no year: the one by which it is
    nearest to the clock counts."""
    for stamp, line in _stamped(said):
        years = (stamp.replace(year=clock.shown.year + more) for more in (-1, 0, 1) if _is_day(stamp, clock.shown.year + more))
        nearest = min(years, key=lambda one: abs(one - clock.shown), default=None)
        if nearest is not None and nearest >= clock.shown - timedelta(seconds=EARLY_S):
            yield heard(clock.epoch(nearest), device, line)


def _stamped(said: str) -> Iterable[tuple[datetime, str]]:
    """Those that were stamped as `LOGGING` has it; others are older."""
    for match in _LINE.finditer(said):
        if match["date"] and "." in match["time"]:
            yield _read(f"2000 {match['date']} {match['time']}", "%Y %b %d %H:%M:%S.%f"), match["rest"]


def _read(text: str, form: str) -> datetime:
    """In the router's own zone, whichever that is: only differences count."""
    return datetime.strptime(" ".join(text.split()), form).replace(tzinfo=UTC)


def _is_day(stamp: datetime, year: int) -> bool:
    try:
        stamp.replace(year=year)
    except ValueError:  # the 29th of February
        return False
    return True
