"""Releases of Cisco IOS, and which of them brought what: data, and the one comparison that it needs.

A release is written as its device writes it: "12.3(11)T4" is rebuild 4 of the eleventh maintenance release of the technology
train of 12.3; "12.4(1)" is the main line, which was made from 12.3T and so has what that had. Trains for single platforms
("12.2(27)SBA") go ways of their own: what they hold is known only where a document names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.errors import UsageError

_FORM = re.compile(r"(\d+)\.(\d+)(?:\((\d+)([a-z]?)\)|\.(\d+)([a-z]?))?([A-Z]*)(\d*)([a-z]?)")


@dataclass(frozen=True, slots=True)
class Release:
    """`train` is "" for the main line, "T", "M", "SBA", …; `maintenance` and `rebuild` count within it, `letter` a rebuild of the
    main line as "a", "b". `text` is what was written."""

    major: int
    minor: int
    maintenance: int
    train: str
    rebuild: int
    letter: str
    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def number(self) -> str:
        """What `show running-config` names: "12.4"."""
        return f"{self.major}.{self.minor}"

    @property
    def _line(self) -> tuple[int, int, int] | None:
        """The place in the one line that main, T and M releases form; None for the trains beside it. From 15.0 on, M and T releases
        are one train that is called M at its end; IOS-XE 16 and later follow."""
        if self.train not in ("", "T", "M"):
            return None
        if self.major >= 15:
            return (self.major, self.minor, 0)
        return (self.major, self.minor, 1 if self.train == "T" else 0)

    @property
    def _within(self) -> tuple[int, int, str]:
        return (self.maintenance, self.rebuild, self.letter)


def parse(text: str) -> Release:
    """UsageError where it is no release of IOS."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no release of IOS", cure='write it as "12.4(1)", "12.3(11)T4" or "16.9.1"')
    major, minor, classic, early, dotted, late, train, rebuild, letter = match.groups()
    return Release(
        int(major), int(minor), int(classic or dotted or 0), train, int(rebuild or 0), early or late or letter or "", text.strip()
    )


def includes(release: Release, other: Release) -> bool:
    """Whether what `other` brought is in `release`: the same train at the same point or later, or a train that was made from it
    later. UsageError where the two trains do not follow from each other."""
    if (release.major, release.minor, release.train) == (other.major, other.minor, other.train):
        return release._within >= other._within
    here, there = release._line, other._line
    if here is None or there is None:
        cure = "name a release of the main line or of a T train, or one of a train for which the feature is documented"
        raise UsageError(f"IOS {release} and {other} are of trains that cannot be compared", cure=cure)
    if here == there:
        return release._within >= other._within
    if here > there and here[:2] == there[:2]:
        # The T train takes in the main line of its number as far as it has come.
        return release.maintenance >= other.maintenance
    return here > there


@dataclass(frozen=True, slots=True)
class Introduction:
    """A release that brought a feature; to `platforms` only where some are named."""

    release: Release
    platforms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Feature:
    """`introduced`: earliest first. `source`: the document that says so."""

    name: str
    title: str
    introduced: tuple[Introduction, ...]
    source: str


_NAT_DEMUX = "L2TP-IPsec Support for NAT and PAT Windows Clients"
_L2TP_SECURITY = "L2TP Security"
_NAT_ESP = "NAT Support for IPsec ESP, Phase II"
_VPN_MONITORING = "IPsec VPN Monitoring"
_PPPOE_PROFILES = "PPPoE Profiles"

