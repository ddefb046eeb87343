"""The one interface of all lab providers, and the plain values that go through it.

| provider | `up` | `console` | `link_down` | `capture` |
|---|---|---|---|---|
| `namespaces` | a keeper builds the software lab | none: nodes are entered | it leaves its switch, or goes down | a packet socket |
| `static` | takes the lock on the devices | the testbed's | none | none: the testbed names sources |
| `gns3` | opens or makes the project, starts its nodes | telnet | the link is suspended | the link's own |
| `eve-ng` | starts the lab's nodes | telnet | the interface is disconnected | none |

Calls block, with time-outs of the provider's own. What a provider cannot do raises LabError with a cure (`unable`): a caller needs
no list of who can do what.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from harness.errors import LabError

STARTED, STOPPED, SUSPENDED, UNKNOWN = "started", "stopped", "suspended", "unknown"
STATES = (STARTED, STOPPED, SUSPENDED, UNKNOWN)
"""What a node can be in. `unknown`: there, but nobody can say (a device of `static` that was not asked)."""


class Console(NamedTuple):
    """Where a node's console answers. `protocol` is "telnet" or "ssh", or what else the provider calls it ("vnc", "http"), which no
    driver of ours speaks. A node of a software lab is entered ("namespace", "guest"): `host` is its name, `port` 0."""

    host: str
    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Node:
    """`name` is unique within the lab. `kind` is the provider's word for what it is ("dynamips", "qemu", "cloud", "device").
    `passive`: it has no power switch (a cloud, an unmanaged switch), and `up` passes it over."""

    name: str
    kind: str
    state: str = UNKNOWN
    console: Console | None = None
    passive: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link: a port of a node, by the name that the node's own people use ("GigabitEthernet0/1", "eth0")."""

    node: str
    port: str


@dataclass(frozen=True, slots=True)
class Link:
    """`name` is what `link_down`, `link_up` and `capture` take; unique within the lab. Two ends, or more for a segment."""

    name: str
    ends: tuple[End, ...]
    up: bool = True
    capturing: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({' - '.join(f'{end.node} {end.port}' for end in self.ends)})"


@dataclass(frozen=True, slots=True)
class LabStatus:
    """`provider` and `lab` name it; `up` says whether all that has a power switch is started. `notes` are sentences for the person
    at the terminal, such as a lock that was taken over."""

    provider: str
    lab: str
    up: bool
    nodes: tuple[Node, ...] = ()
    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()


@runtime_checkable
class Provider(Protocol):
    """Brings a lab up, tells of it, and takes down what it brought up, and nothing else."""

    name: str

    def up(self) -> LabStatus:
        """Returns once every node is started. Raises LabError; what was made by then is taken down, or the command for it told."""
        ...

    def status(self) -> LabStatus:
        """What is there now. Changes nothing."""
        ...

    def console(self, node: str) -> Console: ...

    def link_down(self, link: str) -> None:
        """Nothing passes the link until `link_up`. Both ends may well see their carrier stay."""
        ...

    def link_up(self, link: str) -> None: ...

    def capture(self, link: str) -> AbstractContextManager[Iterator[bytes]]:
        """Within: a stream of pcap bytes (file header first), as they come, in pieces of any size. It ends when the capture does;
        leaving the context ends the capture."""
        ...

    def down(self) -> None:
        """Safe at any time, and twice."""
        ...


@runtime_checkable
class OnServer(Provider, Protocol):
    """A provider whose lab outlives the process that brought it up: what is to be undone stands in a ledger."""

    def leave(self) -> None:
        """After `up`: lets go of the lab and leaves it as it is. `clean` of any later process undoes what `up` did."""
        ...

    def clean(self) -> tuple[str, ...]:
        """Undoes what the ledger says, and nothing else; a sentence for each. LabError while somebody has the lab."""
        ...


def unable(provider: str, what: str, cure: str) -> LabError:
    """The error for what this provider cannot do at all."""
    return LabError(what, f"the provider {provider} has no means for it", cure)


def find_node(nodes: tuple[Node, ...], name: str) -> Node:
    """The node of that name. LabError names those that are there."""
    for node in nodes:
        if node.name == name:
            return node
    raise LabError(f"find node {name!r}", "no such node in the lab", f"one of {_listed(node.name for node in nodes)}")


def find_link(links: tuple[Link, ...], name: str) -> Link:
    """The link of that name. LabError names those that are there."""
    for link in links:
        if link.name == name:
            return link
    raise LabError(f"find link {name!r}", "no such link in the lab", f"one of {_listed(link.name for link in links)}")


def link_names(ends: list[tuple[End, ...]]) -> list[str]:
    """A name for each link, for providers whose links have none of their own: the nodes it joins ("nat-gateway"), and where that is
    not enough the ports as well ("nat:e0-gateway:e1"). The same whatever the order in which links and ends are listed."""
    ordered = [tuple(sorted(pair, key=lambda end: (end.node, end.port))) for pair in ends]
    short = ["-".join(end.node for end in pair) for pair in ordered]
    return [
        name if short.count(name) == 1 else "-".join(f"{end.node}:{end.port}" for end in pair)
        for name, pair in zip(short, ordered, strict=True)
    ]


def _listed(names: Iterator[str]) -> str:
    return ", ".join(sorted(names)) or "(there are none)"
