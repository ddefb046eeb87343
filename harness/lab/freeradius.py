"""FreeRADIUS in a lab: Debian's own, out of the cache, in the foreground, with a configuration made for it.

Its users, its clients' secrets and its accounting lie in a directory of the run's. It ends with the run, however that ends.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from harness.errors import LabError, UsageError
from harness.lab import packages
from harness.model import Secret

TEMPLATE = Path(__file__).with_suffix(".conf")
READY = "Ready to process requests"
PATIENCE_S = 30.0
_STEP = "start FreeRADIUS"
_POLL_S = 0.05


def quoted(text: str) -> str:
    """As FreeRADIUS's files have a value in which nothing is expanded. UsageError for what no line can hold."""
    if not text.isprintable():
        raise UsageError("a secret for FreeRADIUS has characters that no line can hold")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def named(user: str) -> str:
    """A user's name, as the file of users has it: there, quotes escape nothing. UsageError for what it cannot have."""
    if not user.isprintable() or "'" in user or user.endswith("\\"):
        raise UsageError(f"FreeRADIUS's file of users cannot have the name {user!r}")
    return f"'{user}'"


def environment(root: Path) -> dict[str, str]:
    """In which its programs find their libraries. `root` is what was unpacked."""
    libraries = [str(path) for path in sorted((root / "usr" / "lib").glob("*-linux-gnu"))]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join([*libraries, str(root / "usr" / "lib" / "freeradius")])}


def dictionary(root: Path) -> Path:
    return root / "usr" / "share" / "freeradius"


@dataclass
class FreeRadius:
    """`with FreeRadius(root, scratch, …):` it is up within. `root`: what was unpacked (`packages.radius_directory()`); `scratch` an
    empty directory. `clients`: secrets by the address, or network, of who may ask; `users`: passwords; `addresses`: the
    Framed-IP-Address of those who have one. Accepted users have a Class, their name.

    LabError where it does not come up, with its last words.
    """

    root: Path
    scratch: Path
    clients: Mapping[str, Secret]
    users: Mapping[str, Secret]
    addresses: Mapping[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"
    access: int = 1812
    accounting: int = 1813
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> FreeRadius:
        self._configure()
        program = self.root / "usr" / "sbin" / "freeradius"
        setpriv = packages.find_program("setpriv")
        if setpriv is None or not program.exists():
            missing = "setpriv (Debian package util-linux)" if setpriv is None else str(program)
            raise LabError(_STEP, f"there is no {missing}", "natstorm setup")
        command = [setpriv, "--pdeathsig", "KILL", str(program), "-f", "-l", "stdout", "-n", "radiusd"]
        command += ["-d", str(self.scratch), "-D", str(dictionary(self.root))]
        with (self.scratch / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(self.root), cwd=self.scratch
            )
        try:
            self.wait_for(READY)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _configure(self) -> None:
        clients = "".join(
            f"client lab{number} {{\n\tipaddr = {address}\n\tsecret = {quoted(secret.reveal())}\n}}\n"
            for number, (address, secret) in enumerate(self.clients.items())
        )
        values = {
            "root": self.root, "scratch": self.scratch, "clients": clients, "address": self.address, "access": self.access,
            "accounting": self.accounting,
        }  # fmt: skip
        users = []
        for user, password in self.users.items():
            users.append(f"{named(user)} Cleartext-Password := {quoted(password.reveal())}")
            said = [f"Class = 0x{user.encode().hex()}"]
            if user in self.addresses:
                said.append(f"Framed-IP-Address = {self.addresses[user]}")
            users.append("\t" + ",\n\t".join(said))
        for name, text in (("radiusd.conf", Template(TEMPLATE.read_text()).substitute(values)), ("users", "\n".join(users) + "\n")):
            path = self.scratch / name
            path.touch(0o600)
            path.write_text(text)

    # What it says

    @property
    def log(self) -> str:
        return (self.scratch / "log").read_text(errors="replace")

    def wait_for(self, words: str) -> str:
        """The log, once these words are in it. LabError where it ends first, or says other things for half a minute."""
        until = time.monotonic() + PATIENCE_S
        while words not in (said := self.log):
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > until:
                last = "\n".join(said.splitlines()[-6:]) or "it said nothing"
                raise LabError(_STEP, f"{'it ended' if ended else 'waited in vain'}, without {words!r}:\n{last}")
            time.sleep(_POLL_S)
        return said

    def records(self) -> list[dict[str, list[str]]]:
        """The accounting records, oldest first: values by attribute, in its own words ("Acct-Status-Type": ["Start"])."""
        path = self.scratch / "detail"
        return parse_detail(path.read_text(errors="replace")) if path.exists() else []


def parse_detail(text: str) -> list[dict[str, list[str]]]:
    """A detail file: of each record a line with the time, then its attributes, indented; a blank line ends it. One that has not
    been ended is still being written, and left out."""
    found: list[dict[str, list[str]]] = []
    for block in text.split("\n\n")[:-1]:
        record: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, sign, value = line.partition(" = ")
            if line.startswith("\t") and sign:
                record.setdefault(name.strip(), []).append(value.removeprefix('"').removesuffix('"'))
        found.append(record)
    return found
