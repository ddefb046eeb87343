"""Configurations of IOS, read by their indentation and compared. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.devices.ios import lock_line, stamps

Section = dict[str, "Section"]
"""A configuration's lines in their order, each with those that stand below it."""

_NOT_CONFIGURATION = re.compile(
    rf"!|{lock_line.LINE}|show running-config|[\w.-]+(?:\(config[^)]*\))?[#>]|"
    r"end$|Building configuration|Current configuration|Using \d+|ntp clock-period |"
    rf"Load for five secs: |Time source is |No time source|\*\*\*|{stamps.STAMP}|{stamps.MESSAGE}"
)
"""Comments, headings, runs' locks, which come and go meanwhile, the one line that a router changes by itself, and what a terminal
shows besides: the time, messages and what is debugged, warnings of a reload."""


def parse_config(text: str) -> Section:
    """By indentation, `show running-config` or the lines that somebody would type."""
    root: Section = {}
    above: list[tuple[int, Section]] = [(-1, root)]
    for line in text.replace("\r\n", "\n").splitlines():
        words = line.strip()
        if not words or _NOT_CONFIGURATION.match(words):
            continue
        depth = len(line) - len(line.lstrip())
        while above[-1][0] >= depth:
            above.pop()
        above.append((depth, above[-1][1].setdefault(words, {})))
    return root


def rendered(config: Section) -> str:
    """As `show running-config` has the lines."""
    return "\n".join([*_lines(config, ""), "end", ""])


def _lines(section: Section, indent: str) -> Iterator[str]:
    for line, below in section.items():
        if indent or not re.fullmatch(r"access-list \d+", line):
            yield indent + line
            yield from _lines(below, indent + " ")
        else:
            yield from below


def whole(text: str) -> bool:
    """Whether a running configuration came to its end."""
    return any(line.strip() == "end" for line in text.splitlines()[-5:])


_ONE_ONLY = (
    "ip address", "ip unnumbered", "enable secret", "enable password", "set transform-set", "ppp authentication", "encr",
    "peer default ip address", "transport input", "exec-timeout", "tunnel source", "login", "crypto ipsec nat-transparency",
)  # fmt: skip
"""Commands of which a section has one line, however many words of it differ."""
_MANY = (
    "ip route", "ip nat pool", "ip nat service", "ip nat inside", "ip nat outside", "ip local pool", "ip host", "ip name-server",
    "ip dhcp", "crypto isakmp key", "set peer", "username", "domain", "network", "server", "ntp", "snmp-server", "radius-server",
    "aaa", "initiate-to", "passive-interface", "route-target", "interface", "logging", "permit", "deny", "remark", "access-list",
)  # fmt: skip
"""Commands of which a section has as many lines as were typed."""
_OPENING = re.compile(
    r"crypto (?:map \S+ \d|dynamic-map|isakmp policy|isakmp profile|keyring|ipsec transform-set|pki)|vpdn-group|l2tp-class|line|"
    r"router|pseudowire-class|(?:class|policy|route)-map|vrf|ip vrf (?!forwarding)|key|track|controller|bba-group"
)
"""Those that open a section: another name is another section."""
_LISTS = re.compile(r"(access-list \d+) ")


def replaces(line: str, other: str) -> bool:
    """Whether a line, once typed, most likely takes the other's place: of the same command, and it differs in the last word alone
    or is one of those of which there is one only."""
    if line == other or line.startswith("no ") or other.startswith("no ") or "secondary" in (line.split()[-1], other.split()[-1]):
        return False
    if _OPENING.match(line) or any(line.startswith(one + " ") for one in _MANY):
        return False
    stem = line.rpartition(" ")[0]
    return any(all(x.startswith(one + " ") for x in (line, other)) for one in _ONE_ONLY) or (
        bool(stem) and other.rpartition(" ")[0] == stem
    )


def is_list(head: str) -> bool:
    """Whether a section is an access list, whose lines have an order."""
    return head.startswith("ip access-list ") or re.fullmatch(r"access-list \d+", head) is not None


def folded(config: Section) -> Section:
    """With the lines of each numbered access list below one heading, as those of a named one are."""
    result: Section = {}
    for line, below in config.items():
        if match := _LISTS.match(line):
            result.setdefault(match[1], {})[line] = {}
        else:
            result[line] = below
    return result


def back_to(saved: Section, now: Section, *, default: bool = False) -> list[str]:
    """The lines that, typed in configuration mode, lead from `now` to `saved`: first what is too much goes, the last of it first,
    since what is used may not go; then what lacks comes, in the order in which a router boots. What takes another line's place
    needs no `no` of that. An access list whose lines or order differ is typed anew as a whole. `default`: a `no` that is too much
    goes by the `default` form; where neither form was shown before, the opposite would be too much as well.

    Lines below a section are indented by one; the section's own line comes before them, and `exit` after.
    """
    wanted, there = folded(saved), folded(now)
    return [*_removals(wanted, there, default), *_additions(wanted, there)]


def _removals(saved: Section, now: Section, default: bool) -> list[str]:
    lines: list[str] = []
    for line, below in reversed(now.items()):
        if is_list(line):
            if list(saved.get(line, ())) != list(below):
                lines.append(f"no {line}")
        elif line in saved:
            if inner := _removals(saved[line], below, default):
                lines += [line, *(f" {one}" for one in (*inner, "exit"))]
        elif (opposite := line[3:] if line.startswith("no ") else f"no {line}") not in saved and not any(
            replaces(one, line) for one in saved if one not in now and not below and not saved[one]
        ):
            lines.append(f"default {opposite}" if default and line.startswith("no ") else opposite)
    return lines


def _additions(saved: Section, now: Section) -> list[str]:
    lines: list[str] = []
    for line, below in saved.items():
        if is_list(line):
            if list(now.get(line, ())) != list(below):
                lines += [line, *(f" {one}" for one in (*below, "exit"))] if line.startswith("ip ") else below
            continue
        inner = _additions(below, now.get(line, {}))
        if line not in now or inner:
            lines += [line, *(f" {one}" for one in (*inner, *(["exit"] if inner else [])))]
    return lines


def after(saved: Section, lines: Iterable[str]) -> Section:
    """What the configuration will be once the lines were typed, so far as can be told without the router (`replaces`). Where it is
    wrong, `back_to` types what is there again, which changes nothing."""
    result = _copy(saved)
    _apply(result, parse_config("\n".join(lines)))
    return result


def _apply(to: Section, change: Section) -> None:
    for line, below in change.items():
        if line == "exit":
            continue
        if line.startswith("no ") and line not in to:
            gone = line[3:]
            # What tells it from others is enough of a line that goes.
            for other in [one for one in to if one == gone or one.startswith(gone + " ")]:
                del to[other]
        else:
            if line not in to and not below:
                for other in [one for one, inside in to.items() if not inside and (replaces(line, one) or one == f"no {line}")]:
                    del to[other]
            _apply(to.setdefault(line, {}), below)


def _copy(section: Section) -> Section:
    return {line: _copy(below) for line, below in section.items()}
