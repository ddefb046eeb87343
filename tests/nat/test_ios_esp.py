"""ESP through an overloaded IOS NAT: what waits, what is immediate, and that nobody gets another's packets."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_bench import Bench
from nat_packets import CLIENT, GATEWAY, NAT, OTHER, SECOND, icmp, ip, raw, seen, sum_of, udp

from harness.errors import UsageError
from harness.model.predictable_spi import DIFFERENCE, RESERVED, partner, predictable
from harness.nat import load
from harness.nat.ios.access_list import AccessList
from harness.nat.ios.held import A_FLOW, LONGEST_S
from harness.nat.ios.services import Services
from harness.nat.ios.settings import set_services

THIRD = "10.0.0.4"
A_OUT, A_IN, B_OUT, B_IN = 0x28726CD9, 0x2E59EEF5, 0x11110001, 0x11110002


def numbered(spi, sequence, text=b""):
    return struct.pack("!II", spi, sequence) + text + bytes(24)


def from_client(who, spi, sequence=1, remote=GATEWAY, text=b""):
    return ip(who, remote, 50, numbered(spi, sequence, text))


def from_gateway(spi, sequence=1, remote=GATEWAY, text=b""):
    return ip(remote, NAT, 50, numbered(spi, sequence, text))


def matching(*lines):
    """A NAT on which these lines are the list of spi-match."""
    nat = Bench("ios")
    set_services(nat.core, Services(spi_match=AccessList.of(lines)))
    return nat


def destinations(out):
    return [(side, packet.src if side == "outside" else packet.dst, packet.payload[:4]) for side, packet in out]


# --- by default: until the reply comes ---


def test_the_first_goes_out_and_its_reply_completes_the_entry(bench):
    nat = bench("ios")
    out = nat.up(from_client(CLIENT, A_OUT))
    assert (out.src, out.dst, out.payload) == (NAT, GATEWAY, numbered(A_OUT, 1))
    assert nat.down(from_gateway(A_IN)).dst == CLIENT
    assert nat.down(from_gateway(A_IN, 2)).dst == CLIENT
    (row,) = nat.core.mappings()
    assert (row.protocol, row.inside_address, row.inside_port, row.remote_port) == ("esp", CLIENT, A_IN, A_OUT)


def test_a_second_host_waits_for_the_firsts_reply_and_then_goes_out_in_order(bench):
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    assert nat.send("inside", from_client(SECOND, B_OUT, 1)) == []
    assert nat.send("inside", from_client(SECOND, B_OUT, 2)) == []
    assert nat.core.dropped == {}
    nat.wait(0.2)
    out = nat.send("outside", from_gateway(A_IN))
    assert destinations(out) == [
        ("inside", CLIENT, A_IN.to_bytes(4)),
        ("outside", NAT, B_OUT.to_bytes(4)),
        ("outside", NAT, B_OUT.to_bytes(4)),
    ]
    assert [packet.payload for _, packet in out[1:]] == [numbered(B_OUT, 1), numbered(B_OUT, 2)]
    assert nat.down(from_gateway(B_IN)).dst == SECOND
    assert nat.down(from_gateway(A_IN, 2)).dst == CLIENT


def test_another_destination_is_not_waited_for(bench):
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    assert nat.up(from_client(SECOND, B_OUT, remote=OTHER)) is not None
    assert nat.down(from_gateway(B_IN, remote=OTHER)).dst == SECOND
    assert nat.down(from_gateway(A_IN)).dst == CLIENT


def test_a_destination_that_never_replies_is_waited_for_until_the_entry_ends(bench):
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    nat.wait(290.0)
    assert nat.send("inside", from_client(SECOND, B_OUT)) == []
    nat.now += 9.5
    nat.core.tick(nat.now)
    assert nat.core.take_packets() == []
    assert nat.core.deadline <= 300.0
    nat.now = 300.0
    nat.core.tick(nat.now)
    ((side, packet),) = nat.core.take_packets()
    assert (side, packet[20:24]) == ("outside", B_OUT.to_bytes(4))


def test_what_has_waited_too_long_or_is_too_much_is_lost(bench):
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    for sequence in range(A_FLOW + 3):
        nat.send("inside", from_client(SECOND, B_OUT, sequence + 1))
    assert nat.core.dropped == {"held: no room": 3}
    nat.wait(LONGEST_S)
    assert destinations(nat.send("outside", from_gateway(A_IN))) == [("inside", CLIENT, A_IN.to_bytes(4))]


def test_a_hosts_own_second_spi_does_not_wait(bench):
    """A rekey before the reply to the first."""
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    assert nat.up(from_client(CLIENT, B_OUT)) is not None
    assert nat.down(from_gateway(A_IN)).dst == nat.down(from_gateway(B_IN)).dst == CLIENT


def test_an_unseen_spi_with_nobody_waiting_is_nobodys(bench):
    nat = bench("ios")
    assert nat.down(from_gateway(A_IN)) is None
    nat.up(from_client(CLIENT, A_OUT))
    nat.down(from_gateway(A_IN))
    assert nat.down(from_gateway(B_IN)) is None
    assert nat.core.dropped == {"unknown SPI": 2}


def test_an_entry_lives_five_minutes_and_traffic_either_way_renews_it(bench):
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    nat.down(from_gateway(A_IN))
    for packet in (from_gateway(A_IN, 2), from_client(CLIENT, A_OUT, 2)):
        nat.wait(299.9)
        nat.core.receive(nat.now, "outside" if packet[16:20] == bytes([203, 0, 113, 232]) else "inside", packet)
        assert len(nat.core.take_packets()) == 1
    nat.wait(299.9)
    assert len(nat.core.mappings()) == 1
    nat.wait(0.1)
    assert nat.core.mappings() == ()
    assert nat.down(from_gateway(A_IN, 3)) is None


def test_an_spi_of_another_host_completes_nothing(bench):
    """After the table was cleared, the gateway goes on with the first host's SPI while the second waits for its reply."""
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    nat.down(from_gateway(A_IN))
    nat.core.forget()
    nat.up(from_client(SECOND, B_OUT))
    assert nat.down(from_gateway(A_IN, 2)) is None
    assert nat.core.dropped == {"another client's": 1}
    assert nat.down(from_gateway(B_IN)).dst == SECOND
    nat.up(from_client(CLIENT, A_OUT, 2))
    assert nat.down(from_gateway(A_IN, 3)).dst == CLIENT


