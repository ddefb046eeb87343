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
