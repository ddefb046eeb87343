"""A testbed file from what a provider tells of a lab: devices, consoles and links; what it cannot know is marked TO COMPLETE.

The marks are values, and one key; `natstorm check` refuses each with its line.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.errors import LabError, UsageError
from harness.lab.providers.provider import Console, End, Link, Node
from harness.model.testbed import TO_COMPLETE

ROLES = ("nat", "gateway", "host")
"""What the devices of a testbed file are called; the first two every testbed has. The clients are no node of a lab."""
BY_SSH = ("nat", "host")
"""Those that no driver reaches by a console."""

Options: TypeAlias = Mapping[str, "str | int"]

SWITCHES = ("ethernet_switch", "ethernet_hub", "bridge", "ovs")
"""Nodes that join wires and are nothing else: what hangs on one is on one link, named after it."""

HEAD_LINES = 3
"""Of remarks at the file's head, which tell of the mark."""

LOGIN = ("user", "password")
"""Keys of the provider's section that go to `testbed.credentials`."""

CONSOLE_PROTOCOLS = ("telnet", "ssh")
_OS_OF_KIND = {"dynamips": "ios", "iou": "ios", "iol": "ios"}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_NOT_TEXT = {"y", "n", "yes", "no", "true", "false", "on", "off", "null"}
_MARKUP = re.compile(r"%\w*\{")


@dataclass(frozen=True, slots=True)
class Described:
    """What an import learned of a lab: its name, what stands below `testbed.custom.lab`, below `options` there, and what is in
    it."""

    lab: str
    section: Mapping[str, str]
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    options: Options = field(default_factory=dict)


_CUSTOM: Mapping[str, tuple[str, ...]] = {
    "clients": (
        f"prefix: {TO_COMPLETE}       # the clients' network, as in 10.0.0.0/24: any address of it is a client's",
        f"first: {TO_COMPLETE}        # client 1; client 2 is the next, and so on",
        'psk: "%ENV{NATSTORM_PSK}"',
        'user: "user{number}"      # as the gateway knows them',
        'password: "%ENV{NATSTORM_PPP_PASSWORD}"',
        "personality: windows7",
    ),
    "gateway": (
        f"variants: [{TO_COMPLETE}]   # the configurations to try, the default first",
        f"ppp_address: {TO_COMPLETE}",
        f"ppp_pool: {TO_COMPLETE}     # as in 172.16.1.10-172.16.1.200",
        "users: 100                 # how many of the clients' users it knows, from number 1 on",
    ),
}


def yaml_text(described: Described, roles: Mapping[str, str] | None = None) -> str:
    """The file's text. Its `section` is {"provider": "gns3", "url": …}, with `user` and `password` (%ENV{NAME}) where the server
    wants them; `roles` says which node plays what, {"gateway": "R1"}, beside those that are called by their role. Nodes that play
    nothing are remarks.

    Raises UsageError for a role or node that there is not, LabError for a name that a testbed file cannot hold."""
    provider, nodes, links = described.section, described.nodes, described.links
    texts = [value for key, value in provider.items() if key != "password"]
    _all_can_be_written([described.lab, *texts, *map(str, described.options.values())], nodes, links)
    active = [node for node in nodes if not node.passive]
    played = _played(active, roles or {})
    segments = _segments(nodes, links)
    cast = {role: node for node in active for name, role in played.items() if name == node.name}
    lines = [
        f"# Written by `natstorm lab import {provider['provider']}`. What no provider can know is marked {TO_COMPLETE}:",
        f"# `grep -n '{TO_COMPLETE}' FILE` lists it, `natstorm check FILE` says what is still missing.",
        f"# Devices are called {', '.join(ROLES)} by the part they play; nodes that play none are named at the end.",
        "",
        *_testbed(described, {role: node.name for role, node in cast.items() if role != node.name}),
        "",
        "devices:",
        *_clients(),
        "",
    ]
    for role in (role for role in ROLES if role in cast or role in ROLES[:2]):
        lines += _device(cast[role], role) if role in cast else _missing(role, active)
        lines.append("")
    lines += ["topology:", *_clients_interfaces()]
    for role in (role for role in ROLES if role in cast or role in ROLES[:2]):
        lines += _interfaces(cast[role].name, role, segments) if role in cast else [f"  {role}: {TO_COMPLETE}"]
    lines += ["", *_remarks([node for node in nodes if node not in cast.values()], segments)]
    return "\n".join(lines).rstrip() + "\n"


