"""Hosts straight on the wires of a NAT that is there: who is whose neighbour, what a NAT is told of them, and what is amiss."""

from __future__ import annotations

import asyncio
from functools import partial
from ipaddress import IPv4Address, IPv4Interface

import pytest

from harness.model import ios_releases
from harness.model.router_lab import ON_INSIDE, ON_OUTSIDE
from harness.routers import field_hosts
from harness.routers.esp_lab import CONFIGURATION
from harness.routers.field_neighbours import Neighbours, addresses_in, beyond, routes, vrf_in
from harness.routers.scripts import SCRIPTS
from harness.simulation.loop import SimulatedLoop
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.wire import ip
from harness.wire.arp import BROADCAST, EthernetNode

PLAIN = {ON_INSIDE: IPv4Interface("10.0.0.1/24"), ON_OUTSIDE: IPv4Interface("203.0.113.232/24")}
SAMPLES = {ON_INSIDE: IPv4Interface("192.168.0.1/16"), ON_OUTSIDE: IPv4Interface("171.69.233.1/24")}
CARDS = {ON_INSIDE: "nic1", ON_OUTSIDE: "nic2"}
POOLED = "203.0.113.99"


class Wire:
    """A card, and the NAT on its wire, which has these addresses there, stands for all other networks (RFC 1027), hears nobody of
    another one, and keeps what it got."""

    def __init__(self, number, network, *addresses):
        self.address, self.unsent, self.got, self.open = bytes((2, 0, 0, 0, number, 0)), 0, [], True
        own = [IPv4Address(one).packed for one in addresses]
        self.nat = EthernetNode(bytes((2, 0, 0, 0, number, 99)), partial(self._answers, network, own))
        self.hear = lambda frame: None

    @staticmethod
    def _answers(network, own, by, to):
        return IPv4Address(by) in network and (to in own or IPv4Address(to) not in network)

    def send(self, frame):
        assert frame[6:12] != self.address  # nobody speaks for the card itself
        if frame[:6] in (self.nat.hardware, BROADCAST) and (packet := self.nat.receive(0.0, frame)) is not None:
            self.got.append((ip.dotted(packet[12:16]), ip.dotted(packet[16:20])))
        self.flush()

    def flush(self):
        for frame in self.nat.take_frames():
            asyncio.get_running_loop().call_later(0.01, self.hear, frame)

    def sends(self, by, hop, packet):
        """The NAT, to its neighbour `hop`."""
        self.nat.send(0.0, IPv4Address(by).packed, IPv4Address(hop).packed, packet)
        self.flush()

    def close(self):
        self.open = False


def play(monkeypatch, what, nat=PLAIN, more=(POOLED,), deaf=()):
    """What `what` returns of neighbours, their two wires, and what came to them; the NAT does not answer on sides of `deaf`."""
    wires, came = {}, []
    for number, side in enumerate(CARDS, 1):
        own = () if side in deaf else (nat[side].ip, *(more if side == ON_OUTSIDE else ()))
        wires[side] = Wire(number, nat[side].network, *own)

    def opened(where, name, kinds, hear, *, promiscuous):
        wire = next(wires[side] for side, card in CARDS.items() if card == name)
        wire.hear = hear
        return wire

    monkeypatch.setattr(field_hosts, "EthernetCard", opened)

    async def run():
        return await what(Neighbours(None, CARDS, 1000, nat), wires, came)

    with SimulatedLoop.runner() as runner:
        return runner.run(run())


def packet(src, dst):
    return ip.build_ipv4(src, dst, ip.UDP, b"words")


