"""ESN-39 and 50 to 65: the table of a virtual IOS router's NAT as its command line shows and clears it, beside what is alive.

What is shown is read by the driver's own parser, and its SPIs are compared with the endpoints' view of their SAs.
"""

from __future__ import annotations

import asyncio

import pytest
from ios_nat_bench import PRESERVE, SPI_MATCH, STARTUP, IosWorld, client, collector, host_of
from vpn_bench import EAST, EAST_HOST, NAT, SPI, WEST, WEST_HOST, both_ways, mark, simulate

from harness.model.predictable_spi import partner
from harness.simulation.loop import SimulatedLoop
from harness.virtual import vpn_view
from harness.wire.packet import Packet, to_ip

DNS, TELNET, TELNET_2 = "171.69.2.132", "171.69.1.220", "171.69.1.161"
DOCUMENT = STARTUP.replace("10.0.0.", "192.168.1.").replace(NAT, "171.69.233.209")


def udp(source: str, sport: int, destination: str, dport: int) -> bytes:
    return to_ip(Packet(source, destination, 17, b"words", sport, dport))


def tcp(source: str, sport: int, destination: str, dport: int) -> bytes:
    """A SYN, with a checksum of 0: NATs bring checksums up to date and do not look at them."""
    return to_ip(Packet(source, destination, 6, sport.to_bytes(2) + dport.to_bytes(2) + bytes(8) + b"\x50\x02" + bytes(6)))


def echo(source: str, destination: str, identifier: int) -> bytes:
    return to_ip(Packet(source, destination, 1, b"\x08\0\0\0" + identifier.to_bytes(2) + bytes(2)))


def from_inside(world: IosWorld, *packets: bytes) -> None:
    assert world.nat is not None
    for packet in packets:
        world.nat.from_inside(packet)


def locals_of(rows: list) -> list[tuple[str, int]]:
    return [(row.protocol, row.inside_local_port) for row in rows]


# --- show ---


def test_esn_50_and_51_two_rows_a_tunnel_with_the_endpoints_own_spis() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, PRESERVE)
        sites = {n: world.add(f"client {n}", client(n, SPI), behind=True) for n in (2, 3)}
        two = world.add("east", collector(SPI))
        for n, site in sites.items():
            await world.bring_up(site, mark(0, host_of(n)))
            assert await both_ways(site, two, 10 * n, host_of(n)) == (True, True)
        rows = world.router.show("esp")
        assert {(row.inside_global, row.outside_local, row.outside_global) for row in rows} == {(NAT, EAST, EAST)}
        assert len(rows) == 4
        for n, site in sites.items():
            (own,) = vpn_view.of(loop.time(), site.core).ipsec
            outbound, inbound = [row for row in rows if row.inside_local == f"10.0.0.{n}"]
            assert (outbound.inside_spi, outbound.outside_spi) == (None, f"{own.esp_out:08x}")
            assert (inbound.inside_spi, inbound.outside_spi) == (f"{own.esp_in:08x}", None)
        (text, *_) = [line for line in world.router.run("show ip nat translations esp") if WEST in line]
        (own,) = vpn_view.of(loop.time(), sites[2].core).ipsec
        assert text.split() == ["esp", f"{NAT}:0", f"{WEST}:0", f"{EAST}:0", f"{EAST}:{own.esp_out:08X}"]

    simulate(scenario)


