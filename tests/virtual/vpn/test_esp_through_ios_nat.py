"""ESN-03 to 27 end to end: tunnel-mode endpoints behind a virtual IOS router whose NAT is configured by its command line.

What is judged crossed the wire on either side of the NAT, or came out behind an endpoint; times are the simulation's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from ios_nat_bench import PRESERVE, SPI_MATCH, IosWorld, client, collector, host_of
from vpn_bench import EAST, EAST_HOST, NAT, OFF, SECOND_HOST, SPI, WEST, WEST_HOST, both_ways, concentrator, kind, mark, simulate

from harness.model.predictable_spi import partner
from harness.simulation.loop import SimulatedLoop
from harness.virtual import vpn_view
from harness.wire import ip

HOP_S = 0.001
"""From an endpoint to the NAT; the NAT takes no time."""
SOME = ("access-list 11 permit 10.0.0.2", "access-list 11 permit 10.0.0.4")
EAST_2, EAST_2_HOST = "203.0.113.241", "10.4.0.5"


def esp_delays(world: IosWorld, address: str) -> list[float]:
    """For each ESP packet that this client sent and that left the NAT: how long it was on the way through it, in its order."""
    there = {packet[24:28] + packet[20:24]: at for at, packet in world.crossed if kind(packet) == "esp"}
    return [
        there[key] - at - HOP_S
        for at, packet in world.inside
        if kind(packet) == "esp" and packet[12:16] == ip.packed(address) and (key := packet[24:28] + packet[20:24]) in there
    ]


def ike_ports(world: IosWorld, inside: str | None = None) -> set[int]:
    """Source ports of IKE that left the NAT; with `inside`, of this client's alone, told by its cookies."""
    cookies = {
        packet[28:36] for _, packet in world.inside if kind(packet) == "500" and packet[12:16] == ip.packed(inside or "0.0.0.0")
    }
    return {
        ip.parse_udp(ip.parse_ipv4(packet).payload).sport
        for _, packet in world.crossed
        if packet[9] == 17 and packet[12:16] == ip.packed(NAT) and (inside is None or packet[28:36] in cookies)
    }


def late(delays: list[float]) -> list[float]:
    return [one for one in delays if one > 1e-6]


def test_esn_03_04_05_and_14_three_tunnels_are_up_together_on_protocol_50() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, PRESERVE)
        sites = {n: world.add(f"client {n}", client(n, SPI), behind=True) for n in (2, 3, 4)}
        two = world.add("east", collector(SPI))
        for n, site in sites.items():
            site.host(mark(0, host_of(n)))
        await asyncio.sleep(5)
        for number in (10, 20, 30):  # all at once, there and back
            for n, site in sites.items():
                site.host(mark(number + n, host_of(n)))
            await asyncio.sleep(1)
            for n in sites:
                two.host(mark(number + n, EAST_HOST, host_of(n)))
            await asyncio.sleep(1)
        assert {n: site.marks for n, site in sites.items()} == {n: [10 + n, 20 + n, 30 + n] for n in sites}
        assert two.marks == [10 * round_ + n for round_ in (1, 2, 3) for n in sites]
        assert world.kinds() == {"500", "esp"}
        rows = vpn_view.of(loop.time(), two.core).ipsec
        assert [(row.encapsulation, row.peer) for row in rows] == [("tunnel", NAT)] * 3
        assert [row.esp_out for row in rows] == [partner(row.esp_in) for row in rows]
        assert late([one for n in sites for one in esp_delays(world, f"10.0.0.{n}")]) == []

    simulate(scenario)


@pytest.mark.parametrize("how", [OFF, SPI], ids=["ESN-07", "ESN-11 endpoints alone"])
def test_esn_07_and_11_without_the_service_an_entry_is_held_until_the_reply(how: object) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop)
        one = world.add("west", client(2, how), behind=True)
        other = world.add("other", client(3, how), behind=True)
        two = world.add("east", concentrator(how))  # type: ignore[arg-type]
        one.host(mark(0))
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        one.host(mark(1))
        await asyncio.sleep(0.5)
        (half,) = world.router.show("esp")
        assert (half.inside_local, half.inside_spi, half.outside_spi is None) == (WEST, None, False)
        other.host(mark(2, SECOND_HOST))
        await asyncio.sleep(2)
        assert two.marks == [1]
        assert [row.inside_local for row in world.router.show("esp")] == [WEST]
        asked = loop.epoch()
        two.host(mark(3, EAST_HOST, WEST_HOST))
        await asyncio.sleep(1)
        assert two.marks == [1, 2]
        assert one.marks == [3]
        # It came to the NAT two seconds before the reply to the first one's was sent, and left when that came.
        (delay,) = esp_delays(world, "10.0.0.3")
        assert delay == pytest.approx(2 + 0.005 - HOP_S, abs=1e-5)
        spi = other.sas[0].esp_out.spi.to_bytes(4)
        (left_at, *_) = [at for at, packet in world.crossed if kind(packet) == "esp" and packet[20:24] == spi]
        assert left_at == pytest.approx(asked + 0.005, abs=1e-5)
        assert await both_ways(other, two, 10, SECOND_HOST) == (True, True)
        assert await both_ways(one, two, 20) == (True, True)

    simulate(scenario)


