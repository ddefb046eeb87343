"""Log messages for hosts: by UDP, as RFC 3164 has them, in the clear beside the tunnels."""

from __future__ import annotations

import re

from live import Live, example

HOST, OTHER = "10.0.0.13", "10.0.0.14"
MESSAGE = rb"<189>(\d+): \*Mar  1 00:00:\d\d\.\d{3}: %SYS-5-CONFIG_I: Configured from console by .*"


def router(*lines):
    live = Live(lambda: 1.0)
    live.configure(*example("l2tp-security-lac"), *lines)
    live.router.take_packets()
    return live


def sent(live):
    return [packet for packet in live.router.take_packets() if packet.dport == 514]


def numbers(packets):
    found = [re.fullmatch(MESSAGE, packet.payload) for packet in packets]
    assert all(found)
    return [int(one[1]) for one in found]


def test_each_host_is_told_what_is_logged():
    """The facility is local7 and the message's severity 5: 23 * 8 + 5."""
    live = router(f"logging {HOST}", f"logging {OTHER}")
    live.configure("hostname LAC")
    packets = sent(live)
    assert [(packet.src, packet.dst, packet.protocol) for packet in packets] == [("10.0.0.12", HOST, 17), ("10.0.0.12", OTHER, 17)]
    first = numbers(packets)
    live.configure("hostname LAC")
    assert numbers(sent(live)) == [number + 1 for number in first]


def test_nobody_is_told_without_the_line_or_after_its_no_form():
    live = router(f"logging {HOST}")
    live.configure(f"no logging {HOST}")
    assert sent(live) == []
    live.configure(f"logging {HOST}")
    assert len(sent(live)) == 1
    assert f"logging {HOST}" in live.run("show running-config")


def test_what_debug_prints_stays_on_terminals():
    """IOS sends severities down to informational; debugging is below."""
    live = router(f"logging {HOST}")
    live.state.log("L2TP:I SCCRQ from LAC tnl 77", "%LINK-7-ONE: a debugging message", "%SYS-6-TWO: an informational one")
    assert [packet.payload.partition(b"%")[2] for packet in sent(live)] == [b"SYS-6-TWO: an informational one"]
