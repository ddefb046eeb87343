"""IPsec helpers: what they do for one client, and to the second."""

import pytest
from nat_packets import CLIENT, GATEWAY, NAT, OTHER, SECOND, esp, udp

ONE, TWO, ITS = b"\x01" * 8, b"\x02" * 8, b"\x99" * 8
REST = bytes(20)


def ike(cookie):
    return cookie + REST


# --- cookie ---


def test_the_cookie_helper_keeps_port_500_for_all_and_tells_answers_apart(bench):
    nat = bench("cookie-helper")
    assert nat.port(CLIENT, payload=ike(ONE)) == 500
    assert nat.port(SECOND, payload=ike(TWO)) == 500
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(TWO))).flow == (GATEWAY, 500, SECOND, 500)
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(ONE))).flow == (GATEWAY, 500, CLIENT, 500)
    rows = nat.core.mappings()
    assert [(row.inside_address, row.inside_port, row.outside_port) for row in rows] == [(CLIENT, 500, 500), (SECOND, 500, 500)]


def test_an_exchange_that_the_gateway_begins_is_nobodys(bench):
    nat = bench("cookie-helper")
    nat.port(CLIENT, payload=ike(ONE))
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(ITS))) is None
    assert nat.down(udp(OTHER, 500, NAT, 500, ike(ONE))) is None
    assert nat.core.dropped == {"unknown cookie": 2}
    assert nat.port(CLIENT, payload=ike(ITS)) == 500  # a rekey that the client begins is learnt
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(ITS))).dst == CLIENT


def test_what_floats_leaves_the_helper(bench):
    nat = bench("cookie-helper")
    assert nat.port(CLIENT, payload=ike(ONE)) == 500
    ports = {nat.port(who, 4500, dport=4500, payload=bytes(4) + ike(ONE)) for who in (CLIENT, SECOND)}
    assert len(ports) == 2
    assert not ports & {500, 4500}


def test_without_a_cookie_nothing_goes_to_port_500(bench):
    nat = bench("cookie-helper")
    assert nat.port(CLIENT, payload=b"\xff") is None
    assert nat.core.dropped == {"no cookie": 1}


def test_cookies_expire(bench):
    nat = bench("cookie-helper")
    nat.port(CLIENT, payload=ike(ONE))
    nat.wait(31.0)
    assert nat.down(udp(GATEWAY, 500, NAT, 500, ike(ONE))) is None
    assert nat.core.mappings() == ()


# --- SPI ---


def test_the_esp_helper_takes_the_next_unseen_spi_for_the_answer(bench):
    nat = bench("esp-helper")
    assert nat.up(esp(CLIENT, GATEWAY, 0xA)).src == NAT
    assert nat.down(esp(GATEWAY, NAT, 0x1A)).dst == CLIENT
    assert nat.up(esp(SECOND, GATEWAY, 0xB)).src == NAT
    assert nat.down(esp(GATEWAY, NAT, 0x1B)).dst == SECOND
    assert nat.down(esp(GATEWAY, NAT, 0x1A)).dst == CLIENT
    assert [(row.protocol, row.inside_address, row.inside_port, row.remote_port) for row in nat.core.mappings()] == [
        ("esp", CLIENT, 0x1A, 0xA),
        ("esp", SECOND, 0x1B, 0xB),
    ]


def test_one_guess_at_a_time(bench):
    nat = bench("esp-helper")
    nat.up(esp(CLIENT, GATEWAY, 0xA))
    assert nat.up(esp(SECOND, GATEWAY, 0xB)) is None
    assert nat.core.dropped == {"another client's": 1}
    assert nat.up(esp(SECOND, OTHER, 0xB)) is not None  # another gateway, another guess
    nat.wait(10.0)
    assert nat.up(esp(SECOND, GATEWAY, 0xB)) is not None
    assert nat.down(esp(GATEWAY, NAT, 0x1A)).dst == SECOND  # and it is wrong: the first client's answer


def test_an_spi_that_the_gateway_uses_first_is_nobodys(bench):
    nat = bench("esp-helper")
    nat.up(esp(CLIENT, GATEWAY, 0xA))
    nat.down(esp(GATEWAY, NAT, 0x1A))
    assert nat.down(esp(GATEWAY, NAT, 0x2A)) is None  # a rekey
    assert nat.core.dropped == {"unknown SPI": 1}
    nat.up(esp(CLIENT, GATEWAY, 0xAA))
    assert nat.down(esp(GATEWAY, NAT, 0x2A)).dst == CLIENT


