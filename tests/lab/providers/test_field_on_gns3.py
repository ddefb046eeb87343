"""A lab of real devices whose devices are a GNS3 project's, and captures that come from its links."""

from __future__ import annotations

import asyncio
import struct
import threading
from pathlib import Path

import pytest
from gns3_fake import PCAP_HEADER, fake

from harness.devices.ssh import Patience
from harness.errors import CaptureError, DeviceError
from harness.lab import field
from harness.lab.field import FieldLab
from harness.lab.reached import to_its_end
from harness.lab.segment import Segment
from harness.model import Side
from harness.model.reach import CaptureSource
from harness.scenario.field_captures import Iterated, OverGns3
from harness.testbed import check

TESTBED = Path(__file__).parents[3] / "testbeds" / "gns3.yaml"
FRAMES = [struct.pack("<IIII", 1_700_000_000 + n, 0, 4, 4) + b"\x45\0\0\x04" for n in range(3)]


@pytest.fixture
def server():
    with fake() as one:
        project = one.add_project("natstorm")
        router, nat = one.add_node(project, "R1", "dynamips"), one.add_node(project, "nat-box", status="started")
        one.add_link(project, (router, 0), (nat, 1))
        one.packets = FRAMES
        yield one


@pytest.fixture
def testbed(server, tmp_path, monkeypatch):
    for name in ("PSK", "PPP_PASSWORD", "LAB_PASSWORD", "ENABLE"):
        monkeypatch.setenv(f"NATSTORM_{name}", "x")
    monkeypatch.setenv("NATSTORM_GNS3_PASSWORD", server.password)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    text = TESTBED.read_text().replace("http://192.168.122.1:3080", server.url)
    text = text.replace("ip: 192.168.122.12", "ip: 127.0.0.1, port: 9")  # nobody answers there
    text = text.replace("port: eth0\n", "port: Ethernet0\n")  # as its node calls it
    file = tmp_path / "gns3.yaml"
    file.write_text(text)
    return check(file)


def source(testbed, port="Ethernet1"):
    return CaptureSource("gns3", port, testbed.nat.connection)


def states(server):
    return {node["name"]: node["status"] for node in server.nodes.values()}


def test_the_project_is_up_before_anybody_logs_in_and_down_after_it_failed(server, testbed, monkeypatch):
    monkeypatch.setattr(Segment, "check", lambda self: None)
    monkeypatch.setattr(field, "BOOTING", Patience(attempts=1))
    told, seen = [], []

    def tell(line):
        told.append(line)
        seen.append(states(server)["R1"])

    lab = FieldLab(testbed, tell)
    with pytest.raises(DeviceError, match="nat"):
        asyncio.run(lab.up())
    steps = ["look at the clients' interface", f"bring up natstorm at {server.url}", "lock the devices", "log in to nat"]
    assert told == [*steps, "take down natstorm"]
    assert seen == ["stopped", "stopped", "started", "started", "started"]
    assert states(server) == {"R1": "stopped", "nat-box": "started"}


def test_a_capture_of_a_link_is_whole_but_never_called_complete(server, testbed, tmp_path):
    told = []

    async def play():
        lab = FieldLab(testbed, told.append)
        await lab._start_lab()
        capture = OverGns3(lab, Side.OUTSIDE, source(testbed), tmp_path / "outside.pcap")
        await capture.start()
        (link,) = [one for one in server.links.values() if one["capturing"]]
        async with asyncio.timeout(30):
            while (tmp_path / "outside.pcap").stat().st_size < len(PCAP_HEADER + b"".join(FRAMES)):
                await asyncio.sleep(0.02)
        facts = await capture.stop()
        assert not link["capturing"], facts.why
        await lab.down()
        return facts

    facts = asyncio.run(play())
    assert (tmp_path / "outside.pcap").read_bytes() == PCAP_HEADER + b"".join(FRAMES)
    assert (facts.frames, facts.dropped, facts.interface) == (3, 0, "link R1-nat-box")
    assert facts.why == "nobody tells what it lost"
    assert not facts.complete  # and so INCONCLUSIVE: see tests/verdict/test_trust.py
    assert any("does not say what its capture of R1-nat-box loses" in line for line in told)
    assert states(server) == {"R1": "stopped", "nat-box": "started"}


def test_a_capture_that_cannot_begin_says_why(server, testbed, tmp_path):
    async def play():
        lab = FieldLab(testbed, lambda _: None)
        with pytest.raises(CaptureError, match=r"outside, Ethernet1: .*no means for it.*\n.*source: tcpdump"):
            await OverGns3(lab, Side.OUTSIDE, source(testbed), tmp_path / "x.pcap").start()
        await lab._start_lab()
        with pytest.raises(CaptureError, match=r"the link at nat-box eth7: there is none\n.*Ethernet1"):
            await OverGns3(lab, Side.OUTSIDE, source(testbed, "eth7"), tmp_path / "x.pcap").start()
        await lab.down()

    asyncio.run(play())


class Breaking:
    """A capture that gives one piece, and breaks when it is asked for another, or when it is left."""

    def __init__(self, *, on_leaving):
        self.on_leaving = on_leaving
        self.left = threading.Event()

    def __enter__(self):
        return self._pieces()

    def __exit__(self, *_):
        self.left.set()
        if self.on_leaving:
            raise CaptureError("the server is gone")

    def _pieces(self):
        yield b"one"
        if not self.on_leaving:
            raise CaptureError("the server broke it off")
        self.left.wait(60)


def test_a_stream_that_breaks_is_heard_by_whoever_reads():
    async def play():
        stream = await Iterated.begin(Breaking(on_leaving=False))
        assert await stream.read() == b"one"
        for _ in range(2):
            with pytest.raises(EOFError, match="broke it off"):
                await stream.read()
        await stream.stop()

    asyncio.run(play())


def test_an_end_that_fails_is_heard_by_whoever_asks_for_it():
    async def play():
        stream = await Iterated.begin(Breaking(on_leaving=True))
        with pytest.raises(EOFError, match="the server is gone"):
            await stream.stop()
        assert [await stream.read(), await stream.read()] == [b"one", b""]
        await stream.stop()  # it has been left, and is not left twice

    asyncio.run(play())


def test_who_is_cancelled_waits_for_the_call_to_end():
    begun, end = threading.Event(), threading.Event()

    def call():
        begun.set()
        assert end.wait(60)

    async def play():
        task = asyncio.create_task(to_its_end(call))
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=0.2)
        assert not done
        end.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(play())
