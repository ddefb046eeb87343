"""RIP between a live router and a caller that is one too: whose packets are carried where, and for how long."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from test_live_vpdn import LNS, routers  # noqa: F401  (a fixture)

from harness.wire import ip, rip

HOST, BEHIND, NETWORK = "192.0.2.80", "192.168.77.7", IPv4Network("192.168.77.0/24")
RIP = ("interface FastEthernet0/1", "ip address 192.0.2.1 255.255.255.0", "router rip", "version 2", "network 172.16.0.0",
       "network 192.0.2.0")  # fmt: skip


@pytest.fixture
def lab(routers):  # noqa: F811
    at = routers(lns=RIP)
    at.host = []
    at.boxes[LNS].heard = at.host.append
    at.caller = at.call()
    return at


def tells(at, caller, metric=1):
    (message,) = rip.responses([rip.Entry(NETWORK, metric)])
    caller.send(caller.core.datagram(rip.GROUP, rip.PORT, message))
    at.run(1.0)


def packet(source, to):
    return ip.build_ipv4(source, to, ip.UDP, ip.build_udp(ip.packed(source), ip.packed(to), 9, 9, b"marked"))


def reaches(at, caller):
    """Whether the host's packet for the network behind comes to that caller."""
    before = len(caller.core.packets)
    at.boxes[LNS].from_host(packet(HOST, BEHIND))
    at.run(1.0)
    return any(b"marked" in one for one in caller.core.packets[before:])


def comes_out(at, caller):
    """Whether what is sent from behind that caller comes to the host."""
    before = len(at.host)
    caller.send(caller.core._ppp.send_ip(packet(BEHIND, HOST)))
    at.run(1.0)
    return any(b"marked" in one for one in at.host[before:])


def test_a_network_behind_a_caller_is_reached_while_it_is_told_of(lab):
    assert not reaches(lab, lab.caller)
    assert not comes_out(lab, lab.caller)
    tells(lab, lab.caller)
    assert reaches(lab, lab.caller)
    assert comes_out(lab, lab.caller)
    lab.run(200)
    assert not reaches(lab, lab.caller)
    tells(lab, lab.caller)
    tells(lab, lab.caller, metric=16)
    assert not reaches(lab, lab.caller)


def test_nobody_else_may_send_from_there_and_who_comes_next_has_it_not(lab):
    other = lab.call()
    tells(lab, lab.caller)
    assert not comes_out(lab, other)
    address = lab.caller.core.address
    lab.caller.close()
    lab.run(60)
    assert not reaches(lab, other)
    callers = [lab.call() for _ in range(10)]  # as many as the pool still has addresses for
    (caller,) = [one for one in callers if one.core.address == address]
    assert not reaches(lab, caller)


def test_callers_hear_of_each_others_networks_every_half_minute(lab):
    other = lab.call()
    tells(lab, lab.caller)
    before = len(other.core.packets)
    lab.run(61)
    heard = [one for one in other.core.packets[before:] if ip.dotted(one[16:20]) == rip.GROUP]
    assert len(heard) == 2
    entries = rip.parse(ip.parse_udp(ip.parse_ipv4(heard[-1]).payload).payload).entries
    assert {str(one.network): one.metric for one in entries} == {"172.16.1.1/32": 1, "192.0.2.0/24": 1, "192.168.77.0/24": 2}


def test_what_is_typed_counts_at_once(lab):
    tells(lab, lab.caller)
    live = lab.terminals[LNS]
    live.configure("no router rip")
    assert not reaches(lab, lab.caller)
    live.configure(*RIP[2:])
    assert not reaches(lab, lab.caller)
    tells(lab, lab.caller)
    assert reaches(lab, lab.caller)
