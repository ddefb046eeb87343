"""All scripts for routers by name; what they do stands in the modules listed here. A script does not judge."""

from __future__ import annotations

from harness.errors import UsageError
from harness.routers.script import RouterScript
from harness.routers.scripts.crypto_map_edits import EDITS
from harness.routers.scripts.crypto_maps import MAPS
from harness.routers.scripts.esp_ports import PORTS
from harness.routers.scripts.esp_tunnels import TUNNELS
from harness.routers.scripts.l2tp_accounting import ACCOUNTING
from harness.routers.scripts.l2tp_benefits import BENEFITS
from harness.routers.scripts.l2tp_calls import CALLS
from harness.routers.scripts.l2tp_debug import DEBUG
from harness.routers.scripts.l2tp_path_mtu import PATH_MTUS
from harness.routers.scripts.l2tp_profiles import PROFILES
from harness.routers.scripts.l2tp_protection import PROTECTION
from harness.routers.scripts.l2tp_releases import RELEASES
from harness.routers.scripts.l2tp_teardown import TEARDOWN

SCRIPTS = {
    script.name: script
    for scripts in (
        CALLS,
        PROTECTION,
        TEARDOWN,
        RELEASES,
        PROFILES,
        DEBUG,
        PATH_MTUS,
        BENEFITS,
        TUNNELS,
        PORTS,
        MAPS,
        EDITS,
        ACCOUNTING,
    )
    for script in scripts
}


def script(name: str) -> RouterScript:
    if name not in SCRIPTS:
        raise UsageError(f"there is no scenario for routers {name!r}", cure=f"one of {', '.join(SCRIPTS)}")
    return SCRIPTS[name]