def test_esn_50_to_52_the_documents_own_spis_come_out_as_the_document_shows_them() -> None:
    """The sample's addresses and its outbound SPI; the inbound one follows from it."""

    async def scenario(loop: SimulatedLoop) -> None:
        startup = STARTUP.replace("10.0.0.", "192.168.122.").replace(NAT, "192.168.22.40")
        world = IosWorld(loop, SPI_MATCH, startup=startup)
        spi = 0x28726CD9
        from_inside(world, to_ip(Packet("192.168.122.20", "192.168.22.20", 50, spi.to_bytes(4) + bytes(3) + b"\1" + bytes(16))))
        assert [line.split() for line in world.router.run("show ip nat translations esp")[1:]] == [
            ["esp", "192.168.22.40:0", "192.168.122.20:0", "192.168.22.20:0", "192.168.22.20:28726CD9"],
            ["esp", "192.168.22.40:0", "192.168.122.20:2E59EEF5", "192.168.22.20:0", "192.168.22.20:0"],
        ]
        first, second = (row.details for row in world.router.show("esp verbose"))
        assert (first.create_s, first.use_s, first.flags) == (0, 0, ("extended", "0x100000"))
        assert (first.use_count, first.lc_entries) == (1, 0)
        assert (second.left_s, second.use_count, second.map_id is None) == (300, 0, False)
        assert int(first.entry_id) == int(second.entry_id) + 1

    simulate(scenario)


def test_esn_53_an_esp_entry_lives_five_minutes_and_traffic_renews_it() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, PRESERVE)
        one = world.add("west", client(2, SPI), behind=True)
        two = world.add("east", collector(SPI))
        await world.bring_up(one)
        one.host(mark(1))
        await asyncio.sleep(200)
        two.host(mark(2, EAST_HOST, WEST_HOST))  # the other way renews it as well
        await asyncio.sleep(250)
        (left,) = {row.details.left_s for row in world.router.show("esp verbose")} - {None}
        assert left == 50
        one.host(mark(3))
        await asyncio.sleep(299.9)
        assert len(world.router.show("esp")) == 2
        await asyncio.sleep(0.2)
        assert world.router.show("esp") == []
        two.host(mark(4, EAST_HOST, WEST_HOST))  # nobody is known to it now
        await asyncio.sleep(1)
        assert (one.marks, two.marks) == ([2], [1, 3])
        assert await both_ways(one, two, 10) == (True, True)

    simulate(scenario)


def test_esn_54_each_filter_shows_its_own_alone() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH)
        one = world.add("west", client(2, SPI), behind=True)
        two = world.add("east", collector(SPI))
        await world.bring_up(one)
        assert await both_ways(one, two, 1) == (True, True)
        from_inside(world, tcp(WEST, 11012, EAST, 23), echo(WEST, EAST, 20), udp(WEST, 1220, EAST, 53))
        kinds = {more: [row.protocol for row in world.router.show(more)] for more in ("", "esp", "icmp", "pptp", "tcp", "udp")}
        assert kinds == {
            "": ["udp", "icmp", "tcp", "esp", "esp", "udp"],
            "esp": ["esp", "esp"],
            "icmp": ["icmp"],
            "pptp": [],
            "tcp": ["tcp"],
            "udp": ["udp", "udp"],
        }
        assert [row.protocol for row in world.router.show("esp tcp")] == ["tcp", "esp", "esp"]
        assert all(row.details is None for row in world.router.show("udp"))
        assert all(row.details.flags[0] == "extended" for row in world.router.show("verbose"))
        assert [row.protocol for row in world.router.show("tcp verbose")] == ["tcp"]
        assert world.router.run("show ip nat tr udp | include :53")[0].startswith("udp ")

    simulate(scenario)


def test_esn_54_a_vrf_shows_its_own_alone() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        rule = "ip nat inside source list 1 interface FastEthernet0/1"
        startup = (
            STARTUP.replace(" ip address 10.0.0.1", " ip vrf forwarding red\n ip address 10.0.0.1")
            .replace(f"{rule} overload", f"{rule} vrf red overload")
            .replace("interface FastEthernet0/0", "ip vrf red\nip vrf blue\ninterface FastEthernet0/0", 1)
        )
        world = IosWorld(loop, startup=startup)
        from_inside(world, tcp(WEST, 11012, EAST, 23))
        assert locals_of(world.router.show("vrf red")) == locals_of(world.router.show()) == [("tcp", 11012)]
        assert world.router.show("vrf blue") == world.router.show("esp vrf red") == []
        world.router.configure(f"no {rule} vrf red overload", f"{rule} overload")  # of the global table: nobody is in it
        from_inside(world, tcp(WEST, 11013, EAST, 23))
        assert world.router.show() == []

    simulate(scenario)


