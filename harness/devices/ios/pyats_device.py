"""`device.parse()` for pyATS, without genie.

pyATS itself has no `parse`: genie puts one into its own class of devices. A testbed file can name another class for a device,
and this module offers one:

    devices:
      lns:
        os: ios
        class: harness.devices.ios.pyats_device.IosDevice

`device.parse("show crypto map")` then gives the Rows of docs/parsers.md, and not genie's dictionaries; a script that wants
those leaves the class out. pyATS is only loaded when the class is asked for.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from harness.devices import ios
from harness.devices.rows import Rows


@cache
def _device_class() -> type:
    base: type = importlib.import_module("pyats.topology").Device

    def parse(self: Any, command: str, output: str | None = None) -> Rows[Any]:
        """The command's output, asked for on the default connection or given, as Rows. UsageError where no parser knows it."""
        return ios.parse_on(self, command) if output is None else ios.parse(command, output)

    return type("IosDevice", (base,), {"parse": parse, "__doc__": __doc__, "__module__": __name__})


def __getattr__(name: str) -> Any:
    if name == "IosDevice":
        return _device_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
