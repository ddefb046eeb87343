"""Scripts with other clients than the testbed's: the Windows builds of the vendor's tables, and a peer without NAT traversal."""

from __future__ import annotations

from harness.scenario.basics import alone, pair
from harness.scenario.script import Script

BUILDS = ("windows-2000", "windows-xp", "windows-vista", "windows-8", "windows-10", "windows-11")
"""Personalities whose client comes up behind a NAT."""

POPULATIONS = (
    *(Script(name, f"two clients as {name}", 2, pair, time="virtual", personality=name) for name in BUILDS),
    Script(
        "windows-2000-unpatched",
        "Windows 2000 without the update that brought NAT traversal",
        2,
        pair,
        time="virtual",
        personality="windows-2000-unpatched",
    ),
    Script(
        "no-natt",
        "a client that announces no NAT traversal, without a NAT",
        1,
        alone,
        time="virtual",
        nat="none",
        personality="windows-2000-unpatched",
    ),
)
