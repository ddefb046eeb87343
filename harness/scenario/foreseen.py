"""What a run would send and change on devices that are there already, judged and told before the first packet. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.devices import conntrack, linux_config, linux_rules, linux_shared
from harness.devices.ios import gateway_lines, lock_line
from harness.devices.ios.lab_parts import part_of
from harness.errors import UsageError
from harness.lab.providers import device_lock, of_testbed
from harness.lab.providers.static import taken_by
from harness.model import Side
from harness.model.reach import CaptureSource, Connection
from harness.model.router_lab import ESP, L2TP, Described, RouterLab
from harness.model.testbed import Testbed

SET_UP_PACKETS = 40
"""Datagrams of one client's set-up at most, what is sent again included: 22 are seen where nothing is lost."""


@dataclass(frozen=True, slots=True)
class Burden:
    """What clients send in the busiest second: `arrivals_per_s` of them begin in it (None: all `clients`), and all send marks."""

    name: str
    clients: int
    marks_per_s: float
    arrivals_per_s: float | None = None

    @property
    def packets_per_s(self) -> int:
        arrivals = self.clients if self.arrivals_per_s is None else min(self.clients, self.arrivals_per_s)
        return math.ceil(arrivals * SET_UP_PACKETS + self.clients * self.marks_per_s)


def judge(testbed: Testbed, burdens: Iterable[Burden]) -> None:
    """UsageError, with the line that would permit it, for what the testbed does not allow: an address, or a rate."""
    allowance = testbed.allowance
    if allowance is None:
        problem = "it names devices and says nowhere what may be sent to them"
        raise UsageError(problem, file=testbed.file, cure="add testbed.custom.allow.networks")
    gateway, nat = testbed.gateway, testbed.nat
    line = allowance.line or None
    for address in allowance.outside((gateway.address, nat.inside.host, nat.outside.host, gateway.ppp_address)):
        problem = f"{address} is in none of the networks that may be sent to ({', '.join(allowance.networks)})"
        cure = f"if it is yours to send to, add {address}/32 to testbed.custom.allow.networks"
        raise UsageError(problem, file=testbed.file, line=line, cure=cure)
    for burden in burdens:
        if burden.packets_per_s > allowance.packets_per_s:
            problem = f"{burden.name} may send {burden.packets_per_s} packets a second, and {allowance.packets_per_s} are allowed"
            cure = f"packets_per_s: {burden.packets_per_s} below testbed.custom.allow, fewer --clients, or a lower --rate"
            raise UsageError(problem, file=testbed.file, line=line, cure=cure)


def told(testbed: Testbed, burdens: Iterable[Burden]) -> tuple[str, ...]:
    """For `--dry-run`: what would happen to which device, a line each."""
    parts = (_machine, _server, _devices, _nat, _gateway)
    return (*(line for part in parts for line in part(testbed)), *_traffic(testbed, tuple(burdens)))


def _machine(testbed: Testbed) -> Iterable[str]:
    clients = testbed.clients
    if not testbed.field:
        yield "this machine: an enclosure with namespaces for clients, NAT and gateway; nobody's device is reached"
        return
    yield (
        f"this machine: {clients.interface.name} moves into the namespace natstorm-clients as {clients.interface.address}, with "
        f"all of {clients.prefix} behind it, and comes back as it was"
    )


def _server(testbed: Testbed) -> Iterable[str]:
    if testbed.lab.provider in of_testbed.SERVERS:
        yield from of_testbed.foreseen(testbed.lab)


def told_of_routers(lab: RouterLab) -> tuple[str, ...]:
    """The same of a testbed of routers."""
    return (
        *(
            f"this machine: {card.name} moves into the namespace natstorm-clients, without an address, and comes back as it was"
            for card in lab.cards
        ),
        *_devices(lab),
        *(
            f"{spec.connection.device}: looked whether it is free; for each script its lines are configured, and what they make is "
            f"cleared ({', '.join(part_of(role).cleared)}); brought back to what it was at the end"
            for role, spec in lab.by_role.items()
        ),
        *(
            f"{_place(source)}: {source.kind} captures {_wire(lab, side)} on {source.interface}"
            for side, source in lab.sources.items()
        ),
        f"{_SENT[lab.world].format(card=lab.card)}, at most {lab.allowance.packets_per_s} frames a second, to "
        f"{', '.join(lab.allowance.networks)} within {'it' if lab.world == L2TP else 'them'}",
        *(
            f"hosts straight on the NAT's {side} answer ARP on {card.name}, and send UDP, TCP and ICMP there within the same limits"
            for side, card in lab.neighbours.items()
        ),
    )


