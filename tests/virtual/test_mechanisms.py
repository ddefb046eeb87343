"""Allocators, pool, look-up, agenda, journal: the gateway's small parts; and that each can be replaced."""

from __future__ import annotations

import random

import pytest

from harness.model import Secret
from harness.virtual import demux
from harness.virtual.agenda import Agenda
from harness.virtual.journal import PER_SECOND, Journal
from harness.virtual.lns import Lns
from harness.virtual.parts import Parts
from harness.virtual.pool import Authenticator, Login, Pool
from harness.virtual.sadb import NewestByAddressAndPort


@pytest.mark.parametrize("policy", ["next", "lowest-free"])
def test_the_whole_port_range_and_not_one_more(policy) -> None:
    allocator = demux.allocator(policy, 1024, 65535)
    given = [allocator.give() for _ in range(64511)]
    assert given == [port for port in range(1024, 65536) if port != 1701]
    assert allocator.exhausted
    assert allocator.give() is None
    allocator.free(30000)
    assert not allocator.exhausted
    assert allocator.give() == 30000
    assert allocator.exhausted


@pytest.mark.parametrize("policy", ["next", "lowest-free"])
def test_no_port_is_ever_given_twice_at_once(policy) -> None:
    allocator, held, choice = demux.allocator(policy, 1024, 1123), set(), random.Random(7)
    for _ in range(5000):
        if held and choice.random() < 0.5:
            port = choice.choice(sorted(held))
            held.remove(port)
            allocator.free(port)
        else:
            port = allocator.give()
            assert (port is None) is (len(held) == 100)
            if port is not None:
                assert port not in held
                assert 1024 <= port <= 1123
                held.add(port)


def test_pool() -> None:
    pool = Pool("20.0.0.100", "20.0.0.110")
    given = [pool.give() for _ in range(12)]
    assert given == [*(f"20.0.0.{n}" for n in range(100, 111)), None]
    pool.free("20.0.0.105")
    pool.free("20.0.0.101")
    assert [pool.give(), pool.give(), pool.give()] == ["20.0.0.105", "20.0.0.101", None]


def test_login_asks_and_remembers() -> None:
    login = Login(Authenticator({"user1": Secret("pw1")}))
    assert login.get("user1") == "pw1"
    assert login.user == "user1"
    assert login.get("nobody") is None
    assert login.user == "nobody"
    assert list(login) == []


class Row:
    def __init__(self, spi: int, address: str, port: int) -> None:
        self.spi_in, self.address, self.port = spi, address, port


def test_the_newest_at_an_address_and_port() -> None:
    lookup = NewestByAddressAndPort()
    first, second, other = Row(1, "a", 1701), Row(2, "a", 1701), Row(3, "b", 1701)
    for row in (first, second, other):
        lookup.add(row)
    assert lookup.find("a", 1701) is second
    assert lookup.find("b", 1701) is other
    assert lookup.find("a", 1024) is None
    lookup.remove(second)
    assert lookup.find("a", 1701) is first
    lookup.remove(first)
    lookup.remove(first)
    assert lookup.find("a", 1701) is None


def test_agenda_calls_each_key_once_and_not_before_its_time() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.set("a", 10.0)
    agenda.set("b", 5.0)
    agenda.set("c", 7.0)
    agenda.set("b", 20.0)  # later: the old entry is put right when it surfaces
    agenda.set("c", None)
    agenda.set("a", 6.0)
    assert agenda.deadline == 5.0
    assert list(agenda.due(5.5)) == []
    assert agenda.deadline == 6.0
    assert list(agenda.due(12.0)) == ["a"]
    assert list(agenda.due(19.0)) == []
    assert list(agenda.due(20.0)) == ["b"]
    assert agenda.deadline is None
    assert agenda.entries == len(agenda) == 0


def test_agenda_against_a_plain_dictionary() -> None:
    agenda: Agenda[int] = Agenda()
    wanted: dict[int, float] = {}
    choice, now = random.Random(3), 0.0
    for _ in range(20000):
        key = choice.randrange(50)
        at = None if choice.random() < 0.1 else now + choice.random() * 10
        agenda.set(key, at)
        wanted.pop(key, None)
        if at is not None:
            wanted[key] = at
        if choice.random() < 0.2:
            now += choice.random()
            due = set(agenda.due(now))
            assert due == {key for key, at in wanted.items() if at <= now}
            for key in due:
                del wanted[key]
            if wanted:
                assert agenda.deadline is not None
                assert agenda.deadline <= min(wanted.values())
    assert agenda.entries < 200


def test_complaints_are_counted_when_there_are_too_many() -> None:
    journal = Journal()
    for _ in range(5 * PER_SECOND):
        journal.tell(1.5, "dropped", "a", 1, reason="noise")
        journal.tell(1.5, "esp-up", "a", 1)
    told = journal.take_events()
    assert sum(event.kind == "esp-up" for event in told) == 5 * PER_SECOND
    assert sum(event.kind == "dropped" for event in told) == PER_SECOND
    assert journal.dropped == 5 * PER_SECOND
    journal.tell(2.5, "dropped", "a", 1, reason="noise")
    assert journal.take_events()[0].detail["untold"] == 4 * PER_SECOND


def test_another_look_up_is_another_gateway(world) -> None:
    class Oldest(NewestByAddressAndPort):
        def find(self, address, port):
            there = self._found.get((address, port))
            return None if there is None else there[next(iter(there))]

    net = world("plain", parts=Parts(sa_lookup=Oldest))
    one, two = net.dial(1), net.dial(2, wait=40)
    assert net.ping(one)
    assert not two.up, "what was for the second went to the first"


def test_one_port_for_all_is_no_feature(world) -> None:
    class Constant:
        exhausted = False

        def give(self) -> int:
            return 1024

        def free(self, port: int) -> None:
            """It is given again all the same."""

    net = world("demux", parts=Parts(port_allocator=lambda settings: Constant()))
    one, two = net.dial(1), net.dial(2)
    assert not net.ping(one)
    assert net.ping(two)


def test_clients_told_apart_by_address_alone_share_a_port(world) -> None:
    class ByAddress:
        def of(self, address: str, udp_port: int) -> str:
            return address

    net = world("demux", parts=Parts(client_key=ByAddress))
    net.dial(1)
    net.dial(2)
    assert [event.detail["port"] for event in net.of("port-given")] == [1024]


def test_without_translation_back_clients_see_the_port(world) -> None:
    class OneWay(demux.Translator):
        def outbound(self, dport, translated, own):
            return dport

    net = world("demux", parts=Parts(translator=OneWay))
    one = net.dial(1, wait=40)
    assert not one.up
    assert "1701 to 1024" in str(one.told)


def test_settings_have_a_last_word(world) -> None:
    net = world("demux", parts=Parts(settings_for=lambda settings: settings.changed(port_first=2000)))
    net.dial(1)
    assert net.view().ports == {1: 2000}


def test_a_layer_with_another_method(world) -> None:
    class Deaf(Lns):
        def _end_link(self, now, tunnel, session, by, reason) -> None:
            """Addresses are never given back."""

    net = world("demux", pool_last="172.16.1.10", parts=Parts(lns=Deaf))
    one = net.dial(1)
    one.stack.close(net.now)
    net.run(10)
    assert not net.dial(2).up
