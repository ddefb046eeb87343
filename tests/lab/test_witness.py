"""What a witness in a guest says of its capture, with a tcpdump that is played by the test."""

import asyncio
import re
import signal
import struct

import pytest

from harness.errors import CaptureError, DeviceError
from harness.lab.guest_link import Result
from harness.lab.witness import InGuest, Witness, count_frames, far_end, interface_names, translated
from harness.model import Side

HEADER = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 3968, 276)
FRAME = struct.pack("=IIII", 1, 2, 4, 4) + b"data"


class Tcpdump:
    """A job: has received `early` packets when it is first asked, before its filter was there; then writes one more frame at each
    question, and loses what it is told to lose."""

    def __init__(self, path, *, received=0, dropped=0, status=0, dumb=False, stuck=False, torn=0, unwritten=0, early=0):
        self.output, self.running = "tcpdump: listening on any\n", True
        self.path, self.received, self.dropped, self.status = path, received, dropped, status
        self.dumb, self.stuck, self.torn, self.unwritten, self.captured = dumb, stuck, torn, unwritten, 0
        self.early, self.asked = early, 0
        self.signals = []

    async def seen(self, pattern, within):
        if not re.search(pattern, self.output):
            raise DeviceError("guest", "tcpdump", f"did not say {pattern}")

    def signal(self, number):
        self.signals.append(number)
        if number == signal.SIGUSR1 and not self.dumb:
            self.asked += 1
            if not self.stuck and self.asked > 1:
                self.captured = min(self.captured + 1, self.received - self.dropped)
            self.tell(", ")
        if number == signal.SIGINT and self.running:
            self.tell("\n")
            self.running = False
            whole = HEADER + FRAME * (self.captured - self.unwritten)
            self.path.write_bytes(whole[: len(whole) - self.torn])

    def tell(self, between):
        received, dropped = (self.received, self.dropped) if self.asked > 1 or not self.running else (0, 0)
        counted = self.early + received
        figures = (("captured", self.captured), ("received by filter", counted), ("dropped by kernel", dropped))
        self.output += between.join(f"{number} packets {what}" for what, number in figures) + "\n"

    async def wait(self):
        return Result(self.status, self.output)


class Monitor(Tcpdump):
    async def wait(self):
        return Result(-15, "")


class Guest:
    name = "guest"

    def __init__(self, exchange, **how):
        self.exchange, self.how, self.commands = exchange, how, []
        exchange.mkdir()

    def spawn(self, command):
        self.commands.append(command)
        if "monitor" in command:
            (self.exchange / "far-end.links").write_text(
                "1: lo: <LOOPBACK,UP> mtu 65536\n7: ppp0: <POINTOPOINT> mtu 1500\nDeleted 7: ppp0: <POINTOPOINT> mtu 1280\n"
                "8: veth1@if3: <UP> mtu 1500\n9: old: <UP> mtu 1\n9: new: <UP> mtu 1\nDump terminated\n"
            )
            return Monitor(self.exchange / "nothing", **self.how)
        return Tcpdump(self.exchange / re.search(r"exchange/(\S+\.pcap)", command)[1], **self.how)


def witnessed(tmp_path, side=Side.TRANSLATED, interface="l2tp0", **how):
    async def play():
        witness = Witness(InGuest(Guest(tmp_path / "exchange", **how)), side, interface, "udp", patience=0.05)
        await witness.start()
        return await witness.stop(tmp_path)

    return asyncio.run(play())


def test_what_came_before_there_was_a_filter_is_no_loss(tmp_path):
    """Over SSH the session's own packets come between tcpdump's opening of its socket and its filter."""
    facts = witnessed(tmp_path, received=5, early=2)
    assert (facts.frames, facts.dropped, facts.complete) == (5, 0, True)


def test_what_came_early_hides_no_loss(tmp_path):
    facts = witnessed(tmp_path, received=5, early=2, stuck=True)
    assert not facts.complete



def test_every_frame_that_was_received_is_waited_for(tmp_path):
    facts = witnessed(tmp_path, received=5)
    assert (facts.frames, facts.dropped, facts.complete) == (5, 0, True)
    assert count_frames(tmp_path / "translated.pcap") == (5, True)


def test_what_the_kernel_dropped_is_counted(tmp_path):
    facts = witnessed(tmp_path, received=5, dropped=2)
    assert (facts.frames, facts.dropped, facts.complete) == (3, 2, True)


@pytest.mark.parametrize(
    ("how", "frames"),
    [
        ({"received": 5, "stuck": True}, 0),
        ({"received": 5, "dumb": True}, 0),
        ({"received": 2, "status": 1}, 2),
        ({"received": 2, "torn": 3}, 1),
        ({"received": 2, "torn": 13}, 1),
        ({"received": 3, "unwritten": 1}, 2),
        ({"received": 0, "torn": 1}, 0),
    ],
    ids=["makes no progress", "does not answer", "ends badly", "half a frame", "half a header", "a frame missing", "no header"],
)
def test_a_capture_that_lacks_something_is_not_complete(tmp_path, how, frames):
    facts = witnessed(tmp_path, **how)
    assert (facts.frames, facts.complete) == (frames, False)


def test_a_capture_that_ended_by_itself_is_not_complete(tmp_path):
    async def play():
        witness = Witness(InGuest(Guest(tmp_path / "exchange", received=1)), Side.TRANSLATED, "l2tp0", "udp", patience=0.05)
        await witness.start()
        witness._job.signal(signal.SIGINT)
        return await witness.stop(tmp_path)

    assert asyncio.run(play()).complete is False


def test_the_far_end_has_the_names_of_interfaces_that_came_and_went(tmp_path):
    witnessed(tmp_path, Side.FAR_END, "any", received=1)
    assert (tmp_path / "far-end.links").read_text() == "1 lo\n7 ppp0\n8 veth1\n"
    assert interface_names([(9, "old"), (9, "new")]) == {}


def test_a_witness_that_was_never_started_has_nothing_to_say(tmp_path):
    with pytest.raises(CaptureError):
        asyncio.run(translated(InGuest(Guest(tmp_path / "exchange"))).stop(tmp_path))


def test_the_far_end_is_where_the_testbed_has_its_ppp_addresses(tmp_path):
    guest = Guest(tmp_path / "exchange")
    asyncio.run(far_end(InGuest(guest), ["10.9.0.1/32", "10.9.1.0/24"]).start())
    assert "'icmp and (net 10.9.0.1/32 or net 10.9.1.0/24)'" in guest.commands[-1]
    assert "-y LINUX_SLL2" in guest.commands[-1]
