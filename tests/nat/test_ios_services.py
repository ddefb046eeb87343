"""What an IOS NAT does for protocols: IKE on port 500, TCP, FTP's and SCCP's addresses, ports by group."""

import struct

import pytest
from nat_packets import CLIENT, GATEWAY, NAT, OTHER, SECOND, icmp, raw, tcp, udp

from harness.nat.ios.access_list import AccessList
from harness.nat.ios.entries import translations
from harness.nat.ios.ftp import FtpPort
from harness.nat.ios.services import Services
from harness.nat.ios.settings import set_addresses, set_services

ONE, TWO, ITS = b"\x01" * 8, b"\x02" * 8, b"\x99" * 8
SYN, ACK, FIN, RST = 0x02, 0x10, 0x01, 0x04
THIRD, SERVER = "10.0.0.4", "203.0.113.50"


def ike(cookie):
    return cookie + bytes(20)


def listing(nat, **services):
    set_services(nat.core, Services(**services))
    return nat


# --- IKE ---


def test_regular_nat_changes_the_seconds_port_within_its_group(bench):
    nat = bench("ios")
    assert [nat.port(who) for who in (CLIENT, SECOND, THIRD)] == [500, 1, 2]
    assert [nat.port(who, 600) for who in (CLIENT, SECOND)] == [600, 512]
    assert [nat.port(who, 4500) for who in (CLIENT, SECOND)] == [4500, 1024]


def test_an_endpoint_has_one_port_towards_all_and_an_entry_for_each(bench):
    nat = bench("ios")
    nat.port(CLIENT, 500)
    assert nat.port(SECOND, 500) == nat.port(SECOND, 500, OTHER) == 1
    nat.wait(200.0)
    nat.port(SECOND, 500, OTHER)
    nat.wait(200.0)
    assert [(one.outside_global.address, one.left_s) for one in translations(nat.core)] == [(OTHER, 100)]
    assert nat.down(udp(GATEWAY, 500, NAT, 1)) is None


def test_preserved_ports_and_answers_by_cookie(bench):
    nat = bench("ios-preserve-port")
    assert nat.port(CLIENT, payload=ike(ONE)) == nat.port(SECOND, payload=ike(TWO)) == 500
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(TWO))).flow == (GATEWAY, 500, SECOND, 500)
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(ONE))).flow == (GATEWAY, 500, CLIENT, 500)
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(ITS))) is None
    assert nat.core.dropped == {"unknown cookie": 1}


def test_what_the_gateway_begins_goes_to_the_one_who_keeps_500(bench):
    nat = bench("ios-preserve-port")
    nat.port(CLIENT, payload=ike(ONE))
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(ITS))).dst == CLIENT
    assert nat.down(udp(OTHER, 500, NAT, 500, ike(ITS))) is None


def test_who_is_not_in_the_list_gets_another_port_and_keeps_it(bench):
    nat = listing(bench("ios"), preserve_port=AccessList.of([f"permit {CLIENT}"]))
    assert nat.port(CLIENT, payload=ike(ONE)) == 500
    assert nat.port(SECOND, payload=ike(TWO)) == 1
    assert nat.down(udp(GATEWAY, 500, NAT, 1, ike(TWO))).dst == SECOND
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(ONE))).dst == CLIENT


def test_who_came_first_keeps_500_beside_one_who_is_in_the_list(bench):
    nat = listing(bench("ios"), preserve_port=AccessList.of([f"permit {SECOND}"]))
    assert nat.port(CLIENT, payload=ike(ONE)) == nat.port(SECOND, payload=ike(TWO)) == 500
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(ONE))).dst == CLIENT
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(TWO))).dst == SECOND


def test_a_cookie_is_its_first_senders(bench):
    nat = bench("ios-preserve-port")
    nat.port(CLIENT, payload=ike(ONE))
    assert nat.port(SECOND, payload=ike(ONE)) is None
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(ONE))).dst == CLIENT


def test_without_the_line_ports_change_again(bench):
    nat = bench("ios-preserve-port")
    nat.port(CLIENT, payload=ike(ONE))
    listing(nat)
    assert nat.port(SECOND, payload=ike(TWO)) == 1


# --- TCP ---


def test_a_connection_there_and_back(bench):
    nat = bench("ios")
    assert nat.up(tcp(CLIENT, 1067, GATEWAY, 23)).flow == (NAT, 1067, GATEWAY, 23)  # seen() computes the sum anew
    assert nat.up(tcp(SECOND, 1067, GATEWAY, 23)).flow == (NAT, 1024, GATEWAY, 23)
    assert nat.down(tcp(GATEWAY, 23, NAT, 1024, flags=SYN | ACK)).flow == (GATEWAY, 23, SECOND, 1067)
    assert nat.down(tcp(GATEWAY, 23, NAT, 1067, b"login:", flags=ACK)).flow == (GATEWAY, 23, CLIENT, 1067)


