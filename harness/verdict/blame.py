"""Which box is to blame for a client's end: a hint, and never one without evidence.

The NAT, if it changed a payload, left an address untranslated, gave two clients one mapping, handed a reply to another client,
forgot a mapping in use, or let the client's packets vanish. Else the gateway, if it closed, put the client's words into another
client's SA, or fell silent on questions that had reached it. Else the client, if it ended by itself. Else nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.model import FrameKind, Observation, Side
from harness.verdict.altered import altered
from harness.verdict.dials import dials
from harness.verdict.pulse import carriers
from harness.verdict.reading import Reading
from harness.verdict.remapping import remappings
from harness.verdict.survival import OUTAGE_S, Cause, Life

REACTION_S = 1.0
"""A gateway may take this long to act on a message: one that came this much before the last answered mark still counts."""


@dataclass(frozen=True, slots=True)
class Blame:
    """`box` is "nat", "gateway", "client" or None; `why` the sentence; `frames` what shows it."""

    box: str | None
    why: str
    frames: tuple[Observation, ...] = ()

    def facts(self) -> dict[str, object]:
        return {"box": self.box, "why": self.why, "frames": [[o.side.value, o.frame] for o in self.frames[:10]]}


def nat_faults(reading: Reading) -> tuple[Blame, ...]:
    """Everything the NAT did that a NAT must not do, whoever was hit."""
    return reading.once(_nat_faults)


def _nat_faults(reading: Reading) -> tuple[Blame, ...]:
    return (*_payload(reading), *_untranslated(reading), *_colliding(reading), *_misdelivered(reading))


def blame(reading: Reading, life: Life, proof: tuple[Observation, ...] = ()) -> Blame:
    """For a client that ended; `proof` are frames with its words on another client's SA."""
    for fault in nat_faults(reading):
        if not fault.frames or life.client in _concerned(reading, fault.frames):
            return fault
    if proof:
        return Blame("gateway", f"the gateway put {life.client}'s traffic into another client's SA", proof)
    if life.end.cause in (Cause.GATEWAY_DELETE, Cause.STOP_CCN, Cause.CDN, Cause.LCP_TERMINATE):
        return Blame(
            "gateway", f"the gateway ended it: {life.end.cause.value}", () if life.end.frame is None else (life.end.frame,)
        )
    if life.end.cause is Cause.SILENCE:
        return _silent(reading, life)
    if life.end.cause in (Cause.CLIENT_CLOSED, Cause.CLIENT_DELETE, Cause.VANISHED):
        return Blame(
            "client", f"{life.client} ended it: {life.end.cause.value}", () if life.end.frame is None else (life.end.frame,)
        )
    return Blame(None, "the captures show no fault of any box")


def _silent(reading: Reading, life: Life) -> Blame:
    """Whose silence: the unanswered questions either reached the gateway's side, or the NAT swallowed them."""
    for change in remappings(reading):
        if change.client == life.client and change.followed is None and abs(change.first.t - life.end.t) <= REACTION_S:
            return Blame("nat", change.sentence, (change.last, change.first))
    unanswered = [a.question for a in life.asked if a.answer is None and a.question.t >= life.end.t]
    behind = reading.once(_behind)
    passed = [behind[q.frame] for q in unanswered if q.frame in behind]
    swallowed = [q for q in unanswered if q.frame not in behind]
    if swallowed and not passed:
        return Blame("nat", f"{life.client}'s packets went into the NAT and did not come out", tuple(swallowed))
    reached = reading.once(_handed_over)
    held_back = [
        o
        for o in carriers(reading, Side.OUTSIDE, "down")
        if life.end.t <= o.t < life.until and reading.flow_owner(o) == life.client and o.frame not in reached
    ]
    if held_back:
        return Blame("nat", f"the gateway's packets for {life.client} went into the NAT and did not come out", tuple(held_back))
    if passed:
        refused = _refusals(reading, life.end.t)
        answer = "only 'port unreachable' came back, as from a gateway whose IKE daemon is gone" if refused else "nothing came back"
        everybody = "; it said nothing to any other client either" if fell_mute(reading, life.end.t) else ""
        return Blame("gateway", f"{life.client}'s packets reached the gateway, and {answer}{everybody}", (*passed, *refused))
    return Blame(None, f"nothing shows where {life.client}'s packets were lost")


