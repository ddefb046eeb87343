"""The NAT's driver, over an `execute` that answers what a NAT would."""

from __future__ import annotations

import asyncio

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
