"""The mechanisms of a router with VPDN groups: a gateway's, with other layers, and those that only such a router has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.virtual.parts import Parts
from harness.virtual.vpdn.ipsec import ProfiledIpsec
from harness.virtual.vpdn.lac import Lac
from harness.virtual.vpdn.lns import GroupedLns
from harness.virtual.vpdn.paths import Paths


@dataclass(slots=True)
class VpdnParts(Parts):
    """`lac` and `paths` are whole layers, like `ipsec` and `lns`."""

    ipsec: Callable[..., ProfiledIpsec] = ProfiledIpsec
    lns: Callable[..., GroupedLns] = GroupedLns
    lac: Callable[..., Lac] = Lac
    paths: Callable[..., Paths] = Paths
