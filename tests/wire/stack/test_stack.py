"""The whole client against a gateway in memory: set-up, rekeys, ends, other people's packets, garbage."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire import events, ip
from harness.wire.config import StackConfig
from harness.wire.l2tp import header
from harness.wire.stack import ClientStack, State

Dial = Callable[..., Any]
PING = ip.build_ipv4("172.16.1.10", "172.16.1.1", ip.ICMP, ip.build_echo(ip.Echo(True, 1, 1, b"NSTM")))
PONG = ip.build_ipv4("172.16.1.1", "172.16.1.10", ip.ICMP, ip.build_echo(ip.Echo(False, 1, 1, b"NSTM")))
ORDER = ["IkeUp", "EspUp", "TunnelUp", "CallUp", "LcpUp", "Authenticated", "PppUp"]


def kinds(told: list[events.Event]) -> list[str]:
    return [type(event).__name__ for event in told]


def failure(link: Any) -> events.Failed:
    (one,) = link.of(events.Failed)
    assert isinstance(one, events.Failed)
    return one


def esp(link: Any, to_gateway: bool) -> list[bytes]:
    """The ESP packets that crossed in one direction."""
    payloads = [d.payload for towards, d in link.crossed if towards is to_gateway and d.dport == 4500]
    return [payload for payload in payloads if payload[:4] != bytes(4) and payload != b"\xff"]


def test_a_client_comes_up_and_says_each_stage_in_order(dial: Dial) -> None:
    link = dial()
    assert kinds(link.told) == ORDER
    assert (link.client.state, link.client.address) == (State.UP, "172.16.1.10")
    assert link.client.deadline is not None


def test_ip_goes_both_ways(dial: Dial) -> None:
    link = dial()
    assert link.client.send_ip(link.now, PING)
    link.settle()
    assert events.IpPacket(PING) in link.gateway.told
    link.gateway.send_ip(link.now, PONG)
    link.settle()
    assert link.told[-1] == events.IpPacket(PONG)


def test_nothing_is_sent_before_the_client_is_up(dial: Dial) -> None:
    link = dial(drop=lambda to_gateway, datagram: True)
    assert not link.client.send_ip(link.now, PING)
    assert link.client.address is None


def test_the_inner_checksum_is_the_clients_own_view(dial: Dial) -> None:
    """It covers 10.0.0.2, which no NAT can mend inside ESP: that is what a gateway has to cope with."""
    link = dial()
    here, there, outside = ip.packed("10.0.0.2"), ip.packed("203.0.113.231"), ip.packed("203.0.113.232")
    assert link.gateway.inside
    for datagram in link.gateway.inside:
        assert ip.udp_checksum_good(here, there, datagram)
        assert not ip.udp_checksum_good(outside, there, datagram)
        parsed = ip.parse_udp(datagram)
        assert (parsed.sport, parsed.dport) == (1701, 1701)


@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_of_all_datagrams_may_be_lost(dial: Dial, seed: int) -> None:
    chance = random.Random(seed)
    link = dial(drop=lambda to_gateway, datagram: chance.random() < 0.2, seed=seed)
    assert link.run(lambda: link.client.state is State.UP, 120)


def test_every_datagram_may_come_twice(dial: Dial) -> None:
    gone: list[bool] = []

    def twice(to_gateway: bool, datagram: events.Datagram) -> bool:
        link = links[0] if links else None
        if link is None:
            return False
        gone.append(to_gateway)
        if to_gateway:
            if datagram.dport == 500 or datagram.payload[:4] == bytes(4):
                link.gateway.receive(link.now, datagram)
        else:
            link.client.receive(link.now, datagram.dport, datagram.payload)
        return False

    links: list[Any] = []
    link = dial(drop=lambda to_gateway, datagram: True)
    links.append(link)
    link.drop = twice
    assert link.run(lambda: link.client.state is State.UP, 60)
    assert gone
    replays = [event for event in link.told if isinstance(event, events.Refused) and "received before" in event.reason]
    assert len(replays) == len(esp(link, to_gateway=False))


def test_close_goes_the_orderly_way(dial: Dial) -> None:
    link = dial()
    before = len(link.told)
    link.client.close(link.now)
    link.settle()
    assert kinds(link.told[before:]) == ["PppDown", "TunnelDown", "EspDown", "IkeDown"]
    assert not any(event.by_peer for event in link.told[before:])
    assert (link.client.state, link.client.deadline) == (State.ENDED, None)
    gone = kinds(link.gateway.told)
    assert gone.index("CallDown") < gone.index("TunnelDown") < gone.index("EspDown") < gone.index("IkeDown")


def test_close_into_silence_still_ends_and_sends_its_deletes(dial: Dial) -> None:
    link = dial()
    link.drop = lambda to_gateway, datagram: True
    link.client.close(link.now)
    link.run(lambda: link.client.state is State.ENDED, 30)
    assert link.client.deadline is None
    assert "Failed" not in kinds(link.told)
    assert kinds(link.told)[-2:] == ["EspDown", "IkeDown"]


@pytest.mark.parametrize("when", [0, 2, 5, 8, 12, 20, 26])
def test_close_at_any_stage_ends(dial: Dial, when: int) -> None:
    """After `when` datagrams nothing more reaches the gateway; then the client is told to close."""
    count = 0

    def drop(to_gateway: bool, datagram: events.Datagram) -> bool:
        nonlocal count
        count += 1
        return count > when

    link = dial(drop=drop)
    link.drop = lambda to_gateway, datagram: False
    link.client.close(link.now)
    link.run(lambda: link.client.state is State.ENDED, 40)
    assert (link.client.state, link.client.deadline) == (State.ENDED, None)
    assert "Failed" not in kinds(link.told)


@pytest.mark.parametrize("when", range(32))
def test_a_gateway_that_dies_at_any_moment_is_told_by_one_failure(dial: Dial, when: int) -> None:
    count = 0

    def drop(to_gateway: bool, datagram: events.Datagram) -> bool:
        nonlocal count
        count += 1
        return count > when

    link = dial(drop=drop)
    assert link.run(lambda: link.client.state is State.ENDED, 300)
    assert failure(link).reason
    assert link.client.deadline is None


def test_vanish_is_silence(dial: Dial) -> None:
    link = dial()
    crossed = len(link.crossed)
    link.client.vanish()
    link.gateway.send_ip(link.now, PONG)
    link.run(seconds=50)
    assert [to_gateway for to_gateway, _ in link.crossed[crossed:]].count(True) == 0
    assert (link.client.deadline, link.client.take_events(), link.client.state) == (None, [], State.SILENT)
    assert not link.client.send_ip(link.now, PING)


def test_a_wrong_password_fails_authentication_and_leaves_in_order(dial: Dial) -> None:
    link = dial(password="wrong")
    assert (failure(link).stage, failure(link).reason) == (
        "PPP authentication",
        "MS-CHAPv2 failure E=691 (wrong user name or password)",
    )
    link.run(lambda: link.client.state is State.ENDED, 20)
    assert link.client.state is State.ENDED
    assert kinds(link.gateway.told)[-2:] == ["EspDown", "IkeDown"]


def test_a_silent_gateway_fails_main_mode(dial: Dial) -> None:
    link = dial(drop=lambda to_gateway, datagram: True)
    link.run(lambda: link.client.state is State.ENDED, 100)
    assert failure(link).stage == "main mode"
    assert link.client.state is State.ENDED


def test_a_gateway_without_l2tp_fails_the_tunnel(dial: Dial) -> None:
    def drop(to_gateway: bool, datagram: events.Datagram) -> bool:
        return datagram.dport == 4500 and datagram.payload[:4] != bytes(4)

    link = dial(drop=drop)
    link.run(lambda: link.client.state is State.ENDED, 100)
    assert (failure(link).stage, failure(link).reason) == ("L2TP tunnel", "no acknowledgement of SCCRQ after 5 transmissions")


def test_an_esp_rekey_overlaps_and_the_newest_pair_sends(dial: Dial) -> None:
    link = dial()
    old = link.client._ipsec.pairs.copy()
    link.client.rekey_ipsec(link.now)
    link.settle()
    rekeyed = [event for event in link.of(events.EspUp) if isinstance(event, events.EspUp) and event.rekey]
    assert len(rekeyed) == 1
    assert len(link.client._ipsec.pairs) == 2
    late = next(iter(link.gateway.pairs.values()))[1]  # the gateway still sends on the old one
    frame = link.gateway.ppp.send_ip(PONG)
    data = header.build_data(link.gateway.l2tp.tunnel_remote, link.gateway.l2tp.session_remote, frame)
    link.client.receive(link.now, 4500, late.seal(17, ip.build_udp(bytes(4), bytes(4), 1701, 1701, data)))
    assert events.IpPacket(PONG) in link.client.take_events()
    crossed = len(link.crossed)
    assert link.client.send_ip(link.now, PING)
    link.settle()
    assert link.crossed[crossed][1].payload[:4] == rekeyed[0].spi_out.to_bytes(4)
    link.run(lambda: len(link.client._ipsec.pairs) == 1, 60)
    assert not set(old) & set(link.client._ipsec.pairs)
    assert link.client.state is State.UP
    assert "Failed" not in kinds(link.told)


def test_an_ike_rekey_leaves_the_session_alone(dial: Dial) -> None:
    link = dial()
    link.client.rekey_ike(link.now)
    link.run(seconds=60)
    rekeyed = [event for event in link.of(events.IkeUp) if isinstance(event, events.IkeUp) and event.rekey]
    assert len(rekeyed) == 1
    assert (link.client.state, link.client.address) == (State.UP, "172.16.1.10")


def test_a_gateway_that_deletes_the_esp_sa_ends_the_connection(dial: Dial) -> None:
    link = dial()
    link.gateway.ike.delete_ipsec(link.now)
    link.gateway.pump(link.now)
    link.settle()
    assert failure(link).reason == "the gateway deleted the last ESP SA (deleted by the peer)"
    assert failure(link).facts["by"] == "gateway"
    assert link.client.state is State.ENDED


def test_ones_own_delete_leaves_l2tp_to_find_out(dial: Dial) -> None:
    link = dial()
    link.client.delete_ipsec(link.now)
    link.settle()
    assert link.client.state is State.UP
    assert not link.client.send_ip(link.now, PING)
    link.run(lambda: link.client.state is State.ENDED, 120)
    assert "no answer to 4 LCP Echo-Requests" in failure(link).reason
    assert failure(link).facts["esp"] == "there was no ESP SA"


def test_a_new_pair_after_ones_own_delete_carries_on(dial: Dial) -> None:
    link = dial()
    link.client.delete_ipsec(link.now)
    link.settle()
    link.client.rekey_ipsec(link.now)
    link.settle()
    assert link.client.send_ip(link.now, PING)
    link.settle()
    assert events.IpPacket(PING) in link.gateway.told


def test_the_peers_hang_up_ends_the_connection(dial: Dial) -> None:
    link = dial()
    link.gateway.l2tp.close(link.now)
    link.gateway.pump(link.now)
    link.settle()
    assert failure(link).facts["by"] == "gateway"
    link.run(lambda: link.client.state is State.ENDED, 20)
    assert link.client.state is State.ENDED


@pytest.mark.parametrize(("tunnel", "session"), [(1, 0), (0, 1), (1, 1)])
def test_data_of_another_tunnel_or_session_is_strange(dial: Dial, tunnel: int, session: int) -> None:
    """What a gateway that confuses clients sends: authentic ESP, somebody else's L2TP."""
    link = dial()
    l2tp = link.client._l2tp
    ids = l2tp.tunnel_local ^ tunnel, l2tp.session_local ^ session
    link.gateway.send_udp(header.build_data(*ids, b"\xff\x03\x00\x21" + PONG))
    link.settle()
    strange = link.told[-1]
    assert isinstance(strange, events.Strange)
    assert (strange.tunnel, strange.session, strange.packet) == (*ids, PONG)
    assert link.client.state is State.UP