def _testbed(described: Described, nodes: Mapping[str, str]) -> list[str]:
    """`nodes`: by device, the node's name where that is another."""
    provider = described.section
    lines = [
        "testbed:",
        f"  name: {scalar(described.lab)}",
        "  credentials:",
        "    default:   # who logs in at the devices",
        f"      username: {TO_COMPLETE}",
        '      password: "%ENV{NATSTORM_LAB_PASSWORD}"',
    ]
    if "user" in provider:
        lines += [f"    {provider['provider']}:", f"      username: {scalar(provider['user'])}"]
        lines += [f"      password: {scalar(provider['password'])}"] if "password" in provider else []
    lines += ["  custom:", "    lab:"]
    lines += [f"      {key}: {scalar(value)}" for key, value in provider.items() if key not in LOGIN]
    if nodes or described.options:
        lines += ["      options:", *(f"        {key}: {scalar(value)}" for key, value in described.options.items())]
    if nodes:
        lines += ["        nodes:   # where a node has another name in the lab than the device has here"]
        lines += [f"          {role}: {scalar(node)}" for role, node in nodes.items()]
    return [
        *lines,
        "    allow:",
        f"      networks: [{TO_COMPLETE}]   # nothing is sent to an address outside them: the clients' and the links' networks",
        "      packets_per_s: 500        # emulated routers bear little",
    ]


def scalar(value: str | int) -> str:
    """A value as YAML reads it back: plain where nothing can be mistaken, in double quotes otherwise."""
    if isinstance(value, int):
        return str(value).lower()  # true and false among them
    return value if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT else json.dumps(value, ensure_ascii=False)


def _all_can_be_written(texts: Iterable[str], nodes: Sequence[Node], links: Sequence[Link]) -> None:
    """pyATS carries out what %CLI{…} in a testbed file says, and a lab's names are whatever its owner typed."""
    found = [*texts, *(node.name for node in nodes), *(link.name for link in links)]
    found += [end.port for link in links for end in link.ends]
    found += [node.console.host for node in nodes if node.console is not None]
    for text in found:
        if _MARKUP.search(text) or not text.isprintable():
            seen = f"the name {text!r} would not be plain text in a testbed file"
            raise LabError("write a testbed file", seen, "rename it in the lab: no control characters, no %NAME{…}")
    names = [node.name for node in nodes]
    for name in names:
        if names.count(name) > 1:
            seen = f"{names.count(name)} nodes are called {name!r}"
            raise LabError("write a testbed file", seen, "give each its own name in the lab")


def _played(active: Sequence[Node], roles: Mapping[str, str]) -> dict[str, str]:
    """By the node's name, the role it plays."""
    if "clients" in roles:
        raise UsageError("the clients are no node of the lab", cure="leave it out: they run on this machine, see topology.clients")
    there = {node.name for node in active}
    by_role = {name.lower(): name for name in sorted(there, reverse=True) if name.lower() in ROLES}
    for role, name in roles.items():
        if role not in ROLES:
            raise UsageError(f"there is no role {role!r}", cure=f"one of {', '.join(ROLES)}")
        if name not in there:
            cure = f"one of {', '.join(sorted(there)) or '(there are none)'}"
            raise UsageError(f"no node {name!r} to play the {role}", cure=cure)
        by_role = {other: played for other, played in by_role.items() if played != name or other in roles} | {role: name}
    if len(set(by_role.values())) < len(by_role):
        raise UsageError("one node plays two roles", cure="name another node for one of them")
    return {name: role for role, name in by_role.items()}


def _segments(nodes: Sequence[Node], links: Sequence[Link]) -> list[Link]:
    """The links, with those that meet in a switch made into one that has its name. Switches that are joined are one."""
    switches = {node.name for node in nodes if node.kind in SWITCHES}
    first = {name: name for name in switches}

    def root(name: str) -> str:
        while first[name] != name:
            name = first[name]
        return name

    for link in links:
        joined = sorted({root(end.node) for end in link.ends if end.node in switches})
        for other in joined[1:]:
            first[root(other)] = root(joined[0])
    segments: dict[str, list[End]] = {}
    up: dict[str, bool] = {}
    for link in links:
        met = {root(end.node) for end in link.ends if end.node in switches}
        name = min(met) if met else link.name
        segments.setdefault(name, []).extend(end for end in link.ends if end.node not in switches)
        up[name] = up.get(name, True) and link.up
    return [Link(name, tuple(ends), up[name]) for name, ends in segments.items() if ends]


