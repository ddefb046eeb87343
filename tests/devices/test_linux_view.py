"""A gateway's account put together: sessions linked to interfaces and addresses, SAs to ports."""

from pathlib import Path

import pytest

from harness.devices import linux_view
from harness.model import GatewaySa, GatewaySession

SAMPLES = Path(__file__).parent / "samples"
NAT = "203.0.113.232"


def texts(variant):
    return {path.stem: path.read_text() for path in (SAMPLES / variant).glob("*.txt")}


def view(variant, **changes):
    return linux_view.assemble(12.5, "label", {**texts(variant), **changes})


def test_demux_sessions_and_sas():
    found = view("demux-kernel")
    assert (found.t, found.label) == (12.5, "label")
    assert found.sessions == (
        GatewaySession(NAT, 1024, 57638, 9348, 53860, 29422, "ppp0", "172.16.1.10"),
        GatewaySession(NAT, 1025, 38638, 43362, 33948, 24943, "ppp1", "172.16.1.11"),
    )
    assert found.sas == (
        GatewaySa("ce59c7fb", False, NAT, 62364, 2, 1025),
        GatewaySa("cae22d9c", True, NAT, 62364, 2, 1025),
        GatewaySa("c84fd842", False, NAT, 4500, 1, 1024),
        GatewaySa("c10aa0c5", True, NAT, 4500, 1, 1024),
    )
    assert found.ike_sas == (
        ("45b953a4ec57cd1a", "951f4eacfd2fed69", NAT, 62364),
        ("2e7238381ec52c7d", "eae8543a51d6f978", NAT, 4500),
    )
    assert found.ports == {1: 1024, 2: 1025}
    assert "unread" not in found.texts


def test_a_port_that_is_installed_shows_though_its_sas_are_gone():
    found = view("demux-kernel", **{"xfrm-state": ""})
    assert (found.sas, found.ports) == ((), {1: 1024, 2: 1025})
    assert view("plain-user").ports == {}


def test_two_clients_with_the_same_port_are_told_apart_in_user_mode():
    assert [(s.peer_port, s.tunnel_local, s.interface, s.ppp_address) for s in view("plain-user").sessions] == [
        (1701, 58773, "ppp0", "172.16.1.10"),
        (1701, 28673, "ppp1", "172.16.1.11"),
    ]


def test_a_session_whose_lcp_never_completed_has_an_interface_but_no_address():
    assert [(s.interface, s.ppp_address) for s in view("connmark-kernel").sessions] == [("ppp0", "172.16.1.10"), ("ppp1", None)]


def test_a_session_whose_pppd_is_gone_is_a_tunnel_without_a_call():
    (first, second) = view("demux-kernel", pppd="").sessions
    assert (first.tunnel_local, first.session_local, first.interface) == (57638, None, None)
    assert (second.tunnel_local, second.session_local, second.interface) == (38638, None, None)


def test_a_closed_tunnel_is_no_session():
    assert [s.tunnel_local for s in view("closed").sessions] == [42040]


def test_a_tunnel_id_used_again_stands_for_the_new_tunnel():
    log = texts("closed")["xl2tpd"]
    again = f"{log}xl2tpd[781]: Connection established to {NAT}, 1026.  Local: 4848, Remote: 7 (ref=0/0).\n"
    assert [(s.tunnel_local, s.peer_port) for s in view("closed", xl2tpd=again).sessions] == [(42040, 1024), (4848, 1026)]


def test_a_gateway_that_says_nothing():
    found = linux_view.assemble(0.0, "dead", {})
    assert (found.sessions, found.sas, found.ike_sas, dict(found.texts)) == ((), (), (), {})


def test_what_could_not_be_read_is_in_the_view():
    assert view("demux-kernel", demux="garbled\n").texts["unread"] == "demux: garbled\n"


def test_sections_of_the_script_come_back_by_name():
    text = f"noise\n\n{linux_view.SECTION}one\na\n\nb\n\n{linux_view.SECTION}empty\n\n{linux_view.SECTION}two\nc\n"
    assert linux_view.sections(text) == {"one": "a\n\nb\n", "empty": "", "two": "c\n"}


@pytest.mark.parametrize("name", linux_view.COMMANDS)
def test_every_command_is_announced_before_it_runs(name):
    script = linux_view.script()
    assert script.index(linux_view.announce(name)) < script.index(linux_view.COMMANDS[name])
