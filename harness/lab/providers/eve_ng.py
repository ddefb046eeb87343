"""The lab provider `eve-ng`: starts the nodes of a lab that is there, and leaves the lab as it found it.

It makes, wipes and deletes nothing. It stops the nodes that it started, and no other; it puts back the interfaces that it cut. Both
stand in a ledger on disk before they are done (`eve_ng_ledger`), so `down` works in another process, and after `kill -9`.

A link is cut in one of two ways. Pro rewires running nodes: interfaces are detached from the link's network, and attached again.
Community rewires stopped nodes only; for running ones the interfaces of EVE-NG's host are set down, for which the testbed has to
name the host (`on_host`).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DeviceError, LabError, typed
from harness.lab.providers.eve_ng_api import RUNNING, STOPPED, Edition, EveNgApi, EveNode
from harness.lab.providers.eve_ng_http import Session
from harness.lab.providers.eve_ng_ledger import Cut, Ledger
from harness.lab.providers.eve_ng_start import Starting
from harness.lab.providers.eve_ng_topology import Wire, console, find_wire, host_device, names_of, nodes_of, to_cut, wires_of
from harness.lab.providers.eve_ng_undo import OnHost, Undoing, Undone
from harness.lab.providers.provider import Console, LabStatus, find_node, unable
from harness.model.reach import Connection
from harness.model.secret import Secret

NAME = "eve-ng"


@dataclass(frozen=True, slots=True)
class EveNgSpec:
    """What the testbed says. `start`: the nodes to start (None: all). `clients`: the host's bridge that the clients' network card
    is on ("pnet1"); the lab must have it. `host`: how EVE-NG's host is reached. `tenant`: the number in the names of
    the host's interfaces, where it is not the user's own (a Pro lab that is shared). `verify`: True, False, or a CA file."""

    url: str
    lab: str
    user: str
    password: Secret
    verify: bool | str = True
    start: tuple[str, ...] | None = None
    clients: str | None = None
    host: Connection | None = None
    tenant: int | None = None
    start_timeout_s: float = 600.0
    stop_timeout_s: float = 120.0
    request_timeout_s: float = 60.0

    def foreseen(self) -> tuple[str, ...]:
        """What `up` changes, a sentence each."""
        nodes = ", ".join(self.start) if self.start else "all its nodes"
        return (
            f"another session of {self.user} ends: EVE-NG has one a user",
            f"lab {self.lab}: of {nodes} what does not run is started, and stopped at the end; links that a killed run left cut "
            f"are mended; nothing is made, wiped or deleted",
        )


class EveNg:
    """`state` is where ledgers are kept (None: the user's own). `on_host` runs a command on EVE-NG's host."""

    name = NAME

    def __init__(
        self,
        spec: EveNgSpec,
        state: Path | None = None,
        *,
        on_host: OnHost | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.spec = spec
        session = Session(
            spec.url, spec.user, spec.password, verify=spec.verify, timeout_s=spec.request_timeout_s,
            clock=clock, sleep=sleep,
        )  # fmt: skip
        self._api = EveNgApi(session, spec.lab)
        self._ledger = Ledger(state, session.server, self._api.lab)
        self._starting = Starting(self._api, self._ledger, spec.start_timeout_s, clock, sleep)
        self._undoing = Undoing(
            self._api, self._ledger, on_host, stop_timeout_s=spec.stop_timeout_s, verify=spec.verify, host=spec.host,
            clock=clock, sleep=sleep,
        )  # fmt: skip
        self._on_host = on_host
        self._is_up = False

    def up(self) -> LabStatus:
        """Nodes that run already are left to themselves, before and after. Links that a run before this one left cut are mended."""
        self._ledger.hold()
        try:
            self._bring_up()
            self._is_up = True
            return self.status()
        except BaseException as failure:
            self._take_back(failure)
            raise

    def status(self) -> LabStatus:
        try:
            edition = self._api.edition()
            nodes = self._api.nodes()
            networks = self._api.networks()
            wires = self._wires(nodes)
        finally:
            self._log_out_unless_up()
        notes = [f"{edition} at {self._api.session.server}"]
        started = [entry.name for entry in self._ledger.started]
        if started:
            notes.append(f"started by natstorm, and stopped by `down`: {', '.join(started)}")
        all_on = all(node.status == RUNNING for node in self._wanted(nodes))
        links = tuple(wire.link for wire in wires)
        return LabStatus(self.name, self._api.lab, all_on, nodes_of(nodes, networks, self._api.session.host), links, tuple(notes))

    def console(self, node: str) -> Console:
        try:
            found = self._named(self._api.nodes(), node)
        finally:
            self._log_out_unless_up()
        where = console(found, self._api.session.host)
        if where is None:
            step = f"find the console of {node}"
            seen = f"its URL is {found.url!r}, which no program can open"
            raise LabError(step, seen, "set the node's console to telnet, and start it")
        return where

    def link_down(self, link: str) -> None:
        self._ledger.hold()
        try:
            edition, nodes = self._api.edition(), self._api.nodes()
            wire = find_wire(self._wires(nodes), link)
            if not wire.link.up:
                return
            made: list[Cut] = []
            try:
                for cut in self._cuts(wire, edition):
                    self._ledger.did(cut)
                    made.append(cut)
                    self._cut(cut)
            except BaseException:
                self._mend_all(made, nodes)
                raise
        finally:
            self._let_go_unless_up()

    def link_up(self, link: str) -> None:
        self._ledger.hold()
        try:
            nodes = self._api.nodes()
            wire = find_wire(self._wires(nodes), link)
            for cut in reversed(self._ledger.cuts):
                if cut.network == wire.network.number:
                    self._undoing.mend(cut, nodes)
        finally:
            self._let_go_unless_up()

    def capture(self, link: str) -> AbstractContextManager[Iterator[bytes]]:
        """LabError: EVE-NG captures nothing that could be had from here. Its host can, by tcpdump, as any device of the testbed: on
        its own end of the link's first interface, or on the bridge that leads out."""
        try:
            wire = find_wire(self._wires(self._api.nodes()), link)
            device = wire.network.kind if wire.network.kind.startswith("pnet") else host_device(self._tenant(), wire.plugs[0])
        finally:
            self._log_out_unless_up()
        host = "EVE-NG's host, a device of `type: jump`" if self.spec.host is None else self.spec.host.device
        source = f"`{{source: tcpdump, device: {host}, interface: {device}}}`"
        raise unable(self.name, f"capture on {link}", f"{source} in devices.nat.custom.capture")

    @property
    def left_over(self) -> bool:
        """Whether the ledger tells of anything that is not undone."""
        return bool(self._ledger.entries)

    def clients_attach_to(self) -> str:
        """The host's bridge that leads to the clients, "pnet1"; LabError where the lab has no node on it."""
        try:
            return self._check_clients(self._wires(self._api.nodes()))
        finally:
            self._log_out_unless_up()

    def down(self) -> None:
        """Sends nothing where nothing is to be undone. LabError tells what is left, and the commands for it."""
        self.clean()

    def leave(self) -> None:
        self._is_up = False
        self._let_go_unless_up()

    def clean(self) -> tuple[str, ...]:
        """`down`, with a sentence for each thing that was undone: what this run did, or one that was killed."""
        self._ledger.hold()
        try:
            result = self._undoing.everything()
        finally:
            self._is_up = False
            self._api.session.close()
            self._ledger.release()
        if result.left:
            raise LabError(f"take down the lab {self._api.lab}", result.told(), self._cure(result))
        return tuple(result.done)

    def _bring_up(self) -> None:
        self._api.must_exist()
        nodes = self._api.nodes()
        self._mend_all(list(reversed(self._ledger.cuts)), nodes, strict=True)
        wanted = self._wanted(nodes)
        if self.spec.clients is not None:
            self._check_clients(self._wires(nodes))
        self._starting.all_of([node for node in wanted if node.status != RUNNING])

    def _cuts(self, wire: Wire, edition: Edition) -> list[Cut]:
        running = [plug for plug in wire.plugs if plug.node.status != STOPPED]
        number = wire.network.number
        if edition.pro or not running:
            return [Cut(plug.node.number, plug.interface.number, number) for plug in to_cut(wire)]
        if self._on_host is None:
            by_hand = " and ".join(f"`ip link set dev {host_device(self._tenant(), plug)} down`" for plug in running)
            raise LabError(
                f"take down link {wire.link.name}", "EVE-NG Community does not rewire running nodes",
                f"`host:` in testbed.custom.lab.options, so that {by_hand} can be run there; or EVE-NG Pro",
            )  # fmt: skip
        tenant = self._tenant()
        return [Cut(plug.node.number, plug.interface.number, number, host_device(tenant, plug)) for plug in running]

    def _cut(self, cut: Cut) -> None:
        if not cut.device:
            self._api.attach(cut.node, cut.interface, 0)
        elif self._on_host is not None:
            self._on_host(f"ip link set dev {cut.device} down")

    def _mend_all(self, cuts: list[Cut], nodes: Mapping[int, EveNode], *, strict: bool = False) -> None:
        """Those that cannot be mended stay in the ledger, for `down`; `strict` raises."""
        for cut in cuts:
            try:
                self._undoing.mend(cut, dict(nodes))
            except (LabError, DeviceError):
                if strict:
                    raise

    def _take_back(self, failure: BaseException) -> None:
        """After `up` has failed. A LabError then says so; any other failure goes on as it is."""
        was_taken: Undone | None = None
        try:
            was_taken = self._undoing.everything()
        finally:
            self._is_up = False
            self._api.session.close()
            self._ledger.release()
        if isinstance(failure, LabError) and was_taken.told():
            cure = "\n  ".join(one for one in (failure.cure, self._cure(was_taken)) if one)
            raise LabError(failure.step, f"{failure.seen}. Taken back, {was_taken.told()}", cure or None) from failure

    def _cure(self, result: Undone) -> str:
        if not result.left:
            return ""
        again = ["lab clean eve-ng", "--server", self._api.session.server, "--lab", self._api.lab, "--user", self.spec.user]
        if self.spec.verify is False:
            again.append("--insecure")
        elif isinstance(self.spec.verify, str):
            again += ["--ca", self.spec.verify]
        command = typed(" ".join([again[0], *(shlex.quote(word) for word in again[1:])]))
        return "\n    ".join([f"{command}, or by hand:", *result.by_hand])

    def _wires(self, nodes: dict[int, EveNode]) -> tuple[Wire, ...]:
        interfaces = {number: self._api.interfaces(number) for number in nodes}
        return wires_of(nodes, self._api.networks(), interfaces, self._ledger.cuts)

    def _wanted(self, nodes: dict[int, EveNode]) -> list[EveNode]:
        if self.spec.start is None:
            return list(nodes.values())
        return [self._named(nodes, name) for name in self.spec.start]

    def _named(self, nodes: dict[int, EveNode], name: str) -> EveNode:
        find_node(nodes_of(nodes, {}, self._api.session.host), name)
        return next(nodes[number] for number, called in names_of(nodes).items() if called == name)

    def _check_clients(self, wires: tuple[Wire, ...]) -> str:
        out = {wire.network.kind: [end.node for end in wire.link.ends[:-1]] for wire in wires if wire.leads_out}
        wanted = self.spec.clients
        if wanted in out:
            return wanted
        there = "; ".join(f"{kind} (with {', '.join(nodes)})" for kind, nodes in sorted(out.items())) or "no network that leads out"
        seen = f"the lab has {there}" if wanted else f"the testbed names none of the host's bridges; the lab has {there}"
        cure = f"in the lab: a network of the type {wanted or 'pnet1'}, with the NAT's inside interface on it"
        raise LabError("attach the clients", seen, cure)

    def _tenant(self) -> int:
        return self._api.tenant() if self.spec.tenant is None else self.spec.tenant

    def _log_out_unless_up(self) -> None:
        if not self._is_up:
            self._api.session.close()

    def _let_go_unless_up(self) -> None:
        if not self._is_up:
            self._api.session.close()
            self._ledger.release()
