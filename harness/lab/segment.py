"""The clients' segment of a lab with real devices: an interface of this machine moves into a namespace of its own, and comes back.

    host ── nic0 ──▶ namespace `natstorm-clients`: nic0 with the testbed's address, the client prefix local, one next hop,
                     or none of these, where callers come by PPPoE, and perhaps further cards beside it, where hosts are
                     on several wires; the host keeps all else of its network

A device belongs to one namespace at a time, so while the clients have it nobody else does. Before it moves, what it was is written
down (`Nic`), and a keeper (harness/lab/segment_keeper.py) is started that puts it back when the run is gone, even by SIGKILL.
Run and keeper hold a lock together, so that a `natstorm restore` after another run does not take the namespace from under this one.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.errors import LabError, UsageError, typed
from harness.lab import enclosure, management, tools, traffic
from harness.lab.namespaces import OFFLOADS, Netns
from harness.lab.nic import Nic, as_it_was, look
from harness.model.router_lab import Card, Described
from harness.model.testbed import Testbed

CLIENTS = "natstorm-clients"
KEEPER_S = 30.0
"""How long a keeper may take to begin, and to end."""
HELD = Path("/run/natstorm-clients.lock")
"""Locked (flock) for as long as a run or its keeper has the clients' namespace. It stays there, empty."""

_FEATURES = {
    "tx": ("tx-checksum-",),
    "rx": ("rx-checksumming",),
    "sg": ("tx-scatter-gather",),
    "tso": ("tx-tcp",),
    "gso": ("generic-segmentation-offload",),
    "gro": ("generic-receive-offload",),
}
"""ethtool's short names to set an offload by, and how the names begin of the features that it stands for."""


class Segment:
    """`up` moves the interfaces, `down` brings them back; both leave nothing half done. `clients` is the namespace."""

    def __init__(
        self, testbed: Described, cards: Sequence[Card], furnish: Callable[[Netns], None] = lambda clients: None
    ) -> None:
        """`furnish` gives the interfaces their addresses and routes there."""
        self.clients = Netns(CLIENTS)
        self._testbed = testbed
        self._cards = tuple(cards)
        self._give = furnish
        self._nics: tuple[Nic, ...] = ()
        self._keeper: subprocess.Popen[str] | None = None
        self._held: int | None = None

    def check(self) -> tuple[Nic, ...]:
        """What the interfaces are now. UsageError where the testbed names one that must not be taken, or is not there; LabError
        where one cannot be had; nothing is changed."""
        return tuple(map(self._look, self._cards))

    def _look(self, card: Card) -> Nic:
        name = card.name
        if os.geteuid() != 0:
            raise LabError(f"take interface {name}", "moving an interface needs root", "run as root")
        if self.clients.exists():
            seen = f"namespace {CLIENTS} is there already: another run has it, or one that was killed"
            raise LabError(f"take interface {name}", seen, f"wait for the other run, or: {restore_by(self._testbed.file)}")
        if name not in (there := [one for _, one in socket.if_nameindex()]):
            raise self._refused(card, f"this machine has no interface {name}: it has {', '.join(there)}")
        nic = look(name)
        for why in management.reasons(nic, self._testbed):
            raise self._refused(card, f"{name} is the management interface: {why}")
        if on_it := management.stacked(name):
            problem = f"{name} has {', '.join(on_it)} on it (a bridge, a bond, a VLAN), which would lose it for good"
            raise self._refused(card, problem)
        if way := traffic.look(name).in_the_way:
            problem = f"{name} has {', '.join(way)}, which moving it would destroy, and nothing could put back"
            raise self._refused(card, problem, traffic.cure(name))
        return nic

    def not_here(self) -> tuple[str, ...]:
        """What the testbed protects, and this machine has not."""
        return management.unknown(self._testbed)

    def up(self) -> None:
        nics = self.check()
        self._held = _hold(nics)
        self._nics = nics
        try:
            self._keeper = _start_keeper(nics, self._held)
            Netns.create(CLIENTS, on_host=True)
            for nic in nics:
                tools.run(["ip", "link", "set", nic.name, "netns", CLIENTS], step=f"move {nic.name} to the clients")
                self._ready(nic)
            self._give(self.clients)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Safe at any time, and twice. LabError where an interface is not back as it was: then the keeper tries too, and
        another call does again what is not done."""
        keeper, self._keeper = self._keeper, None
        back = False
        try:
            if self._nics:
                put_back(*self._nics)
                for nic in self._nics:
                    if not _here(nic.name):
                        raise LabError(f"bring {nic.name} back", "this machine has it no more, here or in the clients' namespace")
                self._nics = ()
            back = True
        except LabError as error:
            raise LabError(error.step, error.seen, restore_by(self._testbed.file)) from error
        finally:
            if keeper is not None:
                _end_keeper(keeper, let_go=back)
            held, self._held = self._held, None
            if held is not None:
                os.close(held)

    def _ready(self, nic: Nic) -> None:
        if offloads := _offloads(nic):
            self.clients.run(
                ["ethtool", "-K", nic.name, *(word for one in offloads for word in (one, "off"))],
                step=f"switch off the offloads of {nic.name}",
            )
        self.clients.ip("link", "set", nic.name, "up")

    def _refused(self, card: Card, problem: str, cure: str = "") -> UsageError:
        usual = "name the interface that carries the clients' segment below topology.clients"
        return UsageError(problem, file=self._testbed.file, line=card.line, cure=cure or usual)


def of_clients(testbed: Testbed) -> Segment:
    """That of a testbed with a gateway."""
    card, inside = testbed.clients.interface, testbed.nat.inside

    def furnish(clients: Netns) -> None:
        clients.ip("address", "add", card.address, "dev", card.name)
        clients.ip("route", "add", "local", testbed.clients.prefix, "dev", "lo")
        clients.ip("route", "add", "default", "via", inside.host)

    return Segment(testbed, (Card(card.name, card.line),), furnish)


def restore_by(file: str) -> str:
    """The command that puts back what runs on the testbed of that file have changed."""
    return typed(f"restore --testbed {shlex.quote(file)}")


@contextmanager
def nobody_else(nics: Sequence[Nic]) -> Iterator[None]:
    """No run has the clients' namespace within; LabError where one has."""
    held = _hold(nics)
    try:
        yield
    finally:
        os.close(held)


