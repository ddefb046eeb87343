"""The NAT's driver, over an `execute` that answers what a NAT would."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from harness.devices.linux_host import LinuxHost
from harness.devices.linux_nat import LinuxNat
from harness.devices.ssh import Result
from harness.errors import DeviceError
from harness.lab import enclosure
from harness.model import Secret
from harness.model.redact import Redactor
from harness.testbed import check

SECRET = Secret("Zaphod42's heart")


def answering(status, output):
    async def execute(command, timeout):
        return Result(status, output, Redactor([SECRET]))

    return execute


def driver(execute):
    known = check(enclosure.ROOT / "testbeds/virtual.yaml")
    return LinuxNat(execute, known.nat, known.clients.prefix)


@pytest.mark.parametrize(
    ("status", "call"),
    [
        (1, lambda execute: driver(execute).start()),
        (1, lambda execute: driver(execute).mappings()),
        (0, lambda execute: driver(execute).forget()),
        (1, lambda execute: LinuxHost(execute).addresses()),
        (1, lambda execute: LinuxHost(execute).ready_to_capture("eth0")),
        (0, lambda execute: LinuxHost(execute).routes()),
    ],
)
def test_what_a_device_says_of_a_secret_is_in_no_error(status, call):
    with pytest.raises(DeviceError, match=r"it is \*\*\*") as caught:
        asyncio.run(call(answering(status, f"it is {SECRET.reveal()}")))
    assert SECRET.reveal() not in str(caught.value)


ROW = "udp 17 28 src=10.0.0.{n} dst=203.0.113.231 sport=500 dport=500 src=203.0.113.231 dst=203.0.113.232 sport=500 dport=41921"
TOLD = "conntrack v1.4.7 (conntrack-tools): {count} flow entries have been shown."


@pytest.fixture
def conntrack(tmp_path):
    """Has a `conntrack` come before the real one that runs these lines; returns an `execute` with both its outputs in one."""

    def install(*lines):
        program = tmp_path / "conntrack"
        program.write_text("\n".join(("#!/bin/sh", *lines)), encoding="ascii")
        program.chmod(0o755)

        async def execute(command, timeout):
            words = ("bash", "-c", command)
            path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
            done = subprocess.run(words, env=path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
            return Result(done.returncode, done.stdout, Redactor([]))

        return execute

    return install


def test_what_conntrack_says_in_the_midst_of_a_row_is_no_part_of_it(conntrack):
    """Seen with 25 clients: its standard output is written by blocks of 4096 bytes, its count when it likes."""
    row = ROW.format(n=2)
    count = f"echo '{TOLD.format(count=2)}' >&2"
    execute = conntrack(f"printf '{row[:-1]}'", count, f"echo '{row[-1]}'", f"echo '{ROW.format(n=3)}'")
    assert [entry.outside_port for entry in asyncio.run(driver(execute).mappings())] == [41921, 41921]


def test_a_row_that_is_not_understood_is_told(conntrack):
    execute = conntrack(f"echo '{ROW.format(n=2)}'", "echo 'udp 17 28 src=10.0.0.3'", f"echo '{TOLD.format(count=2)}' >&2")
    with pytest.raises(DeviceError, match="it shows 2 entries, and 1 were understood: "):
        asyncio.run(driver(execute).mappings())


def test_a_table_that_cannot_be_read_is_told_with_what_was_said(conntrack):
    with pytest.raises(DeviceError, match="you must be root"):
        asyncio.run(driver(conntrack("echo 'you must be root' >&2", "exit 1")).mappings())


MAPPING = "udp 17 28 src=10.0.0.2 dst={to} sport=500 dport=500 [UNREPLIED] src={to} dst={outside} sport=500 dport={port} use=1\n"


@pytest.mark.parametrize(
    ("to", "outside", "port", "told"),
    [
        ("203.0.113.231", "203.0.113.232", 1024, False),
        ("203.0.113.231", "203.0.113.232", 1023, True),
        ("203.0.113.231", "198.51.100.7", 1024, True),
        ("203.0.113.231", "10.0.0.2", 500, True),  # not translated at all
        ("192.0.2.1", "10.0.0.2", 500, False),  # to the NAT itself
    ],
)
def test_a_mapping_by_another_outside_than_the_testbeds_is_an_error(to, outside, port, told):
    nat = driver(answering(0, MAPPING.format(to=to, outside=outside, port=port)))
    if told:
        said = f"goes out as {outside} port {port}, and the testbed names 203.0.113.232, ports 1024 to 65535"
        with pytest.raises(DeviceError, match=said):
            asyncio.run(nat.mappings())
    else:
        assert [one.outside_port for one in asyncio.run(nat.mappings())] == [port]
