"""SEC-70 to 87 on packets: which entry a packet belongs to, what happens to it, and with whom IKE then talks."""

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
    World,
    east,
    mark,
    number_of,
    policy,
    settings,
    simulate,
    west,
)

from harness.model import Secret
from harness.simulation.loop import SimulatedLoop
from harness.virtual import vpn_view
from harness.virtual.crypto_map import CryptoMap, DynamicReference, IsakmpEntry, ManualEntry, SessionKey
from harness.virtual.crypto_map_edits import remarks, remove, transform_set
from harness.virtual.vpn_settings import EndpointSettings
from harness.wire import ip
from harness.wire.ah import AhInboundSa
from harness.wire.esp import InboundSa
from harness.wire.packet import Packet, to_ip

THIRD = "203.0.113.240"
FLOW = {"101": (THERE,)}


def three(*lists: str) -> EndpointSettings:
    """Entries 10, 20 and 30, each with a list of one line and a peer of its own."""
    entries = [IsakmpEntry(number, f"1{number}", (f"203.0.113.{number}",), ("aes",)) for number in (10, 20, 30)]
    made = {f"1{number}": (line,) for number, line in zip((10, 20, 30), lists, strict=True)}
    return settings(WEST, WEST_LAN, policy(*entries, lists=made))


async def asked(loop: SimulatedLoop, made: EndpointSettings, packet: bytes) -> set[str]:
    """To whom anything goes out because of one packet."""
    world = World(loop)
    world.add("west", made).host(packet)
    await asyncio.sleep(1)
    return {ip.parse_ipv4(one).destination for _, one in world.crossed}


UDP_9001 = "permit udp 10.1.0.0 0.0.255.255 10.2.0.0 0.0.255.255 eq 9001"


@pytest.mark.parametrize(
    ("lines", "to"),
    [
        ((THERE, THERE, THERE), "203.0.113.10"),  # SEC-70: the lower number
        (("permit tcp any any", "permit ip host 10.1.0.9 any", THERE), "203.0.113.30"),  # SEC-71: only 30 fits
        (("deny udp any any eq 9001", UDP_9001, THERE), "203.0.113.20"),  # a deny hands on, it does not let out
        ((UDP_9001.replace("9001", "9"), THERE, THERE), "203.0.113.20"),
        (("permit tcp any any", "permit icmp any any", "deny ip any any"), EAST_HOST),  # SEC-72: in the clear
    ],
)
def test_the_first_entry_that_permits_has_the_packet(lines: tuple[str, ...], to: str) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        assert await asked(loop, three(*lines), mark(1)) == {to}

    simulate(scenario)


def test_sec_72_what_no_entry_permits_is_forwarded_as_it_is_both_ways() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west(lines=("permit tcp any any",))), world.add("east", east(lines=("permit tcp any any",)))
        world.switch.attach(ip.packed(EAST_HOST), 0.001, two.hear)
        world.switch.attach(ip.packed(WEST_HOST), 0.001, one.hear)
        one.host(mark(1))
        two.host(mark(2, EAST_HOST, WEST_HOST))
        await asyncio.sleep(1)
        assert (two.marks, one.marks) == ([1], [2])
        assert two.got[0][8] == 62  # two routers on the way

    simulate(scenario)


def test_sec_75_a_clear_packet_that_ought_to_be_protected_is_dropped() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        two = world.add("east", east())
        two.hear(mark(1))
        two.hear(mark(2, src="10.9.0.5"))  # of no entry's
        two.hear(mark(3, dst="10.2.9.9"))
        await asyncio.sleep(1)
        assert two.marks == [2]
        assert two.core.counts == {"clear-refused": 2, "clear-in": 1}
        assert "mymap 10 protects it" in two.of("dropped")[0].detail["reason"]

    simulate(scenario)


def test_sec_75_holds_while_there_is_an_sa_too() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        await world.bring_up(one)
        two.hear(mark(7))
        one.host(mark(8))
        await asyncio.sleep(1)
        assert two.marks == [8]

    simulate(scenario)


