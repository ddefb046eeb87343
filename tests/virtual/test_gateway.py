"""Clients come, stay and go: the whole gateway, in memory."""

from __future__ import annotations


def test_one_client_comes_up_and_is_answered(world) -> None:
    net = world("demux")
    one = net.dial(1)
    assert one.up, (one.told, net.events)
    assert one.stack.address == "172.16.1.10"
    assert net.ping(one)
    view = net.view()
    (session,) = view.sessions
    assert (session.peer_address, session.peer_port, session.ppp_address) == ("203.0.113.232", 1024, "172.16.1.10")
    assert {sa.translated_port for sa in view.sas} == {1024}
    assert view.ports == {1: 1024}
