"""The IOS NAT's table as it is shown and cleared: entries from the state, lines as in the source document's samples."""

import pytest
from nat_bench import Bench
from nat_packets import CLIENT, GATEWAY, NAT, OTHER, SECOND, echo, icmp, ip, tcp, udp
from test_ios_esp import A_IN, A_OUT, B_OUT, from_client, from_gateway

from harness.errors import UsageError
from harness.model.nat_entries import NatEntry, Place
from harness.model.predictable_spi import partner
from harness.nat import NatCore, load
from harness.nat.ios.access_list import AccessList
from harness.nat.ios.clearing import EVERYTHING, Clearing, clear
from harness.nat.ios.entries import translations
from harness.nat.ios.services import Services
from harness.nat.ios.settings import reset_timeout, set_addresses, set_max_entries, set_services, set_timeout
from harness.nat.ios.vrf import VrfNat
from harness.virtual.ios.shows import nat as show

HEADING = "Pro Inside global Inside local Outside local Outside global"


def squeezed(lines):
    """Lines as the stored document has them: columns one space apart, no indentation."""
    return [" ".join(line.split()) for line in lines]


def entry(protocol, inside_global, inside_local, outside_local, outside_global, **more):
    values = {
        "created_s": 0, "used_s": 0, "left_s": None, "map_id": None, "flags": ("extended",), "use_count": 0, "entry_id": 1, **more,
    }  # fmt: skip
    return NatEntry(protocol, inside_global, inside_local, outside_local, outside_global, **values)


def both(address, port):
    return Place(address, port), Place(address, port)


OVERLOADED = (
    entry("udp", Place("171.69.233.209", 1220), Place("192.168.1.95", 1220), *both("171.69.2.132", 53), created_s=2),
    entry("tcp", Place("171.69.233.209", 11012), Place("192.168.1.89", 11012), *both("171.69.1.220", 23), created_s=73, used_s=50),
    entry("tcp", Place("171.69.233.209", 1067), Place("192.168.1.95", 1067), *both("171.69.1.161", 23), created_s=2),
)
TUNNEL = (
    entry(
        "esp", Place("192.168.22.40", 0), Place("192.168.122.20", 0), Place("192.168.22.20", 0),
        Place("192.168.22.20", spi=0x28726CD9), flags=("extended", "0x100000"), use_count=1, entry_id=192,
    ),
    entry(
        "esp", Place("192.168.22.40", 0), Place("192.168.122.20", spi=0x2E59EEF5), *both("192.168.22.20", 0),
        left_s=299, map_id=20, entry_id=191,
    ),
)  # fmt: skip


# --- lines ---


def test_the_columns_of_ios():
    simple = entry("---", Place("171.69.233.209"), Place("192.168.1.95"), None, None)
    ping = entry("icmp", Place("203.0.113.1", 20), Place("10.1.10.11", 20), *both("198.51.100.53", 20))
    assert show.translations([simple, ping, *OVERLOADED[1:2]]) == [
        "Pro Inside global      Inside local       Outside local      Outside global",
        "--- 171.69.233.209     192.168.1.95       ---                ---",
        "icmp 203.0.113.1:20    10.1.10.11:20      198.51.100.53:20   198.51.100.53:20",
        "tcp 171.69.233.209:11012 192.168.1.89:11012 171.69.1.220:23    171.69.1.220:23",
    ]


def test_the_sample_without_overload():
    pairs = (("171.69.233.209", "192.168.1.95"), ("171.69.233.210", "192.168.1.89"))
    lines = show.translations([entry("---", Place(outer), Place(inner), None, None) for outer, inner in pairs])
    assert squeezed(lines) == [HEADING, "--- 171.69.233.209 192.168.1.95 --- ---", "--- 171.69.233.210 192.168.1.89 --- ---"]


