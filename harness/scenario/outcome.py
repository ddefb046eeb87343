"""What one scenario's evidence says as a whole, for the report's headline. The suites judge single behaviours beside it."""

from __future__ import annotations

from dataclasses import replace

from harness.devices import linux_config
from harness.model import Evidence, Verdict
from harness.report.blame import headline
from harness.report.story import Headline
from harness.verdict import mapping, story, survivors
from harness.verdict.blame import who_is_to_blame


def sum_up(evidence: Evidence) -> tuple[dict[str, Verdict], Headline]:
    """The verdicts on the whole by subject, and the headline: who lost their session, to whom, and which box is to blame."""
    alive = survivors.all_survive_every_newcomer if len(evidence.plans) > 1 else survivors.sessions_last
    verdicts = {
        "survival": alive(evidence),
        "nothing in clear": mapping.nothing_crosses_in_clear(evidence),
        "mappings": mapping.mappings_last(evidence),
    }
    drawn = headline(evidence, verdicts)
    box = None if evidence.trouble else who_is_to_blame(evidence).box
    head = replace(
        drawn,
        blame=drawn.blame or (() if box is None else (box,)),
        sentence=" ".join(story.tell(evidence)),
        ended=tuple(story.ended_by_script(evidence)),
        remark=linux_config.remark(evidence.variant),
    )
    return verdicts, head