def test_other_ports_and_protocols_inside_are_strange(dial: Dial) -> None:
    link = dial()
    link.gateway.send_udp(header.build_data(7, 8, b"\xff\x03\x00\x21" + PONG), dport=1025)
    link.gateway.send_inside(4, PONG)
    link.gateway.send_inside(6, b"tcp")
    link.gateway.send_inside(17, b"cut")
    link.settle()
    told = link.told[-4:]
    assert [type(event).__name__ for event in told] == ["Strange", "Strange", "Strange", "Refused"]
    assert [event.packet for event in told[:3]] == [PONG, PONG, None]


def test_an_unknown_spi_is_refused_by_number(dial: Dial) -> None:
    link = dial()
    link.client.receive(link.now, 4500, bytes.fromhex("deadbeef00000001") + bytes(60))
    assert link.client.take_events() == [events.Refused("esp", "unknown SPI deadbeef")]


def test_a_replay_is_refused(dial: Dial) -> None:
    link = dial()
    link.client.receive(link.now, 4500, esp(link, to_gateway=False)[-1])
    (refused,) = link.client.take_events()
    assert isinstance(refused, events.Refused)
    assert "received before" in refused.reason


def test_keepalives_say_nothing_and_are_sent_behind_a_nat(dial: Dial) -> None:
    link = dial(echo_s=None)
    link.client.receive(link.now, 4500, b"\xff")
    assert link.client.take_events() == []
    crossed = len(link.crossed)
    link.run(seconds=25)
    assert [d.payload for to_gateway, d in link.crossed[crossed:] if to_gateway] == [b"\xff"]


