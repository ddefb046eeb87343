"""A router's account as a gateway, from what the vendor's documents show of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.devices.ios import gateway_view
from harness.devices.ios.gateway_view import ASKED, IPSEC, ISAKMP, USERS, VPDN
from harness.errors import DeviceError
from harness.model import GatewaySa, GatewaySession

SAMPLES = Path(__file__).parent / "samples" / "ios"
NAT = "203.0.113.232"


def sample(name):
    return (SAMPLES / f"{name}.txt").read_text(encoding="utf-8")


TEXTS = {
    VPDN: sample("vpdn/12.3"),
    USERS: sample("users/12.2").replace("Vi1 ", "Vi3 "),
    IPSEC: sample("ipsec_sa/12.4-nat-t"),
    ISAKMP: sample("isakmp_sa/12.4"),
}


def seen(**changes):
    return gateway_view.view(7.5, "end", TEXTS | {globals()[name]: text for name, text in changes.items()}, "gateway")


def test_two_clients_behind_one_nat():
    """By the ports of the document of `set nat demux`, with the tunnel that it shows."""
    assert set(TEXTS) == set(ASKED)
    view = seen()
    assert (view.t, view.label, view.texts) == (7.5, "end", TEXTS)
    assert view.sas == (
        GatewaySa("60000000", True, NAT, 62636, None, 1024),
        GatewaySa("70000000", False, NAT, 62636, None, 1024),
        GatewaySa("60000001", True, NAT, 62637, None, 1025),
        GatewaySa("70000001", False, NAT, 62637, None, 1025),
    )
    assert view.sessions == (GatewaySession(NAT, 1025, 4571, 61568, 4, 691, "Vi3", "20.0.0.100"),)
    assert view.ports == {1: 1024, 2: 1025}
    assert view.ike_sas == ()


def test_a_session_whose_interface_no_user_has_yet_has_no_address():
    assert seen(USERS=sample("users/12.2")).sessions == (GatewaySession(NAT, 1025, 4571, 61568, 4, 691, "Vi3", None),)


def test_a_tunnel_without_a_session_is_told_too():
    before, _, after = sample("vpdn/12.3").partition("LocID RemID TunID")
    text = before.replace("sessions 1", "sessions 0").replace(" 1     ", " 0     ") + after.partition("\n\n")[2]
    assert seen(VPDN=text).sessions == (GatewaySession(NAT, 1025, 4571, 61568),)


def test_a_release_that_shows_no_port_of_a_tunnel():
    """From 12.4T on: 1701 would be a guess, and an accusation."""
    view = seen(VPDN=sample("vpdn/15-lac-lns"))
    assert [(one.peer_port, one.tunnel_local, one.session_local, one.interface) for one in view.sessions] == [
        (None, 7658, 3542, "Vi2.1"),
        (None, 11479, 24593, None),
        (None, 11479, 24594, "Gi0/0/0"),
    ]


def test_without_translation_or_encapsulation_there_is_neither_port():
    text = sample("ipsec_sa/12.4-nat-t").replace("/17/1024)", "/17/1701)").replace("/17/1025)", "/17/0)").replace(" UDP-Encaps", "")
    view = seen(IPSEC=text)
    assert {(sa.udp_port, sa.translated_port) for sa in view.sas} == {(None, None)}
    assert view.ports == {}


def test_a_flow_whose_sas_are_gone_holds_no_port():
    text = sample("ipsec_sa/12.4-nat-t")
    first, mark, second = text.rpartition("   protected vrf: (none)")
    gone = "".join(line for line in second.splitlines(True) if not line.startswith("      "))
    view = seen(IPSEC=first + mark + gone)
    assert view.ports == {1: 1024}
    assert [sa.spi for sa in view.sas] == ["60000000", "70000000"]


def test_what_a_run_would_end():
    assert gateway_view.somebodys(TEXTS, "gateway") == f"1 L2TP tunnel ({NAT}) and 2 IPsec flows ({NAT})"
    ending = TEXTS | {VPDN: TEXTS[VPDN].replace(" est ", " shu ", 1)}
    assert gateway_view.somebodys(ending, "gateway") == f"2 IPsec flows ({NAT})"
    idle = {IPSEC: sample("ipsec_sa/iosxe-idle"), VPDN: "%No active L2TP tunnels\n"}
    assert gateway_view.somebodys(idle, "gateway") == ""


def test_nothing_is_up():
    texts = {VPDN: "%No active L2TP tunnels\n", USERS: sample("users/12.2"), IPSEC: "No SAs found\n", ISAKMP: ""}
    view = gateway_view.view(1.0, "before", texts, "gateway")
    assert (view.sessions, view.sas, view.ports) == ((), (), {})


@pytest.mark.parametrize("command", ASKED)
def test_a_line_that_nobody_knows_makes_no_account(command):
    with pytest.raises(DeviceError, match=rf"^gateway: '{command}': a line that no parser knows: something new is here$"):
        gateway_view.view(1.0, "x", TEXTS | {command: f"{TEXTS[command]}\nsomething new is here\n"}, "gateway")


@pytest.mark.parametrize(
    ("command", "until", "why"),
    [(VPDN, "LocID RemID TunID", "it tells of 1 sessions, and holds 0"), (IPSEC, "outbound esp", "do not come to their end")],
)
def test_an_output_that_was_cut_off_makes_no_account(command, until, why):
    text = TEXTS[command][: TEXTS[command].rindex(until)]
    with pytest.raises(DeviceError, match=f"^gateway: '{command}': .*{why}"):
        gateway_view.view(1.0, "x", TEXTS | {command: text}, "gateway")
