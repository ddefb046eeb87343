"""Access lists as `ip nat service list` and `ip nat inside source list` use them: which endpoints a service is for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.model import wildcards
from harness.model.wildcards import ANY, Wildcard, matches


@dataclass(frozen=True, slots=True)
class Line:
    """`source` is the inside local address, `destination` the outside one. A standard list's lines leave the latter open."""

    permit: bool
    source: Wildcard = ANY
    destination: Wildcard = ANY


@dataclass(frozen=True, slots=True)
class AccessList:
    """The first line that matches decides; what no line matches is denied."""

    lines: tuple[Line, ...]

    def permits(self, source: bytes, destination: bytes) -> bool:
        here, there = int.from_bytes(source), int.from_bytes(destination)
        for line in self.lines:
            if matches(line.source, here) and matches(line.destination, there):
                return line.permit
        return False

    @classmethod
    def of(cls, lines: Iterable[str]) -> AccessList:
        return cls(tuple(map(parse, lines)))


def parse(text: str) -> Line:
    """A line without its `access-list NUMBER`: "permit 10.1.1.1", "deny 10.1.0.0 0.0.255.255", "permit ip any host 192.0.2.1".
    ValueError where it is none; ports and protocols other than ip are none here."""
    action, *words = text.split()
    if action not in ("permit", "deny"):
        raise ValueError(f"{text!r} begins with neither permit nor deny")
    extended = words[:1] == ["ip"]
    source, words = wildcards.read(words[extended:], bare=not extended)
    destination, words = wildcards.read(words) if extended else (ANY, words)
    if words:
        raise ValueError(f"{' '.join(words)!r} is too much in {text!r}")
    return Line(action == "permit", source, destination)