def test_two_hosts_with_one_inbound_spi_get_nothing_of_each_other(bench):
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    for sequence in (1, 2, 3):
        assert nat.down(from_gateway(A_IN, sequence)).dst == CLIENT
    nat.up(from_client(SECOND, B_OUT))
    assert nat.down(from_gateway(A_IN, 1)) is None  # the second's first: the first has had this number
    assert nat.core.dropped == {"SPI clash": 1}
    assert nat.down(from_gateway(A_IN, 4)).dst == CLIENT
    nat.up(from_client(SECOND, B_OUT + 1))  # renegotiated
    assert nat.down(from_gateway(B_IN)).dst == SECOND


def test_authentication_header_and_short_esp_do_not_pass(bench):
    nat = bench("ios")
    assert nat.up(ip(CLIENT, GATEWAY, 51, bytes(24))) is None
    assert nat.down(ip(GATEWAY, NAT, 51, bytes(24))) is None
    assert nat.up(ip(CLIENT, GATEWAY, 50, bytes(7))) is None
    assert nat.core.dropped == {"protocol": 2, "malformed": 1}


def test_a_reboot_forgets_who_waits(bench):
    nat = bench("ios")
    nat.up(from_client(CLIENT, A_OUT))
    nat.send("inside", from_client(SECOND, B_OUT))
    nat.core.reboot(1.0)
    assert nat.core.take_packets() == []
    assert nat.down(from_gateway(A_IN)) is None
    assert nat.up(from_client(SECOND, B_OUT)) is not None


# --- spi-match ---


def test_partners_are_mutual_and_never_reserved():
    for spi in (RESERVED, A_OUT, A_IN, 0x7FFF_FFFF, DIFFERENCE ^ RESERVED, 0xFFFF_FFFF):
        assert partner(partner(spi)) == spi != partner(spi)
        assert partner(spi) >= RESERVED
        assert predictable(spi)
    for spi in (0, 255, DIFFERENCE, DIFFERENCE ^ 255, 1 << 32):
        assert not predictable(spi)
        with pytest.raises(ValueError, match="no SPI with a partner"):
            partner(spi)


