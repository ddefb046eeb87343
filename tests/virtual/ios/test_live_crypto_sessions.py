"""`show crypto session` of every role that has SAs, against what is up on the wire, in each release's layout."""

from __future__ import annotations

from dataclasses import replace

import pytest
from live import Live  # noqa: F401  (puts the folder of vpdn_bench on the path)
from test_live_demux import GATEWAY, NAT, STATIC, lab, spis  # noqa: F401  (a fixture)
from test_live_layouts import sample, shape
from test_live_vpdn import LAC, LNS, routers  # noqa: F401

from harness.devices.ios.parsers.crypto_session import SessionFlow, SessionIke, parse_crypto_session
from harness.devices.ios.parsers.ipsec_sa import parse_ipsec_sa
from harness.virtual.ios.grammar import Match, Row
from harness.virtual.ios.shows import crypto_sessions
from harness.virtual.ios.shows.crypto_values import FlowShown, IkeShown, SaShown
from harness.virtual.ios.state import State
from harness.wire import events

SESSION = "show crypto session"
MAPPED = "interface FastEthernet0/0\n ip address 10.0.0.1 255.0.0.0\n crypto map M\nend\n"
FROM_CLIENT = "permit 17 host {} port 1701 host {} port {}"


def sessions(live, command=SESSION):
    return live.shown(command, parse_crypto_session)


@pytest.mark.parametrize(("more", "origin"), [((), "dynamic crypto map"), ((*STATIC, f"set peer {NAT}"), "crypto map")])
def test_two_clients_behind_one_nat_are_two_sessions(lab, more, origin):  # noqa: F811
    at = lab(more=more)
    clients = [at.dial(1), at.dial(2)]
    ports = [at.net.outside[client.address, 4500] for client in clients]
    found = sessions(at.router)
    assert [(one.interface, one.status, one.peer, one.peer_port) for one in found] == [
        ("FastEthernet0/0", "UP-ACTIVE", NAT, port) for port in ports
    ]
    for session, port, translated in zip(found, ports, (1024, 1025), strict=True):
        assert session.ikes == (SessionIke(GATEWAY, 4500, NAT, port, "Active"),)
        assert session.flows == (SessionFlow(FROM_CLIENT.format(GATEWAY, NAT, translated), 2, origin),)
    assert sessions(at.router, f"{SESSION} remote {NAT}") == found
    assert sessions(at.router, f"{SESSION} remote {NAT} port {ports[1]}") == found[1:]
    assert sessions(at.router, f"{SESSION} remote 192.0.2.9") == sessions(at.router, f"{SESSION} remote {NAT} port 9") == ()
    assert sessions(at.router, f"{SESSION} interface FastEthernet0/0") == found
    assert sessions(at.router, f"{SESSION} interface FastEthernet0/1") == ()


def test_the_detail_is_what_the_sas_are(lab):  # noqa: F811
    at = lab(more=("crypto ipsec security-association lifetime kilobytes 4386136",))
    client = at.dial(1)
    at.net.run(7)
    assert at.net.ping(client, to="12.0.0.8")
    (session,) = sessions(at.router, f"{SESSION} detail")
    (flow,) = at.router.shown("show crypto ipsec sa", parse_ipsec_sa)
    (up,) = client.of(events.IkeUp)
    (ike,) = session.ikes
    assert (ike.capabilities, ike.conn_id, ike.state) == ("N", 1001, "Active")
    assert up.lifetime_s - 60 < ike.left_s <= up.lifetime_s - 7
    assert (session.fvrf, session.ivrf) == (None, None)
    assert dict(session.attributes) == {"Phase1_id": client.address, "Desc": "(none)"}
    inbound, outbound = flow.sas
    assert replace(session.flows[0], permit="") == SessionFlow(
        "", 2, "dynamic crypto map", flow.decrypts, 0, inbound.left_kb, inbound.left_s,
        flow.encrypts, 0, outbound.left_kb, outbound.left_s,
    )  # fmt: skip
    assert flow.encrypts > 0
    assert flow.decrypts > 0


def test_each_phase_that_goes_is_told(lab):  # noqa: F811
    at = lab()
    client = at.dial(1)
    client.stack.close(at.net.now)
    at.net.run(10)
    assert sessions(at.router) == ()
    assert at.router.router.core.ipsec.ike_since == {}
    at.dial(2)
    at.router.run("clear crypto isakmp")
    (session,) = sessions(at.router)
    assert (session.status, session.ikes, session.flows[0].active_sas) == ("UP-NO-IKE", (), 2)


@pytest.mark.parametrize("release", ["12.3(4)T", "12.4(1)", "15.1(4)M"])
def test_a_lac_and_an_lns_are_each_others_session(routers, release):  # noqa: F811
    at = routers(release=release)
    assert [sessions(at.terminals[address]) for address in (LAC, LNS)] == [(), ()]
    at.call()
    version = 1 if release.startswith("15") else None
    for here, there in ((LAC, LNS), (LNS, LAC)):
        (session,) = sessions(at.terminals[here])
        assert (session.status, session.peer, session.peer_port) == ("UP-ACTIVE", there, 500)
        assert session.ikes == (SessionIke(here, 500, there, 500, "Active", version),)
        assert session.flows == (SessionFlow(FROM_CLIENT.format(here, there, 1701), 2, "crypto map"),)
        (detailed,) = sessions(at.terminals[here], f"{SESSION} detail")
        assert (detailed.ikes[0].capabilities, detailed.ikes[0].conn_id) == ("", 1 if release.startswith("12.3") else 1001)
        text = at.terminals[here].run(SESSION)
        assert (f"Peer: {there}/500 " if release.startswith("12.3") else f"Peer: {there} port 500 ") in text
    at.terminals[LNS].run("clear crypto sa")
    (session,) = sessions(at.terminals[LNS], f"{SESSION} detail")
    assert (session.status, session.flows, session.ikes[0].state) == ("UP-IDLE", (), "Active")
    at.terminals[LNS].run("clear crypto isakmp")
    assert sessions(at.terminals[LNS]) == ()


