"""`show crypto isakmp sa`, in the layouts of 12.2, 12.4 and 15."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.numbers import before_12_4, ike_conn_id, since_15

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.virtual.ios.router import IosRouter


def isakmp_sa(router: IosRouter, match: Match) -> list[str]:
    rows = list(_rows(router))
    if before_12_4(router.state.release):
        return [
            "dst             src             state           conn-id    slot",
            *(f"{dst:<15} {src:<15} {state:<13} {number:>9} {0:>7}" for dst, src, state, number in rows),
        ]
    slot, heading = ("", "") if since_15(router.state.release) else (f" {0:>4}", " slot")
    return [
        "IPv4 Crypto ISAKMP SA",
        f"dst             src             state          conn-id{heading} status",
        *(f"{dst:<15} {src:<15} {state:<14} {number:>7}{slot} ACTIVE" for dst, src, state, number in rows),
        "",
        "IPv6 Crypto ISAKMP SA",
        "",
    ]


SHOWS: Mapping[str, Callable[[IosRouter, Match], list[str]]] = {"show crypto isakmp sa": isakmp_sa}


def _rows(router: IosRouter) -> Iterator[tuple[str, str, str, int]]:
    """(who answered, who began, state, conn-id); an exchange that has not come to an SA has no conn-id yet."""
    ipsec, here = router.core.ipsec, router.core.settings.address
    for association in ipsec.associations:
        ends = (association.address, here) if ipsec.began_here(association) else (here, association.address)
        if association.half_open:
            yield *ends, "MM_NO_STATE", 0
        for cookies in association.ike_sas:
            yield *ends, "QM_IDLE", ike_conn_id(router.state.release, ipsec.ike_numbers[cookies])