def test_a_stack_starts_once(dial: Dial) -> None:
    link = dial()
    with pytest.raises(ProtocolError):
        link.client.start(link.now)


def test_a_stack_that_never_started_closes_at_once(dial: Dial) -> None:
    link = dial()
    client = link.client
    config = StackConfig(client._ipsec.config, client._l2tp._config, client._ppp._config)
    stack = ClientStack(config, random.Random(4).randbytes)
    stack.close(0.0)
    assert (stack.state, stack.deadline, stack.take_datagrams()) == (State.ENDED, None, [])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_datagrams_at_any_moment_leave_the_client_able_to_come_up(dial: Dial, data: st.DataObject) -> None:
    """Garbage on both ports, with ESP that has the right SPI among it, between any two datagrams of a set-up."""
    moments = data.draw(st.sets(st.integers(0, 33), max_size=6))
    count = 0

    def disturb(to_gateway: bool, datagram: events.Datagram) -> bool:
        nonlocal count
        count += 1
        if count in moments and holder:
            client = holder[0].client
            spi = next(iter(client._ipsec.pairs), 0x11223344).to_bytes(4)
            tail = data.draw(st.binary(max_size=60))
            for port, payload in ((500, tail), (4500, tail), (4500, bytes(4) + tail), (4500, spi + tail), (1701, tail)):
                client.receive(holder[0].now, port, payload)
        return not holder

    holder: list[Any] = []
    link = dial(drop=disturb)
    holder.append(link)
    assert link.run(lambda: link.client.state is State.UP, 60)
    assert "Failed" not in kinds(link.told)
