"""The `clear` commands of a live router: SAs, tunnels and sessions end as the peer is told, and nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.numbers import ike_conn_id
from harness.virtual.ios.state import State

if TYPE_CHECKING:
    from harness.virtual.ios.router import IosRouter
    from harness.virtual.ios.session import Session

Said = Iterable[str]


class CryptoOrders(Protocol):
    """What ends a role's SAs, as the peers are told."""

    def clear_sas(self, now: float, peer: str | None = None, map_name: str | None = None) -> None:
        """Those with a peer, or of a crypto map; all without either."""

    def clear_isakmp(self, now: float, number: int | None = None) -> None:
        """`number` counts the ISAKMP SAs that there ever were, from 0; without it, all."""


def register_crypto(state: State, role: CryptoOrders) -> None:
    def sas(session: Session, match: Match) -> Said:
        peer = match.get("peer", "")
        role.clear_sas(state.now, str(ipaddress.IPv4Address(peer)) if peer else None, match.get("map", "") or None)
        return ()

    def isakmp(session: Session, match: Match) -> Said:
        shown = match.get("conn", "")
        role.clear_isakmp(state.now, int(shown) - ike_conn_id(state.release, 0) if shown else None)
        return ()

    state.command("clear crypto sa", sas)
    state.command("clear crypto sa peer A.B.C.D:peer", sas)
    state.command("clear crypto sa map WORD:map", sas)
    state.command("clear crypto isakmp [<0-2147483647>:conn]", isakmp)


def register(state: State, router: IosRouter) -> None:
    def add(syntax: str, act: Callable[[IosRouter, float, Match], Said]) -> None:
        def action(session: Session, match: Match) -> Said:
            said = act(router, state.now, match)
            router.settle()
            return said

        state.command(syntax, action)

    register_crypto(state, RouterOrders(router))
    add("clear crypto session", lambda router, now, match: _peers(router, now, None, None))
    add(
        "clear crypto session remote A.B.C.D:peer [port <1-65535>:port]",
        lambda router, now, match: _peers(router, now, match.get("peer"), match.get("port", "")),
    )
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


class RouterOrders:
    def __init__(self, router: IosRouter) -> None:
        self._router = router

    def clear_sas(self, now: float, peer: str | None = None, map_name: str | None = None) -> None:
        """ESP SAs go, with a Delete for each pair; ISAKMP SAs stay."""
        core = self._router.core
        applied = [entry.value("crypto map") for entry in self._router.state.configuration.tree.find("interface")]
        for sa in list(core.ipsec.sadb):
            wanted = peer in (None, sa.address) and (map_name is None or map_name in applied)
            if wanted and sa.spi_in in core.ipsec.sadb.by_spi:
                core.delete_esp(now, f"{sa.spi_in:08x}")
        self._router.settle()

    def clear_isakmp(self, now: float, number: int | None = None) -> None:
        """ISAKMP SAs go, with a Delete; the ESP SAs that they have made stay."""
        ipsec = self._router.core.ipsec
        for association in list(ipsec.associations):
            if number is None or number in [ipsec.ike_numbers[pair] for pair in association.ike_sas]:
                ipsec.order(now, association, lambda core: core.delete_ike(now))
        self._router.settle()


def _peers(router: IosRouter, now: float, peer: str | None, port: str | None) -> Said:
    """All that there is with a peer, both phases; of those behind one NAT the one whose IKE comes from that port."""
    for association in list(router.core.ipsec.associations):
        if peer in (None, association.address) and (not port or int(port) == association.udp_port):
            router.core.ipsec.order(now, association, lambda core: core.close(now))
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
