"""AAA typed into live routers: users judged and counted by RADIUS servers on the same simulated wire (SEC-85, SEC-135)."""

from __future__ import annotations

import pytest
from aaa_lab import AAA, KEY, SECOND, SERVER, Routers
from vpdn_bench import LAC, LNS, USER

from harness.simulation.loop import SimulatedLoop
from harness.wire import events, ip
from harness.wire.packet import Packet, to_ip

LOCAL_USER = "own@cisco.com"
START, STOP, INTERIM = "start", "stop", "interim-update"


@pytest.fixture
def routers():
    with SimulatedLoop.runner() as runner:
        yield lambda **how: Routers(runner, **how)


@pytest.mark.parametrize("method", ["pap", "chap-md5", "mschapv1", "mschapv2"])
def test_a_user_whom_only_the_server_knows(routers, method):
    name = {"pap": "pap", "chap-md5": "chap", "mschapv1": "ms-chap", "mschapv2": "ms-chap-v2"}[method]
    here = ("interface Virtual-Template1", f"ppp authentication {name}")
    line = ("interface Serial1", f"ppp authentication {name}")  # the LAC asks by the same, and hands the answer over
    at = routers(lns=(f"no username {USER}", *here), lac=line)
    caller = at.call(accept=(method,))
    assert caller.core.address == "172.16.1.10"
    (asked,) = at.server.asked
    assert (asked.client, asked.user, asked.method, asked.good) == (LNS, USER, method, True)
    assert asked.attributes.address("nas-ip-address") == LNS
    assert [asked.attributes.number(name) for name in ("service-type", "framed-protocol", "nas-port-type")] == [2, 1, 5]
    assert at.server.refused == []


def test_records_of_a_user_with_what_the_link_carried(routers):
    """SEC-135: one start, one stop; what is counted is what was sent and answered, packet by packet."""
    at = routers()
    caller = at.call()
    assert caller.core.address == "172.16.1.10"
    sizes = (10, 500, 1000)
    for size in sizes:
        assert at.ping(caller, payload=bytes(size))
    at.run(100)
    caller.close()
    at.run(10)
    start, stop = at.server.records
    assert at.told() == [(START, USER), (STOP, USER)]
    assert (start.session, stop.session) == ("00000001", "00000001")
    for record in (start, stop):
        assert record.client == LNS
        assert record.attributes.address("framed-ip-address") == "172.16.1.10"
        assert record.attributes.address("nas-ip-address") == LNS
        assert record.attributes.octets("class") == USER.encode()
        assert record.number("acct-authentic") == 1
        assert record.number("acct-delay-time") == 0
    octets = sum(20 + 8 + size for size in sizes)
    counted = ("acct-input-octets", "acct-output-octets", "acct-input-packets", "acct-output-packets")
    assert [stop.number(name) for name in counted] == [octets, octets, 3, 3]
    assert [start.number(name) for name in counted] == [-1] * 4
    assert stop.number("acct-session-time") == int(stop.t - start.t) == 103
    assert stop.number("acct-terminate-cause") == 1


def test_two_users_are_counted_apart(routers):
    other = "someone@cisco.com"
    at = routers(users=(USER, other))
    one, two = at.call(), at.call(user=other)
    for _ in range(4):
        assert at.ping(one)
    assert at.ping(two)
    two.close()
    at.run(5)
    one.close()
    at.run(5)
    assert at.told() == [(START, USER), (START, other), (STOP, other), (STOP, USER)]
    assert [(record.session, record.number("acct-input-packets")) for record in at.server.records[2:]] == [
        ("00000002", 1), ("00000001", 4),
    ]  # fmt: skip


def test_a_user_whom_the_server_rejects(routers):
    """Whatever the router itself knows: a list goes on only where nobody answers."""
    methods = ("aaa authentication ppp default group radius local",)
    at = routers(lns=methods, users=("nobody",))
    caller = at.call()
    assert caller.core.address is None
    assert [asked.good for asked in at.server.asked] == [False]
    assert at.server.records == []
    assert f"{USER} is rejected by RADIUS: wrong user name or password" in at.reasons(LNS)


def test_a_wrong_password(routers):
    at = routers()
    caller = at.call(password="typo")
    assert caller.core.address is None
    assert [asked.good for asked in at.server.asked] == [False]


