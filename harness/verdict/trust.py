"""Is the evidence to be trusted? If not, the verdict is INCONCLUSIVE: neither a pass nor a failure of the device.

Every check is wrapped by `check(...)`, which names what the check rests on; only that can make it inconclusive. What always
counts: trouble that the run itself reported, and a client that was planned but never told to connect.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol

from harness.errors import Inconclusive
from harness.model import Evidence, FrameKind, Observation, Outcome, RecordKind, Side, Verdict
from harness.verdict.altered import CLOCK_GRAIN_S, altered, explained, made
from harness.verdict.dials import dials, latest, own_frames
from harness.verdict.foreign import agreed_spis, foreign, foreign_facts
from harness.verdict.pulse import asked
from harness.verdict.reading import Crossing, Reading, ike, l2tp_message, mark_of, reading_of, spi_of
from harness.verdict.stages import progress

CLOCK_BOUND_S = 0.1
"""Greatest median distance between what a client says it sent and the frame that carries it, and between two captures."""

SET_UP_S = 30.0
"""Of captures taken elsewhere: a set-up that began less than this before they end may well not be complete."""

P = ParamSpec("P")


class Need(StrEnum):
    """What a check may rest on."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    FAR_END = "far-end"
    TRANSLATED = "translated"
    CLOCKS = "clocks"
    GENERATOR = "generator"
    MARKS = "marks"
    DECRYPTED = "decrypted"
    PAIRED = "paired"
    VIEWS = "views"
    COOKIES = "cookies"  # of ISAKMP SAs, in the gateway's views: not every kind of gateway shows them
    GATEWAY_EVENTS = "gateway-events"
    NAT_VIEWS = "nat-views"
    PRINTED = "printed"


SIDES = {Need.INSIDE: Side.INSIDE, Need.OUTSIDE: Side.OUTSIDE, Need.FAR_END: Side.FAR_END, Need.TRANSLATED: Side.TRANSLATED}
WIRE = (Need.INSIDE, Need.OUTSIDE)
TRAFFIC = (Need.INSIDE, Need.OUTSIDE, Need.DECRYPTED, Need.PAIRED, Need.GENERATOR, Need.CLOCKS, Need.MARKS)
"""What every judgement on survival rests on."""


class Check(Protocol):
    """A check as the suites see it: Evidence in, Verdict out."""

    __name__: str
    __doc__: str | None
    needs: tuple[Need, ...]

    def __call__(self, evidence: Evidence) -> Verdict: ...


def check(*needs: Need) -> Callable[[Callable[Concatenate[Reading, P], Verdict]], Callable[Concatenate[Evidence, P], Verdict]]:
    """The gate before a check: doubts about what it `needs` make it INCONCLUSIVE before it looks at anything.

    The check itself takes a Reading, and may raise Inconclusive where what it judges did not happen.
    """

    def wrap(judge: Callable[Concatenate[Reading, P], Verdict]) -> Callable[Concatenate[Evidence, P], Verdict]:
        @wraps(judge)
        def gated(evidence: Evidence, *args: P.args, **kwargs: P.kwargs) -> Verdict:
            reading = reading_of(evidence)
            found = doubts(reading, needs)
            if found:
                return Verdict(Outcome.INCONCLUSIVE, "; ".join(found[:6]), {"doubts": list(found)})
            try:
                verdict = judge(reading, *args, **kwargs)
            except Inconclusive as doubt:
                return Verdict(Outcome.INCONCLUSIVE, str(doubt), {"doubts": [str(doubt)]})
            strange = foreign_facts(reading) if Need.DECRYPTED in needs else {}
            return replace(verdict, facts={**verdict.facts, **strange}) if strange else verdict

        gated.needs = needs  # type: ignore[attr-defined]
        return gated  # type: ignore[return-value]

    return wrap


def doubts(reading: Reading, needs: tuple[Need, ...]) -> tuple[str, ...]:
    """Every reason, as a sentence, why what a check needs is not to be trusted; () where all is well."""
    sides = tuple(SIDES[n] for n in needs if n in SIDES)
    found = [*reading.evidence.trouble, *_half_up(reading)]
    for side in sides:
        found += _capture(reading, side)
    if Need.DECRYPTED in needs:
        for side in (s for s in sides if s in (Side.INSIDE, Side.OUTSIDE)):
            found += _unreadable(reading, side)
    if Need.PAIRED in needs or not reading.evidence.accounts:
        found += _unpaired(reading)
    if Need.GENERATOR in needs:
        found += _generator(reading)
    if Need.DECRYPTED in needs and not reading.evidence.accounts:
        found += _missed(reading)
    if Need.CLOCKS in needs:
        found += _clocks(reading)
    if Need.MARKS in needs:
        found += _marks(reading)
    if Need.VIEWS in needs and not reading.evidence.gateway_views:
        found.append("the gateway's own account (sessions, SAs) is missing")
    if Need.GATEWAY_EVENTS in needs and not reading.evidence.gateway_events:
        found.append("the gateway tells no events, so nothing shows when what happened inside it")
    if Need.NAT_VIEWS in needs and not any(view.mappings for view in reading.evidence.nat_views):
        found.append("the NAT's own table is missing")
    if Need.PRINTED in needs and not reading.evidence.printed:
        found.append("nothing was typed at the gateway's command line")
    return tuple(dict.fromkeys(found))