def test_who_is_inside_sends_all_to_the_nat_and_who_is_outside_to_a_neighbour(monkeypatch):
    async def what(hosts, wires, came):
        for address, inside in (("10.0.0.50", True), ("10.0.0.51", True), ("203.0.113.9", False)):
            hosts.attach(address, inside, lambda packet: None)
        assert await hosts.meet() == []
        for src, dst in (("10.0.0.50", "203.0.113.9"), ("10.0.0.51", "198.51.100.1")):
            hosts.send(src, packet(src, dst))
        for dst in (POOLED, "203.0.113.232", "203.0.113.77", "10.0.0.50"):
            hosts.send("203.0.113.9", packet("203.0.113.9", dst))
        await asyncio.sleep(5)
        hosts.close()
        assert not wires[ON_INSIDE].open
        assert not wires[ON_OUTSIDE].open
        return wires

    wires = play(monkeypatch, what)
    assert wires[ON_INSIDE].got == [("10.0.0.50", "203.0.113.9"), ("10.0.0.51", "198.51.100.1")]
    # the last two: nobody is there, and no private network is routed there
    assert sorted(wires[ON_OUTSIDE].got) == [("203.0.113.9", "203.0.113.232"), ("203.0.113.9", POOLED)]


def test_hosts_of_other_networks_are_behind_a_router(monkeypatch):
    dns, telnet, pooled = "171.69.2.132", "171.69.1.220", "171.69.233.209"

    async def what(hosts, wires, came):
        hosts.attach("192.168.121.113", True, lambda packet: None)
        for address in (dns, telnet):
            hosts.attach(address, False, lambda packet, address=address: came.append((address, packet)))
        assert await hosts.meet() == []
        wires[ON_OUTSIDE].sends("171.69.233.1", "171.69.233.254", packet(pooled, telnet))
        wires[ON_OUTSIDE].sends("171.69.233.1", "171.69.233.254", packet(pooled, "171.69.9.9"))  # nobody
        hosts.send(dns, packet(dns, pooled))
        await asyncio.sleep(1)
        assert came == [(telnet, packet(pooled, telnet))]
        return wires[ON_OUTSIDE].got

    assert play(monkeypatch, what, SAMPLES, (pooled,)) == [(dns, pooled)]


def test_a_nat_that_does_not_answer_is_told_with_its_card(monkeypatch):
    async def what(hosts, wires, came):
        hosts.attach("10.0.0.50", True, lambda packet: None)
        hosts.attach("203.0.113.9", False, lambda packet: None)
        return await hosts.meet()

    assert play(monkeypatch, what, deaf=(ON_OUTSIDE,)) == [
        "nat does not answer ARP for 203.0.113.232 on nic2, on its outside: look at that wire"
    ]


def startup(name):
    script = SCRIPTS[name]
    return script.instead.get("nat") or tuple(CONFIGURATION.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("name", "inside", "outside", "vrf", "told"),
    [
        ("nat-services-ftp", "10.0.0.1/24", "203.0.113.232/24", "", []),
        ("nat-table-overload", "192.168.1.1/24", "171.69.233.209/24", "", ["ip route 171.69.0.0 255.255.0.0 171.69.233.254"]),
        ("nat-table-vrf", "192.168.0.1/16", "171.69.233.1/24", "red",
         ["ip vrf red", " rd 1:1", "exit", "ip route 171.69.0.0 255.255.0.0 171.69.233.254",
          "ip route vrf red 171.69.0.0 255.255.0.0 171.69.233.254 global"]),
    ],
)  # fmt: skip
def test_what_a_nat_is_told_of_its_neighbours(name, inside, outside, vrf, told):
    lines = startup(name)
    assert {side: str(one) for side, one in addresses_in(lines).items()} == {ON_INSIDE: inside, ON_OUTSIDE: outside}
    assert (vrf_in(lines), routes(lines)) == (vrf, told)
    assert beyond(IPv4Interface(outside)) == f"{outside.rpartition('.')[0]}.254"


def test_out_of_a_vrf_every_neighbour_has_a_route_of_its_own_and_a_router_takes_them_all():
    lines = startup("nat-table-filters")
    ways = [line for line in routes(lines) if line.startswith("ip route")]
    assert "ip route vrf red 203.0.113.9 255.255.255.255 203.0.113.9 global" in ways
    assert "ip route vrf red 203.0.113.241 255.255.255.255 203.0.113.241 global" in ways
    configuration = Configuration()
    assert not load(configuration, [*lines, *routes(lines)], ios_releases.features_of(ios_releases.parse("12.4(1)")))
