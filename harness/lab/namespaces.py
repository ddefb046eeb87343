"""Named network namespaces, as `ip netns` keeps them on the enclosure's own /run/netns, and the links between them.

Everything here presupposes the enclosure: outside it would be the host's own network that is changed. The one exception is the
clients' namespace of a lab with real devices (harness/lab/segment.py).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.errors import LabError
from harness.lab import enclosure, libc, tools

NETNS_DIRECTORY = Path("/run/netns")

QUIET = {
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    # The client prefix is local where it is routed to, and the reply path is not the request path of any routing table.
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}
"""What every node starts with: no IPv6, hence no neighbour discovery in a capture; no reverse-path filter."""

OFFLOADS = ("tx", "rx", "sg", "tso", "gso", "gro")
"""Switched off on every link: a segment or checksum left to hardware that does not exist would be what the captures show."""


class Netns:
    """One named network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = NETNS_DIRECTORY / name

    def __repr__(self) -> str:
        return f"Netns({self.name!r})"

    @classmethod
    def create(cls, name: str, *, on_host: bool = False) -> Netns:
        """Makes it, with loopback up and QUIET set. Raises LabError outside an enclosure (unless it is meant to be `on_host`), or
        where the name is taken."""
        if not on_host and not enclosure.inside():
            raise LabError(f"make namespace {name}", "not inside an enclosure", "start by `natstorm`, or pytest with the plugin")
        tools.run(["ip", "netns", "add", name], step=f"make namespace {name}")
        netns = cls(name)
        netns.sysctl(QUIET)
        netns.ip("link", "set", "lo", "up")
        return netns

    def delete(self) -> None:
        """Takes it away. Interfaces in it go with it once no process is left in it."""
        tools.run(["ip", "netns", "del", self.name], step=f"remove namespace {self.name}")

    def exists(self) -> bool:
        return self.path.exists()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is in the namespace for the length of the block: sockets opened there belong to it for good.

        Nothing may be awaited within: other tasks of the loop run on the same thread.
        """
        with open("/proc/thread-self/ns/net", "rb") as home, self.opened() as there:
            libc.setns(there, libc.CLONE_NEWNET)
            try:
                yield
            finally:
                libc.setns(home.fileno(), libc.CLONE_NEWNET)

    @contextmanager
    def opened(self) -> Iterator[int]:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise LabError(f"enter namespace {self.name}", "there is none of that name") from error
        try:
            yield handle
        finally:
            os.close(handle)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in this namespace; its process ID is that of `argv`'s own process."""
        return [tools.find("nsenter"), f"--net={self.path}", "--", tools.find(argv[0]), *argv[1:]]

    def run(
        self, argv: Sequence[str], *, step: str | None = None, text: str | None = None, accept: Sequence[int] = (0,)
    ) -> subprocess.CompletedProcess[str]:
        """Runs a short program in the namespace to its end; LabError where it fails."""
        with self.entered():
            return tools.run(argv, step=step or f"run {argv[0]} in namespace {self.name}", text=text, accept=accept)

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        stdin: int | None = asyncio.subprocess.DEVNULL,
        stdout: int | None = asyncio.subprocess.PIPE,
        stderr: int | None = asyncio.subprocess.PIPE,
    ) -> asyncio.subprocess.Process:
        """Starts a program in the namespace that runs on, in a session of its own: Ctrl-C is for the run alone."""
        return await asyncio.create_subprocess_exec(
            *self.command(argv), stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )

    def ip(self, *arguments: str, accept: Sequence[int] = (0,)) -> str:
        """`ip -n NAME arguments…`; returns what it printed."""
        step = f"ip {' '.join(arguments)} in namespace {self.name}"
        return tools.run(["ip", "-n", self.name, *arguments], step=step, accept=accept).stdout

    def sysctl(self, values: Mapping[str, str]) -> None:
        """Writes kernel settings of this namespace; names as paths below /proc/sys."""
        with self.entered():
            for name, value in values.items():
                try:
                    Path("/proc/sys", name).write_text(value, encoding="ascii")
                except FileNotFoundError as error:
                    if name.startswith("net/ipv6/"):
                        continue  # a kernel without IPv6 is quiet enough
                    raise LabError(f"set {name} in namespace {self.name}", "this kernel has no such setting") from error
                except OSError as error:
                    raise LabError(f"set {name} to {value} in namespace {self.name}", error.strerror or str(error)) from error

    def read_sysctl(self, name: str) -> str:
        with self.entered():
            return Path("/proc/sys", name).read_text(encoding="ascii").strip()

    def offloads_off(self, interface: str) -> None:
        arguments = [word for feature in OFFLOADS for word in (feature, "off")]
        self.run(["ethtool", "-K", interface, *arguments], step=f"switch off the offloads of {interface} in namespace {self.name}")


def link(left: Netns, left_name: str, right: Netns, right_name: str) -> None:
    """A veth pair between two namespaces (which may be one), offloads off, both ends up."""
    step = f"link {left.name}/{left_name} with {right.name}/{right_name}"
    tools.run(
        ["ip", "link", "add", left_name, "netns", left.name, "type", "veth", "peer", "name", right_name, "netns", right.name],
        step=step,
    )
    for netns, name in ((left, left_name), (right, right_name)):
        netns.offloads_off(name)
        netns.ip("link", "set", name, "up")
