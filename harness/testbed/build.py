"""From a judged file to the model."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from harness.model.reach import Connection
from harness.model.testbed import ClientSpec, GatewaySpec, NatSpec, Testbed
from harness.testbed import access, field
from harness.testbed.reading import Reading
from harness.testbed.wiring import Wiring, read_wiring

_CLIENTS = ("devices", "clients", "custom")
_NAT = ("devices", "nat", "custom")
_GATEWAY = ("devices", "gateway", "custom")


def build(reading: Reading, name: str) -> Testbed | None:
    """None where the file has mistakes: all of them have been added by then."""
    access.check_systems(reading)
    wiring = read_wiring(reading)
    _prefix_fits(reading, wiring)
    _pool_fits(reading, wiring)
    field.check_roles(reading, wiring)
    connections = access.read_connections(reading)
    _way_to_devices_stays(reading, connections)
    inside_capture, outside_capture = field.read_captures(reading, wiring, connections)
    allowance = field.read_allowance(reading, field.destinations(reading, wiring))
    lab = field.read_lab(reading, connections)
    if reading.mistakes:
        return None
    assert wiring is not None
    assert lab is not None
    value = reading.value
    clients = ClientSpec(
        wiring.clients,
        value(*_CLIENTS, "prefix"),
        value(*_CLIENTS, "first"),
        value(*_CLIENTS, "psk"),
        value(*_CLIENTS, "user"),
        value(*_CLIENTS, "password"),
        value(*_CLIENTS, "personality") or "windows7",
    )
    first_port, last_port = value(*_NAT, "outside_ports") or (1024, 65535)
    nat = NatSpec(
        wiring.inside,
        wiring.outside,
        first_port,
        last_port,
        value(*_NAT, "udp_timeout_s") or 30,
        value(*_NAT, "udp_stream_timeout_s") or 120,
        value(*_NAT, "personality"),
        connections.get("nat"),
        inside_capture,
        outside_capture,
    )
    pool_first, pool_last = value(*_GATEWAY, "ppp_pool")
    gateway = GatewaySpec(
        wiring.gateway,
        value(*_GATEWAY, "variants"),
        value(*_GATEWAY, "ppp_address"),
        pool_first,
        pool_last,
        value(*_GATEWAY, "users") or 100,
        value(*_GATEWAY, "transport") or "auto",
        value("devices", "gateway", "os"),
        wiring.lan,
        wiring.end_host,
        connections.get("gateway"),
        connections.get("host"),
    )
    management = value("testbed", "custom", "management") or ()
    return Testbed(name, reading.mistakes.file, clients, nat, gateway, allowance, lab, management)


def _prefix_fits(reading: Reading, wiring: Wiring | None) -> None:
    """The first client is in the clients' prefix, which is routed and so on no link."""
    written, first_written = reading.value(*_CLIENTS, "prefix"), reading.value(*_CLIENTS, "first")
    if written is None:
        return
    prefix = ipaddress.IPv4Network(written)
    if first_written is not None:
        first = ipaddress.IPv4Address(first_written)
        room = first in prefix and first < prefix.broadcast_address
        if not room or (prefix.prefixlen < 31 and first == prefix.network_address):
            problem = f"{first} is no host's address in {prefix}"
            reading.wrong(problem, (*_CLIENTS, "first"), "the first client's address, within `prefix`")
    for link, network in {} if wiring is None else wiring.networks.items():
        if prefix.overlaps(ipaddress.IPv4Network(network)):
            problem = f"{prefix} overlaps the link {link} ({network})"
            reading.wrong(problem, (*_CLIENTS, "prefix"), "the clients' prefix is routed")
            return


def _pool_fits(reading: Reading, wiring: Wiring | None) -> None:
    """The gateway does not give its own address away, nor anybody else's."""
    own, pool = reading.value(*_GATEWAY, "ppp_address"), reading.value(*_GATEWAY, "ppp_pool")
    if pool is None:
        return
    taken = {} if own is None else {own: "the gateway's own address"}
    if wiring is not None:
        taken |= {port.host: f"the address of {whose}," for whose, port in wiring.ports.items()}
    for address, whose in taken.items():
        if _in_pool(address, pool):
            reading.wrong(f"ppp_pool holds {whose} {address}", (*_GATEWAY, "ppp_pool"), "a range beside it")
            return


def _in_pool(address: str, pool: tuple[str, str]) -> bool:
    first, last = (ipaddress.IPv4Address(one) for one in pool)
    return first <= ipaddress.IPv4Address(address) <= last


def _way_to_devices_stays(reading: Reading, connections: Mapping[str, Connection]) -> None:
    """No device is reached at an address that is routed to clients: it would be reached no more."""
    prefix, pool = reading.value(*_CLIENTS, "prefix"), reading.value(*_GATEWAY, "ppp_pool")
    for device, one in connections.items():
        if ipaddress.ip_address(one.host).version != 4:
            continue
        if prefix is not None and ipaddress.IPv4Address(one.host) in ipaddress.IPv4Network(prefix):
            problem = f"{prefix} holds {one.host}, where {device} is reached: it would be routed to the clients"
            reading.wrong(problem, (*_CLIENTS, "prefix"), "a prefix that is the clients' alone")
            return
        if pool is not None and _in_pool(one.host, pool):
            problem = f"ppp_pool holds {one.host}, where {device} is reached"
            reading.wrong(problem, (*_GATEWAY, "ppp_pool"), "a range beside it")
            return
