"""A virtual IOS router on loopback, its event loop in a thread of its own; what is asked of its state is asked there."""

from __future__ import annotations

import asyncio
import threading

from harness.model import Secret
from harness.model.reach import Connection
from harness.virtual.ios.state import State


def connection(router, protocol="ssh", **changes):
    """To that router, as the user that its configuration knows."""
    known = {
        "host": "127.0.0.1",
        "port": router.ssh_port if protocol == "ssh" else router.telnet_port,
        "protocol": protocol,
        "username": "natstorm",
        "password": Secret("letmein-please"),
        "enable": Secret("enable-me-too"),
        "known_hosts": str(router.known_hosts),
    }
    return Connection("edge", **{**known, **changes})


def play(body, device):
    """What `body(device)` gives, while the device is connected."""

    async def main():
        try:
            await device.connect()
            return await body(device)
        finally:
            await device.disconnect()

    return asyncio.run(main())


class Running:
    """`with Running(state, directory) as router`: `router.telnet_port`, `router.ssh_port`, `router.known_hosts`."""

    def __init__(self, state: State, directory=None, *, telnet=True, ssh=True):
        self.state = state
        self.directory = directory
        self._wanted = {name: ("127.0.0.1", 0) for name, on in (("telnet", telnet), ("ssh", ssh)) if on}
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = None
        self._trouble = None

    def __enter__(self):
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._main(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)
        if self._trouble is not None:
            raise self._trouble
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """The router is gone. Safe twice."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(30)
            assert not self._thread.is_alive()
            self._loop.close()

    async def _main(self):
        from harness.virtual.ios.server import Server

        self._over = asyncio.Event()
        try:
            async with Server(self.state, **self._wanted) as self.server:
                self.telnet_port, self.ssh_port = self.server.telnet_port, self.server.ssh_port
                if self.directory is not None and "ssh" in self._wanted:
                    self.known_hosts = self.directory / "known_hosts"
                    self.known_hosts.write_text(f"[127.0.0.1]:{self.ssh_port} {self.server.host_key}\n")
                self._ready.set()
                await self._over.wait()
        except Exception as error:
            self._trouble = error
            self._ready.set()

    def ask(self, question):
        """`question(state)`, in the loop's thread."""

        async def within():
            found = question(self.state)
            self.server.settle()
            return found

        return asyncio.run_coroutine_threadsafe(within(), self._loop).result(30)
