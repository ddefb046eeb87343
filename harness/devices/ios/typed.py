"""Lines as somebody types them in configuration mode, one after the other, as far as they concern how a router is reached: what the
configuration is after each. Pure.

Commands may be abbreviated, and sections need no `exit`. What cannot be told from its letters alone is taken for the command that
would do the greater harm.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.devices.ios.configurations import Section

INTERFACE = (
    "shutdown", "ip address", "ip unnumbered", "ip access-group", "ip vrf forwarding", "vrf forwarding", "crypto map",
    "encapsulation", "bridge-group", "channel-group", "switchport",
)  # fmt: skip
LINE = ("transport input", "access-class", "login", "password", "exec")
ENTRY = ("match address",)
OPENING = (
    "interface", "line", "vpdn-group", "crypto map", "crypto dynamic-map", "crypto isakmp policy", "crypto isakmp profile",
    "crypto keyring", "crypto ipsec transform-set", "ip access-list", "router", "ip vrf", "vrf definition", "ip dhcp pool",
    "aaa group", "l2tp-class", "pseudowire-class", "class-map", "policy-map", "route-map", "controller", "track", "ip sla",
    "control-plane", "archive", "key chain", "crypto pki trustpoint", "bba-group",
)  # fmt: skip
"""Commands of the global mode that open a section."""
GLOBAL = (
    "access-list", "ip route", "username", "enable secret", "enable password", "aaa new-model", "aaa authentication login",
    "aaa authentication enable", "ip ssh", "ip routing", "ip nat inside source static", "crypto key zeroize", "hostname",
)  # fmt: skip
"""Others that concern how it is reached."""
_NAME = re.compile(r"([A-Za-z][A-Za-z-]*) ?(\d[\d/.:]*)")


def recognised(words: list[str], commands: Iterable[str]) -> tuple[str, list[str]] | None:
    """(command, the words behind it), where the words begin with it, each of its words abbreviated or not. A longer command comes
    before a shorter one, and one that is written in full before one that may be meant."""
    best: tuple[tuple[int, int], str, list[str]] | None = None
    for command in commands:
        keywords = command.split()
        typed = [one.lower() for one in words[: len(keywords)]]
        if len(typed) == len(keywords) and all(whole.startswith(one) for one, whole in zip(typed, keywords, strict=True)):
            rank = (sum(one == whole for one, whole in zip(typed, keywords, strict=True)), len(keywords))
            if best is None or rank > best[0]:
                best = (rank, command, words[len(keywords) :])
    return None if best is None else best[1:]


class Typing:
    """`config` is what it is after the lines so far; `opened` the section that stands open, None in the global mode."""

    def __init__(self, config: Section) -> None:
        self.config = _copy(config)
        self.opened: str | None = None

    def line(self, text: str) -> tuple[bool, str, list[str]]:
        """(whether it is a `no` or `default` form, its command as in the tables above or "", the words behind it)."""
        words = text.split()
        negative = bool(words) and words[0] in ("no", "default")
        verb, body = (words[0], words[1:]) if negative else ("", words)
        if not body or body[0].startswith("!"):
            return negative, "", []
        if body == ["exit"] and not negative:
            self.opened = None
            return negative, "", []
        inner = self._inner()
        found = recognised(body, inner)
        if found is not None and not (found[0] == "crypto map" and len(found[1]) > 1 and found[1][1].isdecimal()):
            assert self.opened is not None
            _put(self.config[self.opened], found[0], found[1], negative)
            return negative, found[0], found[1]
        if self._in_list() and (body[0].isdecimal() or body[0] in ("permit", "deny", "remark")):
            self._entry(" ".join(body), negative)
            return negative, "", body
        found = recognised(body, (*GLOBAL, *OPENING))
        if found is None:
            return negative, "", body
        command, rest = found
        if command in OPENING:
            self._open(command, rest, negative, verb)
        else:
            _put(self.config, command, rest, negative)
        return negative, command, rest

    # --- within ---

    def _inner(self) -> tuple[str, ...]:
        head = (self.opened or "").split()
        if head[:1] == ["interface"]:
            return INTERFACE
        if head[:1] == ["line"]:
            return LINE
        return ENTRY if head[:2] in (["crypto", "map"], ["crypto", "dynamic-map"]) else ()

    def _in_list(self) -> bool:
        return (self.opened or "").startswith("ip access-list ")

    def _entry(self, line: str, negative: bool) -> None:
        assert self.opened is not None
        below = self.config[self.opened]
        if not negative:
            below.setdefault(line, {})
            return
        for one in [one for one in below if one == line or one.split()[0] == line or one.partition(" ")[2] == line]:
            del below[one]

    def _open(self, command: str, rest: list[str], negative: bool, verb: str) -> None:
        head = f"{command} {' '.join(self._named(command, rest))}".rstrip()
        there = [one for one in self.config if one == head or one.startswith(head + " ")]
        if command in ("crypto map", "crypto dynamic-map") and not negative:
            there = [one for one in self.config if one.split()[:4] == head.split()[:4]]
        if negative:
            self._close(command, head, there, verb)
            return
        self.opened = there[0] if there else head
        self.config.setdefault(self.opened, {})

    def _close(self, command: str, head: str, there: list[str], verb: str) -> None:
        for one in there:
            if verb == "default" and command == "interface":
                self.config[one] = {}
            else:
                del self.config[one]
        if command in ("ip vrf", "vrf definition"):
            name = head.split()[-1]
            for one, below in self.config.items():
                if one.startswith("interface ") and {f"ip vrf forwarding {name}", f"vrf forwarding {name}"} & below.keys():
                    self.config[one] = {line: {} for line in below if not line.startswith(("ip address", "ip vrf", "vrf "))}
        if self.opened not in self.config:
            self.opened = None

    def _named(self, command: str, rest: list[str]) -> list[str]:
        """The section's name as the configuration has it."""
        if command == "interface" and (match := _NAME.fullmatch(" ".join(rest))):
            for one in self.config:
                have = _NAME.fullmatch(one.removeprefix("interface ")) if one.startswith("interface ") else None
                if have and have[2] == match[2] and have[1].lower().startswith(match[1].lower()):
                    return [have[1] + have[2]]
            return [match[1] + match[2]]
        if command == "line" and rest:
            kind = next((one for one in ("console", "vty", "aux") if one.startswith(rest[0].lower())), rest[0])
            return ["con" if kind == "console" else kind, *rest[1:]]
        if command == "ip access-list" and rest:
            kind = next((one for one in ("standard", "extended") if one.startswith(rest[0].lower())), rest[0])
            return [kind, *rest[1:]]
        return rest


