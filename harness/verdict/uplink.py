"""What a client that was cut off still has: its way up, until its own Hello tells it that nothing comes back."""

from __future__ import annotations

from harness.model import RecordKind, Side, Verdict
from harness.verdict.dials import latest, own_frames, records_in
from harness.verdict.findings import Findings, require
from harness.verdict.killer import Death, deaths
from harness.verdict.reading import Reading, l2tp_message, mark_of
from harness.verdict.survival import SILENCE_MARKS, trusted_lives
from harness.verdict.trust import TRAFFIC, Need, check

HELLO_TRIES = 2
"""An L2TP message that was sent this often was not acknowledged the first time (RFC 2661 section 5.8)."""


@check(*TRAFFIC, Need.FAR_END)
def uplink_survives_eviction_until_hello_fails(reading: Reading) -> Verdict:
    """Scenario "eviction", plain variant: the first client's packets still come out at the far end once it is evicted, and its own
    Hello finds out. How long that took, from the first unanswered mark to the client's own end, is noted."""
    found = trusted_lives(reading)
    killed = deaths(reading, found)
    require(bool(killed), "nobody was evicted, so there is no uplink to look at")
    f = Findings(clients={c: life.facts() for c, life in found.items()}, deaths=[d.facts() for d in killed], detected={})
    for death in killed:
        _expect_uplink(f, reading, death)
        _expect_hello_tells(f, reading, death)
    took = ", ".join(f"{c} after {seconds:.1f} s" for c, seconds in f.facts["detected"].items())
    return f.verdict(f"the evicted went on being heard at the far end; their Hello told {took}")


def _expect_uplink(f: Findings, reading: Reading, death: Death) -> None:
    """All that was asked after the eviction and before the client gave up comes out at the far end."""
    since = death.life.end.t
    asked = {a.sequence for a in death.life.asked if a.question.t >= since and a.reached is not None}
    require(len(asked) >= SILENCE_MARKS, f"{death.victim} asked too little once it was evicted")
    owner = next(p.number for p in reading.evidence.plans if p.name == death.victim)
    heard = {
        m.sequence
        for o in reading.frames(Side.FAR_END)
        if o.t >= since and (m := mark_of(o)) is not None and not m.answer and m.owner == owner
    }
    missing = asked - heard
    lost = f"{len(missing)} of {len(asked)} questions of {death.victim} after its eviction never came out at the far end"
    f.facts.setdefault("uplink", {})[death.victim] = {"asked": len(asked), "at_far_end": len(asked & heard)}
    f.expect(not missing, lost, *(a.reached for a in death.life.asked if a.sequence in sorted(missing)[:5]))


def _expect_hello_tells(f: Findings, reading: Reading, death: Death) -> None:
    """Its Hello is sent again and again without an acknowledgement, and then the client says that it has ended for silence."""
    dial = latest(reading, death.victim)
    since = death.life.end.t
    hellos: dict[int | None, list[float]] = {}
    for o in own_frames(reading, dial):
        if o.t >= since and reading.direction(o) == "up" and l2tp_message(o) == "Hello":
            assert o.inner is not None
            assert o.inner.l2tp is not None
            hellos.setdefault(o.inner.l2tp.get("ns"), []).append(o.t)
    tries = max((len(times) for times in hellos.values()), default=0)
    f.expect(tries >= HELLO_TRIES, f"{death.victim} sent no Hello that went unacknowledged ({tries} sendings) after its eviction")
    ended = next((r for r in records_in(reading, dial, RecordKind.ENDED) if r.t >= since), None)
    by = None if ended is None else ended.data.get("by")
    if f.expect(by == "silence", f"{death.victim} did not notice that it was cut off: ended by {by or 'nobody'}"):
        assert ended is not None
        f.facts["detected"][death.victim] = round(ended.t - since, 3)
    f.facts.setdefault("hello_sendings", {})[death.victim] = tries
