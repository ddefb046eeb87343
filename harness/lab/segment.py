"""The clients' segment of a lab with real devices: one interface of this machine moves into a namespace of its own, and comes back.

    host ── nic0 ──▶ namespace `natstorm-clients`: nic0 with the testbed's address, the client prefix local, one next hop
                     the host keeps all else of its network

A device belongs to one namespace at a time, so while the clients have it nobody else does. Before it moves, what it was is written
down (`Nic`), and a keeper (harness/lab/segment_keeper.py) is started that puts it back when the run is gone, even by SIGKILL.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import LabError, UsageError
from harness.lab import enclosure, tools
from harness.lab.namespaces import OFFLOADS, Netns
from harness.model.testbed import Testbed

CLIENTS = "natstorm-clients"
KEEPER_S = 30.0
"""How long a keeper may take to begin, and to end."""

_FEATURES = {
    "tx": "tx-checksumming",
    "rx": "rx-checksumming",
    "sg": "scatter-gather",
    "tso": "tcp-segmentation-offload",
    "gso": "generic-segmentation-offload",
    "gro": "generic-receive-offload",
}
"""ethtool's short names to set an offload by, and those it shows."""


@dataclass(frozen=True, slots=True)
class Nic:
    """What an interface was before it moved: `addresses` with prefix length; `routes` as `ip route replace` takes them, with -4 or
    -6 first; `offloads` those of OFFLOADS that were on."""

    name: str
    up: bool
    addresses: tuple[str, ...]
    routes: tuple[tuple[str, ...], ...]
    offloads: tuple[str, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Nic:
        row = json.loads(text)
        routes = tuple(tuple(route) for route in row["routes"])
        return cls(row["name"], row["up"], tuple(row["addresses"]), routes, tuple(row["offloads"]))


class Segment:
    """`up` moves the interface, `down` brings it back; both leave nothing half done. `clients` is the namespace."""

    def __init__(self, testbed: Testbed) -> None:
        self.clients = Netns(CLIENTS)
        self._testbed = testbed
        self._nic: Nic | None = None
        self._keeper: subprocess.Popen[str] | None = None

    def check(self) -> Nic:
        """What the interface is now. UsageError where it must not be taken, LabError where it cannot be had; nothing is changed."""
        name = self._testbed.clients.interface.name
        if os.geteuid() != 0:
            raise LabError(f"take interface {name}", "moving an interface needs root", "run as root")
        if self.clients.exists():
            seen = f"namespace {CLIENTS} is there already: another run has it, or one that was killed"
            raise LabError(f"take interface {name}", seen, "wait for the other run, or `natstorm restore`")
        nic = look(name)
        for told in self._testbed.management:
            if told == name or _address(told) in [_address(one.partition("/")[0]) for one in nic.addresses]:
                raise self._refused(name, f"testbed.custom.management names {told}")
        for device, address in self._reached():
            if _way_to(address) == name:
                raise self._refused(name, f"{device} ({address}) is reached through it")
        for peer, address in _sessions():
            if any(address == one.partition("/")[0] for one in nic.addresses):
                raise self._refused(name, f"the session from {peer} comes in through it")
        if any("default" in route for route in nic.routes):
            raise self._refused(name, "this machine's default route leaves by it")
        return nic

    def up(self) -> None:
        nic = self.check()
        self._nic = nic
        self._keeper = _start_keeper(nic)
        try:
            Netns.create(CLIENTS, on_host=True)
            tools.run(["ip", "link", "set", nic.name, "netns", CLIENTS], step=f"move {nic.name} to the clients")
            self._furnish(nic)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Safe at any time, and twice."""
        nic, self._nic = self._nic, None
        keeper, self._keeper = self._keeper, None
        back = False
        try:
            if nic is not None:
                put_back(nic)
            back = True
        finally:
            if keeper is not None:
                _end_keeper(keeper, let_go=back)  # where it could not be put back from here, the keeper tries, and tells

    def _furnish(self, nic: Nic) -> None:
        clients, inside = self._testbed.clients, self._testbed.nat.inside
        if nic.offloads:
            self.clients.run(
                ["ethtool", "-K", nic.name, *(word for one in nic.offloads for word in (one, "off"))],
                step=f"switch off the offloads of {nic.name}",
            )
        self.clients.ip("link", "set", nic.name, "up")
        self.clients.ip("address", "add", clients.interface.address, "dev", nic.name)
        self.clients.ip("route", "add", "local", clients.prefix, "dev", "lo")
        self.clients.ip("route", "add", "default", "via", inside.host)

    def _reached(self) -> Iterable[tuple[str, str]]:
        """(device, address) of all that this machine speaks with beside the clients' traffic."""
        for connection in self._testbed.connections:
            first = connection
            while first.jump is not None:
                first = first.jump
            yield first.device, first.host

    def _refused(self, name: str, why: str) -> UsageError:
        cure = "name the interface that carries the clients' segment below topology.clients"
        return UsageError(f"{name} is the management interface: {why}", file=self._testbed.file, cure=cure)


def _address(text: str) -> str:
    """In the one way that IPv6 addresses are compared in; what is no address stays what it is."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def look(name: str) -> Nic:
    """An interface of this process's namespace. LabError where there is none of that name."""
    step = f"look at interface {name}"
    try:
        (link,) = _json(["ip", "-j", "address", "show", "dev", name], step)
    except LabError as error:
        there = ", ".join(one for _, one in socket.if_nameindex())
        raise LabError(step, "this machine has no interface of that name", f"it has {there}") from error
    # An address that DHCP or a bridge gave is put back as it was; whoever renews it finds the interface as it left it.
    addresses = tuple(f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if one["scope"] != "link")
    routes = tuple(
        (version, *_route(one, name))
        for version in ("-4", "-6")
        for one in _json(["ip", "-j", version, "route", "show", "dev", name], step)
        if one.get("protocol") != "kernel"
    )
    shown = tools.run(["ethtool", "-k", name], step=step).stdout
    on = {line.partition(":")[0].strip() for line in shown.splitlines() if line.rstrip().endswith(": on")}
    offloads = tuple(one for one in OFFLOADS if _FEATURES[one] in on)
    return Nic(name, "UP" in link["flags"], addresses, routes, offloads)


def put_back(nic: Nic) -> None:
    """The interface as it was, in this process's namespace, and the clients' namespace gone. What is done already is not done
    again, so that whoever was killed half-way can be followed by another."""
    clients = Netns(CLIENTS)
    if clients.exists():
        with clients.entered():
            there = any(name == nic.name for _, name in socket.if_nameindex())
        if there:
            clients.ip("link", "set", nic.name, "netns", str(os.getpid()))
    if nic.name in (name for _, name in socket.if_nameindex()):
        _as_it_was(nic)
    if clients.exists():
        clients.delete()


def _as_it_was(nic: Nic) -> None:
    step = f"give {nic.name} back what it had"
    if nic.offloads:
        words = [word for one in nic.offloads for word in (one, "on")]
        tools.run(["ethtool", "-K", nic.name, *words], step=step)
    for address in nic.addresses:
        tools.run(["ip", "address", "replace", address, "dev", nic.name], step=step)
    tools.run(["ip", "link", "set", nic.name, "up" if nic.up else "down"], step=step)
    if nic.up:  # a route leaves with its interface's going down, and none can be had before it is up
        for route in nic.routes:
            version, *words = route
            tools.run(["ip", version, "route", "replace", *words], step=step)


def _route(row: Mapping[str, Any], interface: str) -> tuple[str, ...]:
    words = [str(row["dst"])]
    for key, word in (("gateway", "via"), ("prefsrc", "src"), ("metric", "metric"), ("scope", "scope")):
        if key in row:
            words += [word, str(row[key])]
    return (*words, "dev", interface)


def _json(argv: list[str], step: str) -> list[Any]:
    found: list[Any] = json.loads(tools.run(argv, step=step).stdout or "[]")
    return found


def _way_to(address: str) -> str | None:
    """The interface by which packets to an address or host name leave; None where there is no way."""
    try:
        packed = socket.gethostbyname(address)
        (row,) = _json(["ip", "-j", "route", "get", packed], f"look for the way to {address}")
    except (OSError, LabError, ValueError):
        return None  # that it cannot be reached is told when it is connected to
    return str(row.get("dev"))


def _sessions() -> Iterable[tuple[str, str]]:
    """(peer, own address) of the SSH session that this run was started from."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    if len(words) == 4:
        yield words[0], words[2]


def _start_keeper(nic: Nic) -> subprocess.Popen[str]:
    """A process in a session of its own, which no signal for the run reaches. Returns once it watches."""
    command = enclosure.python("harness.lab.segment_keeper", nic.to_json())
    keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert keeper.stdout is not None
    if keeper.stdout.readline() != "watching\n":
        keeper.kill()
        raise LabError(f"take interface {nic.name}", "the keeper that is to put it back did not start", "see its words above")
    return keeper


def _end_keeper(keeper: subprocess.Popen[str], *, let_go: bool) -> None:
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        if let_go:
            keeper.stdin.write("let go\n")
        keeper.stdin.close()
        keeper.wait(KEEPER_S)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        keeper.kill()
        keeper.wait()
    finally:
        keeper.stdout.close()
