"""What a testbed cannot give, whatever happens on it: a check that rests on it is not put there, and the report says why. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from harness.model import Side
from harness.model.testbed import Testbed
from harness.verdict.routers.gate import RouterCheck
from harness.verdict.trust import Need

OF_NO_ROUTER: Mapping[Need, str] = {
    Need.TRANSLATED: "no router shows what passes between its IPsec and its L2TP",
    Need.GATEWAY_EVENTS: "a router tells no events",
    Need.COOKIES: "IOS shows no cookies of its ISAKMP SAs",
}


THERE: Mapping[Side, str] = {
    Side.FAR_END: "no router shows what its tunnels carry within it",
    Side.TRANSLATED: "no router shows what passes between its IPsec and its L2TP",
}
"""Why a capture within a laboratory of routers that are there cannot be had."""
NO_KEYS = "no router gives the keys of its SAs away, and what they protect cannot be read"


def wanting_there(check: RouterCheck, *, readable: Collection[str]) -> str:
    """The same of a check on routers that are there. `readable` is what needs no keys to be read: of "esp" and "all"."""
    missing = next((THERE[side] for side in check.needs if side in THERE), check.not_there)
    return missing or (NO_KEYS if check.opens and check.opens not in readable else "")


def wanting(testbed: Testbed, needs: Iterable[Need]) -> str:
    """Why what a check rests on cannot be had there; "" where it can."""
    if testbed.router is None:
        return ""
    host = testbed.gateway.end_host_connection
    missing = dict(OF_NO_ROUTER)
    if host is None:
        missing[Need.FAR_END] = "the testbed has no host behind the router, where its far end could be captured"
    return next((missing[need] for need in needs if need in missing), "")
