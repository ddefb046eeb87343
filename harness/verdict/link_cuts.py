"""The link between NAT and gateway, cut by the scenario itself. Both captures are on the NAT's side of the cut: what goes up shows
on both and reaches nobody, what comes down shows on neither. Nobody has to answer for what was under way then."""

from __future__ import annotations

from harness.verdict.reading import Reading

LINK_CUT = "link-down"
"""The step: it begins before the link is cut, and ends once it is whole again."""

UNDER_WAY_S = 0.5
"""A question asked this shortly before may have its answer cut off: far longer than an answer takes in a lab."""


FOUND_AGAIN_S = 1.5
"""Neighbours that lost one another ask again once a second (RFC 826 leaves it to them), and keep back what they are to send."""

LAST_WAIT_S = 10.0
"""After the last try: 8 s for an L2TP message (RFC 2661 section 5.8), 10 s for LCP Echo-Requests of clients that send any."""


def cut(reading: Reading, t: float) -> bool:
    """Whether what was sent at `t` may have met a link that the scenario had cut, or waited for it."""
    return any(s.began - UNDER_WAY_S <= t <= s.ended + FOUND_AGAIN_S for s in reading.steps(LINK_CUT))


def gives_up(reading: Reading, t: float) -> bool:
    """Whether whoever gives up for want of an answer at `t` may have asked for it in vain because of a cut."""
    return any(s.began <= t <= s.ended + LAST_WAIT_S for s in reading.steps(LINK_CUT))


def seconds(reading: Reading) -> float:
    """For how long it was cut, in all."""
    return sum(s.ended - s.began for s in reading.steps(LINK_CUT))