def test_both_are_immediate_where_the_list_permits_both():
    nat = matching("permit 10.0.0.0 0.0.0.255")
    assert nat.up(from_client(CLIENT, A_OUT)) is not None
    assert nat.up(from_client(SECOND, B_OUT)) is not None
    assert nat.down(from_gateway(partner(B_OUT))).dst == SECOND
    assert nat.down(from_gateway(partner(A_OUT))).dst == CLIENT


def test_the_inbound_half_is_there_before_any_reply():
    nat = matching("permit any")
    nat.up(from_client(CLIENT, A_OUT))
    assert [(row.inside_port, row.remote_port, row.answered) for row in nat.core.mappings()] == [(partner(A_OUT), A_OUT, False)]


def test_who_is_not_in_the_list_waits_as_by_default():
    nat = matching(f"permit {CLIENT}", f"permit {THIRD}")
    nat.up(from_client(CLIENT, A_OUT))
    assert nat.send("inside", from_client(SECOND, B_OUT)) == []
    assert nat.up(from_client(THIRD, 0x500)) is not None
    assert nat.send("outside", from_gateway(partner(A_OUT)))[0][1].dst == CLIENT
    out = nat.send("outside", from_gateway(partner(0x500)))
    assert destinations(out)[1] == ("outside", NAT, B_OUT.to_bytes(4))


def test_the_list_may_look_at_the_outside_endpoint():
    nat = matching(f"permit ip any host {OTHER}")
    nat.up(from_client(CLIENT, A_OUT))
    assert nat.send("inside", from_client(SECOND, B_OUT)) == []
    nat.up(from_client(CLIENT, A_OUT, remote=OTHER))
    assert nat.up(from_client(SECOND, B_OUT, remote=OTHER)) is not None


def test_random_spis_have_no_benefit_and_are_mapped_to_nobody_wrong():
    """The NAT alone is configured: two unanswered hosts cannot be told apart, one can."""
    nat = matching("permit any")
    nat.up(from_client(CLIENT, A_OUT))
    assert nat.down(from_gateway(0x600)).dst == CLIENT
    nat.up(from_client(SECOND, B_OUT))
    nat.up(from_client(THIRD, 0x500))
    assert nat.down(from_gateway(B_IN)) is None
    assert nat.core.dropped == {"SPI of one of several": 1}
    assert nat.down(from_gateway(0x600, 2)).dst == CLIENT


def test_a_gateway_that_speaks_first_to_who_is_not_in_the_list_does_not_spoil_anothers_entry():
    nat = matching(f"permit {CLIENT}")
    nat.up(from_client(CLIENT, A_OUT))
    assert nat.send("inside", from_client(SECOND, B_OUT)) == []
    assert nat.down(from_gateway(B_IN)) is None
    assert nat.core.dropped == {"SPI of one of several": 1}
    out = nat.send("outside", from_gateway(partner(A_OUT)))
    assert destinations(out) == [("inside", CLIENT, partner(A_OUT).to_bytes(4)), ("outside", NAT, B_OUT.to_bytes(4))]
    assert nat.down(from_gateway(B_IN, 2)).dst == SECOND


def test_a_second_host_with_the_firsts_spi_is_refused():
    nat = matching("permit any")
    nat.up(from_client(CLIENT, A_OUT))
    assert nat.up(from_client(SECOND, A_OUT)) is None
    assert nat.core.dropped == {"SPI clash": 1}
    assert nat.down(from_gateway(partner(A_OUT))).dst == CLIENT


def test_a_rekey_is_followed_at_once():
    nat = matching("permit any")
    for number in range(5):
        assert nat.up(from_client(CLIENT, A_OUT + number)) is not None
        assert nat.up(from_client(SECOND, B_OUT + number)) is not None
        assert nat.down(from_gateway(partner(B_OUT + number))).dst == SECOND
        assert nat.down(from_gateway(partner(A_OUT + number))).dst == CLIENT


def test_taking_the_line_out_brings_the_waiting_back_and_leaves_entries():
    nat = matching("permit any")
    nat.up(from_client(CLIENT, A_OUT))
    set_services(nat.core, Services())
    assert nat.send("inside", from_client(SECOND, B_OUT)) == []  # the first is not answered yet
    assert destinations(nat.send("outside", from_gateway(partner(A_OUT))))[0] == ("inside", CLIENT, partner(A_OUT).to_bytes(4))


