"""Who does not answer what reached it, though it had to: DPD, Hello, Echo, the steps of a set-up, marks, the silence of a mapping.

A question counts where it reached the box that is to answer: inside for a client, outside for the gateway. One that the box may not
have understood, since it came back as a retransmission, is the same question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from harness.model import FrameKind, Observation, RecordKind, Side
from harness.verdict.dials import STAMP_GRAIN_S, dials, left_behind
from harness.verdict.floating import KEEPALIVE_S, TIMER_S
from harness.verdict.link_cuts import cut
from harness.verdict.pulse import LostBy
from harness.verdict.reading import CLOSING_STEPS, Reading, deletes, ike, l2tp_message, ppp, spi_of
from harness.verdict.rules.esp import BY_CLIENT, Find, Said
from harness.verdict.rules.rule import Proof
from harness.verdict.survival import every_life

R_U_THERE, R_U_THERE_ACK = 36136, 36137  # RFC 3706 section 5
ANSWER_S = 1.0
"""A box has this long to answer before the capture ends."""
UNANSWERED = 3
"""So many questions of a kind without any answer, one after another, are no loss."""
LOSS_BUDGET = 0.01
"""Share of the questions of a client that reached the gateway and may go unanswered."""

Name = Callable[[Observation], str | None]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and what answers it, by the names that `name_of` gives to frames. `least`: as many unanswered are a fault."""

    question: str
    answers: tuple[str, ...]
    least: int = 2


STEPS = (
    Exchange("MM1", ("MM2", "refusal")),
    Exchange("MM3", ("MM4", "refusal")),
    Exchange("QM1", ("QM2", "refusal")),
    Exchange("SCCRQ", ("SCCRP", "StopCCN")),
    Exchange("ICRQ", ("ICRP", "CDN", "StopCCN")),
    Exchange("ICCN", ("control",), UNANSWERED),
    Exchange("LCP Configure-Request", ("LCP Configure-Ack", "LCP Configure-Nak", "LCP Configure-Reject"), UNANSWERED),
    Exchange("CHAP Response", ("CHAP Success", "CHAP Failure")),
    Exchange("PAP Authenticate-Request", ("PAP Authenticate-Ack", "PAP Authenticate-Nak")),
    Exchange("IPCP Configure-Request", ("IPCP Configure-Ack", "IPCP Configure-Nak", "IPCP Configure-Reject"), UNANSWERED),
)
"""What a client asks as it sets itself up, and the gateway answers; ICCN it has to acknowledge (RFC 2661 section 5.8). MM5 is not
among them: see `refused`."""

RENEWING = (Exchange("QM2", ("QM3", "refusal"), UNANSWERED),)
"""What the gateway says to a client that began a quick mode, and the client has to end (RFC 2409 section 5.5)."""

ALIVE = (
    Exchange("R-U-THERE", ("R-U-THERE-ACK",), UNANSWERED),
    Exchange("Hello", ("control",), UNANSWERED),
    Exchange("LCP Echo-Request", ("LCP Echo-Reply",), UNANSWERED),
)
"""What either end asks to know whether the other is there."""


def name_of(o: Observation) -> tuple[str, ...]:
    """What a frame is called in the tables above; a control message has its own name, and "control" besides."""
    if o.kind is FrameKind.IKE:
        kinds = {n.get("type") for n in ike(o, "notifies") or ()}
        if R_U_THERE in kinds:
            return ("R-U-THERE",)
        if R_U_THERE_ACK in kinds:
            return ("R-U-THERE-ACK",)
        message = str(ike(o, "message"))
        return ("refusal",) if message == "INFO" and (kinds or not ike(o, "encrypted")) else (message,)
    control = l2tp_message(o)
    if control is not None:
        return (control, "control")
    frame = ppp(o)
    return () if frame is None else (" ".join(frame),)


def unanswered(said: Said, exchanges: tuple[Exchange, ...]) -> Find:
    """Questions to those who speak at `said` that reached them and that they never answered from then on, in each of the client's
    lives: what was asked in one is not answered in the next, and nobody has to answer on what a life before has left behind.

    `said` is where the one who is to answer speaks; the question is seen on the same side, coming the other way.
    """

    def find(reading: Reading) -> Iterator[Proof]:
        asked: dict[tuple[str, int, str], list[Observation]] = {}
        wanted = {e.question: e for e in exchanges}
        replies = {answer: [e.question for e in exchanges if answer in e.answers] for e in exchanges for answer in e.answers}
        end = reading.end_of_capture(said.side)
        for o in reading.frames(said.side):
            direction = reading.direction(o)
            owner = speaker(reading, o)
            if owner is None or direction is None or (direction == "down" and reading.content_owner(o) not in (None, owner)):
                continue
            names = name_of(o)
            life = _life(reading, owner, o) if names else None
            if life is None:
                continue
            for name in names:
                if direction == said.direction:
                    for question in replies.get(name, ()):
                        asked.pop((owner, life, question), None)
                elif (
                    name in wanted
                    and o.t < end - ANSWER_S
                    and _reached(reading, o, said, owner)
                    and not _absent(reading, owner, o.t)
                    and not to_be_dropped(reading, o)
                    and not cut(reading, o.t)
                ):
                    asked.setdefault((owner, life, name), []).append(o)
        for (owner, _, name), frames in asked.items():
            if len(frames) >= wanted[name].least:
                yield Proof(owner, tuple(frames), {"question": name})

    return find


