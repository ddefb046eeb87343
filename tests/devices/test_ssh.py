"""The SSH connection against Debian's own OpenSSH server, which the tests start on loopback as the user they run as."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from bench_in_a_box import sshd
from bench_in_a_box.sshd import Sshd
from harness.devices import clock, ssh_wrapper
from harness.devices.linux_gateway import files_script
from harness.devices.ssh import ConnectionCut, Patience, SshConnection, Unreachable, in_thread
from harness.devices.ssh_keys import ChangedHostKey, Refused, RevokedHostKey, UnknownHostKey
from harness.devices.ssh_line import SshLine
from harness.errors import DeviceError
from harness.model import Secret
from harness.model.reach import Connection

ONCE = Patience(attempts=1)
PLANTED = Secret("Zaphod42's $HOME")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if (reason := sshd.missing()) is not None:
        pytest.skip(reason)
    with Sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


def play(body, connection, **options):
    """Runs `body(device)` with a connection that is closed afterwards."""

    async def main():
        async with SshConnection(connection, **{"patience": ONCE, **options}) as device:
            return await body(device)

    return asyncio.run(main())


async def until(condition, within=30.0):
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return found


def alive(pid):
    """Whether a process of that number runs; one that is dead but not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def refused(kind, connection, **options):
    with pytest.raises(kind) as caught:
        play(lambda device: device.execute("true"), connection, **options)
    assert str(caught.value).startswith(f"{connection.device}: ")
    return str(caught.value)


# --- commands ---


def test_a_script_runs_with_its_status_and_all_that_it_says(server):
    async def body(device):
        result = await device.execute("echo out; echo err >&2; printf 'no line end'; exit 3")
        assert (result.status, result.output) == (3, "out\nerr\nno line end")
        assert (await device.execute("")).status == 0
        assert (await device.execute("cat; echo $?")).output == "0\n"  # its standard input is empty, not ours
        assert (await device.execute("kill -TERM $BASHPID")).status == 128 + signal.SIGTERM
        assert (await device.execute("echo grün | tr -d r")).output == "gün\n"
        large = await device.execute("head -c 300000 /dev/zero | tr '\\0' x; echo; exec 2>&1; ls /nowhere-at-all")
        assert large.output.startswith("x" * 300_000 + "\n")
        assert "/nowhere-at-all" in large.output

    play(body, server.connection())


def test_more_commands_at_once_than_a_server_takes_sessions(server):
    async def body(device):
        results = await asyncio.gather(*(device.execute(f"sleep 0.05; echo {number}") for number in range(15)))
        assert [result.output for result in results] == [f"{number}\n" for number in range(15)]

    play(body, server.connection())


def test_its_clock_is_measured_to_within_a_round_trip(server):
    """The server is on this machine: both clocks are one."""
    found = play(clock.measure, server.connection("box"))
    assert abs(found.seconds) <= found.bound


@pytest.fixture(scope="module")
def greeting(tmp_path_factory):
    """A server whose login shell says something, and has another PATH, before it does what it is asked to."""
    if (reason := sshd.missing()) is not None:
        pytest.skip(reason)
    words = 'echo "Welcome to the lab"; echo 1.5; PATH=/usr/bin:/bin exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'
    with Sshd(tmp_path_factory.mktemp("greeting"), options=f"ForceCommand {words}") as running:
        yield running


def test_a_greeting_is_no_part_of_what_a_program_says(greeting):
    async def body(device):
        found = await clock.measure(device)
        assert abs(found.seconds) <= found.bound
        assert (await device.execute("echo out")).output == "out\n"
        line = await SshLine.open(device, "echo $PATH; read -r word; echo $word, $# words; echo Marvin77x >&2")
        try:
            line.socket.settimeout(30)
            await line.tell({"a": 1})
            with line.socket.makefile("r") as answers:
                path, *said = await in_thread(answers.readlines)
            assert "/usr/sbin" in path.strip().split(":")
            assert said == ['{"a": 1}, 0 words\n']
            await until(lambda: line.said)
            assert line.said == "***"
        finally:
            line.close()

    play(body, greeting.connection(), secrets=[Secret("Marvin77x")])


def test_a_clock_that_is_not_known_ends_no_run(server, monkeypatch):
    known = play(lambda device: clock.told(device, 1000.0), server.connection("box"))
    assert known.startswith("the clock of box is ")
    assert "NTP" not in known
    assert "let NTP set both" in play(lambda device: clock.told(device, -1000.0), server.connection("box"))
    monkeypatch.setattr(clock, "COMMAND", "echo no clock here >&2; exit 1")
    assert "the clock of box is not known (" in play(lambda device: clock.told(device, 1000.0), server.connection("box"))


