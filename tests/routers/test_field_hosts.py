"""The hosts behind endpoints that are there: each at a hardware address of its own on one card, and what they find amiss."""

from __future__ import annotations

import asyncio
from functools import partial
from types import SimpleNamespace

import pytest

from harness.model.sites import EAST, WEST, Site
from harness.routers import field_hosts
from harness.routers.field_esp import FieldEsp
from harness.routers.field_hosts import FieldHosts, hardware
from harness.simulation.loop import SimulatedLoop
from harness.wire import arp, ip
from harness.wire.arp import BROADCAST, ETH_P_ARP, ETH_P_IP, Arp, EthernetNode

CARD = b"\x02\x10\x20\x30\x40\xff"
ONE, TWO, GATE = Site(WEST, 1), Site(WEST, 2), Site(EAST, 1)


def answers(own, by, to):
    return to == own


class Card:
    """The card, and on its switch the endpoints' LAN interfaces; what is sent to one of these comes out at `got`."""

    def __init__(self, *sites):
        self.unsent, self.address, self.got, self.open = 0, CARD, [], True
        self.hear = lambda frame: None
        self.routers = {
            site.name: EthernetNode(bytes((2, 0, 0, 0, 0, number)), partial(answers, ip.packed(site.gateway)))
            for number, site in enumerate(sites, 1)
        }

    def send(self, frame):
        assert frame[6:12] != CARD  # nobody speaks for the card itself
        for name, node in self.routers.items():
            if frame[:6] in (node.hardware, BROADCAST) and (packet := node.receive(0.0, frame)) is not None:
                self.got.append((name, frame[6:12], packet))
            for answer in node.take_frames():
                asyncio.get_running_loop().call_later(0.01, self.hear, answer)

    def close(self):
        self.open = False


def play(monkeypatch, what, *there, sites=(ONE, TWO, GATE)):
    """The card after `what` was done with the hosts of `sites`, where the routers of `there` are."""
    card, came = Card(*there), []

    def opened(where, name, kinds, hear, *, promiscuous):
        assert (name, kinds, promiscuous) == ("nic0", (ETH_P_IP, ETH_P_ARP), True)
        card.hear = hear
        return card

    monkeypatch.setattr(field_hosts, "EthernetCard", opened)

    async def run():
        hosts = FieldHosts(None, "nic0", 1000, sites, lambda name, packet: came.append((name, packet)))
        return await what(hosts, card, came)

    with SimulatedLoop.runner() as runner:
        return runner.run(run())


def test_hosts_have_hardware_addresses_of_their_own():
    found = {hardware(CARD, number) for number in range(1, 9)}
    assert len(found) == 8
    assert CARD not in found
    assert all(one[0] & 3 == 2 for one in found)  # administered here, and no group's


def test_hosts_meet_their_endpoints_and_each_sends_by_its_own(monkeypatch):
    async def what(hosts, card, came):
        assert await hosts.meet() == []
        for site, to in ((ONE, GATE), (TWO, GATE), (GATE, TWO)):
            hosts.send(site.name, ip.build_ipv4(site.host, to.host, ip.UDP, site.name.encode()))
        await asyncio.sleep(0.1)
        assert [name for name, _, _ in card.got] == ["west-1", "west-2", "east-1"]
        assert all(packet[20:].decode() == name for name, _, packet in card.got)
        assert len({by for _, by, _ in card.got}) == 3
        return True

    assert play(monkeypatch, what, ONE, TWO, GATE)


def test_what_comes_to_a_host_is_told_as_its_own(monkeypatch):
    async def what(hosts, card, came):
        await hosts.meet()
        packet = ip.build_ipv4(GATE.host, TWO.host, ip.UDP, b"words")
        node = card.routers[TWO.name]
        node.send(0.0, ip.packed(TWO.gateway), ip.packed(TWO.host), packet)
        for frame in node.take_frames():
            card.hear(frame + bytes(12))
        ask = arp.build(Arp(True, node.hardware, ip.packed(TWO.gateway), ip.packed(TWO.host)))
        card.hear(BROADCAST + node.hardware + ETH_P_ARP.to_bytes(2) + ask)
        card.hear(b"\x02\0\0\0\0\x77" + node.hardware + ETH_P_IP.to_bytes(2) + packet)  # somebody else's
        assert came == [("west-2", packet)]
        hosts.close()
        assert not card.open
        return True

    assert play(monkeypatch, what, ONE, TWO, GATE)


def test_an_endpoint_that_does_not_answer_is_named(monkeypatch):
    async def what(hosts, card, came):
        began = asyncio.get_running_loop().time()
        found = await hosts.meet()
        assert asyncio.get_running_loop().time() - began < 4.0
        return found

    (said,) = play(monkeypatch, what, ONE, GATE)
    assert said.startswith("west-2 does not answer ARP for 10.1.2.1 on the hosts' card")


@pytest.mark.parametrize("vrf", ["", "red"])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("Success rate is 80 percent (4/5), round-trip min/avg/max = 1/1/4 ms", 0),
        ("Sending 5, 100-byte ICMP Echos\r\n.....\r\nSuccess rate is 0 percent (0/5)\r\n", 4),
        ("% Invalid input detected at '^' marker.", 0),
    ],
)
def test_routers_look_for_their_neighbours_before_a_script(answer, told, vrf):
    asked = []

    class Driver:
        def __init__(self, name):
            self.name = name

        async def ask(self, command):
            asked.append((self.name, command))
            return answer

    there = SimpleNamespace(_west=(ONE,), _east=(GATE, Site(EAST, 2)), routers={name: Driver(name) for name in ("nat", "west-1")})
    there._startup = lambda role: ("interface FastEthernet0/0", *((f" ip vrf forwarding {vrf}",) if vrf else ()))
    there.sites = {site.name: site for site in (*there._west, *there._east[:1])}
    found = asyncio.run(FieldEsp._look_around(there))
    assert asked == [
        ("west-1", "ping 203.0.113.241"), ("west-1", "ping 203.0.113.242"),
        ("nat", f"ping {'vrf red ' if vrf else ''}10.0.0.11"), ("nat", "ping 203.0.113.241"),
    ]  # fmt: skip
    assert len(found) == told
    if told:
        assert found[2] == "nat does not reach 10.0.0.11: look at the wire between them"
