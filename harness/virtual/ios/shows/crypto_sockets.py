"""`show crypto sockets`: the UDP sockets of L2TP's that IPsec protects, and the profiles by which an LNS waits for peers.

The layout is that of Cisco's guide "Sharing IPsec with Tunnel Protection"; the client's name that of L2TP Security's debug lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from harness.virtual.ios.debugging import CLIENT
from harness.virtual.ios.grammar import Match
from harness.virtual.ios.kinds import short_interface
from harness.virtual.vpdn.maps import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.virtual.ios.router import IosRouter

HOST = "255.255.255.255"
UDP = 17


def sockets(router: IosRouter, match: Match) -> list[str]:
    vpdn = router.core.settings.vpdn
    crypto = None if vpdn is None else vpdn.crypto
    interface = "" if crypto is None else short_interface(crypto.interface)
    found = list(dict.fromkeys(_flows(router)))
    lines = ["", f"Number of Crypto Socket connections {len(found)}", ""]
    for flow, profile in found:
        state = "Open" if router.core.ipsec.ready(flow.remote, flow.remote_port) else "Closed"
        lines += [
            f"   {interface} Peers (local/remote): {flow.local}/{flow.remote}",
            f"       Local Ident  (addr/mask/port/prot): ({flow.local}/{HOST}/{flow.local_port}/{UDP})",
            f"       Remote Ident (addr/mask/port/prot): ({flow.remote}/{HOST}/{flow.remote_port}/{UDP})",
            f'       IPSec Profile: "{profile}"',
            f"       Socket State: {state}",
            f'       Client: "{CLIENT}" (Client State: Active)',
        ]
    lines += ["", "Crypto Sockets in Listen state:"]
    waited = () if vpdn is None else (group.security.profile for group in vpdn.accept if group.security is not None)
    for name in dict.fromkeys(waited):
        if crypto is not None and (template := crypto.profile(name)) is not None:
            lines.append(f'Client: "{CLIENT}" Profile: "{name}" Map-name: "{template.map_name}"')
    return lines


SHOWS: Mapping[str, Callable[[IosRouter, Match], list[str]]] = {"show crypto sockets": sockets}


def _flows(router: IosRouter) -> Iterator[tuple[Flow, str]]:
    """The sockets of tunnels that are protected, and their profiles' names."""
    tunnels = [(held.flow, held.group) for held in router.core.lns.held.values()]
    for flow, group in [*tunnels, *((one.flow, one.group) for one in router.core.lac.tunnels.values())]:
        if flow is not None and group is not None and group.security is not None:
            yield flow, group.security.profile
