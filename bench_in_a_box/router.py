"""The virtual IOS router as a box of its own: at rest, with addresses and a login and nothing else, as somebody would unpack it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.errors import LabError
from harness.lab import enclosure
from harness.lab.namespaces import Netns

USER, PASSWORD, ENABLE = "natstorm", "natstorm-box", "natstorm-box"
"""They belong to this box alone and protect nothing."""
STARTUP = f"""\
hostname IOS
enable secret {ENABLE}
username {USER} password 0 {PASSWORD}
interface FastEthernet0/0
 ip address 203.0.113.231 255.255.255.0
interface FastEthernet0/1
 ip address 198.51.100.1 255.255.255.0
interface FastEthernet1/0
 ip address {{management}} 255.255.255.0
line con 0
line vty 0 4
 login local
end
"""


class RouterBox:
    """`start` returns the line of a known_hosts file, `stop` ends it."""

    def __init__(self, folder: Path, node: Netns, address: str) -> None:
        self._folder = folder
        self._node = node
        self._address = address
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        startup = self._folder / "startup-config"
        startup.write_text(STARTUP.format(management=self._address), encoding="ascii")
        words = ["--startup", str(startup), "--wire", "203.0.113.231", "--lan", "lan0", "198.51.100.1", "198.51.100.10"]
        program = enclosure.python("harness.virtual.ios.process")
        argv = ["ip", "netns", "exec", self._node.name, *program, *words, "--ssh", self._address]
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
