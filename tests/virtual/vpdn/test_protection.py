"""What comes in the clear to a protected tunnel, what becomes of forged and repeated packets, and what the router shows of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vpdn_bench import ACCEPT, LAC, LNS, LNS_PPP, REQUEST

from harness.virtual.vpdn import view
from harness.wire import ip
from harness.wire.l2tp import header
from harness.wire.l2tp.message import Type, build
from harness.wire.packet import ESP, Packet, to_ip


def send_clear(world, payload: bytes, source: str = LAC) -> None:
    """To the LNS, as from the LAC's own L2TP port."""
    world.switch.send(to_ip(Packet(source, LNS, ip.UDP, payload, 1701, 1701)))
    world.run(1.0)


def sccrq(host: str) -> bytes:
    values = {
        "protocol-version": 0x0100, "framing-capabilities": 1, "host-name": host, "assigned-tunnel-id": 77,
        "receive-window-size": 8,
    }  # fmt: skip
    return header.build_control(0, 0, 0, 0, build(Type.SCCRQ, values))


def shown(world, address: str = LNS) -> view.RouterView:
    return view.of(world.loop.time(), world.boxes[address].core)


@pytest.mark.parametrize("protected", [True, False])
def test_an_sccrq_in_the_clear(bench, protected: bool) -> None:
    """SEC-31, and SEC-30 as its control: ignored without an answer where the group is protected, else answered."""
    world = bench(ACCEPT if protected else replace(ACCEPT, security=None))
    send_clear(world, sccrq("LAC"))
    answers = [packet for packet in world.since() if packet.src == LNS]
    assert bool(answers) is not protected
    assert bool(world.lns.core.lns.tunnels) is not protected
    assert shown(world).ignored == ({"SCCRQ": 1} if protected else {})
    assert any("crypto profile l2tp protects" in reason for reason in world.reasons(LNS, "dropped")) is protected


def test_data_in_the_clear_for_a_live_session(bench) -> None:
    """SEC-32: the IDs are right and the PPP frame is a ping, which would be answered; nothing moves."""
    world = bench()
    caller = world.call()
    (tunnel,) = shown(world).tunnels
    before, packets = len(world.since()), shown(world).esp_sas
    ping = ip.build_ipv4(caller.core.address, LNS_PPP, ip.ICMP, ip.build_echo(ip.Echo(True, 9, 9, b"spoofed")))
    send_clear(world, header.build_data(tunnel.number, tunnel.sessions[0].number, b"\xff\x03\x00\x21" + ping))
    assert world.since()[before:] == []
    assert shown(world).ignored == {"data": 1}
    assert shown(world).esp_sas == tuple(
        replace(row, left_s=row.left_s - 1.0) for row in packets
    )
    assert world.ping(caller)


@pytest.mark.parametrize("kind", ["StopCCN", "Hello", "CDN", "ZLB"])
def test_control_messages_in_the_clear_for_a_live_tunnel(bench, kind: str) -> None:
    """SEC-33: with the very numbers that the LNS waits for; the tunnel stays and nothing is acknowledged."""
    world = bench()
    caller = world.call()
    (tunnel,) = shown(world).tunnels
    live = world.lns.core.lns.tunnels[tunnel.number].core
    numbers = live._channel._nr, live._channel._first
    bodies = {
        "StopCCN": build(Type.STOPCCN, {"assigned-tunnel-id": tunnel.remote, "result-code": _result(1)}),
        "CDN": build(Type.CDN, {"result-code": _result(3), "assigned-session-id": tunnel.sessions[0].remote}),
        "Hello": build(Type.HELLO, {}),
        "ZLB": b"",
    }
    session = tunnel.sessions[0].number if kind == "CDN" else 0
    before = len(world.since())
    send_clear(world, header.build_control(tunnel.number, session, *numbers, bodies[kind]))
    assert world.since()[before:] == []
    assert shown(world).ignored == {kind: 1}
    assert (live._channel._nr, live._channel._first) == numbers
    assert world.ping(caller)


def _result(code: int):
    from harness.wire.l2tp.avp import Result

    return Result(code)


