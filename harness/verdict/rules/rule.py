"""What a rule is: a box, a sentence, and a test that gives proofs. A rule without frames or records to show blames nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from harness.model import Observation, Record
from harness.verdict.reading import Reading

NAT, GATEWAY, CLIENT = BOXES = ("nat", "gateway", "client")


class Strength(IntEnum):
    """How much a proof is worth, the best first."""

    COMPARED = 1  # both sides of the NAT laid side by side: only the NAT is between them
    SPOKEN = 2  # a box's own words on the wire, which no correct peer would say
    UNANSWERED = 3  # a question that reached a box, and that it had to answer
    ENDED = 4  # a connection that one end gave up without a cause that the wire shows
    TOUCHED = 5  # what only the NAT can have done to packets, and what need hurt nobody
    TOLD = 6  # a box's account of itself


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that happened: whom it concerned, the frames and records that show it, and `words` for the rule's sentence."""

    client: str | None
    frames: tuple[Observation, ...] = ()
    words: Mapping[str, object] = field(default_factory=dict)
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class Blame:
    """`box` is "nat", "gateway", "client" or None; `why` the sentence; `frames` and `records` what shows it; `rule` by which."""

    box: str | None
    why: str
    frames: tuple[Observation, ...] = ()
    records: tuple[Record, ...] = ()
    rule: str = ""
    client: str | None = None

    @property
    def t(self) -> float:
        """When it first showed, seconds since the epoch; without proof, infinity."""
        return min([*(o.t for o in self.frames), *(r.t for r in self.records)], default=float("inf"))

    def facts(self) -> dict[str, object]:
        return {"box": self.box, "why": self.why, "frames": [[o.side.value, o.frame] for o in self.frames[:10]]}


@dataclass(frozen=True, slots=True)
class Rule:
    """`sentence` may use {client}, {count} (of frames) and the proof's own words."""

    name: str
    box: str
    strength: Strength
    sentence: str
    find: Callable[[Reading], Iterable[Proof]]

    def blames(self, reading: Reading) -> tuple[Blame, ...]:
        """Everything it finds, worked out once a reading."""
        return reading.once(self._blames)

    def _blames(self, reading: Reading) -> tuple[Blame, ...]:
        return tuple(self._blame(proof) for proof in self.find(reading) if proof.frames or proof.records)

    def _blame(self, proof: Proof) -> Blame:
        words = {"client": proof.client or "a client", "count": len(proof.frames), **proof.words}
        return Blame(self.box, self.sentence.format(**words), proof.frames, proof.records, self.name, proof.client)
