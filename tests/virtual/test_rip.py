"""What a router tells its callers by RIP, and what it believes of them."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from harness.errors import ProtocolError
from harness.virtual.rip import TIMEOUT_S, UPDATE_S, Rip, RipConfig
from harness.wire import ip, rip

OWN, ONE, TWO = "172.16.1.1", "172.16.1.10", "172.16.1.11"
LAN, BEHIND = IPv4Network("192.0.2.0/24"), IPv4Network("192.168.77.0/24")


@pytest.fixture
def router():
    made = Rip()
    made.configure(0.0, RipConfig(OWN, (LAN,)))
    return made


def message(payload, source=ONE, to=rip.GROUP, sport=rip.PORT):
    datagram = ip.build_udp(ip.packed(source), ip.packed(to), sport, rip.PORT, payload)
    return ip.build_ipv4(source, to, ip.UDP, datagram, ttl=1)


def response(network=BEHIND, metric=1, source=ONE, **ends):
    (payload,) = rip.responses([rip.Entry(network, metric)])
    return message(payload, source, **ends)


def told(packets):
    """Of each packet: where it goes, and its entries."""
    found = []
    for packet in packets:
        parsed = ip.parse_ipv4(packet)
        datagram = ip.parse_udp(parsed.payload)
        assert parsed.source == OWN
        entries = {str(one.network): one.metric for one in rip.parse(datagram.payload).entries}
        found.append((parsed.destination, datagram.dport, entries))
    return found


def test_it_takes_what_is_for_it(router):
    assert router.takes(response())
    assert router.takes(message(rip.request(), to=OWN))
    assert not router.takes(message(rip.request(), to="192.0.2.80"))
    assert not router.takes(ip.build_ipv4(ONE, rip.GROUP, ip.ICMP, bytes(40)))
    assert not router.takes(b"")
    assert not Rip().takes(response())


def test_what_it_tells_on_a_link_is_not_what_it_learnt_there(router):
    router.hear(1.0, ONE, 1, response())
    assert told(router.update(2.0, 1)) == [(rip.GROUP, rip.PORT, {"192.0.2.0/24": 1})]
    assert told(router.update(2.0, 2)) == [(rip.GROUP, rip.PORT, {"192.0.2.0/24": 1, "192.168.77.0/24": 2})]


def test_a_request_is_answered_to_who_asked(router):
    assert told(router.hear(1.0, ONE, 1, message(rip.request(), sport=4000))) == [(ONE, 4000, {"192.0.2.0/24": 1})]
    (payload,) = rip.responses([rip.Entry(LAN, 16)])
    assert router.hear(1.0, ONE, 1, message(b"\x01" + payload[1:])) == []


def test_a_passive_link_is_listened_to(router):
    router.configure(0.0, RipConfig(OWN, (LAN,), passive=True))
    assert router.hear(1.0, ONE, 1, response()) == []
    assert router.route(2.0, "192.168.77.7").via == ONE
    assert router.update(2.0, 2) == []
    assert router.hear(2.0, ONE, 1, message(rip.request())) == []


def test_the_nearest_neighbour_has_the_route_and_its_own_word_counts(router):
    router.hear(1.0, ONE, 1, response(metric=4))
    router.hear(1.0, TWO, 2, response(metric=4, source=TWO))
    assert router.route(2.0, "192.168.77.7").via == ONE  # no nearer
    router.hear(2.0, TWO, 2, response(metric=2, source=TWO))
    assert (router.route(2.0, "192.168.77.7").via, router.route(2.0, "192.168.77.7").metric) == (TWO, 3)
    router.hear(3.0, ONE, 1, response(metric=16))
    assert router.route(3.0, "192.168.77.7").via == TWO  # that was not its route
    router.hear(3.0, TWO, 2, response(metric=9, source=TWO))
    assert router.route(3.0, "192.168.77.7").metric == 10
    router.hear(4.0, TWO, 2, response(metric=15, source=TWO))
    assert router.route(4.0, "192.168.77.7") is None


def test_a_route_that_is_told_no_more_goes(router):
    router.hear(0.0, ONE, 1, response(metric=1))
    assert router.route(TIMEOUT_S - 1, "192.168.77.7")
    assert router.route(TIMEOUT_S, "192.168.77.7") is None
    assert told(router.update(TIMEOUT_S, 2))[0][2] == {"192.0.2.0/24": 1}
    router.hear(TIMEOUT_S, TWO, 2, response(metric=9, source=TWO))
    assert router.route(TIMEOUT_S, "192.168.77.7").via == TWO


def test_its_own_networks_are_not_to_be_taken_away(router):
    router.hear(0.0, ONE, 1, response(LAN))
    router.hear(0.0, ONE, 1, response(IPv4Network("0.0.0.0/0")))
    assert router.route(1.0, "192.0.2.80") is None
    assert router.route(1.0, "198.51.100.1").via == ONE


@pytest.mark.parametrize(
    "packet", [response(source=TWO), message(b"\x02\x02"), message(b"\x09\x02" + bytes(22)), response(sport=4000)]
)
def test_what_is_not_believed(router, packet):
    with pytest.raises(ProtocolError):
        router.hear(1.0, ONE, 1, packet)
    assert router.routes == {}


def test_it_tells_every_half_minute_and_forgets_then(router):
    assert router.tick(0.0)
    assert not router.tick(UPDATE_S - 1)
    assert router.deadline == UPDATE_S
    router.hear(1.0, ONE, 1, response())
    assert router.tick(TIMEOUT_S + 1)
    assert router.routes == {}
    router.configure(200.0, None)
    assert (router.deadline, router.tick(500.0), router.update(500.0, 1)) == (None, False, [])