def test_the_sample_with_overload_and_the_verbose_one():
    rows = [
        "udp 171.69.233.209:1220 192.168.1.95:1220 171.69.2.132:53 171.69.2.132:53",
        "tcp 171.69.233.209:11012 192.168.1.89:11012 171.69.1.220:23 171.69.1.220:23",
        "tcp 171.69.233.209:1067 192.168.1.95:1067 171.69.1.161:23 171.69.1.161:23",
    ]
    assert squeezed(show.translations(OVERLOADED)) == [HEADING, *rows]
    assert squeezed(show.translations(OVERLOADED, verbose=True)) == [
        HEADING,
        rows[0], "create 00:00:02, use 00:00:00, flags: extended",
        rows[1], "create 00:01:13, use 00:00:50, flags: extended",
        rows[2], "create 00:00:02, use 00:00:00, flags: extended",
    ]  # fmt: skip


def test_the_samples_of_esp():
    rows = [
        "esp 192.168.22.40:0 192.168.122.20:0 192.168.22.20:0 192.168.22.20:28726CD9",
        "esp 192.168.22.40:0 192.168.122.20:2E59EEF5 192.168.22.20:0 192.168.22.20:0",
    ]
    assert squeezed(show.translations([*OVERLOADED, *TUNNEL], protocols=["esp"])) == [HEADING, *rows]
    lines = show.translations(TUNNEL, protocols=["esp"], verbose=True)
    assert [line for line in lines if line[:1] == " "] == [
        "    create 00:00:00, use 00:00:00,",
        "    flags:",
        "    create 00:00:00, use 00:00:00, left 00:04:59, Map-Id(In):20,",
        "    flags:",
    ]
    # In the stored document the lines below a row have run together.
    head, first, *below_first = lines[:5]
    second, *below_second = lines[5:]
    assert squeezed([head, first]) == [HEADING, rows[0]]
    assert "".join(squeezed(below_first)) == (
        "create 00:00:00, use 00:00:00,flags:extended, 0x100000, use_count:1, entry-id:192, lc_entries:0"
    )
    assert squeezed([second]) == [rows[1]]
    assert "".join(squeezed(below_second)) == (
        "create 00:00:00, use 00:00:00, left 00:04:59, Map-Id(In):20,flags:extended, use_count:0, entry-id:191, lc_entries:0"
    )


def test_the_sample_of_a_vrf_has_two_tables():
    first = [("2.2.2.1", "192.168.121.113"), ("2.2.2.2", "192.168.122.49"), ("2.2.2.11", "192.168.11.1"),
             ("2.2.2.12", "192.168.11.3"), ("2.2.2.13", "140.48.5.20")]  # fmt: skip
    second = [("2.2.2.3", "192.168.121.113"), ("2.2.2.4", "192.168.22.49")]
    entries = [
        entry("---", Place(outer), Place(inner), None, None, vrf=name)
        for name, pairs in (("red", first), ("red-2", second), ("blue", first))
        for outer, inner in pairs
    ]
    rows = [[f"--- {outer} {inner} --- ---" for outer, inner in pairs] for pairs in (first, second)]
    assert squeezed(show.translations(entries, vrf="red", tables=["red", "red-2"])) == [HEADING, *rows[0], HEADING, *rows[1]]
    assert squeezed(show.translations(entries, vrf="red")) == [HEADING, *rows[0]]
    assert show.translations(entries, vrf="green") == []


def test_filters_show_their_own_alone():
    everything = [*OVERLOADED, *TUNNEL, entry("---", Place("1.1.1.1"), Place("2.2.2.2"), None, None)]
    for protocol, rows in (("esp", 2), ("tcp", 2), ("udp", 1), ("icmp", 0), ("pptp", 0)):
        lines = show.translations(everything, protocols=[protocol])
        assert len(lines) == (rows + 1 if rows else 0)
        assert all(line.startswith(protocol) for line in lines[1:])
    assert len(show.translations(everything, protocols=["udp", "tcp"])) == 4
    assert set(show.KEYWORDS) == {"esp", "icmp", "pptp", "tcp", "udp"}


