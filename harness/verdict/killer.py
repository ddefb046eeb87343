"""Who killed whom.

A victim is a client that died while up and not by a step of its own. It died between the last marked question that was answered and
the first that was not. What another client did between the two is the suspect; the victim's own traffic on another client's SA (or
at another client's NAT port) is the proof:

    certain    frames that carry the victim's words (mark, inner destination, tunnel) left the gateway after the last answered mark
               on an SPI, or to a port, that belongs to the killer
    suspected  another client's exchange fell between the two marks, and nothing more
    none       no other client did anything between the two marks, or the gateway fell silent towards everybody
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from harness.model import FrameKind, Observation, Side
from harness.verdict.blame import REACTION_S, Blame, blame, fell_mute
from harness.verdict.pulse import carriers
from harness.verdict.reading import Reading, ike, l2tp_message, ppp
from harness.verdict.survival import Life

QUICKEST_S = 0.05
"""An answer takes at least this long: an exchange this much after the first unanswered question can still have stopped it."""


class Strength(StrEnum):
    CERTAIN = "certain"
    SUSPECTED = "suspected"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Death:
    """One victim. `killer` is None where nobody is to be named; `blow` is the killer's last message before the silence (outside)
    and `name` its name; `spi` the killer's SA on which the victim's words were seen, and `proof` those frames; `suspects` are
    all who acted at that time."""

    victim: str
    life: Life
    strength: Strength
    killer: str | None
    blow: Observation | None
    name: str
    spi: str | None
    proof: tuple[Observation, ...]
    suspects: tuple[str, ...]
    blame: Blame

    def facts(self) -> dict[str, Any]:
        last, first = self.life.last_answered, self.life.first_unanswered
        return {
            "victim": self.victim,
            "killer": self.killer,
            "strength": self.strength.value,
            "frame": None if self.blow is None else [self.blow.side.value, self.blow.frame],
            "t": None if self.blow is None else self.blow.t,
            "message": self.name,
            "spi": self.spi,
            "proof": [[o.side.value, o.frame] for o in self.proof[:20]],
            "proof_count": len(self.proof),
            "suspects": list(self.suspects),
            "last_answered": None if last is None else last.sequence,
            "first_unanswered": None if first is None else first.sequence,
            "blame": self.blame.facts(),
        }


def deaths(reading: Reading, found: Mapping[str, Life]) -> tuple[Death, ...]:
    """One entry a victim, in the order in which they died."""
    return deaths_among(reading, found.values())


def deaths_among(reading: Reading, found: Iterable[Life]) -> tuple[Death, ...]:
    """The same for whichever lives: of one client there may be several."""
    victims = sorted((life for life in found if life.died), key=lambda life: (life.end.t, life.client))
    return tuple(_investigate(reading, life) for life in victims)


def matrix(clients: tuple[str, ...], found: tuple[Death, ...]) -> dict[str, dict[str, str]]:
    """N×N, victim by killer: "certain", "suspected" or "none" in every cell."""
    cells = {v: dict.fromkeys(clients, Strength.NONE.value) for v in clients}
    for death in found:
        for suspect in death.suspects:
            cells[death.victim][suspect] = Strength.SUSPECTED.value
        if death.killer is not None:
            cells[death.victim][death.killer] = death.strength.value
    return cells


def _investigate(reading: Reading, life: Life) -> Death:
    began, ended = _window(life)
    acts = _acts(reading, life.client, began, ended)
    suspects = tuple(dict.fromkeys(who for _, who, _ in acts))
    stolen = _stolen(reading, life)
    if stolen:
        thief = stolen[0][1]
        proof = tuple(o for o, who in stolen if who == thief)
        blow, name = _blow(reading, thief, acts, before=proof[0].t)
        return _death(reading, life, Strength.CERTAIN, thief, blow, name, proof, suspects)
    if suspects and not fell_mute(reading, life.end.t):
        killer = suspects[0] if len(suspects) == 1 else _installer(acts)
        blow, name = _blow(reading, killer, acts, before=ended) if killer is not None else (None, "")
        return _death(reading, life, Strength.SUSPECTED, killer, blow, name, (), suspects)
    return _death(reading, life, Strength.NONE, None, None, "", (), ())


def _death(
    reading: Reading,
    life: Life,
    strength: Strength,
    killer: str | None,
    blow: Observation | None,
    name: str,
    proof: tuple[Observation, ...],
    suspects: tuple[str, ...],
) -> Death:
    spi = str(proof[0].esp["spi"]) if proof and proof[0].esp is not None else _agreed_spi(reading, killer)
    return Death(life.client, life, strength, killer, blow, name, spi, proof, suspects, blame(reading, life, proof))


def _agreed_spi(reading: Reading, killer: str | None) -> str | None:
    """The newest SA towards the killer: the one the blow installed."""
    identity = reading.identities.get(killer or "")
    return identity.spis_in[-1] if identity is not None and identity.spis_in else None


def _window(life: Life) -> tuple[float, float]:
    """From when to when a message can have been the deadly one (seconds since the epoch)."""
    trips = [a.answer.t - a.question.t for a in life.asked if a.answer is not None]
    slowest = min(max([QUICKEST_S, *trips]), REACTION_S)
    last, first = life.last_answered, life.first_unanswered
    assert life.up is not None  # only those that were up can die
    began = life.up.t if last is None or last.answer is None else last.answer.t - REACTION_S
    ended = (first.question.t if first is not None and first.question.t <= life.end.t else life.end.t) + slowest
    return began, ended


def _acts(reading: Reading, victim: str, began: float, ended: float) -> list[tuple[Observation, str, str]]:
    """What the other clients and the gateway said to each other to set up or end a connection, by time (outside)."""
    every = reading.once(_every_act)
    part = every[bisect_left(every, began, key=_when) : bisect_right(every, ended, key=_when)]
    return [act for act in part if act[1] != victim]


def _when(act: tuple[Observation, str, str]) -> float:
    return act[0].t


def _every_act(reading: Reading) -> list[tuple[Observation, str, str]]:
    found = []
    for o in reading.frames(Side.OUTSIDE):
        who, name = reading.flow_owner(o), _act(o)
        if who is not None and name is not None and reading.content_owner(o) in (None, who):
            found.append((o, who, name))
    return found


def _act(o: Observation) -> str | None:
    """The name of a message that sets something up or ends it; None for keepalives of any layer, data and retransmissions."""
    if o.kind is FrameKind.IKE:
        message = str(ike(o, "message"))
        if ike(o, "retransmission"):
            return None
        return message if message != "INFO" else "IKE Delete" if ike(o, "deletes") else None
    control = l2tp_message(o)
    if control is not None:
        return None if control in ("Hello", "ZLB") else control
    frame = ppp(o)
    if frame is None or frame[0] == "IP" or frame[1].startswith(("Echo", "Discard")):
        return None
    return " ".join(frame)


_INSTALLS = ("QM3", "IKE Delete")
"""The messages on which a gateway installs or removes an SA: the ones to suspect before any other."""


def _installer(acts: list[tuple[Observation, str, str]]) -> str | None:
    """Of several suspects the one that alone installed or removed an SA; None where that is nobody or several."""
    who = {client for _, client, name in acts if name in _INSTALLS}
    return who.pop() if len(who) == 1 else None


def _blow(reading: Reading, killer: str, acts: list[tuple[Observation, str, str]], before: float) -> tuple[Observation | None, str]:
    """The killer's message to point at: its last SA-installing one at that time, else its last one, else its last QM3 before."""
    own = [(o, name) for o, who, name in acts if who == killer and o.t <= before]
    installing = [(o, name) for o, name in own if name in _INSTALLS]
    if installing or own:
        return (installing or own)[-1]
    agreed = [o for o in reading.ike_messages(killer, "QM3") if o.t <= before]
    return (agreed[-1], "QM3") if agreed else (None, "")


def _stolen(reading: Reading, life: Life) -> list[tuple[Observation, str]]:
    """Frames from the gateway, after the last answered mark, with the victim's words on another client's SA or at its NAT port."""
    last = life.last_answered
    assert life.up is not None
    after = life.up.t if last is None or last.answer is None else last.question.t
    until = life.until
    return [(o, thief) for o, thief in reading.once(_every_theft).get(life.client, ()) if after < o.t < until]


def _every_theft(reading: Reading) -> Mapping[str, list[tuple[Observation, str]]]:
    """By victim, the frames with its words that left for somebody else, and for whom."""
    found: dict[str, list[tuple[Observation, str]]] = {}
    for o in carriers(reading, Side.OUTSIDE, "down"):
        owner = reading.content_owner(o)
        if owner is None:
            continue
        whose = (reading.flow_owner(o), reading.at_port(o.dport, o.t))
        thief = next((w for w in whose if w is not None and w != owner), None)
        if thief is not None:
            found.setdefault(owner, []).append((o, thief))
    return found
