"""All scenarios by name, each a short script that a `Play` carries out; what they do stands in the modules listed here.

A script says who connects, when traffic flows, and how it ends; it does not judge. Step names are what the verdicts look for:
"connect:c1", "hold", "idle", "delete-ipsec:c1", "gateway-close:c2", "client-close:c3", "vanish:c4", "settle", "rekey-ipsec:c1",
"rekey-ike:c1", "nat-clears:c1", "silence:c1", "demux-off", "return:c1", "churn", "storm".
"""

from __future__ import annotations

from harness.errors import UsageError
from harness.scenario.basics import BASICS
from harness.scenario.churn import CHURNS
from harness.scenario.demuxing import DEMUXING
from harness.scenario.nats import NATS
from harness.scenario.populations import POPULATIONS
from harness.scenario.real_clients import REAL_CLIENTS
from harness.scenario.rekeys import REKEYS
from harness.scenario.router_lines import ROUTERS
from harness.scenario.script import Script
from harness.scenario.storms import STORMS
from harness.scenario.voluntary import VOLUNTARY

SCRIPTS = {
    script.name: script
    for script in (*BASICS, *DEMUXING, *REKEYS, *NATS, *POPULATIONS, *CHURNS, *STORMS, *REAL_CLIENTS, *ROUTERS, *VOLUNTARY)
}


def script(name: str) -> Script:
    if name not in SCRIPTS:
        raise UsageError(f"there is no scenario {name!r}", cure=f"one of {', '.join(SCRIPTS)}")
    return SCRIPTS[name]
