"""`show users`: the terminal lines in use, and the users of PPP by their interfaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.shows.vpdn import interface_of
from harness.virtual.ios.state import State
from harness.virtual.vpdn import view

if TYPE_CHECKING:
    from harness.virtual.ios.router import IosRouter
    from harness.virtual.ios.session import Session


def users(state: State, asking: Session, ppp: Iterable[tuple[str, str, str]] = ()) -> list[str]:
    """`ppp` are interface, user and the address that PPP gave him. The line of whoever asks is marked."""
    lines = ["    Line       User       Host(s)              Idle       Location"]
    for session in state.sessions:
        kind, number = session.line.split()
        absolute = int(number) + {"con": 0, "aux": 1, "vty": 2}[kind]
        idle = int(state.now - session.heard)
        idle_text = f"{idle // 3600:02}:{idle // 60 % 60:02}:{idle % 60:02}"
        name = session.user or ""
        mark = "*" if session is asking else " "
        lines.append(f"{mark}{absolute:>3} {session.line:<10} {name:<10} {'idle':<20} {idle_text:<10} {session.source}")
    lines += ["", "  Interface    User               Mode         Idle     Peer Address"]
    return lines + [f"  {interface:<12} {user:<18} {'PPPoVPDN':<12} {'-':<8} {address}" for interface, user, address in ppp]


def register(state: State, router: IosRouter | None = None) -> None:
    """`router`: the live role whose PPP users are shown too."""

    def shown(session: Session, match: Match) -> list[str]:
        return users(state, session, () if router is None else calls(router))

    state.command("show users", shown, level=1)


def calls(router: IosRouter) -> list[tuple[str, str, str]]:
    tunnels = view.of(router.state.now, router.core).tunnels
    up = (call for tunnel in tunnels for call in tunnel.sessions if call.address is not None)
    return [(interface_of(call.interface), call.user, call.address or "") for call in up]