def test_the_next_method_where_no_server_answers(routers):
    """Four sendings of 5 s each; then the router's own users. The records wait for nobody."""
    at = routers(lns=("aaa authentication ppp default group radius local",))
    at.server.silent = True
    caller = at.call(wait=25)
    assert caller.core.address == "172.16.1.10"
    assert at.asked_at() == [0, 5, 10, 15]
    assert [event.peer_address for event in at.of(LNS, "aaa-silent")] == [SERVER]
    at.server.silent = False
    at.run(10)
    (start,) = at.server.records
    assert start.number("acct-authentic") == 2


def test_nobody_comes_in_where_no_method_can_say(routers):
    at = routers()
    at.server.silent = True
    caller = at.call(wait=40)
    assert caller.core.address is None
    assert f"no method of list default could judge {USER}" in at.reasons(LNS)


def test_a_user_that_the_router_does_not_know_is_the_servers(routers):
    at = routers(lns=("aaa authentication ppp default local group radius", f"no username {USER}"))
    assert at.call().core.address is not None
    assert len(at.server.asked) == 1
    own = routers(lns=("aaa authentication ppp default local group radius",))
    assert own.call(password="typo").core.address is None
    assert own.server.asked == []


@pytest.mark.parametrize("length", [247, 253, 254, 255])
def test_a_name_that_no_record_can_hold(routers, length):
    """`none` lets in whoever comes, by whatever name; a server is asked only what fits."""
    name = "x" * (length - 10) + "@cisco.com"
    pap = ("interface Virtual-Template1", "ppp authentication pap")
    line = ("interface Serial1", "ppp authentication pap")
    at = routers(lns=(*pap, "aaa authentication ppp default none"), lac=line)
    caller = at.call(user=name, accept=("pap",))
    assert caller.core.address is not None
    assert at.told() == [(START, name[:247])]
    asking = routers(lns=pap, lac=line)
    assert asking.call(user=name, accept=("pap",)).core.address is None
    assert [asked.user for asked in asking.server.asked] == ([name] if length <= 253 else [])


def test_the_second_server_and_the_first_while_it_is_dead(routers):
    """`radius-server deadtime`: for ten minutes nobody waits for it."""
    second = (f"radius-server host {SECOND} auth-port 1812 acct-port 1813 key {KEY}", "radius-server timeout 2")
    at = routers(lns=(*second, "radius-server retransmit 1", "radius-server deadtime 10"), users=(USER, LOCAL_USER))
    at.server.silent = True
    assert at.call().core.address is not None
    assert (at.asked_at(), at.asked_at(SECOND)) == ([0, 2], [0])
    assert at.call(user=LOCAL_USER).core.address is not None
    assert len(at.asked_at()) == 2
    at.run(600)
    at.server.silent = False
    at.callers[0].close()
    at.callers[1].close()
    at.run(10)
    assert at.call().core.address is not None
    assert len(at.asked_at()) == 3
    assert at.told(SECOND)[:2] == [(START, USER), (START, LOCAL_USER)]
    assert at.told()[-1] == (START, USER)


def test_show_aaa_servers(routers):
    """What it counts is what was on the wire."""
    second = (f"radius-server host {SECOND} auth-port 1812 acct-port 1813 key {KEY}", "radius-server deadtime 10")
    at = routers(lns=(*second, "radius-server timeout 2", "radius-server retransmit 1"))
    live = at.terminals[LNS]
    assert live.run("show aaa servers")[1:4] == [
        f"RADIUS: id 1, priority 1, host {SERVER}, auth-port 1812, acct-port 1813",
        "     State: current UP, duration 0s, previous duration 0s",
        "     Dead: total time 0s, count 0",
    ]
    at.call()
    at.server.silent = True
    at.call(password="typo")
    at.run(60)
    shown = live.run("show aaa servers")
    heading = f"RADIUS: id 2, priority 2, host {SECOND}, auth-port 1812, acct-port 1813"
    first = [line.strip() for line in shown[: shown.index(heading)]]
    assert first[2].startswith("State: current DEAD, duration ")
    assert first[3].endswith("count 1")
    assert first[4:7] == [
        "Authen: request 2, timeouts 2", "Response: unexpected 0, server error 0, incorrect 0, time 8ms",
        "Transaction: success 1, failure 1",
    ]  # fmt: skip
    assert first[10:13] == [
        "Account: request 1, timeouts 0", "Response: unexpected 0, server error 0, incorrect 0, time 8ms",
        "Transaction: success 1, failure 0",
    ]  # fmt: skip
    assert "     Authen: request 1, timeouts 0" in shown[len(first) :]
    live.configure("no aaa new-model")
    assert live.run("show aaa servers") == []


