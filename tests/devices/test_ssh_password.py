"""Logging in by password: against paramiko's own server, in this process. OpenSSH's wants PAM or the machine's own passwords."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading

import paramiko
import pytest

from harness.devices.ssh import Patience, SshConnection
from harness.devices.ssh_keys import Refused
from harness.errors import DeviceError
from harness.model import Secret
from harness.model.reach import Connection

RIGHT = Secret("Zaphod42's heart")


class Server(paramiko.ServerInterface):
    """Runs what it is told to by a shell, without a terminal. `mode` says how it asks for the password."""

    def __init__(self, directory, mode="password", shell="bash"):
        self.mode = mode
        self.shell = shell
        self.tries = []
        self._key = paramiko.ECDSAKey.generate()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.known_hosts = directory / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self._key.get_name()} {self._key.get_base64()}\n")
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def connection(self, **changes):
        known = {"username": "me", "password": RIGHT, "known_hosts": str(self.known_hosts)}
        return Connection("box", "127.0.0.1", self.port, **{**known, **changes})

    def _serve(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(sock)
            transport.add_server_key(self._key)
            transport.start_server(event=threading.Event(), server=self)

    def get_allowed_auths(self, username):
        return "keyboard-interactive" if self.mode == "prompts" else "password"

    def check_auth_password(self, username, password):
        if self.mode == "prompts":
            return paramiko.AUTH_FAILED
        self.tries.append(password)
        if self.mode == "silence":
            threading.Event().wait(60)
        return paramiko.AUTH_SUCCESSFUL if password == RIGHT.reveal() else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        return paramiko.InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses):
        self.tries += responses
        return paramiko.AUTH_SUCCESSFUL if responses == [RIGHT.reveal()] else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self._run, args=(channel, command), daemon=True).start()
        return True

    def _run(self, channel, command):
        run = subprocess.Popen([self.shell, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        def feed():
            while data := channel.recv(1 << 15):
                try:
                    run.stdin.write(data)
                    run.stdin.flush()
                except BrokenPipeError:
                    return
            run.stdin.close()

        threading.Thread(target=feed, daemon=True).start()
        while data := run.stdout.read1(1 << 15):
            channel.sendall(data)
        channel.send_exit_status(run.wait())
        channel.close()


def execute(connection, command, **patience):
    async def main():
        async with SshConnection(connection, patience=Patience(attempts=3, pause=1000.0, **patience)) as device:
            return await device.execute(command, 30)

    return asyncio.run(main())


@pytest.mark.parametrize("mode", ["password", "prompts"])
def test_the_right_password(tmp_path, mode):
    with Server(tmp_path, mode) as server:
        assert execute(server.connection(), "echo in; exit 4").output == "in\n"


@pytest.mark.parametrize("mode", ["password", "prompts"])
def test_a_wrong_password_is_tried_once_and_not_shown(tmp_path, mode):
    with Server(tmp_path, mode) as server:
        with pytest.raises(Refused) as caught:
            execute(server.connection(password=Secret("Marvin77")), "true")
        assert server.tries == ["Marvin77"]
    assert str(caught.value).startswith(f"box: 'log in': 127.0.0.1:{server.port} refuses user 'me' by password")
    assert "Marvin77" not in str(caught.value)


def test_a_key_that_is_refused_and_then_the_password(tmp_path):
    from bench_in_a_box import sshd

    sshd.new_key(tmp_path / "key")
    with Server(tmp_path) as server:
        assert execute(server.connection(key_file=str(tmp_path / "key")), "echo in").output == "in\n"


def test_a_server_that_does_not_answer_to_a_login(tmp_path):
    with Server(tmp_path, "silence") as server, pytest.raises(Refused, match="no answer to password for user 'me'"):
        execute(server.connection(), "true", login=0.5)


def test_a_device_without_bash(tmp_path):
    """Its shell knows no bash: a stand-in that says so."""
    shell = tmp_path / "shell"
    shell.write_text("#!/bin/sh\necho \"sh: exec: bash: not found\"\nexit 127\n")
    shell.chmod(0o755)
    said = r"did not begin: sh: exec: bash: not found\n  cure: the device must have bash"
    with Server(tmp_path, shell=str(shell)) as server, pytest.raises(DeviceError, match=said):
        execute(server.connection(), "true")
