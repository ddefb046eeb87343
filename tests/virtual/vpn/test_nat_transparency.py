"""ESN-03 to 41 on packets: UDP encapsulation, SPI matching or neither, with and without a NAT that does its part."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from vpn_bench import (
    EAST,
    EAST_HOST,
    NAT,
    OFF,
    SECOND_HOST,
    SPI,
    UDP,
    WEST,
    WEST_HOST,
    World,
    both_ways,
    concentrator,
    kind,
    mark,
    second,
    simulate,
    west,
)

from harness.model.predictable_spi import DIFFERENCE, partner, predictable
from harness.nat import load
from harness.simulation.loop import SimulatedLoop
from harness.virtual import vpn_view
from harness.virtual.nat_transparency import NatTransparency
from harness.wire import ip
from harness.wire.ike.natt import DIALECTS
from harness.wire.packet import Packet, to_ip


def test_esn_30_udp_encapsulation_is_the_default_and_passes_pat_for_two_clients() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="pat")
        one = world.add("west", west(nat_transparency=UDP), behind=True)
        other = world.add("other", second(UDP), behind=True)
        two = world.add("east", concentrator(UDP))
        one.host(mark(0))
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        assert await both_ways(one, two, 10) == (True, True)
        assert await both_ways(other, two, 20, SECOND_HOST) == (True, True)
        assert await both_ways(one, two, 30) == (True, True)
        assert world.kinds() == {"500", "4500"}
        rows = vpn_view.of(loop.time(), two.core).ipsec
        assert [(row.encapsulation, row.peer) for row in rows] == [("udp-tunnel", NAT)] * 2
        assert len({row.udp_port for row in rows} - {0}) == 2
        assert all(view.nat_remote for view in vpn_view.of(loop.time(), two.core).ike)

    simulate(scenario)


@pytest.mark.parametrize("how", [SPI, OFF])
def test_esn_31_the_other_ways_say_nothing_of_nat_traversal_and_use_protocol_50(how: NatTransparency) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west(nat_transparency=how)), world.add("east", concentrator(UDP))
        await world.bring_up(one)
        assert await both_ways(one, two, 1) == (True, True)
        assert world.kinds() == {"500", "esp"}
        first = world.crossed[0][1]
        assert not any(row.vendor_id in first for row in DIALECTS)

    simulate(scenario)


def test_esn_30_without_a_nat_udp_encapsulation_stays_away() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west(nat_transparency=UDP)), world.add("east", concentrator(UDP))
        await world.bring_up(one)
        assert await both_ways(one, two, 1) == (True, True)
        assert all(row.vendor_id in world.crossed[0][1] for row in DIALECTS)
        assert world.kinds() == {"500", "esp"}

    simulate(scenario)


def test_esn_03_to_14_two_clients_pass_a_matching_nat_at_once_with_predictable_spis() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="ios-preserve-port")
        one = world.add("west", west(nat_transparency=SPI), behind=True)
        other = world.add("other", second(SPI), behind=True)
        two = world.add("east", concentrator(SPI))
        one.host(mark(0))
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        assert [len(site.sas) for site in (one, other, two)] == [1, 1, 2]
        for number in range(10, 40, 10):
            assert await both_ways(one, two, number) == (True, True)
            assert await both_ways(other, two, number + 1, SECOND_HOST) == (True, True)
        assert other.marks == [12, 22, 32]  # and nothing of the other's
        assert world.kinds() == {"500", "esp"}
        for site in (one, other, two):
            for row in vpn_view.of(loop.time(), site.core).ipsec:
                assert row.predictable
                assert row.esp_in ^ row.esp_out == DIFFERENCE
                assert row.encapsulation == "tunnel"
        # ESN-22: the concentrator sees both at one address and port, and keeps them apart.
        assert {(view.peer, view.port) for view in vpn_view.of(loop.time(), two.core).ike} == {(NAT, 500)}
        assert {view.identity for view in vpn_view.of(loop.time(), two.core).ike} == {WEST, "10.0.0.3"}

    simulate(scenario)


def test_esn_15_and_22_rekeys_through_the_matching_nat_lose_nothing_and_leave_nothing() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="ios-preserve-port")
        short = {"ike_proposals": (replace(west().ike_proposals[0], lifetime_s=2500),)}
        one = world.add("west", west(nat_transparency=SPI, **short), behind=True)
        other = world.add("other", second(SPI, **short), behind=True)
        two = world.add("east", concentrator(SPI, rekey_margin=None))
        await world.bring_up(one)
        await world.bring_up(other, mark(0, SECOND_HOST))
        sent = range(100, 100 + 1000)
        for number in sent:  # a mark each way every ten seconds: beyond two lives of ESP and four of IKE
            one.host(mark(number))
            other.host(mark(number, SECOND_HOST))
            two.host(mark(number, EAST_HOST, WEST_HOST))
            two.host(mark(number, EAST_HOST, SECOND_HOST))
            await asyncio.sleep(10)
        assert one.marks == other.marks == list(sent)
        assert sorted(two.marks) == sorted([*sent, *sent])
        assert len([event for event in one.of("esp-up") if event.detail["rekey"]]) == 3
        assert len(one.of("ike-up")) == 5
        assert [len(site.sas) for site in (one, other, two)] == [1, 1, 2]
        assert len(vpn_view.of(loop.time(), two.core).ike) == 2
        assert all(sa.predictable for site in (one, other, two) for sa in site.sas)

    simulate(scenario)


@pytest.mark.parametrize("when", ["one after the other", "at once"])
def test_esn_16_two_clients_with_one_spi_are_never_mixed_up(when: str) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="ios-preserve-port")
        one = world.add("west", west(nat_transparency=SPI), behind=True)
        other = world.add("other", second(SPI), behind=True)
        two = world.add("east", concentrator(SPI))
        for site in (one, other):
            negotiation = site.core.negotiation
            honest, first = negotiation._choose_spi, [0x28726CD9]
            negotiation._choose_spi = (  # type: ignore[method-assign]
                lambda theirs, *, matching, honest=honest, first=first: first.pop() if first else honest(theirs, matching=matching)
            )
        one.host(mark(0))
        if when != "at once":
            await asyncio.sleep(5)
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        if when != "at once":
            assert len(other.sas) == 1  # refused, it took another SPI by itself
        other.host(mark(1, SECOND_HOST))  # where the second one's SA was undone, a packet asks for it again
        await asyncio.sleep(5)
        assert await both_ways(one, two, 10) == (True, True)
        assert await both_ways(other, two, 20, SECOND_HOST) == (True, True)
        assert {sa.esp_in.spi for sa in one.sas} == {0x28726CD9}
        assert 0x28726CD9 not in {sa.esp_in.spi for sa in other.sas}
        assert set(one.marks) <= {11}
        assert set(other.marks) <= {21}
        reasons = [event.detail["reason"] for event in two.of("refused")]
        assert any("is taken" in reason for reason in reasons)

    simulate(scenario)


def test_esn_10_a_matching_nat_between_endpoints_with_random_spis_maps_nothing_wrongly() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="ios-preserve-port")
        one = world.add("west", west(nat_transparency=OFF), behind=True)
        other = world.add("other", second(OFF), behind=True)
        two = world.add("east", concentrator(OFF))
        one.host(mark(0))
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        one.host(mark(1))
        other.host(mark(2, SECOND_HOST))
        await asyncio.sleep(1)
        assert sorted(two.marks) == [1, 2]
        two.host(mark(3, EAST_HOST, WEST_HOST))
        two.host(mark(4, EAST_HOST, SECOND_HOST))
        await asyncio.sleep(1)
        assert one.marks == other.marks == []  # whose each is, nobody can tell
        assert world.nat is not None
        assert world.nat.core.dropped["SPI of one of several"] == 2

    simulate(scenario)


def test_esn_11_endpoints_alone_gain_nothing_from_a_nat_that_guesses() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        pat = load("esp-helper")
        assert pat.translation is not None
        world = World(loop, nat=replace(pat, translation=replace(pat.translation, ike="cookie")))
        one = world.add("west", west(nat_transparency=SPI), behind=True)
        other = world.add("other", second(SPI), behind=True)
        two = world.add("east", concentrator(SPI))
        one.host(mark(0))
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        one.host(mark(1))
        other.host(mark(2, SECOND_HOST))  # while the first one's answer is still out
        await asyncio.sleep(1)
        assert two.marks == [1]
        two.host(mark(3, EAST_HOST, WEST_HOST))
        await asyncio.sleep(1)
        assert await both_ways(other, two, 10, SECOND_HOST) == (True, True)  # after the answer: one at a time

    simulate(scenario)


@pytest.mark.parametrize(("nat", "works"), [("pat", False), ("ios-preserve-port", True)])
def test_esn_20_21_and_23_a_concentrator_that_demands_port_500(nat: str, works: bool) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat=nat)
        one = world.add("west", west(nat_transparency=SPI), behind=True)
        two = world.add("east", concentrator(SPI, demand_port_500=True))
        await world.bring_up(one, seconds=40)
        ports = {ip.parse_udp(ip.parse_ipv4(packet).payload).sport for _, packet in world.crossed if kind(packet) == "500"}
        assert (ports == {500}) is works
        assert bool(one.sas and two.sas) is works
        assert any("only port 500" in event.detail["reason"] for event in two.of("refused")) is not works
        if works:
            assert await both_ways(one, two, 1) == (True, True)

    simulate(scenario)


def test_esn_38_with_both_off_esp_does_not_pass_pat_and_the_configuration_is_named() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="ports-only")
        one = world.add("west", west(nat_transparency=OFF), behind=True)
        two = world.add("east", concentrator(OFF))
        await world.bring_up(one)
        assert await both_ways(one, two, 1) == (False, False)
        assert len(one.sas) == len(two.sas) == 1  # IKE did well
        warning = two.of("warning")[0].detail
        assert warning["layer"] == "nat-transparency"
        assert "10.0.0.2 is behind a NAT" in warning["reason"]

    simulate(scenario)


@pytest.mark.parametrize(("ours", "theirs"), [(UDP, SPI), (SPI, UDP), (SPI, OFF), (OFF, SPI)])
@pytest.mark.parametrize("nat", [None, "ports-only"])
def test_esn_40_ends_that_disagree_are_never_half_open_in_silence(
    ours: NatTransparency, theirs: NatTransparency, nat: str | None
) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat=nat)
        one = world.add("west", west(nat_transparency=ours), behind=nat is not None)
        two = world.add("east", concentrator(theirs))
        await world.bring_up(one)
        passed = await both_ways(one, two, 1)
        assert passed == ((True, True) if nat is None else (False, False))
        assert {kind(packet) for _, packet in world.inside + world.crossed} == {"500", "esp"}
        assert len(one.sas) == len(two.sas) == 1  # both have it, or neither
        assert one.sas[0].esp_in.spi == two.sas[0].esp_out.spi
        told = [event.detail["reason"] for site in (one, two) for event in site.of("warning")]
        if ours is SPI:  # who answers does not follow: the one that matches says so
            assert any("does not match SPIs" in reason for reason in told)
        if theirs is SPI:
            assert one.sas[0].esp_in.spi == partner(one.sas[0].esp_out.spi)

    simulate(scenario)


def test_esn_41_live_sas_stay_as_they_are_when_the_setting_changes() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="pat")
        one = world.add("west", west(nat_transparency=UDP), behind=True)
        two = world.add("east", concentrator(UDP))
        await world.bring_up(one)
        before = [sa.spi_in for sa in one.sas]
        for site in (one, two):
            changed = replace(site.core.settings, nat_transparency=SPI)
            site.order(lambda core, changed=changed: core.reconfigure(loop.time(), changed))
        assert await both_ways(one, two, 1) == (True, True)
        assert [sa.spi_in for sa in one.sas] == before
        one.order(lambda core: core.clear_isakmp(loop.time()))
        await asyncio.sleep(1)
        one.host(mark(5))
        await asyncio.sleep(5)
        assert [(sa.udp, sa.predictable) for sa in one.sas] == [(False, True)]

    simulate(scenario)


def test_the_side_behind_the_nat_keeps_the_mapping_open() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="pat")
        one = world.add("west", west(nat_transparency=UDP, keepalive_s=20.0), behind=True)
        two = world.add("east", concentrator(UDP))
        await world.bring_up(one)
        await asyncio.sleep(600)  # far beyond the NAT's timers
        two.host(mark(1, EAST_HOST, WEST_HOST))
        await asyncio.sleep(1)
        assert one.marks == [1]

    simulate(scenario)


def test_esn_30_to_37_one_at_most_in_the_configuration() -> None:
    def after(*commands: str) -> NatTransparency:
        state = NatTransparency()
        for command in commands:
            words = command.split()
            state = state.set(words[-1], no=words[0] == "no")  # type: ignore[arg-type]
        return state

    spi = ("crypto ipsec nat-transparency spi-matching",)
    neither = ("no crypto ipsec nat-transparency udp-encaps",)
    for commands, method, lines in (
        ((), "udp-encaps", ()),
        (("spi-matching",), "spi-matching", spi),
        (("spi-matching", "udp-encaps"), "udp-encaps", ()),
        (("udp-encaps", "spi-matching"), "spi-matching", spi),
        (("spi-matching", "no spi-matching"), "udp-encaps", ()),
        (("no udp-encaps",), "none", neither),
        (("no udp-encaps", "no spi-matching"), "none", neither),
        (("spi-matching", "no udp-encaps"), "spi-matching", spi),
        (("spi-matching", "no udp-encaps", "no spi-matching"), "none", neither),
        (("no spi-matching", "no udp-encaps"), "none", neither),
        (("no udp-encaps", "no spi-matching", "spi-matching"), "spi-matching", spi),
        (("no udp-encaps", "no spi-matching", "udp-encaps"), "udp-encaps", ()),
    ):
        state = after(*commands)
        assert (state.method, state.lines) == (method, lines), commands


def test_partners_are_each_others_and_the_documents_sample_is_a_pair() -> None:
    assert partner(0x28726CD9) == 0x2E59EEF5
    assert partner(0x2E59EEF5) == 0x28726CD9
    assert predictable(0x28726CD9)
    assert not predictable(255)
    assert not predictable(DIFFERENCE ^ 7)  # its partner would be 7


def test_authentic_esp_from_another_mapping_shows_where_the_peer_is_now() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="pat")
        one = world.add("west", west(nat_transparency=UDP), behind=True)
        two = world.add("east", concentrator(UDP))
        await world.bring_up(one)
        _, body = one.sas[0].seal(WEST, mark(1), 1)
        two.hear(to_ip(Packet(NAT, EAST, 17, body[:-1] + b"\0", 6666, 4500)))  # not authentic
        two.hear(to_ip(Packet(NAT, EAST, 17, body, 7777, 4500)))
        world.crossed.clear()
        two.host(mark(2, EAST_HOST, WEST_HOST))
        assert two.marks == [1]
        assert [ip.parse_udp(ip.parse_ipv4(packet).payload).dport for _, packet in world.crossed] == [7777]

    simulate(scenario)


def test_protocol_50_from_another_address_than_the_peers_is_refused() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west(nat_transparency=SPI)), world.add("east", concentrator(SPI))
        await world.bring_up(one)
        _, body = one.sas[0].seal(WEST, mark(1), 1)
        two.hear(to_ip(Packet("203.0.113.9", EAST, 50, body)))
        two.hear(to_ip(Packet(WEST, EAST, 17, body, 4500, 4500)))
        assert two.marks == []
        reasons = [event.detail["reason"] for event in two.of("dropped")]
        assert "belongs to 10.0.0.2" in reasons[0]
        assert "came in UDP" in reasons[1]
        two.hear(to_ip(Packet(WEST, EAST, 50, body)))
        assert two.marks == [1]

    simulate(scenario)
