"""The software lab behind the interface of all providers: brought up by `up`, held by a keeper, asked over the keeper's socket.

It is the lab of `natstorm lab up`, one a user. What is done to it ends with it: there is nothing to lock, and nothing that a
journal would have to undo. The labs that runs build for themselves are others, which nobody outside reaches.
"""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.errors import LabError, UsageError, typed
from harness.lab import control, keeping, link_capture
from harness.lab.providers.provider import STARTED, STOPPED, Console, End, LabStatus, Link, Node, find_link, find_node
from harness.model.testbed import Testbed

NAME = "namespaces"
NAMESPACE, GUEST, PROCESS = "namespace", "guest", "process"
"""What a node is: a namespace alone, a machine in a guest, a process in its namespace. A console is entered by the same words."""


class Namespaces:
    """The lab of `testbed` (None: whichever of this user's is up). `variant` is the gateway's (None: the testbed's first); `tell`
    hears of each step on the way up, and of a keeper that had to be killed on the way down."""

    name = NAME

    def __init__(
        self, testbed: Testbed | None, variant: str | None = None, tell: Callable[[str], None] = lambda step: None
    ) -> None:
        self.testbed = testbed
        self._variant = variant
        self._tell = tell
        self._launcher: keeping.Launcher | None = None  # where this process brought the lab up

    def up(self) -> LabStatus:
        """UsageError where a lab of this user's is up already."""
        if self.testbed is None:
            raise UsageError("no testbed is named whose lab to bring up", cure=typed("lab up --testbed FILE"))
        told, self._launcher = keeping.start(self.testbed, self._variant, self._tell)
        return self._status(told)

    def status(self) -> LabStatus:
        """Not up, and with neither nodes nor links, where none is, or another testbed's."""
        told = self.told()
        return LabStatus(self.name, self._lab, False) if told is None else self._status(told)

    def told(self) -> dict[str, Any] | None:
        """All that the lab's keeper says of it (harness/lab/keeper.py); None where it is not up, though another may be."""
        lab = control.connect()
        if lab is None:
            return None
        try:
            told = lab.ask({"do": "status"})
        finally:
            lab.close()
        return told if self._is_ours(told) else None

    def console(self, node: str) -> Console:
        """There is no address to call: `natstorm lab console` enters it. `protocol` says how, by what it is."""
        with self._ours() as (_, told):
            found = find_node(self._status(told).nodes, node)
        return Console(found.name, 0, GUEST if found.kind == GUEST else NAMESPACE)

    def link_down(self, link: str) -> None:
        self._switch(link, False)

    def link_up(self, link: str) -> None:
        self._switch(link, True)

    @contextmanager
    def capture(self, link: str) -> Iterator[Iterator[bytes]]:
        """Every frame on the link, at one end of it; a cut takes nothing from what that end sends."""
        with self._ours() as (lab, told):
            find_link(self._status(told).links, link)
            lab.ask({"do": "capture", "link": link})
            (handle,) = lab.take_fds()
        ours, its = socket.socketpair()
        with socket.socket(fileno=handle) as packets, its, ours:
            yield link_capture.pcap(packets, its)

    def down(self) -> None:
        self.end()

    def end(self) -> bool:
        """`down`, and whether anything was up. LabError where the keeper does not end even when it is killed."""
        lab = control.connect()
        if lab is None:
            return False
        if self.testbed is not None and not self._is_ours(lab.ask({"do": "status"})):
            lab.close()
            return False
        if not keeping.end(lab):
            self._tell(f"the keeper did not end within {keeping.DOWN_S:g} s and was killed")
        if self._launcher is not None:
            keeping.await_launcher(self._launcher)
            self._launcher = None
        return True

    # --- within ---

    def _switch(self, link: str, up: bool) -> None:
        with self._ours() as (lab, told):
            find_link(self._status(told).links, link)
            if lab.ask({"do": "link", "link": link, "up": up})["up"] is not up:
                cure = f"look at it: {typed('lab status')}"
                raise LabError(f"{'mend' if up else 'cut'} link {link}", f"it is {'down' if up else 'up'} still", cure)

    @contextmanager
    def _ours(self) -> Iterator[tuple[control.Control, dict[str, Any]]]:
        """A connection to the keeper of this testbed's lab, and what it says of the lab. UsageError where there is none."""
        named = "" if self.testbed is None else f" --testbed {shlex.quote(self.testbed.file)}"
        cure = typed(f"lab up{named}")
        lab = control.connect()
        if lab is None:
            raise UsageError("no lab is up", cure=cure)
        try:
            told = lab.ask({"do": "status"})
            if not self._is_ours(told):
                raise UsageError(f"the lab that is up is that of {told['file']}", cure=f"{typed('lab down')}, then {cure}")
            yield lab, told
        finally:
            lab.close()

    def _is_ours(self, told: dict[str, Any]) -> bool:
        """The file is told as its keeper sees it, whose places have the same names as here."""
        return self.testbed is None or bool(told["file"] == os.path.abspath(self.testbed.file))

    @property
    def _lab(self) -> str:
        return "" if self.testbed is None else self.testbed.name

    def _status(self, told: dict[str, Any]) -> LabStatus:
        nodes = tuple(_node(one["node"], told) for one in told["nodes"])
        links = tuple(Link(one["link"], tuple(End(*end) for end in one["ends"]), one["up"]) for one in told["links"])
        running = bool(told["gateway_running"])
        notes = () if running else ("the gateway is dead",)
        return LabStatus(self.name, told["testbed"], running, nodes, links, notes)


def _node(name: str, told: dict[str, Any]) -> Node:
    if name != "gateway":
        return Node(name, NAMESPACE, STARTED, Console(name, 0, NAMESPACE))
    kind = GUEST if told["in_guest"] else PROCESS
    state = STARTED if told["gateway_running"] else STOPPED
    return Node(name, kind, state, Console(name, 0, GUEST if kind == GUEST else NAMESPACE))