def _device(node: Node, role: str) -> list[str]:
    lines = [f"  {role}:", f"    type: {role}"]
    system = _OS_OF_KIND.get(node.kind)
    drivers = "linux" if role in BY_SSH else "ios, linux, …"
    lines.append(f"    os: {system}" if system else f"    os: {TO_COMPLETE}     # {drivers} ({_comment(node.kind)} in the lab)")
    lines += _connections(node.console, by_ssh=role in BY_SSH)
    if role in _CUSTOM:
        lines += ["    custom:", *(f"      {line}" for line in _CUSTOM[role])]
    if role == "nat":
        lines.append("    # Its two interfaces are captured by tcpdump on it; `custom: {capture: …}` names other places.")
    return lines


def _connections(console: Console | None, *, by_ssh: bool) -> list[str]:
    """`by_ssh`: its console is of no use to its driver."""
    if console is None:
        seen = "the lab gives it no console"
    elif console.protocol not in CONSOLE_PROTOCOLS:
        seen = f"its console is {_comment(console.protocol)}, no command line"
    elif by_ssh and console.protocol != "ssh":
        seen = f"its console is {console.protocol}, and it is reached by ssh"
    else:
        return [
            "    connections:",
            "      cli:",
            f"        protocol: {console.protocol}",
            f"        ip: {_address(console.host)}",
            f"        port: {console.port}",
        ]
    return ["    connections:", "      cli:", f"        protocol: ssh   # {seen}", f"        ip: {TO_COMPLETE}", "        port: 22"]


def _address(host: str) -> str:
    """A testbed names addresses, since what a name means depends on who asks."""
    try:
        return scalar(str(ipaddress.ip_address(host)))
    except ValueError:
        return f"{TO_COMPLETE}   # the address of {_comment(host)}"


def _clients() -> list[str]:
    own = ["  clients:   # the harness's own, on this machine", "    type: clients", "    os: linux", "    connections: {}"]
    return [*own, "    custom:", *(f"      {line}" for line in _CUSTOM["clients"])]


def _missing(role: str, active: Sequence[Node]) -> list[str]:
    """A device that has to be found among the nodes."""
    there = ", ".join(_comment(node.name) for node in active) or "none"
    return [f"  {role}: {TO_COMPLETE}   # no node is called so: import with --role {role}=NODE; there are {there}"]


def _interfaces(node: str, role: str, segments: Sequence[Link]) -> list[str]:
    rows = [(end.port, link.name) for link in segments for end in link.ends if end.node == node]
    if not rows:
        return [f"  {role}:", f"    interfaces: {TO_COMPLETE}   # no link ends there"]
    lines = [f"  {role}:", "    interfaces:"]
    for port, link in rows:
        ipv4 = f"        ipv4: {TO_COMPLETE}   # with prefix length, as in 192.0.2.1/30"
        lines += [f"      {scalar(port)}:", "        type: ethernet", f"        link: {scalar(link)}", ipv4]
    return lines


def _clients_interfaces() -> list[str]:
    return [
        "  clients:",
        "    interfaces:",
        f"      {TO_COMPLETE}:   # this machine's interface towards the lab, as `ip -br link` names it",
        "        type: ethernet",
        f"        link: {TO_COMPLETE}   # the link on the inside of the NAT",
        f"        ipv4: {TO_COMPLETE}   # with prefix length, as in 192.0.2.2/30",
    ]


def _remarks(nodes: Sequence[Node], segments: Sequence[Link]) -> list[str]:
    """What of the lab is no device of a testbed, for the reader. `nodes` are those that play no part."""
    lines = []
    for node in nodes:
        if node.kind not in SWITCHES:
            on = [f"{link.name} (port {end.port})" for link in segments for end in link.ends if end.node == node.name]
            lines.append(f"# No device: {_comment(node.name)}, {_comment(node.kind)}, on {_comment(', '.join(on)) or 'no link'}")
    lines += [f"# Link {_comment(link.name)} is down in the lab." for link in segments if not link.up]
    return lines


def _comment(text: str) -> str:
    return " ".join(text.split())
