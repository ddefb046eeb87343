"""Which features of a release the lines of a configuration need, and the commands of the privileged mode. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.errors import UsageError
from harness.model import ios_releases

_GATES = tuple(
    (feature, re.compile(pattern))
    for feature, pattern in (
        ("nat-demux", r"set nat demux"),
        ("l2tp-security", r"l2tp security crypto-profile\b.*"),
        ("ip-pmtu", r"ip pmtu"),
        ("crypto-map-profile", r"crypto map \S+ \d+ ipsec-isakmp profile\b.*"),
        ("crypto-map-discover", r"crypto map \S+ \d+ ipsec-isakmp dynamic \S+ discover"),
        ("crypto-map-accounting", r"crypto map \S+ client-accounting-list\b.*"),
        ("nat-transparency", r"crypto ipsec nat-transparency udp-encaps"),
        ("spi-matching", r"crypto ipsec nat-transparency spi-matching"),
        ("nat-service-esp", r"ip nat service list \S+ (?:ESP spi-match|IKE preserve-port)"),
        ("show-nat-esp", r"show ip nat translations esp\b.*"),
        ("show-nat-vrf", r"show ip nat translations\b.* vrf\b.*"),
        ("pppoe-profiles", r"bba-group pppoe \S+"),
    )
)
"""By feature, the lines that need it, as they are written in full."""


def feature_of(line: str) -> str | None:
    """The feature without which a release does not know the line."""
    words = " ".join(line.split()).removeprefix("no ").removeprefix("default ")
    return next((feature for feature, pattern in _GATES if pattern.fullmatch(words)), None)


def needed(lines: Iterable[str]) -> tuple[str, ...]:
    """The features without which a release does not know some of the lines: for `ios_releases.missing`."""
    return tuple(dict.fromkeys(feature for line in lines if (feature := feature_of(line)) is not None))


def why_refused(line: str, release: str | None) -> str:
    """What a release's gate says to a line that was refused, as a sentence's end; "" where none is known. `release` is what
    `show version` names; None where nobody has asked."""
    if (feature := feature_of(line)) is None:
        return ""
    known = ios_releases.FEATURES[feature]
    brought = " and ".join(str(one.release) for one in known.introduced if not one.platforms)
    try:
        lacks = ios_releases.missing((feature,), ios_releases.parse(release or ""))
    except UsageError:
        return f"; it came with {brought} ({known.source})"
    return f"; {lacks[0]}" if lacks else ""
