"""What `ip nat service` and `ip nat inside source` say, as a value; and the parts of a NAT that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.nat.ios.access_list import AccessList
from harness.nat.ios.ftp import FtpPort


@dataclass(frozen=True, slots=True)
class Services:
    """`spi_match` and `preserve_port` are the lists of those lines, None where there is no such line (the default). `others` are
    lines that a router takes and that change nothing here: H225, ras and sip, whose payloads are left alone."""

    spi_match: AccessList | None = None
    preserve_port: AccessList | None = None
    ftp: tuple[FtpPort, ...] = ()
    skinny: tuple[int, ...] = ()
    others: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class IosPlan:
    """What an IOS personality says beyond `Translation`. `overload` off: an outside address for each host. `map_id` is the number
    under which the dynamic mapping is shown. `timers`: seconds by the names of `IosTimers`."""

    overload: bool = True
    map_id: int = 1
    services: Services = field(default_factory=Services)
    timers: Mapping[str, float] = field(default_factory=dict)