def test_a_device_that_does_not_tell_its_time_is_named(server, monkeypatch):
    monkeypatch.setattr(clock, "COMMAND", "echo no clock here >&2; exit 1")
    with pytest.raises(DeviceError, match=r"box.*(no clock here|no time: )"):
        play(clock.measure, server.connection("box"))


def test_the_loop_goes_on_while_a_command_runs(server, tmp_path):
    """The command ends only when the loop, in the meantime, makes a file: with a loop that stands still it would time out."""
    sign = tmp_path / "sign"

    async def body(device):
        command = asyncio.create_task(device.execute(f"while [ ! -e {sign} ]; do sleep 0.02; done; echo seen", 30))
        await asyncio.sleep(0)
        sign.touch()
        assert (await command).output == "seen\n"

    play(body, server.connection())


def test_a_daemon_that_a_script_starts_outlives_it_and_holds_nothing_up(server):
    async def body(device):
        result = await device.execute("setsid sleep 600 & echo $!", 60)
        pid = int(result.output)
        try:
            assert alive(pid)
        finally:
            os.kill(pid, signal.SIGKILL)

    play(body, server.connection())


def test_a_command_that_never_ends_is_killed_and_what_it_said_is_told(server):
    async def body(device):
        with pytest.raises(DeviceError, match=r"no end within 2 s, so it was killed; so far: (\d+)") as caught:
            await device.execute("echo $BASHPID; sleep 600 & sleep 600", 2.0)
        group = int(str(caught.value).split()[-1])
        await until(lambda: not group_members(group))

    play(body, server.connection())


def group_members(group):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, member_of = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(member_of) == group and state not in "ZX":
            found.append(int(entry.name))
    return found


def test_nobody_waits_any_more_and_the_command_dies(server, tmp_path):
    file = tmp_path / "pid"

    async def body(device):
        command = asyncio.create_task(device.execute(f"echo $BASHPID > {file}; sleep 600"))
        group = int(await until(lambda: file.exists() and file.read_text()))
        command.cancel()
        with pytest.raises(asyncio.CancelledError):
            await command
        await until(lambda: not group_members(group))
        assert (await device.execute("echo on")).output == "on\n"

    play(body, server.connection())


def test_a_connection_cut_inside_a_command(server, tmp_path):
    """The server's end is killed: the error says how far it came, the command dies, is not run again, and the next one connects."""
    file = tmp_path / "pid"

    async def body(device):
        command = asyncio.create_task(device.execute(f"echo begun; echo $BASHPID >> {file}; sleep 600"))
        group = int(await until(lambda: file.exists() and file.read_text()))
        await device.execute("true")  # whose answer comes after what the server had to pass on before
        server.cut()
        with pytest.raises(ConnectionCut, match=r"^box: 'echo begun.* was cut in the middle of it; so far: begun"):
            await command
        await until(lambda: not group_members(group))
        assert (await device.execute("echo again")).output == "again\n"
        assert len(file.read_text().splitlines()) == 1

    play(body, server.connection())


def test_secrets_of_a_script_are_in_no_process_list(server, tmp_path):
    target, going = tmp_path / "secret.conf", tmp_path / "going"

    async def body(device):
        script = files_script({str(target): PLANTED.reveal()}) + f"touch {going}; sleep 600"
        command = asyncio.create_task(device.execute(script))
        await until(going.exists)
        shown = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        assert "sleep 600" in shown
        assert "Zaphod42" not in shown
        command.cancel()
        assert target.read_text() == PLANTED.reveal()

    play(body, server.connection())


def test_transcripts_and_errors_show_no_secret(server):
    told = []
    connection = server.connection(password=Secret("Marvin77x"))

    async def body(device):
        await device.execute(f"echo Marvin77x {PLANTED.reveal()!r}")
        result = await device.execute("echo Marvin77x")
        assert (result.output, result.shown) == ("Marvin77x\n", "***\n")
        await device.execute(f"true\necho {PLANTED.reveal()!r}")
        with pytest.raises(DeviceError) as caught:
            await device.execute("echo Marvin77x Zaphod42; sleep 600", 1.0)
        return str(caught.value)

    error = play(body, connection, secrets=[PLANTED, Secret("Zaphod42")], hear=told.append)
    assert "echo ***" in "\n".join(told)
    assert "*** ***" in error
    for text in (error, *told):
        assert "Marvin77x" not in text
        assert "Zaphod42" not in text


