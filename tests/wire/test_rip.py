"""RIP version 2's messages, read by scapy too."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire import rip

NET = IPv4Network("192.168.77.0/24")
networks = st.builds(
    lambda address, length: IPv4Network((address, length), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32)
)


@given(st.lists(st.builds(rip.Entry, networks, st.integers(1, 16)), max_size=60))
def test_what_is_told_is_read_in_messages_of_25_entries(entries):
    messages = [rip.parse(one) for one in rip.responses(entries)]
    assert [entry for one in messages for entry in one.entries] == entries
    assert [len(one.entries) for one in messages] == [25] * (len(entries) // 25) + [len(entries) % 25] * bool(len(entries) % 25)
    assert not any(one.request for one in messages)


def test_scapy_reads_the_same():
    from scapy.layers.rip import RIP, RIPEntry

    (message,) = rip.responses([rip.Entry(NET, 3), rip.Entry(IPv4Network("10.0.0.1/32"), 16)])
    seen = RIP(message)
    assert (seen.cmd, seen.version, seen.null) == (2, 2, 0)
    entries = [seen[RIPEntry], seen[RIPEntry].payload]
    assert [(one.AF, one.addr, one.mask, one.nextHop, one.metric) for one in entries] == [
        (2, "192.168.77.0", "255.255.255.0", "0.0.0.0", 3),
        (2, "10.0.0.1", "255.255.255.255", "0.0.0.0", 16),
    ]
    asked = RIP(rip.request())
    assert (asked.cmd, asked[RIPEntry].AF, asked[RIPEntry].metric) == (1, 0, 16)
    built = bytes(RIP(cmd=2, version=2) / RIPEntry(AF=2, addr="192.168.77.0", mask="255.255.255.0", metric=3))
    assert rip.parse(built) == rip.Message(False, (rip.Entry(NET, 3),))


def test_a_request_for_all_is_told_from_one_for_some():
    assert rip.parse(rip.request()) == rip.Message(True, (), whole=True)
    (some,) = rip.responses([rip.Entry(NET, 16)])
    assert rip.parse(b"\x01" + some[1:]) == rip.Message(True, (rip.Entry(NET, 16),))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        rip.request()[:4],
        rip.request()[:-1],
        rip.request() + b"\0",
        b"\x03" + rip.request()[1:],
        b"\x01\x01" + rip.request()[2:],
    ],
)
def test_what_is_no_such_message(payload):
    with pytest.raises(ProtocolError):
        rip.parse(payload)


@pytest.mark.parametrize(
    ("at", "changed"),
    [
        (4, b"\x00\x0a"),
        (8, bytes((192, 168, 77, 1))),
        (12, bytes((255, 0, 255, 0))),
        (20, bytes(4)),
        (23, b"\x11"),
    ],
)
def test_an_entry_that_makes_no_sense_is_left_out_alone(at, changed):
    (message,) = rip.responses([rip.Entry(NET, 1), rip.Entry(IPv4Network("10.0.0.0/8"), 1)])
    broken = message[:at] + changed + message[at + len(changed) :]
    assert [str(one.network) for one in rip.parse(broken).entries] == ["10.0.0.0/8"]
