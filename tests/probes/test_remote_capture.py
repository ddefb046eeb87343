from __future__ import annotations

import asyncio
import os
import shlex
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
from harness.probes import remote_capture
from harness.probes.pcap import read_frames
from harness.probes.remote_capture import RemoteCapture, older, tcpdump_command

FRAMES = [(1_700_000_000_000_000_000 + n, b"frame %d" % n) for n in range(5)]
HEAD, RECORD = 24, 16 + len(b"frame 0")
CLOSING = "tcpdump: listening on eth1\n{} packets captured\n{} packets received by filter\n{} packets dropped by kernel\n"


class Played:
    """A stream that gives out `pieces` and then waits to be stopped, or ends by itself, or breaks."""

    def __init__(
        self, *pieces: bytes, said: str = "", ends: bool = False, breaks: Exception | None = None, deaf: bool = False
    ) -> None:
        self._pieces, self._said = list(pieces), said
        self._ends, self._breaks, self._deaf = ends, breaks, deaf
        self._stopped = asyncio.Event()
        self.stderr = ""

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        if self._pieces:
            return self._pieces.pop(0)
        if self._breaks is not None:
            raise self._breaks
        if not self._ends:
            await self._stopped.wait()
        self.stderr = self.stderr or self._said
        return b""

    async def stop(self) -> None:
        if not self._deaf:
            self._stopped.set()


def play(path: Path, *pieces: bytes, linux: bool = True, **how: Any) -> tuple[CaptureFacts, RemoteCapture]:
    async def run() -> tuple[CaptureFacts, RemoteCapture]:
        capture = RemoteCapture(Side.OUTSIDE, "eth1 of nat", Played(*pieces, **how), path, linux=linux)
        await capture.start()
        return await capture.stop(), capture

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_capture, "_QUIET_S", 0.01)


@pytest.fixture
def whole(craft: Any) -> bytes:
    data: bytes = craft.pcap_bytes(FRAMES)
    assert len(data) == HEAD + 5 * RECORD
    return data


@pytest.mark.parametrize("size", [1, 7, 24, 1000])
def test_what_comes_in_pieces_of_any_size_is_in_the_file(tmp_path: Path, whole: bytes, size: int) -> None:
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    facts, _ = play(tmp_path / "a.pcap", *pieces, said=CLOSING.format(5, 5, 0))
    assert facts == CaptureFacts(Side.OUTSIDE, str(tmp_path / "a.pcap"), "eth1 of nat", 5, 0, True)
    assert (tmp_path / "a.pcap").read_bytes() == whole


@pytest.mark.parametrize(
    ("cut", "frames"),
    [(10, 0), (HEAD, 0), (HEAD + 5, 0), (HEAD + RECORD - 1, 0), (HEAD + RECORD, 1), (HEAD + 2 * RECORD + 16, 2)],
)
@pytest.mark.parametrize("how", ["ends", "breaks"])
def test_a_cut_anywhere_makes_it_incomplete_and_keeps_what_came(
    tmp_path: Path, whole: bytes, cut: int, frames: int, how: str
) -> None:
    end: dict[str, Any] = {"ends": True} if how == "ends" else {"breaks": ConnectionResetError("reset by peer")}
    facts, _ = play(tmp_path / "a.pcap", whole[:cut], said=CLOSING.format(frames, frames, 0), **end)
    assert (facts.frames, facts.complete) == (frames, False)
    assert (tmp_path / "a.pcap").read_bytes() == whole[:cut]
    assert facts.why == ("it ended before it was asked to" if how == "ends" else "the connection broke: reset by peer")


@pytest.mark.parametrize(
    ("said", "linux", "dropped", "complete"),
    [
        ("", True, 0, False),
        ("tcpdump: listening on eth1", True, 0, False),
        ("5 packets captured\n", True, 0, False),
        (CLOSING.format(5, 12, 7), True, 7, True),
        (CLOSING.format(5, 5, 0) + "3 packets dropped by interface\n", True, 3, True),
        (CLOSING.format(5, 9, 0), True, 4, True),  # received and not written
        (CLOSING.format(5, 900, 0), False, 0, True),  # elsewhere that counts what the filter refused, too
        (CLOSING.format(6, 6, 0), True, 0, False),  # written and not arrived
        (CLOSING.format(4, 4, 0), True, 0, False),
    ],
)
def test_its_closing_statistics_decide(
    tmp_path: Path, whole: bytes, said: str, linux: bool, dropped: int, complete: bool
) -> None:
    facts, _ = play(tmp_path / "a.pcap", whole, said=said, linux=linux)
    assert (facts.frames, facts.dropped, facts.complete) == (5, dropped, complete)


