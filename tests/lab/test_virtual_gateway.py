"""The project's own gateway as a process in its namespace, behind the kernel's NAT, with simulated clients on real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from enclosed import enclosed

from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal
from harness.clients.transport import Transport, open_ports
from harness.devices.virtual_gateway import ProcessGateway
from harness.errors import DeviceError
from harness.lab import enclosure
from harness.lab.namespaces import Netns
from harness.lab.topology import Topology
from harness.model import RecordKind, Secret, Side
from harness.model.testbed import Testbed
from harness.probes.pcap import LINUX_SLL2, RAW_IP, read_frames
from harness.testbed.load import check
from harness.wire import ip

lab = pytest.mark.lab
ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60.0
"""For what is to come, on a machine that may be busy elsewhere."""

SILENCE_S = 3.0
"""For what is not to come."""


class Process:
    """The gateway's process in a namespace; `driver` is connected once it serves."""

    def __init__(self, testbed: Testbed, variant: str, netns: Netns, folder: Path) -> None:
        self.driver = ProcessGateway()
        clients, gateway = testbed.clients, testbed.gateway
        plan = {
            "personality": variant,
            "time_scale": 1.0,
            "changes": {},
            "address": gateway.address,
            "psk": clients.psk.reveal(),
            "users": {clients.user_of(n): clients.password_of(n).reveal() for n in range(1, 10)},
            "ppp_address": gateway.ppp_address,
            "pool_first": gateway.pool_first,
            "pool_last": gateway.pool_last,
            "lan": {"interface": gateway.lan.name, "address": gateway.lan.address, "end_host": gateway.end_host.host},
            "events": str(folder / "events.jsonl"),
        }
        file = folder / "gateway.json"
        file.write_text(json.dumps(plan))
        self.control, its = socket.socketpair()
        with its:
            command = enclosure.python("harness.virtual.process", "--settings", str(file), "--control", str(its.fileno()))
            self.process = subprocess.Popen(netns.command(command), pass_fds=[its.fileno()], start_new_session=True)

    async def stop(self, status: int = 0) -> None:
        await self.driver.disconnect()
        assert await asyncio.to_thread(self.process.wait, PATIENCE_S) == status


class Place:
    """The virtual testbed with a gateway of `variant`, and a fleet."""

    def __init__(self, folder: Path, testbed: Testbed, topology: Topology, node: Process, fleet: Fleet) -> None:
        self.folder, self.testbed, self.topology, self.node, self.fleet = folder, testbed, topology, node, fleet

    async def up(self, *numbers: int) -> None:
        for number in numbers:
            client = self.fleet.add(self.testbed.clients.plan(number, self.testbed.gateway.address))
            client.connect()
            assert await client.until_up(PATIENCE_S), client.last

    async def answered(self, name: str, patience_s: float = PATIENCE_S) -> bool:
        """Whether a mark sent from now on comes back."""
        client = self.fleet[name]
        before = client.count(RecordKind.MARK_ANSWERED)
        client.send_marks(20)
        came = await client.until(RecordKind.MARK_ANSWERED, patience_s, beyond=before)
        client.stop_marks()
        return came is not None


def play(variant: str, script: Callable[[Place], Awaitable[None]]) -> None:
    async def run() -> None:
        testbed = check(ROOT / "testbeds/virtual.yaml")
        topology = Topology(testbed)
        topology.up()
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            node = Process(testbed, variant, topology.gateway, folder)
            await node.driver.connect(node.control)
            ports = (500, 4500, 1701)
            with Journal(folder, RunClock.fix()) as diary:
                carrier = Transport(open_ports(ports, enter=topology.clients.entered))
                async with Fleet(carriers=[carrier], journal=diary) as fleet:
                    await script(Place(folder, testbed, topology, node, fleet))
            await node.stop()
        topology.down()

    asyncio.run(run())


@lab
@enclosed
def test_two_clients_through_the_kernels_nat():
    async def script(place):
        out = place.folder / "out"
        out.mkdir()
        await place.node.driver.start_witnesses(out)
        await place.up(1, 2)
        assert await place.answered("c1")
        assert await place.answered("c2")
        view = await place.node.driver.view("both")
        assert [s.peer_port for s in view.sessions] == [1024, 1025]
        assert view.ports == {1: 1024, 2: 1025}
        assert abs(view.t - place.fleet.clients["c1"].last[RecordKind.MARK_ANSWERED].t) < 30
        far, translated = await place.node.driver.stop_witnesses()
        assert (far.side, far.complete, far.dropped) == (Side.FAR_END, True, 0)
        frames = list(read_frames(out / "far-end.pcap"))
        assert len(frames) == far.frames > 4
        assert {frame.link for frame in frames} == {LINUX_SLL2}
        assert (out / "far-end.links").read_text() == "0 ppp0\n1 ppp1\n"
        boundary = list(read_frames(translated.path))
        assert {frame.link for frame in boundary} == {RAW_IP}
        seen = {ip.parse_udp(ip.parse_ipv4(f.data).payload).sport for f in boundary} - {1701}
        assert seen == {1024, 1025}
        kinds = Counter(event.kind for event in await place.node.driver.events())
        assert kinds["ppp-up"] == kinds["port-given"] == 2
        assert not await place.node.driver.events()
        stats = await place.node.driver.stats()
        assert stats["wire"]["received"] > 20
        assert not stats["wire"].get("overflowed")
        # A client that a busy machine kept waiting repeats itself, which is dropped or refused: no more is asked than who is there.
        assert {name: stats[name] for name in ("associations", "tunnels")} == {"associations": 2, "tunnels": 2}
        assert 0.0 < stats["cpu_s"] < 60.0
        assert stats["peak_kib"] > 10_000

    play("demux", script)


