"""`show users`: the terminal lines in use, and the users of PPP by their interfaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.shows.vpdn import interface_of
from harness.virtual.ios.state import State
from harness.virtual.vpdn import view

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.virtual.ios.router import IosRouter


def users(state: State, ppp: Iterable[tuple[str, str, str]] = ()) -> list[str]:
    """`ppp` are interface, user and the address that PPP gave him. Whose connection asks is not marked."""
    lines = ["    Line       User       Host(s)              Idle       Location"]
    for session in state.sessions:
        kind, number = session.line.split()
        absolute = int(number) + {"con": 0, "aux": 1, "vty": 2}[kind]
        idle = int(state.now - session.heard)
        idle_text = f"{idle // 3600:02}:{idle // 60 % 60:02}:{idle % 60:02}"
        name = session.user or ""
        lines.append(f"{absolute:>4} {session.line:<10} {name:<10} {'idle':<20} {idle_text:<10} {session.source}")
    lines += ["", "  Interface    User               Mode         Idle     Peer Address"]
    return lines + [f"  {interface:<12} {user:<18} {'PPPoVPDN':<12} {'-':<8} {address}" for interface, user, address in ppp]


def of_router(router: IosRouter, match: Match) -> list[str]:
    tunnels = view.of(router.state.now, router.core).tunnels
    calls = (call for tunnel in tunnels for call in tunnel.sessions if call.address is not None)
    return users(router.state, [(interface_of(call.interface), call.user, call.address or "") for call in calls])


SHOWS: Mapping[str, Callable[[IosRouter, Match], list[str]]] = {"show users": of_router}