_SENT = {
    L2TP: "callers send PPPoE on {card}",
    ESP: "the hosts behind the endpoints answer ARP on {card}, and send UDP packets",
}


def _wire(lab: RouterLab, side: Side) -> str:
    return "the wire between the routers" if lab.world == L2TP else f"the NAT's {side.value}"


def _place(source: CaptureSource) -> str:
    return "this machine" if source.connection is None else source.connection.device


def _devices(testbed: Described) -> Iterable[str]:
    """What happens to each of those that a run has for itself, whatever it is there for."""
    taken = taken_by(testbed)
    for one in taken:
        itself = f"running configuration, {lock_line.LINE}…" if one in testbed.routers else device_lock.FILE
        yield f"{one.device} ({_where(one)}): logged in, and locked while the run lasts, here and in its own {itself}"
    for one in dict.fromkeys(jump for device in taken for jump in _way_to(device)):
        if one not in taken:
            yield f"{one.device} ({_where(one)}): logged in on the way to others, and left as it is"


def _way_to(device: Connection) -> Iterable[Connection]:
    while device.jump is not None:
        device = device.jump
        yield device


def _nat(testbed: Testbed) -> Iterable[str]:
    nat = testbed.nat
    if nat.connection is None:
        return
    settings = (*conntrack.SETTINGS, conntrack.UDP_TIMEOUT, conntrack.UDP_STREAM_TIMEOUT)
    name = nat.connection.device
    yield f"{name}: nftables table {conntrack.TABLE} is made, settings {', '.join(settings)} are set; put back at the end"
    yield f"{name}: the mappings of {testbed.clients.prefix} are forgotten before each scenario, no others"
    for side, source in (("inside", nat.inside_capture), ("outside", nat.outside_capture)):
        if source is not None and source.kind == "gns3" and source.connection is not None:
            node = testbed.lab.node(source.connection.device)
            yield f"{testbed.lab.url}: the link at {node} {source.interface} is captured, for the NAT's {side}"
        elif source is not None:
            yield f"{_place(source)}: {source.kind} captures the NAT's {side} on {source.interface}"


def _gateway(testbed: Testbed) -> Iterable[str]:
    gateway = testbed.gateway
    if gateway.connection is None:
        return
    name = gateway.connection.device
    if gateway.os == "natstorm":
        yield f"{name}: natstorm-gateway is started for each scenario, and ended; its files lie in a directory of the run's own"
    elif gateway.os == "linux":
        files = sorted({path for one in gateway.variants for path in linux_config.files_of(one)})
        yield (
            f"{name}: what runs there of {', '.join(linux_shared.DAEMONS)} is stopped, and started again at the end; a device with "
            f"IPsec SAs or policies of somebody's, or a pppd, is refused before anything is changed"
        )
        yield f"{name}: strongSwan and xl2tpd are started with files of the run's ({', '.join(files)}); put back at the end"
        yield (
            f"{name}: rules of iptables (legacy) are added, in chains {linux_rules.PREFIX}INPUT and so on, and removed at the end; "
            f"all that is there stays, with its policies"
        )
    else:
        lns = f"of an LNS (what it names is called {gateway_lines.GROUP})"
        yield f"{name}: its running configuration gets the lines {lns}, is brought back at the end, and is not written to NVRAM"
        if (minutes := gateway.connection.protect_minutes) is not None:
            yield f"{name}: told `reload in {minutes}` before each change, and `reload cancel` once somebody can still log in"
        yield f"{name}: a router on which somebody's L2TP tunnels or IPsec SAs are up is refused before anything is changed"
        yield f"{name}: all L2TP tunnels, IPsec SAs and ISAKMP SAs are cleared before and after each scenario"
        if gateway.end_host is not None and gateway.end_host_connection is not None:
            there = gateway.end_host_connection.device
            yield f"{there}: tcpdump captures the far end on {gateway.end_host.name}, into a directory of the run's own"


def _traffic(testbed: Testbed, burdens: tuple[Burden, ...]) -> Iterable[str]:
    if burdens:
        most = max(burdens, key=lambda one: one.packets_per_s)
        ends = f"from {testbed.clients.prefix} to {testbed.gateway.address}"
        yield f"packets: at most {most.packets_per_s} a second, in {most.name}, {ends}"
    if testbed.allowance is not None:
        networks = ", ".join(testbed.allowance.networks)
        yield f"packets: {testbed.allowance.packets_per_s} a second are allowed, to {networks} and nowhere else"


def _where(connection: Connection) -> str:
    return f"{connection.protocol} to {connection.host}:{connection.port}"
