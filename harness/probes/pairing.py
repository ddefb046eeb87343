"""Pairs the frames of the two sides of a NAT: the same packet, seen before and after its addresses were rewritten.

A packet is known by its direction and payload digest. IKE and ESP payloads are all different, so a digest that was seen once on
each side is a pair; such pairs teach the NAT's mappings. Payloads that are alike (keepalives of many clients, retransmissions) are
then told apart by their IP identification, if the NAT leaves that as it is, or else by those mappings, and paired in order within
each flow. A NAT may hand one to the wrong client, or let it through as it is: its flow says nothing then.
Linear in the number of frames, but for sorting and one binary search.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.model import Observation, Pair, Side

End = tuple[str, int | None]
"""A client's address and port, as one side of the NAT sees it."""

UP, DOWN = "up", "down"

KEPT = 0.9
"""A NAT that leaves the IP identification of so many packets as it is does so; one that draws it anew hits it by chance."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """From `since` on, the NAT showed `inside` (talking to `service`, the gateway's port) as `outside`."""

    since: float
    inside: End
    outside: End
    service: int | None


@dataclass(frozen=True, slots=True)
class Pairing:
    """`unpaired` are frames to or from the gateway of which the other side has no trace; `other` those that do not concern it."""

    pairs: tuple[Pair, ...]
    unpaired: tuple[tuple[Side, int], ...]
    mappings: tuple[Mapping, ...] = ()
    other: tuple[tuple[Side, int], ...] = ()


@dataclass(slots=True)
class _Group:
    """All frames of one direction and digest."""

    inside: list[Observation] = field(default_factory=list)
    outside: list[Observation] = field(default_factory=list)


class _Flows:
    """The mappings that sure pairs have taught, to be asked for any moment."""

    def __init__(self) -> None:
        self._times: defaultdict[tuple[End, int | None], list[float]] = defaultdict(list)
        self._ends: defaultdict[tuple[End, int | None], list[End]] = defaultdict(list)

    def learn(self, sure: Iterable[tuple[Observation, Observation, str]]) -> None:
        for inside, outside, direction in sorted(sure, key=lambda pair: pair[0].t):
            key = (_end(inside, direction), _service(inside, direction))
            end = _end(outside, direction)
            if not self._ends[key] or self._ends[key][-1] != end:
                self._times[key].append(inside.t)
                self._ends[key].append(end)

    def at(self, inside: Observation, direction: str) -> End | None:
        """Where the NAT showed this frame's client at that time; the first mapping holds for the time before it too."""
        key = (_end(inside, direction), _service(inside, direction))
        times = self._times.get(key)
        if not times:
            return None
        return self._ends[key][max(bisect_right(times, inside.t) - 1, 0)]

    def all(self) -> tuple[Mapping, ...]:
        found = [
            Mapping(since, inside, outside, service)
            for (inside, service), times in self._times.items()
            for since, outside in zip(times, self._ends[inside, service], strict=True)
        ]
        return tuple(sorted(found, key=lambda mapping: mapping.since))


def pair(
    inside: Sequence[Observation], outside: Sequence[Observation], gateway: str, transit: float = 1.0, skew: float = 0.01
) -> Pairing:
    """Pairs in the order of their inside frames.

    `transit`: seconds that a packet may take through the NAT; it matters only where alike payloads were lost. `skew`: seconds by
    which the two captures' clocks may differ.
    """
    groups: defaultdict[tuple[str, str, str], _Group] = defaultdict(_Group)
    other: list[tuple[Side, int]] = []
    for side, seen in ((Side.INSIDE, inside), (Side.OUTSIDE, outside)):
        for observation in seen:
            direction = _direction(observation, gateway)
            if direction is None:
                other.append((side, observation.frame))
                continue
            group = groups[direction, observation.kind.value, observation.payload_digest]
            (group.inside if side is Side.INSIDE else group.outside).append(observation)
    kept = _keeps_identification(groups.values())
    sure: list[tuple[Observation, Observation, str]] = []
    doubtful: list[tuple[str, _Group]] = []
    for (direction, _, _), group in groups.items():
        if _one_flow(group.inside, direction) and _one_flow(group.outside, direction):
            sure.extend((*both, direction) for both in _in_order(group, direction, transit, skew, kept))
        else:
            doubtful.append((direction, group))
    flows = _Flows()
    flows.learn(sure)
    for direction, group in doubtful:
        for both in _told_apart(group, direction, skew) if kept else ():
            sure.append((*both, direction))
        for flow in _split(group, direction, flows):
            sure.extend((*both, direction) for both in _in_order(flow, direction, transit, skew, kept))
    pairs = sorted((Pair(i.frame, o.frame, direction) for i, o, direction in sure), key=lambda one: one.inside)
    known = {(Side.INSIDE, one.inside) for one in pairs} | {(Side.OUTSIDE, one.outside) for one in pairs} | set(other)
    every = [(side, o.frame) for side, seen in ((Side.INSIDE, inside), (Side.OUTSIDE, outside)) for o in seen]
    return Pairing(tuple(pairs), tuple(one for one in every if one not in known), flows.all(), tuple(other))


def _direction(observation: Observation, gateway: str) -> str | None:
    if observation.dst == gateway:
        return UP
    return DOWN if observation.src == gateway else None


def _end(observation: Observation, direction: str) -> End:
    return (observation.src, observation.sport) if direction == UP else (observation.dst, observation.dport)


def _service(observation: Observation, direction: str) -> int | None:
    return observation.dport if direction == UP else observation.sport


def _one_flow(seen: Sequence[Observation], direction: str) -> bool:
    return len({(_end(o, direction), _service(o, direction)) for o in seen}) <= 1


def _split(group: _Group, direction: str, flows: _Flows) -> Iterable[_Group]:
    """The group by outside flow. Inside frames of flows that nothing else taught stay unpaired: better none than a wrong pair."""
    split: defaultdict[tuple[End, int | None], _Group] = defaultdict(_Group)
    for outside in group.outside:
        split[_end(outside, direction), _service(outside, direction)].outside.append(outside)
    for inside in group.inside:
        end = flows.at(inside, direction)
        if end is not None:
            split[end, _service(inside, direction)].inside.append(inside)
    return split.values()


def _keeps_identification(groups: Iterable[_Group]) -> bool:
    """Whether the NAT leaves the IP identification as it is, by the payloads that are on each side once."""
    once = [(group.inside[0], group.outside[0]) for group in groups if len(group.inside) == len(group.outside) == 1]
    same = sum(i.headers.get("ip_id") == o.headers.get("ip_id") for i, o in once)
    return bool(once) and same >= KEPT * len(once)


def _told_apart(group: _Group, direction: str, skew: float) -> list[tuple[Observation, Observation]]:
    """(inside, outside) of those that their identification tells apart, whatever their flows; they are taken out of the group."""
    first, second = (group.inside, group.outside) if direction == UP else (group.outside, group.inside)
    found = [both if direction == UP else both[::-1] for both in _alike(first, second, skew)]
    known = {(o.side, o.frame) for both in found for o in both}
    group.inside, group.outside = (
        [o for o in seen if (o.side, o.frame) not in known] for seen in (group.inside, group.outside)
    )
    return found


def _in_order(
    group: _Group, direction: str, transit: float, skew: float, kept: bool
) -> Iterable[tuple[Observation, Observation]]:
    """First with first, second with second. Where one side has fewer, those of one IP identification belong together if the NAT has
    `kept` it, and of the rest one that left too long before the other came was lost."""
    first, second = (group.inside, group.outside) if direction == UP else (group.outside, group.inside)
    first, second = sorted(first, key=lambda o: o.t), sorted(second, key=lambda o: o.t)
    if len(first) == len(second):
        matched = list(zip(first, second, strict=True))
    else:
        matched, left = list(_alike(first, second, skew)) if kept else [], 0
        known = {(o.side, o.frame) for both in matched for o in both}
        first, second = ([o for o in found if (o.side, o.frame) not in known] for found in (first, second))
        for right in second:
            while left < len(first) and first[left].t < right.t - transit:
                left += 1
            if left < len(first) and first[left].t <= right.t + skew:
                matched.append((first[left], right))
                left += 1
    return matched if direction == UP else [(right, left) for left, right in matched]


def _alike(
    first: Sequence[Observation], second: Sequence[Observation], skew: float
) -> Iterable[tuple[Observation, Observation]]:
    """Those of one IP identification, where it occurs once on each side."""
    (left, once), (right, again) = (_identified(found) for found in (first, second))
    for name in left.keys() & right.keys():
        if once[name] == again[name] == 1 and left[name].t <= right[name].t + skew:
            yield left[name], right[name]


def _identified(found: Sequence[Observation]) -> tuple[dict[object, Observation], Counter[object]]:
    names = [(o.headers.get("ip_id"), o) for o in found]
    return {name: o for name, o in names if name is not None}, Counter(name for name, _ in names)
