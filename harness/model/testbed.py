"""A testbed as the rest of the harness sees it: who the clients are, what the NAT does, which gateway is judged.

Addresses are dotted quads; those of interfaces carry their prefix length ("192.0.2.2/30"). Times are seconds.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace

from harness.model.plan import ClientPlan
from harness.model.reach import OWN_LAB, Allowance, CaptureSource, Connection, LabSpec
from harness.model.secret import Secret

GATEWAY_VARIANTS = (
    "plain-kernel",
    "plain-user",
    "connmark-kernel",
    "connmark-user",
    "demux-kernel",
    "demux-user",
)
"""How the Linux gateway tells clients behind one address apart, and where its L2TP data runs (kernel or user space)."""

VIRTUAL_VARIANTS = ("demux", "plain", "default", "clear")
"""The virtual gateway's configurations: `set nat demux`, the same without it, one fresh from the factory, and one without IPsec."""

IOS_VARIANTS = ("demux", "plain")
"""A Cisco router's configurations: with `set nat demux`, and without it."""

VARIANTS_OF = {"linux": GATEWAY_VARIANTS, "natstorm": VIRTUAL_VARIANTS, "ios": IOS_VARIANTS, "iosxe": IOS_VARIANTS}
"""By the gateway's `os`: strongSwan and xl2tpd (in a guest, or on a box of their own), the project's own cores in a process, and a
router that is there already."""

TO_COMPLETE = "TO COMPLETE"
"""Stands in a testbed file that was written from a lab, where a person has to say what: no such file is in order."""

TRANSPORTS = ("auto", "tap", "raw")
"""How the gateway's guest is attached: by a tap (needs /dev/net/tun), by a raw socket on a veth, or as this machine allows."""


@dataclass(frozen=True, slots=True)
class Interface:
    name: str
    address: str  # with prefix length
    link: str
    line: int | None = field(default=None, compare=False)  # of the testbed file, where it was read from one

    @property
    def host(self) -> str:
        """The address alone."""
        return self.address.split("/")[0]

    @property
    def prefix(self) -> str:
        """The network it is on, "192.0.2.0/30"."""
        return str(ipaddress.IPv4Interface(self.address).network)


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """Any number of clients on one node. Client 1 has the address `first`, client n the n-th from there.

    `user` and `password` are patterns in which `{number}` stands for the client's number.
    """

    interface: Interface
    prefix: str
    first: str
    psk: Secret
    user: str
    password: Secret
    personality: str = "windows7"

    @property
    def capacity(self) -> int:
        """How many clients the prefix has room for."""
        return int(ipaddress.IPv4Network(self.prefix).broadcast_address) - int(ipaddress.IPv4Address(self.first))

    def address(self, number: int) -> str:
        """Client `number`'s address; `number` counts from 1 to `capacity`."""
        if not 1 <= number <= self.capacity:
            raise ValueError(f"client {number} does not fit: {self.prefix} has room for {self.capacity} from {self.first} on")
        return str(ipaddress.IPv4Address(self.first) + number - 1)

    def user_of(self, number: int) -> str:
        return self.user.replace("{number}", str(number))

    def password_of(self, number: int) -> Secret:
        return Secret(self.password.reveal().replace("{number}", str(number)))

    def plan(self, number: int, gateway: str) -> ClientPlan:
        return ClientPlan(
            number, self.address(number), gateway, self.psk, self.user_of(number), self.password_of(number), self.personality
        )


@dataclass(frozen=True, slots=True)
class NatSpec:
    """`first_port` to `last_port` are the outside ports it maps to. The time-outs are those of its UDP mappings, before and after
    an answer was seen. `personality`: None for the kernel's NAT; else the userland NAT plays the one of that name. `connection`:
    None for a NAT of the harness's own; else a box that is there already, whose two sides `inside_capture` and `outside_capture`
    show (None: the testbed names none)."""

    inside: Interface
    outside: Interface
    first_port: int = 1024
    last_port: int = 65535
    udp_timeout_s: int = 30
    udp_stream_timeout_s: int = 120
    personality: str | None = None
    connection: Connection | None = None
    inside_capture: CaptureSource | None = None
    outside_capture: CaptureSource | None = None


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """`users` is how many of the clients' users it knows, from number 1 on. `variants` has the default first. `os` is one of
    VARIANTS_OF. `lan` is the interface of a virtual gateway towards its end host, whose own is `end_host`. `connection`: None for a
    gateway of the harness's own; else one that is there already; the same of the end host's `end_host_connection`."""

    interface: Interface
    variants: tuple[str, ...]
    ppp_address: str
    pool_first: str
    pool_last: str
    users: int = 100
    transport: str = "auto"
    os: str = "linux"
    lan: Interface | None = None
    end_host: Interface | None = None
    connection: Connection | None = None
    end_host_connection: Connection | None = None

    @property
    def address(self) -> str:
        return self.interface.host

    @property
    def in_guest(self) -> bool:
        """Whether the harness starts a machine for it."""
        return self.os == "linux" and self.connection is None