def _behind(reading: Reading) -> Mapping[int, Observation]:
    """Inside frame → the frame that it became outside."""
    return {c.before.frame: c.behind for c in reading.crossings() if c.direction == "up"}


def _handed_over(reading: Reading) -> frozenset[int]:
    """The outside frames from the gateway that came out inside."""
    return frozenset(c.before.frame for c in reading.crossings() if c.direction == "down")


def fell_mute(reading: Reading, since: float) -> bool:
    """Whether the gateway sent no IKE and no ESP to anybody from `since` on, but for what was under way, for as long as an outage.

    Such a gateway is dead or deaf; it has not turned from one client to another.
    """
    if reading.end_of_capture(Side.OUTSIDE) - since < OUTAGE_S:
        return False
    down = (o for o in reading.way(Side.OUTSIDE, "down") if o.kind in (FrameKind.IKE, FrameKind.ESP, FrameKind.L2TP_CLEAR))
    return not any(o.t > since + REACTION_S for o in down)


def _refusals(reading: Reading, since: float) -> tuple[Observation, ...]:
    """ICMP port unreachable (type 3, code 3) from the gateway itself: nothing listens there any more."""
    icmp = reading.way(Side.OUTSIDE, "down", FrameKind.ICMP)
    return tuple(o for o in icmp if o.t >= since and (o.headers.get("icmp_type"), o.headers.get("icmp_code")) == (3, 3))


def _concerned(reading: Reading, frames: tuple[Observation, ...]) -> set[str | None]:
    """The clients that a fault's frames belong to, by SA, cookie or inside address."""
    return {c for o in frames for c in (reading.flow_owner(o), reading.at_address(o.src), reading.at_address(o.dst))}


def _payload(reading: Reading) -> Iterator[Blame]:
    changed = altered(reading)
    for client in reading.clients:
        frames = tuple(o for a in changed if client in _concerned(reading, (a.before, a.behind)) for o in (a.before, a.behind))
        if frames:
            yield Blame("nat", f"the NAT changed {len(frames) // 2} payloads of {client}", frames)


def _untranslated(reading: Reading) -> Iterator[Blame]:
    """Where there is a NAT at all: what only routes may let any address through."""
    if not reading.evidence.nat_outside:
        return
    frames: dict[str, list[Observation]] = {}
    for o in reading.frames(Side.OUTSIDE):
        client = reading.at_address(o.src) or reading.at_address(o.dst)
        if client is not None:
            frames.setdefault(client, []).append(o)
    for client, found in frames.items():
        yield Blame("nat", f"the NAT let {client}'s inside address through", tuple(found))


def _colliding(reading: Reading) -> Iterator[Blame]:
    """One outside port for two clients while both were using it, each in one of its lives."""
    lives = {client: dials(reading, client) for client in reading.clients}
    spans: dict[int, dict[tuple[str, int], list[Observation]]] = {}
    for c in reading.crossings():
        client = reading.at_address(c.inside.src)
        if c.direction == "up" and client is not None and c.outside.sport is not None:
            life = next((d.number for d in reversed(lives[client]) if d.began <= c.inside.t), 1)
            spans.setdefault(c.outside.sport, {}).setdefault((client, life), []).append(c.outside)
    for port, users in spans.items():
        names = sorted(users)
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                a, b = users[one], users[other]
                if one[0] != other[0] and a[0].t <= b[-1].t and b[0].t <= a[-1].t:
                    yield Blame("nat", f"the NAT gave {one[0]} and {other[0]} the same port {port}", (a[0], b[0]))


def _misdelivered(reading: Reading) -> Iterator[Blame]:
    """A packet that left the gateway on the right SA and to the right port, and was handed to another client."""
    wrong: dict[str, list[Observation]] = {}
    for c in reading.crossings():
        owner, receiver = reading.flow_owner(c.outside), reading.at_address(c.inside.dst)
        if c.direction != "down" or owner is None or receiver is None or receiver == owner:
            continue
        if reading.at_port(c.outside.dport, c.outside.t) in (None, owner):
            wrong.setdefault(owner, []).append(c.inside)
    for owner, frames in wrong.items():
        yield Blame("nat", f"the NAT handed {len(frames)} of {owner}'s packets to another client", tuple(frames))
