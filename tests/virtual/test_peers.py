"""Which association an ISAKMP message belongs to, and how much is remembered of a peer that begins again and again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.virtual.peers import COOKIES, Association, Associations

NAT, OTHER = "203.0.113.232", "198.51.100.9"
NONE = bytes(8)


def cookie(number: int) -> bytes:
    return number.to_bytes(8)


@pytest.fixture
def known() -> Associations:
    return Associations()


def begun(known: Associations, address: str, port: int, icookie: bytes) -> Association:
    core: Any = SimpleNamespace(deadline=1.0)
    association = known.add(address, port, 500, lambda association: core)
    known.opened(association, address, port, icookie)
    return association


def test_before_our_cookie_a_message_belongs_where_the_first_came_from(known) -> None:
    one, two = begun(known, NAT, 20000, cookie(1)), begun(known, NAT, 20001, cookie(1))
    assert known.find(NAT, 20000, 500, cookie(1), NONE) is one
    assert known.find(NAT, 20001, 500, cookie(1), NONE) is two
    assert known.find(OTHER, 20000, 500, cookie(1), NONE) is None
    assert known.find(NAT, 20000, 500, cookie(2), NONE) is None
    assert known.find(NAT, 20000, 500, cookie(1), cookie(9)) is None


def test_then_by_our_cookie_wherever_it_comes_from(known) -> None:
    one = begun(known, NAT, 20000, cookie(1))
    known.answered(one, cookie(1), cookie(11))
    assert known.find(OTHER, 7, 4500, cookie(1), cookie(11)) is one
    known.answered(one, cookie(12), NONE)  # an exchange that we begin
    assert known.find(OTHER, 7, 4500, cookie(12), cookie(2)) is one
    assert known.find(OTHER, 7, 4500, cookie(1), cookie(2)) is None, "what is the peer's is anybody's"


def test_a_rekey_comes_from_where_the_peer_is(known) -> None:
    one, two = begun(known, NAT, 20000, cookie(1)), begun(known, NAT, 20002, cookie(2))
    known.settle(one, NAT, 20001, 4500)
    known.settle(two, NAT, 20003, 4500)
    assert known.find(NAT, 20001, 4500, cookie(3), NONE) is one
    assert known.find(NAT, 20003, 4500, cookie(3), NONE) is two
    assert known.find(NAT, 20001, 500, cookie(3), NONE) is None
    known.settle(one, OTHER, 20009, 4500)
    assert known.find(OTHER, 20009, 4500, cookie(3), NONE) is one
    assert known.find(NAT, 20001, 4500, cookie(3), NONE) is None
    assert (one.address, one.ports) == (OTHER, {500: 20000, 4500: 20009})


def test_as_many_openings_are_remembered_and_not_one_more(known) -> None:
    one = begun(known, NAT, 20000, cookie(1))
    for number in range(2, COOKIES + 1):
        known.opened(one, NAT, 20000, cookie(number))
        known.opened(one, NAT, 20000, cookie(number))  # the same again is the same
    assert all(known.find(NAT, 20000, 500, cookie(number), NONE) is one for number in range(1, COOKIES + 1))
    known.opened(one, NAT, 20000, cookie(COOKIES + 1))
    assert known.find(NAT, 20000, 500, cookie(1), NONE) is None
    assert all(known.find(NAT, 20000, 500, cookie(number), NONE) is one for number in range(2, COOKIES + 2))
    known.answered(one, cookie(1), cookie(99))  # no longer the peer's by anything that is remembered
    assert known.find(OTHER, 7, 500, cookie(1), cookie(50)) is one


def test_cookies_of_sas_outlast_those_of_none(known) -> None:
    one = begun(known, NAT, 20000, cookie(1))
    known.answered(one, cookie(1), cookie(101))
    one.ike_sas.append((cookie(1), cookie(101)))
    for number in range(102, 101 + COOKIES):
        known.answered(one, cookie(1), cookie(number))
    assert all(known.find(OTHER, 7, 500, cookie(1), cookie(number)) is one for number in range(101, 101 + COOKIES))
    known.answered(one, cookie(1), cookie(101 + COOKIES))
    assert known.find(OTHER, 7, 500, cookie(1), cookie(102)) is None, "the oldest that belongs to no SA"
    for number in (101, *range(103, 102 + COOKIES)):
        assert known.find(OTHER, 7, 500, cookie(1), cookie(number)) is one


def test_nothing_is_left_of_one_that_has_gone(known) -> None:
    one, two = begun(known, NAT, 20000, cookie(1)), begun(known, NAT, 20002, cookie(2))
    for association, number in ((one, 1), (two, 2)):
        known.answered(association, cookie(number), cookie(number + 10))
        known.settle(association, NAT, 20001 + 2 * number, 4500)
    assert (len(known), known.half_open, list(known)) == (2, 2, [one, two])
    known.up(one)
    known.up(one)
    assert known.half_open == 1
    known.remove(one)
    known.remove(one)
    assert (len(known), known.half_open, list(known)) == (1, 1, [two])
    assert known.find(NAT, 20000, 500, cookie(1), NONE) is None
    assert known.find(NAT, 20000, 500, cookie(1), cookie(11)) is None
    assert known.find(NAT, 20003, 4500, cookie(5), NONE) is None
    assert known.find(NAT, 20002, 500, cookie(2), NONE) is two
    assert known.find(NAT, 20005, 4500, cookie(5), NONE) is two
    known.remove(two)
    assert (len(known), known.half_open) == (0, 0)


def test_where_a_peer_is_seen(known) -> None:
    one = begun(known, NAT, 20000, cookie(1))
    assert (one.local_port, one.udp_port) == (500, 20000)
    one.floated = True
    assert (one.local_port, one.udp_port) == (4500, 4500), "its own, until it is seen"
    known.settle(one, NAT, 20001, 4500)
    assert one.udp_port == 20001
