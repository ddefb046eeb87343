"""SAs that live by kilobytes: who renews them, that the translated port stays, and their end where nobody does."""

from __future__ import annotations

import pytest

from harness.wire import events
from harness.wire.config import EspProposal
from harness.wire.stack import State

LIMIT = {"esp_proposals": (EspProposal("aes-256", "sha1", 3600, 60),)}


def talk(net, client, count: int) -> int:
    """Echoes of 1000 bytes; how many were answered."""
    answered = 0
    for _ in range(count):
        if not client.up:
            break
        answered += net.ping(client, payload=bytes(1000))
        net.run(0.1)
    return answered


@pytest.mark.parametrize("who", ["client", "gateway"])
def test_they_are_renewed_and_the_port_stays(world, who) -> None:
    """The client learns of the gateway's lower limit and renews at 80 % of it; else the gateway does, half-way from its margin."""
    margins = {"ike_rekey_margin": 0.5} if who == "gateway" else {}
    net = world("demux", **LIMIT, **margins)
    client = net.dial(1, **({"ike__rekey_margin": None} if who == "gateway" else {}))
    assert client.of(events.EspUp)[0].lifetime_kb == 60
    assert talk(net, client, 200) == 200
    assert len(client.of(events.EspUp)) >= 4
    assert len(net.of("port-given")) == 1
    assert net.of("dropped") == net.of("port-freed") == []


def test_they_end_where_nobody_renews_them(world) -> None:
    net = world("demux", **LIMIT)
    client = net.dial(1, ike__rekey_margin=None)
    assert 50 < talk(net, client, 200) < 60
    net.run(20)
    assert client.stack.state is State.ENDED
    reasons = [event.detail["reason"] for event in net.of("esp-down")] + [event.reason for event in client.of(events.EspDown)]
    assert any("60 kB has ended" in reason for reason in reasons)
    assert len(net.of("port-freed")) == 1