# --- clear ---


def test_esn_59_the_documents_example_takes_the_one_udp_entry() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, startup=DOCUMENT)
        from_inside(
            world,
            tcp("192.168.1.95", 1067, TELNET_2, 23),
            tcp("192.168.1.89", 11012, TELNET, 23),
            udp("192.168.1.95", 1220, DNS, 53),
        )
        before = [line.split() for line in world.router.run("show ip nat translations")[1:]]
        assert before == [
            ["udp", "171.69.233.209:1220", "192.168.1.95:1220", "171.69.2.132:53", "171.69.2.132:53"],
            ["tcp", "171.69.233.209:11012", "192.168.1.89:11012", "171.69.1.220:23", "171.69.1.220:23"],
            ["tcp", "171.69.233.209:1067", "192.168.1.95:1067", "171.69.1.161:23", "171.69.1.161:23"],
        ]
        command = "clear ip nat translation udp inside 171.69.233.209 1220 192.168.1.95 1220 171.69.2.132 53 171.69.2.132 53"
        assert world.router.run(command.replace(" 1220 192", " 1221 192")) == []
        assert len(world.router.show()) == 3  # no such entry
        assert world.router.run(command) == []
        assert [line.split() for line in world.router.run("show ip nat translations")[1:]] == before[1:]

    simulate(scenario)


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("*", []),
        ("tcp", [1220]),
        ("udp", [11012, 1067]),
        ("inside 171.69.233.209 192.168.1.95", [11012]),
        ("inside 171.69.233.209 1067 192.168.1.95 1067", [1220, 11012]),
        ("tcp inside 171.69.233.209 192.168.1.95", [1220, 11012]),
        ("inside 171.69.233.209 192.168.1.95 outside 171.69.1.161 171.69.1.161", [1220, 11012]),
        ("outside 171.69.1.220 171.69.1.220", [1220, 1067]),
        ("tcp outside 171.69.1.161 23 171.69.1.161 23", [1220, 11012]),
        ("udp outside 171.69.1.161 23 171.69.1.161 23", [1220, 11012, 1067]),
        ("esp", [1220, 11012, 1067]),
    ],
)
def test_esn_59_and_62_every_form_takes_what_it_names_and_nothing_else(words: str, left: list[int]) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, startup=DOCUMENT)
        from_inside(
            world,
            tcp("192.168.1.95", 1067, TELNET_2, 23),
            tcp("192.168.1.89", 11012, TELNET, 23),
            udp("192.168.1.95", 1220, DNS, 53),
        )
        assert world.router.run(f"clear ip nat translation {words}") == []
        assert [row.inside_local_port for row in world.router.show()] == left

    simulate(scenario)


@pytest.mark.parametrize("one_by_spi", [False, True])
def test_esn_60_and_63_clearing_esp_leaves_ike_and_traffic_makes_live_entries_anew(one_by_spi: bool) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, PRESERVE)
        sites = {n: world.add(f"client {n}", client(n, SPI), behind=True) for n in (2, 3)}
        two = world.add("east", collector(SPI))
        for n, site in sites.items():
            await world.bring_up(site, mark(0, host_of(n)))
            assert await both_ways(site, two, 10 * n, host_of(n)) == (True, True)
        before = world.router.show("udp")
        assert len(before) == 2
        assert all(row.details.left_s > 200 for row in world.router.show("esp verbose") if row.details.left_s is not None)
        spi = sites[2].sas[0].spi_in
        command = f"clear ip nat translation esp inside {NAT} 0 {WEST} {spi:08X}" if one_by_spi else "clear ip nat translation esp"
        assert world.router.run(command) == []
        assert {row.inside_local for row in world.router.show("esp")} == ({"10.0.0.3"} if one_by_spi else set())
        assert world.router.show("udp") == before
        two.host(mark(50, EAST_HOST, host_of(2)))
        two.host(mark(51, EAST_HOST, host_of(3)))
        await asyncio.sleep(1)
        assert (50 in sites[2].marks, 51 in sites[3].marks) == (False, one_by_spi)
        for n, site in sites.items():
            assert await both_ways(site, two, 100 * n, host_of(n)) == (True, True)

    simulate(scenario)


