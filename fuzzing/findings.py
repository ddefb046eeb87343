"""What was found: made short, written to a file, played again from it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzzing.life import Failure, Life, Shot, live
from fuzzing.targets import TARGETS, seed_of

SHORTEN_S = 40.0
"""How long a failure may be made shorter."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`life` is the number of the life, `number` that of the datagram in it."""

    target: str
    seed: int
    life: int
    number: int
    signature: str
    story: str
    shots: tuple[Shot, ...]

    @property
    def name(self) -> str:
        return f"{self.target}-{self.seed}-{self.life}-{self.number}"


def finding(target: str, seed: int, number: int, failure: Failure) -> Finding:
    """With as few datagrams, and as short a last one, as still bring it about. Where it cannot be played again from what was
    thrown, it stays as it was."""
    kind = TARGETS[target].life
    assert kind is not None
    shots = _fewer(kind, seed_of(seed, target, number), failure)
    return Finding(target, seed, number, failure.number, failure.signature, failure.story, shots)


def _fewer(kind: type[Life], seed: str, failure: Failure) -> tuple[Shot, ...]:
    until = time.monotonic() + SHORTEN_S
    shots = list(failure.shots)

    def fails(tried: Sequence[Shot]) -> bool:
        again = live(kind, seed, tried).failure
        return again is not None and again.signature == failure.signature

    if not fails(shots):
        return failure.shots
    size = max(1, len(shots) // 2)
    while size and time.monotonic() < until:
        at = 0
        while at < len(shots) and time.monotonic() < until:
            tried = shots[:at] + shots[at + size :]
            if fails(tried):
                shots = tried
            else:
                at += size
        size //= 2
    while shots and len(shots[-1].data) > 1 and time.monotonic() < until:
        last = shots[-1]
        halves = (last.data[: len(last.data) // 2], last.data[: len(last.data) - 4], last.data[:-1])
        shorter = next((data for data in halves if fails([*shots[:-1], Shot(last.door, data)])), None)
        if shorter is None:
            break
        shots[-1] = Shot(last.door, shorter)
    return tuple(shots)


def write(found: Finding, folder: Path) -> Path:
    """The last datagram as it is (.bin), and beside it all that it takes to play it again (.json), which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found.name}.json"
    shots = [{"door": list(shot.door), "data": shot.data.hex()} for shot in found.shots]
    content = {name: getattr(found, name) for name in ("target", "seed", "life", "number", "signature", "story")}
    path.write_text(json.dumps({**content, "shots": shots}, indent=1), encoding="utf-8")
    path.with_suffix(".bin").write_bytes(found.shots[-1].data if found.shots else b"")
    return path


def replay(path: Path) -> Failure | None:
    """What becomes of a finding's datagrams now."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    shots = [Shot(tuple(shot["door"]), bytes.fromhex(shot["data"])) for shot in content["shots"]]
    kind = TARGETS[content["target"]].life
    if kind is None:
        raise ValueError("the sockets' datagrams meet a process with other keys each time; they cannot be played again")
    return live(kind, seed_of(content["seed"], content["target"], content["life"]), shots).failure