class Asking(Played):
    """A tcpdump that is asked for its counters, and has answers (captured, received, dropped); None: it does not answer."""

    def __init__(self, *pieces: bytes, answers: list[tuple[int, int, int] | None], **how: Any) -> None:
        super().__init__(*pieces, **how)
        self.answers = answers
        self.stderr = "tcpdump: listening on eth1\n"

    def ask(self) -> None:
        answer = self.answers.pop(0)
        if answer is not None:
            self.stderr += CLOSING.format(*answer).partition("\n")[2]

    async def read(self) -> bytes:
        data = await super().read()
        if not data:
            self.stderr += self._said
        return data


@pytest.mark.parametrize(
    ("answers", "said", "dropped", "complete"),
    [
        # 40 before the filter; once 7 more, and once 3, were on their way
        ([(0, 47, 0), (7, 47, 0), (7, 50, 0), (10, 50, 0), (10, 50, 0)], (5, 45, 0), 0, True),
        ([(0, 40, 0)] * 5, (5, 47, 0), 2, True),  # received after it, and not written
        ([(0, 52, 12)] * 5, (5, 57, 12), 12, True),
        ([(0, 0, 0)] * 5, (5, 9, 0), 4, True),
        ([(0, 40, 0)] * 5, None, 0, False),  # its answers are no closing words
        ([(5, 45, 0)] * 5, None, 0, False),
    ],
)
def test_what_came_before_the_filter_is_no_loss(
    tmp_path: Path, whole: bytes, answers: list[Any], said: tuple[int, int, int] | None, dropped: int, complete: bool
) -> None:
    stream = Asking(whole, answers=list(answers), said="" if said is None else CLOSING.format(*said))

    async def run() -> CaptureFacts:
        capture = RemoteCapture(Side.OUTSIDE, "eth1 of nat", stream, tmp_path / "a.pcap")
        await capture.start()
        return await capture.stop()

    facts = asyncio.run(run())
    assert (facts.frames, facts.dropped, facts.complete) == (5, dropped, complete)
    assert stream.answers == []


def test_one_that_does_not_answer_is_waited_for_once(tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_capture, "PATIENCE", 0.2)
    stream = Asking(whole, answers=[None, None], said=CLOSING.format(5, 5, 0))

    async def run() -> CaptureFacts:
        capture = RemoteCapture(Side.OUTSIDE, "eth1 of nat", stream, tmp_path / "a.pcap")
        await capture.start()
        return await capture.stop()

    facts = asyncio.run(run())
    assert (facts.dropped, facts.complete) == (0, True)
    assert len(stream.answers) == 1


def test_an_end_before_it_was_asked_for_is_no_orderly_one(tmp_path: Path, whole: bytes) -> None:
    facts, _ = play(tmp_path / "a.pcap", whole, said=CLOSING.format(5, 5, 0), ends=True)
    assert (facts.frames, facts.complete) == (5, False)


def test_who_does_not_end_when_asked_is_left(tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_capture, "PATIENCE", 0.2)
    facts, _ = play(tmp_path / "a.pcap", whole, said=CLOSING.format(5, 5, 0), deaf=True)
    assert (facts.frames, facts.complete) == (5, False)
    assert "did not end" in facts.why


def test_what_the_other_end_says_is_told_where_nothing_comes(tmp_path: Path) -> None:
    async def run() -> None:
        stream = Played(ends=True)
        stream.stderr = "tcpdump: eth9: You don't have permission to capture on that device"
        await RemoteCapture(Side.INSIDE, "eth9 of nat", stream, tmp_path / "a.pcap").start()

    with pytest.raises(CaptureError, match=r"eth9 of nat: the stream ended; .*don't have permission"):
        asyncio.run(run())


