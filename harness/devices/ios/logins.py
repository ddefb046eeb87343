"""By which way a session has come in to a router, and what keeps the next one from logging in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.devices.ios.access import DENY, Packet, judged
from harness.devices.ios.configurations import Section
from harness.devices.ios.typed import lines_below, proof

NOT_IP = ("con", "aux", "tty")
"""Terminal lines at which no packet arrives."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a session has come in. `address` is the router's own, None where it is not known; `source` the client's as the router
    sees it; `port` the router's. `line` is the terminal line, "vty 0"; `user` and `enable`: what is proved with a password."""

    address: str | None = None
    source: str | None = None
    protocol: str = "ssh"
    port: int = 22
    line: str = "vty 0"
    user: str = ""
    enable: bool = True

    @property
    def by_ip(self) -> bool:
        return not self.line.startswith(NOT_IP)

    @property
    def packet(self) -> Packet:
        """From the client to the router."""
        return Packet(self.source, self.address, None, self.port)


def by_line(now: Section, first: Section, way: Way) -> Iterator[tuple[str, str]]:
    """(key, why) of what has changed at terminal lines since `first`, or stands in the way there."""
    kind = "vty" if way.by_ip else way.line.split()[0]
    for head, below in now.items():
        if not head.startswith(f"line {kind} ") or head not in first:
            continue
        here = head.removeprefix("line ")
        for words in lines_below(below, "transport input") if way.by_ip else ():
            if not {"all", way.protocol} & set(words):
                yield f"transport {here}", f"would take {way.protocol} off the terminal lines {here}"
        for words in lines_below(below, "access-class") if way.by_ip else ():
            if words[-1:] == ["in"] and DENY in judged(now, words[0], way.packet):
                yield f"class {here}", f"would keep this client off the terminal lines {here}, by access list {words[0]}"
        if "no exec" in below:
            yield f"exec {here}", f"would take the command line off the terminal lines {here}"
        if (was := _login(first[head], now=now)) != (then := _login(below, now=now)):
            yield f"login {here}", f"would change how the terminal lines {here} ask who logs in ({was} to {then})"
        if _login(below, now=now) == "login" and (password := _passwords(below)) != _passwords(first[head]):
            yield f"password {here} {len(password)}", f"would change the password of the terminal lines {here}"


def _login(below: Section, *, now: Section) -> str:
    if "aaa new-model" in now:
        return next((f"login {' '.join(words)}" for words in lines_below(below, "login") if words[:1] == ["authentication"]), "AAA")
    if "no login" in below:
        return "no login"
    return next((line for line in below if line == "login" or line.startswith("login ")), "nothing")


def _passwords(below: Section) -> list[list[str]]:
    return list(lines_below(below, "password"))


def by_user(now: Section, first: Section, way: Way) -> Iterator[tuple[str, str]]:
    """(key, why) of what has changed for whom it is logged in as."""
    was, then = (_user(config, way.user) for config in (first, now))
    if was is not None and was != then:
        what = "remove" if then is None else "change the password of"
        yield "user", f"would {what} the user {way.user}, as whom it is logged in to"
    if way.enable:
        for command in ("enable secret", "enable password"):
            if any(lines_below(first, command)) and list(lines_below(first, command)) != list(lines_below(now, command)):
                yield command, "would change the enable password"
    if "aaa new-model" in first and "aaa new-model" not in now:
        yield "aaa", "would turn AAA off, and with it how terminal lines ask who logs in"
    if "aaa new-model" in now and "aaa new-model" not in first and then is None:
        yield "aaa", "would turn AAA on, which asks for a user of the router's own, and it is logged in to as none"
    for what in ("login", "enable"):
        if "aaa new-model" in now:
            changed = _methods(first, what), _methods(now, what)
            if changed[0] != changed[1] and not (what == "login" and changed[1][:1] == ["local"] and then is not None):
                yield f"aaa {what}", f"would change how AAA asks for {what}"


def _methods(config: Section, what: str) -> list[str]:
    return next(lines_below(config, f"aaa authentication {what} default"), [])


def _user(config: Section, name: str) -> list[str] | None:
    """How a local user proves who it is; None where there is none of that name."""
    words = next(lines_below(config, f"username {name}"), None) if name else None
    if words is None:
        return None
    found = proof(["username", name, *words])
    return [one for one in found if one != "0"]