def test_services_of_a_nat_that_is_no_ios_routers_are_refused(bench):
    with pytest.raises(UsageError, match="'pat' is no NAT of an IOS router"):
        set_services(bench("pat").core, Services())


# --- ICMP errors ---


def too_big(sender, to, quoted):
    """A router's word that the quoted packet needs fragmenting; 1400 bytes would pass (RFC 1191)."""
    return icmp(sender, to, 3, struct.pack("!HH", 0, 1400) + quoted[:28], code=4)


def quotation(out):
    """(source, destination, SPI) that a translated error quotes; its checksums are judged by `seen`."""
    inner = out.payload[8:]
    assert sum_of(inner[:20]) == 0
    return inner[12:16], inner[16:20], int.from_bytes(inner[20:24])


@pytest.mark.parametrize("lines", [("permit any",), ()])
def test_a_path_mtu_reaches_the_host_whose_spi_is_quoted(lines):
    nat = matching(*lines)
    nat.up(from_client(CLIENT, A_OUT))
    nat.down(from_gateway(partner(A_OUT)))
    nat.up(from_client(SECOND, B_OUT))
    for who, spi in ((CLIENT, A_OUT), (SECOND, B_OUT)):
        out = nat.down(too_big("198.51.100.1", NAT, ip(NAT, GATEWAY, 50, numbered(spi, 7))))
        assert (out.src, out.dst, out.payload[:2], out.payload[6:8]) == ("198.51.100.1", who, b"\3\4", (1400).to_bytes(2))
        assert quotation(out) == (raw(who), raw(GATEWAY), spi)
    for quoted in (
        ip(NAT, GATEWAY, 50, numbered(0x7777, 7)),  # nobody's SPI
        ip(NAT, OTHER, 50, numbered(A_OUT, 7)),  # towards somebody else
        ip(OTHER, GATEWAY, 50, numbered(A_OUT, 7)),  # not the NAT's packet
    ):
        assert nat.down(too_big("198.51.100.1", NAT, quoted)) is None
    assert nat.core.dropped == {"unsolicited": 3}
    nat.wait(300.0)
    assert nat.down(too_big("198.51.100.1", NAT, ip(NAT, GATEWAY, 50, numbered(A_OUT, 7)))) is None  # its entry has ended


def test_an_error_about_one_of_two_with_the_same_outbound_spi_is_nobodys():
    nat = matching()
    nat.up(from_client(CLIENT, A_OUT))
    nat.down(from_gateway(A_IN))
    nat.up(from_client(SECOND, A_OUT))
    assert nat.down(too_big("198.51.100.1", NAT, ip(NAT, GATEWAY, 50, numbered(A_OUT, 7)))) is None


def test_an_inside_routers_error_about_esp_goes_out_as_the_nats():
    nat = matching("permit any")
    nat.up(from_client(CLIENT, A_OUT))
    back = partner(A_OUT)
    out = nat.up(too_big("10.0.0.1", GATEWAY, ip(GATEWAY, CLIENT, 50, numbered(back, 7))))
    assert (out.src, out.dst) == (NAT, GATEWAY)
    assert quotation(out) == (raw(GATEWAY), raw(NAT), back)
    assert nat.up(too_big("10.0.0.1", GATEWAY, ip(GATEWAY, SECOND, 50, numbered(back, 7)))) is None  # not that host's


def test_an_inside_routers_error_about_udp_has_a_good_header(bench):
    nat = bench("pat")
    port = nat.port(CLIENT)
    quoted = nat.send("outside", udp(GATEWAY, 500, NAT, port))[0][1]
    out = nat.up(too_big("10.0.0.1", GATEWAY, ip(GATEWAY, CLIENT, 17, quoted.payload)))
    assert (out.src, out.dst) == (NAT, GATEWAY)
    assert out.payload[8 + 20 : 8 + 24] == (500).to_bytes(2) + port.to_bytes(2)


# --- whatever the order ---

INSIDERS = (CLIENT, SECOND, THIRD)
steps = st.lists(
    st.tuples(
        st.sampled_from(["up", "rekey", "reply", "forget", "wait"]),
        st.sampled_from(INSIDERS),
        st.sampled_from([GATEWAY, OTHER]),
        st.floats(0.01, 200.0),
    ),
    max_size=60,
)