def test_esn_08_and_12_with_the_service_both_halves_are_there_at_once_and_nobody_waits() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH)
        one = world.add("west", client(2, SPI), behind=True)
        other = world.add("other", client(3, SPI), behind=True)
        two = world.add("east", concentrator(SPI))
        one.host(mark(0))
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        one.host(mark(1))
        other.host(mark(2, SECOND_HOST))  # in the same moment
        await asyncio.sleep(1)
        assert two.marks == [1, 2]
        assert late(esp_delays(world, WEST) + esp_delays(world, "10.0.0.3")) == []
        rows = world.router.show("esp")
        assert one.got == other.got == []  # no reply yet
        assert {(row.inside_local, row.inside_spi) for row in rows if row.inside_spi} == {
            (WEST, f"{one.sas[0].spi_in:08x}"),
            ("10.0.0.3", f"{other.sas[0].spi_in:08x}"),
        }
        two.host(mark(3, EAST_HOST, SECOND_HOST))
        two.host(mark(4, EAST_HOST, WEST_HOST))
        await asyncio.sleep(1)
        assert (one.marks, other.marks) == ([4], [3])

    simulate(scenario)


def test_esn_09_who_is_not_in_the_list_is_delayed_as_by_default() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, *SOME, "ip nat service list 11 ESP spi-match")
        sites = {n: world.add(f"client {n}", client(n, SPI), behind=True) for n in (2, 3, 4)}
        two = world.add("east", collector(SPI))
        for n, site in sites.items():
            site.host(mark(0, host_of(n)))
        await asyncio.sleep(5)
        for n, site in sites.items():
            site.host(mark(n, host_of(n)))
        await asyncio.sleep(1)
        assert two.marks == [2, 4]
        two.host(mark(5, EAST_HOST, host_of(2)))
        two.host(mark(6, EAST_HOST, host_of(4)))
        await asyncio.sleep(1)
        assert two.marks == [2, 4, 3]
        assert late(esp_delays(world, "10.0.0.2") + esp_delays(world, "10.0.0.4")) == []
        (delay,) = esp_delays(world, "10.0.0.3")
        assert delay == pytest.approx(1 + 0.005 - HOP_S, abs=1e-5)
        assert await both_ways(sites[3], two, 10, host_of(3)) == (True, True)

    simulate(scenario)


def test_esn_10_the_service_alone_has_no_benefit_and_maps_nothing_wrongly() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH)
        one = world.add("west", client(2, OFF), behind=True)
        other = world.add("other", client(3, OFF), behind=True)
        two = world.add("east", concentrator(OFF))
        one.host(mark(0))
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        one.host(mark(1))
        other.host(mark(2, SECOND_HOST))
        await asyncio.sleep(1)
        two.host(mark(3, EAST_HOST, WEST_HOST))
        two.host(mark(4, EAST_HOST, SECOND_HOST))
        await asyncio.sleep(1)
        assert sorted(two.marks) == [1, 2]
        assert one.marks == other.marks == []
        assert world.router.role.core is not None
        assert world.router.role.core.dropped["SPI of one of several"] == 2
        for site in (one, other):  # nor has either been given what the other cannot decrypt
            assert not [event for event in site.of("dropped") if event.detail["layer"] == "esp"]

    simulate(scenario)


