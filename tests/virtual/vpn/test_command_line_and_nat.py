"""Three routers by their command line, endpoints on both sides of a NAT; and lines typed in any order at a live endpoint."""

from __future__ import annotations

import asyncio

from cli_bench import BACK, INSIDE, OUTSIDE, SETS, SPI_MATCHING, THERE, CliSite, add, client, concentrator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ios_nat_bench import PRESERVE, SPI_MATCH, IosWorld
from vpn_bench import EAST, EAST_HOST, NAT, SECOND_HOST, WEST, WEST_HOST, World, both_ways, mark, simulate

from harness.simulation.loop import SimulatedLoop
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.endpoint_meaning import plan
from harness.wire import ip

SECOND = {"address": "10.0.0.3", "lan": "10.3.0.1", "line": "permit ip 10.3.0.0 0.0.255.255 10.2.0.0 0.0.255.255"}


def test_esn_03_14_and_51_the_nats_table_has_the_spis_that_the_endpoints_show() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = IosWorld(loop, SPI_MATCH, PRESERVE)
        one = add(world, "west", client(), SPI_MATCHING, behind=True)
        other = add(world, "other", client(**SECOND), SPI_MATCHING, behind=True)
        two = add(world, "east", concentrator(), SPI_MATCHING)
        one.host(mark(0))
        other.host(mark(0, SECOND_HOST))
        await asyncio.sleep(5)
        one.host(mark(1))
        other.host(mark(2, SECOND_HOST))  # in the same moment
        await asyncio.sleep(1)
        assert sorted(two.marks) == [1, 2]
        assert await both_ways(one, two, 10) == (True, True)
        assert await both_ways(other, two, 20, SECOND_HOST) == (True, True)
        assert world.kinds() == {"500", "esp"}
        table = world.router.show("esp")
        for site, inside in ((one, WEST), (other, "10.0.0.3")):
            (flow,) = site.show("show crypto ipsec sa")
            into, out = (sa.spi for sa in flow.sas)
            assert {row.inside_spi for row in table if row.inside_local == inside} - {None} == {into}
            assert {row.outside_spi for row in table if row.inside_local == inside} - {None} == {out}
            assert flow.remote_endpoint == EAST
        ends = [[sa.spi for sa in flow.sas] for site in (one, other) for flow in site.show("show crypto ipsec sa")]
        assert [[sa.spi for sa in flow.sas] for flow in two.show("show crypto ipsec sa")] == [pair[::-1] for pair in ends]
        # Both have the NAT's address and port 500; the table of ISAKMP SAs has two of the same ends.
        assert [(row.dst, row.src) for row in two.show("show crypto isakmp sa")] == [(EAST, NAT)] * 2
        rows = two.show("show crypto map")
        assert [(row.peers, row.permits[0].split()[4]) for row in rows if row.created_from] == [
            ((NAT,), "10.1.0.0"), ((NAT,), "10.3.0.0"),
        ]  # fmt: skip

    simulate(scenario)


def test_a_flow_that_is_not_permitted_any_more_is_not_renewed() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = add(world, "west", client(), "crypto ipsec security-association lifetime seconds 300")
        two = add(world, "east", concentrator())
        await world.bring_up(one)
        one.configure("no access-list 101", "access-list 101 permit tcp any any")
        await asyncio.sleep(250)
        assert len(one.sas) == len(two.sas) == 1
        await asyncio.sleep(60)
        assert one.sas == two.sas == []
        assert len(one.of("esp-up")) == 1

    simulate(scenario)


def test_nobody_is_answered_without_a_policy_and_nobody_asked() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client()), add(world, "east", concentrator(), "no crypto isakmp policy 10")
        await world.bring_up(one, seconds=60)
        assert one.sas == two.sas == []
        assert [row.state for row in two.show("show crypto isakmp sa")] == []
        one.configure("no crypto isakmp policy 10")
        world.crossed.clear()
        await world.bring_up(one, seconds=60)
        assert world.crossed == []
        assert one.of("refused")[-1].detail["reason"] == "there is no policy for IKE"

    simulate(scenario)


def test_an_outside_interface_that_is_shut_down_carries_nothing() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client(), "crypto isakmp keepalive 30"), add(world, "east", concentrator())
        await world.bring_up(one)
        one.configure(f"interface {OUTSIDE}", "shutdown")
        world.crossed.clear()
        one.host(mark(1))
        two.host(mark(2, EAST_HOST, WEST_HOST))
        await asyncio.sleep(35)  # it has asked whether the peer lives: to nobody
        assert {ip.parse_ipv4(packet).source for _, packet in world.crossed} == {EAST}
        assert one.marks == two.marks == []
        one.configure(f"interface {OUTSIDE}", "no shutdown")
        assert await both_ways(one, two, 5) == (True, True)
        one.configure(f"interface {OUTSIDE}", "ip address 10.0.0.7 255.255.255.0")  # another endpoint, which knows nothing
        assert one.sas == []
        one.configure(f"interface {OUTSIDE}", "no ip address")
        assert one.core is None
        one.host(mark(6))
        assert one.run("show crypto ipsec sa")[-1] == "No SAs found"
        assert one.show("show crypto isakmp sa") == one.show("show crypto engine connections active") == []

    simulate(scenario)