@pytest.mark.parametrize("personality", ["ios", "ios-spi-match"])
@settings(max_examples=80, deadline=None, derandomize=True)
@given(steps)
def test_no_packet_reaches_another_host(personality, script):
    """Endpoints behind and before the NAT: every tunnel has a pair of SPIs, the remote end answers what it has got, and what it
    sends bears the name of the host whom it is for. Where SPIs are not predicted, its first answer comes while the entry lives."""
    predicted = personality == "ios-spi-match"
    nat = Bench(personality)
    pairs, sequences, reached = {}, {}, {}
    fresh = iter(range(0x1000, 0x100000, 0x10))

    def new_pair(who, remote):
        out = next(fresh)
        pairs[who, remote] = (out, partner(out) if predicted else out + 1)

    def too_late(who, remote):
        """Whether a first answer would come after its entry has ended."""
        out, back = pairs[who, remote]
        return not predicted and back not in sequences and (remote, out) not in {
            (row.remote_address, row.remote_port) for row in nat.core.mappings()
        }

    def sort_out(packets):
        for side, packet in packets:
            if side == "outside":
                reached[packet.dst, int.from_bytes(packet.payload[:4])] = packet.payload[8:].rstrip(b"\0").decode()
            else:
                assert packet.payload[8:].rstrip(b"\0").decode() == packet.dst

    for what, who, remote, pause in script:
        if what == "rekey" or (who, remote) not in pairs:
            new_pair(who, remote)
        out, back = pairs[who, remote]
        if what in ("up", "rekey"):
            sequences[out] = sequences.get(out, 0) + 1
            sort_out(nat.send("inside", from_client(who, out, sequences[out], remote, who.encode())))
        elif what == "reply" and (remote, out) in reached and not too_late(who, remote):
            assert reached[remote, out] == who
            sequences[back] = sequences.get(back, 0) + 1
            sort_out(nat.send("outside", from_gateway(back, sequences[back], remote, who.encode())))
        elif what == "forget":
            nat.core.forget(who)
        elif what == "wait":
            nat.now += pause
            nat.core.tick(nat.now)
            sort_out([(side, seen(packet)) for side, packet in nat.core.take_packets()])
    nat.wait(1000.0)
    assert nat.core.mappings() == ()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(steps)
def test_equal_calls_give_equal_packets(script):
    def played():
        nat, out = Bench("ios"), []
        for number, (what, who, remote, pause) in enumerate(script):
            if what == "reply":
                nat.core.receive(nat.now, "outside", from_gateway(0x2000 + number % 5, number + 1, remote))
            elif what == "wait":
                nat.now += pause
                nat.core.tick(nat.now)
            else:
                nat.core.receive(nat.now, "inside", from_client(who, 0x1000 + number % 7, number + 1, remote))
                nat.core.receive(nat.now, "inside", udp(who, 500, remote, 500))
            out.append((nat.core.take_packets(), nat.core.mappings(), dict(nat.core.dropped)))
        return out

    assert played() == played()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps)
def test_no_packet_is_lost_without_being_counted(script):
    """What comes in goes out, waits, or is counted; nothing goes out twice."""
    nat = Bench("ios")
    went = 0
    for number, (what, who, remote, _) in enumerate(script):
        if what == "reply":
            nat.core.receive(nat.now, "outside", from_gateway(0x2000 + number % 5, number + 1, remote))
        else:
            nat.core.receive(nat.now, "inside", from_client(who, 0x1000 + number % 7, number + 1, remote))
        went += len(nat.core.take_packets())
        held = len(nat.core.parts.translator.held)
        assert number + 1 == went + held + sum(nat.core.dropped.values())


def test_the_memory_of_owners_is_bounded():
    personality = load("ios")
    nat = Bench(replace(personality, translation=replace(personality.translation, limit=10)))
    for number in range(200):
        nat.up(from_client(CLIENT, 0x1000 + number))
        nat.down(from_gateway(0x9000 + number))
        nat.core.forget()
    helper = nat.core.parts.translator.portless
    assert len(helper._owners) <= 10
    assert len(helper._open) <= 10
    assert len(helper._sent) <= 10
