"""A link's desk that takes its time."""

from __future__ import annotations

import random

from harness.virtual import settings as virtual
from harness.virtual.journal import Journal
from harness.virtual.links import Links
from harness.virtual.parts import Parts
from harness.virtual.settings import Settings
from harness.wire.ppp.authority import Claim, Decision


class Slow:
    def judge(self, now, link, claim):
        return None

    def began(self, now, link):
        raise AssertionError("nobody is up")

    def ended(self, now, link, by, reason):
        raise AssertionError("nobody was up")


def test_a_decision_counts_for_the_newest_claim_alone():
    """A link that has begun again while the first answer was under way: what is accounted rests on the second."""
    settings = Settings(virtual.load("plain"))
    links = Links(settings, random.Random(1).randbytes, Parts(), Journal(), 0, lambda now, link, packet: None)
    links.desk = Slow()
    link = links.begin(0.0, 1, 1, 1, ("10.0.0.1", 1701))
    first, second = (Claim("pap", f"user{number}", number, b"", b"pw") for number in (1, 2))
    for claim in (first, second):
        assert links.judge(0.0, link, claim) is None
    assert link.login.user == "user2"
    links.decide(1.0, link, first, Decision(True, "user1", address="10.0.0.99"))
    assert link.decision is None
    wanted = Decision(True, "user2")
    links.decide(1.0, link, second, wanted)
    assert link.decision is wanted
