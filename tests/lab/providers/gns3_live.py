"""Real GNS3 servers on loopback, headless, each with all of its state below a directory of the test's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import requests

from harness.lab import for_tests

USER, PASSWORD = "bench", "live-s3cret"
UP_S = 180.0

_COMMON = """[Server]
host = 127.0.0.1
port = {port}
images_path = {state}/images
projects_path = {state}/projects
appliances_path = {state}/appliances
symbols_path = {state}/symbols
configs_path = {state}/configs
report_errors = False
"""
CONFIGURATION = {
    "2.2": _COMMON + "auth = True\nuser = {user}\npassword = {password}\n",
    "3.0": _COMMON
    + "secrets_dir = {state}\nresources_path = {state}/resources\n"
    + "install_builtin_appliances = False\nauto_discover_images = False\n"
    + "[Controller]\ndefault_admin_username = {user}\ndefault_admin_password = {password}\n",
}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Live:
    """A server. `kill` ends it as a power cut would; it may be started again, with what it had on its disk."""

    def __init__(self, version: str, state: Path) -> None:
        self.version, self.port, self.state = version, free_port(), state
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = state / "log"

    def start(self) -> None:
        """Returns once it answers. It dies with this process, however that ends."""
        where = for_tests.directory(for_tests.GNS3[self.version])
        assert where is not None
        configuration = self.state / "gns3_server.conf"
        values = {"port": self.port, "state": self.state, "user": USER, "password": PASSWORD}
        configuration.write_text(CONFIGURATION[self.version].format(**values))
        own = {"HOME": self.state, "XDG_CONFIG_HOME": self.state / "config", "TMPDIR": self.state}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(where / "bin" / "gns3server"), "--config", str(configuration), "--local"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.state, start_new_session=True,
                env={**os.environ, **{name: str(path) for name, path in own.items()}},
            )  # fmt: skip
        try:
            self.await_up()
        except BaseException:
            self.kill()
            raise

    def await_up(self) -> None:
        api, until = f"/v{self.version[0]}/version", time.monotonic() + UP_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended by itself:\n{self.log.read_text()}")
            try:
                if requests.get(self.url + api, auth=(USER, PASSWORD), timeout=30).ok:
                    return
            except requests.RequestException:
                time.sleep(0.2)
        raise AssertionError(f"the server did not answer within {UP_S:g} s:\n{self.log.read_text()}")

    def kill(self) -> None:
        """It, and whatever it started: they are a session of their own."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        finally:
            self.process.wait()


@contextmanager
def live(version: str, state: Path):
    server = Live(version, state)
    server.start()
    try:
        yield server
    finally:
        server.kill()