def test_esn_13_each_of_three_insiders_with_each_of_two_concentrators() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, PRESERVE)
        peers = {EAST: EAST_HOST, EAST_2: EAST_2_HOST}
        sites = {n: world.add(f"client {n}", client(n, SPI, peers), behind=True) for n in (2, 3, 4)}
        far = {address: world.add(address, collector(SPI, address, host)) for address, host in peers.items()}
        for n, site in sites.items():
            for host in peers.values():
                site.host(mark(0, host_of(n), host))
        await asyncio.sleep(8)
        assert len(world.router.show("esp")) == 0
        expected: dict[int, list[int]] = {n: [] for n in sites}
        number = 1
        for n, site in sites.items():
            for address, host in peers.items():
                site.host(mark(number, host_of(n), host))
                far[address].host(mark(number + 500, host, host_of(n)))
                expected[n].append(number + 500)
                number += 1
        await asyncio.sleep(1)
        assert {n: sorted(site.marks) for n, site in sites.items()} == expected
        assert sorted(far[EAST].marks) == [1, 3, 5]
        assert sorted(far[EAST_2].marks) == [2, 4, 6]
        rows = world.router.show("esp")
        assert {(row.inside_local, row.outside_global) for row in rows} == {(f"10.0.0.{n}", peer) for n in sites for peer in peers}
        assert len(rows) == 12

    simulate(scenario)


def test_esn_15_rekeys_are_followed_without_delay_or_loss() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, PRESERVE)
        one = world.add("west", client(2, SPI), behind=True)
        other = world.add("other", client(3, SPI), behind=True)
        two = world.add("east", concentrator(SPI, rekey_margin=None))
        await world.bring_up(one)
        await world.bring_up(other, mark(0, SECOND_HOST))
        first = {site.sas[0].spi_in for site in (one, other)}
        sent = range(100, 360)
        for number in sent:  # each way every 15 s, for longer than an ESP SA lives
            one.host(mark(number))
            other.host(mark(number, SECOND_HOST))
            two.host(mark(number, EAST_HOST, WEST_HOST))
            two.host(mark(number, EAST_HOST, SECOND_HOST))
            await asyncio.sleep(15)
        assert one.marks == other.marks == list(sent)
        assert sorted(two.marks) == sorted([*sent, *sent])
        assert late(esp_delays(world, WEST) + esp_delays(world, "10.0.0.3")) == []
        now = {site.sas[0].spi_in for site in (one, other)}
        assert not first & now
        shown = {row.inside_spi for row in world.router.show("esp")} - {None}
        assert shown == {f"{spi:08x}" for spi in now}  # the old ones' time is up

    simulate(scenario)


@pytest.mark.parametrize("service", [True, False], ids=["spi-match", "default"])
def test_esn_16_two_insiders_with_one_spi_get_nothing_of_each_other(service: bool) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, PRESERVE, *([SPI_MATCH] if service else []))
        one = world.add("west", client(2, SPI if service else OFF), behind=True)
        other = world.add("other", client(3, SPI if service else OFF), behind=True)
        two = world.add("east", concentrator(SPI if service else OFF))
        for site in (one, other):
            choose_first(site, 0x28726CD9)
        await world.bring_up(one)
        assert await both_ways(one, two, 10) == (True, True)
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        for number in (20, 30, 40):
            two.host(mark(number, EAST_HOST, WEST_HOST))
            two.host(mark(number + 1, EAST_HOST, SECOND_HOST))
            other.host(mark(number, SECOND_HOST))
            await asyncio.sleep(1)
        assert {20, 30, 40} <= set(one.marks) <= {11, 20, 30, 40}
        assert set(other.marks) <= {21, 31, 41}
        opened = sum(site.core.counts["opened"] for site in (one, other))
        assert opened == len(one.marks) + len(other.marks)
        if service:  # the concentrator refused the second of one SPI pair, and it took another
            assert any("is taken" in event.detail["reason"] for event in two.of("refused"))
            assert await both_ways(other, two, 50, SECOND_HOST) == (True, True)

    simulate(scenario)


def choose_first(site: object, spi: int) -> None:
    """The endpoint's first SPI is this one, as chance may have it."""
    negotiation = site.core.negotiation  # type: ignore[attr-defined]
    honest = negotiation._choose_spi
    first: Iterator[int] = iter((spi,))
    negotiation._choose_spi = lambda theirs, *, matching: next(first, None) or honest(theirs, matching=matching)


# --- IKE preserve-port ---


def test_esn_20_off_the_seconds_port_is_changed() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH)
        one = world.add("west", client(2, SPI), behind=True)
        other = world.add("other", client(3, SPI), behind=True)
        two = world.add("east", concentrator(SPI))
        await world.bring_up(one)
        await world.bring_up(other, mark(0, SECOND_HOST))
        (changed,) = ike_ports(world, "10.0.0.3")
        assert changed != 500
        assert {view.port for view in vpn_view.of(loop.time(), two.core).ike} == {500, changed}
        assert changed in {row.inside_global_port for row in world.router.show("udp")}

    simulate(scenario)


