"""Whether an interface of this machine is one that it is managed by, and so must not be moved to the clients.

Pure questions to what `ip` and the kernel say; each answer is a sentence's end: "nic0 is the management interface: ANSWER".
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.errors import LabError
from harness.lab import tools
from harness.lab.nic import Nic
from harness.model.reach import Connection
from harness.model.router_lab import Described

Links = Mapping[str, frozenset[str]]
"""Interface → those that it stands on itself: a bridge or bond on its ports, a VLAN on the card that carries it."""

_ESTABLISHED = "01"


def reasons(nic: Nic, testbed: Described) -> Iterator[str]:
    """Why it is one; nothing where it is none. LabError where that cannot be found out."""
    links = below(_json(["ip", "-j", "-d", "link", "show"]))
    own = set(nic.hosts)
    for told in testbed.management:
        if told == nic.name or one_way(told) in own:
            yield f"testbed.custom.management names {told}"
    for device, address in reached(testbed):
        if (way := way_to(address)) is not None and nic.name in beneath(way, links):
            yield f"{device} ({address}) is reached through it" + ("" if way == nic.name else f", by {way}")
    for peer, address in sessions():
        if address in own:
            yield f"the session from {peer} comes in through it"
    for way in default_ways():
        if nic.name in beneath(way, links):
            yield "this machine's default route leaves by it" + ("" if way == nic.name else f", by {way}")


def unknown(testbed: Described) -> tuple[str, ...]:
    """What the testbed names as management and this machine has not, neither as an interface nor as an address: a file may serve
    several machines, or be mistyped."""
    rows = _json(["ip", "-j", "address", "show"])
    here = {row["ifname"] for row in rows} | {one_way(one["local"]) for row in rows for one in row.get("addr_info", ())}
    return tuple(told for told in testbed.management if one_way(told) not in here)


def stacked(name: str) -> tuple[str, ...]:
    """The interfaces that stand on this one: its bridge or bond, VLANs and the like, tunnels that are bound to it. They would lose
    it when it moves, and not get it back. LabError where that cannot be found out."""
    links = below(_json(["ip", "-j", "-d", "link", "show"]))
    return tuple(sorted(upper for upper, lower in links.items() if name in lower))


def below(rows: Iterable[Mapping[str, Any]]) -> Links:
    """From `ip -j -d link show`. The peer of a veth is at its other end, and not below it."""
    found: dict[str, set[str]] = {}
    for row in rows:
        name, info = row["ifname"], row.get("linkinfo", {})
        found.setdefault(name, set())
        if "master" in row:
            found.setdefault(row["master"], set()).add(name)
        if "link" in row and info.get("info_kind") != "veth":
            found[name].add(row["link"])
        if isinstance(bound := info.get("info_data", {}).get("link"), str):
            found[name].add(bound)
    return {name: frozenset(lower) for name, lower in found.items()}


def beneath(name: str, links: Links) -> frozenset[str]:
    """The interface, and all that it stands on, down to the cards."""
    found: set[str] = set()
    todo = [name]
    while todo:
        if (one := todo.pop()) not in found:
            found.add(one)
            todo += links.get(one, ())
    return frozenset(found)


def reached(testbed: Described) -> Iterator[tuple[str, str]]:
    """(who, address) of all that this machine speaks with beside the clients' traffic; of what is reached through a jump host the
    first of them."""
    capturing = (one.connection for one in testbed.captures)
    for connection in dict.fromkeys((*testbed.connections, *capturing, testbed.lab.host)):
        if connection is not None:
            first = entrance(connection)
            yield first.device, first.host
    if testbed.lab.url and (server := urlsplit(testbed.lab.url).hostname):
        for address in _addresses_of(server):
            yield f"the server {testbed.lab.url}", address


def entrance(connection: Connection) -> Connection:
    """The machine that this one connects to itself."""
    while connection.jump is not None:
        connection = connection.jump
    return connection


def way_to(address: str) -> str | None:
    """The interface by which packets to an address leave; None where there is no way: that is told when it is connected to."""
    try:
        (row,) = _json(["ip", "-j", "route", "get", str(ipaddress.ip_address(address))])
    except (LabError, ValueError):
        return None
    return str(row.get("dev"))


def default_ways() -> tuple[str, ...]:
    """The interfaces of this machine's default routes; those in tables of their own are for what comes in by the same interface."""
    rows = [row for version in ("-4", "-6") for row in _json(["ip", "-j", version, "route", "show", "default"])]
    hops = [hop for row in rows for hop in (row, *row.get("nexthops", ()))]
    return tuple(dict.fromkeys(hop["dev"] for hop in hops if "dev" in hop))


def sessions() -> Iterator[tuple[str, str]]:
    """(peer, own address) of the SSH session that this run was started from, and of all TCP connections with others. sudo takes the
    former's variable away, so that the latter are what it is known by."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    if len(words) == 4:
        yield one_way(words[0]), one_way(words[2])
    for version in ("tcp", "tcp6"):
        try:
            text = Path("/proc/thread-self/net", version).read_text(encoding="ascii")
        except OSError:
            continue  # a kernel without IPv6 has no such connections
        yield from established(text)


def established(text: str) -> Iterator[tuple[str, str]]:
    """From /proc/net/tcp or tcp6: (peer, own address) of each connection that is up, but for those of the machine with itself."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == _ESTABLISHED:
            own, peer = (_address(one.partition(":")[0]) for one in fields[1:3])
            if own != peer:
                yield peer, own


def one_way(text: str) -> str:
    """An address in the one way that they are compared in; what is no address stays what it is."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _address(digits: str) -> str:
    """The kernel writes words of 32 bits, each in the machine's order."""
    packed = b"".join(int(digits[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(digits), 8))
    found = ipaddress.ip_address(packed)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _addresses_of(host: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(str(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))
    except OSError:
        return ()  # that there is no such host is told when it is connected to


def _json(argv: list[str]) -> list[Any]:
    found: list[Any] = json.loads(tools.run(argv, step="look for the management interface").stdout or "[]")
    return found
