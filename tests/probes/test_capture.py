from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CaptureError
from harness.model import CaptureFacts, Side
from harness.probes.capture import Capture, count_frames, dropped_in, facts_of_file
from harness.probes.pcap import read_frames

needs_tcpdump = pytest.mark.skipif(shutil.which("tcpdump", path="/usr/bin:/usr/sbin") is None, reason="tcpdump is not installed")

SEND = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(int(sys.argv[1])):
    s.sendto(n.to_bytes(4) + bytes(1000), ("192.0.2.2", 9))
"""


LINK = (
    "link add wire0 type veth peer name wire1",
    "address add 192.0.2.1/30 dev wire0",
    "link set wire0 up",
    "link set wire1 up",
    "neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev wire0",
)


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no namespace can be made here: {made.stderr.strip()}")
    try:
        for words in LINK:
            subprocess.run(["ip", "-n", name, *words.split()], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def send(namespace: str, count: int) -> None:
    subprocess.run(["ip", "netns", "exec", namespace, sys.executable, "-c", SEND, str(count)], check=True)


@pytest.mark.lab
@needs_tcpdump
def test_every_frame_is_in_the_file_at_once(namespace: str, tmp_path: Path) -> None:
    """No pause anywhere: what is sent right after `start` and right before `stop` is there."""

    async def run() -> CaptureFacts:
        capture = Capture(Side.INSIDE, namespace, "wire0", tmp_path / "a.pcap")
        await capture.start()
        assert capture.alive
        send(namespace, 3000)
        return await capture.stop()

    facts = asyncio.run(run())
    frames = list(read_frames(tmp_path / "a.pcap"))
    numbers = [int.from_bytes(f.data[42:46]) for f in frames if f.data[23] == 17]
    assert sorted(numbers) == list(range(3000))
    assert facts == CaptureFacts(Side.INSIDE, str(tmp_path / "a.pcap"), "wire0", len(frames), 0, True)
    assert any(f.nanoseconds % 1000 for f in frames)


@pytest.mark.lab
@needs_tcpdump
@pytest.mark.parametrize(("promiscuous", "seen"), [(False, 0), (True, 40)])
def test_frames_for_others_are_seen_where_they_are_asked_for(
    namespace: str, tmp_path: Path, promiscuous: bool, seen: int
) -> None:
    """A bridge stands for the card: it passes up what is for others only while it is promiscuous."""
    for words in (
        "link add span0 type bridge mcast_snooping 0",
        "link add other0 type veth peer name other1",
        "link set wire1 master span0",
        "link set other0 master span0",
        "link set span0 up",
        "link set other0 up",
    ):
        subprocess.run(["ip", "-n", namespace, *words.split()], check=True)
    fdb = ["bridge", "-n", namespace, "fdb", "add", "02:00:00:00:00:02", "dev", "other0", "master", "static"]
    subprocess.run(fdb, check=True)

    async def run() -> CaptureFacts:
        capture = Capture(Side.INSIDE, namespace, "span0", tmp_path / "a.pcap", "udp port 9", promiscuous=promiscuous)
        await capture.start()
        send(namespace, 40)
        return await capture.stop()

    assert asyncio.run(run()) == CaptureFacts(Side.INSIDE, str(tmp_path / "a.pcap"), "span0", seen, 0, True)


@pytest.mark.lab
@needs_tcpdump
def test_an_idle_capture_is_complete_and_empty(namespace: str, tmp_path: Path) -> None:
    async def run() -> CaptureFacts:
        capture = Capture(Side.OUTSIDE, namespace, "wire0", tmp_path / "a.pcap")
        await capture.start()
        return await capture.stop()

    facts = asyncio.run(run())
    assert (facts.frames, facts.dropped, facts.complete) == (0, 0, True)


@pytest.mark.lab
@needs_tcpdump
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_its_death_in_the_middle_makes_it_incomplete(namespace: str, tmp_path: Path, how: signal.Signals) -> None:
    async def run() -> CaptureFacts:
        capture = Capture(Side.INSIDE, namespace, "wire0", tmp_path / "a.pcap")
        await capture.start()
        send(namespace, 10)
        assert capture._process is not None
        capture._process.send_signal(how)
        await capture._process.wait()
        assert not capture.alive
        return await capture.stop()

    assert asyncio.run(run()).complete is False


RUN = """
import asyncio, sys
from harness.model import Side
from harness.probes.capture import Capture
async def run():
    capture = Capture(Side.OUTSIDE, None, "wire0", sys.argv[1], promiscuous=True)
    await capture.start()
    print(capture._process.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(run())
"""


@pytest.mark.lab
@needs_tcpdump
def test_it_ends_with_a_run_that_is_killed(namespace: str, tmp_path: Path) -> None:
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", RUN, str(tmp_path / "a.pcap")]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}) as run:
        assert run.stdout is not None
        tcpdump = int(run.stdout.readline())
        handle = os.pidfd_open(tcpdump)
        try:
            assert Path(f"/proc/{tcpdump}/comm").read_text() == "tcpdump\n"
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            run.kill()
            assert poll.poll(30_000), "tcpdump goes on without its run"
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)


@pytest.mark.lab
@needs_tcpdump
def test_an_interface_that_does_not_exist_is_named_with_tcpdumps_words(namespace: str, tmp_path: Path) -> None:
    async def run() -> None:
        await Capture(Side.INSIDE, namespace, "nosuch0", tmp_path / "a.pcap").start()

    with pytest.raises(CaptureError, match=r"nosuch0 in namespace .*No such device"):
        asyncio.run(run())


@pytest.mark.lab
@needs_tcpdump
def test_a_full_buffer_is_counted(namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tcpdump is stopped while more arrives than its buffer holds: the loss must show, and is not an incomplete capture."""
    monkeypatch.setattr("harness.probes.capture._BUFFER_KIB", 64)

    async def run() -> CaptureFacts:
        capture = Capture(Side.INSIDE, namespace, "wire0", tmp_path / "a.pcap")
        await capture.start()
        assert capture._process is not None
        capture._process.send_signal(signal.SIGSTOP)
        send(namespace, 2000)
        capture._process.send_signal(signal.SIGCONT)
        return await capture.stop()

    facts = asyncio.run(run())
    assert facts.dropped > 0
    assert facts.frames > 0
    assert facts.complete


@pytest.mark.lab
@needs_tcpdump
def test_it_works_as_root_of_a_user_namespace(tmp_path: Path) -> None:
    script = f"""
import asyncio, socket, subprocess
from pathlib import Path
from harness.model import Side
from harness.probes.capture import Capture
async def run():
    for words in {LINK!r}:
        subprocess.run(["ip", *words.split()], check=True)
    capture = Capture(Side.INSIDE, None, "wire0", Path({str(tmp_path / "a.pcap")!r}))
    await capture.start()
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.2", 9))
    facts = await capture.stop()
    print(facts.frames, facts.dropped, facts.complete)
asyncio.run(run())
"""
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[2])
    if "unshare failed" in run.stderr:
        pytest.skip(f"no user namespace can be made here: {run.stderr.strip()}")
    assert run.stderr == ""
    assert run.stdout.split()[1:] == ["0", "True"]
    assert int(run.stdout.split()[0]) >= 1


def test_a_capture_that_never_began_cannot_be_stopped(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="never started"):
        asyncio.run(Capture(Side.INSIDE, None, "wire0", tmp_path / "a.pcap").stop())


def test_facts_of_a_file_made_elsewhere(tmp_path: Path, craft: Any) -> None:
    path = tmp_path / "far-end.pcap"
    path.write_bytes(craft.pcap_bytes([(1, b"abc"), (2, b"def")]))
    words = "2 packets captured\n5 packets received by filter\n3 packets dropped by kernel\n"
    assert facts_of_file(Side.FAR_END, path, "ppp0", dropped_in(words)) == CaptureFacts(Side.FAR_END, str(path), "ppp0", 2, 3, True)
    assert facts_of_file(Side.FAR_END, path, "ppp0", dropped_in("killed")).complete is False
    assert facts_of_file(Side.FAR_END, path, "ppp0", 0, orderly=False).complete is False
    path.write_bytes(path.read_bytes()[:-1])
    assert count_frames(path) == (1, False)
    assert facts_of_file(Side.FAR_END, path, "ppp0", 0).complete is False
    assert facts_of_file(Side.FAR_END, tmp_path / "none.pcap", "ppp0", 0).complete is False