def test_from_outside_no_connection_begins(bench):
    nat = bench("ios")
    nat.up(tcp(CLIENT, 1067, GATEWAY, 23))
    assert nat.down(tcp(OTHER, 23, NAT, 1067)) is None
    assert nat.down(tcp(GATEWAY, 24, NAT, 1067)) is None
    assert nat.up(tcp(CLIENT, 9, GATEWAY, 9, flags=RST)) is None
    assert nat.core.dropped == {"unsolicited": 3}
    assert nat.up(tcp(CLIENT, 5, GATEWAY, 5)[:30]) is None
    assert nat.core.dropped["malformed"] == 1


@pytest.mark.parametrize("end", [(tcp(CLIENT, 5, GATEWAY, 5, flags=FIN | ACK), None), (None, tcp(GATEWAY, 5, NAT, 5, flags=RST))])
def test_how_long_a_connection_is_kept_depends_on_how_far_it_is(bench, end):
    nat = bench("ios")

    def left():
        return [one.left_s for one in translations(nat.core)]

    nat.up(tcp(CLIENT, 5, GATEWAY, 5))
    assert left() == [60]
    nat.down(tcp(GATEWAY, 5, NAT, 5, flags=SYN | ACK))
    assert left() == [86400]
    nat.up(tcp(CLIENT, 5, GATEWAY, 5, flags=ACK))
    assert left() == [86400]
    out, back = end
    assert nat.up(out) if out else nat.down(back)
    assert left() == [60]
    assert translations(nat.core)[0].flags == ("extended", "timing-out")
    nat.up(tcp(CLIENT, 5, GATEWAY, 5))
    nat.down(tcp(GATEWAY, 5, NAT, 5, flags=SYN | ACK))
    assert left() == [86400]  # the ports are used again


def test_an_error_about_a_connection_reaches_its_client(bench):
    nat = bench("ios")
    nat.up(tcp(CLIENT, 5, GATEWAY, 5))
    nat.up(tcp(SECOND, 5, GATEWAY, 5))
    back = nat.down(icmp(OTHER, NAT, 3, bytes(4) + tcp(NAT, 1, GATEWAY, 5), code=4))
    assert back.dst == SECOND
    quoted = back.payload[8:]
    assert quoted[12:16] == raw(SECOND)
    assert quoted == tcp(SECOND, 5, GATEWAY, 5)  # both sums of the quotation are right


# --- FTP ---


def connected(nat, port, sport=3000, server=SERVER):
    assert nat.up(tcp(CLIENT, sport, server, port, seq=999)) is not None
    nat.down(tcp(server, port, NAT, sport, flags=SYN | ACK, seq=4999, ack=1000))
    return nat


def test_the_address_in_port_becomes_the_outside_one_and_numbers_follow(bench):
    nat = connected(bench("ios"), 21)
    nat.up(tcp(SECOND, 5000, OTHER, 80))  # somebody has 5000 already
    said = b"PORT 10,0,0,2,19,136\r\n"  # 5000
    out = nat.up(tcp(CLIENT, 3000, SERVER, 21, said, flags=ACK, seq=1000, ack=5000))
    told = b"PORT 203,0,113,232,4,0\r\n"  # 1024
    assert out.payload[20:] == told
    assert struct.unpack("!II", out.payload[4:12]) == (1000, 5000)
    longer = len(told) - len(said)
    back = nat.down(tcp(SERVER, 21, NAT, 3000, b"200 ok\r\n", flags=ACK, seq=5000, ack=1000 + len(told)))
    assert struct.unpack("!II", back.payload[4:12]) == (5000, 1000 + len(said))
    again = nat.up(tcp(CLIENT, 3000, SERVER, 21, said, flags=ACK, seq=1000, ack=5000))
    assert (again.payload[20:], struct.unpack("!I", again.payload[4:8])[0]) == (told, 1000)
    after = nat.up(tcp(CLIENT, 3000, SERVER, 21, b"LIST\r\n", flags=ACK, seq=1000 + len(said), ack=5008))
    assert struct.unpack("!I", after.payload[4:8])[0] == 1000 + len(said) + longer
    data = nat.down(tcp(SERVER, 20, NAT, 1024, seq=1))
    assert data.flow == (SERVER, 20, CLIENT, 5000)
    assert nat.up(tcp(CLIENT, 5000, SERVER, 20, flags=SYN | ACK)).flow == (NAT, 1024, SERVER, 20)
    assert nat.down(tcp(OTHER, 20, NAT, 1024)) is None


