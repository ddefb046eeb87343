"""Whose doing an end was that nothing else explains, and whose silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.model import FrameKind, Observation, RecordKind, Side
from harness.verdict.dials import STAMP_GRAIN_S, dials, left_behind
from harness.verdict.link_cuts import cut
from harness.verdict.pulse import carriers
from harness.verdict.reading import Reading, deletes, ike, spi_of
from harness.verdict.remapping import remappings
from harness.verdict.rules.answers import farewells, name_of, refused, speaker, to_be_dropped
from harness.verdict.rules.rule import CLIENT, GATEWAY, NAT, Blame, Proof
from harness.verdict.survival import OUTAGE_S, Cause, Life, every_life

REACTION_S = 1.0
"""A gateway may take this long to act on a message: one that came this much before the last answered mark still counts."""

GATEWAY_CLOSES = (Cause.GATEWAY_DELETE, Cause.STOP_CCN, Cause.CDN, Cause.LCP_TERMINATE)
CLIENT_CLOSES = (Cause.CLIENT_CLOSED, Cause.CLIENT_DELETE, Cause.VANISHED)
_PROTOCOL = (FrameKind.IKE, FrameKind.ESP, FrameKind.L2TP_CLEAR)


def reasons_kept(reading: Reading, life: Life) -> bool:
    """Whether the captures would show why the gateway closed. One that ends a link by LCP may have asked the client before and had
    no answer; where captures do not keep LCP's echoes, nobody can tell who kept that answer from it."""
    return life.end.cause is not Cause.LCP_TERMINATE or all(facts.kept == "everything" for facts in reading.evidence.captures)


def closed_by_gateway(reading: Reading) -> Iterator[Proof]:
    for life in every_life(reading):
        closed = life.died and life.end.cause in GATEWAY_CLOSES and reasons_kept(reading, life)
        if closed and life.end.frame is not None:
            yield Proof(life.client, (life.end.frame,), {"cause": life.end.cause.value})


def closed_by_client(reading: Reading) -> Iterator[Proof]:
    for life in every_life(reading):
        if life.left_by_itself and not life.cut_off and life.end.frame is not None:
            yield Proof(life.client, (life.end.frame,), {"cause": life.end.cause.value})


def went_silently(reading: Reading) -> Iterator[Proof]:
    """A client that was told to hang up, did so, and said nothing of it: neither CDN, StopCCN nor Delete (RFC 2661 section 5.6)."""
    said = reading.once(farewells)
    for step in reading.steps("client-close"):
        client = step.name.partition(":")[2]
        life = next((one for one in reversed(every_life(reading)) if one.client == client and one.began <= step.began), None)
        if life is None or life.up is None or life.died or step.detail.get("carried_out") is False:
            continue
        if not any(step.began - STAMP_GRAIN_S <= t < life.until for t in said.get(client, ())):
            records = tuple(r for r in reading.records(client, RecordKind.ENDED) if life.began <= r.t < life.until)
            yield Proof(client, (life.up,), {}, records)


def went_on(reading: Reading) -> Iterator[Proof]:
    """A client that deleted the last SA it had, and then sent on another one in the same life: the new pair was agreed, but never
    at work before the Delete for the old one, so that the gateway had to take that for the end (RFC 2408 section 3.15)."""
    sent = reading.once(_sent_in_esp)
    for client in reading.clients:
        for dial in dials(reading, client):
            byes = [o for o in dial.part(sent.get(client, ())) if o.kind is FrameKind.IKE]
            for bye in byes:
                later = [o for o in dial.part(sent[client]) if o.kind is FrameKind.ESP and o.t > bye.t + STAMP_GRAIN_S]
                if later:
                    yield Proof(client, (bye, later[0]), {"spi": spi_of(later[0])})
                    break


def refused_authentication(reading: Reading) -> Iterator[Proof]:
    """Main mode or PPP authentication that a gateway refused in words, of a client it had not taken before. Which of the two holds
    the wrong secret the wire does not say; the one who has to prove himself is the client."""
    for client, asked, said in refused(reading):
        if said and not _took_before(reading, client, asked.t):
            yield Proof(client, (asked, *said), {"asked": name_of(asked)[0]})


