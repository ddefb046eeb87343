"""What a GNS3 server says of a project, as nodes and links of the provider's interface. Pure: JSON in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import LabError
from harness.lab.providers.provider import STATES, UNKNOWN, Console, End, Link, Node, link_names

Json = dict[str, Any]

PASSIVE = ("cloud", "nat", "ethernet_switch", "ethernet_hub", "frame_relay_switch", "atm_switch")
"""Node types that have no power switch."""
_NOWHERE = ("", "0.0.0.0", "::", "localhost", "127.0.0.1", "::1")
"""What a server calls itself, and what leads nowhere from another machine."""


def nodes_of(found: Sequence[Json], server: str) -> tuple[Node, ...]:
    """The project's nodes, by name. `server` is the server's host as we reach it: consoles on "this machine" are there."""
    return tuple(sorted((_node(one, server) for one in found), key=lambda node: node.name))


def links_of(nodes: Sequence[Json], links: Sequence[Json]) -> tuple[tuple[Link, str], ...]:
    """The project's links, each with its ID. GNS3 gives them no names: they are called after what they join."""
    by_id = {node["node_id"]: node for node in nodes}
    rows = [link for link in links if len(link.get("nodes", ())) > 1]
    ends = []
    for link in rows:
        joined = [(by_id[end["node_id"]], end) for end in link["nodes"]]
        ends.append(tuple(End(str(node["name"]), port_name(node, end)) for node, end in joined))
    found = [
        (Link(name, pair, not link.get("suspend", False), bool(link.get("capturing", False))), str(link["link_id"]))
        for name, pair, link in zip(link_names(ends), ends, rows, strict=True)
    ]
    return tuple(sorted(found, key=lambda pair: pair[0].name))


def port_name(node: Json, end: Json) -> str:
    """The port's own name; of a project that is closed, the server tells numbers only."""
    for port in node.get("ports") or ():
        if (port["adapter_number"], port["port_number"]) == (end["adapter_number"], end["port_number"]):
            return str(port["name"])
    return f"{end['adapter_number']}/{end['port_number']}"


def port_numbers(node: Json, name: str) -> Json:
    """Adapter and port number of the port of that name, long or short. LabError names those that there are."""
    port = _port(node, name)
    return {"adapter_number": port["adapter_number"], "port_number": port["port_number"]}


def port_called(node: Json, name: str) -> str:
    """The port's long name, by which links tell of it. LabError names those that there are."""
    return str(_port(node, name)["name"])


def cloud_of(interface: str) -> str:
    """What a cloud is called that is made for an interface of the server's machine."""
    return f"natstorm-{interface}"


def _port(node: Json, name: str) -> Json:
    ports: Sequence[Json] = node.get("ports") or ()
    for port in ports:
        if name in (port["name"], port.get("short_name")):
            return port
    there = ", ".join(str(port["name"]) for port in ports) or "(none)"
    raise LabError(f"find port {name!r} of {node['name']}", "it has no such port", f"one of {there}")


def cloud_ports(interface: str, kind: str) -> Json:
    """The properties of a cloud whose one port is an interface of the server's machine. `kind` is "tap" or "ethernet"."""
    return {"ports_mapping": [{"name": interface, "interface": interface, "port_number": 0, "type": kind}]}


def _node(found: Json, server: str) -> Node:
    state = str(found.get("status", UNKNOWN))
    kind = str(found["node_type"])
    console = None
    if found.get("console") and found.get("console_type") not in (None, "none"):
        host = str(found.get("console_host") or "")
        console = Console(server if host in _NOWHERE else host, int(found["console"]), str(found["console_type"]))
    return Node(str(found["name"]), kind, state if state in STATES else UNKNOWN, console, kind in PASSIVE)
