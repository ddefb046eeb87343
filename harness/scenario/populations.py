"""Scripts with other clients than the testbed's: the Windows builds of the vendor's tables, and a peer without NAT traversal."""

from __future__ import annotations

from harness.scenario.basics import alone, pair
from harness.scenario.script import Script

BUILDS = {
    "windows-2000": "windows2000",
    "windows-xp": "windowsxp",
    "windows-vista": "windowsvista",
    "windows-10": "windows10",
}
"""Scenario → personality. Windows 7 is the testbeds' own; Windows 8 and 11 are not told apart from 7 and 10 by anything on the wire
that is known here."""

POPULATIONS = (
    *(Script(name, f"two clients as {build}", 2, pair, time="virtual", personality=build) for name, build in BUILDS.items()),
    Script(
        "windows-2000-unpatched",
        "Windows 2000 without the update that brought NAT traversal, behind a NAT that knows ports only",
        2,
        pair,
        time="virtual",
        nat="ports-only",
        personality="windows2000-unpatched",
        not_up=frozenset({"c1", "c2"}),
    ),
    Script(
        "windows-98",
        "Windows 98, which has no client to dial with, beside one that has",
        2,
        pair,
        time="virtual",
        overrides={"c1": {"personality": "windows98"}},
        not_up=frozenset({"c1"}),
    ),
    Script(
        "no-natt",
        "a client that announces no NAT traversal, without a NAT",
        1,
        alone,
        time="virtual",
        nat="none",
        personality="windows2000-unpatched",
    ),
)