def _half_up(reading: Reading) -> Iterator[str]:
    if not reading.evidence.accounts:
        return  # nobody planned anything: the clients are those that the captures show
    if not reading.clients:
        yield "no client was planned"
    for client in reading.clients:
        if reading.step(f"connect:{client}") is None:
            yield f"the lab was half up: {client} was planned but never told to connect"


def _capture(reading: Reading, side: Side) -> Iterator[str]:
    facts = reading.capture(side)
    if facts is None:
        yield f"there is no capture of the {side.value} side"
        return
    if facts.dropped:
        yield f"the {side.value} capture lost {facts.dropped} frames"
    if not facts.complete:
        why = f" ({facts.interface}: {facts.why})" if facts.why else ""
        yield f"the {side.value} capture does not cover the run from before its first packet to its orderly end{why}"
    if not reading.frames(side):
        yield f"the {side.value} capture is empty"


def _unreadable(reading: Reading, side: Side) -> Iterator[str]:
    """IKE and ESP that the run's keys should open and did not."""
    for client in reading.clients:
        if client not in reading.identities:
            yield f"the captures do not show who {client} is"
    keyed = {str(r.data["icookie"]) for r in reading.evidence.records if r.kind is RecordKind.IKE_UP}
    known = {id(a.behind) for a in altered(reading)} | {id(o) for found in foreign(reading).values() for o in found}
    for o in reading.frames(side):
        if id(o) in known or o.kind not in (FrameKind.IKE, FrameKind.ESP):
            continue
        reason = _why_unreadable(reading, o, keyed)
        if reason:
            yield f"{side.value} frame {o.frame}: {reason}"


def _why_unreadable(reading: Reading, o: Observation, keyed: set[str]) -> str | None:
    if o.kind is FrameKind.IKE:
        lost = ike(o, "encrypted") and not ike(o, "decrypted") and not ike(o, "retransmission")
        if lost and not reading.evidence.accounts:
            return o.problem or "no key opens this IKE message"
        if lost and str(ike(o, "icookie")) in keyed:
            return "an IKE message could not be decrypted though its key is known"
        return None if o.problem is None else o.problem
    if not reading.evidence.accounts and o.inner is None:
        return o.problem or f"no key opens ESP with SPI {spi_of(o)}"
    if spi_of(o) not in agreed_spis(reading):
        return f"ESP with SPI {spi_of(o)}, which no client agreed"
    if o.problem is not None:
        return o.problem
    return "an ESP packet could not be decrypted though its key is known" if o.inner is None else None


def _unpaired(reading: Reading) -> Iterator[str]:
    """A frame can vanish in the NAT, or be altered or copied by it, but cannot be born there, save a keepalive: one that was must
    have been missed before. What somebody else sends to the gateway on the outside never was in the NAT.

    Captures taken elsewhere do not say of themselves that they are whole: such a frame shows that one of them is not, whatever is
    asked of them.
    """
    if not reading.evidence.accounts and not (reading.frames(Side.INSIDE) and reading.frames(Side.OUTSIDE)):
        return  # there is one capture, as is said elsewhere
    paired = {(Side.INSIDE, p.inside) for p in reading.evidence.pairs} | {(Side.OUTSIDE, p.outside) for p in reading.evidence.pairs}
    known = explained(reading) | {id(o) for o in made(reading)}
    for side, direction in ((Side.OUTSIDE, "up"), (Side.INSIDE, "down")):
        for o in reading.way(side, direction):
            if o.kind in (FrameKind.ICMP, FrameKind.OTHER) or (side, o.frame) in paired or id(o) in known:
                continue
            if direction == "up" and o.src != reading.evidence.nat_outside and reading.at_address(o.src) is None:
                continue
            yield f"{side.value} frame {o.frame} came out of the NAT, and nothing like it was captured going in"


def _generator(reading: Reading) -> Iterator[str]:
    if not reading.evidence.accounts:
        yield from unfinished(reading)
    for r in reading.evidence.records:
        if r.kind is RecordKind.IMPAIRED:
            yield f"the traffic generator fell behind: {r.data.get('reason', 'no reason given')}"


