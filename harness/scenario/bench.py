"""What a scenario is played on: clients' carrier, NAT, gateway and clock, brought together by one of the benches.

    LabBench         namespaces, the kernel's or the userland NAT, a gateway of its own; time is the wall's
    SimulatedBench   the same clients and scripts, the NAT core and the virtual gateway in one process; time is simulated
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal
from harness.model import (
    CaptureFacts,
    GatewayEvent,
    GatewayView,
    Logged,
    NatMapping,
    NatView,
    Printed,
    Record,
    Site,
    Step,
    Told,
)

if TYPE_CHECKING:
    from harness.model.testbed import Testbed
    from harness.routers.play import Lab
    from harness.scenario.script import Script

T = TypeVar("T")


class GatewayControl(Protocol):
    """The gateway, as far as a scenario acts on it and asks it. DeviceError where it does not do as told."""

    async def view(self, label: str) -> GatewayView: ...

    async def delete_ipsec(self, spi: str | None = None) -> None:
        """End the IKE SA and ESP SAs of the client to whom that SPI (8 hex digits, either direction) belongs, with Deletes."""

    async def rekey(self, spi: str) -> None: ...

    async def rekey_ike(self, spi: str | None = None) -> None: ...

    async def close_l2tp(self, tunnel: int) -> None: ...

    async def reconfigure(self, **changes: Any) -> None: ...

    async def silence(self, on: bool = True) -> None: ...

    async def kill_daemons(self) -> None: ...


class HostControl(Protocol):
    """The end host on the gateway's LAN, which can ask clients by itself."""

    address: str

    async def ask(self, to: str, size: int) -> tuple[bool, int | None]:
        """One echo of `size` bytes, IP header included, that must not be fragmented: whether it was answered, and the MTU in the
        ICMP error that came instead, None without one."""


class NatControl(Protocol):
    """The NAT, as far as a scenario acts on it and asks it; it may be a box that takes its time to answer."""

    async def mappings(self) -> tuple[NatMapping, ...]: ...

    async def forget(self, inside_address: str | None = None) -> int:
        """Lose the mappings of one client or of all; how many there were."""

    async def reboot(self) -> None:
        """Lose the whole table, and begin to give ports anew."""

    async def renumber(self, outside: str) -> None:
        """Translate to another address from now on; the old mappings are dead."""

    async def set_udp_timeout(self, seconds: int, stream_seconds: int | None = None) -> None: ...


class LinkControl(Protocol):
    """The link between NAT and gateway. The captures are on the NAT's side of where it is cut."""

    async def down(self) -> None:
        """Nothing passes it until `up`, neither way; neither end sees its carrier go."""

    async def up(self) -> None:
        """Safe where it is whole."""


@dataclass(slots=True)
class Gathered:
    """What the run of a scenario collects while it goes on. `records` is the journal's own list."""

    records: Sequence[Record]
    steps: list[Step] = field(default_factory=list)
    views: list[GatewayView] = field(default_factory=list)
    nat_views: list[NatView] = field(default_factory=list)
    gateway_events: list[GatewayEvent] = field(default_factory=list)
    captures: list[CaptureFacts] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)  # the NATs beside the first
    logs: dict[str, str] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)
    printed: list[Printed] = field(default_factory=list)  # by a gateway with a command line, and what it logged
    logged: list[Logged] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)


class Bench(Protocol):
    """`time` is "wall" or "virtual". `fresh` comes before anything else of a scenario; `close` after the last one."""

    time: str
    testbed: Testbed

    @property
    def gateway(self) -> GatewayControl: ...

    @property
    def nat(self) -> NatControl: ...

    @property
    def link(self) -> LinkControl:
        """LabError where this bench cannot cut it."""

    @property
    def patience_s(self) -> float:
        """How long a client may take to come up before a scenario goes on without it."""

    @property
    def console(self) -> Lab | None:
        """The gateway's command line, where it is a router that has one."""

    @property
    def host(self) -> HostControl | None:
        """The end host behind the gateway, where it can be told to ask."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it on this bench's event loop, and so in its time."""

    async def fresh(self, variant: str, script: Script) -> None:
        """A gateway of that variant that has never been used, and a NAT that knows nothing. LabError where that fails."""

    def clock(self) -> RunClock: ...

    def fleet(self, journal: Journal) -> Fleet:
        """Clients in their place on this bench; the caller enters and so closes it."""

    def witnesses(self, folder: Path, gathered: Gathered) -> AbstractAsyncContextManager[None]:
        """Captures into `folder` while inside; afterwards `gathered` has their facts, the gateway's logs and its events."""

    def close(self) -> None: ...
