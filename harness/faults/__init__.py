"""The faults that a proof gives to gateway, NAT and client, and to routers, by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from harness.errors import UsageError, typed
from harness.faults import (
    client,
    gateway,
    gateway_calls,
    gateway_natt,
    gateway_ports,
    nat,
    nat_links,
    routers_demux,
    routers_endpoints,
    routers_esp,
    routers_groups,
    routers_l2tp,
    routers_maps,
    routers_nat_lines,
    routers_profiles,
)
from harness.faults.fault import Fault

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for room in (
        *(gateway, gateway_natt, gateway_ports, gateway_calls, nat, nat_links, client),
        *(routers_l2tp, routers_profiles, routers_esp, routers_endpoints, routers_demux),
        *(routers_groups, routers_maps, routers_nat_lines),
    )
    for fault in room.FAULTS
}


def named(name: str) -> Fault:
    """UsageError where there is no such fault."""
    if name not in FAULTS:
        close = difflib.get_close_matches(name, FAULTS)
        cure = f"did you mean {' or '.join(close)}?" if close else f"{typed('prove --list')} lists all {len(FAULTS)}"
        raise UsageError(f"there is no fault {name!r}", cure=cure)
    return FAULTS[name]
