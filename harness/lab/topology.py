"""The nodes and links of a software lab.

    clients ──────── nat ─────────────── wan
    prefix on lo     masquerade          a bridge that holds the NAT's outside link and the gateway's attachment

A Linux gateway is a guest plugged into `wan`. A virtual one is a process in a namespace `gateway` of its own, with its end host in
another, `host`:

    wan ── gateway ── host

A client that is a guest (`house`) has a link of its own to `clients`, which forwards for it.

The client prefix is local in namespace `clients` and routed to by the NAT through one next hop: on-link, thousands of clients would
overflow the NAT's neighbour table, whose limits cannot be set in a namespace.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from harness.errors import LabError
from harness.lab import namespaces
from harness.lab.cables import Cable, Plug
from harness.lab.namespaces import Netns
from harness.lab.nats import Nat, nat_of
from harness.model.testbed import Interface, Testbed

CLIENTS, NAT, WAN, GATEWAY, HOST = "clients", "nat", "wan", "gateway", "host"
SWITCH = "switch0"
OUTSIDE_PORT = "to-nat"
"""The NAT's outside link, as `wan` sees it."""
GATEWAY_PORT = "to-gw"
"""The gateway's, where it is no tap."""
TUN_DEVICE = "/dev/net/tun"


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where the gateway is: namespace, "tap", "raw" or "veth", and the name of the interface there. A guest is plugged into a tap
    or reads a raw socket; a process has its own namespace."""

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
        self.nat: Nat = nat_of(testbed, Netns(NAT))
        self.personality: str | None = None
        self.gateway, self.host = Netns(GATEWAY), Netns(HOST)
        self.attachment: Attachment | None = None

    @property
    def nodes(self) -> tuple[Netns, ...]:
        """Those that are namespaces: a guest is none."""
        behind = (self.gateway, self.host) if self.testbed.gateway.lan else ()
        return (self.clients, self.nat.netns, self.wan, *behind)

    @property
    def cables(self) -> tuple[Cable, ...]:
        """The links between the nodes; none before `up`."""
        if self.attachment is None:
            return ()
        clients, nat, gateway = self.testbed.clients, self.testbed.nat, self.testbed.gateway
        lan, host = gateway.lan, gateway.end_host
        way_out = ("default", "via", nat.inside.host)
        near, inside = self._plug(self.clients, clients.interface.name), self._plug(self.nat.netns, nat.inside.name)
        to_nat, outside = self._plug(self.wan, OUTSIDE_PORT), self._plug(self.nat.netns, nat.outside.name)
        port = self._plug(self.wan, self.attachment.interface if self.attachment.kind == "tap" else GATEWAY_PORT)
        wan0 = Plug(GATEWAY, gateway.interface.name, self.gateway if lan else None)
        cables = (
            Cable(near, inside, inside, routes=(way_out,)),
            Cable(to_nat, outside, outside, SWITCH),
            Cable(port, port, wan0, SWITCH),
        )
        if lan is None or host is None:
            return cables
        office = self._plug(self.gateway, lan.name)
        return (*cables, Cable(self._plug(self.host, host.name), office, office, routes=(("default", "via", lan.host),)))

    def up(self) -> Attachment:
        """Builds all of it and returns where the gateway goes. On LabError what was built is removed again."""
        lan = self.testbed.gateway.lan
        transport = "veth" if lan else choose_transport(self.testbed.gateway.transport)
        try:
            for node in self.nodes:
                Netns.create(node.name)
            self._inside()
            self._outside()
            self.attachment = self._behind(lan) if lan else self._attach(transport)
            self.nat.start()
        except BaseException:
            self.down()
            raise
        return self.attachment

    def use_nat(self, personality: str | None) -> None:
        """From now on the NAT of that personality; None for the testbed's own. Where one is up, another takes its place."""
        if personality == self.personality:
            return
        up = self.attachment is not None
        if up:
            self.nat.stop()
        self.nat = nat_of(self.testbed, self.nat.netns, personality)
        self.personality = personality
        if up:
            self.nat.start()

    def house(self, client: str) -> Attachment:
        """A place for a guest among the clients, a link of its own to `clients`. `lead` gives it its address, `guest_routes` is its
        way out."""
        name = f"to-{client}"
        self.clients.sysctl({"net/ipv4/ip_forward": "1"})
        if choose_transport(self.testbed.gateway.transport) == "tap":
            self.clients.ip("tuntap", "add", "dev", name, "mode", "tap")
            self.clients.offloads_off(name)
            self.clients.ip("link", "set", name, "up")
            return Attachment(self.clients.name, "tap", name)
        far = f"at-{client}"
        namespaces.link(self.clients, name, self.clients, far)
        self.clients.ip("link", "set", far, "arp", "off")
        return Attachment(self.clients.name, "raw", far)

    def lead(self, address: str, client: str | None) -> None:
        """An address of the clients' prefix is that guest's from now on; None: local again, for a simulated client."""
        if client is None:
            self.clients.ip("route", "del", address, "table", "local")
        else:
            # in the table of local addresses, which is looked at first: one address is more specific than the prefix
            self.clients.ip("route", "replace", address, "dev", f"to-{client}", "table", "local")

    def guest_routes(self) -> tuple[str, ...]:
        """As `ip route add` takes them, for a guest among the clients."""
        here = self.testbed.clients.interface.host
        return (f"{here} dev vec0", f"default via {here}")

    def down(self) -> None:
        """Removes what there is of it. Processes of others in the namespaces must have ended, or the namespaces
        outlive their names."""
        self.nat.stop()
        for netns in self.nodes:
            if netns.exists():
                netns.delete()
        self.attachment = None

    @staticmethod
    def _plug(netns: Netns, interface: str) -> Plug:
        return Plug(netns.name, interface, netns)

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
        self.wan.ip("link", "add", SWITCH, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
        self.wan.ip("link", "set", SWITCH, "up")
        namespaces.link(self.nat.netns, outside.name, self.wan, OUTSIDE_PORT)
        self.wan.ip("link", "set", OUTSIDE_PORT, "master", SWITCH)
        self.nat.netns.ip("address", "add", outside.address, "dev", outside.name)

    def _behind(self, lan: Interface) -> Attachment:
        """The virtual gateway's namespace, and its end host's. On `lan` the gateway's process answers, ARP too: the kernel has no
        address there."""
        outside, host = self.testbed.gateway.interface, self.testbed.gateway.end_host
        assert host is not None
        namespaces.link(self.wan, GATEWAY_PORT, self.gateway, outside.name)
        self.wan.ip("link", "set", GATEWAY_PORT, "master", SWITCH)
        self.gateway.ip("address", "add", outside.address, "dev", outside.name)
        namespaces.link(self.gateway, lan.name, self.host, host.name)
        self.host.ip("address", "add", host.address, "dev", host.name)
        self.host.ip("route", "add", "default", "via", lan.host)
        return Attachment(self.gateway.name, "veth", outside.name)

    def _attach(self, transport: str) -> Attachment:
        if transport == "tap":
            self.wan.ip("tuntap", "add", "dev", "tap-gw", "mode", "tap")
            self.wan.offloads_off("tap-gw")
            self.wan.ip("link", "set", "tap-gw", "master", SWITCH, "up")
            return Attachment(self.wan.name, "tap", "tap-gw")
        # The guest reads and writes frames on the far end, which has no address: the namespace's own stack stays out of it.
        namespaces.link(self.wan, GATEWAY_PORT, self.wan, "raw-gw")
        self.wan.ip("link", "set", GATEWAY_PORT, "master", SWITCH)
        self.wan.ip("link", "set", "raw-gw", "arp", "off")
        return Attachment(self.wan.name, "raw", "raw-gw")