def dynamic(*, match: str | None = "103", discover: bool = False, lines: tuple[str, ...] = (BACK,), sets: tuple[str, ...] =
    ("aes",)):  # type: ignore[no-untyped-def] """An endpoint that takes anybody's requests by mymap 30 mydynamicmap 10."""
    rules = policy(DynamicReference(30, "mydynamicmap", discover), lists={"103": lines})
    rules = replace(rules, dynamic_maps={"mydynamicmap": (IsakmpEntry(10, match, (), sets),)})
    return settings(EAST, EAST_LAN, rules)


def test_sec_76_a_dynamic_entry_without_an_sa_drops_what_leaves() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        two = world.add("east", dynamic())
        two.host(mark(1, EAST_HOST, WEST_HOST))
        two.host(mark(2, EAST_HOST, "10.9.0.5"))
        await asyncio.sleep(60)
        assert [number_of(packet) for _, packet in world.crossed] == [2]  # no IKE, and the other one in the clear
        assert two.core.counts == {"no-sa": 1, "clear-out": 1}

    simulate(scenario)


def test_sec_77_a_static_entry_without_an_sa_makes_ike_begin_and_drops_the_packet() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        one.host(mark(1))
        assert [ip.parse_ipv4(packet).destination for _, packet in world.crossed] == [EAST]
        await asyncio.sleep(5)
        assert [event.kind for event in one.of("dropped", "ike-wanted", "ike-up", "esp-up")] == [
            "dropped", "ike-wanted", "ike-up", "esp-up",
        ]  # fmt: skip
        assert two.marks == []
        assert len(one.sas) == len(two.sas) == 1

    simulate(scenario)


def test_sec_78_the_second_peer_is_used_when_the_first_is_down() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west(("203.0.113.99", EAST))), world.add("east", east())
        await world.bring_up(one, seconds=60)
        assert [event.peer_address for event in one.of("ike-up")] == [EAST]
        assert "no answer" in one.of("failed")[0].detail["reason"]
        one.host(mark(1))
        await asyncio.sleep(1)
        assert two.marks == [1]
        assert vpn_view.of(loop.time(), one.core).map_entries[0].current_peer == EAST

    simulate(scenario)


def test_sec_78_the_second_peer_is_used_when_the_first_one_dies() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", west((EAST, THIRD), dpd_s=30.0))
        two = world.add("east", east())
        three = world.add("third", replace(east(), address=THIRD))
        await world.bring_up(one)
        one.host(mark(1))
        await asyncio.sleep(1)
        two.off = True
        await asyncio.sleep(120)
        one.host(mark(2))
        await asyncio.sleep(5)
        one.host(mark(3))
        await asyncio.sleep(1)
        assert (two.marks, three.marks) == ([1], [3])
        assert any("the peer is dead" in event.detail["reason"] for event in one.of("failed"))

    simulate(scenario)


@pytest.mark.parametrize("theirs", ["aes", "3des"])
def test_sec_79_either_of_two_transform_sets_is_agreed_on(theirs: str) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        entry = IsakmpEntry(10, "101", (EAST,), ("aes", "3des"))
        one = world.add("west", settings(WEST, WEST_LAN, policy(entry, lists=FLOW)))
        answers = policy(IsakmpEntry(10, "101", (WEST,), (theirs,)), lists={"101": (BACK,)})
        two = world.add("east", settings(EAST, EAST_LAN, answers))
        await world.bring_up(one)
        one.host(mark(1))
        await asyncio.sleep(1)
        assert two.marks == [1]
        assert {sa.encryption for sa in (*one.sas, *two.sas)} == {{"aes": "aes-128"}.get(theirs, theirs)}

    simulate(scenario)