def _put(section: Section, command: str, rest: list[str], negative: bool) -> None:
    """A command takes the place of what it replaces."""
    line = " ".join([command, *rest])
    if command in ("vrf forwarding", "ip vrf forwarding"):
        _drop(section, "ip address", "ip vrf forwarding", "vrf forwarding")
    elif command == "ip address":
        if rest[-1:] != ["secondary"] and not (negative and rest):
            for one in [one for one in section if _is(one, "ip address") and (negative or not one.endswith(" secondary"))]:
                del section[one]
            _drop(section, "ip unnumbered")
    elif command == "ip unnumbered":
        _drop(section, "ip address", "ip unnumbered")
    elif command in ("ip access-group", "access-class"):
        for one in [one for one in section if _is(one, command) and one.split()[-1] == (rest or [""])[-1]]:
            del section[one]
    elif command == "username":
        _username(section, rest, negative)
        return
    elif command in ("aaa authentication login", "aaa authentication enable"):
        _drop(section, f"{command} {(rest or [''])[0]}")
    elif command not in ("access-list", "ip route", "ip nat inside source static"):
        _drop(section, command)
        if command == "login" and negative:  # that nobody is asked is a line of its own
            section["no login"] = {}
        else:
            section.pop(f"no {command}", None)
    if not negative:
        section[line] = {}
    elif command in ("access-list", "ip route", "ip address", "ip nat inside source static"):
        _drop(section, line)
    elif command in ("exec", "ip routing"):
        section[f"no {command}"] = {}


def _username(section: Section, rest: list[str], negative: bool) -> None:
    """A line that gives a privilege alone leaves the password as it was."""
    name = (rest or [""])[0]
    old = next((one.split() for one in section if _is(one, f"username {name}")), [])
    _drop(section, f"username {name}")
    if negative:
        return
    words = ["username", *rest]
    if not proof(words):
        words += proof(old)
    section[" ".join(words)] = {}


def proof(words: list[str]) -> list[str]:
    """What of a user's line says how it is proved who it is."""
    at = next((n for n, one in enumerate(words) if n > 1 and one in ("password", "secret", "nopassword")), len(words))
    return words[at:]


def _is(line: str, command: str) -> bool:
    return line == command or line.startswith(command + " ")


def _drop(section: Section, *commands: str) -> None:
    for one in [one for one in section if any(_is(one, command) for command in commands)]:
        del section[one]


def _copy(section: Section) -> Section:
    return {line: _copy(below) for line, below in section.items()}


def lines_below(section: Section, command: str) -> Iterator[list[str]]:
    """The words behind that command, of each line that is one and has any."""
    for line in section:
        if line.startswith(command + " "):
            yield line.split()[len(command.split()) :]
