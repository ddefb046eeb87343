"""A host's routes, and whether it can capture."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from harness.devices.linux_host import LinuxHost, Route, parse_routes
from harness.errors import DeviceError

ROUTES = """\
default via 192.0.2.1 dev eth0 proto dhcp src 192.0.2.7 metric 100
10.0.0.0/24 via 192.0.2.2 dev eth0
192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.7
198.51.100.9 dev wg0 scope link
blackhole 10.9.0.0/16
unreachable default metric 4278198272
203.0.113.0/24 proto static
\tnexthop via 192.0.2.3 dev eth0 weight 1
\tnexthop via 192.0.2.4 dev eth1 weight 1
"""


@dataclass
class Answer:
    status: int
    output: str


def host(status, output):
    async def execute(command, timeout):
        return Answer(status, output)

    return LinuxHost(execute)


def test_routes():
    rows = parse_routes(ROUTES)
    assert rows.unread == ()
    assert rows.rows == (
        Route("default", "192.0.2.1", "eth0"),
        Route("10.0.0.0/24", "192.0.2.2", "eth0"),
        Route("192.0.2.0/24", None, "eth0"),
        Route("198.51.100.9", None, "wg0"),
        Route("10.9.0.0/16", None, None),
        Route("default", None, None),
        Route("203.0.113.0/24", "192.0.2.3", "eth0"),
    )


def test_no_routes_and_a_route_cut_off():
    assert parse_routes("").rows == parse_routes("\n").unread == ()
    rows = parse_routes("default via 192.0.2.1 dev eth0\n10.0.0.0/24 via 192.0")
    assert rows.rows == (Route("default", "192.0.2.1", "eth0"),)
    assert rows.unread == ("10.0.0.0/24 via 192.0",)
    with pytest.raises(DeviceError, match=r"^host: 'ip -4 route': a line that is none of its: 'garbage'"):
        asyncio.run(host(0, "garbage\n").routes())


@pytest.mark.parametrize(
    ("status", "output", "said"),
    [
        (127, "", "apt-get install tcpdump"),
        (1, "tcpdump: eth9: No such device exists\n", "name one of its interfaces"),
        (1, "tcpdump: eth0: You don't have permission to perform this capture on that device\n", "log in as root"),
    ],
)
def test_why_it_cannot_capture(status, output, said):
    with pytest.raises(DeviceError, match=said) as caught:
        asyncio.run(host(status, output).ready_to_capture("eth0"))
    assert output.strip() in str(caught.value)