def test_sec_79_none_in_common_is_refused() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", west())
        two = world.add("east", settings(EAST, EAST_LAN, policy(IsakmpEntry(10, "101", (WEST,), ("des",)), lists={"101": (BACK,)})))
        await world.bring_up(one)
        assert one.sas == two.sas == []
        assert one.of("failed")[0].detail["reason"] == "NO_PROPOSAL_CHOSEN from the peer"

    simulate(scenario)


def test_sec_80_and_82_a_dynamic_entry_takes_an_unknown_peer_and_its_temporary_entry_goes_with_the_sas() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", west(lines=("permit ip 10.1.7.0 0.0.0.255 10.2.0.0 0.0.255.255",)))
        two = world.add("east", dynamic())
        await world.bring_up(one, mark(0, "10.1.7.1"))
        one.host(mark(1, "10.1.7.1"))
        two.host(mark(2, EAST_HOST, "10.1.7.1"))
        two.host(mark(3, EAST_HOST, WEST_HOST))  # of the dynamic entry's list, of no SA's
        await asyncio.sleep(1)
        assert (two.marks, one.marks) == ([1], [2])
        kinds = [row.kind for row in vpn_view.of(loop.time(), two.core).map_entries]
        assert kinds == ["dynamic", "temporary"]
        temporary = vpn_view.of(loop.time(), two.core).map_entries[1]
        assert (temporary.sequence, temporary.peers, temporary.transform_sets) == (31, (WEST,), ("aes",))
        # What the initiator asked for, narrower than the dynamic entry's own list.
        assert [str(one) for one in temporary.permits] == ["permit ip 10.2.0.0 0.0.255.255 10.1.7.0 0.0.0.255"]
        one.order(lambda core: core.clear_sas(loop.time()))
        await asyncio.sleep(1)
        assert [row.kind for row in vpn_view.of(loop.time(), two.core).map_entries] == ["dynamic"]
        two.host(mark(4, EAST_HOST, "10.1.7.1"))
        await asyncio.sleep(1)
        assert one.marks == [2]

    simulate(scenario)


def test_sec_80_a_dynamic_entry_without_a_list_takes_any_flow_and_protects_it_while_it_lasts() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", dynamic(match=None))
        await world.bring_up(one)
        two.host(mark(1, EAST_HOST, WEST_HOST))
        two.hear(mark(2))  # in the clear, though the temporary entry has it
        await asyncio.sleep(1)
        assert (one.marks, two.marks) == ([1], [])

    simulate(scenario)


@pytest.mark.parametrize(
    ("responder", "reason"),
    [
        ({"sets": ("des",)}, "NO_PROPOSAL_CHOSEN"),
        ({"lines": ("permit ip 10.2.0.0 0.0.255.255 10.1.0.0 0.0.0.255",)}, "INVALID_ID_INFORMATION"),  # narrower than asked for
        ({"lines": (THERE,)}, "INVALID_ID_INFORMATION"),  # the wrong way round
    ],
)
def test_sec_81_a_dynamic_entry_refuses_what_fits_not(responder: dict[str, tuple[str, ...]], reason: str) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", dynamic(**responder))
        await world.bring_up(one)
        assert one.sas == two.sas == []
        assert one.of("failed")[0].detail["reason"] == f"{reason} from the peer"
        assert reason in two.of("refused")[0].detail["reason"]

    simulate(scenario)


@pytest.mark.parametrize("dynamic_at", [5, 30])
def test_sec_73_a_dynamic_entry_before_the_static_one_hides_it(dynamic_at: int) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        static = IsakmpEntry(10, "101", (EAST,), ("aes",))
        rules = policy(*sorted((static, DynamicReference(dynamic_at, "d")), key=lambda one: one.sequence), lists=FLOW)
        rules = replace(rules, dynamic_maps={"d": (IsakmpEntry(10, "101", (), ("aes",)),)})
        one = world.add("west", settings(WEST, WEST_LAN, rules))
        world.add("east", east())
        one.host(mark(1))
        await asyncio.sleep(5)
        hidden = dynamic_at < 10
        assert len(one.sas) == (0 if hidden else 1)  # in front, it drops the packet and asks nobody
        assert one.core.counts["no-sa"] == 1
        assert any("stands before 10" in remark for remark in remarks(rules)) is hidden

    simulate(scenario)


