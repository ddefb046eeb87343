"""No input costs more than linear time. Counted in calls, not in seconds: twice the bytes, at most twice the calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from harness.wire import ip
from harness.wire.l2tp import header
from harness.wire.ppp import frame, packet
from harness.wire.ppp.packet import Packet

HELLO = bytes.fromhex("8008000000000006")
LCP, IPCP, CHAP = 0xC021, 0x8021, 0xC223
Dial = Callable[..., Any]
Shape = Callable[[Any, int], bytes]


def calls(action: Callable[[], object]) -> int:
    count = 0

    def note(running: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def l2tp_data(link: Any, ppp: bytes) -> bytes:
    l2tp = link.client._l2tp
    return header.build_data(l2tp.tunnel_local, l2tp.session_local, ppp)


def control(link: Any, body: bytes) -> bytes:
    l2tp = link.client._l2tp
    return header.build_control(l2tp.tunnel_local, 0, l2tp._channel._nr, 0, body)


def ppp(protocol: int, code: int, unit: bytes) -> Shape:
    return lambda link, count: l2tp_data(link, frame.build(protocol, packet.build(Packet(code, 1, unit * count))))


SHAPES: dict[str, Shape] = {
    "AVPs that nobody knows": lambda link, count: control(link, HELLO + bytes.fromhex("0006000000ff") * count),
    "one AVP again and again": lambda link, count: control(link, HELLO * count),
    "random vectors": lambda link, count: control(link, HELLO + bytes.fromhex("000700000024ff") * count),
    "unknown LCP options": ppp(LCP, 1, b"\x63\x02"),
    "tiny MRUs": ppp(LCP, 1, b"\x01\x04\x00\x01"),
    "LCP Rejects": ppp(LCP, 4, b"\x07\x02"),
    "an unknown LCP code": ppp(LCP, 99, b"\xff"),
    "an echo": ppp(LCP, 9, b"\x01\x02\x03\x04"),
    "a reason full of controls": ppp(LCP, 5, b"\x00\xff"),
    "IPCP options": ppp(IPCP, 1, b"\x03\x06\x00\x00\x00\x00"),
    "CHAP failure": ppp(CHAP, 4, b" E=1 M="),
    "an unknown protocol": ppp(0x80FD, 1, b"\x01\x02"),
    "a stranger's data": lambda link, count: header.build_data(1, 2, b"\xff\x03\x00\x21" + b"E" * 20 * count),
    "no L2TP at all": lambda link, count: b"\xff\xff" * count,
}


@pytest.mark.parametrize("name", SHAPES)
def test_what_comes_out_of_an_sa_is_read_in_linear_time(dial: Dial, name: str) -> None:
    def cost(count: int) -> int:
        link = dial()
        ends = ip.packed("203.0.113.231"), ip.packed("10.0.0.2")
        datagram = ip.build_udp(*ends, 1701, 1701, SHAPES[name](link, count))
        sealed = next(iter(link.gateway.pairs.values()))[1].seal(ip.UDP, datagram)
        return calls(lambda: link.client.receive(link.now, 4500, sealed))

    one, two = cost(500), cost(1000)
    assert one > 20
    assert two <= 2.1 * one


@pytest.mark.parametrize("unit", [b"\x00", b"\xff", b"\x00\x00\x00\x00\xde\xad\xbe\xef"])
@pytest.mark.parametrize("port", [500, 4500])
def test_what_comes_to_the_ports_is_read_in_linear_time(dial: Dial, port: int, unit: bytes) -> None:
    def cost(count: int) -> int:
        link = dial()
        return calls(lambda: link.client.receive(link.now, port, unit * count))

    one, two = cost(2000), cost(4000)
    assert two <= 2.1 * one
