"""A tunnel-mode endpoint over time: set-up, several flows and peers, rekeys by time and volume, ends; and what it shows of
itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from vpn_bench import (
    BACK,
    EAST,
    EAST_HOST,
    EAST_LAN,
    THERE,
    WEST,
    WEST_HOST,
    WEST_LAN,
    Site,
    World,
    east,
    mark,
    policy,
    settings,
    simulate,
    west,
)

from harness.simulation.loop import SimulatedLoop
from harness.virtual import vpn_view
from harness.virtual.crypto_map import IsakmpEntry
from harness.virtual.vpn_settings import EndpointSettings
from harness.wire import ip
from harness.wire.ike import quick_mode, registry
from harness.wire.ike.quick_mode import QuickMode
from harness.wire.ike.quick_mode_table import Action
from harness.wire.packet import Packet, to_ip

THIRD = "203.0.113.240"


def lives(made: EndpointSettings, **changes: int) -> EndpointSettings:
    return replace(made, policy=replace(made.policy, **changes))


def test_marks_pass_both_ways_as_protocol_50() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        await world.bring_up(one)
        assert two.marks == []  # the packet that asked for the SA is lost
        for number in range(1, 6):
            one.host(mark(number))
            two.host(mark(number + 100, EAST_HOST, WEST_HOST))
            await asyncio.sleep(1)
        assert two.marks == [1, 2, 3, 4, 5]
        assert one.marks == [101, 102, 103, 104, 105]
        assert world.kinds() == {"500", "esp"}
        assert two.got[0][8] == 62  # both routers have taken a hop; the tunnel takes none

    simulate(scenario)


def test_rekeys_by_time_lose_nothing() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", lives(west(), lifetime_s=300)), world.add("east", lives(east(), lifetime_s=300))
        await world.bring_up(one)
        for number in range(1500):
            one.host(mark(number))
            two.host(mark(number, EAST_HOST, WEST_HOST))
            await asyncio.sleep(1)
        assert one.marks == two.marks == list(range(1500))
        ups, downs = one.of("esp-up"), one.of("esp-down")
        assert [event.detail["rekey"] for event in ups] == [False, True, True, True, True, True]
        assert len(downs) == 5
        # Each old one lives on for a while beside the new one, until its Delete.
        assert all(9 < down.t - up.t < 11 for up, down in zip(ups[1:], downs, strict=True))
        assert len(one.sas) == len(two.sas) == 1

    simulate(scenario)


def test_rekeys_by_volume_lose_nothing() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", lives(west(), lifetime_kb=10))
        two = world.add("east", east())
        await world.bring_up(one)
        assert two.sas[0].lifetime_kb == 10  # the lower one, though it did not ask for it
        for number in range(100):
            packet = to_ip(Packet(WEST_HOST, EAST_HOST, 17, b"mark %d " % number + bytes(500), 9000, 9001))
            one.host(packet)
            await asyncio.sleep(0.5)
        assert two.marks == list(range(100))
        ups = one.of("esp-up")
        # 100 packets of 544 to 560 bytes under the cipher; renewed at nine tenths of 10 KB.
        assert len(ups) == 1 + 100 // 17
        assert all(event.detail["rekey"] for event in ups[1:])

    simulate(scenario)


@pytest.mark.parametrize(("ours", "theirs"), [(100, 600), (600, 100)])
def test_the_shorter_life_is_in_force_at_both_ends(ours: int, theirs: int) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", lives(west(), lifetime_s=ours)), world.add("east", lives(east(), lifetime_s=theirs))
        await world.bring_up(one)
        assert [sa.lifetime_s for sa in (*one.sas, *two.sas)] == [100, 100]

    simulate(scenario)


TWO = ("permit tcp 10.1.0.0 0.0.255.255 10.2.0.0 0.0.255.255", THERE.replace("permit ip", "permit udp"))
TWO_BACK = (TWO[0].replace("10.1", "10.9").replace("10.2", "10.1").replace("10.9", "10.2"), BACK.replace("permit ip", "permit udp"))


def test_each_permit_of_a_list_has_sas_of_its_own_under_one_isakmp_sa() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        entry = IsakmpEntry(10, "101", (EAST,), ("aes",), lifetime_s=200)
        one = world.add("west", settings(WEST, WEST_LAN, policy(entry, lists={"101": TWO})))
        two = world.add("east", east(lines=TWO_BACK))
        tcp = ip.build_ipv4(WEST_HOST, EAST_HOST, 6, bytes(20))
        one.host(mark(0))
        one.host(tcp)
        await asyncio.sleep(5)
        assert [str(sa.permit) for sa in one.sas] == [
            "permit udp 10.1.0.0 0.0.255.255 10.2.0.0 0.0.255.255",
            "permit tcp 10.1.0.0 0.0.255.255 10.2.0.0 0.0.255.255",
        ]
        assert len(one.of("ike-up")) == len(two.of("ike-up")) == 1
        one.host(mark(1))
        one.host(tcp)
        await asyncio.sleep(1)
        assert [sa.encapsulated for sa in one.sas] == [sa.decapsulated for sa in two.sas] == [1, 1]
        await asyncio.sleep(700)  # each is renewed by itself
        assert sorted(str(sa.permit) for sa in one.sas) == sorted(str(sa.permit.mirrored) for sa in two.sas)
        assert len(one.sas) == 2
        assert len(one.of("esp-up")) == 2 + 2 * 3

    simulate(scenario)


def test_what_comes_out_of_an_sa_and_is_not_of_its_flow_is_refused() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        await world.bring_up(one)
        alien = mark(1, "10.9.0.5")
        _, body = one.sas[0].seal(WEST, alien, 1)
        two.hear(ip.build_ipv4(WEST, EAST, 50, body))
        assert two.marks == []
        assert "which is not for it" in two.of("dropped")[0].detail["reason"]
        assert two.sas[0].receive_errors == 1

    simulate(scenario)


def test_several_peers_at_once_each_by_its_entry() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        to_third = "permit ip 10.1.0.0 0.0.255.255 10.3.0.0 0.0.255.255"
        entries = IsakmpEntry(10, "101", (EAST,), ("aes",)), IsakmpEntry(20, "102", (THIRD,), ("3des",), pfs="modp1024")
        one = world.add("west", settings(WEST, WEST_LAN, policy(*entries, lists={"101": (THERE,), "102": (to_third,)})))
        two = world.add("east", east())
        back = policy(
            IsakmpEntry(10, "101", (WEST,), ("3des",), pfs="modp1024"),
            lists={"101": ("permit ip 10.3.0.0 0.0.255.255 10.1.0.0 0.0.255.255",)},
        )
        three = world.add("third", settings(THIRD, "10.3.0.0/16", back))
        one.host(mark(0))
        one.host(mark(0, dst="10.3.0.5"))
        await asyncio.sleep(5)
        one.host(mark(1))
        one.host(mark(2, dst="10.3.0.5"))
        three.host(mark(3, "10.3.0.5", WEST_HOST))
        await asyncio.sleep(1)
        assert (two.marks, three.marks, one.marks) == ([1], [2], [3])
        assert [(row.peer, row.entry, row.encryption) for row in vpn_view.of(loop.time(), one.core).ipsec] == [
            (EAST, "mymap 10", "aes-128"),
            (THIRD, "mymap 20", "3des"),
        ]

    simulate(scenario)


def test_pfs_that_only_one_end_insists_on_is_refused() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", west())
        entry = IsakmpEntry(10, "101", (WEST,), ("aes",), pfs="modp1024")
        two = world.add("east", settings(EAST, EAST_LAN, policy(entry, lists={"101": (BACK,)})))
        await world.bring_up(one)
        assert one.sas == two.sas == []
        assert "PFS group" in two.of("refused")[0].detail["reason"]

    simulate(scenario)


def test_another_pre_shared_key_brings_nothing_up() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", west())
        two = world.add("east", settings(EAST, EAST_LAN, east().policy, key="san-fran"))
        await world.bring_up(one, seconds=120)
        assert one.sas == two.sas == []
        assert "keys differ" in one.of("failed")[0].detail["reason"]
        assert vpn_view.of(loop.time(), two.core).ike == ()

    simulate(scenario)


def test_clearing_sas_tells_the_peer_and_the_next_packet_brings_them_back_by_quick_mode_alone() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        await world.bring_up(one)
        one.order(lambda core: core.clear_sas(loop.time()))
        await asyncio.sleep(1)
        assert one.sas == two.sas == []
        assert two.of("esp-down")[0].detail["by"] == "peer"
        await world.bring_up(two, mark(0, EAST_HOST, WEST_HOST))  # the other end asks this time
        assert len(one.sas) == len(two.sas) == 1
        assert len(one.of("ike-up")) == 1

    simulate(scenario)


def restart(site: Site, world: World) -> None:
    """It loses everything, without a word."""
    fresh = Site(world, f"{site.name} again", site.core.settings)
    site.core = site.box.core = fresh.core


def test_initial_contact_ends_what_a_restarted_peer_has_forgotten() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        await world.bring_up(one)
        old = two.sas[0].spi_in
        restart(one, world)
        await world.bring_up(one)
        assert [sa.spi_in for sa in two.sas] != [old]
        assert len(two.sas) == 1
        one.host(mark(1))
        two.host(mark(2, EAST_HOST, WEST_HOST))
        await asyncio.sleep(1)
        assert (two.marks, one.marks) == ([1], [2])

    simulate(scenario)


def test_a_dead_peer_is_found_out_by_dpd() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west(dpd_s=10.0)), world.add("east", east())
        await world.bring_up(one)
        two.off = True
        await asyncio.sleep(60)
        assert one.sas == []
        assert vpn_view.of(loop.time(), one.core).ike == ()
        assert len(two.sas) == 1
        two.off = False
        await world.bring_up(one)
        one.host(mark(1))
        await asyncio.sleep(1)
        assert two.marks == [1]

    simulate(scenario)


def test_the_view_says_what_is_there() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        empty = vpn_view.of(loop.time(), one.core)
        assert (empty.ipsec, empty.ike, empty.connections) == ((), (), ())
        one.host(mark(0))
        assert [view.state for view in vpn_view.of(loop.time(), one.core).ike] == ["MM_NO_STATE"]
        await asyncio.sleep(5)
        for number in range(4):
            one.host(mark(number))
        two.host(mark(9, EAST_HOST, WEST_HOST))
        await asyncio.sleep(95)
        here, there = vpn_view.of(loop.time(), one.core), vpn_view.of(loop.time(), two.core)
        (row,), (other,) = here.ipsec, there.ipsec
        assert (row.esp_in, row.esp_out) == (other.esp_out, other.esp_in)
        assert (row.local, row.remote) == (other.remote, other.local)
        assert (row.encapsulated, row.decapsulated) == (other.decapsulated, other.encapsulated) == (4, 1)
        assert (row.initiator, other.initiator) == (True, False)
        assert 3499 <= row.remaining_s <= 3501  # type: ignore[operator]
        assert row.remaining_kb == 4_608_000
        assert [(one.number, one.encrypted, one.decrypted) for one in here.connections] == [(1, 0, 0), (2000, 0, 1), (2001, 4, 0)]
        assert [(view.state, view.peer, view.identity, view.remaining_s // 100) for view in here.ike] == [
            ("QM_IDLE", EAST, EAST, 287),
        ]
        (entry,) = here.map_entries
        assert (entry.kind, entry.current_peer, entry.lacks) == ("ipsec-isakmp", EAST, None)
        assert [str(line) for line in entry.permits] == [THERE]

    simulate(scenario)


def test_garbage_from_outside_is_told_and_changes_nothing() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        await world.bring_up(one)
        good = [packet for _, packet in world.crossed]
        for packet in good:
            two.hear(packet[:-1])
            two.hear(packet[:25])
            two.hear(bytes(reversed(packet)))
        two.hear(b"")
        two.hear(to_ip(Packet(WEST, EAST, 17, bytes(8) + bytes(range(32)), 500, 500)))
        two.hear(ip.build_ipv4(WEST, EAST, 50, b"\0\0\1\0" + bytes(40)))
        two.hear(ip.build_ipv4(WEST, EAST, 51, bytes(10)))
        one.host(mark(1))
        await asyncio.sleep(1)
        assert two.marks == [1]
        assert len(two.sas) == 1
        reasons = " ".join(event.detail["reason"] for event in two.of("dropped", "refused"))
        for word in ("unknown SPI 00000100", "shorter than an AH header", "cookies"):
            assert word in reasons, word

    simulate(scenario)


def test_an_answer_for_another_flow_than_was_asked_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = QuickMode._send_choice

    def turned(run: QuickMode, now: float) -> None:
        ids = [payload for payload in run._payloads if payload.type == registry.ID][::-1]
        run._payloads = [payload for payload in run._payloads if payload.type != registry.ID] + ids
        honest(run, now)

    monkeypatch.setitem(quick_mode._ACTIONS, Action.SEND_CHOICE, turned)

    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        await world.bring_up(one, seconds=120)
        assert one.sas == two.sas == []
        assert "which was not asked for" in one.of("failed")[0].detail["reason"]

    simulate(scenario)
