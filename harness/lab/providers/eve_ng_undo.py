"""Taking back what the ledger says, each part on its own: what fails is told with the command that does it by hand."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.devices import ssh_typed
from harness.devices.journal import reached
from harness.errors import DeviceError, LabError
from harness.lab.providers.eve_ng_api import STOPPED, Edition, EveNgApi, EveNode, attachment
from harness.lab.providers.eve_ng_http import NATIVE_CONSOLE, Gone, SessionTaken
from harness.lab.providers.eve_ng_ledger import Cut, Entry, Ledger, Started
from harness.model.reach import Connection

POLL_S = 2.0
JAR = "eve-ng.cookie"
"""The file that the commands for doing it by hand keep the session in."""

OnHost = Callable[[str], object]
"""Runs a shell command on EVE-NG's host as root; raises LabError or DeviceError where it fails."""


@dataclass(slots=True)
class Undone:
    """`done` and `left` are sentences, `by_hand` the commands for what is left."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)

    def told(self) -> str:
        parts = [f"done: {'; '.join(self.done)}"] if self.done else []
        return ". ".join([*parts, f"left: {'; '.join(self.left)}"] if self.left else parts)


class Undoing:
    """Of one lab. `on_host` and `host`: None where the testbed gives no way to EVE-NG's host."""

    def __init__(
        self,
        api: EveNgApi,
        ledger: Ledger,
        on_host: OnHost | None,
        *,
        stop_timeout_s: float = 120.0,
        verify: bool | str = True,
        host: Connection | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._on_host = on_host
        self._host = host
        self._stop_timeout_s = stop_timeout_s
        self._verify = verify
        self._clock = clock
        self._sleep = sleep

    def everything(self) -> Undone:
        """Links first, latest first; then the nodes. Never raises LabError: what could not be done is in `left`."""
        result = Undone()
        entries: list[Entry] = [*reversed(self._ledger.cuts), *self._ledger.started]
        if not entries:
            return result
        try:
            edition = self._api.edition()
            nodes = self._api.nodes()
        except LabError as error:
            for entry in entries:
                self._leave(result, entry, error, None)
            return result
        dead: LabError | None = None
        asked: list[Started] = []
        ours = {entry.node for entry in entries if isinstance(entry, Started)}
        # without a way to the host: such a cut ends when its node stops
        waiting = [one for one in entries if isinstance(one, Cut) and one.device and self._on_host is None and one.node in ours]
        for entry in [one for one in entries if one not in waiting]:
            if dead is not None:
                self._leave(result, entry, dead, edition)
                continue
            try:
                if isinstance(entry, Cut):
                    result.done.append(self.mend(entry, nodes))
                elif self._ask_to_stop(entry, nodes, edition):
                    asked.append(entry)
                else:
                    self._ledger.undone(entry)
                    result.done.append(f"node {entry.name} is stopped")
            except (LabError, DeviceError) as error:
                self._leave(result, entry, error, edition)
                dead = error if isinstance(error, Gone | SessionTaken) else None
        self._await_stopped(asked, result, edition)
        stopped = ours - {entry.node for entry in self._ledger.started}
        for cut in waiting:
            if cut.node in stopped:
                self._ledger.undone(cut)
                result.done.append(f"interface {cut.interface} of {nodes[cut.node].name} went with its node")
            else:
                self._leave(result, cut, LabError("set an interface up", "its node runs on"), edition)
        return result

    def mend(self, cut: Cut, nodes: dict[int, EveNode]) -> str:
        """Puts one interface back and returns the sentence for it. One that somebody has attached elsewhere stays there."""
        name = nodes[cut.node].name if cut.node in nodes else f"node {cut.node}"
        what = f"interface {cut.interface} of {name}"
        if cut.device:
            # with its node, the host's interface goes; the next start makes a new one, which is up
            if cut.node in nodes and nodes[cut.node].status != STOPPED:
                if self._on_host is None:
                    cure = "lab: host: in the testbed"
                    raise LabError(f"set {what} up", f"it needs a command on EVE-NG's host {self._api.session.host}", cure)
                self._on_host(f"ip link set dev {cut.device} up")
            self._ledger.undone(cut)
            return f"{what} is up"
        now = self._api.interfaces(cut.node).get(cut.interface) if cut.node in nodes else None
        if now is None:
            self._ledger.undone(cut)
            return f"{what} is no longer in the lab"
        if now.network not in (0, cut.network):
            self._ledger.undone(cut)
            return f"{what} was attached to network {now.network} by somebody else, and stays there"
        if now.network == 0:
            self._api.attach(cut.node, cut.interface, cut.network)
        self._ledger.undone(cut)
        return f"{what} is back on network {cut.network}"

    def _ask_to_stop(self, entry: Started, nodes: dict[int, EveNode], edition: Edition) -> bool:
        """False where there is nothing to stop: it never came up, or somebody has stopped or removed it."""
        node = nodes.get(entry.node)
        if node is None or node.status == STOPPED:
            return False
        self._api.stop(node, edition)
        return True

    def _await_stopped(self, asked: list[Started], result: Undone, edition: Edition) -> None:
        until = self._clock() + self._stop_timeout_s
        waiting = list(asked)
        while waiting:
            try:
                nodes = self._api.nodes()
            except LabError as error:
                for entry in waiting:
                    self._leave(result, entry, error, edition)
                return
            for entry in list(waiting):
                node = nodes.get(entry.node)
                if node is None or node.status == STOPPED:
                    waiting.remove(entry)
                    self._ledger.undone(entry)
                    result.done.append(f"node {entry.name} is stopped")
            if waiting and self._clock() >= until:
                for entry in waiting:
                    seen = f"it is {nodes[entry.node].word} {self._stop_timeout_s:g} s after it was asked to stop"
                    self._leave(result, entry, LabError(f"stop node {entry.name}", seen), edition)
                return
            if waiting:
                self._sleep(POLL_S)

    def _leave(self, result: Undone, entry: Entry, why: LabError | DeviceError, edition: Edition | None) -> None:
        if isinstance(entry, Started):
            what = f"node {entry.name} is not stopped"
        else:
            what = f"interface {entry.interface} of node {entry.node} is not back on network {entry.network}"
        seen = why.seen
        result.left.append(f"{what} ({seen})" if seen not in " ".join(result.left) else what)
        if isinstance(entry, Cut) and entry.device:
            command = ("ip", "link", "set", "dev", entry.device, "up")
            known = self._host and ssh_typed.as_root(reached(self._host), *command)
            result.by_hand.append(known or f"ssh root@{self._api.session.host} {' '.join(command)}")
            return
        if not any(line.startswith("read -rsp") for line in result.by_hand):
            result.by_hand[:0] = self._log_in_by_hand()
        result.by_hand.append(self._by_hand(entry, edition))

    def _log_in_by_hand(self) -> list[str]:
        session = self._api.session
        name = session.username.replace('"', "")
        body = f'{{"username":"{name}","password":"%s","html5":"{NATIVE_CONSOLE}"}}'
        login = f"{self._curl()} -c {JAR} -d @- {session.server}/api/auth/login"
        return [f"read -rsp 'EVE-NG password of {name}: ' P; printf {shlex.quote(body)} \"$P\" | {login}"]

    def _by_hand(self, entry: Entry, edition: Edition | None) -> str:
        if isinstance(entry, Started):
            # not reached, so not known: https stands for Pro
            known = edition or Edition("", self._api.session.server.startswith("https:"))
            return f"{self._curl()} -b {JAR} {self._api.session.server}/api{self._api.stop_path(entry.node, known)}"
        body = ",".join(f'"{key}":"{value}"' for key, value in attachment(entry.interface, entry.network).items())
        return f"{self._curl()} -b {JAR} -X PUT -d '{{{body}}}' {self._api.url(f'/nodes/{entry.node}/interfaces')}"

    def _curl(self) -> str:
        if self._verify is False:
            return "curl -sSk"
        return "curl -sS" if self._verify is True else f"curl -sS --cacert {shlex.quote(str(self._verify))}"

