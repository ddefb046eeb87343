"""A GNS3 project as a lab: found, or made from a file or a template; its nodes started; all of it put back afterwards.

What an earlier run was killed over is undone first, by its ledger. One run at a time has a project: the same lock as for devices.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import LabError, typed
from harness.lab.providers.gns3_client import COPY, PROJECT, Client
from harness.lab.providers.gns3_server import Server, ServerGone
from harness.lab.providers.gns3_view import Json, cloud_of, links_of, nodes_of, port_called
from harness.lab.providers.ledger import Ledger, ledger_file
from harness.lab.providers.lock import Lock
from harness.lab.providers.provider import STARTED, Console, End, LabStatus, Link, Node, find_link, find_node
from harness.model.secret import Secret


@dataclass(frozen=True, slots=True)
class ClientsAt:
    """Where the clients' segment is attached to the project: at a node's port, by an interface of the server's machine ("tap" or
    "ethernet") or by the port of that name of the project's own `cloud`."""

    node: str
    port: str
    interface: str
    kind: str = "tap"
    cloud: str | None = None


@dataclass(frozen=True, slots=True)
class Gns3Spec:
    """`url` is the server's, without a user. Where there is no project of that name it is made from `file` (.gns3project) or copied
    from the project `template`; with neither, that is an error. `start`: the nodes to start, None for all. `clients`: None where
    the project has them attached already."""

    url: str
    project: str
    user: str = ""
    password: Secret | None = None
    file: Path | None = None
    template: str | None = None
    start: tuple[str, ...] | None = None
    ca_file: str | None = None
    clients: ClientsAt | None = None

    def foreseen(self) -> tuple[str, ...]:
        """What `up` changes, a sentence each."""
        made = f"made of {self.file}" if self.file else f"copied from {self.template}" if self.template else ""
        there = f"; where it is not there it is {made} first, and deleted at the end" if made else ""
        nodes = ", ".join(self.start) if self.start else "all its nodes"
        found = [
            f"project {self.project} is locked here, and opened; closed again at the end where it was closed{there}",
            f"project {self.project}: of {nodes} what does not run is started, and stopped at the end",
        ]
        if (at := self.clients) is not None and at.cloud is None:
            node = f"a cloud {cloud_of(at.interface)} with {at.kind} {at.interface} of the server's machine is made"
            found.append(f"{node}, and linked to {at.node} {at.port}; both are deleted at the end")
        elif at is not None:
            found.append(f"a link from {at.cloud} {at.interface} to {at.node} {at.port} is made, and deleted at the end")
        return tuple(found)