def test_esn_61_clear_all_in_a_storm_and_each_client_is_back_with_its_next_packet() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, PRESERVE)
        sites = {n: world.add(f"client {n}", client(n, SPI), behind=True) for n in range(2, 8)}
        two = world.add("east", collector(SPI))
        for n, site in sites.items():
            site.host(mark(0, host_of(n)))
        await asyncio.sleep(8)
        came: dict[int, list[float]] = {n: [] for n in sites}
        for n, site in sites.items():
            site.box._ends["inside"] = lambda packet, n=n: came[n].append(loop.time())
        cleared_at = loop.time() + 10.05
        rows: list[int] = []

        def clear() -> None:
            rows.append(len(world.router.show()))
            world.router.run("clear ip nat translation *")
            rows.append(len(world.router.show()))

        loop.call_at(cleared_at, clear)
        for tenth in range(200):  # each client sends every 2 s, each at a time of its own; its concentrator every 0.5 s
            for n, site in sites.items():
                if tenth % 20 == n:
                    site.host(mark(tenth, host_of(n)))
                if tenth % 5 == 0:
                    two.host(mark(tenth, EAST_HOST, host_of(n)))
            await asyncio.sleep(0.1)
        assert rows == [18, 0]  # of each client: two of ESP, one of IKE
        for n, times in came.items():
            recovery = min(at for at in times if at > cleared_at) - cleared_at
            sent = n * 0.1 - 0.05
            assert sent < recovery < sent + 0.6, n  # its own next packet, and what is sent to it then
            assert max(times) > cleared_at + 9
        assert {len(site.sas) for site in sites.values()} == {1}
        assert all(not [event for event in site.of("dropped") if event.detail["layer"] == "esp"] for site in sites.values())
        assert sorted(row.inside_spi for row in world.router.show("esp") if row.inside_spi) == sorted(
            f"{site.sas[0].spi_in:08x}" for site in sites.values()
        )

    simulate(scenario)


def test_esn_64_clearing_needs_privilege_and_showing_does_not() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop)
        from_inside(world, udp(WEST, 1220, DNS, 53))
        world.router.run("disable")
        assert "% Invalid input detected at '^' marker." in world.router.run("clear ip nat translation *")
        assert locals_of(world.router.show("udp")) == [("udp", 1220)]

    simulate(scenario)


# --- releases ---


@pytest.mark.parametrize(
    ("release", "esp", "vrf"),
    [("12.2(8)T", False, False), ("12.2(13)T", False, True), ("12.2(15)T", True, True), ("12.4(1)", True, True)],
)
def test_esn_39_and_65_what_a_release_lacks_it_refuses(release: str, esp: bool, vrf: bool) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, release=release)
        invalid = "% Invalid input detected at '^' marker."
        for command, there in (
            ("show ip nat translations esp", esp),
            ("show ip nat translations vrf red", vrf),
            ("show ip nat translations esp vrf red", esp),
            ("show ip nat translations udp verbose", True),
            ("clear ip nat translation esp", esp),
            ("clear ip nat translation udp", True),
        ):
            assert (invalid not in world.router.run(command)) is there, command
        world.router.run("configure terminal")
        for line, there in ((SPI_MATCH, esp), (PRESERVE, esp), ("ip nat translation udp-timeout 60", True)):
            assert (invalid not in world.router.run(line)) is there, line

    simulate(scenario)


def test_the_partner_of_the_documents_spi_is_the_documents() -> None:
    assert partner(0x28726CD9) == 0x2E59EEF5