def test_numbered_details_of_an_entry_that_is_no_esp():
    one = entry("udp", Place(NAT, 1), Place(CLIENT, 1), *both(GATEWAY, 1), left_s=90061, map_id=3, created_s=3661, entry_id=7)
    assert show.translations([one], verbose=True, numbered=True)[2:] == [
        "    create 01:01:01, use 00:00:00, left 25:01:01, Map-Id(In):3,",
        "    flags:",
        "extended, use_count:0, entry-id:7, lc_entries:0",
    ]


# --- entries from the state ---


def shown(nat, **how):
    return squeezed(show.translations(translations(nat.core), **how))


def test_a_half_open_tunnel_has_one_entry_and_a_whole_one_two(bench):
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    (one,) = translations(nat.core)
    assert (one.left_s, one.map_id, one.use_count, one.flags) == (300, 1, 0, ("extended", "0x100000"))
    nat.wait(0.5)
    nat.down(from_gateway(A_IN))
    nat.wait(1.2)
    inbound, outbound = translations(nat.core)
    assert (inbound.inside_local, inbound.outside_global) == (Place(CLIENT, spi=A_IN), Place(GATEWAY, 0))
    assert (inbound.left_s, inbound.map_id, inbound.use_count, inbound.created_s, inbound.used_s) == (298, 1, 0, 1, 1)
    assert (outbound.inside_local, outbound.outside_global) == (Place(CLIENT, 0), Place(GATEWAY, spi=A_OUT))
    assert (outbound.left_s, outbound.map_id, outbound.use_count, outbound.created_s) == (None, None, 1, 1)
    assert inbound.entry_id > outbound.entry_id


def test_with_spi_match_both_are_there_at_once_numbered_as_in_the_sample(bench):
    nat = bench("ios-spi-match")
    nat.up(from_client(CLIENT, A_OUT))
    outbound, inbound = translations(nat.core)
    assert (outbound.entry_id, inbound.entry_id) == (inbound.entry_id + 1, outbound.entry_id - 1)
    assert shown(nat, protocols=["esp"]) == [
        HEADING,
        f"esp {NAT}:0 {CLIENT}:0 {GATEWAY}:0 {GATEWAY}:{A_OUT:08X}",
        f"esp {NAT}:0 {CLIENT}:{partner(A_OUT):08X} {GATEWAY}:0 {GATEWAY}:0",
    ]


def test_ordinary_entries(bench):
    nat = bench("ios")
    nat.port(CLIENT, 1220, OTHER, 53)
    nat.up(echo(CLIENT, OTHER, 8, 77))
    nat.up(echo(SECOND, OTHER, 8, 77))
    nat.wait(2.0)
    nat.port(SECOND, 500)
    nat.port(CLIENT, 500)
    assert shown(nat) == [
        HEADING,
        f"udp {NAT}:1 {CLIENT}:500 {GATEWAY}:500 {GATEWAY}:500",
        f"udp {NAT}:500 {SECOND}:500 {GATEWAY}:500 {GATEWAY}:500",
        f"icmp {NAT}:1 {SECOND}:77 {OTHER}:77 {OTHER}:1",
        f"icmp {NAT}:77 {CLIENT}:77 {OTHER}:77 {OTHER}:77",
        f"udp {NAT}:1220 {CLIENT}:1220 {OTHER}:53 {OTHER}:53",
    ]
    assert [(one.created_s, one.left_s) for one in translations(nat.core)] == [(0, 300), (0, 300), (2, 58), (2, 58), (2, 58)]


def test_cookies_of_one_host_are_one_entry(bench):
    nat = bench("ios-preserve-port")
    for number in range(3):
        nat.port(CLIENT, 500, payload=bytes([number]) * 28)
    assert shown(nat) == [HEADING, f"udp {NAT}:500 {CLIENT}:500 {GATEWAY}:500 {GATEWAY}:500"]


def test_a_router_without_translation_has_no_entries(bench):
    assert translations(bench("none").core) == ()


# --- clearing ---


