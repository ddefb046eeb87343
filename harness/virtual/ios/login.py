"""Who may in: the dialogue before the first prompt, and `enable`. What is asked rests on the line's configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from harness.virtual.ios import passwords
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.state import Ask

if TYPE_CHECKING:
    from harness.virtual.ios.session import Session

TRIES = 3
BANNER = ("", "", "User Access Verification", "")


def user_of(tree: Entry, name: str) -> tuple[int, str] | None:
    """(privilege, the password as it is kept) of a local user; None where there is none of that name, or none with a password."""
    entry = tree.at((f"username {name}",))
    if entry is None:
        return None
    words = list(entry.words[2:])
    level = 1
    if words[:1] == ["privilege"]:
        level, words = int(words[1]), words[2:]
    if words[:1] in (["password"], ["secret"]):
        return level, " ".join(words[1:])
    return (level, "0 ") if words == ["nopassword"] else None


def authentic(tree: Entry, name: str, typed: str) -> bool:
    """Whether these are the name and the password of a local user: what a server asks that authenticates by itself."""
    found = user_of(tree, name)
    return found is not None and passwords.matches(found[1], typed)


def begin(session: Session) -> None:
    """Asks for what the line wants; the first prompt follows."""
    lines = session.section()
    if session.user is not None:
        _in(session, session.user)
    elif _by_name(session, lines):
        session.say(BANNER)
        _name(session, 1)
    elif "login" in lines:
        kept = _of(lines, "password")
        if kept is None:
            session.say(("", "", "Password required, but none set"))
            session.close()
            return
        session.say(BANNER)
        _password(session, "Password: ", kept, "% Bad passwords", lambda: _in(session, None))
    else:
        session.write("\r\n")
        _in(session, None)


def _by_name(session: Session, lines: tuple[str, ...]) -> bool:
    return "login local" in lines or session.state.configuration.tree.has("aaa new-model")


def _of(lines: tuple[str, ...], prefix: str) -> str | None:
    return next((line[len(prefix) + 1 :] for line in lines if line.startswith(prefix + " ")), None)


def _name(session: Session, turn: int) -> None:
    def named(name: str) -> None:
        session.ask(Ask("Password: ", lambda _: None, echo=False), lambda typed: told(name, typed))

    def told(name: str, typed: str) -> None:
        if authentic(session.state.configuration.tree, name, typed):
            _in(session, name)
        else:
            session.say(("% Login invalid", ""))
            if turn == TRIES:
                session.close()
            else:
                _name(session, turn + 1)

    session.ask(Ask("Username: ", lambda _: None), named)


def _password(session: Session, prompt: str, kept: str, failed: str, then: Callable[[], None], turn: int = 1) -> None:
    def told(typed: str) -> None:
        if passwords.matches(kept, typed):
            then()
        elif turn == TRIES:
            session.say((failed,))
            session.close()
        else:
            _password(session, prompt, kept, failed, then, turn + 1)

    session.ask(Ask(prompt, lambda _: None, echo=False), told)


def _in(session: Session, name: str | None) -> None:
    session.user = name
    found = user_of(session.state.configuration.tree, name) if name else None
    granted = _of(session.section(), "privilege level")
    session.level = max(int(granted or 1), found[0] if found else 1)
    session.write("\r\n")
    session.prompt()


def cancelled(session: Session) -> None:
    """^C in the middle of a dialogue: before the login it ends the session, after it the question."""
    if session.ready:
        session.prompt()
    else:
        session.close()


def enable(session: Session, level: int) -> Iterable[str] | Ask | None:
    """The privileged mode, behind its password: three tries."""
    tree = session.state.configuration.tree
    secret, password = tree.value("enable secret"), tree.value("enable password")
    kept = secret or password
    if session.level >= level:
        session.level = level
        return ()
    if kept is None:
        if session.line.startswith("con"):
            session.level = level
            return ()
        return ("% Error in authentication.", "") if tree.has("aaa new-model") else ("% No password set",)
    failed = "% Bad secrets" if secret else "% Bad passwords"

    def answered(typed: str, turn: int) -> Iterable[str] | Ask:
        if passwords.matches(kept, typed):
            session.level = level
            return ()
        if turn == TRIES:
            return (failed, "")
        return Ask("Password: ", lambda again: answered(again, turn + 1), echo=False)

    return Ask("Password: ", lambda typed: answered(typed, 1), echo=False)
