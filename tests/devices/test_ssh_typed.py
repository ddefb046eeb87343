"""The ssh command that is told, as ssh itself reads it; and typed as it is told, through two jump hosts."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import replace

import paramiko
import pytest

from bench_in_a_box import sshd
from bench_in_a_box.sshd import Sshd
from harness.devices import ssh_keys, ssh_typed
from harness.devices.journal import reached
from harness.model.reach import Connection

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no program ssh (Debian package openssh-client)")

NEAR = Connection("near", "192.0.2.1", 2201, "ann")
FAR = Connection("far", "2001:db8::2", 22, "bob", jump=NEAR)
FARTHER = Connection("farther", "192.0.2.3", 22, "cid", jump=FAR)
DEVICE = Connection("edge", "10.0.0.9", 2222, "root", jump=FARTHER)


def as_ssh_reads(command: str) -> dict[str, str]:
    """`ssh -G`: option → value."""
    program, *words = shlex.split(command)
    done = subprocess.run([program, "-F", "none", "-G", *words], capture_output=True, text=True, timeout=30, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_the_whole_chain_is_told_the_nearest_first():
    told = ssh_typed.to(DEVICE)
    assert told == "ssh -p 2222 -J 'ann@192.0.2.1:2201,bob@[2001:db8::2]:22,cid@192.0.2.3:22' root@10.0.0.9"
    read = as_ssh_reads(told)
    assert (read["user"], read["hostname"], read["port"]) == ("root", "10.0.0.9", "2222")
    assert read["proxyjump"].replace("[192.0.2.3]", "192.0.2.3") == "ann@192.0.2.1:2201,bob@[2001:db8::2]:22,cid@192.0.2.3:22"


def test_without_a_jump_host_there_is_none_and_who_is_not_root_takes_sudo():
    at = reached(replace(NEAR, key_file="/a key", known_hosts="/known"))
    assert ssh_typed.as_root(at, "bash") == "ssh -p 2201 -i '/a key' -o UserKnownHostsFile=/known ann@192.0.2.1 sudo bash"
    assert ssh_typed.as_root(reached(replace(NEAR, username="root")), "bash") == "ssh -p 2201 root@192.0.2.1 bash"
    assert ssh_typed.terminal(reached(replace(NEAR, protocol="telnet"))) == "telnet 192.0.2.1 2201"


def test_a_router_of_old_is_typed_with_its_algorithms_and_its_jump_host_without():
    plain, old = (as_ssh_reads(ssh_typed.terminal(reached(replace(DEVICE, old_ssh=flag)))) for flag in (False, True))
    for option, name in (
        ("kexalgorithms", "diffie-hellman-group1-sha1"), ("hostkeyalgorithms", "ssh-rsa"), ("ciphers", "3des-cbc"),
        ("pubkeyacceptedalgorithms", "ssh-rsa"),
    ):  # fmt: skip
        assert name in old[option].split(",")
        assert name not in plain[option].split(",")
    assert old["proxyjump"] == plain["proxyjump"]
    assert "old_ssh" not in reached(DEVICE)


def test_a_host_key_is_asked_for_through_all_of_them(tmp_path):
    device = replace(DEVICE, known_hosts=str(tmp_path / "known_hosts"))
    with pytest.raises(ssh_keys.UnknownHostKey) as caught:
        ssh_keys.judge_host_key(device, paramiko.ECDSAKey.generate())
    assert f"{ssh_typed.to(device.jump)} ssh-keyscan -p 2222 10.0.0.9 >> {device.known_hosts}" in str(caught.value)


def test_typed_it_goes_through_each_of_them_with_the_key_and_known_hosts_of_each(tmp_path):
    if (reason := sshd.missing()) is not None:
        pytest.skip(reason)
    with Sshd(tmp_path / "one") as one, Sshd(tmp_path / "two") as two, Sshd(tmp_path / "three") as three:
        near, hard = one.connection("near"), tmp_path / "a place of its own"
        hard.mkdir()
        named = {name: shutil.copy(getattr(near, name), hard) for name in ("key_file", "known_hosts")}
        far = two.connection("far", jump=replace(near, **named))
        command = ssh_typed.to(three.connection("edge", jump=far), "echo", "$SSH_CONNECTION")
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert done.stdout.split()[3] == str(three.port)
        one.stop()  # so that it is seen to have been gone through
        assert subprocess.run(command, shell=True, capture_output=True, timeout=60, check=False).returncode == 255