def manual(address: str, lan: str, peer: str, line: str, keys: tuple[SessionKey, ...]) -> EndpointSettings:
    """The document's example: AH-MD5 and DES, every SPI 256."""
    rules = policy(ManualEntry(10, "102", (peer,), ("someset",), keys), lists={"102": (line,)})
    sets = {"someset": transform_set("someset", ["ah-md5-hmac", "esp-des"])}
    return settings(address, lan, replace(rules, transform_sets=sets))


def hand_keys(ours: str, theirs: str) -> tuple[SessionKey, ...]:
    return (
        SessionKey("inbound", "ah", 256, authenticator=Secret(ours * 32)),
        SessionKey("outbound", "ah", 256, authenticator=Secret(theirs * 34)),  # as long as in the document: cut
        SessionKey("inbound", "esp", 256, cipher=Secret(ours * 16)),
        SessionKey("outbound", "esp", 256, cipher=Secret(theirs * 16)),
    )


def test_sec_84_keys_by_hand_serve_at_once_with_the_spis_of_the_configuration() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", manual(WEST, WEST_LAN, EAST, THERE, hand_keys("a", "b")))
        two = world.add("east", manual(EAST, EAST_LAN, WEST, BACK, hand_keys("b", "a")))
        one.host(mark(1))
        two.host(mark(2, EAST_HOST, WEST_HOST))
        await asyncio.sleep(1)
        assert (two.marks, one.marks) == ([1], [2])
        assert world.kinds() == {"ah"}
        packet = world.crossed[0][1]
        # AH outside, ESP inside, by the codecs alone: SPI 256 in both, the keys of the configuration.
        inner = AhInboundSa(256, "md5", b"\xbb" * 16).open(packet)
        number, clear = InboundSa(256, "des", "none", b"\xbb" * 8, b"").open(ip.parse_ipv4(inner).payload)
        assert (number, number_of(clear)) == (4, 1)
        row = vpn_view.of(loop.time(), one.core).ipsec[0]
        assert (row.esp_in, row.esp_out, row.ah_in, row.ah_out, row.remaining_s) == (256, 256, 256, 256, None)

    simulate(scenario)


def test_sec_84_a_restarted_peer_is_still_heard_since_keys_by_hand_have_no_window() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", manual(WEST, WEST_LAN, EAST, THERE, hand_keys("a", "b")))
        two = world.add("east", manual(EAST, EAST_LAN, WEST, BACK, hand_keys("b", "a")))
        one.host(mark(1))
        one.host(mark(2))
        one.order(lambda core: core.clear_sas(loop.time()))
        one.host(mark(3))
        await asyncio.sleep(1)
        assert two.marks == [1, 2, 3]

    simulate(scenario)


def test_sec_84_other_keys_let_nothing_in() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", manual(WEST, WEST_LAN, EAST, THERE, hand_keys("a", "c")))
        two = world.add("east", manual(EAST, EAST_LAN, WEST, BACK, hand_keys("b", "a")))
        one.host(mark(1))
        await asyncio.sleep(1)
        assert two.marks == []
        assert "wrong ICV" in two.of("dropped")[0].detail["reason"]

    simulate(scenario)


def test_sec_87_an_entry_that_is_removed_protects_no_more_and_its_sas_are_deleted() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one, two = world.add("west", west()), world.add("east", east())
        await world.bring_up(one)
        rules = one.core.settings.policy
        assert isinstance(rules.crypto_map, CryptoMap)
        less = replace(one.core.settings, policy=replace(rules, crypto_map=remove(rules.crypto_map, 10)))
        one.order(lambda core: core.reconfigure(loop.time(), less))
        await asyncio.sleep(1)
        assert one.sas == two.sas == []
        world.crossed.clear()
        one.host(mark(1))
        assert [number_of(packet) for _, packet in world.crossed] == [1]

    simulate(scenario)


