"""The RADIUS client core: retransmission, second servers, dead ones, and what it does not believe."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wire.events import Refused
from harness.wire.ppp.authority import Claim
from harness.wire.radius import Code, Outgoing, RadiusClient, Server, packet
from harness.wire.radius.attributes import Attribute, attribute
from harness.wire.radius.client import ACCESS_PORT, ACCOUNTING_PORT
from harness.wire.radius.health import Tally
from harness.wire.radius.values import Judged, Noted, Silent, Unanswered

SECRET = b"xyzzy5461"
ONE = Server("10.0.0.20", SECRET, timeout_s=3.0, tries=3)
TWO = Server("10.0.0.21", b"another", timeout_s=2.0, tries=2)
PAP = Claim("pap", "user1", 0, b"", b"pw1")
START = (attribute("acct-status-type", 1), attribute("acct-session-id", "1"))


def client() -> RadiusClient:
    return RadiusClient(random.Random(5).randbytes)


def answer(out: Outgoing, code: Code, *said: Attribute, secret: bytes = SECRET, sign: bool = True) -> bytes:
    return packet.response(code, packet.parse(out.payload), said, secret, sign=sign)


def reply(core: RadiusClient, out: Outgoing, data: bytes, now: float = 0.0) -> None:
    """From where `out` went."""
    core.receive(now, out.address, out.dport, out.sport, data)


def test_a_question_and_its_answer() -> None:
    core = client()
    number = core.authenticate(0.0, (ONE, TWO), PAP, (attribute("nas-port", 7),))
    (out,) = core.take_datagrams()
    assert (out.address, out.sport, out.dport) == ("10.0.0.20", ACCESS_PORT, 1812)
    request = packet.parse(out.payload)
    assert packet.check_message_authenticator(request, SECRET)
    assert request.attributes[0].type == 80  # first, so that nothing before it can be chosen
    assert request.attributes.number("nas-port") == 7
    assert b"pw1" not in out.payload
    reply(core, out, answer(out, Code.ACCESS_ACCEPT, attribute("framed-ip-address", "10.1.1.1")))
    (event,) = core.take_events()
    assert isinstance(event, Judged)
    assert (event.number, event.decision.good, event.decision.address, event.server) == (number, True, "10.1.1.1", ONE)
    assert core.deadline is None
    assert core.health[ONE].access == Tally(requests=1, success=1)
    assert TWO not in core.health


@pytest.mark.parametrize("code", [Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE])
def test_a_no(code: Code) -> None:
    core = client()
    core.authenticate(0.0, (ONE,), PAP)
    (out,) = core.take_datagrams()
    reply(core, out, answer(out, code))
    (event,) = core.take_events()
    assert isinstance(event, Judged)
    assert not event.decision.good


def test_a_record_and_its_acknowledgement() -> None:
    core = client()
    number = core.account(0.0, (ONE,), START)
    (out,) = core.take_datagrams()
    assert (out.sport, out.dport) == (ACCOUNTING_PORT, 1813)
    request = packet.parse(out.payload)
    packet.check_accounting_request(request, SECRET)
    assert request.attributes.number("acct-delay-time") == 0
    reply(core, out, answer(out, Code.ACCOUNTING_RESPONSE, sign=False))
    assert core.take_events() == [Noted(number, ONE)]


def times(core: RadiusClient, until: float) -> list[tuple[float, str, bytes]]:
    found, now = [], 0.0
    while True:
        found += [(now, out.address, out.payload) for out in core.take_datagrams()]
        if core.deadline is None or core.deadline > until:
            return found
        now = core.deadline
        core.tick(now)


def test_the_same_packet_until_the_tries_are_up_then_the_next_server() -> None:
    core = client()
    number = core.authenticate(0.0, (ONE, TWO), PAP)
    sent = times(core, 100.0)
    assert [(at, to) for at, to, _ in sent] == [
        (0.0, ONE.address), (3.0, ONE.address), (6.0, ONE.address), (9.0, TWO.address), (11.0, TWO.address),
    ]  # fmt: skip
    first, second = {data for _, to, data in sent if to == ONE.address}, {data for _, to, data in sent if to == TWO.address}
    assert (len(first), len(second)) == (1, 1)
    one, two = packet.parse(first.pop()), packet.parse(second.pop())
    assert one.authenticator != two.authenticator
    assert packet.check_message_authenticator(two, b"another")
    assert core.take_events() == [Silent(number, ONE, 1812), Silent(number, TWO, 1812), Unanswered(number)]
    assert core.deadline is None
    assert core.health[ONE].access == Tally(requests=1, again=2, timeouts=3, failure=1)
    assert core.health[TWO].access == Tally(requests=1, again=1, timeouts=2, failure=1)
    assert (core.health[ONE].deaths, core.health[ONE].dead(9.0)) == (1, False)


def test_a_record_says_how_late_it_is() -> None:
    core = client()
    core.account(0.0, (ONE, TWO), START)
    late = [packet.parse(data).attributes.number("acct-delay-time") for _, _, data in times(core, 100.0)]
    assert late == [0, 0, 0, 9, 9]
    assert [event.port for event in core.take_events() if isinstance(event, Silent)] == [1813, 1813]


def test_an_answer_to_an_earlier_sending() -> None:
    core = client()
    core.authenticate(0.0, (ONE,), PAP)
    (out,) = core.take_datagrams()
    core.tick(3.0)
    core.take_datagrams()
    reply(core, out, answer(out, Code.ACCESS_ACCEPT), 3.1)
    assert [type(event) for event in core.take_events()] == [Judged]
    reply(core, out, answer(out, Code.ACCESS_ACCEPT), 3.2)  # and the one to the later sending
    (refused,) = core.take_events()
    assert isinstance(refused, Refused)
    assert "which nothing waits for" in refused.reason


def test_no_server_at_all() -> None:
    core = client()
    number = core.authenticate(0.0, (), PAP)
    assert core.take_events() == [Unanswered(number)]


def test_a_dead_server_is_passed_over_for_a_while() -> None:
    core = client()
    dying = replace(ONE, dead_s=60.0)
    core.authenticate(0.0, (dying, TWO), PAP)
    assert times(core, 9.0)[-1][1] == TWO.address
    core.authenticate(68.0, (dying, TWO), PAP)
    assert [out.address for out in core.take_datagrams()] == [TWO.address]
    core.authenticate(69.0, (dying, TWO), PAP)
    assert [out.address for out in core.take_datagrams()] == [ONE.address]
    core.authenticate(10.0, (dying,), PAP)  # where nobody else is left, it is asked
    assert [out.address for out in core.take_datagrams()] == [ONE.address]


def test_how_long_a_server_has_been_what_it_is() -> None:
    """Up from 10 to 13, passed over to 73, up from then on, though nobody looked before 100."""
    core = client()
    dying = replace(ONE, dead_s=60.0, tries=1)
    core.authenticate(10.0, (dying,), PAP)
    core.take_datagrams()
    core.tick(13.0)
    health = core.health[dying]
    assert (health.dead(20.0), health.since, health.previous_s, health.deaths) == (True, 13.0, 3.0, 1)
    assert (health.dead(100.0), health.since, health.previous_s, health.dead_s) == (False, 73.0, 60.0, 60.0)
    core.authenticate(110.0, (dying,), PAP)
    core.take_datagrams()
    core.tick(113.0)
    core.account(120.0, (dying,), START)
    (out,) = core.take_datagrams()
    reply(core, out, answer(out, Code.ACCOUNTING_RESPONSE, sign=False), 120.25)
    assert (health.dead(121.0), health.since, health.previous_s, health.dead_s) == (False, 120.25, 7.25, 67.25)
    assert health.accounting == Tally(requests=1, success=1, spent_s=0.25)


def test_one_that_answers_again_is_alive() -> None:
    core = client()
    dying = replace(ONE, dead_s=60.0, tries=1)
    core.authenticate(0.0, (dying,), PAP)
    core.take_datagrams()
    core.tick(3.0)
    core.account(3.5, (dying,), START)
    (out,) = core.take_datagrams()
    reply(core, out, answer(out, Code.ACCOUNTING_RESPONSE, sign=False), 3.6)
    core.authenticate(4.0, (dying, TWO), PAP)
    assert [out.address for out in core.take_datagrams()] == [ONE.address]


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ("secret", "wrong response authenticator"),
        ("identifier", "which nothing waits for"),
        ("code", "answers no request of ours"),
        ("address", "no server that was asked"),
        ("port", "no server that was asked"),
        ("own port", "no server that was asked"),
        ("cut", "bytes, of"),
        ("message authenticator", "wrong Message-Authenticator"),
    ],
)
def test_what_is_not_believed_changes_nothing(harm: str, why: str) -> None:
    core = client()
    core.authenticate(0.0, (ONE,), PAP)
    (out,) = core.take_datagrams()
    data, address, sport, dport = answer(out, Code.ACCESS_ACCEPT), out.address, out.dport, out.sport
    match harm:
        case "secret":
            data = answer(out, Code.ACCESS_ACCEPT, secret=b"guess")
        case "identifier":
            data = data[:1] + bytes((data[1] ^ 1,)) + data[2:]
        case "code":
            data = answer(out, Code.ACCOUNTING_RESPONSE)
        case "address":
            address = "10.0.0.66"
        case "port":
            sport = 4242
        case "own port":
            dport = ACCOUNTING_PORT
        case "cut":
            data = data[:-1]
        case "message authenticator":
            data = answer(out, Code.ACCESS_ACCEPT, Attribute(80, bytes(16)), sign=False)
    deadline = core.deadline
    core.receive(1.0, address, sport, dport, data)
    (event,) = core.take_events()
    assert isinstance(event, Refused)
    assert why in event.reason
    assert core.deadline == deadline
    tally = core.health[ONE].access
    counted = {
        "secret": tally.incorrect, "message authenticator": tally.incorrect, "cut": tally.malformed,
        "identifier": tally.unexpected, "code": tally.unexpected,
    }  # fmt: skip
    assert counted.get(harm, 1) == 1
    assert tally.incorrect + tally.malformed + tally.unexpected == (harm in counted)
    reply(core, out, answer(out, Code.ACCESS_ACCEPT))
    assert [type(event) for event in core.take_events()] == [Judged]


def test_no_more_than_256_are_under_way_and_none_is_forgotten() -> None:
    core = client()
    numbers = [core.account(0.0, (ONE,), START) for _ in range(600)]
    heard = 0
    while out := core.take_datagrams():
        assert len(out) <= 256
        assert len({packet.parse(one.payload).identifier for one in out}) == len(out)
        for one in out:
            reply(core, one, answer(one, Code.ACCOUNTING_RESPONSE, sign=False))
        heard += len(out)
    assert heard == 600
    assert sorted(event.number for event in core.take_events() if isinstance(event, Noted)) == numbers


def test_those_that_wait_for_an_identifier_have_their_tries_too() -> None:
    core = client()
    numbers = [core.account(0.0, (ONE,), START) for _ in range(300)]
    sent = times(core, 1000.0)
    assert len(sent) == 300 * ONE.tries
    assert {event.number for event in core.take_events() if isinstance(event, Unanswered)} == set(numbers)


def test_an_identifier_is_not_used_again_at_once() -> None:
    """A late answer to the one before would else be taken for this one's until its authenticator is looked at."""
    core, seen = client(), []
    for _ in range(256):
        core.authenticate(0.0, (ONE,), PAP)
        (out,) = core.take_datagrams()
        seen.append(packet.parse(out.payload).identifier)
        reply(core, out, answer(out, Code.ACCESS_ACCEPT))
    assert len(set(seen)) == 256


