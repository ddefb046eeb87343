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
from harness.wire import events

SESSION = "show crypto session"
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