def test_a_second_command_adds_to_the_first_ones_shift(bench):
    nat = connected(bench("ios"), 21)
    said, told = b"PORT 10,0,0,2,19,136\r\n", b"PORT 203,0,113,232,19,136\r\n"
    for number in range(3):
        place = 1000 + number * len(said)
        out = nat.up(tcp(CLIENT, 3000, SERVER, 21, said, flags=ACK, seq=place))
        assert (struct.unpack("!I", out.payload[4:8])[0], out.payload[20:]) == (1000 + number * len(told), told)
        back = nat.down(tcp(SERVER, 21, NAT, 3000, flags=ACK, ack=1000 + (number + 1) * len(told)))
        assert struct.unpack("!I", back.payload[8:12])[0] == place + len(said)


def test_numbers_that_wrap_around_follow_too(bench):
    nat = bench("ios")
    nat.up(tcp(CLIENT, 3000, SERVER, 21, seq=0xFFFF_FFFB))
    said, told = b"PORT 10,0,0,2,19,136\r\n", b"PORT 203,0,113,232,19,136\r\n"
    nat.up(tcp(CLIENT, 3000, SERVER, 21, said, flags=ACK, seq=0xFFFF_FFFC))
    back = nat.down(tcp(SERVER, 21, NAT, 3000, flags=ACK, ack=(0xFFFF_FFFC + len(told)) % 2**32))
    assert struct.unpack("!I", back.payload[8:12])[0] == (0xFFFF_FFFC + len(said)) % 2**32


def test_the_extended_command_is_known(bench):
    nat = connected(bench("ios"), 21)
    out = nat.up(tcp(CLIENT, 3000, SERVER, 21, b"EPRT |1|10.0.0.2|5000|\r\n", flags=ACK, seq=1000))
    assert out.payload[20:] == b"EPRT |1|203.0.113.232|5000|\r\n"
    assert nat.down(tcp(SERVER, 20, NAT, 5000)).flow == (SERVER, 20, CLIENT, 5000)
    (waiting,) = [one for one in translations(nat.core) if one.inside_local.port == 5000]
    assert waiting.outside_global.port == 20


def test_an_announced_connection_is_shown_without_an_outside_and_ends(bench):
    nat = connected(bench("ios"), 21)
    nat.up(tcp(CLIENT, 3000, SERVER, 21, b"PORT 10,0,0,2,19,136\r\n", flags=ACK, seq=1000))
    (waiting,) = [one for one in translations(nat.core) if one.inside_local.port == 5000]
    assert (waiting.outside_local, waiting.left_s) == (None, 60)
    nat.wait(60.0)
    assert nat.down(tcp(SERVER, 20, NAT, 5000)) is None


@pytest.mark.parametrize(
    "said",
    [b"PORT 10,0,0,3,19,136\r\n", b"PORT 10,0,0,2,19\r\n", b"PORT 10,0,0,2,999,136\r\n", b"EPRT |2|10.0.0.2|5000|\r\n",
     b"EPRT |1|10.0.0.2|70000|\r\n", b"RETR 10,0,0,2,19,136\r\n", b"\xff\xff"],
)  # fmt: skip
def test_what_is_no_endpoint_of_the_clients_own_stays(bench, said):
    nat = connected(bench("ios"), 21)
    assert nat.up(tcp(CLIENT, 3000, SERVER, 21, said, flags=ACK, seq=1000)).payload[20:] == said
    assert len(translations(nat.core)) == 1


def test_other_ports_are_not_looked_at(bench):
    nat = connected(bench("ios"), 2021)
    said = b"PORT 10,0,0,2,19,136\r\n"
    assert nat.up(tcp(CLIENT, 3000, SERVER, 2021, said, flags=ACK, seq=1000)).payload[20:] == said


def ftp(*ports):
    servers = AccessList.of([f"permit {SERVER}"])
    return tuple(FtpPort(servers, port) for port in ports)


def test_with_2021_alone_port_21_of_that_server_is_blocked(bench):
    nat = listing(bench("ios"), ftp=ftp(2021))
    assert nat.up(tcp(CLIENT, 3001, SERVER, 21)) is None
    assert nat.core.dropped == {"FTP port": 1}
    assert nat.up(tcp(CLIENT, 3001, OTHER, 21)) is not None  # another server
    connected(nat, 2021)
    out = nat.up(tcp(CLIENT, 3000, SERVER, 2021, b"PORT 10,0,0,2,19,136\r\n", flags=ACK, seq=1000))
    assert out.payload[20:] == b"PORT 203,0,113,232,19,136\r\n"


def test_with_both_ports_both_work_beside_esp_and_ike(bench):
    everybody = AccessList.of(["permit any"])
    nat = listing(bench("ios"), ftp=ftp(21, 2021), spi_match=everybody, preserve_port=everybody, skinny=(20002,))
    for sport, port in ((3000, 21), (3001, 2021)):
        connected(nat, port, sport)
        out = nat.up(tcp(CLIENT, sport, SERVER, port, b"PORT 10,0,0,2,19,136\r\n", flags=ACK, seq=1000))
        assert out.payload[20:] == b"PORT 203,0,113,232,19,136\r\n"
    assert nat.port(CLIENT, payload=ike(ONE)) == nat.port(SECOND, payload=ike(TWO)) == 500


