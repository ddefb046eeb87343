"""All scripts for routers by name; what they do stands in the modules listed here. A script does not judge."""

from __future__ import annotations

from harness.errors import UsageError
from harness.routers.script import RouterScript
from harness.routers.scripts.esp_ports import PORTS
from harness.routers.scripts.esp_tunnels import TUNNELS
from harness.routers.scripts.l2tp_protection import PROTECTION

SCRIPTS = {script.name: script for script in (*PROTECTION, *TUNNELS, *PORTS)}


def script(name: str) -> RouterScript:
    if name not in SCRIPTS:
        raise UsageError(f"there is no scenario for routers {name!r}", cure=f"one of {', '.join(SCRIPTS)}")
    return SCRIPTS[name]
