"""`show vpdn [tunnel | session]` and `show l2tp tunnel | session`: L2TP's tunnels and the calls in them, in the layouts of 12.2 and
of 12.3 and 12.4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.model import ios_releases
from harness.virtual.ios.grammar import Match
from harness.virtual.vpdn import view
from harness.virtual.vpdn.view import SessionRow, TunnelRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.virtual.ios.router import IosRouter

NONE_ELSE = ("%No active L2F tunnels", "%No active PPTP tunnels", "%No active PPPoE tunnels")
NAMED = {(True, True): "Tunnel and Session", (True, False): "Tunnel", (False, True): "Session"}


def interface_of(name: str) -> str:
    """An LNS's "ppp0" is Vi1, a LAC's "line1" As1."""
    return f"Vi{int(name.removeprefix('ppp')) + 1}" if name.startswith("ppp") else f"As{name.removeprefix('line')}"


def shown(router: IosRouter, tunnels: bool, sessions: bool, others: bool) -> list[str]:
    found = view.of(router.state.now, router.core).tunnels
    release = ios_releases.parse(router.state.release)
    old = (release.major, release.minor) < (12, 3)
    count = sum(len(one.sessions) for one in found)
    lines = [""]
    if not found:
        lines += ["%No active L2TP tunnels"]
    else:
        lines += [f"L2TP {NAMED[tunnels, sessions]} Information Total tunnels {len(found)} sessions {count}", ""]
    if found and tunnels:
        lines.append("LocID RemID Remote Name   State  Remote Address  Port  Sessions" + ("" if old else " VPDN Group"))
        lines += [*(_tunnel(router, one, old) for one in found), ""]
    if count and sessions:
        lines.append(
            "LocID RemID TunID Intf    Username      State  Last Chg Fastswitch"
            if old
            else "LocID RemID TunID Intf       Username               State  Last Chg Uniq ID"
        )
        lines += [*(_session(router, one, call, old) for one in found for call in one.sessions), ""]
    return [*lines, *NONE_ELSE] if others else lines


SHOWS: Mapping[str, Callable[[IosRouter, Match], list[str]]] = {
    "show vpdn": lambda router, match: shown(router, True, True, True),
    "show vpdn tunnel": lambda router, match: shown(router, True, False, True),
    "show vpdn session": lambda router, match: shown(router, False, True, True),
    "show l2tp": lambda router, match: shown(router, True, True, False),
    "show l2tp tunnel": lambda router, match: shown(router, True, False, False),
    "show l2tp session": lambda router, match: shown(router, False, True, False),
}


def _tunnel(router: IosRouter, row: TunnelRow, old: bool) -> str:
    name = router.debug.hosts.get(row.number, "") or "-"
    line = f"{row.number:<5} {row.remote:<5} {name[:13]:<13} {'est':<6} {row.peer:<15} {row.port:<5} {len(row.sessions):<8}"
    return line if old else f"{line} {row.group or _group(router)}".rstrip()


def _group(router: IosRouter) -> str:
    """Where one policy serves all, the group that accepts."""
    groups = router.state.configuration.tree.find("vpdn-group")
    return next((group.words[1] for group in groups if group.first("accept-dialin")), "")


def _session(router: IosRouter, tunnel: TunnelRow, row: SessionRow, old: bool) -> str:
    state = "est" if row.remote else "wt-con"
    seconds = int(router.state.now - router.debug.since.get((tunnel.number, row.number), router.state.now))
    since = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if seconds >= 86400:
        since = f"{seconds // 86400}d{seconds // 3600 % 24:02}h"
    user, interface = row.user or "-", interface_of(row.interface)
    ids = f"{row.number:<5} {row.remote:<5} {tunnel.number:<5}"
    if old:
        return f"{ids} {interface:<7} {user[:13]:<13} {state:<6} {since:<8} enabled"
    return f"{ids} {interface:<10} {user[:22]:<22} {state:<6} {since:<8} {row.number}"