def sample():
    """The source's three flows, on a NAT of ours."""
    nat = Bench("ios", inside="192.168.1.0/24")
    nat.up(tcp("192.168.1.95", 1067, "171.69.1.161", 23))
    nat.up(tcp("192.168.1.89", 11012, "171.69.1.220", 23))
    nat.up(udp("192.168.1.95", 1220, "171.69.2.132", 53))
    return nat


def test_clearing_the_samples_udp_entry_leaves_the_two_of_tcp():
    nat = sample()
    dns, *others = shown(nat)[1:]
    place = Place("171.69.2.132", 53)
    what = Clearing("udp", (Place(NAT, 1220), Place("192.168.1.95", 1220)), (place, place))
    assert clear(nat.core, nat.now, what) == 1
    assert dns.startswith("udp")
    assert shown(nat)[1:] == others
    assert clear(nat.core, nat.now, what) == 0


@pytest.mark.parametrize(
    ("what", "left"),
    [
        (EVERYTHING, 0),
        (Clearing("tcp"), 1),
        (Clearing("udp"), 2),
        (Clearing("esp"), 3),
        (Clearing("pptp"), 3),
        (Clearing(inside=(Place(NAT), Place("192.168.1.95"))), 1),
        (Clearing("tcp", inside=(Place(NAT), Place("192.168.1.95"))), 2),
        (Clearing(inside=(Place(NAT, 1067), Place("192.168.1.95", 1067))), 2),
        (Clearing(inside=(Place(NAT, 1066), Place("192.168.1.95", 1067))), 3),
        (Clearing(inside=(Place(OTHER), Place("192.168.1.95"))), 3),
        (Clearing(outside=(Place("171.69.1.220"), Place("171.69.1.220"))), 2),
        (Clearing("udp", outside=(Place("171.69.1.220"), Place("171.69.1.220"))), 3),
        (Clearing(outside=(Place("171.69.1.220", 23), Place("171.69.1.220", 24))), 3),
    ],
)
def test_each_form_clears_what_it_names(what, left):
    nat = sample()
    assert clear(nat.core, nat.now, what) == 3 - left
    assert len(translations(nat.core)) == left


def test_clearing_esp_leaves_ike_and_lets_who_waited_go(bench):
    nat = bench("ios")
    nat.port(CLIENT, 500)
    nat.up(from_client(CLIENT, A_OUT))
    assert nat.send("inside", from_client(SECOND, B_OUT)) == []
    assert clear(nat.core, nat.now, Clearing("esp")) == 1
    assert [packet[20:24] for _, packet in nat.core.take_packets()] == [B_OUT.to_bytes(4)]
    assert [one.protocol for one in translations(nat.core)] == ["esp", "udp"]


@pytest.mark.parametrize("place", [Place(CLIENT, 0), Place(CLIENT, A_IN), Place(CLIENT, spi=A_IN)])
def test_one_half_of_a_tunnel_is_cleared_with_the_other(bench, place):
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    nat.down(from_gateway(A_IN))
    assert clear(nat.core, nat.now, Clearing("esp", inside=(Place(NAT, 0), place))) == 2
    assert translations(nat.core) == ()


# --- addresses of their own ---


def test_without_overload_everything_passes_and_a_simple_entry_is_shown(bench):
    nat = bench("ios-one-to-one")
    set_addresses(nat.core, overload=False, pool=["198.51.100.1", "198.51.100.2"])
    for who, outside in ((CLIENT, "198.51.100.1"), (SECOND, "198.51.100.2")):
        assert (nat.up(from_client(who, A_OUT)).src, nat.up(udp(who, 500, GATEWAY, 500)).flow[:2]) == (outside, (outside, 500))
        assert nat.up(echo(who, GATEWAY, 8, 9)).src == outside
    assert nat.send("outside", ip(GATEWAY, "198.51.100.2", 50, bytes(40)))[0][1].dst == SECOND
    assert nat.send("outside", udp(GATEWAY, 500, "198.51.100.1", 500))[0][1].flow == (GATEWAY, 500, CLIENT, 500)
    assert nat.up(udp("10.0.0.4", 500, GATEWAY, 500)) is None
    assert nat.send("outside", udp(GATEWAY, 500, NAT, 500)) == []
    assert nat.core.dropped == {"no address": 1, "destination": 1}
    assert shown(nat) == [HEADING, f"--- 198.51.100.2 {SECOND} --- ---", f"--- 198.51.100.1 {CLIENT} --- ---"]
    assert clear(nat.core, nat.now, Clearing(inside=(Place("198.51.100.1"), Place(CLIENT)))) == 1
    assert nat.up(udp("10.0.0.4", 500, GATEWAY, 500)).src == "198.51.100.1"


