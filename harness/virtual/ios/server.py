"""A virtual IOS router's terminal lines on sockets: telnet, and SSH through asyncssh. One event loop, no threads.

    async with Server(state, telnet=("127.0.0.1", 0), ssh=("127.0.0.1", 0)) as server:
        server.telnet_port, server.ssh_port, server.host_key

While the router boots after a `reload` nobody listens; sessions that were there are cut. SSH's users are the configuration's
local ones.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

from harness.errors import LabError, MissingTool
from harness.virtual.ios import login
from harness.virtual.ios.session import Session
from harness.virtual.ios.state import State
from harness.virtual.ios.telnet import Telnet

Address = tuple[str, int]
LINES = 5
"""vty 0 to 4, where the configuration does not have more."""


class Server:
    """`clock` gives seconds that only go forward; the state's `now` is what has passed of them since the start. `key`: a host key
    of asyncssh's, of which one is made where none is given."""

    def __init__(
        self,
        state: State,
        *,
        telnet: Address | None = None,
        ssh: Address | None = None,
        key: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = state
        self.telnet_port = telnet[1] if telnet else 0
        self.ssh_port = ssh[1] if ssh else 0
        self._telnet, self._ssh, self._key = telnet, ssh, key
        self._clock = clock
        self._start = clock() - state.now
        self._listening: list[Any] = []
        self.connections: set[Any] = set()
        self._links: dict[Session, Link] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._booting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Server:
        if self._ssh is not None and self._key is None:
            self._key = _asyncssh().generate_private_key("ssh-rsa", key_size=2048)
        self.state.on_reload.append(self._reloads)
        await self._listen()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.state.on_reload.remove(self._reloads)
        if self._booting is not None:
            self._booting.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for session in tuple(self._links):
            session.close()
        self._deafen()
        self._drop()

    @property
    def host_key(self) -> str:
        """The public half, as a known_hosts file has it behind the host's name."""
        return " ".join(self._key.export_public_key().decode().split()[:2])

    @property
    def now(self) -> float:
        return self._clock() - self._start

    # --- for the links ---

    def opened(self, link: Link, user: str | None, source: str) -> Session | None:
        """A session on the first free line; None where all are taken."""
        taken = {session.line for session in self.state.sessions}
        count = max([LINES, *(int(entry.words[-1]) + 1 for entry in self.state.configuration.tree.find("line vty"))])
        free = next((line for line in (f"vty {n}" for n in range(count)) if line not in taken), None)
        if free is None:
            return None
        session = Session(self.state, free, user=user, source=source)
        self._links[session] = link
        session.open(self.now)
        self.settle()
        return session

    def settle(self) -> None:
        """After anything has happened: what sessions have to say goes out, what is over is closed, the timer stands anew."""
        for session, link in tuple(self._links.items()):
            if out := session.take_output():
                link.send(out)
            if session.closed:
                del self._links[session]
                link.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (deadline := self.state.deadline) is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, deadline - self.now), self._tick)

    def lost(self, session: Session) -> None:
        self._links.pop(session, None)
        session.lose()
        self.settle()

    # --- within ---

    def _tick(self) -> None:
        self.state.tick(self.now)
        self.settle()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            if self._telnet is not None:
                server = await loop.create_server(lambda: TelnetLink(self), self._telnet[0], self.telnet_port)
                self._listening.append(server)
                self.telnet_port = server.sockets[0].getsockname()[1]
            if self._ssh is not None:
                await self._listen_ssh(self._ssh[0])
        except OSError as error:
            self._deafen()
            cure = "is another router at that address and port?"
            raise LabError("a virtual IOS router's terminal lines", str(error), cure) from error

    async def _listen_ssh(self, host: str) -> None:
        from harness.virtual.ios.ssh import server_factory

        acceptor = await _asyncssh().listen(
            host,
            self.ssh_port,
            server_factory=server_factory(self),
            server_host_keys=[self._key],
            encoding=None,
            line_editor=False,
            allow_scp=False,
            server_version="Cisco-1.25",
        )
        self._listening.append(acceptor)
        self.ssh_port = acceptor.get_port()

    def _deafen(self) -> None:
        listening, self._listening = self._listening, []
        for server in listening:
            server.close()

    def _drop(self) -> None:
        """Every connection, one that has not come to a session too."""
        for connection in tuple(self.connections):
            connection.abort()
        self.connections.clear()
        self._links.clear()

    def _reloads(self, now: float) -> None:
        self._booting = asyncio.get_running_loop().create_task(self._boot())

    async def _boot(self) -> None:
        self._deafen()
        self._drop()
        await asyncio.sleep(max(0.0, self.state.up_at - self.now))
        await self._listen()


class Link(Protocol):
    """A connection of a session, by whatever server."""

    def send(self, data: bytes) -> None: ...

    def end(self) -> None:
        """Closes it once all was sent."""


class TelnetLink(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self._telnet = Telnet()
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(transport)
        transport.write(self._telnet.take())
        self._session = self._server.opened(self, None, str(transport.get_extra_info("peername")[0]))
        if self._session is None:
            transport.close()

    def data_received(self, data: bytes) -> None:
        session = self._session
        typed = self._telnet.receive(data)
        if self._transport is not None and (answer := self._telnet.take()):
            self._transport.write(answer)
        if session is not None:
            if self._telnet.window is not None:
                session.window(*self._telnet.window)
                self._telnet.window = None
            session.receive(self._server.now, typed)
            self._server.settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self._transport)
        if self._session is not None:
            self._server.lost(self._session)

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(self._telnet.send(data))

    def end(self) -> None:
        if self._transport is not None:
            self._transport.close()


def authentic(server: Server, name: str, password: str) -> bool:
    return login.authentic(server.state.configuration.tree, name, password)


def _asyncssh() -> Any:
    try:
        import asyncssh
    except ImportError as error:
        cure = "pip install 'natstorm[virtual-ios]'"
        raise MissingTool("a virtual IOS router's SSH server", "no module asyncssh", cure) from error
    return asyncssh