def test_a_claim_that_no_packet_can_carry() -> None:
    core = client()
    number = core.authenticate(0.0, (ONE,), replace(PAP, value=bytes(200)))
    assert core.take_datagrams() == []
    (event,) = core.take_events()
    assert isinstance(event, Judged)
    assert (event.number, event.decision.good) == (number, False)
    assert core.deadline is None


def test_one_that_no_packet_can_carry_keeps_none_waiting() -> None:
    core = client()
    for _ in range(256):
        core.authenticate(0.0, (ONE,), PAP)
    first = core.take_datagrams()[0]
    core.authenticate(0.0, (ONE,), replace(PAP, value=bytes(200)))
    core.authenticate(0.0, (ONE,), replace(PAP, user="last"))
    reply(core, first, answer(first, Code.ACCESS_ACCEPT))
    (out,) = core.take_datagrams()
    assert packet.parse(out.payload).attributes.text("user-name") == "last"


def test_an_accept_that_proves_nothing_lets_nobody_in() -> None:
    core = client()
    core.authenticate(0.0, (ONE,), Claim("mschapv2", "user1", 1, bytes(16), bytes(49)))
    (out,) = core.take_datagrams()
    reply(core, out, answer(out, Code.ACCESS_ACCEPT))
    (event,) = core.take_events()
    assert isinstance(event, Judged)
    assert not event.decision.good


def test_no_secret_shows() -> None:
    assert "xyzzy" not in repr(ONE)


@given(st.lists(st.tuples(st.sampled_from([1812, 1813]), st.sampled_from([ACCESS_PORT, ACCOUNTING_PORT]), st.binary(max_size=60))))
def test_any_bytes_are_refused_and_change_nothing(hostile: list[tuple[int, int, bytes]]) -> None:
    core = client()
    core.authenticate(0.0, (ONE,), PAP)
    core.account(0.0, (ONE,), START)
    out = core.take_datagrams()
    for sport, dport, data in hostile:
        core.receive(0.0, ONE.address, sport, dport, data)
        head = bytes((2, packet.parse(out[0].payload).identifier)) + (20 + len(data)).to_bytes(2)
        core.receive(0.0, ONE.address, sport, dport, head + bytes(16) + data)
    assert all(isinstance(event, Refused) for event in core.take_events())
    assert core.take_datagrams() == []
    assert core.deadline == 3.0
