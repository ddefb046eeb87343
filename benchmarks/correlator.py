"""How long it takes to find the right SA among a thousand: frames paired, clients identified, every frame's owner found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.model import ClientPlan, Evidence, FrameKind, Observation, Secret, Side, Step
from harness.probes.identity import identities
from harness.probes.pairing import pair
from harness.verdict.peers import correlator_is_unambiguous
from harness.verdict.reading import Reading

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"
SENT = 4
"""ESP packets of each client, each way, beside its main mode and quick mode."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds, and what they were for. `verdict` is "pass" where every SA was found without doubt."""

    sas: int
    frames: int
    paired_s: float
    identified_s: float
    correlated_s: float
    verdict: str

    @property
    def total_s(self) -> float:
        return self.paired_s + self.identified_s + self.correlated_s


def measure(sas: int = 1000) -> Figures:
    """`sas` ESP SAs, two a client, all behind one NAT address."""
    plans = tuple(_plan(n) for n in range(1, sas // 2 + 1))
    seen: dict[Side, tuple[Observation, ...]] = {}
    for side in (Side.INSIDE, Side.OUTSIDE):
        frames = sorted((o for plan in plans for o in _frames(plan, side)), key=lambda o: o.t)
        seen[side] = tuple(replace(o, frame=i) for i, o in enumerate(frames, 1))
    began = time.perf_counter()
    paired = pair(seen[Side.INSIDE], seen[Side.OUTSIDE], GATEWAY)
    then = time.perf_counter()
    found = identities(seen, paired.pairs, {plan.name: plan.address for plan in plans}, GATEWAY)
    identified = time.perf_counter()
    evidence = Evidence(
        "benchmark", "", "", plans, tuple(Step(f"connect:{p.name}", 0.0, 1.0) for p in plans), (), seen, (), paired.pairs, found,
        GATEWAY, NAT,
    )  # fmt: skip
    # the check itself, without the question whether captures are to be trusted: there are none
    judge = correlator_is_unambiguous.__wrapped__  # type: ignore[attr-defined]
    verdict = judge(Reading(evidence), at_least=sas)
    done = time.perf_counter()
    return Figures(sas, sum(map(len, seen.values())), then - began, identified - then, done - identified, verdict.outcome.value)


def _plan(n: int) -> ClientPlan:
    return ClientPlan(n, f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", GATEWAY, Secret("s"), f"user{n}", Secret("p"))


def _frames(plan: ClientPlan, side: Side) -> Iterator[Observation]:
    """A client's main mode, quick mode and some ESP as one side of the NAT has it."""
    n = plan.number
    outside = side is Side.OUTSIDE
    cookies = {"icookie": f"{n:016x}", "rcookie": f"{n + (1 << 40):016x}"}
    spis = {"up": f"d{n:07x}", "down": f"c{n:07x}"}
    t = float(n) / 1000
    for i, message in enumerate(("MM1", "MM2", "MM3", "MM4", "MM5", "MM6", "QM1", "QM2", "QM3")):
        direction = "down" if i % 2 else "up"
        quick = message.startswith("QM")
        proposals = [{"protocol": "ESP", "spi": spis["down" if direction == "up" else "up"]}] if message in ("QM1", "QM2") else []
        known = cookies if message != "MM1" else {**cookies, "rcookie": "0" * 16}
        ike = {**known, "message": message, "message_id": int(quick),
               "exchange": "quick mode" if quick else "main mode", "encrypted": i > 3, "decrypted": i > 3, "proposals": proposals,
               "retransmission": False}  # fmt: skip
        yield _frame(plan, side, t + 0.01 * i, direction, 500 if i < 4 else 4500, FrameKind.IKE, f"{n} {message}", outside, ike=ike)
    for i in range(SENT):
        for direction in ("up", "down"):
            esp = {"spi": spis[direction], "sequence": i + 1, "icv_ok": True}
            yield _frame(plan, side, t + 1.0 + 0.02 * i, direction, 4500, FrameKind.ESP, f"{n} {direction} {i}", outside, esp=esp)


def _frame(
    plan: ClientPlan, side: Side, t: float, direction: str, port: int, kind: FrameKind, digest: str, outside: bool, **facts: object
) -> Observation:
    mapped = (1024 if port == 500 else 32768) + plan.number
    own = (NAT, mapped) if outside else (plan.address, port)
    src, dst = (own, (GATEWAY, port)) if direction == "up" else ((GATEWAY, port), own)
    return Observation(side, 0, t, src[0], dst[0], src[1], dst[1], 64, kind, 100, digest, **facts)  # type: ignore[arg-type]
