"""Gateway, NAT and the link between them in a simulated network, as a scenario acts on them and asks them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.errors import DeviceError
from harness.model import GatewayView, NatMapping
from harness.nat.core import NatCore
from harness.scenario.simulated_network import Network
from harness.simulation.loop import EPOCH


class SimulatedGateway:
    """`bench.GatewayControl` of a virtual gateway core."""

    def __init__(self, network: Network) -> None:
        self._box = network.gateway

    async def view(self, label: str) -> GatewayView:
        view: GatewayView = self._do("view", label)
        return replace(view, t=EPOCH + view.t)

    async def delete_ipsec(self, spi: str | None = None) -> None:
        self._do("delete_ipsec", spi)

    async def rekey(self, spi: str) -> None:
        self._do("rekey", spi)

    async def rekey_ike(self, spi: str | None = None) -> None:
        self._do("rekey_ike", spi)

    async def close_l2tp(self, tunnel: int) -> None:
        self._do("close_l2tp", tunnel)

    async def reconfigure(self, **changes: Any) -> None:
        self._do("reconfigure", **changes)

    async def silence(self, on: bool = True) -> None:
        self._do("silence", on)

    async def kill_daemons(self) -> None:
        self._box.off = True

    def _do(self, order: str, *arguments: Any, **changes: Any) -> Any:
        if self._box.off:
            raise DeviceError("gateway", order, "it is switched off")
        return self._box.order(lambda now: getattr(self._box.core, order)(now, *arguments, **changes))


class SimulatedNat:
    """`bench.NatControl` of the first site's NAT core."""

    def __init__(self, network: Network, site: int = 1) -> None:
        self._network = network
        self._site = site
        self._box = network.nats[site]

    @property
    def _core(self) -> NatCore:
        assert isinstance(self._box.core, NatCore)
        return self._box.core

    async def mappings(self) -> tuple[NatMapping, ...]:
        return self._core.mappings()

    async def forget(self, inside_address: str | None = None) -> int:
        return self._core.forget(inside_address)

    async def reboot(self) -> None:
        self._core.reboot(self._network.loop.time())
        self._box.settle()

    async def renumber(self, outside: str) -> None:
        self._network.renumber(self._site, outside)

    async def set_udp_timeout(self, seconds: int, stream_seconds: int | None = None) -> None:
        self._core.set_udp_timeout(seconds, stream_seconds)


class SimulatedLink:
    """`bench.LinkControl` of the first site's link to the switch."""

    def __init__(self, network: Network, site: int = 1) -> None:
        self._network = network
        self._site = site

    async def down(self) -> None:
        self._network.cut(self._site)

    async def up(self) -> None:
        self._network.mend(self._site)
