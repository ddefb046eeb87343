"""`show vpdn [tunnel | session]` and `show l2tp tunnel | session`: L2TP's tunnels and the calls in them, in the layouts of 12.2,
of 12.3 and 12.4, and of 15."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.model import ios_releases
from harness.virtual.ios.grammar import Match
from harness.virtual.ios.numbers import since_15
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
    if found and since_15(router.state.release):
        lines += _newest(router, found, tunnels, sessions and count > 0)
    elif found and tunnels:
        lines.append("LocID RemID Remote Name   State  Remote Address  Port  Sessions" + ("" if old else " VPDN Group"))
        lines += [*(_tunnel(router, one, old) for one in found), ""]
    if count and sessions and not since_15(router.state.release):
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


def _newest(router: IosRouter, found: Sequence[TunnelRow], tunnels: bool, sessions: bool) -> Iterator[str]:
    """Of 15: no port, and user and interface in one column, which goes on in the next line where it is too narrow."""
    if tunnels:
        yield "LocTunID   RemTunID   Remote Name   State  Remote Address  Sessn L2TP Class/"
        yield f"{'':<59}Count VPDN Group "
        for row in found:
            name, group = router.debug.hosts.get(row.number, "") or "-", row.group or _group(router)
            line = f"{row.number:<10} {row.remote:<10} {name[:13]:<13} {'est':<6} {row.peer:<15} {len(row.sessions):<5}"
            yield f"{line} {group[:15]}".rstrip()
        yield ""
    if sessions:
        yield "LocID      RemID      TunID      Username, Intf/      State  Last Chg Uniq ID   "
        yield f"{'':<33}Vcid, Circuit"
        for row in found:
            for call in row.sessions:
                who = f"{call.user or '-'}, {interface_of(call.interface)}"
                ids = f"{call.number:<10} {call.remote:<10} {row.number:<10}"
                yield f"{ids} {who[:20].rstrip():<20} {_state(call):<6} {_since(router, row, call):<8} {call.number}"
                if len(who) > 20:
                    yield f"{'':<33}{who[20:].lstrip()}"
        yield ""


def _tunnel(router: IosRouter, row: TunnelRow, old: bool) -> str:
    name = router.debug.hosts.get(row.number, "") or "-"
    line = f"{row.number:<5} {row.remote:<5} {name[:13]:<13} {'est':<6} {row.peer:<15} {row.port:<5} {len(row.sessions):<8}"
    return line if old else f"{line} {row.group or _group(router)}".rstrip()


def _group(router: IosRouter) -> str:
    """Where one policy serves all, the group that accepts."""
    groups = router.state.configuration.tree.find("vpdn-group")
    return next((group.words[1] for group in groups if group.first("accept-dialin")), "")


def _session(router: IosRouter, tunnel: TunnelRow, row: SessionRow, old: bool) -> str:
    state, since = _state(row), _since(router, tunnel, row)
    user, interface = row.user or "-", interface_of(row.interface)
    ids = f"{row.number:<5} {row.remote:<5} {tunnel.number:<5}"
    if old:
        return f"{ids} {interface:<7} {user[:13]:<13} {state:<6} {since:<8} enabled"
    return f"{ids} {interface:<10} {user[:22]:<22} {state:<6} {since:<8} {row.number}"


def _state(row: SessionRow) -> str:
    return "est" if row.remote else "wt-con"


def _since(router: IosRouter, tunnel: TunnelRow, row: SessionRow) -> str:
    """How long the session has been up: hours, minutes and seconds, or days and hours."""
    seconds = int(router.state.now - router.debug.since.get((tunnel.number, row.number), router.state.now))
    if seconds >= 86400:
        return f"{seconds // 86400}d{seconds // 3600 % 24:02}h"
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
