"""What an access list of IOS makes of one packet, so far as its lines can be read; what cannot be read is doubt, never an answer.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.devices.ios.configurations import Section
from harness.devices.ios.typed import lines_below
from harness.model import wildcards

PORTS = {"ftp": 21, "telnet": 23, "smtp": 25, "domain": 53, "www": 80, "pop3": 110, "bgp": 179}
"""Some of the names that IOS writes for ports; another is doubt."""
_QUIET = {"log", "log-input"}
PERMIT, DENY = "permit", "deny"


@dataclass(frozen=True, slots=True)
class Packet:
    """A TCP packet. None for what is not known."""

    source: str | None
    destination: str | None
    source_port: int | None = None
    destination_port: int | None = None

    @property
    def answer(self) -> Packet:
        return Packet(self.destination, self.source, self.destination_port, self.source_port)


def outcomes(lines: Iterable[str], packet: Packet, *, extended: bool) -> frozenset[str]:
    """PERMIT, DENY, or both where it cannot be told. `lines` begin with permit or deny, a number may stand before. Without any line
    IOS lets everything pass."""
    entries = list(_numbered(lines))
    if not entries:
        return frozenset({PERMIT})
    found = set()
    for action, *words in entries:
        fits = _fits(words, packet, extended)
        if fits is not False:
            found.add(action)
        if fits:
            return frozenset(found)
    return frozenset(found | {DENY})


def judged(now: Section, name: str, packet: Packet, *, without: str = PERMIT) -> frozenset[str]:
    """What a configuration's list makes of a packet; `without`: what one does that is not there."""
    found = list(_entries(now, name))
    if not found:
        return frozenset({without})
    if name.isdecimal():
        extended = is_extended(name)
    else:
        extended = f"ip access-list extended {name}" in now
    return outcomes(found, packet, extended=extended)


def _entries(now: Section, name: str) -> Iterator[str]:
    for words in lines_below(now, f"access-list {name}"):
        yield " ".join(words)
    for kind in ("standard", "extended"):
        yield from now.get(f"ip access-list {kind} {name}", {})


def is_extended(number: str) -> bool:
    """Of a numbered list."""
    return 100 <= int(number) <= 199 or 2000 <= int(number) <= 2699


def _numbered(lines: Iterable[str]) -> Iterable[list[str]]:
    """The words of the entries, in the order of their numbers: IOS gives 10, 20, … to those that were typed without."""
    found: list[tuple[int, list[str]]] = []
    for line in lines:
        words = line.split()
        number = int(words.pop(0)) if words and words[0].isdecimal() else max((one for one, _ in found), default=0) + 10
        if words and words[0] in (PERMIT, DENY):
            found.append((number, words))
    return [words for _, words in sorted(found, key=lambda one: one[0])]


def _fits(words: Sequence[str], packet: Packet, extended: bool) -> bool | None:
    """None where it cannot be told."""
    try:
        if not extended:
            source, rest = wildcards.read([one for one in words if one not in _QUIET], bare=True)
            return _all(_address(source, packet.source), None if rest else True)
        protocol, *rest = words
        source, rest = wildcards.read(rest)
        first, rest = _port(rest, packet.source_port)
        destination, rest = wildcards.read(rest)
        second, rest = _port(rest, packet.destination_port)
    except ValueError:
        return None
    known = True if protocol in ("ip", "tcp", "6") else False if protocol.isalnum() else None
    others = True if not set(rest) - _QUIET else None
    return _all(known, _address(source, packet.source), first, _address(destination, packet.destination), second, others)


def _all(*parts: bool | None) -> bool | None:
    if False in parts:
        return False
    return None if None in parts else True


def _address(pattern: wildcards.Wildcard, address: str | None) -> bool | None:
    if pattern[1] == wildcards.ALL:
        return True
    return None if address is None else wildcards.matches(pattern, wildcards.number(address))


def _port(words: list[str], port: int | None) -> tuple[bool | None, list[str]]:
    """Whether the port fits what the words begin with, and the words behind it."""
    if not words or words[0] not in ("eq", "gt", "lt", "neq", "range"):
        return True, words
    count = 2 if words[0] == "range" else 1
    operator, numbers, rest = words[0], [_number(one) for one in words[1 : 1 + count]], words[1 + count :]
    if port is None or None in numbers or len(numbers) < count:
        return None, rest
    low, high = numbers[0], numbers[-1]
    assert low is not None
    assert high is not None
    fits = {"eq": port == low, "gt": port > low, "lt": port < low, "neq": port != low, "range": low <= port <= high}[operator]
    return fits, rest


def _number(word: str) -> int | None:
    return int(word) if word.isdecimal() else PORTS.get(word)
