"""The pulse of a client: its marked questions on the wire and their answers, each with where it was lost if it was.

A question counts that went up on its owner's own SA; it is answered when the answer came down to the client's own address on an SA
of the client's that it has not given up, under a sequence number that no packet before had: whoever is careful takes the others for
replays. Where L2TP is
to run in clear there is no SA, and the client's own address and NAT port stand for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.model import FrameKind, Observation, Side
from harness.verdict.given_up import heard_until
from harness.verdict.reading import Reading, mark_of, spi_of


class LostBy(StrEnum):
    """Where a mark was lost: behind the outside capture, or between the two captures, where only the NAT is."""

    GATEWAY = "gateway"
    NAT = "nat"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question on the wire (inside), and its answer there, if it came. `reached` is the question on its way to the gateway and
    `returned` the answer on its way from it, on its owner's SA and to its owner's port (both outside)."""

    sequence: int
    question: Observation
    answer: Observation | None
    reached: Observation | None = None
    returned: Observation | None = None

    @property
    def lost_by(self) -> LostBy | None:
        """None where nothing was lost. The gateway only answers for what reached it, and not for what it did answer."""
        if self.answer is not None:
            return None
        return LostBy.GATEWAY if self.reached is not None and self.returned is None else LostBy.NAT


def asked(reading: Reading, client: str) -> tuple[Asked, ...]:
    """Each question of the run once, by its first sending, with the first answer that reached its owner. Numbers go on over a
    client's lives, so that no two marks of a run are alike."""
    found = reading.once(_marks)
    answers, reached = found.get((client, Side.INSIDE, "down"), {}), found.get((client, Side.OUTSIDE, "up"), {})
    returned = found.get((client, Side.OUTSIDE, "down"), {})
    questions = found.get((client, Side.INSIDE, "up"), {})
    return tuple(Asked(n, o, answers.get(n), reached.get(n), returned.get(n)) for n, o in questions.items())


def carriers(reading: Reading, side: Side, direction: str) -> Iterator[Observation]:
    """The frames that may carry L2TP: ESP; clear L2TP only where that is what is expected."""
    kinds = (FrameKind.ESP, FrameKind.L2TP_CLEAR) if reading.evidence.clear_expected else (FrameKind.ESP,)
    return (o for o in reading.way(side, direction) if o.kind in kinds)


def _marks(reading: Reading) -> Mapping[tuple[str, Side, str], Mapping[int, Observation]]:
    """The first frame of each of a client's questions (up) or answers (down) on its own SA; downwards also where it belongs, and no
    replay (RFC 4303 section 3.4.3), and on an SA that its client still has."""
    found: dict[tuple[str, Side, str], dict[int, Observation]] = {}
    for side in (Side.INSIDE, Side.OUTSIDE):
        for direction in ("up", "down"):
            used: set[tuple[object, ...]] = set()
            for o in carriers(reading, side, direction):
                owner = reading.flow_owner(o)
                number = None if o.esp is None else (owner, o.esp.get("spi"), o.esp.get("sequence"))
                replayed = direction == "down" and number in used
                if number is not None:
                    used.add(number)
                unheard = direction == "down" and o.t > heard_until(reading, (owner, spi_of(o)))
                mark = None if replayed or unheard else mark_of(o)
                if mark is None or mark.answer != (direction == "down"):
                    continue
                client = reading.numbered(mark.owner)
                if owner != client or (direction == "down" and not _addressed(reading, o, client)):
                    continue
                found.setdefault((client, side, direction), {}).setdefault(mark.sequence, o)
    return found


def _addressed(reading: Reading, o: Observation, client: str) -> bool:
    """Whether a frame from the gateway goes to a client: to its own address, or outside the NAT to no other client's port."""
    if reading.at_address(o.dst) == client:
        return True
    return o.side is Side.OUTSIDE and o.dst == reading.evidence.nat_outside and reading.at_port(o.dport, o.t) in (None, client)
