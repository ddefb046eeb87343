"""The gate before a check on routers: what it rests on has to be there and sound, else it is INCONCLUSIVE.

    @check(Side.OUTSIDE)
    def clear_request_is_ignored(evidence: Evidence) -> Verdict: …

The checks themselves may raise Inconclusive where what they judge did not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Protocol

from harness.errors import Inconclusive
from harness.model import Evidence, FrameKind, Outcome, Side, Verdict
from harness.verdict.routers.reading import injections, is_forged


class RouterCheck(Protocol):
    """A check as the suites see it. `needs` are the captures that it rests on, `decrypted` whether all of them has to be open to
    it, `keys` whether some of it has."""

    __name__: str
    __doc__: str | None
    needs: tuple[Side, ...]
    decrypted: bool
    keys: bool

    def __call__(self, evidence: Evidence) -> Verdict: ...


Judge = Callable[[Evidence], Verdict]


def check(*needs: Side, decrypted: bool = False, keys: bool = False) -> Callable[[Judge], RouterCheck]:
    def wrap(judge: Judge) -> RouterCheck:
        @wraps(judge)
        def gated(evidence: Evidence) -> Verdict:
            found = tuple(doubts(evidence, needs, decrypted=decrypted))
            if found:
                return Verdict(Outcome.INCONCLUSIVE, "; ".join(found[:6]), {"doubts": list(found)})
            try:
                return judge(evidence)
            except Inconclusive as doubt:
                return Verdict(Outcome.INCONCLUSIVE, str(doubt), {"doubts": [str(doubt)]})

        gated.needs, gated.decrypted, gated.keys = needs, decrypted, decrypted or keys  # type: ignore[attr-defined]
        return gated  # type: ignore[return-value]

    return wrap


def doubts(evidence: Evidence, needs: tuple[Side, ...], *, decrypted: bool) -> Iterator[str]:
    """Every reason why what a check needs is not to be trusted."""
    yield from evidence.trouble
    for side in needs:
        facts = next((one for one in evidence.captures if one.side is side), None)
        if facts is None:
            yield f"there is no {side.value} capture"
            continue
        if facts.dropped:
            yield f"the {side.value} capture lost {facts.dropped} frames"
        if not facts.complete:
            yield f"the {side.value} capture does not cover the run from before its first packet to its orderly end"
        if decrypted:
            yield from _closed(evidence, side)


def _closed(evidence: Evidence, side: Side) -> Iterator[str]:
    forged = injections(evidence)
    for frame in evidence.observations.get(side, ()):
        if is_forged(frame, forged):  # by the script: it need not make sense
            continue
        if frame.problem is not None:
            yield f"{side.value} frame {frame.frame}: {frame.problem}"
        elif frame.kind is FrameKind.ESP and frame.inner is None and not (frame.esp or {}).get("next_header"):
            yield f"{side.value} frame {frame.frame}: no key opens this ESP packet"
        elif frame.kind is FrameKind.IKE and (frame.ike or {}).get("encrypted") and not (frame.ike or {}).get("decrypted"):
            yield f"{side.value} frame {frame.frame}: no key opens this IKE message"
