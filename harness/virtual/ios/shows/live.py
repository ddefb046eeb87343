"""Registers the show commands of the live role, a module a family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.virtual.ios.shows import aaa_servers, crypto_engine, crypto_maps, ipsec_sas, isakmp_sas, local_pools, vpdn
from harness.virtual.ios.state import State

if TYPE_CHECKING:
    from harness.virtual.ios.router import IosRouter

SHOWS = (
    aaa_servers.SHOWS, crypto_maps.SHOWS, crypto_engine.SHOWS, ipsec_sas.SHOWS, isakmp_sas.SHOWS, local_pools.SHOWS, vpdn.SHOWS,
)  # fmt: skip


def register(state: State, router: IosRouter) -> None:
    for family in SHOWS:
        for syntax, lines_of in family.items():
            state.show(syntax, lambda state, match, lines_of=lines_of: lines_of(router, match))  # type: ignore[misc]
