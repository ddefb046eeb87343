"""The commands of the exec modes that do something, save those of a part of the live router, which add themselves to the
registry."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.virtual.ios import login
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import ConfigMode, load
from harness.virtual.ios.grammar import Match
from harness.virtual.ios.state import Ask, State

if TYPE_CHECKING:
    from harness.virtual.ios.session import Session

Said = Iterable[str] | Ask | None
SAVED = ("Building configuration...", "[OK]")
CONFIRM = "Proceed with reload? [confirm]"
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def register(state: State) -> None:
    add = state.command
    add("enable [<0-15>:level]", _enable, level=1)
    add("disable [<0-15>:level]", _disable, level=1)
    for word in ("exit", "logout", "quit"):
        add(word, _leave, level=1)
    add("terminal length <0-512>:lines", _length, level=1)
    add("terminal width <0-512>:columns", _width, level=1)
    add("terminal history size <0-256>:lines", _history, level=1)
    add("terminal monitor", lambda session, _: _monitor(session, True), level=1)
    add("terminal no monitor", lambda session, _: _monitor(session, False), level=1)
    add("configure [terminal]", _configure)
    add("write [memory]", _write)
    add("write terminal", lambda session, match: _running(session))
    add("write erase", _erase)
    add("erase startup-config", _erase)
    add("erase nvram:", _erase)
    add("copy running-config startup-config", _copy_to_startup)
    add("copy startup-config running-config", _copy_to_running)
    add("reload [LINE:reason]", _reload)
    add("reload in {<1-34560>:minutes | WORD:hours} [LINE:reason]", _reload_in)
    add("reload cancel", _reload_cancel)
    add(f"clock set TIME:time {{{' | '.join(MONTHS)}}} <1-31>:day <1993-2035>:year", _clock_set)
    add(f"clock set TIME:time <1-31>:day {{{' | '.join(MONTHS)}}} <1993-2035>:year", _clock_set)


def _running(session: Session) -> Iterable[str]:
    from harness.virtual.ios.shows import running_config

    return running_config(session.state)


def _enable(session: Session, match: Match) -> Said:
    return login.enable(session, int(match.get("level", "15")))


def _disable(session: Session, match: Match) -> Said:
    session.level = min(session.level, int(match.get("level", "1")))
    return ()


def _leave(session: Session, match: Match) -> Said:
    session.close()
    return None


def _length(session: Session, match: Match) -> Said:
    session.size(lines=int(match.get("lines")))
    return ()


def _width(session: Session, match: Match) -> Said:
    session.size(columns=int(match.get("columns")))
    return ()


def _history(session: Session, match: Match) -> Said:
    session.editor.size = int(match.get("lines"))
    del session.editor.history[: max(0, len(session.editor.history) - session.editor.size)]
    return ()


def _monitor(session: Session, on: bool) -> Said:
    session.monitor = on
    return ()


def _configure(session: Session, match: Match) -> Said:
    if "terminal" not in match.words:

        def answered(typed: str) -> Said:
            if "terminal".startswith(typed.strip().lower()):
                return _enter(session)
            return ("?Must be \"terminal\"",)

        return Ask("Configuring from terminal, memory, or network [terminal]? ", answered)
    return _enter(session)


def _enter(session: Session) -> Said:
    session.config = ConfigMode(session.state.configuration, session.state.features)
    return ("Enter configuration commands, one per line.  End with CNTL/Z.",)


def _write(session: Session, match: Match) -> Said:
    session.state.save()
    return SAVED


def _copy_to_startup(session: Session, match: Match) -> Said:
    def answered(typed: str) -> Said:
        if typed.strip() not in ("", "startup-config"):
            return (f"%Error opening nvram:{typed.strip()} (No such file or directory)",)
        session.state.save()
        return SAVED

    return Ask("Destination filename [startup-config]? ", answered)


def _copy_to_running(session: Session, match: Match) -> Said:
    """Merges, as IOS does: what stands in the startup configuration is typed again, and nothing is taken away."""

    def answered(typed: str) -> Said:
        state = session.state
        if state.startup is None:
            return ("%% Non-volatile configuration memory invalid or not present",)
        merged = Configuration(state.configuration.tree)
        load(merged, state.startup.splitlines(), state.features)
        state.configuration.become(merged.tree)
        state.tell_unheeded()
        return (f"{len(state.startup)} bytes copied in 0.040 secs",)

    return Ask("Destination filename [running-config]? ", answered)


def _erase(session: Session, match: Match) -> Said:
    def answered(key: str) -> Said:
        if key not in ("", "y"):
            return ()
        session.state.startup = session.state.saved = None
        return ("[OK]", "Erase of nvram: complete")

    question = "Erasing the nvram filesystem will remove all configuration files! Continue? [confirm]"
    return Ask(question, answered, key=True)


def _reload(session: Session, match: Match) -> Said:
    return _saved_first(session, lambda: _confirmed(session))


def _saved_first(session: Session, then: object) -> Said:
    assert callable(then)
    if not session.state.modified:
        found: Said = then()
        return found

    def answered(typed: str) -> Said:
        word = typed.strip().lower()
        if word not in ("y", "yes", "n", "no"):
            session.say(("% Please answer 'yes' or 'no'.",))
            return question
        if word.startswith("y"):
            session.state.save()
            session.say(SAVED)
        found: Said = then()
        return found

    question = Ask("\r\nSystem configuration has been modified. Save? [yes/no]: ", answered)
    return question


def _confirmed(session: Session) -> Said:
    def answered(key: str) -> Said:
        if key not in ("", "y"):
            return ()
        session.state.reload("Reload Command")
        return None

    return Ask(CONFIRM, answered, key=True)


def _reload_in(session: Session, match: Match) -> Said:
    hours, _, minutes = match.get("hours", "0:0").partition(":")
    if not (hours.isdecimal() and minutes.isdecimal()):
        return ("% Invalid time",)
    seconds = 60.0 * (int(match.get("minutes", "0")) + 60 * int(hours) + int(minutes))

    def ask() -> Said:
        def answered(key: str) -> Said:
            if key in ("", "y"):
                session.state.reload_at = session.state.now + seconds
            return ()

        whole = int(seconds) // 60
        long = f"{whole // 60} hours and {whole % 60} minutes" if whole >= 60 else f"{whole} minutes"
        return Ask(f"Reload scheduled in {long}\r\n{CONFIRM}", answered, key=True)

    return _saved_first(session, ask)


def _reload_cancel(session: Session, match: Match) -> Said:
    if session.state.reload_at is None:
        return ("%No reload is scheduled.",)
    session.state.reload_at = None
    return ("", "", "***", "*** --- SHUTDOWN ABORTED ---", "***", "")


def _clock_set(session: Session, match: Match) -> Said:
    hours, minutes, seconds = map(int, match.get("time").split(":"))
    month = next(n for n, name in enumerate(MONTHS, 1) if name in match.words)
    try:
        to = datetime(int(match.get("year")), month, int(match.get("day")), hours, minutes, seconds, tzinfo=UTC)
    except ValueError:
        return ("% Invalid date",)
    session.state.set_clock(to)
    return ()


