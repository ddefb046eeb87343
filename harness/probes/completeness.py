"""What a capture must have missed, though its file does not say so: gaps in what its sender numbers, answers without a question.

The sender of an ESP SA numbers its packets one by one (RFC 4303 section 2.2), so that before the first box on the way each number
is there. A message of main mode is only sent after those before it, and so in quick mode, where the keys show which is which: its
first two messages hold an SA payload, its third none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.model import FrameKind, Observation

_MAIN_MODE = ("MM1", "MM2", "MM3", "MM4", "MM5", "MM6")


@dataclass(frozen=True, slots=True)
class Gap:
    """`what` is missing before `frame`, as a sentence says it; `count` how many."""

    frame: int
    count: int
    what: str


def gaps(observations: Sequence[Observation], gateway: str, *, first_box: str) -> tuple[Gap, ...]:
    """`observations` of one side by frame. `first_box`: the direction whose senders are on this side of the NAT ("up" inside,
    "down" outside); of the other direction the NAT may have lost packets, and nothing is said."""
    return (*_numbers(observations, gateway, first_box), *_main_modes(observations), *_quick_modes(observations))


def _numbers(observations: Iterable[Observation], gateway: str, direction: str) -> Iterable[Gap]:
    seen: dict[str, dict[int, int]] = {}
    for o in observations:
        own = (o.dst if direction == "up" else o.src) == gateway
        if own and o.kind is FrameKind.ESP and o.esp is not None:
            seen.setdefault(str(o.esp["spi"]), {}).setdefault(int(o.esp["sequence"]), o.frame)
    for spi, numbers in seen.items():
        ordered = sorted(numbers)
        for before, after in pairwise(ordered):
            if after != before + 1:
                missing = after - before - 1
                yield Gap(numbers[after], missing, f"{missing} ESP packets of SPI {spi}, numbers {before + 1} to {after - 1}")


def _main_modes(observations: Iterable[Observation]) -> Iterable[Gap]:
    seen: dict[str, dict[str, int]] = {}
    for o in observations:
        if o.ike is not None and o.ike.get("message") in _MAIN_MODE:
            seen.setdefault(str(o.ike["icookie"]), {}).setdefault(str(o.ike["message"]), o.frame)
    for icookie, messages in seen.items():
        last = max(_MAIN_MODE.index(name) for name in messages)
        missing = [name for name in _MAIN_MODE[:last] if name not in messages]
        if missing:
            frame = min(messages[name] for name in messages if _MAIN_MODE.index(name) > _MAIN_MODE.index(missing[0]))
            yield Gap(frame, len(missing), f"{', '.join(missing)} of the main mode {icookie}")


def _quick_modes(observations: Iterable[Observation]) -> Iterable[Gap]:
    """Of the exchanges that were decrypted."""
    seen: dict[tuple[str, str], list[Observation]] = {}
    used = {str(o.esp["spi"]): o for o in reversed(tuple(observations)) if o.esp is not None}
    for o in observations:
        if o.ike is not None and o.ike["exchange"] == "quick mode" and o.ike["decrypted"]:
            seen.setdefault((str(o.ike["icookie"]), str(o.ike["message_id"])), []).append(o)
    for (icookie, _), messages in seen.items():
        offers = [o for o in messages if "SA" in (o.ike or {})["payloads"]]
        last = [o for o in messages if o not in offers]
        spis = {str(p["spi"]) for o in offers for p in (o.ike or {})["proposals"]}
        at_work = next((used[spi] for spi in spis if spi in used), None)
        if last and len({o.src for o in offers}) < 2:
            yield Gap(last[0].frame, 1, f"one of the first two messages of a quick mode of {icookie}")
        elif not last and at_work is not None:
            yield Gap(at_work.frame, 1, f"the last message of a quick mode of {icookie}")