def discovering(address: str, lan: str, line: str, *, discover: bool) -> EndpointSettings:
    rules = replace(
        policy(DynamicReference(10, "dmap", discover), lists={"101": (line,)}),
        dynamic_maps={"dmap": (IsakmpEntry(10, "101", (), ("aes",)),)},
    )
    return settings(address, lan, rules)


@pytest.mark.parametrize(("ours", "theirs", "found"), [(True, True, True), (False, True, False), (True, False, False)])
def test_sec_83_with_discover_a_dynamic_entry_finds_its_peer(ours: bool, theirs: bool, found: bool) -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", discovering(WEST, WEST_LAN, THERE, discover=ours))
        two = world.add("east", discovering(EAST, EAST_LAN, BACK, discover=theirs))
        world.switch.attach(ip.packed(EAST_HOST), 0.001, two.hear)  # routes: what is for the host comes to its router
        one.host(mark(1))
        one.host(mark(2))
        await asyncio.sleep(5)
        probes = [ip.parse_ipv4(packet) for _, packet in world.crossed if ip.parse_ipv4(packet).destination == EAST_HOST]
        assert [probe.source for probe in probes] == ([WEST_HOST] if ours else [])  # one for both packets
        one.host(mark(3))
        two.host(mark(4, EAST_HOST, WEST_HOST))
        await asyncio.sleep(1)
        assert (two.marks, one.marks) == (([3], [4]) if found else ([], []))
        assert [event.peer_address for event in one.of("ike-up")] == ([EAST] if found else [])
        kinds = [row.kind for row in vpn_view.of(loop.time(), one.core).map_entries]
        assert kinds == (["dynamic", "temporary"] if found else ["dynamic"])

    simulate(scenario)


def test_sec_83_a_forged_answer_to_no_question_is_nothing() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        one = world.add("west", discovering(WEST, WEST_LAN, THERE, discover=True))
        forged = bytes(range(1, 9)) + bytes(range(9, 17)) + bytes((5, 0x10, 240, 0)) + bytes(4) + (40).to_bytes(4)
        forged += bytes((0, 0, 0, 12, 1, 0, 0, 0)) + ip.packed(EAST)
        one.hear(to_ip(Packet(EAST, WEST, 17, forged, 500, 500)))
        one.hear(to_ip(Packet(EAST, WEST, 17, forged[:-4], 500, 500)))
        await asyncio.sleep(60)
        assert world.crossed == []

    simulate(scenario)


def test_sec_85_accounting_begins_with_a_peers_first_sa_and_ends_with_its_last() -> None:
    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop)
        made = dynamic()
        assert made.policy.crypto_map is not None
        listed = replace(made.policy.crypto_map, accounting_list="aaalist")
        entry = IsakmpEntry(10, "101", (EAST,), ("aes",), lifetime_s=200)
        one = world.add("west", settings(WEST, WEST_LAN, policy(entry, lists=FLOW)))
        two = world.add("east", replace(made, policy=replace(made.policy, crypto_map=listed)))
        await world.bring_up(one)
        for number in range(10):  # a rekey in between
            one.host(mark(number))
            await asyncio.sleep(30)
        two.host(mark(11, EAST_HOST, WEST_HOST))
        one.order(lambda core: core.clear_sas(loop.time()))
        await asyncio.sleep(1)
        start, stop = two.of("accounting-start", "accounting-stop")
        assert (start.kind, start.detail) == ("accounting-start", {"list": "aaalist", "user": WEST})
        assert (stop.kind, stop.detail["packets_in"], stop.detail["packets_out"]) == ("accounting-stop", 10, 1)
        assert 304 < stop.detail["seconds"] < 306
        assert len(two.of("esp-up")) == 2
        assert one.of("accounting-start") == []

    simulate(scenario)
