"""How a device that the harness did not start is reached, where its packets can be captured, what may be sent to it, and who builds
the lab that it is in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.model.secret import Secret

PROTOCOLS = ("ssh", "telnet")
CAPTURE_KINDS = ("tcpdump", "nic", "gns3")
"""tcpdump on the device over SSH; a network card of this machine (a SPAN port, or the wire itself); a GNS3 link's capture."""

CLOUD_PORTS = ("tap", "ethernet")
"""By what of its server's machine a GNS3 cloud leads out of the project."""
PROVIDERS = ("namespaces", "static", "gns3", "eve-ng")
"""Who brings a lab up: the harness, in namespaces of its own; nobody, for the devices are there; a server with a project on it."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A device's command line. `port` is TCP's. `known_hosts` is the file in which the host key must stand (None: the user's own),
    `key_file` a private key (None: `password`, or the user's agent). `jump` is gone through first. `own_address` is a router's
    own, where `host` is another that leads to it. `protect_minutes`: while a router is changed, it is told to reload by itself
    after so many (None: it is not). `old_ssh`: by SSH a router may use the
    algorithms that OpenSSH has switched off."""

    device: str
    host: str
    port: int = 22
    username: str = ""
    password: Secret | None = None
    enable: Secret | None = None
    protocol: str = "ssh"
    key_file: str | None = None
    known_hosts: str | None = None
    jump: Connection | None = field(default=None)
    own_address: str | None = None
    protect_minutes: int | None = None
    old_ssh: bool = False


@dataclass(frozen=True, slots=True)
class CaptureSource:
    """Where one side of the NAT can be captured. `kind` is one of CAPTURE_KINDS, `interface` the name there; `connection` leads to
    the machine that captures (None: this one)."""

    kind: str
    interface: str
    connection: Connection | None = None

    @property
    def stamped_by(self) -> str:
        """Whose clock its packets bear: the same text for two sources of one machine. A GNS3 server stamps what it captures."""
        if self.kind == "gns3":
            return "gns3"
        where, words = self.connection, []
        while where is not None:
            words.append(f"{where.host} port {where.port}")
            where = where.jump
        return " behind ".join(words)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the testbed lets the harness send: to addresses in `networks` alone, at most `packets_per_s` in all. `line` is where the
    testbed file says so, 0 where it does not."""

    networks: tuple[str, ...]
    packets_per_s: int
    line: int = 0

    def covers(self, address: str) -> bool:
        one = ipaddress.IPv4Address(address)
        return any(one in ipaddress.IPv4Network(network) for network in self.networks)

    def outside(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Those of the addresses that are in none of the networks, in their order."""
        return tuple(one for one in addresses if not self.covers(one))


@dataclass(frozen=True, slots=True)
class LabSpec:
    """Who brings the lab up. `provider` is one of PROVIDERS. For "gns3" and "eve-ng" `url` is the server's, `project` the project's
    name or the lab file's path there, `username` and `password` those of the server; else they are empty. `options`: what the
    testbed says besides, for that provider, as plain values; "nodes" maps a device's name to its node's. `host`: the machine that
    the server runs on, where commands of ours may be run there."""

    provider: str = "namespaces"
    url: str = ""
    project: str = ""
    username: str = ""
    password: Secret | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    host: Connection | None = None

    def node(self, device: str) -> str:
        """The name of the device's node in the project."""
        return str(self.options.get("nodes", {}).get(device, device))


OWN_LAB = LabSpec()
