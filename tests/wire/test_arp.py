"""ARP on Ethernet: who is asked for, who answers, what waits meanwhile."""

from __future__ import annotations

import pytest

from harness.errors import ProtocolError
from harness.wire import arp, ip
from harness.wire.arp import BROADCAST, ETH_P_ARP, ETH_P_IP, TRIES, WAIT_S, WAITING, Arp, EthernetNode

HERE, THERE = b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2"
OWN, OTHER, THIRD = (ip.packed(f"10.0.0.{number}") for number in (1, 2, 3))
PACKET = ip.build_ipv4("10.0.0.1", "10.0.0.2", ip.UDP, bytes(9))


def node(hardware=HERE, own=OWN):
    return EthernetNode(hardware, lambda by, address: address == own)


def between(now, one, other):
    """All frames of both, until neither has any; the packets that came to each."""
    got = {one.hardware: [], other.hardware: []}
    while frames := [(to, frame) for by, to in ((one, other), (other, one)) for frame in by.take_frames()]:
        for to, frame in frames:
            assert frame[:6] in (to.hardware, BROADCAST)
            if (packet := to.receive(now, frame)) is not None:
                got[to.hardware].append(packet)
    return got


def test_a_packet_waits_until_its_neighbour_has_answered():
    one, other = node(), node(THERE, OTHER)
    one.send(0.0, OWN, OTHER, PACKET)
    (request,) = one.take_frames()
    assert request[:14] == BROADCAST + HERE + ETH_P_ARP.to_bytes(2)
    assert arp.parse(request[14:]) == Arp(True, HERE, OWN, OTHER)
    assert other.receive(0.0, request + bytes(18)) is None  # as Ethernet pads it
    assert between(0.0, one, other)[THERE] == [PACKET]
    other.send(1.0, OTHER, OWN, PACKET)  # who asked is known without being asked
    assert other.take_frames() == [HERE + THERE + ETH_P_IP.to_bytes(2) + PACKET]
    assert (one.deadline, other.deadline) == (None, None)


def test_padding_is_no_part_of_a_packet():
    frame = HERE + THERE + ETH_P_IP.to_bytes(2) + PACKET
    assert node().receive(0.0, frame + bytes(9)) == PACKET


def test_who_does_not_answer_is_asked_again_and_given_up():
    one = node()
    one.send(0.0, OWN, OTHER, PACKET)
    one.send(0.1, OWN, OTHER, PACKET)
    asked = one.take_frames()
    for _ in range(TRIES):
        assert one.deadline is not None
        one.tick(one.deadline)
        asked += one.take_frames()
    assert len(asked) == TRIES
    assert (one.deadline, one.counts["unresolved"]) == (None, 2)
    one.tick(9 * WAIT_S)
    one.send(9 * WAIT_S, OWN, OTHER, PACKET)  # and anew
    assert len(one.take_frames()) == 1


def test_only_so_many_packets_wait():
    one, other = node(), node(THERE, OTHER)
    for _ in range(WAITING + 3):
        one.send(0.0, OWN, OTHER, PACKET)
    assert one.counts["overflowed"] == 3
    assert len(between(0.0, one, other)[THERE]) == WAITING


def test_nobody_else_is_answered_for_or_learnt_from():
    one = node()
    for message in (Arp(True, THERE, OTHER, THIRD), Arp(False, THERE, OTHER, THIRD)):
        one.receive(0.0, BROADCAST + THERE + ETH_P_ARP.to_bytes(2) + arp.build(message))
    one.receive(0.0, BROADCAST + HERE + ETH_P_ARP.to_bytes(2) + arp.build(Arp(True, HERE, OTHER, OWN)))  # its own, come back
    assert (one.take_frames(), one.neighbours) == ([], {})


def test_a_neighbour_who_has_moved_is_followed():
    one, other = node(), node(THERE, OTHER)
    one.send(0.0, OWN, OTHER, PACKET)
    between(0.0, one, other)
    moved = Arp(True, b"\x02\0\0\0\0\3", OTHER, THIRD)
    one.receive(1.0, BROADCAST + moved.hardware + ETH_P_ARP.to_bytes(2) + arp.build(moved))
    one.send(1.0, OWN, OTHER, PACKET)
    assert [frame[:6] for frame in one.take_frames()] == [moved.hardware]


CUT, OF_IPV6 = arp.build(Arp(True, HERE, OWN, OTHER))[:-1], b"\0\1\x86\xdd\6\4\0\1" + bytes(20)


@pytest.mark.parametrize("payload", [b"", CUT, bytes(28), OF_IPV6])
def test_what_is_no_arp_of_ipv4_is_counted(payload):
    with pytest.raises(ProtocolError):
        arp.parse(payload)
    one = node()
    assert one.receive(0.0, BROADCAST + THERE + ETH_P_ARP.to_bytes(2) + payload) is None
    assert one.counts["strange"] == 1


@pytest.mark.parametrize(
    "frame",
    [b"", HERE, HERE + THERE + b"\x08\0", THERE + HERE + b"\x08\0" + PACKET, HERE + THERE + b"\x86\xdd" + PACKET],
)
def test_a_frame_that_is_not_for_it_gives_nothing(frame):
    assert node().receive(0.0, frame) is None
