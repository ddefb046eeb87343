"""The nodes and links of a software lab.

    clients ──────── nat ─────────────── wan
    prefix on lo     masquerade          a bridge that holds the NAT's outside link and the gateway's attachment

The client prefix is local in namespace `clients` and routed to by the NAT through one next hop: on-link, thousands of clients would
overflow the NAT's neighbour table, whose limits cannot be set in a namespace.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from harness.errors import LabError
from harness.lab import namespaces
from harness.lab.namespaces import Netns
from harness.lab.nat import NatNode
from harness.model.testbed import Testbed

CLIENTS, NAT, WAN = "clients", "nat", "wan"
NODES = (CLIENTS, NAT, WAN)
OUTSIDE_PORT = "to-nat"
"""The NAT's outside link, as `wan` sees it."""
TUN_DEVICE = "/dev/net/tun"


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a guest's interface is plugged in: namespace, "tap" or "raw", and the name of the interface there."""

    netns: str
    kind: str
    interface: str


def tap_refused() -> str | None:
    """Why a tap cannot be had here; None where it can."""
    try:
        os.close(os.open(TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return error.strerror or str(error)
    return None


def choose_transport(wanted: str) -> str:
    """"tap" or "raw" for "auto", "tap" or "raw"; LabError where a tap is demanded and cannot be had."""
    if wanted == "raw":
        return "raw"
    refused = tap_refused()
    if wanted == "tap" and refused is not None:
        raise LabError(f"open {TUN_DEVICE} for the gateway's tap", refused, "`transport: auto` in the testbed, or root")
    return "tap" if refused is None else "raw"


class Topology:
    """The three namespaces and what joins them. `up` builds, `down` removes; both leave nothing half done behind."""

    def __init__(self, testbed: Testbed) -> None:
        self.testbed = testbed
        self.clients = Netns(CLIENTS)
        self.wan = Netns(WAN)
        self.nat = NatNode(Netns(NAT), testbed.nat, testbed.clients.prefix)
        self.attachment: Attachment | None = None

    @property
    def nodes(self) -> tuple[Netns, ...]:
        return (self.clients, self.nat.netns, self.wan)

    def up(self) -> Attachment:
        """Builds all of it and returns where the gateway goes. On LabError what was built is removed again."""
        transport = choose_transport(self.testbed.gateway.transport)
        try:
            for name in NODES:
                Netns.create(name)
            self._inside()
            self._outside()
            self.attachment = self._attach(transport)
            self.nat.start()
        except BaseException:
            self.down()
            raise
        return self.attachment

    def down(self) -> None:
        """Removes what there is of it. Processes in the namespaces must have ended, or the namespaces outlive their names."""
        for netns in self.nodes:
            if netns.exists():
                netns.delete()
        self.attachment = None

    def _inside(self) -> None:
        clients, nat = self.testbed.clients, self.testbed.nat
        namespaces.link(self.clients, clients.interface.name, self.nat.netns, nat.inside.name)
        self.clients.ip("address", "add", clients.interface.address, "dev", clients.interface.name)
        self.clients.ip("route", "add", "local", clients.prefix, "dev", "lo")
        self.clients.ip("route", "add", "default", "via", nat.inside.host)
        self.nat.netns.ip("address", "add", nat.inside.address, "dev", nat.inside.name)
        self.nat.netns.ip("route", "add", clients.prefix, "via", clients.interface.host)

    def _outside(self) -> None:
        outside = self.testbed.nat.outside
        # A plain switch: no spanning tree to wait for, no queries of its own, nothing of it through netfilter.
        self.wan.ip("link", "add", "switch0", "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
        self.wan.ip("link", "set", "switch0", "up")
        namespaces.link(self.nat.netns, outside.name, self.wan, OUTSIDE_PORT)
        self.wan.ip("link", "set", OUTSIDE_PORT, "master", "switch0")
        self.nat.netns.ip("address", "add", outside.address, "dev", outside.name)

    def _attach(self, transport: str) -> Attachment:
        if transport == "tap":
            self.wan.ip("tuntap", "add", "dev", "tap-gw", "mode", "tap")
            self.wan.offloads_off("tap-gw")
            self.wan.ip("link", "set", "tap-gw", "master", "switch0", "up")
            return Attachment(self.wan.name, "tap", "tap-gw")
        # The guest reads and writes frames on the far end, which has no address: the namespace's own stack stays out of it.
        namespaces.link(self.wan, "to-gw", self.wan, "raw-gw")
        self.wan.ip("link", "set", "to-gw", "master", "switch0")
        self.wan.ip("link", "set", "raw-gw", "arp", "off")
        return Attachment(self.wan.name, "raw", "raw-gw")