TYPED = (
    "crypto map mymap 10 ipsec-isakmp", "no crypto map mymap 10", "crypto map mymap 20 ipsec-manual", "no crypto map mymap 20",
    "crypto map mymap 5 ipsec-isakmp dynamic d", "crypto map mymap 30 ipsec-isakmp dynamic nobody discover", "no crypto map mymap",
    "match address 101", "no match address", "match address NAMED", f"set peer {EAST}", "set peer 203.0.113.99 default",
    "no set peer", "set transform-set aes", "set transform-set ah both", "set transform-set both", "no set transform-set",
    "set pfs group2", "no set pfs", "set security-association lifetime seconds 200", "no set security-association lifetime seconds",
    "set session-key inbound ah 256 98765432109876549876543210987654", "set session-key outbound ah 256 " + "ab" * 16,
    "set session-key inbound esp 300 cipher 0123456789012345", "set session-key outbound esp 300 cipher abcdefabcdefabcd",
    "set session-key outbound esp 301 cipher abc", "no set session-key inbound ah",
    *SETS[:1], "crypto ipsec transform-set ah ah-sha-hmac", "crypto ipsec transform-set both ah-md5-hmac esp-des", "mode transport",
    "crypto ipsec transform-set odd esp-des esp-3des", "no crypto ipsec transform-set aes", "no crypto ipsec transform-set both",
    "crypto dynamic-map d 10", "no crypto dynamic-map d 10", "crypto dynamic-map d 20",
    f"access-list 101 {THERE}", "access-list 101 deny udp any any eq 9001", "no access-list 101",
    "ip access-list extended NAMED", BACK, "permit tcp any any established", "no ip access-list extended NAMED",
    f"interface {OUTSIDE}", f"interface {INSIDE}", "crypto map mymap", "crypto map other", "no crypto map",
    "shutdown", "no shutdown",
    "ip address 10.0.0.2 255.255.255.0", "ip address 10.0.0.9 255.255.255.0", "ip address 10.1.0.1 255.255.0.0", "no ip address",
    "crypto map mymap local-address Loopback0", "interface Loopback0", f"ip route 0.0.0.0 0.0.0.0 {OUTSIDE}",
    f"no ip route 0.0.0.0 0.0.0.0 {OUTSIDE}", "no crypto isakmp policy 10", "crypto isakmp policy 10", "authentication pre-share",
    "no crypto isakmp key cisco address 0.0.0.0 0.0.0.0", "crypto isakmp key cisco address 0.0.0.0 0.0.0.0",
    "no crypto isakmp enable", "crypto isakmp enable", SPI_MATCHING, f"no {SPI_MATCHING}",
    "no crypto ipsec nat-transparency udp-encaps", "crypto ipsec nat-transparency udp-encaps",
    "do clear crypto sa", "do clear crypto isakmp", "do show crypto map", "do show crypto ipsec sa", "exit",
)  # fmt: skip




@given(st.lists(st.tuples(st.sampled_from(TYPED), st.sampled_from((0, 1, 30))), max_size=25))
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_a_live_endpoint_is_at_every_line_what_its_configuration_says(typed: list[tuple[str, int]]) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = add(world, "west", client()), add(world, "east", concentrator())
        await world.bring_up(one)
        one.run("configure terminal")
        for number, (line, wait) in enumerate(typed):
            one.run(line)
            one.host(mark(number))
            two.host(mark(number, EAST_HOST, WEST_HOST))
            await asyncio.sleep(wait)
            agrees(one)
        one.run("end")
        for what in ("map", "dynamic-map", "ipsec sa", "isakmp sa", "engine connections active"):
            one.show(f"show crypto {what}")

    simulate(scenario)


def agrees(site: CliSite) -> None:
    """With a router that boots from what this one's configuration is by now."""
    fresh, role = Configuration(), site.role
    troubles = load(fresh, site.state.configuration.text().splitlines(), site.state.features)
    assert troubles == []
    wanted = plan(fresh.tree, site.state.features, role.plan.interface)
    assert (wanted.settings is None) is (role.core is None)
    if role.core is None or wanted.settings is None:
        return
    assert role.core.settings == wanted.settings
    live = {sa.name for sa in site.sas}
    policy = wanted.settings.policy
    assert policy.crypto_map is not None or not live
    assert all(name.split()[0] == policy.crypto_map.name for name in live if policy.crypto_map)
