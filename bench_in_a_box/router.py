"""Virtual IOS routers as boxes of their own: at rest, with addresses and a login and nothing else, as one would unpack them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import LabError
from harness.lab import enclosure
from harness.lab.namespaces import Netns

USER, PASSWORD, ENABLE = "natstorm", "natstorm-box", "natstorm-box"
"""They belong to this box alone and protect nothing."""
STARTUP = f"""\
hostname {{name}}
enable secret {ENABLE}
username {USER} password 0 {PASSWORD}
{{interfaces}}
line con 0
line vty 0 4
 login local
end
"""
GATEWAY = {"FastEthernet0/0": "203.0.113.231", "FastEthernet0/1": "198.51.100.1"}
GATEWAY_WORDS = ("--wire", "203.0.113.231", "--lan", "lan0", "198.51.100.1", "198.51.100.10")
"""Of the router that stands for a gateway: its interfaces and their addresses, and what its process is told."""


def startup(name: str, interfaces: Mapping[str, str]) -> str:
    """Addresses by interface, all in networks of 256; "" for one without."""
    lines = [
        line
        for interface, address in interfaces.items()
        for line in (f"interface {interface}", f" ip address {address} 255.255.255.0" if address else " no ip address")
    ]
    return STARTUP.format(name=name, interfaces="\n".join(lines))


class RouterBox:
    """`start` returns the line of a known_hosts file, `stop` ends it. `address` is that of its interface `management`; `words` are
    for natstorm-ios."""

    def __init__(
        self,
        folder: Path,
        node: Netns,
        address: str,
        interfaces: Mapping[str, str],
        words: Sequence[str],
        name: str = "IOS",
        management: str = "FastEthernet1/0",
    ) -> None:
        self._folder = folder
        self._node = node
        self._address = address
        self._startup = startup(name, {**interfaces, management: address})
        self._words = words
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / "startup-config"
        file.write_text(self._startup, encoding="ascii")
        program = enclosure.python("harness.virtual.ios.process")
        words = ["--startup", str(file), *self._words, "--ssh", self._address]
        argv = ["ip", "netns", "exec", self._node.name, *program, *words]
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        ready, _, key = self._process.stdout.readline().strip().partition(" ")
        if ready != "ready":
            said = (self._folder / "log").read_text(encoding="utf-8").strip()
            raise LabError("start the virtual IOS router", said or "it ended without a word")
        return f"{self._address} {key}"

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)
            self._process = None
