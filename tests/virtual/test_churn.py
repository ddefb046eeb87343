"""Clients come and go by chance, with loss and rekeys: whoever stays is served, and when all have gone nothing is left."""

from __future__ import annotations

import random

import pytest

from harness.wire.stack import State


def nothing_left(gateway) -> None:
    ipsec, lns, links = gateway.ipsec, gateway.lns, gateway.links
    assert (len(ipsec.associations), ipsec.associations.half_open, lns.half_open) == (0, 0, 0)
    found = ipsec.associations
    for table in (found._by_cookie, found._openings, found._endpoints, ipsec.clients, ipsec.sadb.by_spi, ipsec.sadb.lookup._found):
        assert not table
    for table in (lns.tunnels, lns._by_peer, lns._requests, links.by_address):
        assert not table


@pytest.mark.parametrize("policy", ["next", "lowest-free"])
@pytest.mark.parametrize("seed", range(4))
def test_an_hour_or_so(world, seed, policy) -> None:
    net = world("demux", seed=seed, port_first=2000, port_last=2011, port_policy=policy, pool_last="172.16.1.25")
    choice = random.Random(seed)
    lossy = False
    net.drop = lambda packet: lossy and choice.random() < 0.05
    staying = {}
    for step in range(120):
        kind = choice.random()
        gone = [name for name, client in net.clients.items() if client.stack.state is State.ENDED]
        for name in gone:
            del net.clients[name]
            staying.pop(name, None)
        if kind < 0.35 and len(net.clients) < 8:
            number = next(n for n in range(1, 50) if f"c{n}" not in net.clients)
            client = net.dial(number)
            if client.up:
                staying[client.name] = client
        elif staying:
            name = choice.choice(sorted(staying))
            client = staying[name]
            if kind < 0.5:
                client.stack.close(net.now)
                del staying[name]
            elif kind < 0.6:
                client.stack.vanish()
                net.forget(client)
                del staying[name]
                del net.clients[name]
            elif kind < 0.7:
                net.forget(client)
            elif kind < 0.8:
                client.stack.rekey_ipsec(net.now)
            elif kind < 0.9:
                client.stack.rekey_ike(net.now)
        lossy = choice.random() < 0.3
        net.run(choice.choice((1, 10, 60)))
        lossy = False
        net.run(20)  # what was lost is sent again
        for name, client in staying.items():
            if client.up:
                assert net.ping(client), (step, name)
        given = net.view().ports.values()
        assert len(set(given)) == len(given) <= 12
    for client in net.clients.values():
        client.stack.close(net.now)
    net.run(700)
    nothing_left(net.gateway)
    freed = [event.detail["port"] for event in net.of("port-freed")]
    assert sorted(event.detail["port"] for event in net.of("port-given")) == sorted(freed)
    assert len(net.of("address-given")) == len(net.of("address-freed"))
    again = [net.gateway.ipsec.ports.give() for _ in range(13)]
    assert sorted(port for port in again if port) == list(range(2000, 2012))
    assert net.gateway.deadline is None


def test_a_crowd_leaves_nothing(world) -> None:
    net = world("demux", half_open=100)
    clients = [net.dial(number) for number in range(1, 41)]
    assert all(net.ping(client) for client in clients)
    assert sorted(net.view().ports.values()) == list(range(1024, 1064))
    for client in clients:
        client.stack.close(net.now)
    net.run(60)
    nothing_left(net.gateway)