def test_the_lac_ignores_the_clear_too(bench) -> None:
    world = bench()
    caller = world.call()
    (tunnel,) = shown(world, LAC).tunnels
    ping = ip.build_ipv4(LNS_PPP, caller.core.address, ip.ICMP, ip.build_echo(ip.Echo(True, 9, 9, b"spoofed")))
    data = header.build_data(tunnel.number, tunnel.sessions[0].number, b"\xff\x03\x00\x21" + ping)
    before = len(caller.core.packets)
    world.switch.send(to_ip(Packet(LNS, LAC, ip.UDP, data, 1701, 1701)))
    world.run(1.0)
    assert len(caller.core.packets) == before
    assert shown(world, LAC).ignored == {"tunnel of the LAC": 1}
    assert world.ping(caller)


def test_a_clear_group_is_not_opened_by_another_ones_sas(bench) -> None:
    """A message for a clear tunnel that comes by IPsec is another's: B's SA, A's IDs (RFC 3193 §3.3)."""
    world = bench(replace(ACCEPT, security=None), replace(REQUEST, security=None))
    caller = world.call()
    (tunnel,) = shown(world).tunnels
    message = header.build_control(tunnel.number, 0, 9, 9, build(Type.HELLO, {}))
    client = next(iter([object()]))
    world.lns.order(lambda now: world.lns.core._l2tp(now, LAC, 1701, message, client))
    assert shown(world).ignored == {"Hello": 1}
    assert world.ping(caller)


def test_a_flipped_bit_is_dropped_and_counted(bench) -> None:
    """SEC-131."""
    world = bench()
    caller = world.call()
    flipped: list[Packet] = []

    def flip(packet: Packet) -> bool:
        if packet.protocol == ESP and packet.src == LAC and not flipped:
            flipped.append(packet)
            broken = bytearray(packet.payload)
            broken[40] ^= 1
            world.switch.send(to_ip(replace(packet, payload=bytes(broken))))
            return True
        return False

    world.lose = flip
    assert not world.ping(caller)
    assert flipped
    inbound, outbound = shown(world).esp_sas
    assert (inbound.unauthentic, inbound.replayed, outbound.unauthentic) == (1, 0, 0)
    assert any("wrong ICV" in reason for reason in world.reasons(LNS, "dropped"))
    assert world.ping(caller)


def test_a_hundred_replays_are_dropped_and_counted(bench) -> None:
    """SEC-132: packets from inside the window and from left of it."""
    world = bench()
    caller = world.call()
    for number in range(100):
        caller.send(caller.core.ping(LNS_PPP, f"old {number}".encode(), number))
    world.run(2.0)
    old = [packet for packet in world.esp() if packet.src == LAC][-100:]
    answers = len(caller.core.packets)
    before = shown(world).esp_sas[0]
    for packet in old:
        world.switch.send(to_ip(packet))
    world.run(2.0)
    after = shown(world).esp_sas[0]
    assert (after.replayed - before.replayed, after.packets - before.packets) == (100, 0)
    assert len(caller.core.packets) == answers
    assert world.ping(caller)


def test_counters_move_with_traffic(bench) -> None:
    """SEC-97 and 98 in the view: each row has its own direction."""
    world = bench()
    caller = world.call()
    before = shown(world).esp_sas
    for number in range(20):
        assert world.ping(caller, payload=f"mark {number}".encode())
    after = shown(world).esp_sas
    assert [row.packets - old.packets for row, old in zip(after, before, strict=True)] == [20, 20]
    assert [row.inbound for row in after] == [True, False]
    lac = shown(world, LAC).esp_sas
    assert {row.spi: row.packets for row in lac} == {row.spi: row.packets for row in after}


def test_the_wire_shows_no_name(bench) -> None:
    """SEC-130, 133: with Hellos, acknowledgements, PPP and data on it."""
    world = bench()
    caller = world.call(echo_s=30.0)
    assert world.ping(caller, payload=b"a marked payload")
    world.run(300.0)
    text = b"".join(packet.payload for packet in world.since())
    for word in (b"userSerial10", b"cisco", b"LAC", b"LNS", b"a marked payload", b"\xff\x03\xc0\x21"):
        assert word not in text, word
    assert not world.clear()
    assert len([packet for packet in world.esp() if packet.src == LNS]) > 20


def test_a_cut_path_is_found_by_hello(bench) -> None:
    """SEC-134: nothing but L2TP's own keepalive is on."""
    world = bench()
    caller = world.call()
    world.run(90.0)
    assert not caller.core.down
    world.lose = lambda packet: True
    world.run(120.0)
    (down,) = world.of(LNS, "tunnel-down")
    assert (down.detail["by"], "HELLO" in down.detail["reason"]) == ("silence", True)
    assert caller.core.down
    assert not shown(world).esp_sas
