"""A Cisco router that is there already as the gateway of a testbed. What passes its far end is captured on the host behind it."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from harness.devices.ios.driver import Ios
from harness.devices.ios.gateway import IosGateway
from harness.devices.ios.gateway_lines import ClientsLns
from harness.devices.journal import Journal
from harness.devices.ssh import SshConnection
from harness.lab import witness
from harness.lab.field_witnesses import FieldWitnesses
from harness.model import CaptureFacts, GatewayEvent
from harness.model.testbed import Testbed

PATIENCE_S = 30.0
"""How long a client may take to come up: a router's main mode with one retransmission, its PPP and something."""
KEEPALIVE_S = 10.0
"""IKE's dead peer detection at its briskest."""
PLAIN = "plain"


def lns_of(testbed: Testbed, variant: str) -> ClientsLns:
    clients, gateway = testbed.clients, testbed.gateway
    users = {clients.user_of(number): clients.password_of(number) for number in range(1, gateway.users + 1)}
    ends = gateway.pool_first, gateway.pool_last
    name = gateway.interface.name
    peer = testbed.nat.outside.host
    return ClientsLns(name, clients.psk, gateway.ppp_address, *ends, users, KEEPALIVE_S, demux=variant != PLAIN, peer=peer)


class RouterGateway:
    """`host` is the session with the host behind the router, None where the testbed has none: then nothing captures the far end,
    and what rests on it is INCONCLUSIVE."""

    patience_s = PATIENCE_S

    def __init__(self, testbed: Testbed, variant: str, host: SshConnection | None, journal: Journal) -> None:
        connection = testbed.gateway.connection
        assert connection is not None
        self._testbed = testbed
        self._host = host
        self._witnesses = FieldWitnesses(journal)
        self.driver = IosGateway(Ios(connection, journal=journal, secrets=testbed.secrets), lns_of(testbed, variant))

    async def start(self) -> None:
        await self.driver.start()

    async def stop(self) -> None:
        """The router as it was before `start`. May be called again where it failed."""
        try:
            await self.driver.restore()
        finally:
            await self._witnesses.leave()

    async def start_witnesses(self) -> None:
        interface = self._testbed.gateway.end_host
        if self._host is None or interface is None:
            return
        gateway = self._testbed.gateway
        pool = ipaddress.summarize_address_range(
            ipaddress.IPv4Address(gateway.pool_first), ipaddress.IPv4Address(gateway.pool_last)
        )
        networks, name = tuple(str(network) for network in pool), interface.name
        await self._witnesses.start(self._host, lambda machine: [witness.far_end(machine, networks, name)])

    async def stop_witnesses(self, folder: Path) -> list[CaptureFacts]:
        return await self._witnesses.stop(folder)

    async def events(self) -> tuple[GatewayEvent, ...]:
        """None: what a router logs has words of its own."""
        return ()
