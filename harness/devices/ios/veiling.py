"""A configuration that is written down without the secrets in it, and what it was, found again from what the router has. Pure.

A line with a secret stands without that, and with a digest of the whole behind it: `username user1 password 0 *** #SALT:DIGEST`. A
line of the router's that has this digest is the one that was meant. What the router has not kept cannot be typed again from here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from harness.devices.ios.configurations import Section
from harness.model.redact import Redactor

_VEIL = re.compile(r" #(?P<salt>[0-9a-f]+):(?P<digest>[0-9a-f]{64})$")


def veiled(text: str, redactor: Redactor, salt: str) -> str:
    """The configuration with each line that holds one of the redactor's secrets as above. `salt` is hexadecimal; two configurations
    that are to be compared have the same."""
    return "\n".join(_veiled(line, redactor, salt) for line in text.splitlines())


def unveiled(text: str, there: str) -> str:
    """The configuration with each such line as it stands in `there`, where it does."""
    salts = {found["salt"] for line in text.splitlines() if (found := _VEIL.search(line))}
    known = {_digest(line.strip(), salt): line.strip() for salt in salts for line in there.splitlines()}
    return "\n".join(_unveiled(line, known) for line in text.splitlines())


def plain(line: str) -> str:
    """The line without its digest, to be shown."""
    return _VEIL.sub("", line)


def without_lost(section: Section, above: tuple[str, ...] = ()) -> tuple[Section, tuple[str, ...]]:
    """The configuration without the lines that are still veiled; and those, without their digests, each behind its sections."""
    lost: list[str] = []
    return dict(_kept(section, above, lost)), tuple(lost)


def _kept(section: Section, above: tuple[str, ...], lost: list[str]) -> Iterator[tuple[str, Section]]:
    for line, below in section.items():
        if _VEIL.search(line):
            lost.append(" / ".join((*above, plain(line))))
        else:
            inner, more = without_lost(below, (*above, line))
            lost += more
            yield line, inner


def _veiled(line: str, redactor: Redactor, salt: str) -> str:
    shown = redactor.text(line)
    return line if shown == line else f"{shown.rstrip()} #{salt}:{_digest(line.strip(), salt)}"


def _unveiled(line: str, known: dict[str, str]) -> str:
    found = _VEIL.search(line)
    if found is None or found["digest"] not in known:
        return line
    return line[: len(line) - len(line.lstrip())] + known[found["digest"]]


def _digest(line: str, salt: str) -> str:
    return hashlib.sha256(f"{salt} {line}".encode()).hexdigest()
