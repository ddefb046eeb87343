"""`show crypto isakmp sa`, in the layouts of 12.2, 12.4 and 15."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.numbers import before_12_4, ike_conn_id, since_15
from harness.virtual.ios.shows.crypto_values import CryptoAccount

if TYPE_CHECKING:
    from collections.abc import Callable


def isakmp_sa(account: CryptoAccount, match: Match) -> list[str]:
    rows = list(_rows(account))
    if before_12_4(account.state.release):
        return [
            "dst             src             state           conn-id    slot",
            *(f"{dst:<15} {src:<15} {state:<13} {number:>9} {0:>7}" for dst, src, state, number in rows),
        ]
    slot, heading = ("", "") if since_15(account.state.release) else (f" {0:>4}", " slot")
    return [
        "IPv4 Crypto ISAKMP SA",
        f"dst             src             state          conn-id{heading} status",
        *(f"{dst:<15} {src:<15} {state:<14} {number:>7}{slot} ACTIVE" for dst, src, state, number in rows),
        "",
        "IPv6 Crypto ISAKMP SA",
        "",
    ]


SHOWS: Mapping[str, Callable[[CryptoAccount, Match], list[str]]] = {"show crypto isakmp sa": isakmp_sa}


def _rows(account: CryptoAccount) -> Iterator[tuple[str, str, str, int]]:
    """(who answered, who began, state, conn-id); an exchange that has not come to an SA has no conn-id yet."""
    for one in account.ike():
        number = 0 if one.number is None else ike_conn_id(account.state.release, one.number)
        yield one.answered, one.began, one.state, number
