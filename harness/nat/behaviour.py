"""How a NAT maps and filters, in the terms of RFC 4787: what makes two packets share a binding, and who may answer to one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from harness.nat.table import Binding

MapsBy = Callable[[int, bytes, int, bytes, int], Hashable]
"""(protocol, inside address, inside port, remote address, remote port) → what the binding is kept under."""

Admits = Callable[[Binding, bytes, int], bool]
"""Whether a packet from (remote address, remote port) may come in by this binding."""

INDEPENDENT, ADDRESS, ADDRESS_AND_PORT = "endpoint-independent", "address-dependent", "address-and-port-dependent"


def map_independent(protocol: int, inside: bytes, port: int, remote: bytes, remote_port: int) -> Hashable:
    return protocol, inside, port


def map_by_address(protocol: int, inside: bytes, port: int, remote: bytes, remote_port: int) -> Hashable:
    return protocol, inside, port, remote


def map_by_address_and_port(protocol: int, inside: bytes, port: int, remote: bytes, remote_port: int) -> Hashable:
    """What is called symmetric."""
    return protocol, inside, port, remote, remote_port


def admit_all(binding: Binding, remote: bytes, remote_port: int) -> bool:
    return True


def admit_by_address(binding: Binding, remote: bytes, remote_port: int) -> bool:
    return remote in binding.remotes


def admit_by_address_and_port(binding: Binding, remote: bytes, remote_port: int) -> bool:
    return any(one.remote == remote and one.remote_port == remote_port for one in binding.sessions)


MAPPINGS: Mapping[str, MapsBy] = {
    INDEPENDENT: map_independent, ADDRESS: map_by_address, ADDRESS_AND_PORT: map_by_address_and_port,
}  # fmt: skip
"""RFC 4787 §4.1."""

FILTERS: Mapping[str, Admits] = {
    INDEPENDENT: admit_all, ADDRESS: admit_by_address, ADDRESS_AND_PORT: admit_by_address_and_port,
}  # fmt: skip
"""RFC 4787 §5."""
