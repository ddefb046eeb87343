"""SSH's side of a virtual IOS router's terminal lines: what asyncssh asks, answered by the router's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncssh

from harness.virtual.ios.server import Server, authentic
from harness.virtual.ios.session import Session


def server_factory(server: Server) -> Callable[[], asyncssh.SSHServer]:
    return lambda: _Connection(server)


class _Connection(asyncssh.SSHServer):  # type: ignore[misc]
    """Users prove themselves by password, or by the same in a keyboard dialogue, as IOS lets them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Any = None
        self._user = ""

    def connection_made(self, conn: Any) -> None:
        self._connection = conn
        self._server.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        self._user = username
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return authentic(self._server, username, password)

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> tuple[str, str, str, list[tuple[str, bool]]]:
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: list[str]) -> bool:
        return len(responses) == 1 and authentic(self._server, username, responses[0])

    def session_requested(self) -> _Terminal:
        source = self._connection.get_extra_info("peername")[0]
        return _Terminal(self._server, self._connection, self._user, source)


class _Terminal(asyncssh.SSHServerSession):  # type: ignore[misc]
    """One channel. `ssh host command` is refused: a terminal line has nothing to do with it."""

    def __init__(self, server: Server, connection: Any, user: str, source: str) -> None:
        self._server, self._connection, self._user, self._source = server, connection, user, source
        self._channel: Any = None
        self._size: tuple[int, int] | None = None
        self._session: Session | None = None

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Any) -> bool:
        self._size = term_size[:2]
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        if self._session is not None:
            self._session.window(width, height)

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        return False

    def session_started(self) -> None:
        self._session = self._server.opened(self, self._user, self._source)
        if self._session is None:
            self._channel.exit(1)
        elif self._size is not None:
            self._session.window(*self._size)

    def data_received(self, data: bytes, datatype: Any) -> None:
        if self._session is not None:
            self._session.receive(self._server.now, data)
            self._server.settle()

    def eof_received(self) -> bool:
        self._gone()
        return False

    def break_received(self, msec: int) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()
        self._connection.close()  # IOS ends the connection with its terminal line

    def _gone(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._server.lost(session)

    def send(self, data: bytes) -> None:
        self._channel.write(data)

    def end(self) -> None:
        self._channel.exit(0)
