"""The gate before a check on routers: what it rests on has to be there and sound, else it is INCONCLUSIVE.

    @check(Side.OUTSIDE)
    def clear_request_is_ignored(evidence: Evidence) -> Verdict: …

The checks themselves may raise Inconclusive where what they judge did not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Literal, Protocol

from harness.errors import Inconclusive
from harness.model import Evidence, FrameKind, Outcome, Side, Verdict
from harness.verdict.routers.reading import injections, is_forged

Opens = Literal["", "esp", "all"]


class RouterCheck(Protocol):
    """A check as the suites see it. `needs` are the captures that it rests on; `opens` is what of them has to be open to it: "all"
    that is protected, what is in "esp", or "" nothing. `not_there`: why routers that are there are not asked it."""

    __name__: str
    __doc__: str | None
    needs: tuple[Side, ...]
    opens: Opens
    not_there: str

    def __call__(self, evidence: Evidence) -> Verdict: ...


Judge = Callable[[Evidence], Verdict]


def check(
    *needs: Side, decrypted: bool | Literal["esp"] = False, keys: bool | Literal["esp"] = False, not_there: str = ""
) -> Callable[[Judge], RouterCheck]:
    """`decrypted`: all of these captures has to be open, or "esp", what is in ESP; with `keys` alone the check itself says what of
    it."""
    opens: Opens = "esp" if "esp" in (decrypted, keys) else "all" if decrypted or keys else ""

    def wrap(judge: Judge) -> RouterCheck:
        @wraps(judge)
        def gated(evidence: Evidence) -> Verdict:
            found = tuple(doubts(evidence, needs, decrypted=opens if decrypted else ""))
            if found:
                return Verdict(Outcome.INCONCLUSIVE, "; ".join(found[:6]), {"doubts": list(found)})
            try:
                return judge(evidence)
            except Inconclusive as doubt:
                return Verdict(Outcome.INCONCLUSIVE, str(doubt), {"doubts": [str(doubt)]})

        gated.needs, gated.opens, gated.not_there = needs, opens, not_there  # type: ignore[attr-defined]
        return gated  # type: ignore[return-value]

    return wrap


def doubts(evidence: Evidence, needs: tuple[Side, ...], *, decrypted: Opens) -> Iterator[str]:
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
            yield from _closed(evidence, side, ike=decrypted == "all")


def _closed(evidence: Evidence, side: Side, *, ike: bool) -> Iterator[str]:
    forged = injections(evidence)
    for frame in evidence.observations.get(side, ()):
        if is_forged(frame, forged):  # by the script: it need not make sense
            continue
        if frame.problem is not None:
            yield f"{side.value} frame {frame.frame}: {frame.problem}"
        elif frame.kind is FrameKind.ESP and frame.inner is None and not (frame.esp or {}).get("next_header"):
            yield f"{side.value} frame {frame.frame}: no key opens this ESP packet"
        elif ike and frame.kind is FrameKind.IKE and (frame.ike or {}).get("encrypted") and not (frame.ike or {}).get("decrypted"):
            yield f"{side.value} frame {frame.frame}: no key opens this IKE message"
