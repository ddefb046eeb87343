"""From a judged file to the model."""

from __future__ import annotations

import ipaddress

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
    _pool_fits(reading)
    field.check_roles(reading, wiring)
    connections = access.read_connections(reading)
    inside_capture, outside_capture = field.read_captures(reading, wiring, connections)
    allowance = field.read_allowance(reading, wiring)
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


def _pool_fits(reading: Reading) -> None:
    """The gateway does not give its own address away."""
    own, pool = reading.value(*_GATEWAY, "ppp_address"), reading.value(*_GATEWAY, "ppp_pool")
    if own is None or pool is None:
        return
    first, last = (ipaddress.IPv4Address(one) for one in pool)
    if first <= ipaddress.IPv4Address(own) <= last:
        reading.wrong(f"ppp_pool holds the gateway's own address {own}", (*_GATEWAY, "ppp_pool"), "a range beside it")
