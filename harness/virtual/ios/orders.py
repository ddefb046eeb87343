"""The `clear` commands of a live router: SAs, tunnels and sessions end as the peer is told, and nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.numbers import ike_conn_id
from harness.virtual.ios.state import State

if TYPE_CHECKING:
    from harness.virtual.ios.router import IosRouter
    from harness.virtual.ios.session import Session

Said = Iterable[str]


def register(state: State, router: IosRouter) -> None:
    def add(syntax: str, act: Callable[[IosRouter, float, Match], Said]) -> None:
        def action(session: Session, match: Match) -> Said:
            said = act(router, state.now, match)
            router.settle()
            return said

        state.command(syntax, action)

    add("clear crypto sa", _all_sas)
    add("clear crypto sa peer A.B.C.D:peer", _sas_of)
    add("clear crypto sa map WORD:map", _sas_of_map)
    add("clear crypto isakmp [<0-2147483647>:conn]", _isakmp)
    for word in ("vpdn", "l2tp"):
        prefix = "clear vpdn tunnel l2tp" if word == "vpdn" else "clear l2tp tunnel"
        add(f"{prefix} all", lambda router, now, match: _tunnels(router, now, lambda tunnel: True))
        add(
            f"{prefix} id <1-65535>:id",
            lambda router, now, match: _tunnels(router, now, lambda one: one[0] == int(match.get("id"))),
        )
        add(
            f"{prefix} ip remote A.B.C.D:peer",
            lambda router, now, match: _tunnels(router, now, lambda one: one[1] == match.get("peer")),
        )
        add(
            f"{prefix} hostname WORD:host",
            lambda router, now, match: _tunnels(router, now, lambda one: router.debug.hosts.get(one[0]) == match.get("host")),
        )
    add("clear l2tp all", lambda router, now, match: _tunnels(router, now, lambda tunnel: True))
    add("clear l2tp session id <1-65535>:id", _call)
    add("clear vpdn session id <1-65535>:id", _call)


def _all_sas(router: IosRouter, now: float, match: Match) -> Said:
    return _sas(router, now, lambda address: True)


def _sas_of(router: IosRouter, now: float, match: Match) -> Said:
    peer = str(ipaddress.IPv4Address(match.get("peer")))
    return _sas(router, now, lambda address: address == peer)


def _sas_of_map(router: IosRouter, now: float, match: Match) -> Said:
    applied = [entry.value("crypto map") for entry in router.state.configuration.tree.find("interface")]
    return _sas(router, now, lambda address: match.get("map") in applied)


def _sas(router: IosRouter, now: float, wanted: Callable[[str], bool]) -> Said:
    """ESP SAs go, with a Delete for each pair; ISAKMP SAs stay."""
    for sa in list(router.core.ipsec.sadb):
        if wanted(sa.address) and sa.spi_in in router.core.ipsec.sadb.by_spi:
            router.core.delete_esp(now, f"{sa.spi_in:08x}")
    return ()


def _isakmp(router: IosRouter, now: float, match: Match) -> Said:
    """ISAKMP SAs go, with a Delete; the ESP SAs that they have made stay."""
    ipsec, wanted = router.core.ipsec, match.get("conn", "")
    for association in list(ipsec.associations):
        numbers = [ike_conn_id(router.state.release, ipsec.ike_numbers[pair]) for pair in association.ike_sas]
        if not wanted or int(wanted) in numbers:
            ipsec.order(now, association, lambda core: core.delete_ike(now))
    return ()


def _tunnels(router: IosRouter, now: float, wanted: Callable[[tuple[int, str]], bool]) -> Said:
    """StopCCN for each that is up."""
    core = router.core
    for tunnel in [*core.lns, *core.lac]:
        if wanted((tunnel.number, tunnel.address)):
            core.close_l2tp(now, tunnel.number)
    return ()


def _call(router: IosRouter, now: float, match: Match) -> Said:
    number = int(match.get("id"))
    return () if router.core.lns.hang_up(now, number) else (f"% No session {number}",)