def test_a_release_before_it_does_not_know_it(routers):  # noqa: F811
    at = routers(release="12.2(15)T")
    assert "% Invalid input detected at '^' marker." in at.terminals[LNS].run(SESSION)


@pytest.mark.parametrize(
    ("command", "name", "release"), [(SESSION, "12.4", "12.4(1)"), (f"{SESSION} detail", "15-detail", "15.1(4)M")]
)
def test_its_lines_are_those_of_the_sample(lab, command, name, release):  # noqa: F811
    """The same words in the same columns, but for what differs by what is up."""
    at = lab(release=release)
    at.dial(1)
    shapes = {shape(line) for line in sample(f"crypto_session/{name}")}
    own = ("Interface:", "  IPSEC FLOW", "          Capabilities", "      Phase1_id", "Peer:")
    shown = [line for line in at.router.run(command) if line.strip() and not line.startswith(own)]
    assert len(shown) > 3
    odd = [line for line in shown if shape(line) not in shapes]
    assert [line.replace("dynamic ", "") for line in odd if shape(line.replace("dynamic ", "")) not in shapes] == []


# --- what no run above has, of an account that is made up ---


class Account:
    address = "10.0.0.1"

    def __init__(self, flows, ikes=()):
        self.state = State(startup=MAPPED)
        self.flows, self.ike = lambda: flows, lambda: ikes


def read_of(*flows, ikes=()):
    detail = Match(Row("show crypto session [detail]"), ("show", "crypto", "session", "detail"), {})
    found = parse_crypto_session("\n".join([*crypto_sessions.crypto_session(Account(flows, ikes), detail), ""]))
    assert (found.unread, found.cut) == ((), "")
    return found.rows


def sa(inbound, kilobytes, seconds):
    return SaShown(inbound, "esp", 1, "", "", 0, (kilobytes, seconds), 8)


A, B = "192.0.2.7", "192.0.2.8"
WAITS = FlowShown("10.1.0.0/255.255.0.0/6/0", "10.2.0.0/255.255.0.0/6/80", A, 500, ("", ""))


def test_what_waits_for_sas_is_of_its_peers_session_even_where_ike_has_gone():
    """Though it stands before the flow that has SAs, and the peer's IKE came from a port of its own."""
    other = FlowShown("10.1.0.0/255.255.0.0/0/0", "10.9.0.0/255.255.0.0/0/0", B, 500, ("", ""), sas=(sa(True, 1, 1),))
    up = FlowShown("10.1.0.0/255.255.0.0/0/0", "10.3.0.0/255.255.0.0/0/0", A, 500, ("", ""), sas=(sa(True, 1, 1),), ike_port=4501)
    found = read_of(WAITS, other, up)
    assert [(one.peer, one.peer_port, one.status, len(one.flows)) for one in found] == [
        (B, 500, "UP-NO-IKE", 1), (A, 4501, "UP-NO-IKE", 2),
    ]  # fmt: skip
    assert [flow.permit for flow in found[1].flows] == [
        "permit ip 10.1.0.0/255.255.0.0 10.3.0.0/255.255.0.0", "permit 6 10.1.0.0/255.255.0.0 10.2.0.0/255.255.0.0 port 80",
    ]  # fmt: skip


def test_of_several_sas_the_newest_tells_the_life_and_all_are_counted():
    sas = (sa(True, 10, 100), sa(True, None, 300), sa(False, 20, 100), sa(False, 40, 299))
    up = FlowShown("10.0.0.1/255.255.255.255/17/1701", f"{A}/255.255.255.255/17/1701", A, 500, ("", ""), 5, 6, 7, sas=sas)
    ((flow,),) = [one.flows for one in read_of(up)]
    assert (flow.active_sas, flow.encrypted, flow.decrypted, flow.inbound_dropped, flow.outbound_dropped) == (4, 5, 6, 7, 0)
    assert (flow.inbound_left_kb, flow.inbound_left_s, flow.outbound_left_kb, flow.outbound_left_s) == (None, 300, 40, 299)


def test_of_several_isakmp_sas_the_newest_tells_the_identity():
    ikes = [IkeShown(A, "10.0.0.1", "QM_IDLE", n, A, 500, 500, name, 3600 * 25 + 61) for n, name in enumerate(("old", "new", ""))]
    (session,) = read_of(ikes=ikes)
    assert (session.status, dict(session.attributes)["Phase1_id"]) == ("UP-IDLE", "new")
    assert [(ike.conn_id, ike.left_s) for ike in session.ikes] == [(n, 3600 * 25 + 61) for n in (1001, 1002, 1003)]