def test_a_static_translation_beside_overload_works_from_outside_first_and_is_not_cleared(bench):
    nat = bench("ios")
    set_addresses(nat.core, overload=True, statics={SECOND: "198.51.100.9"})
    assert nat.send("outside", udp(GATEWAY, 7, "198.51.100.9", 80))[0][1].flow == (GATEWAY, 7, SECOND, 80)
    assert nat.port(CLIENT, 500) == 500
    assert clear(nat.core, nat.now) == 1
    (one,) = translations(nat.core)
    assert (one.protocol, one.left_s, one.flags, one.map_id) == ("---", None, ("static",), None)
    nat.wait(10_000_000.0)
    assert len(translations(nat.core)) == 1
    assert nat.core.deadline is None
    nat.core.reboot(nat.now)
    assert len(translations(nat.core)) == 1
    set_addresses(nat.core, overload=True)
    assert translations(nat.core) == ()
    assert nat.send("outside", udp(GATEWAY, 7, "198.51.100.9", 80)) == []


def test_an_error_about_a_packet_with_an_address_of_its_own_is_translated(bench):
    nat = bench("ios-one-to-one")
    out = nat.up(udp(CLIENT, 1701, GATEWAY, 1701))
    quoted = udp(out.src, 1701, GATEWAY, 1701)
    back = nat.down(icmp(GATEWAY, NAT, 3, bytes(4) + quoted[:28], code=3))
    assert back.dst == CLIENT
    assert back.payload[8 + 12 : 8 + 16] == bytes([10, 0, 0, 2])
    assert back.payload[28:32] == (1701).to_bytes(2) * 2


def test_two_static_translations_with_one_outside_address_are_refused(bench):
    with pytest.raises(UsageError, match="one outside address"):
        set_addresses(bench("ios").core, overload=True, statics={CLIENT: OTHER, SECOND: OTHER})


# --- VRFs ---


def vrf_nat():
    def core(outside):
        return NatCore(load("ios"), outside=outside, inside="10.0.0.0/24", entropy=bytes)

    return VrfNat({"": core(NAT), "red": core("198.51.100.1"), "blue": core("198.51.100.2")})


def test_equal_inside_addresses_of_different_vrfs_never_meet():
    nat = vrf_nat()
    for vrf in ("red", "blue", ""):
        nat.receive(0.0, "inside", from_client(CLIENT, A_OUT), vrf)
        nat.receive(0.0, "inside", udp(CLIENT, 500, GATEWAY, 500), vrf)
    sources = [(vrf, packet[12:16], packet[9]) for side, vrf, packet in nat.take_packets()]
    assert sources == [
        (vrf, bytes(map(int, address.split("."))), protocol)
        for vrf, address in (("", NAT), ("red", "198.51.100.1"), ("blue", "198.51.100.2"))
        for protocol in (50, 17)
    ]
    nat.receive(0.1, "outside", ip(GATEWAY, "198.51.100.1", 50, A_IN.to_bytes(4) + bytes(30)))
    ((side, vrf, packet),) = nat.take_packets()
    assert (side, vrf, packet[16:20]) == ("inside", "red", bytes([10, 0, 0, 2]))
    assert [len(nat.translations(name)) for name in ("red", "blue", "", "green")] == [3, 2, 2, 0]
    assert {one.vrf for one in nat.translations()} == {"", "red", "blue"}
    assert len(show.translations(nat.translations(), vrf="red")) == 4
    assert nat.clear(0.2, Clearing("esp"), vrf="red") == 2
    assert [len(nat.translations(name)) for name in ("red", "blue", "")] == [1, 2, 2]
    assert nat.clear(0.2) == 5
    assert nat.deadline is None