@lab
@enclosed
def test_the_end_host_answers():
    async def script(place):
        await place.up(1)
        address = place.fleet["c1"].address
        # The clients of this place answer no pings: the end host's own goes to the gateway, which does.
        with place.topology.host.entered(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as asking:
            asking.settimeout(PATIENCE_S)
            asking.sendto(ip.build_echo(ip.Echo(True, 7, 1, b"gateway?")), (place.testbed.gateway.ppp_address, 0))
            answer = ip.parse_echo(ip.parse_ipv4(asking.recv(2000)).payload)
        assert answer == ip.Echo(False, 7, 1, b"gateway?")
        client = place.fleet["c1"]
        request = ip.build_echo(ip.Echo(True, 1, 1, b"to the end host"))
        host = place.testbed.gateway.end_host.host
        before = (await place.node.driver.stats())["lan"].get("received", 0)
        client._stack.send_ip(place.fleet.now(), ip.build_ipv4(address, host, ip.ICMP, request))
        client._do(lambda now: None)
        async with asyncio.timeout(PATIENCE_S):
            while (stats := await place.node.driver.stats())["lan"].get("received", 0) == before:
                await asyncio.sleep(0.02)
        assert stats["lan"]["received"] == before + 1
        assert stats["lan"]["sent"] >= 1

    play("demux", script)


@lab
@enclosed
def test_orders_reach_it():
    async def script(place):
        await place.up(1, 2, 3)
        driver = place.node.driver
        view = await driver.view("three")
        await driver.close_l2tp(view.sessions[0].tunnel_local)
        assert await place.fleet["c1"].until(RecordKind.ENDED, PATIENCE_S)
        spi = place.fleet["c2"].last[RecordKind.ESP_UP].data["spi_in"]
        await driver.rekey(str(spi))
        assert await place.fleet["c2"].until(RecordKind.ESP_UP, PATIENCE_S, beyond=1)
        await driver.rekey_ike(str(spi))
        assert await place.fleet["c2"].until(RecordKind.IKE_UP, PATIENCE_S, beyond=1)
        assert await place.answered("c2")
        await driver.delete_ipsec(str(place.fleet["c3"].last[RecordKind.ESP_UP].data["spi_in"]))
        assert await place.fleet["c3"].until(RecordKind.ENDED, PATIENCE_S)
        with pytest.raises(DeviceError, match="no ESP SA"):
            await driver.delete_esp("deadbeef")
        with pytest.raises(DeviceError, match="no setting"):
            await driver.reconfigure(colour="red")
        await driver.reconfigure(psk=Secret("another"), demux=False)
        await driver.silence()
        assert not await place.answered("c2", SILENCE_S)
        await driver.silence(False)
        assert await place.answered("c2")
        await driver.kill_daemons()
        assert not (await driver.view("nothing left")).sas
        assert not await place.answered("c2", SILENCE_S)
        await driver.restart_daemons()
        await driver.reconfigure(psk=Secret("sharedsecret"))
        await place.up(4)
        await driver.stop_daemons()
        assert await place.fleet["c4"].until(RecordKind.ENDED, PATIENCE_S)
        assert "ppp-up" in (await driver.logs())["gateway"]

    play("demux", script)


@lab
@enclosed
def test_sigterm_is_told_to_the_clients():
    async def script(place):
        await place.up(1, 2)
        os.kill(place.node.process.pid, signal.SIGTERM)
        for name in ("c1", "c2"):
            ended = await place.fleet[name].until(RecordKind.ENDED, PATIENCE_S)
            assert ended is not None

    play("demux", script)


@lab
@enclosed
def test_it_does_not_outlive_the_run_that_started_it():
    async def script(place):
        await place.node.driver.disconnect()
        assert await asyncio.to_thread(place.node.process.wait, PATIENCE_S) == 0

    play("plain", script)


@lab
@enclosed
def test_what_does_not_come_up_says_why():
    async def run():
        testbed = check(ROOT / "testbeds/virtual.yaml")
        topology = Topology(testbed)
        topology.up()
        with tempfile.TemporaryDirectory() as scratch:
            for variant, words in (("nonsense", "no virtual gateway is called"), ("demux", "Cannot assign requested address")):
                node = Process(testbed, variant, topology.host if variant == "demux" else topology.gateway, Path(scratch))
                with pytest.raises(DeviceError, match=words):
                    await node.driver.connect(node.control)
                await node.stop(3)
        topology.down()

    asyncio.run(run())