def test_files_go_up_and_down_unchanged(server, tmp_path):
    data = bytes(range(256)) * 500
    target = tmp_path / "it's a file"

    async def body(device):
        await device.upload(str(target), data, 0o640)
        assert target.read_bytes() == data
        assert target.stat().st_mode & 0o777 == 0o640
        assert await device.download(str(target)) == data
        link = tmp_path / "link"
        link.symlink_to(target.name)
        await device.upload(str(link), b"through it")
        assert link.is_symlink()
        assert target.read_bytes() == b"through it"
        link.unlink()
        await device.upload(str(target), b"")
        assert await device.download(str(target)) == b""
        with pytest.raises(DeviceError, match=r"^box: 'read /nowhere': .*No such file"):
            await device.download("/nowhere")
        with pytest.raises(DeviceError, match=r"^box: 'write /nowhere/file': .*No such file"):
            await device.upload("/nowhere/file", b"text")

    play(body, server.connection())
    assert [one.name for one in tmp_path.iterdir()] == [target.name]


def test_a_login_shell_that_greets_is_not_part_of_the_output():
    framing = ssh_wrapper.Framing("TOKEN", True)
    heard = b"Welcome!\nTOKEN begins\nout\n\nTOKEN ends 7"
    assert framing.output(heard) == b"out\n"
    assert framing.status(heard) is None  # the number might have another digit
    assert framing.status(heard + b"\nchild says something late") == 7
    assert framing.output(b"Welcome!\n") == b""


@pytest.mark.parametrize("line", [False, True])
@pytest.mark.parametrize("root", [False, True])
def test_any_login_shell_reads_the_command_alike(line, root):
    """fish has escapes between quotes; in csh a quote ends with the line, and ! is expanded; neither knows $(…) elsewhere."""
    command = ssh_wrapper.command(root=root, line=line)
    assert command.startswith("exec bash --norc -c '")
    assert command.count("'") == 2
    assert command.endswith("'")
    assert not set(command) & set("\n\\!`")


