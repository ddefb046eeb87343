"""A router becomes a gateway and is put back, by the driver over the system's own ssh; on a release that asks before it clears."""

from __future__ import annotations

import asyncio
import random
import shutil

import pytest
from running import Running, connection

from harness.devices import journal
from harness.devices.ios import configurations
from harness.devices.ios.driver import Ios
from harness.devices.ios.gateway import CLEARED, IosGateway
from harness.devices.ios.gateway_lines import ClientsLns
from harness.model import Secret
from harness.virtual.ios.router import IosRouter
from harness.virtual.ios.state import Ask, State

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")
pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no program ssh (Debian package openssh-client)")

STARTUP = """\
hostname R1
enable secret enable-me-too
username natstorm privilege 1 password 0 letmein-please
crypto isakmp policy 1
 hash md5
 authentication pre-share
 lifetime 300
interface FastEthernet0/0
 ip address 203.0.113.231 255.255.255.0
line con 0
line vty 0 4
 login local
end
"""
LNS = ClientsLns("FastEthernet0/0", Secret("a-key"), "172.16.0.1", "172.16.0.10", "172.16.0.99", {"user1": Secret("pw1")}, 10.0)


def test_it_becomes_a_gateway_and_goes_back(tmp_path):
    state = State(startup=STARTUP, release="12.4(24)T")
    router = IosRouter(state, random.Random(1).randbytes)
    answered = []

    def asks(session, match):
        return Ask("Proceed with clearing all tunnels? [confirm]", lambda typed: answered.append(typed) or (), key=True)

    state.command(CLEARED[0], asks)
    book = journal.Journal.create("lab", "lab.yaml", tmp_path / "restore")
    with Running(state, tmp_path, telnet=False) as running:
        gateway = IosGateway(Ios(connection(running), journal=book, secrets=[LNS.psk]), LNS)
        before = running.ask(lambda state: state.configuration.text())

        async def play():
            await gateway.start()
            assert (await asyncio.to_thread(running.ask, lambda state: router.settings.psk.reveal())) == "a-key"
            assert len(book.open) == 1
            view = await gateway.view("end")
            assert (view.sessions, view.sas) == ((), ())
            await gateway.reconfigure(demux=False)
            assert not await asyncio.to_thread(running.ask, lambda state: router.settings.personality.demux)
            await gateway.restore()

        asyncio.run(play())
        after = running.ask(lambda state: state.configuration.text())
        typed = running.ask(lambda state: list(state.typed))
    assert configurations.parse_config(after) == configurations.parse_config(before)
    assert book.open == ()
    assert len(answered) == typed.count(CLEARED[0]) == 2  # at the start and at the end, each confirmed
    assert not [line for line in typed if line.startswith(("write", "copy"))]
    assert state.startup == STARTUP