def test_retransmissions_are_the_same_packet(routers):
    at = routers()
    lost = []

    def lose(packet):
        if packet.dst == SERVER and len(lost) < 2:
            lost.append(packet.payload)
            return True
        return False

    at.lose = lose
    assert at.call().core.address is not None
    sent = [packet.payload for packet in at.since() if packet.dst == SERVER and packet.dport == 1812]
    assert sent[:3] == [lost[0]] * 3
    assert len(at.server.asked) == 1


def test_a_record_is_sent_until_it_is_acknowledged(routers):
    """A lost acknowledgement makes no second record."""
    at = routers()
    answers = []

    def lose(packet):
        if packet.src == SERVER and packet.sport == 1813:
            answers.append(packet)
            return len(answers) == 1
        return False

    at.lose = lose
    at.call()
    at.run(30)
    assert (len(answers), at.told()) == (2, [(START, USER)])


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("no aaa accounting network default",), []),
        (("aaa accounting network default none",), []),
        (("aaa accounting network default stop-only group radius",), [STOP]),
        (("aaa accounting network OTHER start-stop group radius", "no aaa accounting network default"), []),
        (
            ("aaa accounting network OTHER start-stop group radius", "no aaa accounting network default",
             "interface Virtual-Template1", "ppp accounting OTHER"),
            [START, STOP],
        ),
        (("aaa accounting update periodic 1",), [START, INTERIM, INTERIM, STOP]),
    ],
)  # fmt: skip
def test_what_is_accounted_is_what_is_configured(routers, lines, told):
    at = routers(lns=lines)
    caller = at.call()
    at.run(130)
    caller.close()
    at.run(70)  # and nothing follows
    assert [record.status for record in at.server.records] == told


def test_interim_records_count_on(routers):
    at = routers(lns=("aaa accounting update periodic 1",))
    caller = at.call()
    for _ in range(2):
        assert at.ping(caller)
        at.run(59)
    at.run(5)
    interim = [record for record in at.server.records if record.status == INTERIM]
    assert [(one.number("acct-input-packets"), one.number("acct-session-time")) for one in interim] == [(1, 60), (2, 120)]


@pytest.mark.parametrize(
    ("lines", "addresses"),
    [
        ((), ["172.16.1.10", "172.16.1.11"]),  # the pool gives all that it has before any again
        (("aaa authorization network default group radius",), ["172.16.5.5", "172.16.5.5"]),
    ],
)
def test_an_address_of_the_servers_counts_where_it_may(routers, lines, addresses):
    at = routers(lns=lines)
    at.server.addresses = {USER: "172.16.5.5"}
    for address in addresses:
        caller = at.call()
        assert caller.core.address == address
        assert at.ping(caller)
        caller.close()
        at.run(5)
        assert {record.attributes.address("framed-ip-address") for record in at.server.records[-2:]} == {address}


def test_an_address_of_the_servers_goes_back_to_no_pool(routers):
    short = ("no ip local pool DIALIN", "ip local pool DIALIN 172.16.1.10 172.16.1.10")
    at = routers(lns=(*short, "aaa authorization network default group radius"), users=(USER, "other@cisco.com", "third@cisco.com"))
    at.server.addresses = {USER: "172.16.5.5"}
    at.call().close()
    at.run(60)
    assert at.call(user="other@cisco.com").core.address == "172.16.1.10"
    assert at.call(user="third@cisco.com").core.address is None


def test_lists_by_name(routers):
    named = ("aaa authentication ppp DIALIN group radius", "interface Virtual-Template1", "ppp authentication chap callin DIALIN")
    at = routers(lns=("aaa authentication ppp default local", *named, f"no username {USER}"))
    assert at.call().core.address is not None
    at.terminals[LNS].configure("no aaa authentication ppp DIALIN")
    assert at.call().core.address is None
    assert "there is no authentication list DIALIN" in at.reasons(LNS)


def test_without_new_model_the_router_asks_nobody(routers):
    at = routers(lns=("no aaa new-model",))
    assert at.call().core.address is not None
    assert (at.server.asked, at.server.records) == ([], [])
    assert any("aaa new-model" in lack for lack in at.terminals[LNS].router.meaning.lacks)