@pytest.mark.parametrize("line", [False, True])
def test_root_is_become_by_sudo_and_keeps_the_path(line):
    """As user nobody where this one is root; a program in sudo's place notes how it was called."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        folder.chmod(0o755)
        (folder / "sudo").write_text('#!/bin/sh\n[ "$1" = -n ] || exit 9\nshift\nPATH=/usr/bin:/bin BECAME=root exec "$@"\n')
        (folder / "sudo").chmod(0o755)
        framing = ssh_wrapper.Framing.new(merged=True)
        as_user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        # Its input stays open until it has ended: the input's end would be the connection's, which ends the script.
        with subprocess.Popen(
            [*as_user, "sh", "-c", ssh_wrapper.command(root=True, line=line)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": f"{folder}:/usr/bin:/bin"},
        ) as wrapper:
            assert wrapper.stdin
            assert wrapper.stdout
            wrapper.stdin.write(framing.opening("echo $BECAME $PATH"))
            wrapper.stdin.flush()
            heard = wrapper.stdout.read()
        assert wrapper.returncode == 0
        _, _, said = heard.partition(framing.beginning)
        assert said.decode().splitlines()[0] == f"root /usr/bin:/bin:{folder}:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
    finally:
        shutil.rmtree(folder)


# --- programs that run on ---


def test_a_stream_brings_every_byte_and_ends_in_order(server):
    """As tcpdump does: asked to end by SIGINT, it still has something to say."""
    taken = bytearray()
    script = (
        "trap 'printf last; exit 0' INT; echo listening >&2; "
        "head -c 1000000 /dev/zero; printf '\\377\\000\\r\\n'; while :; do sleep 0.05; done"
    )

    async def body(device):
        stream = await device.stream(script, taken.extend)
        await stream.seen("listening", 30)
        await until(lambda: len(taken) >= 1_000_004)
        assert stream.running
        assert await stream.end("INT") == 0
        assert not stream.running

    play(body, server.connection())
    assert bytes(taken) == bytes(1_000_000) + b"\xff\x00\r\n" + b"last"


def test_a_stream_that_does_not_heed_its_signal_is_killed(server):
    async def body(device):
        stream = await device.stream("trap '' INT; echo $BASHPID >&2; sleep 600", lambda data: None)
        pid = int((await stream.seen(r"\d+\n", 30))[0])
        with pytest.raises(DeviceError, match=r"did not end within 0.2 s after signal INT, and was killed"):
            await stream.end("INT", grace=0.2)
        await until(lambda: not group_members(pid))

    play(body, server.connection())


@pytest.mark.parametrize("how", ["the server's end is killed", "the run goes without a word"])
def test_what_a_stream_started_is_gone_with_the_connection(server, how):
    async def main():
        device = SshConnection(server.connection(), patience=ONCE)
        stream = await device.stream("trap '' HUP PIPE; echo $BASHPID >&2; sleep 600 | cat", lambda data: None)
        pid = int((await stream.seen(r"\d+\n", 30))[0])
        assert group_members(pid)
        if how == "the run goes without a word":
            device._transport.sock.shutdown(socket.SHUT_RDWR)
        else:
            server.cut()
        with pytest.raises(DeviceError, match="cut in the middle"):
            await stream.wait()
        await until(lambda: not group_members(pid))
        await device.close()

    asyncio.run(main())


def test_a_program_that_is_not_there(server):
    async def body(device):
        stream = await device.stream("exec no-such-capture-program -w -", lambda data: None)
        with pytest.raises(DeviceError, match=r"status 127 without saying 'listening'.*no-such-capture-program: not found"):
            await stream.seen("listening", 30)
        assert await stream.wait() == 127

    play(body, server.connection())


def test_a_sink_that_fails_fails_the_stream(server):
    def full(data):
        raise OSError(28, "No space left on device")

    async def body(device):
        stream = await device.stream("echo data; sleep 600", full)
        with pytest.raises(DeviceError, match=r"could not be taken: .*No space left"):
            await stream.wait()

    play(body, server.connection())


# --- who is there, and who may in ---


def test_a_host_key_that_is_not_known_is_refused_and_not_added(server, tmp_path):
    file = tmp_path / "known_hosts"
    for known in (None, "[127.0.0.1]:1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9v3v3vEo0EXOWJmSPPVKQnhtFPfZ5xG7Tg9VqpKhHj\n"):
        if known is not None:
            file.write_text(known)
        said = refused(UnknownHostKey, server.connection(known_hosts=str(file)))
        assert f"{file} has no key for [127.0.0.1]:{server.port}" in said
        assert f"ssh-keyscan -p {server.port} 127.0.0.1 >> {file}" in said
        assert ("there is no such file" in said) == (known is None)
        assert (file.read_text() if file.exists() else None) == known


def test_a_changed_host_key_is_refused_and_not_replaced(server, tmp_path):
    file = tmp_path / "known_hosts"
    another = sshd.new_key(tmp_path / "another")
    file.write_text(f"[127.0.0.1]:{server.port} {another}\n")
    said = refused(ChangedHostKey, server.connection(known_hosts=str(file)))
    assert "CHANGED" in said
    assert f"ssh-keygen -R '[127.0.0.1]:{server.port}' -f {file}" in said
    assert another in file.read_text()
    assert server.host_key not in file.read_text()


def test_a_key_of_another_type_only_is_a_changed_key(server, tmp_path):
    file = tmp_path / "known_hosts"
    rsa = subprocess.run(
        ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(tmp_path / "other")], check=True, capture_output=True
    )
    assert rsa.returncode == 0
    file.write_text(f"[127.0.0.1]:{server.port} {' '.join((tmp_path / 'other.pub').read_text().split()[:2])}\n")
    refused(ChangedHostKey, server.connection(known_hosts=str(file)))


STRANGE = b"# caf\xe9\n10.9.9.9 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\n@trusted * ssh-ed25519 x\n\xff\n"


def test_strange_lines_of_known_hosts_are_in_nobody_s_way(server, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_bytes(STRANGE + server.known_hosts.read_bytes())
    assert play(lambda device: device.execute("echo in"), server.connection(known_hosts=str(file))).output == "in\n"
    file.write_bytes(STRANGE)
    said = refused(UnknownHostKey, server.connection(known_hosts=str(file)))
    assert "(lines 2, 3, 4 of it are passed over: no host key)" in said


def test_each_of_several_keys_of_one_type_is_the_device_s(server, tmp_path):
    file = tmp_path / "known_hosts"
    another = f"[127.0.0.1]:{server.port} {sshd.new_key(tmp_path / 'another')}\n".encode()
    for content in (another + server.known_hosts.read_bytes(), server.known_hosts.read_bytes() + another):
        file.write_bytes(content)
        assert play(lambda device: device.execute("echo in"), server.connection(known_hosts=str(file))).output == "in\n"


def test_a_revoked_key_is_refused_though_it_is_known(server, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(server.known_hosts.read_text() + f"@revoked * {server.host_key}\n")
    said = refused(RevokedHostKey, server.connection(known_hosts=str(file)))
    assert f"which {file} has as @revoked" in said


def test_a_wrong_key_names_user_and_key_file(server, tmp_path):
    sshd.new_key(tmp_path / "stranger")
    said = refused(Refused, server.connection(key_file=str(tmp_path / "stranger")))
    assert f"refuses user {server.connection().username!r} by key file {tmp_path / 'stranger'}" in said


def test_a_server_that_takes_no_password_says_so_and_the_password_is_not_shown(server):
    said = refused(Refused, server.connection(key_file=None, password=PLANTED))
    assert "by password (it takes publickey only)" in said
    assert "Zaphod" not in said


def test_nothing_to_log_in_with(server, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert "no password, no key file, and no agent" in refused(Refused, server.connection(key_file=None))


@pytest.mark.parametrize("content", [None, "no key at all\n"])
def test_a_key_file_that_cannot_be_used(server, tmp_path, content):
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    said = refused(Refused, server.connection(key_file=str(file)))
    assert f"key file {file}: " in said


def test_a_key_with_a_passphrase(server, tmp_path):
    from cryptography.hazmat.primitives import serialization

    plain = serialization.load_ssh_private_key(server.key_file.read_bytes(), None)
    locked = tmp_path / "locked"
    with_passphrase = serialization.BestAvailableEncryption(PLANTED.reveal().encode())
    form = serialization.PrivateFormat.OpenSSH
    locked.write_bytes(plain.private_bytes(serialization.Encoding.PEM, form, with_passphrase))
    assert "has a passphrase" in refused(Refused, server.connection(key_file=str(locked)))
    assert "its passphrase is another" in refused(Refused, server.connection(key_file=str(locked), password=Secret("no")))
    connection = server.connection(key_file=str(locked), password=PLANTED)
    assert play(lambda device: device.execute("echo in"), connection).output == "in\n"


# --- reaching it ---


def test_nobody_listens(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        said = refused(Unreachable, Connection("box", "127.0.0.1", port, "me"))
    assert said.endswith(f"127.0.0.1:{port}: Connection refused")


def test_a_name_that_is_not_resolved_is_asked_for_once():
    said = refused(Unreachable, Connection("box", "no-such-host.invalid", 22, "me"), patience=Patience(attempts=5, pause=1000.0))
    assert "the name 'no-such-host.invalid' is not resolved" in said


def test_a_peer_that_is_no_ssh_server():
    with socket.create_server(("127.0.0.1", 0)) as other:
        connection = Connection("box", "127.0.0.1", other.getsockname()[1], "me")
        said = refused(Unreachable, connection, patience=Patience(banner=0.3, attempts=1))
    assert "does not speak SSH" in said


def test_connecting_is_tried_again_where_nobody_listens_yet(server, tmp_path):
    """A device that is just starting: the second or a later attempt finds it."""
    with Sshd(tmp_path / "late") as late:
        late.stop()

        async def main():
            connection = late.connection()
            device = SshConnection(connection, patience=Patience(attempts=1000, pause=0.0))
            waiting = asyncio.create_task(device.execute("echo here"))
            await until(lambda: device.attempts > 1)
            await in_thread(late.start)
            assert (await waiting).output == "here\n"
            await device.close()

        asyncio.run(main())


def test_a_jump_host_is_gone_through(server, tmp_path):
    with Sshd(tmp_path / "inner") as inner:
        jump = server.connection("jump")
        connection = inner.connection("inner", jump=jump)
        ports = play(lambda device: device.execute("echo $SSH_CONNECTION"), connection).output.split()
        assert ports[3] == str(inner.port)
        # What is wrong behind the jump host, and with the jump host itself, is told of the right one.
        inner.stop()
        said = refused(Unreachable, connection)
        assert f"127.0.0.1:{inner.port} through jump is not reached" in said
        (tmp_path / "empty").touch()
        through = server.connection("jump", known_hosts=str(tmp_path / "empty"))
        with pytest.raises(UnknownHostKey, match=r"^jump: "):
            play(lambda device: device.execute("true"), inner.connection("inner", jump=through))


def test_telnet_is_another_drivers():
    assert "its connection is telnet" in refused(DeviceError, Connection("box", "127.0.0.1", protocol="telnet"))


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_what_a_login_shell_says_first_is_no_part_of_a_stream_however_it_comes(size):
    framing = ssh_wrapper.Framing.new(merged=False)
    whole = b"Welcome!\n@@natstorm-no begins\n" + framing.beginning + b"own words " + framing.beginning + b"and more"
    output = ssh_wrapper.Greeted(framing)
    pieces = [output.own(whole[at : at + size]) for at in range(0, len(whole), size)]
    assert b"".join(pieces) == b"own words " + framing.beginning + b"and more"
    assert output.begun
    silent = ssh_wrapper.Greeted(framing)
    assert (silent.own(b"Welcome!\n"), silent.begun) == (b"", False)
