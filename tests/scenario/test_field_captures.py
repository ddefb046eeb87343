"""What captures a NAT that is somebody's, and how."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.lab import enclosure
from harness.model import CaptureSource, Connection, Side
from harness.scenario.field_captures import OverSsh
from harness.testbed import check

NAT, TAP = Connection("nat", "10.99.0.2"), Connection("tap", "10.99.0.9")


@dataclass
class Lab:
    testbed: object


def bench(inside=None, outside=None):
    known = check(enclosure.ROOT / "testbeds/virtual.yaml")
    return replace(known, nat=replace(known.nat, connection=NAT, inside_capture=inside, outside_capture=outside))


@pytest.mark.parametrize(("connection", "promiscuous"), [(NAT, False), (TAP, True)])
def test_a_machine_that_is_not_the_nat_sees_frames_of_others(connection, promiscuous):
    capture = OverSsh(Lab(bench()), Side.INSIDE, CaptureSource("tcpdump", "eth1", connection), Path("a.pcap"))
    words = shlex.split(capture.command())
    assert ("-p" not in words) is promiscuous
    assert words[-1].endswith(f"not (host {connection.host} and tcp port 22)")
