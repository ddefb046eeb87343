"""Registers the show commands of the live roles, a module a family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.virtual.ios.shows import (
    aaa_servers,
    crypto_engine,
    crypto_maps,
    crypto_sessions,
    crypto_sockets,
    interfaces,
    ipsec_sas,
    isakmp_sas,
    local_pools,
    users,
    vpdn,
)
from harness.virtual.ios.shows.crypto_values import CryptoAccount
from harness.virtual.ios.shows.router_crypto import RouterCrypto
from harness.virtual.ios.state import State

if TYPE_CHECKING:
    from harness.virtual.ios.router import IosRouter

CRYPTO = (crypto_maps.SHOWS, crypto_engine.SHOWS, ipsec_sas.SHOWS, isakmp_sas.SHOWS)
OF_ROUTER = (aaa_servers.SHOWS, crypto_sockets.SHOWS, interfaces.SHOWS, local_pools.SHOWS, vpdn.SHOWS)


def register(state: State, router: IosRouter) -> None:
    register_crypto(state, RouterCrypto(router))
    users.register(state, router)
    for family in OF_ROUTER:
        for syntax, lines_of in family.items():
            state.show(syntax, lambda state, match, lines_of=lines_of: lines_of(router, match))  # type: ignore[misc]


def register_crypto(state: State, account: CryptoAccount) -> None:
    for family in CRYPTO:
        for syntax, lines_of in family.items():
            state.show(syntax, lambda state, match, lines_of=lines_of: lines_of(account, match))  # type: ignore[misc]
    for syntax in crypto_sessions.SYNTAXES:
        state.show(syntax, lambda state, match: crypto_sessions.crypto_session(account, match), gate=crypto_sessions.GATE)
