"""Debian's OpenSSH server as a test's own: on a free loopback port, as this user, with keys and a configuration of its own.

Where the package is not installed it is run from where `natstorm setup` has unpacked it. Nothing of it outlives the test.
"""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from harness.errors import MissingTool
from harness.lab import enclosure, packages
from harness.model.reach import Connection

# As root the server wants a user of its own and a directory below /run. Neither is put on the machine: both are mounts that this
# process alone sees, and what it starts.
_AS_ROOT = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from harness.lab import enclosure, libc
libc.parent_death_signal(15)
if os.geteuid() == 0:
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("none", "/", None, libc.MS_REC | libc.MS_PRIVATE)
    scratch = Path(sys.argv[2])
    for name, line in (("passwd", "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\\n"), ("shadow", "sshd:*:19000::::::\\n")):
        original = Path("/etc", name).read_text().splitlines(True)
        kept = [("root:*:19000::::::\\n" if name == "shadow" else one) for one in original if one.startswith("root:")]
        others = [one for one in original if not one.startswith(("root:", "sshd:"))]
        (scratch / name).write_text("".join([*kept, *others]) + line)
        libc.mount(str(scratch / name), f"/etc/{name}", None, libc.MS_BIND)
    if not enclosure.inside():
        libc.mount("sshd", "/run", "tmpfs")
    os.makedirs("/run/sshd", 0o755, exist_ok=True)
os.execv(sys.argv[3], sys.argv[3:])
"""


def new_key(path: Path) -> str:
    """Writes a private key and returns its public line, without a comment."""
    key = Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    path.chmod(0o600)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode()


def find() -> tuple[str, dict[str, str]]:
    """The server's path, and the environment it needs. MissingTool where it is neither installed nor unpacked."""
    if (installed := packages.find_program("sshd")) is not None:
        return installed, {}
    root = packages.guest_directory()
    libraries = ":".join(map(str, root.glob("usr/lib/*-linux-gnu")))
    return str(root / "usr/sbin/sshd"), {"LD_LIBRARY_PATH": libraries}


class Sshd:
    """`with Sshd(directory) as server`: `server.connection(…)` is how to reach it. It listens in the namespace named `netns`."""

    def __init__(self, directory: Path, address: str = "127.0.0.1", *, options: str = "", netns: str | None = None) -> None:
        self.directory = directory
        self.address = address
        self.port = 0
        self.key_file = directory / "user-key"
        self.known_hosts = directory / "known_hosts"
        self._options = options
        self._netns = netns
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Sshd:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "authorized_keys").write_text(new_key(self.key_file) + "\n")
        self.host_key = new_key(self.directory / "host-key")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        for _ in range(5):  # the port that was free may be somebody's a moment later
            if self._listens(self.port or self._free_port()):
                self.known_hosts.write_text(f"[{self.address}]:{self.port} {self.host_key}\n")
                return
        raise AssertionError((self.directory / "log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self.cut()
            self._process.terminate()
            self._process.wait(15)
            self._process = None

    def cut(self) -> None:
        """Kills the server's end of every connection; the server itself lives."""
        for pid in self._sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def connection(self, device: str = "box", **changes: object) -> Connection:
        known = {
            "host": self.address,
            "port": self.port,
            "username": getpass.getuser(),
            "key_file": str(self.key_file),
            "known_hosts": str(self.known_hosts),
        }
        return Connection(device, **{**known, **changes})

    def _free_port(self) -> int:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return sock.getsockname()[1]

    def _listens(self, port: int) -> bool:
        self.port = port
        program, needs = find()
        (self.directory / "config").write_text(
            f"Port {port}\nListenAddress {self.address}\nHostKey {self.directory / 'host-key'}\n"
            f"AuthorizedKeysFile {self.directory / 'authorized_keys'}\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n{self._options}\n"
        )
        log = (self.directory / "log").open("wb")
        argv = [sys.executable, "-c", _AS_ROOT, str(enclosure.ROOT), str(self.directory)]
        argv += [program, "-D", "-e", "-f", str(self.directory / "config")]
        if self._netns is not None:
            argv = ["ip", "netns", "exec", self._netns, *argv]
        with log:
            self._process = subprocess.Popen(argv, env={**os.environ, **needs}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while "Server listening" not in (said := (self.directory / "log").read_text(errors="replace")):
            if self._process.poll() is not None:
                assert "Address already in use" in said, said
                return False
            assert time.monotonic() < deadline, said
            time.sleep(0.02)
        return True

    def _sessions(self) -> list[int]:
        assert self._process is not None
        parents = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                name, _, rest = (entry / "stat").read_text().rpartition(")")
                if name.endswith("(sshd"):
                    parents[int(entry.name)] = int(rest.split()[1])
        found, fresh = set(), {self._process.pid}
        while fresh := {pid for pid, parent in parents.items() if parent in fresh | found} - found:
            found |= fresh
        return sorted(found)


def missing() -> str | None:
    """Why there is no server to test against, None where there is."""
    try:
        find()
    except MissingTool as error:
        return str(error)
    return None
