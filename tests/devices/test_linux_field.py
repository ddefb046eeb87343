"""Linux devices that are not ours: boxes in namespaces, which the harness knows by an SSH address alone.

nft, conntrack and OpenSSH's server are real; the server runs in the NAT's namespace, reached over a link of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from enclosed import enclosed
from nat_play import NAT, Play

from bench_in_a_box import sshd
from bench_in_a_box.sshd import Sshd
from harness.devices import commands, journal
from harness.devices.journal import Journal
from harness.devices.linux_host import LinuxHost
from harness.devices.linux_nat import LinuxNat
from harness.devices.ssh import SshConnection
from harness.errors import DeviceError

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(sshd.missing() is not None, reason="no OpenSSH server unpacked (natstorm setup)"),
]
ADDRESS = "10.255.0.2"


class Field:
    """The nodes of a lab, and the NAT's as a device of somebody's. The driver knows its ports and time-outs to be others."""

    def __init__(self):
        self.play = Play()
        netns = self.play.nat.netns.name
        batch = f"link add mgmt0 type veth peer name mgmt1 netns {netns}\nlink set mgmt0 up\naddress add 10.255.0.1/30 dev mgmt0\n"
        subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)
        self.play.nat.netns.ip("address", "add", f"{ADDRESS}/30", "dev", "mgmt1")
        self.play.nat.netns.ip("link", "set", "mgmt1", "up")
        self.server = Sshd(Path("/tmp/box"), ADDRESS, netns=netns)
        self.spec = replace(
            self.play.testbed.nat, first_port=50000, last_port=50001, udp_timeout_s=41, udp_stream_timeout_s=42
        )

    def connection(self):
        return self.server.connection("nat")

    def driver(self, device, book=None, spec=None):
        prefix = self.play.testbed.clients.prefix
        return LinuxNat(device.execute, spec or self.spec, prefix, name="nat", journal=book, connection=self.connection())

    def state(self):
        """All that the driver may change."""
        netns = self.play.nat.netns
        shown = sorted(netns.run(["nft", "-s", "list", "ruleset"]).stdout.split("table "))  # the order of tables has no meaning
        names = [f"net/netfilter/nf_conntrack_udp_timeout{end}" for end in ("", "_stream")]
        names += ["net/netfilter/nf_conntrack_acct", "net/ipv4/ip_forward", "net/ipv4/conf/all/send_redirects"]
        names += ["net/ipv4/conf/all/accept_redirects", *(f"net/ipv4/conf/{one}/forwarding" for one in ("default", "mgmt1", "lo"))]
        return shown, [netns.read_sysctl(name) for name in names]


def theirs(netns, priority):
    """Another translation of the clients, loaded anew where it is there already."""
    chain = f"type nat hook postrouting priority {priority};"
    rule = "ip saddr 10.0.0.0/24 udp dport 500 masquerade to :60000-60999"
    text = f"table ip theirs\ndelete table ip theirs\ntable ip theirs {{\n chain translate {{\n {chain}\n {rule}\n }}\n}}\n"
    netns.run(["nft", text])


@enclosed
def test_a_nat_over_ssh_translates_is_read_forgets_and_is_left_as_it_was():
    field = Field()
    play = field.play
    with field.server:
        play.nat.netns.sysctl({"net/netfilter/nf_conntrack_acct": "0", "net/ipv4/ip_forward": "0"})
        # Neither is what the kernel makes of them when ip_forward becomes 0.
        play.nat.netns.sysctl({"net/ipv4/conf/all/accept_redirects": "0", "net/ipv4/conf/mgmt1/forwarding": "1"})
        theirs(play.nat.netns, "srcnat")
        before = field.state()
        book = Journal.create("field", "field.yaml", Path("/tmp/restore"))

        async def body():
            async with SshConnection(field.connection(), root=True) as device:
                nat = field.driver(device, book)
                await nat.start()
                assert len(book.open) == 1
                theirs(play.nat.netns, "srcnat")  # of two at one priority the later one would win
                assert field.state()[1][:3] == ["41", "42", "1"]
                await asyncio.to_thread(traffic, nat)
                with pytest.raises(DeviceError, match="renumber"):
                    await nat.renumber("203.0.113.233")
                await nat.flush_neighbours()
                await nat.restore()

        def traffic(nat):
            first, second = play.client("10.0.0.2", 500), play.client("10.0.0.3", 500)
            seen = [play.ask(first, b"one"), play.ask(second, b"two")]
            assert {port for _, port in seen} == {50000, 50001}
            play.answer(first, seen[0], b"back")
            found = asyncio.run(with_device(lambda mine: mine.mappings()))
            assert [(m.inside_address, m.inside_port, m.outside_address, m.outside_port, m.answered) for m in found] == [
                ("10.0.0.2", 500, *seen[0], True),
                ("10.0.0.3", 500, *seen[1], False),
            ]
            assert [(m.packets_up, m.packets_down) for m in found] == [(1, 1), (1, 0)]
            assert asyncio.run(with_device(lambda mine: mine.forget("10.0.0.2"))) == 1
            assert [m.inside_address for m in play.nat.mappings()] == ["10.0.0.3"]
            asyncio.run(with_device(lambda mine: mine.reboot()))
            assert play.nat.mappings() == ()
            assert asyncio.run(with_device(lambda mine: mine.forget())) == 0

        async def with_device(call):
            async with SshConnection(field.connection(), root=True) as device:
                return await call(field.driver(device))

        asyncio.run(body())
        assert field.state() == before
        assert book.open == ()


@enclosed
def test_a_nat_that_translates_otherwise_than_the_testbed_says_is_told():
    field = Field()
    play = field.play
    with field.server:
        theirs(play.nat.netns, "srcnat - 50")

        async def body():
            async with SshConnection(field.connection(), root=True) as device:
                nat = field.driver(device)
                await nat.start()
                assert await nat.mappings() == ()
                seen = await asyncio.to_thread(lambda: play.ask(play.client("10.0.0.2", 500), b"one"))
                assert seen[1] >= 60000
                said = rf"not the one named: 10.0.0.2 port 500 goes out as {NAT} port {seen[1]}, and .*{NAT}, ports 50000 to 50001"
                with pytest.raises(DeviceError, match=said):
                    await nat.mappings()

        asyncio.run(body())


@enclosed
def test_another_box_than_the_testbed_means_is_not_touched():
    field = Field()
    with field.server:
        before = field.state()
        book = Journal.create("field", "field.yaml", Path("/tmp/restore"))

        async def body():
            async with SshConnection(field.connection(), root=True) as device:
                other = replace(field.spec, outside=replace(field.spec.outside, address="203.0.113.99/24"))
                with pytest.raises(DeviceError, match=rf"the address 203.0.113.99, but on the device it has {NAT}"):
                    await field.driver(device, book, other).start()
                host = LinuxHost(device.execute, name="nat")
                assert ADDRESS in (await host.addresses())["mgmt1"]
                assert "10.255.0.0/30" in [route.to for route in await host.routes()]
                await host.ready_to_capture("mgmt1")
                with pytest.raises(DeviceError, match="No such device"):
                    await host.ready_to_capture("mgmt9")

        asyncio.run(body())
        assert book.open == ()
        assert field.state() == before


def change_and_stay(field, told):
    """A run that is killed after its change."""

    async def body():
        book = Journal.create("field", "/tmp/field.yaml", Path("/tmp/state/natstorm/restore"))
        async with SshConnection(field.connection(), root=True) as device:
            await field.driver(device, book).start()
            os.write(told, b"changed")
            await asyncio.Event().wait()

    asyncio.run(body())


def restore(testbed):
    parser = argparse.ArgumentParser()
    commands.add_commands(parser.add_subparsers())
    arguments = parser.parse_args(["restore"])
    arguments.load_described = lambda file: testbed
    arguments.lock_devices = lambda *_: contextlib.nullcontext()
    return arguments.run(arguments)


@enclosed
def test_a_run_is_killed_and_restore_puts_the_device_back():
    os.environ["XDG_STATE_HOME"] = "/tmp/state"
    field = Field()
    with field.server:
        before = field.state()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                change_and_stay(field, writer)
            finally:
                os._exit(1)
        os.close(writer)
        assert os.read(reader, 100) == b"changed"
        changed = field.state()
        assert changed != before
        testbed = replace(field.play.testbed, nat=replace(field.spec, connection=field.connection()))
        assert restore(testbed) == 3  # the run lives
        assert field.state() == changed
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

        # Nobody answers: the journal stays, and what is to be typed is in it.
        field.server.stop()
        assert restore(testbed) == 3
        (script,) = Path("/tmp/state/natstorm/restore").glob("*.undo-1")
        assert "masquerade to :1024-65535" in script.read_text()
        assert field.state() == changed

        # The testbed names another device by that name: its password is not tried there.
        field.server.start()
        elsewhere = replace(field.connection(), host="10.255.0.9")
        assert restore(replace(testbed, nat=replace(field.spec, connection=elsewhere))) == 3
        assert field.state() == changed

        kept = journal.kept()[0].open[0][1].at["port"]
        assert kept == field.server.port
        assert restore(testbed) == 0
        assert field.state() == before
        assert list(Path("/tmp/state/natstorm/restore").iterdir()) == []
        assert restore(testbed) == 0