def test_a_server_with_another_key_is_not_believed(routers):
    at = routers(aaa=AAA[:-1], lns=(f"radius-server host {SERVER} auth-port 1812 acct-port 1813 key wrong",))
    assert at.call(wait=40).core.address is None
    assert at.server.refused
    assert all("wrong Message-Authenticator" in why for why in at.server.refused)


def test_an_answer_by_somebody_else_is_not_heard(routers):
    """The very bytes of an Access-Accept from a host that is no server, while the server says nothing."""
    at = routers()
    assert at.call().core.address is not None
    accept = next(packet for packet in at.since() if packet.src == SERVER and packet.sport == 1812)
    at.server.silent = True
    caller = at.call(wait=5)
    for identifier in range(256):
        forged = accept.payload[:1] + bytes((identifier,)) + accept.payload[2:]
        for source in (SECOND, SERVER):
            at.switch.send(to_ip(Packet(source, LNS, ip.UDP, forged, 1812, 1645)))
    at.run(1)
    assert caller.core.address is None
    reasons = [why for why in at.reasons(LNS) if "from 10.0.0.2" in why]
    assert "a datagram of no server that was asked, from 10.0.0.21" in reasons
    assert "wrong response authenticator, from 10.0.0.20" in reasons


def test_a_session_that_ends_here_is_told_too(routers):
    at = routers()
    at.call()
    at.terminals[LNS].run("clear vpdn tunnel l2tp all")
    at.run(1)
    assert at.told() == [(START, USER), (STOP, USER)]
    assert at.server.records[1].number("acct-terminate-cause") == 10


def test_a_caller_that_falls_silent_has_lost_its_carrier(routers):
    at = routers()
    caller = at.call()
    caller.core.down = True  # it neither hears nor says anything any more
    at.run(180)
    stop = next(record for record in at.server.records if record.status == STOP)
    assert stop.number("acct-terminate-cause") == 2


def test_reload_forgets_and_asks_anew(routers):
    """Nothing is told of the sessions that were, then or later."""
    at = routers(lns=("aaa accounting update periodic 1",), users=(USER, LOCAL_USER))
    at.call(user=LOCAL_USER)
    at.server.silent = True
    at.call(wait=2)
    live = at.terminals[LNS]
    live.run("write memory")
    live.type("reload\r")
    live.type("\r")
    at.run(30)
    assert len(at.asked_at()) == 2
    at.server.silent = False
    at.terminals[LAC].run("clear crypto sa")
    at.terminals[LAC].run("clear crypto isakmp")
    at.run(60)
    assert at.told() == [(START, LOCAL_USER)]
    assert at.call().core.address is not None


def test_callers_that_the_lac_keeps(routers):
    """Nobody's domain: the LAC judges them itself, by the lists of their line, and counts them."""
    keeps = ("interface Serial1", "ppp authentication chap callin LINES", "aaa authentication ppp LINES group radius")
    at = routers(aaa=(), lac=(*AAA, *keeps), users=("someone@other",))
    caller = at.call(user="someone@other")
    assert [(asked.client, asked.good) for asked in at.server.asked] == [(LAC, True)]
    said = [event.message for event in caller.core.told if isinstance(event, events.Authenticated)]
    assert said == ["Access granted"]


def test_ipsec_sessions_by_the_maps_list(routers):
    """SEC-85: from the first pair of SAs of a peer until there is none, with what ESP carried."""
    flows = ("aaa accounting network FLOWS start-stop group radius", "crypto map l2tpsec client-accounting-list FLOWS")
    at = routers(lns=flows)
    caller = at.call()
    assert at.ping(caller)
    caller.close()
    at.run(60)
    mine = [record for record in at.server.records if not record.user]
    assert [record.status for record in mine] == [START, STOP]
    assert mine[0].session == mine[1].session
    for record in mine:
        said = [value.decode() for value in record.attributes.all("cisco-avpair")]
        assert said == [f"isakmp-initiator-ip={LAC}", f"isakmp-phase1-id={LAC}"]
    esp = at.esp()
    assert mine[1].number("acct-input-packets") == len([packet for packet in esp if packet.src == LAC])
    assert mine[1].number("acct-output-packets") == len([packet for packet in esp if packet.src == LNS])
    assert mine[1].number("acct-input-octets") > 0
    at.terminals[LNS].configure("no crypto map l2tpsec client-accounting-list")
    at.server.records.clear()
    at.call()
    assert at.told() == [(START, USER)]
