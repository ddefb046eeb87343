"""What captures a NAT that is somebody's, and how."""

from __future__ import annotations

import asyncio
import shlex
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.devices.ssh import Result
from harness.errors import CaptureError, DeviceError
from harness.lab import enclosure
from harness.model import CaptureSource, Connection, Side
from harness.scenario.field_captures import OverSsh, Pulled, mirrored, ready
from harness.testbed import check

NAT, TAP = Connection("nat", "10.99.0.2"), Connection("tap", "10.99.0.9")


class Lab:
    """`says` answers a tcpdump, by its words: what it says, what it captures; or the script that asks whether it could."""

    def __init__(self, testbed, says=None):
        self.testbed = testbed
        self.says = says
        self.told = []
        self.asked = []

    def tell(self, text):
        self.told.append(text)

    async def reach(self, connection):
        return Device(connection.device, self)


@dataclass
class Device:
    name: str
    lab: Lab

    async def execute(self, command, timeout):
        self.lab.asked.append((self.name, command))
        return Result(*self.lab.says(command))

    async def stream(self, command, sink):
        said, data = self.lab.says(shlex.split(command))
        if data:
            sink(data)
        return Stream(said, asyncio.get_running_loop().create_future(), ends=not data)


class Stream:
    def __init__(self, said, over, *, ends):
        self.said = said
        self.over = over
        self.asked = []
        if ends:
            over.set_result(1)

    async def wait(self):
        return await asyncio.shield(self.over)

    def signal(self, name):
        self.asked.append(name)
        self.said += "1 packet captured\n4 packets received by filter\n0 packets dropped by kernel\n"  # 3 before its filter
        if name == "INT":
            self.over.set_result(0)


def bench(inside=None, outside=None):
    known = check(enclosure.ROOT / "testbeds/virtual.yaml")
    return replace(known, nat=replace(known.nat, connection=NAT, inside_capture=inside, outside_capture=outside))


@pytest.mark.parametrize(("connection", "promiscuous"), [(NAT, False), (TAP, True)])
def test_a_machine_that_is_not_the_nat_sees_frames_of_others(connection, promiscuous):
    source = CaptureSource("tcpdump", "eth1", connection)
    capture = OverSsh(Lab(bench()), Side.INSIDE, source, Path("a.pcap"), promiscuous=mirrored(bench(), source))
    words = shlex.split(capture.command())
    assert ("-p" not in words) is promiscuous
    assert words[-1].endswith(f"not (host {connection.host} and tcp port 22)")


PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 1, 2, 3, 3) + b"abc"
USAGE = "tcpdump: unrecognized option '--immediate-mode'\n" + "Usage: tcpdump [-aAbd] " * 60


def an_old_one(words):
    newer = {"--immediate-mode", "--time-stamp-precision=nano"} & set(words)
    return (USAGE, b"") if newer else ("tcpdump: listening on eth1\n", PCAP)


def test_an_old_tcpdump_is_asked_again_without_what_it_does_not_know(tmp_path):
    lab = Lab(bench(), an_old_one)

    async def body():
        capture = OverSsh(lab, Side.INSIDE, CaptureSource("tcpdump", "eth1", NAT), tmp_path / "a.pcap", promiscuous=False)
        await capture.start()
        return await capture.stop()

    facts = asyncio.run(body())
    assert (facts.frames, facts.dropped, facts.complete, facts.interface) == (1, 0, True, "eth1 of nat")
    assert (tmp_path / "a.pcap").read_bytes() == PCAP
    assert "the tcpdump of nat is an old one" in lab.told[0]


def test_another_trouble_is_no_reason_to_ask_again(tmp_path):
    asked = []

    def refuse(words):
        asked.append(words)
        return "tcpdump: eth1: No such device exists\n", b""

    async def body():
        source = CaptureSource("tcpdump", "eth1", NAT)
        await OverSsh(Lab(bench(), refuse), Side.INSIDE, source, tmp_path / "a.pcap", promiscuous=False).start()

    with pytest.raises(CaptureError, match="No such device"):
        asyncio.run(body())
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "said", "cure"),
    [
        (127, "", "apt-get install tcpdump"),
        (1, "tcpdump: eth1: You don't have permission to perform this capture on that device\n", "log in as root"),
    ],
)
def test_a_source_that_cannot_capture_is_told_before_the_run(status, said, cure):
    inside, outside = CaptureSource("tcpdump", "eth0", NAT), CaptureSource("tcpdump", "eth1", TAP)
    lab = Lab(None, lambda command: (status, said) if "-i eth1" in command else (0, ""))
    with pytest.raises(DeviceError, match=f"(?s)^tap: .*{cure}"):
        asyncio.run(ready(lab, bench(inside, outside)))
    assert [name for name, _ in lab.asked] == ["nat", "tap"]
    asyncio.run(ready(lab, bench(inside)))


def test_a_stream_that_is_cut_names_its_device_and_not_all_that_it_had_said():
    class Cut:
        async def wait(self):
            seen = "the connection was cut in the middle of it; it had said: tcpdump: 0 packets captured"
            raise DeviceError("nat", "exec env LC_ALL=C tcpdump", seen)

    async def body():
        pulled = Pulled("nat")
        pulled._stream = Cut()
        pulled.take(b"")
        await pulled.read()

    with pytest.raises(EOFError, match=r"^nat: the connection was cut in the middle of it$"):
        asyncio.run(body())


def test_a_card_of_this_machine_is_looked_at_too():
    with pytest.raises(DeviceError, match=r"^this machine: .*(no-such-card|it is not there)"):
        asyncio.run(ready(Lab(None), bench(CaptureSource("nic", "no-such-card"))))
