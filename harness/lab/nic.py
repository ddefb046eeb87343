"""One interface of this machine: all that it loses when it moves to another namespace, read before, and given back after.

What the kernel makes by itself (routes of its own, temporary addresses) it makes again. `stable_secret` is left out: it is one.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.errors import LabError
from harness.lab import tools, traffic

SETTINGS = ("net/ipv4/conf", "net/ipv4/neigh", "net/ipv6/conf", "net/ipv6/neigh")
"""Where each interface has settings of its own, below /proc/sys."""

_SECRET = "stable_secret"
_OF_ADDRESS = {
    "broadcast": "broadcast",
    "label": "label",
    "scope": "scope",
    "metric": "metric",
    "protocol": "proto",
    "valid_life_time": "valid_lft",
    "preferred_life_time": "preferred_lft",
}
"""What `ip -j address` calls it → what `ip address replace` does."""
_USUAL = (0xFFFFFFFF, "kernel_lo", "kernel_ra", "kernel_ll")
"""A life without end, and protocols that are the kernel's to give."""

_TOLD = frozenset({"dead", "linkdown", "offload", "trap", "rt_offload", "rt_trap", "offload_failed", "unresolved", "notify"})
"""Words of `ip route` that say how a route is, and cannot be given."""

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nic:
    """What an interface was before it moved. `addresses`, `routes` and `neighbours` as `ip address|route|neigh replace` take them,
    routes with -4 or -6 first; `settings` those below /proc/sys that are not this machine's default; `features` ethtool's, that can
    be changed, as "on" and "off"; `traffic`: queueing disciplines, as `tc qdisc replace dev X` takes them."""

    name: str
    up: bool
    addresses: tuple[Words, ...] = ()
    routes: tuple[Words, ...] = ()
    neighbours: tuple[Words, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    features: Mapping[str, str] = field(default_factory=dict, hash=False)
    traffic: tuple[Words, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Its addresses, without prefix length."""
        return tuple(words[0].partition("/")[0] for words in self.addresses)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Nic:
        row = json.loads(text)
        lists = ("addresses", "routes", "neighbours", "traffic")
        return cls(**row | {key: tuple(tuple(words) for words in row.get(key, ())) for key in lists})


def look(name: str) -> Nic:
    """An interface of this process's namespace. LabError where there is none of that name."""
    step = f"look at interface {name}"
    try:
        (link,) = json.loads(tools.run(["ip", "-j", "-d", "address", "show", "dev", name], step=step).stdout)
    except LabError as error:
        there = ", ".join(one for _, one in socket.if_nameindex())
        raise LabError(step, "this machine has no interface of that name", f"it has {there}") from error
    # An address that DHCP or a router gave is put back as it was; whoever renews it finds the interface as it left it.
    told = [one for one in link["addr_info"] if not one.get("temporary")]
    # The kernel appends to IPv4's, where a network's first is its primary one, and puts IPv6's newest first.
    in_order = [*(one for one in told if one["family"] == "inet"), *reversed([one for one in told if one["family"] != "inet"])]
    addresses = tuple(_address(one) for one in in_order)
    hosts = {one["local"] for one in told}
    routes = tuple(
        (version, *words)
        for version in ("-4", "-6")
        for words in _routes(tools.run(["ip", "-d", version, "route", "show", "table", "all"], step=step).stdout, name, hosts)
    )
    shown = tools.run(["ip", "-j", "-4", "neigh", "show", "dev", name, "nud", "permanent"], step=step).stdout
    shown6 = tools.run(["ip", "-j", "-6", "neigh", "show", "dev", name, "nud", "permanent"], step=step).stdout
    known = [row for text in (shown, shown6) for row in json.loads(text or "[]") if "lladdr" in row]
    neighbours = tuple((row["dst"], "lladdr", row["lladdr"], "nud", "permanent") for row in known)
    disciplines = traffic.look(name).disciplines
    return Nic(name, "UP" in link["flags"], addresses, routes, neighbours, _settings(name), features(name), disciplines)


def as_it_was(nic: Nic) -> None:
    """Gives it back all that it had, in this process's namespace. May be done again where it was done in part. What fails does not
    keep the rest from being done: LabError with all that failed."""
    step = f"give {nic.name} back what it had"
    failed: dict[Words, str] = {}

    def attempt(do: Callable[..., object], *words: str) -> bool:
        """Whether it worked; `failed` has why it did not, the last time."""
        try:
            do(*words)
        except LabError as error:
            failed[words] = error.seen
            return False
        failed.pop(words, None)
        return True

    def ip(*words: str) -> None:
        tools.run(["ip", *words], step=step)

    attempt(lambda: _give_features(nic, step))
    for pair in nic.settings.items():  # before it is up: they decide which addresses it then gives itself
        attempt(_set, *pair)
    attempt(ip, "link", "set", nic.name, "up" if nic.up else "down")
    for words in nic.addresses:
        attempt(ip, "address", "replace", *words, "dev", nic.name)
    for words in nic.neighbours:
        attempt(ip, "neigh", "replace", *words, "dev", nic.name)
    # A route leaves with its interface's going down, and none can be had before it is up. One may need another to be there first (a
    # next hop behind a next hop): as long as one more can be had, all are tried.
    left = list(nic.routes) if nic.up else []
    while left:
        refused = [(version, *words) for version, *words in left if not attempt(ip, version, "route", "replace", *words)]
        if len(refused) == len(left):
            break
        left = refused
    for pair in nic.settings.items():  # and after: going up sets some anew
        attempt(_set, *pair)
    for words in nic.traffic:
        attempt(lambda *one: traffic.give_back(nic.name, [one], step), *words)
    if failed:
        raise LabError(step, "; ".join(failed.values()), "set these by hand")


def features(name: str) -> dict[str, str]:
    """ethtool's features that can be changed. A group's state is that of its members, which stand indented below it."""
    lines = tools.run(["ethtool", "-k", name], step=f"look at interface {name}").stdout.splitlines()[1:]
    found: dict[str, str] = {}
    for line, following in pairwise([*lines, ""]):
        feature, _, state = line.strip().partition(": ")
        group = not line.startswith("\t") and following.startswith("\t")
        if state and "[fixed]" not in state and not group:
            found[feature] = state.split()[0]
    return found


def _give_features(nic: Nic, step: str) -> None:
    now = features(nic.name)
    words = [word for one, state in nic.features.items() if now.get(one, state) != state for word in (one, state)]
    if words:
        tools.run(["ethtool", "-K", nic.name, *words], step=step)


def _address(row: Mapping[str, Any]) -> Words:
    peer = row.get("address")
    words = [f"{row['local']}/{row['prefixlen']}"] if peer is None else [row["local"], "peer", f"{peer}/{row['prefixlen']}"]
    for key, word in _OF_ADDRESS.items():
        if key in row and row[key] not in _USUAL:
            words += [word, str(row[key])]
    words += [flag for flag in ("home", "mngtmpaddr", "nodad", "noprefixroute", "autojoin") if row.get(flag)]
    return tuple(words)


def _routes(text: str, name: str, hosts: set[str]) -> Iterator[Words]:
    """Of `ip -d route show table all` what goes with the interface: what leaves by it, and what is sent from its addresses; not
    what the kernel makes by itself."""
    for line in re.sub(r"\n\s+", " ", text).splitlines():
        words = line.split()
        pairs = list(pairwise(words))
        concerned = ("dev", name) in pairs or any(("src", host) in pairs for host in hosts)
        if concerned and ("proto", "kernel") not in pairs:
            yield tuple(re.sub(r"^(\d+)sec$", r"\1", word) for word in words if word not in _TOLD)


def _settings(name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for place in SETTINGS:
        folder = Path("/proc/sys", place)
        for file in sorted((folder / name).glob("*")):
            value, usual = _read(file), _read(folder / "default" / file.name)
            if file.name != _SECRET and value is not None and value != usual:
                found[f"{place}/{name}/{file.name}"] = value
    return found


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return None  # one that has no value, or none to be read


def _set(path: str, value: str) -> None:
    file = Path("/proc/sys", path)
    if _read(file) == value:
        return
    try:
        file.write_text(value, encoding="ascii")
    except OSError as error:
        raise LabError("set", f"{path} to {value}: {error.strerror}") from error
