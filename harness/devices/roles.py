"""What a scenario asks of a device, by its role. Drivers have more methods than these; suites know none of them.

Every method raises DeviceError with what the device said when it does not do as asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from harness.devices.journal import Undo
from harness.model import GatewayView, NatMapping


class Kept(Protocol):
    """A device that is left as it was found."""

    name: str

    async def save(self) -> Undo:
        """What would put it back to what it is now. Changes nothing."""
        ...

    async def restore(self) -> None:
        """As it was before the driver's first change; nothing where there was none."""
        ...


class Gateway(Kept, Protocol):
    async def start(self) -> None: ...

    async def stop_daemons(self) -> None: ...

    async def kill_daemons(self) -> None: ...

    async def restart_daemons(self) -> None: ...

    async def reconfigure(self, **changes: Any) -> None: ...

    async def silence(self, on: bool = True) -> None: ...

    async def logs(self) -> dict[str, str]: ...

    async def view(self, label: str) -> GatewayView: ...


class Nat(Kept, Protocol):
    async def start(self) -> None: ...

    async def mappings(self, protocol: str = "udp") -> Sequence[NatMapping]: ...

    async def forget(self, inside_address: str | None = None) -> int: ...

    async def set_ports(self, first: int, last: int) -> None: ...

    async def set_udp_timeout(self, seconds: int, stream_seconds: int | None = None) -> None: ...

    async def renumber(self, outside: str) -> None: ...

    async def reboot(self) -> None: ...


class Host(Protocol):
    """A machine behind the gateway, or one that captures. It answers pings by itself."""

    name: str

    async def addresses(self) -> dict[str, tuple[str, ...]]: ...

    async def routes(self) -> Sequence[Any]: ...

    async def ready_to_capture(self, interface: str) -> None: ...
