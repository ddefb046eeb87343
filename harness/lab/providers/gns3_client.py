"""Projects, nodes and links of a GNS3 server. What is made or changed stands in the ledger first, and only that can be undone.

Projects and nodes get IDs that we choose, so that the ledger knows them before the server does. The server chooses the IDs of
links, of copies of a project and of nodes from a template: where a run is killed between asking and being answered, their entry
has no ID.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import LabError, UsageError
from harness.lab.providers.gns3_server import Refused, Server
from harness.lab.providers.gns3_view import PASSIVE, Json, cloud_of, cloud_ports, port_numbers
from harness.lab.providers.ledger import Entry, Ledger
from harness.lab.providers.provider import STARTED

PROJECT, COPY, NODE, LINK = "project", "copy", "node", "link"
OPENED, POWERED, SUSPENDED, FILTERED, CAPTURING = "opened", "started", "suspended", "filtered", "capturing"
"""Kinds of ledger entries: what was made, and what was changed."""

ATTEMPTS, PAUSE_S = 3, 2.0
START_S, STOP_S, POLL_S = 120.0, 60.0, 0.5
"""How often a start or stop is tried, the first pause (doubled each time), and how long a node that was told to may take."""
COMPUTE = "local"
GONE = (403, 404)
"""Status: its project is closed, and with it nothing runs or is captured; it is not there."""


class Client:
    """`clock` gives seconds of any origin, `wait` sleeps for seconds."""

    def __init__(
        self,
        server: Server,
        ledger: Ledger,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.server = server
        self.ledger = ledger
        self._clock = clock
        self._wait = wait

    # --- projects ---

    def projects(self) -> list[Json]:
        return list(self.server.request("GET", "/projects", "list the projects"))

    def project(self, name: str) -> Json:
        """LabError with the names of those there, where there is none of that name."""
        found = self.projects()
        for project in found:
            if project["name"] == name:
                return project
        there = ", ".join(sorted(repr(project["name"]) for project in found)) or "none at all"
        raise LabError(f"find project {name!r}", f"{self.server.url} has no such project", f"there: {there}")

    def create_project(self, name: str) -> Json:
        """An empty one, open. Refused where the name is taken."""
        mine = self.ledger.intend(PROJECT, str(uuid.uuid4()), name)
        return self._make(mine, "POST", "/projects", json={"name": name, "project_id": mine.id})

    def import_project(self, file: Path, name: str) -> Json:
        """From an exported .gns3project file, closed. A server would give another name where this one is taken: refused instead."""
        self._unused(name)
        try:
            content = file.open("rb")
        except OSError as error:
            cure = "name an exported .gns3project file"
            raise UsageError(f"cannot be read: {error.strerror}", file=str(file), cure=cure) from error
        with content:
            mine = self.ledger.intend(PROJECT, str(uuid.uuid4()), name)
            return self._make(mine, "POST", f"/projects/{mine.id}/import", params={"name": name}, data=content)

    def copy_project(self, template: str, name: str) -> Json:
        """A copy of a project that is there, closed."""
        self._unused(name)
        source = self.project(template)
        mine = self.ledger.intend(COPY, "", name)
        return self._make(mine, "POST", f"/projects/{source['project_id']}/duplicate", json={"name": name}, identity="project_id")

    def export_project(self, project: str, file: Path) -> None:
        """Into a .gns3project file, without its nodes' images. Refused while nodes run."""
        with self.server.stream(f"/projects/{project}/export", "export the project") as pieces, file.open("wb") as target:
            target.writelines(pieces)

    def open_project(self, project: Json) -> Json:
        """As it was where it is open already; else it is closed again when all is undone."""
        if project.get("status") == "opened":
            return project
        identity, name = project["project_id"], project["name"]
        if not self._ours(identity):
            self.ledger.intend(OPENED, identity, name)
        opened: Json = self.server.request("POST", f"/projects/{identity}/open", f"open project {name!r}")
        return opened

    def _unused(self, name: str) -> None:
        if any(project["name"] == name for project in self.projects()):
            seen = f"{self.server.url} has one of that name already"
            raise LabError(f"make project {name!r}", seen, "choose another name, or use that project as it is")

    def _ours(self, project: str) -> bool:
        return self.ledger.has(PROJECT, project) or self.ledger.has(COPY, project)

    # --- nodes ---

    def nodes(self, project: str) -> list[Json]:
        return list(self.server.request("GET", f"/projects/{project}/nodes", "list the nodes"))

    def node(self, project: str, name: str) -> Json:
        return _named(self.nodes(project), name)

    def create_node(self, project: str, name: str, kind: str, properties: Json | None = None, compute: str = COMPUTE) -> Json:
        mine = self.ledger.intend(NODE, str(uuid.uuid4()), name, project)
        about = {"name": name, "node_type": kind, "node_id": mine.id, "compute_id": compute, "properties": properties or {}}
        return self._make(mine, "POST", f"/projects/{project}/nodes", json=about)

    def node_from_template(self, project: str, template: str, name: str, compute: str = COMPUTE) -> Json:
        """A template that is bound to a compute stays there; `compute` is for the others."""
        known = self.server.request("GET", "/templates", "list the templates")
        found = next((one for one in known if one["name"] == template), None)
        if found is None:
            there = ", ".join(sorted(repr(one["name"]) for one in known))
            raise LabError(f"find template {template!r}", f"{self.server.url} has no such template", f"there: {there}")
        mine = self.ledger.intend(NODE, "", name, project)
        about = {"x": 0, "y": 0, "compute_id": found.get("compute_id") or compute}
        made = self._make(mine, "POST", f"/projects/{project}/templates/{found['template_id']}", json=about, identity="node_id")
        if made["name"] == name:
            return made
        path = f"/projects/{project}/nodes/{made['node_id']}"
        named: Json = self.server.request("PUT", path, f"name node {name}", json={"name": name})
        return named

    def start(self, project: str, node: Json) -> None:
        """Returns once it runs. LabError with what the server said, where it does not, however often it is told."""
        name, path = node["name"], f"/projects/{project}/nodes/{node['node_id']}"
        if node["node_type"] in PASSIVE or node.get("status") == STARTED:
            return
        self.ledger.intend(POWERED, node["node_id"], name, project)
        step = f"start node {name}"
        try:
            self._order(path, "start", step)
        except Refused as refused:
            seen = f"{refused.seen}, {ATTEMPTS} times"
            raise LabError(step, seen, "look at the node in GNS3: its image, its settings, its compute") from refused
        self._await(path, step, lambda state: state == STARTED, START_S)

    def delete_node(self, project: str, node: Json) -> None:
        """One that is ours; LabError for another's."""
        self._delete(NODE, node["node_id"], node["name"])

    # --- links ---

    def links(self, project: str) -> list[Json]:
        return list(self.server.request("GET", f"/projects/{project}/links", "list the links"))

    def create_link(self, project: str, ends: Sequence[tuple[str, str]]) -> Json:
        """Between the ports ("R1", "FastEthernet0/0") and ("R2", …)."""
        there = self.nodes(project)
        joined = [(node, port_numbers(node, port)) for node, port in ((_named(there, name), port) for name, port in ends)]
        mine = self.ledger.intend(LINK, "", "-".join(name for name, _ in ends), project)
        about = {"nodes": [{"node_id": node["node_id"], **numbers} for node, numbers in joined]}
        return self._make(mine, "POST", f"/projects/{project}/links", json=about, identity="link_id")

    def delete_link(self, link: str, name: str) -> None:
        """One that is ours; LabError for another's."""
        self._delete(LINK, link, name)

    def attach(self, project: str, interface: str, kind: str, end: tuple[str, str]) -> Json:
        """Joins an interface of the server's machine ("tap" or "ethernet"), the clients' way in, to a port of a node."""
        cloud = self.create_node(project, cloud_of(interface), "cloud", cloud_ports(interface, kind))
        self.create_link(project, [(cloud["name"], interface), end])
        return cloud

    def suspend(self, project: str, link: str, name: str, suspended: bool) -> None:
        """Nothing passes a suspended link. What was found is put back when all is undone."""
        path, step = f"/projects/{project}/links/{link}", f"{'suspend' if suspended else 'resume'} link {name}"
        mine = self._remember(SUSPENDED, link, name, project, lambda: bool(self.server.request("GET", path, step).get("suspend")))
        self._change(mine, path, step, {"suspend": suspended})
        for entry in self.ledger.entries:
            if (entry.what, entry.id) == (SUSPENDED, link) and json.loads(entry.before) is suspended:
                self.ledger.undone(entry)  # as it was found

    def set_filters(self, project: str, link: str, name: str, filters: Mapping[str, Sequence[int | str]]) -> None:
        """{"packet_loss": [20], "delay": [10, 1]}, in the place of those that are there. UsageError for one that this link cannot
        have: the server would take it and do nothing."""
        path, step = f"/projects/{project}/links/{link}", f"set the filters of link {name}"
        known = [one["type"] for one in self.server.request("GET", f"{path}/available_filters", step)]
        for wanted in filters:
            if wanted not in known:
                raise UsageError(f"link {name} can have no filter {wanted!r}", cure=f"one of {', '.join(known) or '(none)'}")
        mine = self._remember(FILTERED, link, name, project, lambda: self.server.request("GET", path, step).get("filters") or {})
        self._change(mine, path, step, {"filters": {kind: list(values) for kind, values in filters.items()}})

    @contextmanager
    def capture(self, project: str, link: str, name: str) -> Iterator[Iterator[bytes]]:
        """The pcap bytes of a link. A capture that runs there already is read, and left running."""
        path, step = f"/projects/{project}/links/{link}", f"capture on link {name}"
        running = bool(self.server.request("GET", path, step).get("capturing"))
        mine = None if running else self.ledger.intend(CAPTURING, link, name, project)
        try:
            if mine is not None:
                self.server.request("POST", f"{path}/{self.server.api.capture_start}", step, json={})
            with self.server.stream(f"{path}/{self.server.api.capture_stream}", step) as pieces:
                yield pieces
        finally:
            if mine is not None:
                self.undo(mine)

    # --- making and undoing ---

    def _stop(self, path: str, step: str) -> None:
        """Returns once it runs no more. Refused where the server will not, however often it is told, LabError where it takes the
        order and does nothing."""
        self._order(path, "stop", step)
        self._await(path, step, lambda state: state != STARTED, STOP_S)

    def _order(self, path: str, what: str, step: str) -> None:
        """Told again where the server refuses, but not where the node or its project is not there. Refused at last."""
        pause = PAUSE_S
        for left in reversed(range(ATTEMPTS)):
            try:
                self.server.request("POST", f"{path}/{what}", step, json={})
                return
            except Refused as refused:
                if left == 0 or refused.status in GONE:
                    raise
            self._wait(pause)
            pause *= 2

    def _await(self, path: str, step: str, reached: Callable[[str], bool], seconds: float) -> None:
        until = self._clock() + seconds
        while not reached(state := self.server.request("GET", path, step)["status"]):
            if self._clock() >= until:
                seen = f"{self.server.url} took the order, and {seconds:g} s later the node is {state}"
                raise LabError(step, seen, "look at the node's console and log in GNS3")
            self._wait(POLL_S)

    def undo(self, entry: Entry) -> None:
        """Undoes one act: the ledger forgets it. What is not there any more is undone. LabError where it cannot be."""
        step = f"undo: {entry}"
        if not entry.id:
            raise LabError(step, f"it is not known whether {self.server.url} made it", "look for it in GNS3")
        path = {
            PROJECT: f"/projects/{entry.id}",
            COPY: f"/projects/{entry.id}",
            OPENED: f"/projects/{entry.id}/close",
            NODE: f"/projects/{entry.within}/nodes/{entry.id}",
            POWERED: f"/projects/{entry.within}/nodes/{entry.id}",
        }.get(entry.what, f"/projects/{entry.within}/links/{entry.id}")
        try:
            if entry.what in (PROJECT, COPY, NODE, LINK):
                self.server.request("DELETE", path, step)
            elif entry.what == CAPTURING:
                self.server.request("POST", f"{path}/{self.server.api.capture_stop}", step, json={})
            elif entry.what == POWERED:
                self._stop(path, step)
            elif entry.what == OPENED:
                self.server.request("POST", path, step, json={})
            else:
                key = "suspend" if entry.what == SUSPENDED else "filters"
                self.server.request("PUT", path, step, json={key: json.loads(entry.before)})
        except Refused as refused:
            if refused.status != 404 and not (refused.status == 403 and entry.what in (POWERED, CAPTURING)):
                raise
        self.ledger.undone(entry)

    def _remember(self, what: str, link: str, name: str, project: str, found: Callable[[], Any]) -> Entry | None:
        """The new entry; None where an earlier one has what was found."""
        if self.ledger.has(what, link):
            return None
        return self.ledger.intend(what, link, name, project, json.dumps(found()))

    def _change(self, mine: Entry | None, path: str, step: str, body: Json) -> None:
        try:
            self.server.request("PUT", path, step, json=body)
        except Refused:
            if mine is not None:
                self.ledger.undone(mine)  # nothing was changed
            raise

    def _make(self, mine: Entry, method: str, path: str, identity: str = "", **options: Any) -> Json:
        try:
            made: Json = self.server.request(method, path, f"make {mine.what} {mine.name!r}", **options)
        except Refused:
            self.ledger.undone(mine)  # nothing was made
            raise
        if identity:
            self.ledger.made(mine, made[identity])
        return made

    def _delete(self, what: str, identity: str, name: str) -> None:
        for entry in self.ledger.entries:
            if (entry.what, entry.id) == (what, identity):
                self.undo(entry)
                return
        raise LabError(f"delete {what} {name}", "natstorm did not make it", "delete it in GNS3")


def _named(nodes: Sequence[Json], name: str) -> Json:
    for node in nodes:
        if node["name"] == name:
            return node
    there = ", ".join(sorted(str(node["name"]) for node in nodes)) or "none at all"
    raise LabError(f"find node {name!r}", "the project has no such node", f"there: {there}")