def test_spis_live_five_minutes(bench):
    nat = bench("esp-helper")
    nat.up(esp(CLIENT, GATEWAY, 0xA))
    nat.down(esp(GATEWAY, NAT, 0x1A))
    nat.wait(299.0)
    assert nat.down(esp(GATEWAY, NAT, 0x1A)) is not None
    nat.wait(300.0)
    assert nat.down(esp(GATEWAY, NAT, 0x1A)) is None


def test_a_reboot_closes_the_guess(bench):
    nat = bench("esp-helper")
    nat.up(esp(CLIENT, GATEWAY, 0xA))
    nat.core.reboot(nat.now)
    assert nat.down(esp(GATEWAY, NAT, 0x1A)) is None
    assert nat.up(esp(SECOND, GATEWAY, 0xB)) is not None


# --- one client ---


@pytest.mark.parametrize(("personality", "owner"), [("single-client-first", CLIENT), ("single-client", SECOND)])
def test_port_500_and_esp_are_one_clients(bench, personality, owner):
    nat = bench(personality)
    for who in (CLIENT, SECOND):
        passed = who in (CLIENT, owner)
        assert (nat.up(udp(who, 500, GATEWAY, 500)) is not None) == passed
        assert (nat.up(esp(who, GATEWAY, 5)) is not None) == passed
    back = nat.down(udp(GATEWAY, 500, NAT, 500))
    assert (back.dst, back.ports) == (owner, (500, 500))
    assert nat.down(esp(GATEWAY, NAT, 6)).dst == owner
    assert {row.inside_address for row in nat.core.mappings()} == {owner}


def test_the_first_client_owns_as_long_as_it_is_heard(bench):
    nat = bench("single-client-first")
    nat.port(CLIENT)
    nat.wait(31.0)
    assert nat.port(SECOND) == 500
    assert nat.down(udp(GATEWAY, 500, NAT, 500)).dst == SECOND


def test_by_address_alone_the_second_clients_esp_is_dropped(bench):
    nat = bench("pat")
    assert nat.up(esp(CLIENT, GATEWAY, 1)).payload[:4] == b"\0\0\0\1"
    assert nat.up(esp(SECOND, GATEWAY, 2)) is None
    assert nat.up(esp(SECOND, OTHER, 2)) is not None
    assert nat.down(esp(GATEWAY, NAT, 3)).dst == CLIENT


def test_without_a_helper_esp_does_not_pass(bench):
    nat = bench("symmetric")
    assert nat.up(esp(CLIENT, GATEWAY, 1)) is None
    assert nat.core.dropped == {"protocol": 1}


# --- payload ---


def test_the_payload_is_touched_where_it_looks_like_the_inside_address(bench):
    nat = bench("alg", payload_octets=4)
    inside, outside = bytes([10, 0, 0, 2]), bytes([203, 0, 113, 232])
    out = nat.up(udp(CLIENT, 500, GATEWAY, 500, b"a" + inside + b"bc" + inside))  # seen() recomputes the checksum
    assert out.payload[8:] == b"a" + outside + b"bc" + outside
    back = nat.down(udp(GATEWAY, 500, NAT, out.ports[0], b"ab" + outside))
    assert back.payload[8:] == b"ab" + inside
    assert nat.up(udp(CLIENT, 500, GATEWAY, 500, inside, summed=False)).payload[6:] == b"\0\0" + outside
    assert nat.up(udp(CLIENT, 500, GATEWAY, 500, b"\n\0\0\3")).payload[8:] == b"\n\0\0\3"


def test_two_octets_are_enough_for_the_eager_one(bench):
    assert bench("alg").up(udp(CLIENT, 500, GATEWAY, 500, b"x\x0a\x00y")).payload[8:] == b"x\xcb\x00y"


def test_all_others_leave_the_payload_alone(bench):
    payload = bytes([10, 0, 0, 2]) * 50
    assert bench("pat").up(udp(CLIENT, 500, GATEWAY, 500, payload)).payload[8:] == payload