def test_an_inside_server_with_an_address_of_its_own(bench):
    nat = bench("ios")
    set_addresses(nat.core, overload=True, statics={CLIENT: "198.51.100.9"})
    listing(nat, ftp=(FtpPort(AccessList.of([f"permit {CLIENT}"]), 2021),))
    assert nat.send("outside", tcp(SERVER, 4000, "198.51.100.9", 21)) == []
    assert nat.core.dropped == {"FTP port": 1}
    ((_, came),) = nat.send("outside", tcp(SERVER, 4000, "198.51.100.9", 2021))
    assert came.flow == (SERVER, 4000, CLIENT, 2021)
    said = b"227 Entering passive mode (10,0,0,2,19,136).\r\n"
    out = nat.up(tcp(CLIENT, 2021, SERVER, 4000, said, flags=ACK, seq=1))
    assert (out.src, out.payload[20:]) == ("198.51.100.9", b"227 Entering passive mode (198,51,100,9,19,136).\r\n")
    ((_, back),) = nat.send("outside", tcp(SERVER, 4000, "198.51.100.9", 2021, flags=ACK, ack=1 + len(out.payload) - 20))
    assert struct.unpack("!I", back.payload[8:12])[0] == 1 + len(said)
    assert nat.send("outside", tcp(SERVER, 4001, "198.51.100.9", 5000))[0][1].flow == (SERVER, 4001, CLIENT, 5000)


def test_changed_lines_leave_a_shifted_connection_in_step(bench):
    nat = connected(bench("ios"), 21)
    said, told = b"PORT 10,0,0,2,19,136\r\n", b"PORT 203,0,113,232,19,136\r\n"
    nat.up(tcp(CLIENT, 3000, SERVER, 21, said, flags=ACK, seq=1000))
    listing(nat, ftp=ftp(21, 2021))
    after = nat.up(tcp(CLIENT, 3000, SERVER, 21, b"LIST\r\n", flags=ACK, seq=1000 + len(said)))
    assert struct.unpack("!I", after.payload[4:8])[0] == 1000 + len(told)


# --- SCCP ---


def sccp(message, body):
    return struct.pack("<III", 4 + len(body), 0, message) + body


def registering(address):
    return sccp(1, b"SEP001122334455\0" + struct.pack("<II", 0, 1) + raw(address) + struct.pack("<II", 7, 0))


def opened(address, port):
    return sccp(0x22, struct.pack("<I", 0) + raw(address) + struct.pack("<II", port, 99))


@pytest.mark.parametrize("port", [2000, 20002])
def test_a_phones_address_is_translated_where_call_managers_are(bench, port):
    nat = listing(bench("ios"), skinny=(20002,))
    nat.up(udp(SECOND, 16384, OTHER, 9))  # somebody has 16384 already
    nat.up(tcp(CLIENT, 3000, GATEWAY, port))
    out = nat.up(tcp(CLIENT, 3000, GATEWAY, port, registering(CLIENT) + opened(CLIENT, 16384), flags=ACK))
    assert out.payload[20:] == registering(NAT) + opened(NAT, 1024)
    media = nat.down(udp(OTHER, 20000, NAT, 1024))
    assert media.flow == (OTHER, 20000, CLIENT, 16384)
    assert nat.up(udp(CLIENT, 16384, SERVER, 20000)).flow == (NAT, 1024, SERVER, 20000)


def test_without_the_line_20002_is_not_looked_at(bench):
    nat = bench("ios")
    said = registering(CLIENT)
    assert nat.up(tcp(CLIENT, 3000, GATEWAY, 20002, said, flags=ACK)).payload[20:] == said


@pytest.mark.parametrize(
    "said",
    [registering(SECOND), opened(CLIENT, 16384)[:-9], struct.pack("<III", 2, 0, 1) + bytes(40), b"\xff" * 40, sccp(5, raw(CLIENT))],
)
def test_what_is_no_address_of_the_phones_own_stays(bench, said):
    nat = bench("ios")
    assert nat.up(tcp(CLIENT, 3000, GATEWAY, 2000, said, flags=ACK)).payload[20:] == said
    assert len(translations(nat.core)) == 1


def test_a_phone_with_an_address_of_its_own_keeps_its_port(bench):
    nat = bench("ios-one-to-one")
    out = nat.up(tcp(CLIENT, 3000, GATEWAY, 2000, opened(CLIENT, 16384), flags=ACK))
    assert out.payload[20:] == opened(NAT, 16384)
    assert nat.down(udp(OTHER, 7, NAT, 16384)).flow == (OTHER, 7, CLIENT, 16384)
