"""The gateway's own account agrees with what its clients know of themselves."""

from __future__ import annotations

from harness.wire import events

NAT = "203.0.113.232"


def test_it_names_what_the_clients_have(world) -> None:
    net = world("demux")
    clients = [net.dial(1), net.dial(2)]
    view = net.view()
    assert (view.t, view.label) == (net.now, "test")
    assert [(s.peer_address, s.peer_port, s.ppp_address, s.interface) for s in view.sessions] == [
        (NAT, 1024, clients[0].stack.address, "ppp0"), (NAT, 1025, clients[1].stack.address, "ppp1")
    ]  # fmt: skip
    assert view.ports == {1: 1024, 2: 1025}
    for client, session, port in zip(clients, view.sessions, (1024, 1025), strict=True):
        tunnel, call = client.of(events.TunnelUp)[0], client.of(events.CallUp)[0]
        assert (session.tunnel_local, session.tunnel_remote) == (tunnel.tunnel_remote, tunnel.tunnel_local)
        assert (session.session_local, session.session_remote) == (call.session_remote, call.session_local)
        ike, esp, here = client.of(events.IkeUp)[0], client.of(events.EspUp)[0], net.outside[client.address, 4500]
        assert (ike.icookie.hex(), ike.rcookie.hex(), NAT, here) in view.ike_sas
        own = {(sa.spi, sa.inbound): sa for sa in view.sas if sa.udp_port == here}
        assert set(own) == {(f"{esp.spi_out:08x}", True), (f"{esp.spi_in:08x}", False)}
        assert {(sa.peer_address, sa.translated_port) for sa in own.values()} == {(NAT, port)}
    assert len(view.ike_sas) == 2
    assert len(view.sas) == 4


def test_a_person_can_read_it(world) -> None:
    net = world("demux")
    net.dial(1)
    view = net.view()
    (session,), (sa_in, sa_out), (ike,) = view.sessions, view.sas, view.ike_sas
    here = f"{NAT}:{ike[3]}"
    assert view.texts == {
        "ike-sas": f"{ike[0]} {ike[1]} {here}\n",
        "esp-sas": f"in  {sa_in.spi} {here} port 1024\nout {sa_out.spi} {here} port 1024\n",
        "sessions": f"tunnel {session.tunnel_local} (peer's {session.tunnel_remote}) {NAT}:1024 "
        f"session {session.session_local} ppp0 172.16.1.10\n",
    }


def test_without_nat_and_translation(world) -> None:
    net = world("plain", nat=False)
    one = net.dial(1)
    view = net.view()
    assert {(sa.peer_address, sa.udp_port, sa.translated_port) for sa in view.sas} == {(one.address, None, None)}
    assert [(s.peer_address, s.peer_port) for s in view.sessions] == [(one.address, 1701)]
    assert view.ports == {}
    assert f"{one.address}:- port -\n" in view.texts["esp-sas"]


def test_a_tunnel_without_a_call_is_shown_as_such(world) -> None:
    net = world("demux")
    one = net.dial(1)
    net.drop = lambda packet: packet.src == NAT
    net.gateway.close_call(net.now, net.view().sessions[0].session_local)
    net.settle()
    (session,) = net.view().sessions
    assert (session.session_local, session.session_remote, session.interface, session.ppp_address) == (None, None, None, None)
    assert session.tunnel_local == one.of(events.TunnelUp)[0].tunnel_remote
    assert net.view().texts["sessions"].endswith(" session - - -\n")
