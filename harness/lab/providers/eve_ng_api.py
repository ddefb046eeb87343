"""What of EVE-NG's API the harness uses, on paths and JSON; `eve_ng_http` carries them.

| what | request |
|---|---|
| version, edition | GET /status; Pro has "PRO" in its version |
| the user | GET /auth |
| what is in a folder | GET /folders/PATH |
| a lab | GET /labs/PATH.unl, and below it /nodes, /networks, /nodes/N/interfaces |
| start, stop a node | GET …/nodes/N/start, …/nodes/N/stop (Pro: …/stop/stopmode=3, power off) |
| attach an interface | PUT …/nodes/N/interfaces {"interface": "network"}; an empty network detaches it |

Nothing here can wipe, delete or export. PHP makes a list of what has the keys 0, 1, 2, …, and of what is empty: both are read.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from harness.errors import LabError, UsageError
from harness.lab.providers.eve_ng_http import EveNgError, Refused, Session

STOPPED, RUNNING = 0, 2
STATUS_WORDS = {0: "stopped", 1: "stopped and locked", 2: "running", 3: "running and locked"}
"""A node that is being made ready holds a lock on its folder."""


@dataclass(frozen=True, slots=True)
class Edition:
    version: str
    pro: bool

    def __str__(self) -> str:
        return f"EVE-NG {'Pro' if self.pro else 'Community'} {self.version}"


@dataclass(frozen=True, slots=True)
class EveNode:
    """`url` leads to its console: "telnet://host:port" for a native one. `kind` is qemu, iol, dynamips, docker or vpcs."""

    number: int
    name: str
    kind: str
    template: str
    image: str
    status: int
    url: str

    @property
    def word(self) -> str:
        return STATUS_WORDS.get(self.status, f"in state {self.status}")


@dataclass(frozen=True, slots=True)
class EveNetwork:
    """`kind` is bridge, ovs, or the bridge of the host that it is: pnet0 to pnet9."""

    number: int
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class EveInterface:
    """Of Ethernet. `number` counts as EVE-NG does (IOL: 0, 16, 32, …); `network` 0: attached to nothing."""

    number: int
    name: str
    network: int


class EveNgApi:
    """One lab of one server. `lab` is its path, "/Folder/Name.unl"."""

    def __init__(self, session: Session, lab: str) -> None:
        self.session = session
        self.lab = lab_path(lab)

    def url(self, rest: str = "") -> str:
        """The whole URL of something in the lab, for a command to be typed."""
        return f"{self.session.server}/api{self._in_lab(rest)}"

    def edition(self) -> Edition:
        data = _mapping(self.session.read("/status", "ask EVE-NG for its version"))
        version = str(data.get("version", "of an unknown version"))
        return Edition(version, "pro" in version.lower())

    def tenant(self) -> int:
        """The user's number, which is in the names of the host's interfaces."""
        return _number(_mapping(self.session.read("/auth", "ask EVE-NG for the user")).get("tenant", 0), "tenant")

    def must_exist(self) -> None:
        """LabError with what is there where the lab is not."""
        step = f"open the lab {self.lab}"
        try:
            self.session.read(self._in_lab(""), step)
        except Refused as error:
            if error.code != 404:
                raise
            raise LabError(step, f"EVE-NG at {self.session.server} has no such lab ({error.message})", self._nearby()) from None

    def nodes(self) -> dict[int, EveNode]:
        found = {}
        for number, data in _numbered(self.session.read(self._in_lab("/nodes"), f"list the nodes of {self.lab}")).items():
            found[number] = EveNode(
                number, str(data.get("name", number)), str(data.get("type", "")), str(data.get("template", "")),
                str(data.get("image", "")), _number(data.get("status", 0), "status"), str(data.get("url", "")),
            )  # fmt: skip
        return found

    def networks(self) -> dict[int, EveNetwork]:
        listed = _numbered(self.session.read(self._in_lab("/networks"), f"list the networks of {self.lab}"))
        return {n: EveNetwork(n, str(data.get("name", "")), str(data.get("type", ""))) for n, data in listed.items()}

    def interfaces(self, node: int) -> dict[int, EveInterface]:
        """The Ethernet interfaces of a node, by their numbers."""
        data = _mapping(self.session.read(self._in_lab(f"/nodes/{node}/interfaces"), f"list the interfaces of node {node}"))
        return {
            number: EveInterface(number, str(one.get("name", number)), _number(one.get("network_id") or 0, "network_id"))
            for number, one in _numbered(data.get("ethernet", [])).items()
        }

    def start(self, node: EveNode) -> None:
        step = f"start node {node.name} of {self.lab}"
        self.session.act("GET", self._in_lab(f"/nodes/{node.number}/start"), step, lambda: self._status(node) != STOPPED)

    def stop(self, node: EveNode, edition: Edition) -> None:
        step = f"stop node {node.name} of {self.lab}"
        self.session.act("GET", self.stop_path(node.number, edition), step, lambda: self._status(node) == STOPPED)

    def stop_path(self, node: int, edition: Edition) -> str:
        return self._in_lab(f"/nodes/{node}/stop" + ("/stopmode=3" if edition.pro else ""))

    def attach(self, node: int, interface: int, network: int) -> None:
        """`network` 0 detaches it. The interface is read back: a reply alone is no evidence."""
        step = f"attach interface {interface} of node {node} to {f'network {network}' if network else 'nothing'}"

        def done() -> bool:
            now = self.interfaces(node).get(interface)
            return now is not None and now.network == network

        self.session.act("PUT", self._in_lab(f"/nodes/{node}/interfaces"), step, done, attachment(interface, network))
        if not done():
            raise EveNgError(step, "EVE-NG said so, but the interface is where it was", "is the lab locked in its editor?")

    def _status(self, node: EveNode) -> int:
        now = self.nodes().get(node.number)
        return STOPPED if now is None else now.status

    def _in_lab(self, rest: str) -> str:
        return f"/labs{quote(self.lab)}{rest}"

    def _nearby(self) -> str:
        """The labs and folders beside where it should be, or where the path stops being right."""
        folder = posixpath.dirname(self.lab)
        while True:
            try:
                data = _mapping(self.session.read(f"/folders{quote(folder)}", f"list the folder {folder}"))
                break
            except Refused:
                if folder == "/":
                    return "the path as the web page shows it, with its folders"
                folder = posixpath.dirname(folder)
        labs = [str(one.get("path", "")) for one in data.get("labs") or [] if isinstance(one, dict)]
        folders = [f"{one.get('path')}/" for one in data.get("folders") or [] if isinstance(one, dict) and one.get("name") != ".."]
        there = sorted(labs) + sorted(folders)
        return f"in {folder} there is {', '.join(there)}" if there else f"the folder {folder} is empty"


def lab_path(text: str) -> str:
    """ "Folder/Name" as EVE-NG wants it, "/Folder/Name.unl". UsageError where it climbs out of EVE-NG's folder, or names none."""
    parts = [part for part in text.split("/") if part]
    if not parts or any(part in (".", "..") or not part.isprintable() for part in parts):
        raise UsageError(f"{text!r} is no path of an EVE-NG lab", cure="/FOLDER/NAME.unl, as the web page shows it")
    path = "/" + "/".join(parts)
    return path if path.endswith(".unl") else path + ".unl"


def attachment(interface: int, network: int) -> dict[str, str]:
    """The body that attaches an interface. "0" would be looked up as a network, and refused."""
    return {str(interface): str(network) if network else ""}


def _mapping(data: Any) -> Mapping[str, Any]:
    if isinstance(data, dict):
        return data
    if data in ([], None):
        return {}
    raise EveNgError("read EVE-NG's answer", f"its data is not as documented: {str(data)[:80]!r}")


def _numbered(data: Any) -> dict[int, dict[str, Any]]:
    if data is None:
        return {}
    pairs = enumerate(data) if isinstance(data, list) else _mapping(data).items()
    found = {}
    for key, value in pairs:
        if not isinstance(value, dict):
            raise EveNgError("read EVE-NG's answer", f"entry {key!r} is not as documented: {str(value)[:80]!r}")
        # in a list of nodes or networks the entry itself says which number it has
        number = value.get("id", key) if isinstance(data, list) else key
        found[_number(number, "id")] = value
    return found


def _number(value: Any, name: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise EveNgError("read EVE-NG's answer", f"{name} is no number: {str(value)[:80]!r}") from None
