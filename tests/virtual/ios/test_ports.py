"""The Ethernets of a NAT and of a VPN endpoint: whom they answer ARP for, and by which interface to whom a packet goes."""

from __future__ import annotations

import random

import pytest

from harness.routers import esp_sites
from harness.routers.esp_lab import CONFIGURATION
from harness.routers.esp_sites import EAST, WEST, Site
from harness.virtual.ios.configure import load
from harness.virtual.ios.endpoint_role import EndpointRole
from harness.virtual.ios.endpoint_sides import addresses
from harness.virtual.ios.nat_role import NatRole
from harness.virtual.ios.ports import Ports
from harness.virtual.ios.state import State
from harness.wire import arp, ip
from harness.wire.arp import BROADCAST, ETH_P_ARP, ETH_P_IP, Arp

FA0, FA1 = "FastEthernet0/0", "FastEthernet0/1"
HARDWARE = {FA0: b"\x02\0\0\0\0\1", FA1: b"\x02\0\0\0\0\2"}
PEER = b"\x02\0\0\0\0\x99"
ONE, GATE = Site(WEST, 1), Site(EAST, 1)
REST = (f"interface {FA0}", " ip address 10.0.0.1 255.255.255.0", f"interface {FA1}", " ip address 203.0.113.232 255.255.255.0")


def ports(role, lines):
    state = State(startup="\n".join((*lines, "end")))
    assert not state.troubles
    return Ports(role(state, random.Random(1).randbytes), HARDWARE)


def nat(lines=None):
    return ports(NatRole, CONFIGURATION.read_text().splitlines() if lines is None else lines)


def endpoint():
    return ports(EndpointRole, esp_sites.client(ONE, (GATE,)))


def configure(there, *lines):
    assert not load(there.role.state.configuration, lines, there.role.state.features)


def answers(there, name, address, by=None):
    """Whether ARP for that address is answered on that interface, to a neighbour there if `by` is nobody else."""
    if by is None:
        tree = there.role.state.configuration.tree
        by = str(next(addresses(tree.first(f"interface {name}"))).network[99])
    ask = arp.build(Arp(True, PEER, ip.packed(by), ip.packed(address)))
    there.receive(0.0, name, BROADCAST + PEER + ETH_P_ARP.to_bytes(2) + ask)
    return any(frame[12:14] == ETH_P_ARP.to_bytes(2) for _, frame in there.take_frames(0.0))


def come(there, name, src, dst):
    """A UDP packet to that interface; the neighbours that are asked for then, as (interface, by whom, who)."""
    packet = ip.build_ipv4(src, dst, ip.UDP, ip.build_udp(ip.packed(src), ip.packed(dst), 500, 500, b"words"))
    there.receive(0.0, name, HARDWARE[name] + PEER + ETH_P_IP.to_bytes(2) + packet)
    found = [(where, arp.parse(frame[14:])) for where, frame in there.take_frames(0.0)]
    return [(where, ip.dotted(one.sender), ip.dotted(one.target)) for where, one in found]


@pytest.mark.parametrize(
    ("name", "address", "answered"),
    [
        (FA0, "10.0.0.1", True),
        (FA0, "203.0.113.241", True),  # by proxy: it leads there
        (FA0, "10.0.0.11", False),  # a neighbour of the one who asks
        (FA0, "192.0.2.1", False),  # it knows no way
        (FA1, "203.0.113.232", True),
        (FA1, "203.0.113.234", False),
    ],
)
def test_a_nat_answers_for_itself_and_where_it_leads(name, address, answered):
    assert answers(nat(), name, address) is answered


def test_a_nat_answers_outside_for_the_addresses_of_its_pool():
    from harness.routers.scripts.esp_tunnels import POOL

    there = nat(POOL)
    assert [answers(there, FA1, f"203.0.113.{number}") for number in (233, 234, 236, 237)] == [False, True, True, False]
    assert not answers(there, FA0, "10.0.0.234")


def test_a_router_may_be_told_to_answer_for_itself_alone():
    there = nat()
    configure(there, f"interface {FA0}", " no ip proxy-arp")
    assert (answers(there, FA0, "203.0.113.241"), answers(there, FA0, "10.0.0.1")) == (False, True)


def test_packets_go_through_a_nat_to_the_neighbour_on_the_other_side():
    there = nat()
    assert come(there, FA0, "10.0.0.11", "203.0.113.241") == [(FA1, "203.0.113.232", "203.0.113.241")]
    assert not come(nat(REST), FA0, "10.0.0.11", "203.0.113.241")  # at rest neither interface is on a side


def test_an_interface_that_is_shut_down_is_deaf_and_dumb():
    there = nat()
    configure(there, f"interface {FA1}", " shutdown")
    assert not answers(there, FA1, "203.0.113.232")
    assert not come(there, FA0, "10.0.0.11", "203.0.113.241")


def test_an_endpoint_does_not_answer_for_those_on_its_own_wire():
    there = endpoint()
    assert answers(there, FA1, "10.1.1.1")
    assert answers(there, FA0, "10.0.0.11")
    assert not answers(there, FA0, "203.0.113.241")  # its default route leads back there
    assert not answers(there, FA1, "10.1.1.5")


def test_nobody_of_another_network_on_the_same_switch_is_answered():
    there = endpoint()
    assert answers(there, FA1, "10.1.2.1")  # its own network's hosts may go by it, wherever they go
    assert not answers(there, FA1, "10.1.2.1", by="10.1.2.5")
    assert not answers(there, FA1, "10.1.1.1", by="10.1.2.5")


def test_an_endpoint_asks_its_wire_for_a_peer_by_the_address_of_that_interface():
    assert come(endpoint(), FA1, ONE.host, GATE.host) == [(FA0, ONE.address, GATE.address)]


def test_a_next_hop_is_asked_for_where_a_route_names_one():
    there = endpoint()
    configure(there, f"no ip route 0.0.0.0 0.0.0.0 {FA0}", "ip route 0.0.0.0 0.0.0.0 10.0.0.1")
    assert come(there, FA1, ONE.host, GATE.host) == [(FA0, ONE.address, "10.0.0.1")]