def _life(reading: Reading, owner: str, o: Observation) -> int | None:
    """The number of the life that a frame falls into; None for one on an SA or main mode of a life before."""
    dial = next(one for one in dials(reading, owner) if one.holds(o.t))
    return None if (spi_of(o) or ike(o, "icookie")) in left_behind(reading, dial) else dial.number


def marks_unanswered(reading: Reading) -> Iterator[Proof]:
    """More marked questions than the budget allows that reached the gateway, and whose answer never left it."""
    for life in every_life(reading):
        lost = [a.reached for a in life.asked if a.lost_by is LostBy.GATEWAY and a.reached is not None]
        if len(lost) > LOSS_BUDGET * life.sent:
            yield Proof(life.client, tuple(lost), {"of": life.sent})


def no_keepalive(reading: Reading) -> Iterator[Proof]:
    """A client behind a NAT, with an SA, that says nothing for longer than the mapping is to be kept (RFC 3948 section 4)."""
    capture = reading.capture(BY_CLIENT.side)
    if capture is None or capture.kept != "everything":
        return
    for client in reading.clients:
        identity, agreed = reading.identities.get(client), reading.first_ike(client, "QM3", Side.INSIDE)
        if identity is None or agreed is None or identity.outside in (None, identity.inside):
            continue
        sent = [o for o in BY_CLIENT.frames(reading) if reading.at_address(o.src) == client and o.t >= agreed.t]
        for a, b in pairwise(sent):
            quiet = b.t - a.t
            if quiet > KEEPALIVE_S + TIMER_S and not deletes(a) and not _absent(reading, client, b.t, since=a.t):
                yield Proof(client, (a, b), {"quiet": f"{quiet:.1f}"})
                break


def refused(reading: Reading) -> Iterator[tuple[str, Observation, tuple[Observation, ...]]]:
    """(client, its MM5 or CHAP Response, what the gateway refused it by) for authentication that was refused or left unanswered, in
    each of a client's lives."""
    spoken = reading.once(_authentication)
    for dial in (dial for client in reading.clients for dial in dials(reading, client)):
        client = dial.client
        for ask, yes, no in _AUTHENTICATION:
            own = dial.part(spoken.get(client, ()))
            asked = [o for o in own if ask in name_of(o) and reading.direction(o) == "up"]
            if not asked or any(yes in name_of(o) for o in own):
                continue
            said = tuple(o for o in own if reading.direction(o) == "down" and o.t > asked[0].t and set(name_of(o)) & set(no))
            yield client, asked[0], said


_AUTHENTICATION = (("MM5", "MM6", ("refusal",)), ("CHAP Response", "CHAP Success", ("CHAP Failure",)))
"""The question by which one proves oneself, the answer, and the refusals."""


def _authentication(reading: Reading) -> dict[str | None, tuple[Observation, ...]]:
    """The frames outside that speak of authentication, by the client they belong to."""
    words = {word for ask, yes, no in _AUTHENTICATION for word in (ask, yes, *no)}
    found: dict[str | None, list[Observation]] = {}
    for o in reading.frames(Side.OUTSIDE):
        if words & set(name_of(o)):
            found.setdefault(reading.flow_owner(o), []).append(o)
    return {client: tuple(frames) for client, frames in found.items()}


def speaker(reading: Reading, o: Observation) -> str | None:
    """Whose exchange a frame belongs to: by SA or main mode, or, as long as there is none, by the client's end of it."""
    owner = reading.flow_owner(o)
    if owner is not None or o.kind is not FrameKind.IKE:
        return owner
    up = reading.direction(o) == "up"
    address, port = (o.src, o.sport) if up else (o.dst, o.dport)
    return reading.at_address(address) or reading.at_port(port, o.t)


def to_be_dropped(reading: Reading, o: Observation) -> bool:
    """Whether a gateway that was told to verify inner checksums has to drop this."""
    if reading.evidence.gateway_told.get("checksum") != "verify" or o.inner is None or o.side is not Side.OUTSIDE:
        return False
    return o.inner.udp_checksum != 0 and (o.src, o.dst) not in o.inner.checksum_fits


def _reached(reading: Reading, o: Observation, said: Said, owner: str) -> bool:
    """Inside a question must also have been handed to its owner."""
    return said.side is Side.OUTSIDE or reading.at_address(o.dst) == owner


def _absent(reading: Reading, client: str, t: float, since: float | None = None) -> bool:
    """Whether, in the life it led at `t`, the client had said good-bye by then or a step had ended it; or a step kept it silent
    at any moment from `since` to `t`."""
    began = max((r.t - STAMP_GRAIN_S for r in reading.records(client, RecordKind.STARTED) if r.t <= t), default=float("-inf"))
    ended = [s.began for s in reading.evidence.steps if s.name in {f"{kind}:{client}" for kind in CLOSING_STEPS}]
    if any(began <= gone <= t for gone in (*ended, *reading.once(farewells).get(client, ()))):
        return True
    quiet = (s for s in reading.steps("silence") if s.name == f"silence:{client}")
    return any(s.began <= t and (t if since is None else since) <= s.ended for s in quiet)


def farewells(reading: Reading) -> dict[str, tuple[float, ...]]:
    """When each client said good-bye on the wire: CDN, StopCCN, or a Delete that leaves nothing."""
    found: dict[str, list[float]] = {}
    for o in BY_CLIENT.frames(reading):
        owner = reading.flow_owner(o)
        bye = l2tp_message(o) in ("CDN", "StopCCN") or (bool(deletes(o)) and not reading.replaced(o))
        if owner is not None and bye:
            found.setdefault(owner, []).append(o.t)
    return {client: tuple(times) for client, times in found.items()}