@dataclass(frozen=True, slots=True)
class Testbed:
    """`file` is where it was read from. `allowance`: None where all is the harness's own, and nothing can leave it. `management` is
    what of this machine must be left alone: names of interfaces, or addresses of such."""

    __test__ = False  # not one of pytest's classes, whatever its name

    name: str
    file: str
    clients: ClientSpec
    nat: NatSpec
    gateway: GatewaySpec
    allowance: Allowance | None = None
    lab: LabSpec = OWN_LAB
    management: tuple[str, ...] = ()

    @property
    def field(self) -> bool:
        """Whether it has devices that the harness did not start: then it keeps the machine's own network."""
        return self.nat.connection is not None or self.gateway.connection is not None

    @property
    def two_clocks(self) -> bool:
        """Whether the two sides of its NAT are captured by two machines."""
        inside, outside = self.nat.inside_capture, self.nat.outside_capture
        return inside is not None and outside is not None and inside.stamped_by != outside.stamped_by

    @property
    def own_clock(self) -> bool:
        """Whether its gateway lives in the time of the wall alone."""
        return self.field or self.gateway.in_guest

    @property
    def simulated(self) -> bool:
        """Whether all of it lives in virtual time alone: a Cisco router that is not there is a virtual one."""
        return self.gateway.os == "ios" and not self.field

    @property
    def router(self) -> Connection | None:
        """The gateway's connection where it is a router that is there already: it has no shell."""
        return None if self.gateway.os in ("linux", "natstorm") else self.gateway.connection

    @property
    def routers(self) -> tuple[Connection, ...]:
        return () if self.router is None else (self.router,)

    @property
    def captures(self) -> tuple[CaptureSource, ...]:
        return tuple(one for one in (self.nat.inside_capture, self.nat.outside_capture) if one is not None)

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Of the devices that are there already."""
        there = (self.nat.connection, self.gateway.connection, self.gateway.end_host_connection)
        return tuple(one for one in there if one is not None)

    @property
    def access_secrets(self) -> tuple[Secret, ...]:
        """Of the devices, their jump and capture hosts, and the lab's server: what must never show, beside the clients' secrets."""
        sources = (self.nat.inside_capture, self.nat.outside_capture)
        todo = [*self.connections, self.lab.host, *(one.connection for one in sources if one is not None)]
        found: list[Secret | None] = [self.lab.password]
        while todo:
            if (one := todo.pop()) is not None:
                found += [one.password, one.enable]
                todo.append(one.jump)
        return tuple(dict.fromkeys(one for one in found if one is not None))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All of them, the clients' too: what no message may show."""
        passwords = (self.clients.password_of(number) for number in range(1, self.gateway.users + 1))
        return tuple(dict.fromkeys((*self.access_secrets, self.clients.psk, *passwords)))

    @property
    def most_clients(self) -> int:
        """As many as have an inside address, a user and an address of the gateway's pool."""
        first, last = (int(ipaddress.IPv4Address(one)) for one in (self.gateway.pool_first, self.gateway.pool_last))
        return min(self.clients.capacity, self.gateway.users, last - first + 1)

    def plans(self, count: int) -> tuple[ClientPlan, ...]:
        """The plans of clients 1 to `count`. A router answers for itself, so that what goes to it never passes its far end: marked
        traffic is for the host behind it, where there is one that can be asked."""
        plans = (self.clients.plan(number, self.gateway.address) for number in range(1, count + 1))
        host = self.gateway.end_host
        if self.router is None or host is None or self.gateway.end_host_connection is None:
            return tuple(plans)
        return tuple(replace(plan, far_end=host.host) for plan in plans)
