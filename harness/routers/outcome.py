"""What the report's headline says of a script for routers: that it was played, or why its evidence is not to be trusted."""

from __future__ import annotations

from harness.model import Evidence
from harness.report.story import Headline, Tone


def headline(evidence: Evidence, summary: str) -> Headline:
    if evidence.trouble:
        return Headline(Tone.UNTRUSTED, "; ".join(evidence.trouble))
    return Headline(Tone.PLAYED, f"{summary[:1].upper()}{summary[1:]}.")