def test_vrfs_with_one_outside_address_are_refused():
    core = vrf_nat().cores["red"]
    with pytest.raises(UsageError, match="VRF b and VRF a have one outside address"):
        VrfNat({"a": core, "b": core})


def test_time_passes_for_every_vrf():
    nat = vrf_nat()
    for vrf in ("red", "blue"):
        nat.receive(0.0, "inside", udp(CLIENT, 500, GATEWAY, 500), vrf)
    assert nat.deadline == 300.0
    nat.tick(300.0)
    assert nat.translations() == ()


# --- timers and limits ---


@pytest.mark.parametrize(
    ("kind", "packet"),
    [
        ("udp", udp(CLIENT, 500, GATEWAY, 500)),
        ("dns", udp(CLIENT, 500, GATEWAY, 53)),
        ("icmp", echo(CLIENT, GATEWAY, 8, 5)),
        ("syn", tcp(CLIENT, 5, GATEWAY, 5)),
        ("esp", from_client(CLIENT, A_OUT)),
    ],
)
def test_each_timer_is_its_own(bench, kind, packet):
    nat = bench("ios")
    set_timeout(nat.core, kind, 7)
    nat.up(packet)
    assert [one.left_s for one in translations(nat.core)] == [7]
    nat.wait(7.0)
    assert translations(nat.core) == ()
    reset_timeout(nat.core, kind)
    nat.up(packet)
    assert translations(nat.core)[0].left_s == {"udp": 300, "esp": 300}.get(kind, 60)
    set_timeout(nat.core, kind, None)
    nat.up(packet)
    nat.wait(1e7)
    assert [one.left_s for one in translations(nat.core)] == [None]


def test_a_simple_entry_has_the_general_timer(bench):
    nat = bench("ios-one-to-one")
    set_timeout(nat.core, "timeout", 9)
    nat.up(udp(CLIENT, 500, GATEWAY, 500))
    assert [one.left_s for one in translations(nat.core)] == [9]


def test_an_unknown_timer_is_refused(bench):
    with pytest.raises(UsageError, match="no NAT timer is called 'gre'"):
        set_timeout(bench("ios").core, "gre", 5)
    with pytest.raises(UsageError, match="no NAT timer is called 'gre'"):
        reset_timeout(bench("ios").core, "gre")


def test_max_entries(bench):
    nat = bench("ios")
    set_max_entries(nat.core, 2)
    assert [nat.port(who) is not None for who in (CLIENT, SECOND, "10.0.0.4")] == [True, True, False]
    set_max_entries(nat.core, None)
    assert nat.port("10.0.0.4") is not None


def test_lists_are_those_of_ios():
    listed = AccessList.of(["deny 10.0.0.9", "permit 10.0.0.0 0.0.0.255", "permit ip host 10.1.1.1 any"])
    for text, expected in (("10.0.0.9", False), ("10.0.0.8", True), ("10.1.1.1", True), ("10.1.1.2", False)):
        assert listed.permits(bytes(map(int, text.split("."))), bytes(4)) == expected
    for wrong in ("allow any", "permit", "permit 10.0.0.1 0.0.0.0 x", "permit 10.0.0.256", "permit ip any"):
        with pytest.raises(ValueError, match=r".+"):
            AccessList.of([wrong])


def test_services_of_neighbours_change_nothing(bench):
    """H.225, RAS and SIP lines stand beside those of ESP and IKE."""
    one, other = bench("ios"), bench("ios")
    set_services(other.core, Services(others=frozenset({"H225", "ras", "sip tcp port 5060", "sip udp port 5060"})))
    packet = udp(CLIENT, 5060, GATEWAY, 5060, b"REGISTER sip:10.0.0.2 SIP/2.0\r\n")
    assert one.up(packet) == other.up(packet)