# name, what it is, the releases (with the platforms that a release is limited to), the document
_ROWS: tuple[tuple[str, str, tuple[str | tuple[str, tuple[str, ...]], ...], str], ...] = (
    ("nat-demux", "set nat demux", ("12.3(11)T4", "12.4(1)"), _NAT_DEMUX),
    ("l2tp-security", "l2tp security crypto-profile",
     ("12.2(4)T", ("12.2(4)T3", ("7500",)), ("12.2(11)T", ("1760", "AS5300", "AS5400", "AS5800")), "12.2(27)SBA"), _L2TP_SECURITY),
    ("ip-pmtu", "ip pmtu",
     ("12.2(4)T", ("12.2(11)T", ("1760", "AS5300", "AS5400", "AS5800")), "12.2(27)SBA"), _L2TP_SECURITY),
    ("crypto-map-profile", "crypto map … profile",
     ("12.2(4)T", ("12.2(11)T", ("1760", "AS5300", "AS5400", "AS5800")), "12.2(27)SBA"), _L2TP_SECURITY),
    ("crypto-map-discover", "crypto map … dynamic … discover", ("12.0(5)T",), _L2TP_SECURITY),
    ("crypto-map-accounting", "crypto map … client-accounting-list", ("12.2(15)T",), _L2TP_SECURITY),
    ("nat-transparency", "crypto ipsec nat-transparency", ("12.2(13)T",), _NAT_ESP),
    ("spi-matching", "crypto ipsec nat-transparency spi-matching", ("12.2(15)T",), _NAT_ESP),
    ("nat-service-esp", "ip nat service list … ESP spi-match, IKE preserve-port", ("12.2(15)T",), _NAT_ESP),
    ("show-nat-esp", "show ip nat translations esp", ("12.2(15)T",), _NAT_ESP),
    ("show-nat-vrf", "show ip nat translations vrf", ("12.2(13)T",), _NAT_ESP),
    ("crypto-session", "show crypto session", ("12.3(4)T",), _VPN_MONITORING),
    ("pppoe-profiles", "bba-group pppoe", ("12.2(15)T",), _PPPOE_PROFILES),
)  # fmt: skip


def _introduction(row: str | tuple[str, tuple[str, ...]]) -> Introduction:
    return Introduction(parse(row)) if isinstance(row, str) else Introduction(parse(row[0]), frozenset(row[1]))


FEATURES: Mapping[str, Feature] = MappingProxyType(
    {name: Feature(name, title, tuple(map(_introduction, rows)), source) for name, title, rows, source in _ROWS}
)
"""By name. A platform that a later release names did not have the feature before."""


def has(feature: str, release: Release, platform: str | None = None) -> bool:
    """Whether that release has it; `platform` as the documents write it ("7500", "AS5300"), None for any other. UsageError for a
    feature that is not in the table, and where none of its releases can be compared with this one."""
    if feature not in FEATURES:
        raise UsageError(f"no feature of IOS is called {feature!r}", cure="one of: " + ", ".join(FEATURES))
    introduced = FEATURES[feature].introduced
    later = [one for one in introduced if platform is not None and platform in one.platforms]
    told: list[bool] = []
    trouble: UsageError | None = None
    for one in later or [one for one in introduced if not one.platforms]:
        try:
            told.append(includes(release, one.release))
        except UsageError as error:
            trouble = error
    if not any(told) and trouble is not None and (not told or release._line is None):
        raise trouble
    return any(told)


def features_of(release: Release, platform: str | None = None) -> frozenset[str]:
    """All that are known to be there. What cannot be compared is not known to be there."""
    found = set()
    for name in FEATURES:
        try:
            if has(name, release, platform):
                found.add(name)
        except UsageError:
            continue
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Lack:
    """A feature that a release lacks; `known` is false where no document tells whether it has it. As text, it is the reason for
    which something is skipped."""

    feature: Feature
    release: Release
    known: bool = True

    def __str__(self) -> str:
        brought = " and ".join(str(one.release) for one in self.feature.introduced if not one.platforms)
        begin = f"IOS {self.release} lacks" if self.known else f"no document tells whether IOS {self.release} has"
        return f'{begin} "{self.feature.title}", which came with {brought} ({self.feature.source})'


def missing(features: Iterable[str], release: Release, platform: str | None = None) -> tuple[Lack, ...]:
    """Of these features those that the release lacks, or of which nobody can tell. UsageError for one that is not in the table."""
    found = []
    for name in dict.fromkeys(features):
        known = True
        try:
            if has(name, release, platform):
                continue
        except UsageError:
            if name not in FEATURES:
                raise
            known = False
        found.append(Lack(FEATURES[name], release, known))
    return tuple(found)
