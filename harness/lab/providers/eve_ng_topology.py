"""An EVE-NG lab in the terms of all providers: nodes, and a link for each of its networks. Pure.

A wire between two nodes is, to EVE-NG, a hidden network with two interfaces; a visible bridge has any number. A network that is one
of the host's own bridges (pnet0 to pnet9, and what else is neither bridge nor ovs) leads out of the lab: it stands as a passive
node, and clients are attached behind it. Serial lines are not told: no packet of ours crosses one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.errors import LabError
from harness.lab.providers.eve_ng_api import RUNNING, STOPPED, EveInterface, EveNetwork, EveNode
from harness.lab.providers.eve_ng_ledger import Cut
from harness.lab.providers.provider import STARTED, UNKNOWN, Console, End, Link, Node, link_names
from harness.lab.providers.provider import STOPPED as OFF

INSIDE = ("bridge", "ovs")
"""Kinds of networks that end within the lab."""
_LOCAL = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0")
_STATES = {STOPPED: OFF, RUNNING: STARTED}


@dataclass(frozen=True, slots=True)
class Plug:
    """An interface and the network that it belongs to, attached or cut."""

    node: EveNode
    interface: EveInterface
    network: EveNetwork


@dataclass(frozen=True, slots=True)
class Wire:
    """A link, and what it is in EVE-NG's terms."""

    link: Link
    network: EveNetwork
    plugs: tuple[Plug, ...]

    @property
    def leads_out(self) -> bool:
        return self.network.kind not in INSIDE


def names_of(nodes: Mapping[int, EveNode]) -> dict[int, str]:
    """The nodes' names, told apart by their numbers where EVE-NG's owner gave one twice ("R1#3")."""
    often = Counter(node.name for node in nodes.values())
    return {n: node.name if often[node.name] == 1 else f"{node.name}#{n}" for n, node in nodes.items()}


def console(node: EveNode, server: str) -> Console | None:
    """From the node's URL; None where no program can open it. `server`: the host for one that names its own loopback."""
    try:
        parts = urlsplit(node.url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if not parts.scheme or parts.scheme in ("http", "https") or not port:
        return None
    return Console(server if host in _LOCAL else host, port, parts.scheme)


def nodes_of(nodes: Mapping[int, EveNode], networks: Mapping[int, EveNetwork], server: str) -> tuple[Node, ...]:
    names = names_of(nodes)
    found = [Node(names[n], node.kind, _STATES.get(node.status, UNKNOWN), console(node, server)) for n, node in nodes.items()]
    kinds = sorted({network.kind for network in networks.values() if network.kind not in INSIDE})
    return (*found, *(Node(_cloud(kind, names.values()), kind, STARTED, None, passive=True) for kind in kinds))


def wires_of(
    nodes: Mapping[int, EveNode],
    networks: Mapping[int, EveNetwork],
    interfaces: Mapping[int, Mapping[int, EveInterface]],
    cuts: Collection[Cut] = (),
) -> tuple[Wire, ...]:
    """A wire for each network that joins something: an interface of `cuts` belongs to the network that it was cut from."""
    cut_from = {(cut.node, cut.interface): cut.network for cut in cuts}
    plugs: dict[int, list[Plug]] = {}
    for number, of_node in interfaces.items():
        for one in of_node.values():
            on = one.network or cut_from.get((number, one.number), 0)
            if on:
                plugs.setdefault(on, []).append(Plug(nodes[number], one, networks.get(on, EveNetwork(on, "", "bridge"))))
    names = names_of(nodes)
    rows: list[tuple[EveNetwork, tuple[Plug, ...], tuple[End, ...]]] = []
    for _, found in sorted(plugs.items()):
        network = found[0].network
        ends = tuple(End(names[plug.node.number], plug.interface.name) for plug in found)
        if network.kind not in INSIDE:
            ends += (End(_cloud(network.kind, names.values()), network.kind),)
        if len(ends) > 1:
            rows.append((network, tuple(found), ends))
    called = link_names([ends for _, _, ends in rows])
    often = Counter(called)
    down = {cut.network for cut in cuts}
    return tuple(
        Wire(Link(name if often[name] == 1 else f"{name}#{network.number}", ends, network.number not in down), network, found)
        for (network, found, ends), name in zip(rows, called, strict=True)
    )


def find_wire(wires: tuple[Wire, ...], name: str) -> Wire:
    for wire in wires:
        if wire.link.name == name:
            return wire
    there = ", ".join(sorted(wire.link.name for wire in wires)) or "(there are none)"
    raise LabError(f"find link {name!r}", "no such link in the lab", f"one of {there}")


def to_cut(wire: Wire) -> tuple[Plug, ...]:
    """As few interfaces as isolate all from each other: what is left on the network last has nobody to talk to."""
    return wire.plugs if wire.leads_out else wire.plugs[:-1]


def host_device(tenant: int, plug: Plug) -> str:
    """The interface of EVE-NG's host that is the other end of a node's: a tap, or for a container a veth."""
    kind = "vnet" if plug.node.kind == "docker" else "vunl"
    return f"{kind}{tenant}_{plug.node.number}_{plug.interface.number}"


def _cloud(kind: str, taken: Collection[str]) -> str:
    return f"{kind} (cloud)" if kind in taken else kind
