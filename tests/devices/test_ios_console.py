"""A router behind a port of a console server that speaks plain TCP: nobody negotiates the echo, so that telnet's own comes before
the router's."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager, suppress

import pytest
from running import Running
from test_ios import CONFIG

from harness.devices.ios.driver import Ios
from harness.errors import MissingTool
from harness.lab import unpacked
from harness.model import Secret
from harness.model.reach import Connection
from harness.routers.field_consoles import clock_of
from harness.virtual.ios.state import State

with suppress(MissingTool):  # the test says so
    unpacked.offer("telnet")
pytestmark = pytest.mark.skipif(shutil.which("telnet") is None, reason="no program telnet (Debian package inetutils-telnet)")

IAC, WILL = 255, 251
PASSWORD, ENABLE = Secret("letmein-please"), Secret("enable-me-too")


def plain(data: bytes) -> bytes:
    """Without telnet's negotiation, of which the router's side is whole in one read, and has no subnegotiation."""
    kept, at = bytearray(), 0
    while at < len(data):
        if data[at] != IAC:
            kept.append(data[at])
            at += 1
        else:
            at += 3 if data[at + 1] >= WILL else 2
    return bytes(kept)


@asynccontextmanager
async def console_server(port):
    """The port of one, before a router's telnet at `port`."""

    async def pump(reader, writer):
        while data := await reader.read(4096):
            writer.write(plain(data))
        writer.close()

    async def serve(reader, writer):
        near, far = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, far), pump(near, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_what_was_typed_is_no_part_of_what_was_printed():
    async def main(router):
        async with console_server(router.telnet_port) as port:
            there = Connection("edge", "127.0.0.1", port, "natstorm", PASSWORD, ENABLE, "telnet")
            async with Ios(there, timeout=20) as device:
                offered = await device.offer(["ip host b0 1.2.3.5", "crypto map M 10 ipsec-isakmp", "crypto map M 10 ipsec-manual"])
                asked = [await device.ask(command) for command in ("show clock", "show nonsense")]
                version = await device.execute("show version")
                read = await device.parse("show users")
        return offered, asked, version, read

    with Running(State(startup=CONFIG, release="12.4(24)T"), ssh=False) as router:
        offered, asked, version, read = asyncio.run(main(router))
    assert offered[0] == ("ip host b0 1.2.3.5", "")
    assert offered[1][1].startswith("% NOTE: This new crypto map")
    assert offered[2][1] == "Attempt to change the type of an existing crypto map is not allowed."
    assert "show" not in "".join(asked)
    assert clock_of(asked[0]) is not None
    assert asked[1].endswith("% Invalid input detected at '^' marker.")
    assert version.startswith("Cisco IOS Software")
    assert (read.unread, read.cut) == ((), "")
    assert "\r" not in "".join([*(text for _, text in offered), *asked, version])
