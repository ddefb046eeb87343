"""Devices that are there already. Bringing such a lab up is taking the lock on all of its devices, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from harness.errors import LabError
from harness.lab.providers.lock import Lock
from harness.lab.providers.provider import UNKNOWN, Console, LabStatus, Node, find_node, unable
from harness.model.reach import Connection
from harness.model.router_lab import Described

USUAL_PORTS = (22, 23)


class Static:
    """The devices of a testbed that has connections. `lock` is held, and renewed, from `up` to `down`."""

    name = "static"

    def __init__(self, lab: str, devices: Sequence[Connection], lock: Lock) -> None:
        self.lab = lab
        self.lock = lock
        self._nodes = tuple(Node(one.device, "device", UNKNOWN, Console(one.host, one.port, one.protocol)) for one in devices)
        self._notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, testbed: Described, purpose: str, directory: Path | None = None, make: Callable[..., Lock] = Lock) -> Static:
        """The lab of a testbed's devices. LabError where it has none."""
        if not testbed.connections:
            raise LabError("lock the devices", f"{testbed.file} names no device that is there already", "use another provider")
        taken = taken_by(testbed)
        return cls(testbed.name, taken, make(device_keys(taken), purpose, directory))

    def up(self) -> LabStatus:
        if not self.lock.held:
            self._notes = self.lock.acquire()
            self.lock.beat()
        return self.status()

    def status(self) -> LabStatus:
        """Raises LabError where the lock was lost meanwhile."""
        if self.lock.lost is not None:
            raise self.lock.lost
        return LabStatus(self.name, self.lab, self.lock.held, self._nodes, notes=self._notes)

    def console(self, node: str) -> Console:
        found = find_node(self._nodes, node).console
        assert found is not None
        return found

    def link_down(self, link: str) -> None:
        raise unable(self.name, f"take link {link} down", "unplug it, or shut the interface by the device's driver")

    def link_up(self, link: str) -> None:
        raise unable(self.name, f"bring link {link} up", "plug it in, or open the interface by the device's driver")

    def capture(self, link: str) -> AbstractContextManager[Iterator[bytes]]:
        raise unable(self.name, f"capture on link {link}", "name a capture source for each side of the NAT in the testbed")

    def down(self) -> None:
        self.lock.release()


def taken_by(testbed: Described) -> tuple[Connection, ...]:
    """The devices that a run has for itself: those that it configures, and those that capture for it. What is only gone through on
    the way to them serves others meanwhile; nothing of it is changed."""
    capturing = (one.connection for one in testbed.captures if one.kind == "tcpdump")
    return tuple(dict.fromkeys((*testbed.connections, *(one for one in capturing if one is not None))))


def device_keys(connections: Sequence[Connection]) -> tuple[str, ...]:
    """What a device is locked by: its address, since testbeds call one router by many names; with the port where that is not SSH's
    or telnet's own, since a terminal server or a GNS3 server has a device behind each; with the machine that is gone through first,
    behind which an address may mean another device."""
    return tuple(dict.fromkeys(_key(one) for one in connections))


def _key(one: Connection) -> str:
    address = one.host.lower() if one.port in USUAL_PORTS else f"{one.host.lower()}:{one.port}"
    return address if one.jump is None else f"{address} behind {_key(one.jump)}"
