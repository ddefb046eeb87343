"""What the gateway tells of a connection: each event once, of the right peer, by the names that client and view have for it."""

from __future__ import annotations

import pytest

from harness.model import GatewayEvent
from harness.wire import events
from harness.wire.config import EspProposal

NAT = "203.0.113.232"
LIFE = ("ike-up", "port-given", "esp-up", "tunnel-up", "session-up", "ppp-up", "address-given")
END = ("ppp-down", "address-freed", "session-down", "tunnel-down", "esp-down", "port-freed", "ike-down")


def at(net, client) -> list[GatewayEvent]:
    return [e for e in net.events if (e.peer_address, e.peer_port) == (NAT, net.outside[client.address, 4500])]


def test_a_life_from_its_beginning(world) -> None:
    net = world("demux")
    clients = [net.dial(1), net.dial(2)]
    view = net.view()
    assert len(net.events) == 2 * len(LIFE)
    for client, session, port in zip(clients, view.sessions, (1024, 1025), strict=True):
        told = at(net, client)
        assert tuple(event.kind for event in told) == LIFE
        assert all(1000.0 <= event.t <= net.now for event in told)
        ike, esp = client.of(events.IkeUp)[0], client.of(events.EspUp)[0]
        call = {"tunnel": session.tunnel_local, "session": session.session_local}
        user = call | {"user": f"user{client.name[1:]}", "address": client.stack.address}
        assert [event.detail for event in told] == [
            {"icookie": ike.icookie.hex(), "rcookie": ike.rcookie.hex(), "rekey": False},
            {"port": port},
            {"spi_in": f"{esp.spi_out:08x}", "spi_out": f"{esp.spi_in:08x}", "port": port, "rekey": False},
            {"tunnel": session.tunnel_local, "remote": session.tunnel_remote, "host": f"win7-{client.name[1:]}"},
            call,
            user | {"interface": session.interface},
            user,
        ]


def test_a_client_ends_it(world) -> None:
    net = world("demux")
    one = net.dial(1)
    session, up = net.view().sessions[0], at(net, one)
    net.events.clear()
    one.stack.close(net.now)
    net.run(5)
    told = {event.kind: event.detail for event in at(net, one)}
    assert tuple(event.kind for event in net.events) == tuple(told) == END
    assert {kind: detail.get("by") for kind, detail in told.items()} == {
        kind: None if kind in ("address-freed", "port-freed") else "client" for kind in END
    }
    call = {"tunnel": session.tunnel_local, "session": session.session_local}
    user = call | {"user": "user1", "address": session.ppp_address}
    assert told["address-freed"] == user
    assert told["port-freed"] == {"port": 1024}
    assert told["ppp-down"].items() > user.items()
    assert "Terminate-Request" in told["ppp-down"]["reason"]
    assert told["session-down"].items() > call.items()
    assert "CDN" in told["session-down"]["reason"]
    assert (told["tunnel-down"]["tunnel"], told["tunnel-down"]["result"]) == (session.tunnel_local, 1)
    assert "StopCCN" in told["tunnel-down"]["reason"]
    before = {event.kind: event.detail for event in up}
    for down, was in (("esp-down", "esp-up"), ("ike-down", "ike-up")):
        names = {key: value for key, value in before[was].items() if key != "rekey"}
        assert told[down] == names | {"by": "client", "reason": "deleted by the peer"}


@pytest.mark.parametrize(
    ("order", "reasons"),
    [
        ("close_l2tp", {"ppp-down": "closed by order", "session-down": "closed by order"}),
        ("shut_down", {"ppp-down": "the gateway shuts down", "session-down": "the gateway shuts down"}),
    ],
)
def test_the_gateway_ends_it(world, order, reasons) -> None:
    net = world("demux")
    net.dial(1)
    net.events.clear()
    tunnel = net.view().sessions[0].tunnel_local
    net.gateway.close_l2tp(net.now, tunnel) if order == "close_l2tp" else net.gateway.shut_down(net.now)
    net.run(10)
    told = {event.kind: event.detail for event in net.events}
    assert tuple(event.kind for event in net.events) == END
    for kind in ("ppp-down", "session-down", "tunnel-down"):
        assert (told[kind]["by"], told[kind]["tunnel"]) == ("gateway", tunnel)
    assert {kind: told[kind]["reason"] for kind in reasons} == reasons


def test_ipsec_that_the_gateway_ends_takes_the_session_with_it(world) -> None:
    net = world("demux")
    one = net.dial(1)
    net.events.clear()
    net.gateway.delete_ipsec(net.now, net.spi(one))
    net.settle()
    told = {event.kind: event.detail for event in net.events}
    assert told["esp-down"]["by"] == told["ike-down"]["by"] == "gateway"
    assert told["session-down"]["reason"] == told["ppp-down"]["reason"] == "its IPsec connection has ended"
    assert told["address-freed"]["address"] == "172.16.1.10"
    assert not net.view().sessions, "nobody has to wait for a Hello"


def test_each_rekey_is_told_as_one(world) -> None:
    net = world("demux")
    one = net.dial(1)
    net.events.clear()
    one.stack.rekey_ipsec(net.now)
    net.run(30)
    (up,), (down,) = net.of("esp-up"), net.of("esp-down")
    assert up.detail["rekey"]
    assert (up.detail["port"], down.detail["port"]) == (1024, 1024)
    assert up.detail["spi_in"] != down.detail["spi_in"]
    assert not net.of("port-given")
    net.gateway.rekey_ike(net.now, net.spi(one))
    net.run(30)
    assert net.of("ike-up")[0].detail["rekey"]


def test_without_a_port_none_is_told(world) -> None:
    net = world("plain")
    net.dial(1)
    assert "port" not in net.of("esp-up")[0].detail
    assert not net.of("port-given")


def test_a_tunnel_without_a_call_is_closed(world) -> None:
    net = world("demux", call_wait=7.0, hang_up=2.0)
    one = net.dial(1)
    net.drop = lambda packet: packet.src == NAT
    net.gateway.close_call(net.now, net.view().sessions[0].session_local)
    net.settle()
    began = net.now
    assert not net.of("tunnel-down")
    net.drop = lambda packet: False
    one.stack.vanish()
    net.run(6.5)
    assert not [e for e in net.of("tunnel-down") if e.t < began + 6.5]
    net.run(40)
    assert net.of("tunnel-down")[0].t >= began + 7.0


def test_a_call_whose_ppp_has_ended_is_hung_up(world) -> None:
    net = world("demux", authentication=("mschapv2",), hang_up=3.0)
    one = net.dial(1, ppp__password="wrong")
    assert not one.up
    net.run(30)
    assert net.of("session-down")
    assert not net.view().sessions


def test_proposals_of_which_none_fits_are_told(world) -> None:
    net = world("demux")
    one = net.dial(1, ike__esp_proposals=(EspProposal("des", "md5"),), wait=100)
    assert not one.up
    refused = [event for event in net.of("refused") if event.peer_port == net.outside[one.address, 4500]]
    assert refused
    assert refused[0].peer_address == NAT
    assert {event.detail["layer"] for event in refused}
    assert all(event.detail["reason"] for event in refused)
    assert not net.of("esp-up")