def unfinished(reading: Reading) -> Iterator[str]:
    """Of captures taken elsewhere: each client's connection has to be in them from its first message on, and long enough for a
    set-up to come to its end. Nobody but the wire says what a client did."""
    if not reading.clients:
        yield "the captures do not show who the clients are"
    for client in reading.clients:
        lives = dials(reading, client)
        first = progress(reading, lives[0]).first
        own, came = own_frames(reading, lives[-1]), progress(reading, lives[-1])
        if first is None or not own:
            yield f"the capture holds nothing of {client}'s that could be told to be its own"
        elif ike(first, "message") not in ("MM1", "AM1") and l2tp_message(first) != "SCCRQ":
            yield f"{client} was connected, or connecting, before the capture began: its first message is not there"
        elif came.up is None and reading.end_of_capture(Side.INSIDE) - own[0].t < SET_UP_S:
            yield f"the capture ends less than {SET_UP_S:.0f} s after {client} began to connect, and it was not up yet"


def _missed(reading: Reading) -> Iterator[str]:
    """Of captures taken elsewhere: questions that were answered, so they did reach the gateway, and not by the outside capture."""
    for client in reading.clients:
        missed = [a.sequence for a in asked(reading, client) if a.answer is not None and a.reached is None]
        if missed:
            yield f"the outside capture lacks {len(missed)} of {client}'s marks that were answered, the first of them {missed[0]}"


def _clocks(reading: Reading) -> Iterator[str]:
    clock = reading.evidence.clock
    if clock is not None and not clock.bound_s <= CLOCK_BOUND_S:
        why = clock.why or f"the offset of the captures' clocks is known to within {clock.bound_s:.3f} s only"
        yield f"{why}; {CLOCK_BOUND_S:g} s is needed"
    distances = list(_record_distances(reading))
    if not reading.evidence.accounts:
        pass  # no client kept a clock of its own
    elif not distances:
        yield "no client record could be matched with a frame, so the clocks cannot be compared"
    elif abs(statistics.median(distances)) > CLOCK_BOUND_S:
        cure = "let NTP set the clocks of this machine and of the one that captures"
        yield f"the clients' clock is {statistics.median(distances):+.3f} s off the capture's ({cure})"
    apart = clocks_apart(reading.crossings())
    if abs(apart) > CLOCK_BOUND_S:
        yield f"the clocks of the two captures are {apart:+.3f} s apart"


def clocks_apart(crossings: Iterable[Crossing]) -> float:
    """How much later the outside clock is, in seconds, as far as the packets prove it: 0.0 where none comes out before it went in,
    either way, since a NAT may be slow, and slow one way only. Else half of what transit upwards takes longer than transit
    downwards; by the quickest packets where that, by most, is less than they prove. With one direction alone transit cannot be told
    from the clocks, and counts as theirs.

    Where two clocks stamped the captures, `Evidence.clock` bounds what this leaves open."""
    took: dict[str, list[float]] = {}
    for c in crossings:
        took.setdefault(c.direction, []).append(c.behind.t - c.before.t)
    if len(took) < 2:
        return sum(statistics.median(found) * (1.0 if way == "up" else -1.0) for way, found in took.items())
    up, down = min(took["up"]), min(took["down"])
    if min(up, down) >= -CLOCK_GRAIN_S:
        return 0.0
    later = (statistics.median(took["up"]) - statistics.median(took["down"])) / 2
    return max(later, min(up, 0.0), max(-down, 0.0), key=abs)


def _record_distances(reading: Reading) -> Iterator[float]:
    """Frame time minus record time, for everybody's first datagram and every marked packet that both accounts hold."""
    sent: dict[tuple[str, int], float] = {}
    first: dict[str, float] = {}
    for o in reading.way(Side.INSIDE, "up"):
        client = reading.at_address(o.src)
        if client is None:
            continue
        first.setdefault(client, o.t)
        mark = mark_of(o)
        if mark is not None and not mark.answer:
            sent.setdefault((client, mark.sequence), o.t)
    for r in reading.evidence.records:
        if r.kind is RecordKind.STARTED and r.client in first:
            yield first.pop(r.client) - r.t  # of its first life: later ones have first datagrams of their own
        elif r.kind is RecordKind.MARK_SENT and (r.client, r.data["sequence"]) in sent:
            yield sent[r.client, r.data["sequence"]] - r.t


def _marks(reading: Reading) -> Iterator[str]:
    """A client that came up and sent no marked packet was not exercised."""
    senders = {
        reading.at_address(o.src) for o in reading.way(Side.INSIDE, "up") if (mark := mark_of(o)) is not None and not mark.answer
    }
    if not senders:
        yield "no marked traffic was sent at all"
        return
    for client in reading.clients:
        told = reading.evidence.accounts
        came = reading.records(client, RecordKind.PPP_UP) if told else progress(reading, latest(reading, client)).up
        if client not in senders and came:
            yield f"{client} came up but sent no marked traffic"