def refused_for_no_reason(reading: Reading) -> Iterator[Proof]:
    """Authentication that went through before with the same secret, or that the gateway never even answered."""
    for client, asked, said in refused(reading):
        if _odd_secret(reading, client) or (not said and _told_reason(reading, client)):
            continue
        if not said or _took_before(reading, client, asked.t):
            yield Proof(client, (asked, *said), {"asked": name_of(asked)[0]})


def odd_secret(reading: Reading) -> Iterator[Proof]:
    """A client that was given another pre-shared key than all the others, and whose main mode came to nothing; or that gave
    another name than its own."""
    for client, asked, said in refused(reading):
        if _odd_secret(reading, client):
            yield Proof(client, (asked, *said))
    if not reading.evidence.accounts:
        return  # nobody says which name is a client's own
    for plan in reading.evidence.plans:
        for o in reading.way(Side.INSIDE, "up", FrameKind.ESP):
            named = o.inner.ppp.get("name") if o.inner is not None and o.inner.ppp is not None else None
            if reading.sa_owner(o) == plan.name and named not in (None, plan.user):
                yield Proof(plan.name, (o,))
                break


def refusal_told(reading: Reading) -> Iterator[Proof]:
    """Authentication that a gateway left without an answer, and says why: what the client sent does not fit the secret."""
    for client, asked, said in refused(reading):
        if not said and _told_reason(reading, client):
            yield Proof(client, (asked,), {"asked": name_of(asked)[0]})


def silent(reading: Reading, life: Life) -> Blame:
    """Whose silence: the unanswered questions either reached the gateway's side, or the NAT swallowed them."""
    for change in remappings(reading):
        if change.client == life.client and change.followed is None and abs(change.first.t - life.end.t) <= REACTION_S:
            return Blame(NAT, change.sentence, (change.last, change.first))
    unanswered = [a.question for a in life.asked if a.answer is None and a.question.t >= life.end.t]
    behind = reading.once(_behind)
    passed = [behind[q.frame] for q in unanswered if q.frame in behind]
    swallowed = [q for q in unanswered if q.frame not in behind]
    if swallowed and not passed:
        return Blame(NAT, f"{life.client}'s packets went into the NAT and did not come out", tuple(swallowed))
    held_back = [o for o in not_handed_over(reading, life.client) if life.end.t <= o.t < life.until]
    if held_back:
        return Blame(NAT, f"the gateway's packets for {life.client} went into the NAT and did not come out", tuple(held_back))
    if passed:
        refused = _refusals(reading, life.end.t)
        answer = "only 'port unreachable' came back, as from a gateway whose IKE daemon is gone" if refused else "nothing came back"
        everybody = "; it said nothing to any other client either" if fell_mute(reading, life.end.t) else ""
        return Blame(GATEWAY, f"{life.client}'s packets reached the gateway, and {answer}{everybody}", (*passed, *refused))
    return Blame(None, f"nothing shows where {life.client}'s packets were lost")


def not_handed_over(reading: Reading, client: str) -> Iterator[Observation]:
    """What the gateway sent a client, and what did not come out of the NAT, or not as it was."""
    reached = reading.once(_handed_over)
    down = carriers(reading, Side.OUTSIDE, "down")
    return (o for o in down if reading.flow_owner(o) == client and o.frame not in reached)


def never_up(reading: Reading, life: Life) -> Blame:
    """Whose turn it was when a set-up stopped: the one whom the last word of the exchange had reached."""
    outside, inside = (_set_up(reading, side, life) for side in (Side.OUTSIDE, Side.INSIDE))
    last = max(outside, key=lambda o: (o.t, o.frame), default=None)
    if last is None:
        return Blame(NAT, f"nothing of {life.client}'s came out of the NAT", tuple(inside[-3:])) if inside else Blame(
            None, f"{life.client} never sent anything"
        )  # fmt: skip
    stage = "set-up" if life.end.stage is None else life.end.stage.value
    if reading.direction(last) == "up" and cut(reading, last.t):
        return Blame(None, f"the link was cut when {life.client} sent the last word of its set-up")
    if reading.direction(last) == "up" and to_be_dropped(reading, last):
        return Blame(None, f"the gateway was told to drop what {life.client} sends")
    if reading.direction(last) == "up":
        return Blame(GATEWAY, f"{life.client}'s {stage} stopped where it was the gateway's turn", (last,))
    if any(o.payload_digest == last.payload_digest for o in inside):
        return Blame(CLIENT, f"{life.client}'s {stage} stopped where it was its own turn", (last,))
    return Blame(NAT, f"the gateway's last word in {life.client}'s {stage} went into the NAT and did not come out", (last,))


