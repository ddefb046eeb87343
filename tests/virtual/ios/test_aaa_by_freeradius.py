"""The virtual IOS router before Debian's FreeRADIUS: users it lets in, turns away and counts, in its own words (SEC-135)."""

from __future__ import annotations

import os
import socket

import pytest
from aaa_lab import KEY, SERVER, Routers
from vpdn_bench import LNS, PASSWORD, USER, WIRE_DELAY_S

from harness.errors import MissingTool
from harness.lab import packages
from harness.lab.freeradius import FreeRadius
from harness.model import Secret
from harness.simulation.loop import SimulatedLoop
from harness.wire import ip
from harness.wire.packet import Packet, from_ip, to_ip

PATIENCE_S = 20.0
NAMES = {"pap": "pap", "chap-md5": "chap", "mschapv1": "ms-chap", "mschapv2": "ms-chap-v2"}


def own_address():
    """A loopback address that no other process of this run takes."""
    number = os.getpid()
    return f"127.{141 + (number >> 16 & 63)}.{number >> 8 & 255}.{number & 255}"


@pytest.fixture(scope="module")
def radius(tmp_path_factory):
    try:
        root = packages.radius_directory()
    except MissingTool as error:
        pytest.skip(str(error))
    users, address = {USER: Secret(PASSWORD)}, own_address()
    with FreeRadius(root, tmp_path_factory.mktemp("radius"), {"127.0.0.1": Secret(KEY)}, users, address=address) as server:
        yield server


class Bridge:
    """FreeRADIUS at an address of the simulated wire, whose time stands still until it has answered."""

    def __init__(self, address, radius, outside):
        self._address, self._radius, self._outside = address, radius, outside
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE_S)

    def receive(self, data):
        packet = from_ip(data)
        self._socket.sendto(packet.payload, (self._radius.address, packet.dport))
        answer = self._socket.recv(0xFFFF)
        self._outside(to_ip(Packet(self._address, packet.src, ip.UDP, answer, packet.dport, packet.sport)))

    def close(self):
        self._socket.close()


@pytest.fixture
def routers(radius):
    with SimulatedLoop.runner() as runner:
        bridges = []

        def make(**how):
            at = Routers(runner, **how)
            bridges.append(Bridge(SERVER, radius, at._send))
            at.switch.attach(ip.packed(SERVER), WIRE_DELAY_S, bridges[-1].receive)
            return at

        yield make
        for bridge in bridges:
            bridge.close()


@pytest.mark.parametrize("method", NAMES)
def test_a_users_life_as_freeradius_tells_it(routers, radius, method):
    asks = f"ppp authentication {NAMES[method]}"
    lns = (f"no username {USER}", "interface Virtual-Template1", asks, "aaa accounting update periodic 5")
    at = routers(lns=lns, lac=("interface Serial1", asks))
    before = len(radius.records())
    caller = at.call(accept=(method,))
    assert caller.core.address == "172.16.1.10"
    for _ in range(3):
        assert at.ping(caller, payload=bytes(100))
    at.run(400)
    caller.close()
    at.run(10)
    start, interim, stop = radius.records()[before:]
    assert [one["Acct-Status-Type"] for one in (start, interim, stop)] == [["Start"], ["Interim-Update"], ["Stop"]]
    for one in (start, interim, stop):
        assert (one["User-Name"], one["NAS-IP-Address"], one["Framed-IP-Address"]) == ([USER], [LNS], ["172.16.1.10"])
        assert one["Class"] == [f"0x{USER.encode().hex()}"]
        assert one["Acct-Session-Id"] == start["Acct-Session-Id"]
    counted = ("Acct-Input-Octets", "Acct-Output-Octets", "Acct-Input-Packets", "Acct-Output-Packets")
    assert [stop[name] for name in counted] == [["384"], ["384"], ["3"], ["3"]]
    assert interim["Acct-Session-Time"] == ["300"]
    assert stop["Acct-Session-Time"] == ["403"]
    assert stop["Acct-Terminate-Cause"] == ["User-Request"]


@pytest.mark.parametrize("method", NAMES)
def test_a_user_whom_freeradius_turns_away(routers, radius, method):
    """That the router itself has the password changes nothing."""
    asks = f"ppp authentication {NAMES[method]}"
    lns = ("interface Virtual-Template1", asks, "aaa authentication ppp default group radius local")
    at = routers(lns=lns, lac=("interface Serial1", asks))
    before = len(radius.records())
    caller = at.call(accept=(method,), password="typo")
    assert caller.core.address is None
    assert any("is rejected by RADIUS" in reason for reason in at.reasons(LNS))
    assert radius.records()[before:] == []
    radius.wait_for(f"[{USER}")
