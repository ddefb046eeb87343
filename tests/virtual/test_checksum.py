"""What becomes of the UDP checksum inside ESP, which a NAT makes wrong."""

from __future__ import annotations

import pytest

from harness.virtual import checksum
from harness.wire import events, ip
from harness.wire.esp import InboundSa

INSIDE, SEEN, HERE = "10.0.0.2", "203.0.113.232", "203.0.113.231"


@pytest.mark.parametrize(
    ("policy", "computed_over", "nat_oa", "accepted"),
    [
        ("ignore", INSIDE, (), True),
        ("ignore", None, (), True),
        ("verify", INSIDE, (), False),
        ("verify", INSIDE, (INSIDE, HERE), False),
        ("verify", SEEN, (), True),
        ("verify", None, (), True),
        ("recompute", INSIDE, (INSIDE, HERE), True),
        ("recompute", SEEN, (INSIDE, HERE), False),
        ("recompute", INSIDE, (), False),
        ("recompute", None, (INSIDE, HERE), True),
    ],
)
def test_policies(policy, computed_over, nat_oa, accepted) -> None:
    source = ip.packed(computed_over or INSIDE)
    datagram = ip.build_udp(source, ip.packed(HERE), 1701, 1701, b"words", checksummed=computed_over is not None)
    assert checksum.policy(policy).accepts(datagram, ip.packed(SEEN), ip.packed(HERE), nat_oa) is accepted


@pytest.mark.parametrize(
    ("policy", "sends", "nat", "up"),
    [
        ("ignore", "full", True, True),
        ("verify", "full", True, False),
        ("verify", "zero", True, True),
        ("verify", "full", False, True),
        ("recompute", "full", True, True),
    ],
)
def test_clients_under_a_policy(world, policy, sends, nat, up) -> None:
    net = world("demux", checksum=policy, nat=nat)
    one = net.dial(1, udp_checksum=sends, wait=60)
    assert one.up is up
    dropped = {event.detail["reason"] for event in net.of("dropped")}
    assert ("wrong checksum inside ESP" in dropped) is not up
    if up:
        assert net.ping(one)


@pytest.mark.parametrize("sends", ["full", "zero"])
def test_what_the_gateway_sends(world, sends) -> None:
    net = world("demux", send_checksum=sends)
    one = net.dial(1)
    assert net.ping(one)
    esp, last = one.of(events.EspUp)[0], one.received[-1]
    opened = InboundSa(esp.spi_in, esp.encryption, esp.authentication, esp.key_in, esp.auth_key_in).open(last.payload)[1]
    assert (int.from_bytes(opened[6:8]) == 0) is (sends == "zero")
    assert ip.udp_checksum_good(ip.packed(HERE), ip.packed(SEEN), opened)