def test_one_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_capture, "PATIENCE", 0.2)

    async def run() -> None:
        await RemoteCapture(Side.INSIDE, "eth1", Played(), tmp_path / "a.pcap").start()

    with pytest.raises(CaptureError, match="nothing came"):
        asyncio.run(run())


def test_what_came_is_in_the_file_before_it_is_stopped(tmp_path: Path, whole: bytes) -> None:
    async def run() -> bytes:
        capture = RemoteCapture(Side.INSIDE, "eth1", Played(whole), tmp_path / "a.pcap")
        await capture.start()
        async with asyncio.timeout(15):
            while (tmp_path / "a.pcap").stat().st_size < len(whole):
                await asyncio.sleep(0)
        there = (tmp_path / "a.pcap").read_bytes()
        await capture.stop()
        return there

    assert asyncio.run(run()) == whole


def test_the_command_is_one_word_a_part_for_the_shell() -> None:
    command = tcpdump_command("e'th; rm -rf x", management=("198.51.100.7", 22), expression="udp port 500 or esp")
    words = shlex.split(command)
    assert words[words.index("-i") + 1] == "e'th; rm -rf x"
    assert words[-1] == "(udp port 500 or esp) and not (host 198.51.100.7 and tcp port 22)"
    assert words[words.index("-w") + 1] == "-"
    assert {"-U", "-n", "-p", "--immediate-mode"} <= set(words)
    assert "--immediate-mode" not in tcpdump_command("eth1", nice=False)
    assert "-p" not in shlex.split(tcpdump_command("eth1", promiscuous=True))
    assert tcpdump_command("eth1").endswith(" ip")
    with pytest.raises(CaptureError, match="no interface"):
        tcpdump_command("-z/bin/sh")


@pytest.mark.parametrize(
    ("said", "is_older"),
    [
        ("tcpdump: unrecognized option '--immediate-mode'", True),
        ("tcpdump: invalid option -- -", True),
        ("tcpdump: eth1: nanosecond timestamp precision is not supported by this device", True),
        ("tcpdump: eth1: No such device exists", False),
    ],
)
def test_an_older_tcpdump_is_known_by_its_words(said: str, is_older: bool) -> None:
    assert older(said) is is_older


class Piped:
    """A tcpdump behind a pipe, as it would be behind SSH."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process, self.stderr = process, ""
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.stderr += line.decode()

    async def read(self) -> bytes:
        assert self._process.stdout is not None
        data = await self._process.stdout.read(65536)
        if not data:
            await self._listening
        return data

    async def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def ask(self) -> None:
        self._process.send_signal(signal.SIGUSR1)


SEND = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(500):
    s.sendto(bytes(900), ("192.0.2.2", 9))
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"remote-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no namespace can be made here: {made.stderr.strip()}")
    try:
        for words in (
            "link add wire0 type veth peer name wire1",
            "address add 192.0.2.1/30 dev wire0",
            "link set wire0 up",
            "link set wire1 up",
            "neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev wire0",
        ):
            subprocess.run(["ip", "-n", name, *words.split()], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.lab
@pytest.mark.skipif(shutil.which("tcpdump", path="/usr/bin:/usr/sbin") is None, reason="tcpdump is not installed")
def test_a_real_tcpdump_by_its_own_command(namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_capture, "_QUIET_S", 0.5)

    async def run() -> CaptureFacts:
        command = tcpdump_command("wire0", management=("192.0.2.1", 22), expression="udp port 9")
        process = await asyncio.create_subprocess_exec(
            "ip", "netns", "exec", namespace, "sh", "-c", command,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )  # fmt: skip
        capture = RemoteCapture(Side.INSIDE, "wire0", Piped(process), tmp_path / "a.pcap")
        await capture.start()
        sent = await asyncio.create_subprocess_exec("ip", "netns", "exec", namespace, sys.executable, "-c", SEND)
        assert await sent.wait() == 0
        facts = await capture.stop()
        await process.wait()
        return facts

    facts = asyncio.run(run())
    assert facts == CaptureFacts(Side.INSIDE, str(tmp_path / "a.pcap"), "wire0", 500, 0, True)
    assert sum(1 for _ in read_frames(tmp_path / "a.pcap")) == 500
