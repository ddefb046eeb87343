"""The guest's commander and the host's link to it, joined by a socket pair on this machine: no guest is needed."""

import asyncio
import os
import signal
import socket
import sys

import pytest

from harness.errors import DeviceError
from harness.lab import guest
from harness.lab.guest_link import WINDOW, GuestLink

SERVE = "import sys; sys.path.insert(0, sys.argv[1]); import commander; commander.Commander(int(sys.argv[2])).serve()"


def with_link(body):
    async def run():
        ours, theirs = socket.socketpair()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, os.path.dirname(guest.__file__), str(theirs.fileno()), pass_fds=[theirs.fileno()]
        )
        theirs.close()
        link = GuestLink("guest", ours, lambda: "guest is gone")
        await link.open()
        try:
            await link.ready
            await body(link, process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await link.close()

    asyncio.run(run())


def test_status_and_output_of_a_command():
    async def body(link, process):
        result = await link.execute("echo out; echo err >&2; exit 3", 20)
        assert (result.status, result.output) == (3, "out\nerr\n")

    with_link(body)


def test_a_command_that_is_fed_reads_what_is_typed():
    async def body(link, process):
        job = link.start("read line; echo heard $line; read line; echo heard $line", fed=True)
        job.type(b"one\n")
        await job.seen("heard one", 20)
        job.type(b"two\n")
        assert (await job.wait()).output == "heard one\nheard two\n"

    with_link(body)


def test_a_command_that_is_not_fed_has_nothing_to_read():
    async def body(link, process):
        job = link.start("read line || echo nothing")
        job.type(b"one\n")
        assert (await job.wait()).output == "nothing\n"

    with_link(body)


def test_death_by_signal_is_a_negative_status():
    async def body(link, process):
        assert (await link.execute("kill -TERM $$", 20)).status == -signal.SIGTERM

    with_link(body)


def test_many_commands_at_once_keep_their_outputs_apart():
    async def body(link, process):
        results = await asyncio.gather(*(link.execute(f"echo {n}; read -t 0.2 <> <(:); echo {n}", 60) for n in range(20)))
        assert [r.output for r in results] == [f"{n}\n{n}\n" for n in range(20)]

    with_link(body)


def test_a_command_longer_than_the_window_arrives_whole_and_never_more_than_the_window_is_under_way():
    async def body(link, process):
        most = 0
        pump = link._pump

        def watched():
            nonlocal most
            pump()
            most = max(most, link._under_way)

        link._pump = watched
        text = "x" * (5 * WINDOW)
        assert (await link.execute(f"printf %s {text}", 20)).output == text
        assert most == WINDOW
        assert (await link.execute("echo still there", 20)).output == "still there\n"

    with_link(body)


def test_bytes_that_are_not_text_come_through():
    async def body(link, process):
        output = (await link.execute(r"printf '\377\000\344'", 20)).output
        assert output.encode("utf-8", "surrogateescape") == b"\xff\x00\xe4"

    with_link(body)


def test_output_is_heard_while_the_command_runs():
    async def body(link, process):
        job = link.start("echo listening on vec0; exec cat /dev/zero > /dev/null")
        assert (await job.seen(r"listening on (\S+)", 20))[1] == "vec0"
        assert job.running
        job.signal(signal.SIGINT)
        assert (await job.wait()).status == -signal.SIGINT

    with_link(body)


def test_a_command_can_be_interrupted_though_our_own_caller_ignores_interrupts():
    """As a shell script does for what it starts in the background."""

    async def body(link, process):
        job = link.start("echo begun; exec sleep 60")
        await job.seen("begun", 20)
        job.signal(signal.SIGINT)
        assert (await job.wait()).status == -signal.SIGINT

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with_link(body)
    finally:
        signal.signal(signal.SIGINT, before)


def test_waiting_for_words_that_never_come():
    async def body(link, process):
        with pytest.raises(DeviceError, match=r"ended without saying 'ready'.*bye"):
            await link.start("echo bye").seen("ready", 20)
        with pytest.raises(DeviceError, match="did not say 'ready'"):
            await link.start("exec sleep 60").seen("ready", 0.1)

    with_link(body)


def test_a_command_that_does_not_end_is_killed_with_what_it_started():
    async def body(link, process):
        with pytest.raises(DeviceError, match=r"no end within 0\.5 s; so far: begun"):
            await link.execute("echo begun; sleep 61.7 & sleep 61.7; true", 0.5)
        assert (await link.execute("pgrep -fx 'sleep 61.7'", 20)).output == ""

    with_link(body)


def test_a_background_process_does_not_hold_up_the_command_that_left_it():
    async def body(link, process):
        result = await link.execute("exec 9>&1; setsid sleep 60 >/dev/null 2>&1 9>&- & echo $!", 20)
        assert result.status == 0
        os.kill(int(result.output), signal.SIGKILL)

    with_link(body)


def test_the_guests_death_ends_what_is_under_way():
    async def body(link, process):
        job = link.start("echo begun; exec sleep 60")
        await job.seen("begun", 20)
        process.kill()
        await process.wait()
        await link.fail("guest guest ended with status -9")
        with pytest.raises(DeviceError, match="ended with status -9"):
            await job.wait()

    with_link(body)


def test_a_command_that_ends_as_it_speaks_is_heard_to_the_end():
    """Its last words and its end are told in one breath; the descriptor they came from is another command's a moment later."""

    async def body(link, process):
        for _ in range(40):
            results = await asyncio.gather(*(link.execute(f"printf %3000d {n}", 60) for n in range(8)))
            assert [r.output for r in results] == [f"{n:3000d}" for n in range(8)]

    with_link(body)


def test_the_end_of_the_other_side_is_noticed():
    async def body(link, process):
        process.kill()
        async with asyncio.timeout(20):
            await link.silent.wait()

    with_link(body)


def test_an_interactive_shell_on_a_terminal():
    async def body(link, process):
        job = link.start_shell(30, 90)
        job.type(b"stty size\n")
        await job.seen("30 90", 20)
        job.resize(40, 100)
        job.type(b"stty size; tty; exit 4\n")
        await job.seen(r"40 100\s+/dev/pts/", 20)
        assert (await job.wait()).status == 4

    with_link(body)