def fell_mute(reading: Reading, since: float) -> bool:
    """Whether the gateway sent no IKE and no ESP to anybody from `since` on, but for what was under way, for as long as an outage.

    Such a gateway is dead or deaf; it has not turned from one client to another.
    """
    if reading.end_of_capture(Side.OUTSIDE) - since < OUTAGE_S:
        return False
    down = (o for o in reading.way(Side.OUTSIDE, "down") if o.kind in _PROTOCOL)
    return not any(o.t > since + REACTION_S for o in down)


def _sent_in_esp(reading: Reading) -> Mapping[str, tuple[Observation, ...]]:
    """Of each client, by time, its ESP and the Deletes for ESP SAs that leave nothing."""
    found: dict[str, list[Observation]] = {}
    for o in reading.way(Side.INSIDE, "up"):
        owner = reading.flow_owner(o)
        last = o.kind is FrameKind.IKE and "esp" in deletes(o) and not reading.replaced(o)
        if owner is not None and (last or o.kind is FrameKind.ESP):
            found.setdefault(owner, []).append(o)
    return {client: tuple(frames) for client, frames in found.items()}


def _in_life(reading: Reading, o: Observation, life: Life) -> bool:
    return o.kind in _PROTOCOL and life.began <= o.t < life.until and speaker(reading, o) == life.client


def _set_up(reading: Reading, side: Side, life: Life) -> list[Observation]:
    """What was said on one side to set up a life, until its client said good-bye; nothing on SAs that it had before."""
    former = next(left_behind(reading, dial) for dial in dials(reading, life.client) if dial.number == life.number)
    byes = (t for t in reading.once(farewells).get(life.client, ()) if life.began <= t < life.until)
    gave_up = min(byes, default=float("inf"))
    own = (o for o in reading.frames(side) if _in_life(reading, o, life) and o.t < gave_up)
    return [o for o in own if (spi_of(o) or ike(o, "icookie")) not in former]


def _behind(reading: Reading) -> Mapping[int, Observation]:
    """Inside frame → the frame that it became outside."""
    return {c.before.frame: c.behind for c in reading.crossings() if c.direction == "up"}


def _handed_over(reading: Reading) -> frozenset[int]:
    """The outside frames from the gateway that came out inside."""
    return frozenset(c.before.frame for c in reading.crossings() if c.direction == "down")


def _refusals(reading: Reading, since: float) -> tuple[Observation, ...]:
    """ICMP port unreachable (type 3, code 3) from the gateway itself: nothing listens there any more."""
    icmp = reading.way(Side.OUTSIDE, "down", FrameKind.ICMP)
    return tuple(o for o in icmp if o.t >= since and (o.headers.get("icmp_type"), o.headers.get("icmp_code")) == (3, 3))


def _odd_secret(reading: Reading, client: str) -> bool:
    """Whether the plan gives this client another pre-shared key than most have; with two clients, nobody can say whose is odd."""
    secrets = [p.psk.reveal() for p in reading.evidence.plans]
    own = next(p.psk.reveal() for p in reading.evidence.plans if p.name == client)
    return len(secrets) > 2 and secrets.count(own) * 2 < len(secrets)


def _took_before(reading: Reading, client: str, t: float) -> bool:
    """Whether the gateway let the same client in earlier in the run."""
    return any(r.t < t for r in reading.records(client, RecordKind.PPP_UP))


_REASONS = ("hash", "authent", "decrypt", "secret", "password", "malformed", "padding")


def _told_reason(reading: Reading, client: str) -> bool:
    """Whether the gateway says that what the client sent was not what was agreed between them."""
    identity = reading.identities.get(client)
    ports = () if identity is None else (identity.outside_ike_port, identity.outside_natt_port)
    return any(
        e.kind in ("refused", "dropped")
        and e.peer_port in ports
        and any(word in str(e.detail.get("reason", "")).lower() for word in _REASONS)
        for e in reading.evidence.gateway_events
    )
