"""Endpoints that are virtual IOS routers: what is typed is what crosses the wire, and what is shown is what crossed it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cli_bench import BACK, INSIDE, OUTSIDE, SPI_MATCHING, THERE, CliSite, add, base, client, concentrator, entry
from vpn_bench import EAST, EAST_HOST, NAT, SECOND_HOST, WEST, WEST_HOST, World, both_ways, kind, mark, simulate

from harness.model.predictable_spi import partner
from harness.simulation.loop import SimulatedLoop
from harness.wire import ip

THIRD = "203.0.113.240"
SECOND = {"address": "10.0.0.3", "lan": "10.3.0.1", "line": "permit ip 10.3.0.0 0.0.255.255 10.2.0.0 0.0.255.255"}


def spis(world: World, source: str) -> list[str]:
    """Of the ESP that crossed the switch from there, each once, in their order."""
    found = [ip.parse_ipv4(packet) for _, packet in world.crossed if kind(packet) == "esp"]
    return list(dict.fromkeys(one.payload[:4].hex() for one in found if one.source == source))


def test_esn_30_by_default_two_clients_pass_pat_in_udp() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="pat")
        one = add(world, "west", client(), behind=True)
        other = add(world, "other", client(**SECOND), behind=True)
        two = add(world, "east", concentrator())
        one.host(mark(0))
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        assert await both_ways(one, two, 10) == (True, True)
        assert await both_ways(other, two, 20, SECOND_HOST) == (True, True)
        assert world.kinds() == {"500", "4500"}
        flows = two.show("show crypto ipsec sa")
        assert [(flow.peer, flow.remote.address) for flow in flows] == [(NAT, "10.1.0.0"), (NAT, "10.3.0.0")]
        assert sorted(flow.peer_port == 4500 for flow in flows) == [False, True]  # one has the port to itself
        assert {sa.settings for flow in flows for sa in flow.sas} == {("Tunnel", "UDP-Encaps")}

    simulate(scenario)


def test_esn_31_to_36_each_form_of_nat_transparency_on_the_wire() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="ports-only")
        one, two = add(world, "west", client(), behind=True), add(world, "east", concentrator())
        number = 0
        prefix = "crypto ipsec nat-transparency"
        for lines, wires, shown in (
            ((f"{prefix} spi-matching",), {"500", "esp"}, [SPI_MATCHING]),
            ((f"{prefix} udp-encaps",), {"500", "4500"}, []),
            ((f"no {prefix} udp-encaps",), {"500", "esp"}, [f"no {prefix} udp-encaps"]),
            ((f"no {prefix} spi-matching",), {"500", "esp"}, [f"no {prefix} udp-encaps"]),
            ((f"{prefix} udp-encaps",), {"500", "4500"}, []),
        ):
            for router in (one, two):
                router.configure(*lines)
                assert router.running(prefix) == shown
                router.run("clear crypto sa")
                router.run("clear crypto isakmp")
            await asyncio.sleep(1)
            world.inside.clear()
            await world.bring_up(one)
            passed = [sa.predictable for sa in one.sas]
            one.host(mark(number := number + 1))
            await asyncio.sleep(1)
            assert {kind(packet) for _, packet in world.inside} == wires, lines
            assert passed == [True if shown == [SPI_MATCHING] else None]
            assert (number in two.marks) is (wires != {"500", "esp"})  # this NAT has no place for protocol 50

    simulate(scenario)


def test_esn_41_what_is_live_stays_when_the_setting_changes() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client()), add(world, "east", concentrator())
        await world.bring_up(one)
        before = one.run("show crypto ipsec sa")
        ways = [line.split()[3] for line in one.run("show crypto engine connections active") if "IPsec" in line]
        assert ways == ["AES+SHA", "AES+SHA"]
        for router in (one, two):
            router.configure(SPI_MATCHING, "crypto ipsec security-association lifetime seconds 200", "no access-list 199")
        assert await both_ways(one, two, 1) == (True, True)
        assert [line for line in one.run("show crypto ipsec sa") if "spi: 0x" in line] == [
            line for line in before if "spi: 0x" in line
        ]
        one.run("clear crypto sa")
        await asyncio.sleep(1)
        assert two.sas == []
        await world.bring_up(one)
        assert [(sa.predictable, sa.lifetime_s) for sa in one.sas] == [(True, 200)]
        assert await both_ways(one, two, 3) == (True, True)
        assert partner(int(spis(world, WEST)[-1], 16)) == int(spis(world, EAST)[-1], 16)

    simulate(scenario)


def test_esn_41_a_peer_stays_in_udp_until_ike_begins_anew() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="ios-preserve-port")
        one, two = add(world, "west", client(), behind=True), add(world, "east", concentrator())
        await world.bring_up(one)
        for router in (one, two):
            router.configure(SPI_MATCHING)
        one.run("clear crypto sa")
        await world.bring_up(one)
        assert [sa.udp for sa in (*one.sas, *two.sas)] == [True, True]
        one.run("clear crypto sa")
        one.run("clear crypto isakmp")
        world.crossed.clear()
        await world.bring_up(one)
        assert await both_ways(one, two, 1) == (True, True)
        assert [(sa.udp, sa.predictable) for sa in (*one.sas, *two.sas)] == [(False, True), (False, True)]
        assert "esp" in world.kinds()

    simulate(scenario)


UDP_9001 = "permit udp 10.1.0.0 0.0.255.255 10.2.0.0 0.0.255.255 eq 9001"


@pytest.mark.parametrize(
    ("lines", "to"),
    [
        ((THERE, THERE, THERE), "203.0.113.10"),
        (("permit tcp any any", "permit ip host 10.1.0.9 any", THERE), "203.0.113.30"),
        (("deny udp any any eq 9001", UDP_9001, THERE), "203.0.113.20"),
        (("permit tcp any any", "permit icmp any any", "deny ip any any"), EAST_HOST),
    ],
)
def test_sec_70_to_72_the_first_entry_by_number_that_permits_has_the_packet(lines: tuple[str, ...], to: str) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        made = [
            word
            for number, line in ((30, lines[2]), (10, lines[0]), (20, lines[1]))  # as they come, not by number
            for word in (f"access-list 1{number} {line}", *entry(number, 100 + number, (f"203.0.113.{number}",)))
        ]
        add(world, "west", (*base(WEST, "10.1.0.1"), *made, f"interface {OUTSIDE}", "crypto map mymap")).host(mark(1))
        await asyncio.sleep(1)
        assert {ip.parse_ipv4(one).destination for _, one in world.crossed} == {to}

    simulate(scenario)


def test_sec_80_to_82_a_dynamic_entry_and_what_it_makes_is_shown() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = add(world, "west", client(line="permit ip 10.1.7.0 0.0.0.255 10.2.0.0 0.0.255.255"))
        two = add(world, "east", concentrator(number=30))
        two.host(mark(9, EAST_HOST, "10.1.7.1"))  # of the list, and no SA is there: dropped, and nobody is asked
        assert world.crossed == []
        await world.bring_up(one, mark(0, "10.1.7.1"))
        one.host(mark(1, "10.1.7.1"))
        two.host(mark(2, EAST_HOST, "10.1.7.1"))
        await asyncio.sleep(1)
        assert (two.marks, one.marks) == ([1], [2])
        dynamic, temporary = two.show("show crypto map")
        assert (dynamic.sequence, dynamic.dynamic, dynamic.interfaces) == (30, "d", (OUTSIDE,))
        assert (temporary.sequence, temporary.created_from, temporary.peers) == (65536, "d/10", (WEST,))
        assert temporary.permits == ("permit ip 10.2.0.0 0.0.255.255 10.1.7.0 0.0.0.255",)
        assert temporary.transform_sets == ("aes",)
        one.run("clear crypto sa")
        await asyncio.sleep(1)
        assert [row.sequence for row in two.show(f"show crypto map interface {OUTSIDE}")] == [30]
        (template,) = two.show("show crypto dynamic-map")
        assert (template.name, template.sequence, template.access_list) == ("d", 10, "101")

    simulate(scenario)


@pytest.mark.parametrize(
    ("responder", "reason"),
    [
        (concentrator(sets="des"), "NO_PROPOSAL_CHOSEN"),
        (concentrator("permit ip 10.2.0.0 0.0.255.255 10.1.0.0 0.0.0.255"), "INVALID_ID_INFORMATION"),
        (concentrator(THERE), "INVALID_ID_INFORMATION"),
    ],
)
def test_sec_81_a_dynamic_entry_refuses_what_fits_not(responder: tuple[str, ...], reason: str) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client()), add(world, "east", responder)
        await world.bring_up(one)
        assert one.sas == two.sas == []
        assert [row.state for row in one.show("show crypto isakmp sa")] == ["QM_IDLE"]
        assert one.of("failed")[0].detail["reason"] == f"{reason} from the peer"

    simulate(scenario)


def test_sec_78_the_second_peer_is_used_when_the_first_is_down() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = add(world, "west", client(("203.0.113.99", EAST)), "crypto isakmp keepalive 30")
        two, three = add(world, "east", concentrator()), add(world, "third", concentrator(address=THIRD))
        (before,) = one.show("show crypto map")
        assert (before.peers, before.current_peer) == (("203.0.113.99", EAST), "203.0.113.99")
        one.host(mark(0))
        assert [row.state for row in one.show("show crypto isakmp sa")] == ["MM_NO_STATE"]
        await asyncio.sleep(60)
        one.host(mark(1))
        await asyncio.sleep(1)
        assert two.marks == [1]
        assert one.show("show crypto map")[0].current_peer == EAST
        one.configure("crypto map mymap 10", "no set peer 203.0.113.99", f"set peer {THIRD}")
        two.off = True
        one.host(mark(2))
        await asyncio.sleep(120)  # dead peer detection
        one.host(mark(3))
        await asyncio.sleep(5)
        one.host(mark(4))
        await asyncio.sleep(1)
        assert (two.marks, three.marks) == ([1], [4])

    simulate(scenario)


MANUAL = (
    "crypto ipsec transform-set someset ah-md5-hmac esp-des",
    "crypto map mymap 10 ipsec-manual",
    "match address 101",
    "set transform-set someset",
)
KEYS = (
    "set session-key inbound ah 256 98765432109876549876543210987654",
    "set session-key outbound ah 256 fedcbafedcbafedcbafedcbafedcbafedc",
    "set session-key inbound esp 256 cipher 0123456789012345",
    "set session-key outbound esp 256 cipher abcdefabcdefabcd",
)


def test_sec_84_keys_by_hand_as_in_the_document() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        turned = [line.replace("inbound", "?").replace("outbound", "inbound").replace("?", "outbound") for line in KEYS]
        on = (f"interface {OUTSIDE}", "crypto map mymap")
        one = add(world, "west", base(WEST, "10.1.0.1"), f"access-list 101 {THERE}", *MANUAL, f"set peer {EAST}", *KEYS, *on)
        two = add(world, "east", base(EAST, "10.2.0.1"), f"access-list 101 {BACK}", *MANUAL, f"set peer {WEST}", *turned, *on)
        assert await both_ways(one, two, 1) == (True, True)
        assert world.kinds() == {"ah"}
        outer = ip.parse_ipv4(world.crossed[0][1]).payload
        assert (outer[4:8], outer[24:28]) == (b"\0\0\1\0", b"\0\0\1\0")  # AH with 12 octets of ICV, then ESP
        (flow,) = one.show("show crypto ipsec sa")
        assert [(sa.direction, sa.protocol, sa.spi, sa.left_s, sa.replay_detection) for sa in flow.sas] == [
            (way, protocol, "00000100", None, False) for way in ("inbound", "outbound") for protocol in ("esp", "ah")
        ]
        assert sum("transform: ah-md5-hmac" in line for line in one.run("show crypto ipsec sa")) == 2
        assert (flow.encaps, flow.decaps) == (1, 1)
        (row,) = one.show("show crypto map")
        assert dict(row.attributes) == {
            "Inbound esp spi": "256,", "Inbound ah spi": "256,", "Outbound esp spi": "256,", "Outbound ah spi": "256,",
            "cipher key": "***", "auth_key": "", "key": "***",
        }  # fmt: skip
        assert (row.kind, row.transform_sets, row.lifetime_s) == ("ipsec-manual", ("someset",), None)
        one.configure("hostname OTHER", "access-list 150 permit ip any any")  # of no concern to the SA
        assert one.show("show crypto ipsec sa")[0].encaps == 1
        one.configure("crypto map mymap 10", "set session-key outbound esp 256 cipher 0000000000000001")
        assert await both_ways(one, two, 3) == (False, True)
        assert one.show("show crypto ipsec sa")[0].encaps == 1  # begun anew
        one.configure("crypto map mymap 10", "no set session-key outbound esp")
        assert one.show("show crypto ipsec sa")[0].sas == ()
        one.configure("crypto map mymap 10", KEYS[3], "set session-key inbound esp 256 cipher 01")
        assert one.sas == []
        assert any("too short" in lack for lack in one.role.plan.lacks)

    simulate(scenario)


def test_lifetimes_the_entrys_own_before_everybodys_and_the_shorter_of_both_ends() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        everybodys = "crypto ipsec security-association lifetime"
        one = add(world, "west", client(), f"{everybodys} seconds 500", f"{everybodys} kilobytes 5000")
        two = add(world, "east", concentrator())
        await world.bring_up(one)
        for router in (one, two):
            (flow,) = router.show("show crypto ipsec sa")
            assert {(sa.left_s, sa.left_kb) for sa in flow.sas} <= {(495, 5000), (496, 5000)}
        assert one.show("show crypto map")[0].lifetime_s == 500
        first = spis(world, WEST)
        one.configure("crypto map mymap 10", "set security-association lifetime seconds 300")
        await asyncio.sleep(500)
        assert await both_ways(one, two, 1) == (True, True)
        assert spis(world, WEST) != first
        assert [event.detail["rekey"] for event in one.of("esp-up")] == [False, True, True][: len(one.of("esp-up"))]
        assert [sa.lifetime_s for sa in one.sas] == [300]
        one.configure("crypto map mymap 10", "no set security-association lifetime seconds", f"no {everybodys} seconds 500")
        assert one.show("show crypto map")[0].lifetime_s == 3600

    simulate(scenario)


@pytest.mark.parametrize("release", ["12.2(15)T", "12.4(1)", "15.1(4)M"])
def test_shows_say_what_crossed_the_wire(release: str) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client(), release=release), add(world, "east", concentrator(), release=release)
        (idle,) = one.show("show crypto ipsec sa")
        assert (idle.peer, idle.sas, idle.outbound_spi) == (EAST, (), "00000000")
        assert "No SAs found" in two.run("show crypto ipsec sa")
        await world.bring_up(one)
        for number in range(1, 4):
            one.host(mark(number))
        two.host(mark(9, EAST_HOST, WEST_HOST))
        two.hear(mark(5))  # in the clear
        await asyncio.sleep(1)
        (there,), (back,) = spis(world, WEST), spis(world, EAST)
        for router, peer, sent, taken in ((one, EAST, 3, 1), (two, WEST, 1, 3)):
            (flow,) = router.show("show crypto ipsec sa")
            assert flow == router.show(f"show crypto ipsec sa peer {peer}")[0] == router.show("show crypto ipsec sa map mymap")[0]
            assert router.show(f"show crypto ipsec sa interface {INSIDE}") == []
            out, into = (there, back) if router is one else (back, there)
            assert [(sa.direction, sa.spi) for sa in flow.sas] == [("inbound", into), ("outbound", out)]
            assert (flow.outbound_spi, flow.local_endpoint, flow.remote_endpoint) == (out, router.address, peer)
            assert (flow.encaps, flow.decaps, flow.receive_errors) == (sent, taken, 0)
            assert {sa.transform for sa in flow.sas} == {"esp-aes esp-sha-hmac"}
            rows = {row.id: row for row in router.show("show crypto engine connections active")}
            inbound, outbound = (rows.pop(sa.conn_id) for sa in flow.sas)
            assert ((inbound.encrypt, inbound.decrypt), (outbound.encrypt, outbound.decrypt)) == ((0, taken), (sent, 0))
            (ike,) = router.show("show crypto isakmp sa")
            assert list(rows) == [ike.conn_id]
            assert (ike.dst, ike.src, ike.state) == (EAST, WEST, "QM_IDLE")
        assert {sa.settings for sa in flow.sas} == {("Tunnel",)}
        (static,) = one.show("show crypto map tag mymap")
        assert (static.peers, static.access_list, static.permits) == ((EAST,), "101", (THERE,))
        assert (static.transform_sets, static.lifetime_s, static.lifetime_kb) == (("aes",), 3600, 4608000)
        made = two.show("show crypto map")[1]
        assert (made.peers, made.created_from, made.sequence) == ((WEST,), "d/10", 11 if release.startswith("12.2") else 65536)

    simulate(scenario)


def test_clear_ends_what_it_names_and_the_peer_hears_of_it() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        second = (f"access-list 102 {THERE.replace('10.2', '10.4')}", *entry(20, 102, (THIRD,)))
        one = add(world, "west", client(), *second)
        two = add(world, "east", concentrator())
        three = add(world, "third", concentrator(BACK.replace("10.2", "10.4"), address=THIRD, lan="10.4.0.1"))
        one.host(mark(0, dst="10.4.0.5"))
        await world.bring_up(one)
        assert [len(site.sas) for site in (one, two, three)] == [2, 1, 1]
        one.run(f"clear crypto sa peer {THIRD}")
        one.run("clear crypto sa map other")
        await asyncio.sleep(1)
        assert [len(site.sas) for site in (one, two, three)] == [1, 1, 0]
        first = min(row.conn_id for row in one.show("show crypto isakmp sa"))
        gone = next(row for row in one.show("show crypto isakmp sa") if row.conn_id == first)
        one.run(f"clear crypto isakmp {first}")
        await asyncio.sleep(1)
        assert [row.conn_id for row in one.show("show crypto isakmp sa")] == [first + 1]
        assert [len(site.show("show crypto isakmp sa")) for site in (two, three)] == (
            [0, 1] if gone.dst == EAST else [1, 0]
        )
        assert await both_ways(one, two, 1) == (True, True)  # what it had made lives on
        one.run("clear crypto sa map mymap")
        await asyncio.sleep(1)
        assert [len(site.sas) for site in (one, two, three)] == [0, 0, 0]

    simulate(scenario)


def test_a_map_that_leaves_the_interface_protects_nothing() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client()), add(world, "east", concentrator())
        await world.bring_up(one)
        one.configure(f"interface {OUTSIDE}", "no crypto map mymap")
        await asyncio.sleep(1)
        assert two.sas == []
        assert two.show("show crypto isakmp sa") == []
        world.crossed.clear()
        one.host(mark(1))
        await asyncio.sleep(5)
        assert [kind(packet) for _, packet in world.crossed] == ["udp 9001"]
        assert "No SAs found" in one.run("show crypto ipsec sa")
        assert one.show("show crypto map")[0].interfaces == ()
        one.configure(f"interface {OUTSIDE}", "crypto map mymap")
        await world.bring_up(one)
        assert await both_ways(one, two, 5) == (True, True)
        one.configure("no crypto map mymap 10")  # SEC-87
        await asyncio.sleep(1)
        assert (one.sas, two.sas) == ([], [])

    simulate(scenario)


def test_an_interface_at_its_defaults_does_nothing_of_what_it_did() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client()), add(world, "east", concentrator())
        await world.bring_up(one)
        one.run("configure terminal")
        assert one.run(f"default interface {OUTSIDE}") == [f"Interface {OUTSIDE} set to default configuration"]
        one.run("end")
        world.crossed.clear()
        one.host(mark(1))
        two.host(mark(2, EAST_HOST, WEST_HOST))
        await asyncio.sleep(5)
        assert [ip.parse_ipv4(packet).source for _, packet in world.crossed] == [EAST]
        assert (one.core, one.marks) == (None, [])
        assert one.run("show ip interface brief")[1].split() == [OUTSIDE, "unassigned", "YES", "unset", "up", "up"]
        one.configure(f"interface {OUTSIDE}", f"ip address {WEST} 255.255.255.0", "crypto map mymap")
        await world.bring_up(one)
        assert await both_ways(one, two, 5) == (True, True)

    simulate(scenario)


def test_show_crypto_session_tells_each_state_of_a_session() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client()), add(world, "east", concentrator())
        permit = "permit ip 10.1.0.0/255.255.0.0 10.2.0.0/255.255.0.0"

        def told(site: CliSite) -> list[tuple[str, str, list[str], list[tuple[str, int, str]]]]:
            return [
                (row.status, row.peer, [ike.state for ike in row.ikes], [(at.permit, at.active_sas, at.origin) for at in row.flows])
                for row in site.show("show crypto session")
            ]

        assert (told(one), told(two)) == ([("DOWN", EAST, [], [(permit, 0, "crypto map")])], [])
        two.off = True
        one.host(mark(0))
        await asyncio.sleep(1)
        assert told(one) == [("DOWN-NEGOTIATING", EAST, ["Inactive"], [(permit, 0, "crypto map")])]
        (half,) = one.show("show crypto session detail")
        assert (half.ikes[0].conn_id, half.ikes[0].left_s, half.flows[0].inbound_left_s) == (0, 0, 0)
        two.off = False
        await asyncio.sleep(60)
        await world.bring_up(one)
        assert told(one) == [("UP-ACTIVE", EAST, ["Active"], [(permit, 2, "crypto map")])]
        back = "permit ip 10.2.0.0/255.255.0.0 10.1.0.0/255.255.0.0"
        assert told(two) == [("UP-ACTIVE", WEST, ["Active"], [(back, 2, "dynamic crypto map")])]
        assert await both_ways(one, two, 1) == (True, True)
        (seen,), (flow,) = one.show("show crypto session detail"), one.show("show crypto ipsec sa")
        assert (seen.flows[0].encrypted, seen.flows[0].decrypted) == (flow.encrypts, flow.decrypts) != (0, 0)
        assert 0 < seen.ikes[0].left_s < 86400
        one.run("clear crypto sa")
        assert told(one) == [("UP-IDLE", EAST, ["Active"], [(permit, 0, "crypto map")])]
        one.run("clear crypto isakmp")
        assert told(one) == [("DOWN", EAST, [], [(permit, 0, "crypto map")])]

    simulate(scenario)


def test_a_session_is_one_where_the_peers_ike_has_a_port_and_its_esp_none() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="ios-preserve-port")
        one = add(world, "west", client(), SPI_MATCHING, behind=True)
        two = add(world, "east", concentrator(), SPI_MATCHING)
        await world.bring_up(one)
        (session,) = two.show("show crypto session detail")
        assert (session.status, session.peer, session.peer_port) == ("UP-ACTIVE", NAT, session.ikes[0].remote_port)

    simulate(scenario)


def test_a_session_through_a_nat_is_known_by_the_port_that_the_nat_gave_it() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="pat")
        one = add(world, "west", client(), behind=True)
        other = add(world, "other", client(**SECOND), behind=True)
        two = add(world, "east", concentrator())
        for site, packet in ((one, mark(0)), (other, mark(0, SECOND_HOST))):
            await world.bring_up(site, packet)
        found = two.show("show crypto session detail")
        assert [(row.status, row.peer, len(row.flows)) for row in found] == [("UP-ACTIVE", NAT, 1)] * 2
        assert len({row.peer_port for row in found}) == 2
        ikes = [ike for row in found for ike in row.ikes]
        assert [(ike.local_port, ike.remote_port, ike.capabilities) for ike in ikes] == [
            (4500, row.peer_port, "N") for row in found
        ]
        (ike,) = one.show("show crypto session")[0].ikes
        assert (ike.local_port, ike.remote, ike.remote_port) == (4500, EAST, 4500)

    simulate(scenario)


def test_no_crypto_isakmp_enable_ends_ike_and_answers_nobody() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client()), add(world, "east", concentrator())
        await world.bring_up(one)
        two.configure("no crypto isakmp enable")
        await asyncio.sleep(1)
        assert one.sas == two.sas == []
        await world.bring_up(one, seconds=60)
        assert one.show("show crypto isakmp sa") == []
        two.configure("crypto isakmp enable")
        await world.bring_up(one)
        assert await both_ways(one, two, 5) == (True, True)

    simulate(scenario)


def test_reload_loses_all_and_serves_again_by_what_was_saved() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client()), add(world, "east", concentrator())
        await world.bring_up(one)
        one.run("write")
        one.configure("no crypto map mymap")  # not saved
        before = len(world.crossed)
        one.host(mark(1))
        assert [kind(packet) for _, packet in world.crossed[before:]] == ["udp 9001"]
        one.run("reload")
        one.run("no")
        one.run("")
        before = len(world.crossed)
        one.host(mark(2))
        assert one.role.counts["down"] == 1
        await asyncio.sleep(6)
        assert world.crossed[before:] == []
        assert one.sas == []
        await world.bring_up(one)
        assert await both_ways(one, two, 5) == (True, True)
        assert len(two.sas) == 1  # the peer's first contact took the old one's place

    simulate(scenario)


def test_what_is_changed_acts_on_what_comes_next() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client(sets="aes des")), add(world, "east", concentrator(sets="des aes"))
        await world.bring_up(one)
        assert [sa.encryption for sa in one.sas] == ["aes-128"]
        one.configure("crypto map mymap 10", "set transform-set des", "set pfs group2")
        assert await both_ways(one, two, 1) == (True, True)
        one.run("clear crypto sa")
        await asyncio.sleep(1)
        await world.bring_up(one)
        assert [sa.encryption for sa in two.sas] == ["des"]
        two.configure("crypto isakmp key other address 0.0.0.0 0.0.0.0")
        one.run("clear crypto isakmp")
        assert await both_ways(one, two, 3) == (True, True)  # ESP lives on without ISAKMP
        one.run("clear crypto sa")
        two.run("clear crypto sa")
        await asyncio.sleep(1)
        await world.bring_up(one, seconds=60)
        assert one.sas == two.sas == []
        one.configure("crypto isakmp key other address 0.0.0.0 0.0.0.0")
        await world.bring_up(one)
        assert await both_ways(one, two, 5) == (True, True)

    simulate(scenario)


def test_esn_39_a_release_without_the_commands_puts_nothing_in_udp() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat="esp-helper")
        one = add(world, "west", client(), behind=True, release="12.2(11)T")
        two = add(world, "east", concentrator())
        await world.bring_up(one)
        assert await both_ways(one, two, 1) == (True, True)
        assert world.kinds() == {"500", "esp"}
        one.run("configure terminal")
        assert "% Invalid input detected at '^' marker." in one.run(SPI_MATCHING)

    simulate(scenario)


def test_the_documents_example_makes_an_endpoint_match_spis() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        example = (Path(__file__).parents[1] / "ios" / "configurations" / "nat-esp.cfg").read_text().splitlines()
        one, two = add(world, "west", client(), *example), add(world, "east", concentrator())
        await world.bring_up(one)
        assert await both_ways(one, two, 1) == (True, True)
        (there,), (back,) = spis(world, WEST), spis(world, EAST)
        assert partner(int(back, 16)) != int(there, 16)  # who answers does not match
        two.configure(*example)
        one.run("clear crypto sa")
        await world.bring_up(one)
        assert await both_ways(one, two, 3) == (True, True)
        assert partner(int(spis(world, EAST)[-1], 16)) == int(spis(world, WEST)[-1], 16)

    simulate(scenario)


def test_rules_of_entries_with_keys_by_hand() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = add(world, "west", client(), "crypto map mymap 20 ipsec-manual", "set peer 10.9.9.9", "set peer 10.9.9.8")
        peers = [line for line in one.run("show running-config") if "set peer" in line]
        assert peers == [f" set peer {EAST}", " set peer 10.9.9.8"]
        one.run("configure terminal")
        one.run("crypto map mymap 20")
        assert one.run("set transform-set aes des") == ["% Only one transform set is allowed where keys are set by hand"]
        one.run("crypto map mymap 10")
        assert one.run(KEYS[0]) == ["% Session keys can only be set for ipsec-manual crypto maps"]

    simulate(scenario)