def test_esn_21_and_22_on_two_clients_keep_500_and_both_survive() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, PRESERVE)
        one = world.add("west", client(2, SPI), behind=True)
        other = world.add("other", client(3, SPI), behind=True)
        two = world.add("east", concentrator(SPI))
        await world.bring_up(one)
        assert ike_ports(world) == {500}
        assert await both_ways(one, two, 1) == (True, True)
        await world.bring_up(other, mark(0, SECOND_HOST))
        assert ike_ports(world) == {500}
        assert {(row.inside_local, row.inside_global_port) for row in world.router.show("udp")} == {(WEST, 500), ("10.0.0.3", 500)}
        assert await both_ways(other, two, 10, SECOND_HOST) == (True, True)
        assert await both_ways(one, two, 20) == (True, True)
        assert (one.marks, other.marks) == ([2, 21], [11])
        assert {(view.peer, view.port) for view in vpn_view.of(loop.time(), two.core).ike} == {(NAT, 500)}

    simulate(scenario)


@pytest.mark.parametrize("preserved", [False, True])
def test_esn_23_a_concentrator_that_demands_port_500(preserved: bool) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, *([PRESERVE] if preserved else []))
        one = world.add("west", client(2, SPI), behind=True)
        other = world.add("other", client(3, SPI), behind=True)
        two = world.add("east", concentrator(SPI, demand_port_500=True))
        await world.bring_up(one)
        await world.bring_up(other, mark(0, SECOND_HOST), seconds=40)
        assert bool(other.sas) is preserved
        assert any("only port 500" in event.detail["reason"] for event in two.of("refused")) is not preserved
        assert await both_ways(one, two, 1) == (True, True)
        assert await both_ways(other, two, 10, SECOND_HOST) == (preserved, preserved)

    simulate(scenario)


def test_esn_25_who_is_not_in_the_list_has_its_port_changed() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, *SOME, "ip nat service list 11 IKE preserve-port")
        sites = {n: world.add(f"client {n}", client(n, SPI), behind=True) for n in (2, 3, 4)}
        two = world.add("east", collector(SPI))
        for n, site in sites.items():
            await world.bring_up(site, mark(0, host_of(n)))
        assert ike_ports(world, "10.0.0.2") == ike_ports(world, "10.0.0.4") == {500}
        assert 500 not in ike_ports(world, "10.0.0.3")
        for n, site in sites.items():
            assert await both_ways(site, two, 10 * n, host_of(n)) == (True, True)

    simulate(scenario)


def test_esn_27_the_no_form_switches_it_off_again_and_off_is_the_default() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop)
        assert not [line for line in world.router.run("show running-config") if line.startswith("ip nat service")]
        world.router.configure(SPI_MATCH, PRESERVE)
        assert {SPI_MATCH, PRESERVE} <= set(world.router.run("show running-config"))
        sites = {n: world.add(f"client {n}", client(n, SPI), behind=True) for n in (2, 3, 4, 5)}
        two = world.add("east", collector(SPI))
        for n in (2, 3):
            await world.bring_up(sites[n], mark(0, host_of(n)))
        assert ike_ports(world) == {500}
        world.router.configure(f"no {PRESERVE}")
        await world.bring_up(sites[4], mark(0, host_of(4)))
        assert 500 not in ike_ports(world, "10.0.0.4")
        assert [len(sites[n].sas) for n in (2, 3, 4)] == [1, 1, 1]
        world.router.configure(f"no {SPI_MATCH}")  # entries are delayed again
        sites[2].host(mark(1, host_of(2)))
        sites[3].host(mark(2, host_of(3)))
        await asyncio.sleep(1)
        assert two.marks == [1]
        assert not [line for line in world.router.run("show running-config") if line.startswith("ip nat service")]

    simulate(scenario)


def test_a_lifetime_of_its_own_rekeys_phase_1_through_preserved_ports() -> None:
    """The next main mode has another cookie: the concentrator's answers to both find their clients."""

    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, PRESERVE)
        made = [client(n, SPI) for n in (2, 3)]
        short = [replace(one, ike_proposals=(replace(one.ike_proposals[0], lifetime_s=600),)) for one in made]
        sites = [world.add(one.address, one, behind=True) for one in short]
        two = world.add("east", concentrator(SPI, rekey_margin=None))
        for n, site in enumerate(sites, 2):
            await world.bring_up(site, mark(0, host_of(n)))
        for round_ in range(1, 15):
            for n, site in enumerate(sites, 2):
                assert await both_ways(site, two, 100 * round_ + 10 * n, host_of(n)) == (True, True)
            await asyncio.sleep(100)
        assert all(len(site.of("ike-up")) >= 3 for site in sites)
        assert ike_ports(world) == {500}

    simulate(scenario)
