"""What must not matter does not: the names of clients, frames of others, and the hour of the day."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import verdict_builders as b
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.model import Evidence, FrameKind, Mark, Observation, Side
from harness.verdict.checks import CHECKS

WORLDS = {
    "clean": lambda: b.clean(3),
    "user": lambda: b.eviction("user", 3),
    "kernel": lambda: b.eviction("kernel", 2),
    "mute": lambda: b.eviction("mute", 2),
    "endings": b.endings,
    "together": lambda: b.together(3),
}
ORDERED = {"DMX-17"}  # whether clients come in the order of their numbers is what this one asks
few = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@cache
def evidence(name: str) -> Evidence:
    return WORLDS[name]().evidence()


def outcomes(found: Evidence) -> dict[str, str]:
    return {row: check(found).outcome.value for row, check in CHECKS.items()}


@cache
def expected(name: str) -> dict[str, str]:
    return outcomes(evidence(name))


def later(found: Evidence, by: float) -> Evidence:
    """The same run at another time."""
    return replace(
        found,
        observations={s: tuple(replace(o, t=o.t + by) for o in frames) for s, frames in found.observations.items()},
        records=tuple(replace(r, t=r.t + by) for r in found.records),
        steps=tuple(replace(s, began=s.began + by, ended=s.ended + by) for s in found.steps),
        gateway_views=tuple(replace(v, t=v.t + by) for v in found.gateway_views),
    )


def renamed(found: Evidence, order: tuple[int, ...]) -> Evidence:
    """The same run with the clients' numbers dealt out anew; nothing on the wire but the owner in the marks changes."""
    new = {f"c{i + 1}": f"c{n}" for i, n in enumerate(order)}

    def mark(m: Mark | None) -> Mark | None:
        return None if m is None else replace(m, owner=order[m.owner - 1])

    def frame(o: Observation) -> Observation:
        return replace(o, mark=mark(o.mark), inner=None if o.inner is None else replace(o.inner, mark=mark(o.inner.mark)))

    def step(name: str) -> str:
        kind, colon, client = name.partition(":")
        return f"{kind}:{new[client]}" if colon else name

    return replace(
        found,
        plans=tuple(replace(p, number=order[p.number - 1]) for p in found.plans),
        identities=tuple(replace(i, client=new[i.client]) for i in found.identities),
        observations={s: tuple(map(frame, frames)) for s, frames in found.observations.items()},
        records=tuple(replace(r, client=new[r.client]) for r in found.records),
        steps=tuple(replace(s, name=step(s.name), clients=tuple(new[c] for c in s.clients)) for s in found.steps),
        gateway_views=tuple(replace(v, label=step(v.label)) if "connect" not in v.label else v for v in found.gateway_views),
    )


def noisy(found: Evidence, draws: list[tuple[Any, ...]]) -> Evidence:
    """Frames of others on both sides: pings to the NAT, ARP, name service. They get numbers at the end of each capture."""
    observations = dict(found.observations)
    for k, (side, t, kind, src, dst) in enumerate(draws):
        start = found.observations[side][0].t
        extra = Observation(side, len(observations[side]) + 1, start + t, src, dst, 53, 53, 64, kind, 60, f"noise{k}")
        observations[side] = (*observations[side], extra)
    return replace(found, observations=observations)


names = st.sampled_from(sorted(WORLDS))
noise = st.lists(
    st.tuples(
        st.sampled_from([Side.INSIDE, Side.OUTSIDE]),
        st.floats(0.0, 8.0),
        st.sampled_from([FrameKind.OTHER, FrameKind.ICMP]),
        st.sampled_from(["192.0.2.1", b.NAT]),
        st.sampled_from(["192.0.2.2", "203.0.113.1"]),
    ),
    max_size=6,
)


@few
@given(names, st.floats(-1e6, 1e6))
def test_the_hour_does_not_matter(name: str, by: float) -> None:
    assert outcomes(later(evidence(name), round(by, 1))) == expected(name)


@few
@given(names, st.data())
def test_the_numbers_of_the_clients_do_not_matter(name: str, data: st.DataObject) -> None:
    count = len(evidence(name).plans)
    order = tuple(data.draw(st.permutations(range(1, count + 1))))
    found = outcomes(renamed(evidence(name), order))
    assert {r: o for r, o in found.items() if r not in ORDERED} == {r: o for r, o in expected(name).items() if r not in ORDERED}


@few
@given(names, noise)
def test_frames_of_others_do_not_matter(name: str, draws: list[tuple[Any, ...]]) -> None:
    # DMX-33 is about every packet on the outside, so that a stranger's there does matter to it
    mine = [d for d in draws if d[0] is Side.INSIDE or d[2] is FrameKind.OTHER or d[3] == b.NAT]
    assert outcomes(noisy(evidence(name), mine)) == expected(name)


@few
@given(names, st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_listed_does_not_matter(name: str, random: Any) -> None:
    found = evidence(name)

    def mixed(row: Any) -> tuple[Any, ...]:
        listed = list(row)
        random.shuffle(listed)
        return tuple(listed)

    shuffled = replace(
        found, plans=mixed(found.plans), identities=mixed(found.identities), pairs=mixed(found.pairs),
        captures=mixed(found.captures),
        observations={s: mixed(frames) for s, frames in found.observations.items()},
    )  # fmt: skip
    assert outcomes(shuffled) == expected(name)