class Gns3:
    """`state` is where ledgers are kept, `locks` where locks are (None: the user's, and this machine's)."""

    name = "gns3"

    def __init__(
        self,
        spec: Gns3Spec,
        purpose: str = "",
        state: Path | None = None,
        locks: Path | None = None,
        make_client: Callable[[Server, Ledger], Client] = Client,
    ) -> None:
        self.spec = spec
        server = Server(spec.url, spec.user, spec.password, spec.ca_file)
        self.lock = Lock([f"gns3 {server.url} {spec.project}"], purpose or f"GNS3 project {spec.project}", locks)
        self.client = make_client(server, Ledger(ledger_file("gns3", server.url, spec.project, state)))
        self._notes: tuple[str, ...] = ()
        self._project = ""
        self._connected = False

    # --- the provider's interface ---

    def up(self) -> LabStatus:
        if self.lock.held:
            return self.status()
        self._notes = self.lock.acquire()
        self.lock.beat()
        try:
            self._connect()
            self._notes += self._undo_earlier()
            project = self.client.open_project(self._found())
            self._project = project["project_id"]
            self._attach_clients()
            for node in self._to_start():
                self.client.start(self._project, node)
            return self.status()
        except BaseException as error:
            self._give_up(error)
            raise

    def status(self) -> LabStatus:
        nodes, links = self._look()
        up = bool(nodes) and all(node.state == STARTED for node in nodes if not node.passive and self._wanted(node.name))
        return LabStatus(self.name, self.spec.project, up, nodes, tuple(link for link, _ in links), self._notes)

    def console(self, node: str) -> Console:
        found = find_node(self._look()[0], node)
        if found.console is None:
            raise LabError(f"reach {node}", "GNS3 gives it no console", "choose a console type in the node's settings")
        return found.console

    def link_down(self, link: str) -> None:
        self.client.suspend(self._project, self._link(link), link, True)

    def link_up(self, link: str) -> None:
        self.client.suspend(self._project, self._link(link), link, False)

    @contextmanager
    def capture(self, link: str) -> Iterator[Iterator[bytes]]:
        with self.client.capture(self._project, self._link(link), link) as pieces:
            yield pieces

    def down(self) -> None:
        """LabError where the server is gone, or refuses: what is left, and the command that undoes it later."""
        try:
            if self.client.ledger.entries:
                self._connect()
                self._undo()
        finally:
            self._project = ""
            self.lock.release()

    # --- beyond it ---

    def leave(self) -> None:
        self.lock.release()

    def attach(self, interface: str, kind: str, node: str, port: str) -> None:
        """Joins an interface of the server's machine ("tap" or "ethernet") to a node's port: the clients' way in."""
        self.attach_clients(ClientsAt(node, port, interface, kind))

    def attach_clients(self, at: ClientsAt) -> None:
        """Nothing where they are joined already. LabError where something else is, which stays: whose link it is nobody knows."""
        nodes, links = self._look()
        cloud = at.cloud or cloud_of(at.interface)
        find_node(nodes, at.node)
        if at.cloud is not None:
            find_node(nodes, at.cloud)
        numbers = {name: self.client.node(self._project, name) for name in (at.node, at.cloud) if name is not None}
        port = port_called(numbers[at.node], at.port)
        ours = {End(at.node, port), End(cloud, at.interface if at.cloud is None else port_called(numbers[cloud], at.interface))}
        for link, _ in links:
            if ours <= set(link.ends):
                return
            if taken := ours & set(link.ends):
                end = taken.pop()
                seen = f"link {link.name} is there already"
                cure = "take it away in GNS3, or name another port in testbed.custom.lab.options.clients"
                raise LabError(f"attach the clients to {end.node} {end.port}", seen, cure)
        if at.cloud is None:
            self.client.attach(self._project, at.interface, at.kind, (at.node, port))
        else:
            self.client.create_link(self._project, [(at.cloud, at.interface), (at.node, port)])

    def link_at(self, node: str, port: str) -> str:
        """The name of the link at a node's port: what `capture` and `link_down` take. LabError names the ports that have one."""
        _, links = self._look()
        ends = {end.port: link.name for link, _ in links for end in link.ends if end.node == node}
        if port not in ends:
            cure = f"a link ends at: {', '.join(sorted(ends)) or 'none of its ports'}"
            raise LabError(f"find the link at {node} {port}", "there is none", cure)
        return ends[port]

    def clean(self) -> tuple[str, ...]:
        """Undoes what an earlier run left, and nothing else. A sentence for each. LabError while another run has the lock."""
        self.lock.acquire()
        try:
            if self.client.ledger.entries:
                self._connect()
            return self._undo_earlier()
        finally:
            self.lock.release()

    def describe(self) -> tuple[tuple[Node, ...], tuple[Link, ...]]:
        """The project's nodes and links. One that is closed is opened for it, and closed again: closed, it tells no ports."""
        self._connect()
        project = self.client.project(self.spec.project)
        if project.get("status") == "opened":
            nodes, links = self._look()
            return nodes, tuple(link for link, _ in links)
        self.lock.acquire()
        try:
            before = self.client.ledger.entries
            try:
                self.client.open_project(project)
                nodes, links = self._look()
                return nodes, tuple(link for link, _ in links)
            finally:
                for entry in self.client.ledger.entries:
                    if entry not in before:
                        self.client.undo(entry)
        finally:
            self.lock.release()

    def _connect(self) -> None:
        if not self._connected:
            self.client.server.connect()
            self._connected = True

    def _found(self) -> Json:
        spec, client = self.spec, self.client
        if spec.file is None and spec.template is None:
            return client.project(spec.project)
        for project in client.projects():
            if project["name"] == spec.project:
                return project
        if spec.file is not None:
            return client.import_project(spec.file, spec.project)
        assert spec.template is not None
        return client.copy_project(spec.template, spec.project)

    def _attach_clients(self) -> None:
        if self.spec.clients is not None:
            self.attach_clients(self.spec.clients)

    def _to_start(self) -> list[Json]:
        nodes = self.client.nodes(self._project)
        for name in self.spec.start or ():
            find_node(nodes_of(nodes, self.client.server.host), name)
        return [node for node in nodes if self._wanted(node["name"])]

    def _wanted(self, node: str) -> bool:
        return self.spec.start is None or node in self.spec.start

    def _look(self) -> tuple[tuple[Node, ...], tuple[tuple[Link, str], ...]]:
        self._connect()
        if not self._project:
            self._project = self.client.project(self.spec.project)["project_id"]
        nodes = self.client.nodes(self._project)
        return nodes_of(nodes, self.client.server.host), links_of(nodes, self.client.links(self._project))

    def _link(self, name: str) -> str:
        _, links = self._look()
        find_link(tuple(link for link, _ in links), name)
        return next(identity for link, identity in links if link.name == name)

    # --- undoing ---

    def _undo_earlier(self) -> tuple[str, ...]:
        """Undoes what the ledger says of a run that is over. What nobody knows to be ours is told once, and left."""
        ledger = self.client.ledger
        unsure = [entry for entry in ledger.entries if not entry.id]
        told = [f"an earlier run may have left {entry}: it was killed before it knew; look for it in GNS3" for entry in unsure]
        for entry in unsure:
            ledger.undone(entry)
        told += [f"an earlier run left {entry}: undone" for entry in ledger.entries]
        self._undo()
        return tuple(told)

    def _undo(self) -> None:
        """Newest first, each on its own: one that cannot be undone does not keep the others. What lies in a project of ours goes
        with it."""
        ledger = self.client.ledger
        ours = {entry.id for entry in ledger.entries if entry.what in (PROJECT, COPY) and entry.id}
        problems: list[str] = []
        for entry in reversed([entry for entry in ledger.entries if entry.within not in ours]):
            try:
                self.client.undo(entry)
            except ServerGone as gone:
                problems = [gone.seen]
                break
            except LabError as error:
                problems.append(f"{entry}: {error.seen}")
                continue
            for inner in [one for one in ledger.entries if one.within and one.within == entry.id]:
                ledger.undone(inner)
        if problems:
            left = ", ".join(str(entry) for entry in ledger.entries)
            raise LabError("put the GNS3 project back", f"{'; '.join(problems)}\n  left: {left}", self._command())

    def _give_up(self, error: BaseException) -> None:
        """Puts back what `up` did until it failed. Where that fails too, the first error goes on, with what is left and how to go
        about it."""
        try:
            self.down()
        except LabError as second:
            if not isinstance(error, LabError):
                error.add_note(str(second))
                return
            left = ", ".join(str(entry) for entry in self.client.ledger.entries)
            seen = f"{error.seen}\n  done by then, and not undone: {left} ({second.seen.splitlines()[0]})"
            raise LabError(error.step, seen, self._command()) from error

    def _command(self) -> str:
        """For the person at the terminal: undoes what is left."""
        user = f" --user {shlex.quote(self.spec.user)}" if self.spec.user else ""
        server, project = self.client.server.url, shlex.quote(self.spec.project)
        return f"once the server answers: {typed(f'lab clean gns3 --server {server} --project {project}{user}')}"