def names_of(nics: Sequence[Nic]) -> str:
    """In a sentence."""
    return " and ".join(nic.name for nic in nics)


def _hold(nics: Sequence[Nic]) -> int:
    """The lock, as a descriptor. A keeper that is about to end is waited for."""
    held = os.open(HELD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + KEEPER_S
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                os.close(held)
                seen = f"a run has namespace {CLIENTS}, and would lose it ({HELD} is locked)"
                cure = "wait for that run, or end it, and try again"
                raise LabError(f"take or give back {names_of(nics)}", seen, cure) from error
        time.sleep(0.1)


def _here(name: str) -> bool:
    return name in (one for _, one in socket.if_nameindex())


def put_back(*nics: Nic) -> None:
    """The interfaces as they were, in this process's namespace, and the clients' namespace gone. What is done already is not done
    again, so that whoever was killed half-way can be followed by another. All are tried; LabError with all that failed."""
    clients = Netns(CLIENTS)
    if clients.exists():
        with clients.entered():
            there = [nic.name for nic in nics if _here(nic.name)]
        for name in there:
            clients.ip("link", "set", name, "netns", str(os.getpid()))
    failed: list[LabError] = []
    try:
        for nic in nics:
            try:
                if _here(nic.name):
                    as_it_was(nic)
            except LabError as error:
                failed.append(error)
    finally:  # what they lack can be given to them without the namespace, which nothing is left in
        if clients.exists():
            clients.delete()
    if failed:
        raise LabError("; ".join(one.step for one in failed), "; ".join(one.seen for one in failed), failed[0].cure)


def _offloads(nic: Nic) -> tuple[str, ...]:
    """Those of OFFLOADS that are on, in whole or in part."""
    on = [feature for feature, state in nic.features.items() if state == "on"]
    return tuple(one for one in OFFLOADS if any(feature.startswith(_FEATURES[one]) for feature in on))


def _start_keeper(nics: Sequence[Nic], held: int) -> subprocess.Popen[str]:
    """A process in a session of its own, which no signal for the run reaches, and which has the lock too. Returns once it
    watches."""
    command = enclosure.python("harness.lab.segment_keeper", *(nic.to_json() for nic in nics))
    keeper = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, pass_fds=(held,)
    )
    assert keeper.stdout is not None
    if keeper.stdout.readline() != "watching\n":
        keeper.kill()
        raise LabError(f"take interface {names_of(nics)}", "the keeper that is to put it back did not start", "see its words above")
    return keeper


def _end_keeper(keeper: subprocess.Popen[str], *, let_go: bool) -> None:
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        if let_go:
            keeper.stdin.write("let go\n")
        keeper.stdin.close()
        keeper.wait(KEEPER_S)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        keeper.kill()
        keeper.wait()
    finally:
        keeper.stdout.close()
