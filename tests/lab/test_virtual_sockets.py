"""The sockets of the gateway's process, on a loopback and on a veth pair whose other end the test plays."""

from __future__ import annotations

import socket
import struct

import pytest
from enclosed import enclosed

from harness.errors import LabError
from harness.lab.namespaces import Netns, link
from harness.virtual.sockets import WAITING, Lan, Wire
from harness.wire import ip
from harness.wire.packet import ESP, Packet

lab = pytest.mark.lab
HERE, THERE = "127.0.0.1", "127.0.0.2"
ARP = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826
OURS, HOST = "192.168.7.1", "192.168.7.2"
HOST_HARDWARE = bytes.fromhex("020000000002")


def taken(wire: Wire, port: int) -> list[Packet]:
    found: list[Packet] = []
    while more := list(wire.read(port)):
        found += more
    return found


@lab
@enclosed
def test_the_wire_carries_udp_and_esp():
    netns = Netns.create("here")
    netns.ip("link", "set", "lo", "up")
    with netns.entered():
        one, two = Wire(HERE), Wire(THERE)
        assert sorted(one.filenos().values()) == [0, 500, 1701, 4500]
        assert not taken(two, 500)
        for port in (500, 4500, 1701):
            one.send(Packet(HERE, THERE, ip.UDP, b"to %d" % port, port, port))
            assert taken(two, port) == [Packet(HERE, THERE, ip.UDP, b"to %d" % port, port, port)]
        one.send(Packet(HERE, THERE, ip.UDP, b"across", 4500, 500))
        assert taken(two, 500) == [Packet(HERE, THERE, ip.UDP, b"across", 4500, 500)]
        one.send(Packet(HERE, THERE, ESP, b"\1\2\3\4sealed"))
        assert taken(two, 0) == [Packet(HERE, THERE, ESP, b"\1\2\3\4sealed")]
        assert (dict(one.counters), dict(two.counters)) == ({"sent": 5}, {"received": 5})
        one.send(Packet(HERE, THERE, ip.UDP, bytes(70000), 500, 500))
        one.send(Packet(HERE, "192.0.2.1", ip.UDP, b"nowhere", 500, 500))
        one.send(Packet(HERE, THERE, ip.UDP, b"from a port that is not open here", 501, 500))
        reasons = {"unsent: EMSGSIZE": 1, "unsent: ENETUNREACH": 1, "unsent: from port 501": 1}
        assert dict(one.counters) == {"sent": 5, "unsent": 3, **reasons}
        one.close()
        two.close()
        Wire(HERE).close()  # the ports are free again
        with pytest.raises(LabError, match=r"open the gateway's sockets.*Cannot assign"):
            Wire("192.0.2.1")


@lab
@enclosed
def test_dont_fragment_is_as_each_packet_says_where_that_is_asked_for():
    netns = Netns.create("here")
    netns.ip("link", "set", "lo", "up")
    with netns.entered(), socket.socket(socket.AF_INET, socket.SOCK_RAW, ESP) as there:
        there.bind((THERE, 0))
        there.settimeout(10)
        wire = Wire(HERE, marks_df=True)
        seen = []
        for df in (False, True, True, False):
            wire.send(Packet(HERE, THERE, ESP, b"\1\2\3\4sealed", df=df))
            seen.append(bool(there.recv(100)[6] & 0x40))
        assert seen == [False, True, True, False]
        wire.close()


@lab
@enclosed
def test_what_the_kernel_had_no_room_for_is_counted():
    netns = Netns.create("here")
    netns.ip("link", "set", "lo", "up")
    with netns.entered():
        one, two = Wire(HERE), Wire(THERE)
        got = 0
        for _ in range(2):  # a datagram says how many were lost before it, so that the second round tells of the first
            for _ in range(3000):
                one.send(Packet(HERE, THERE, ip.UDP, bytes(60000), 500, 500))
            got += len(taken(two, 500))
        one.send(Packet(HERE, THERE, ip.UDP, b"the last", 500, 500))
        got += len(taken(two, 500))
        lost = one.counters["sent"] - got
        assert lost > 0
        assert two.counters["overflowed"] == lost
        assert two.counters["received"] == got


class Neighbour:
    """The other end of the link, frame by frame."""

    def __init__(self, interface: str) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((interface, 0))
        self.socket.settimeout(5)

    def frames(self, kind: int, count: int) -> list[tuple[bytes, bytes, bytes]]:
        """The next frames of that Ethernet type: (to, from, payload)."""
        found = []
        while len(found) < count:
            frame, (_, _, direction, *_) = self.socket.recvfrom(65535)
            if direction != socket.PACKET_OUTGOING and frame[12:14] == kind.to_bytes(2):
                found.append((frame[:6], frame[6:12], frame[14:]))
        return found

    def say(self, to: bytes, kind: int, payload: bytes) -> None:
        self.socket.send(to + HOST_HARDWARE + kind.to_bytes(2) + payload)


@lab
@enclosed
def test_the_lan_asks_and_answers_arp():
    netns = Netns.create("here")
    link(netns, "ours", netns, "theirs")
    address, host = ip.packed(OURS), ip.packed(HOST)
    with netns.entered():
        neighbour, lan = Neighbour("theirs"), Lan("ours", OURS, HOST)
        own = lan.arp.getsockname()[4]
        packets = [ip.build_ipv4("172.16.1.10", HOST, ip.ICMP, b"%d" % number) for number in range(WAITING + 2)]
        for packet in packets:
            lan.send(packet)
        ask = ARP.pack(1, 0x0800, 6, 4, 1, own, address, bytes(6), host)
        to, sender, message = neighbour.frames(0x0806, 1)[0]
        assert (to, sender, message[: ARP.size]) == (b"\xff" * 6, own, ask)
        assert dict(lan.counters) == {"unsent": 2}
        neighbour.say(own, 0x0806, b"short")
        neighbour.say(own, 0x0806, ARP.pack(1, 0x0800, 6, 4, 2, b"\2" * 6, ip.packed("192.168.7.9"), own, address))
        lan.read_arp()
        assert not lan.counters["sent"], "somebody else's answer is none"
        neighbour.say(own, 0x0806, ARP.pack(1, 0x0800, 6, 4, 2, HOST_HARDWARE, host, own, address))
        lan.read_arp()
        assert neighbour.frames(0x0800, WAITING) == [(HOST_HARDWARE, own, packet) for packet in packets[:WAITING]]
        assert dict(lan.counters) == {"unsent": 2, "sent": WAITING}
        lan.send(packets[-1])
        assert neighbour.frames(0x0800, 1) == [(HOST_HARDWARE, own, packets[-1])]
        lan.send(bytes(3000))  # more than the link takes
        assert dict(lan.counters) == {"unsent": 3, "sent": WAITING + 1}

        for asking, target in (("192.168.7.9", "192.168.7.77"), (HOST, OURS)):
            request = ARP.pack(1, 0x0800, 6, 4, 1, HOST_HARDWARE, ip.packed(asking), bytes(6), ip.packed(target))
            neighbour.say(b"\xff" * 6, 0x0806, request)
        lan.read_arp()
        answer = ARP.pack(1, 0x0800, 6, 4, 2, own, address, HOST_HARDWARE, host)
        to, sender, message = neighbour.frames(0x0806, 1)[0]
        assert (to, sender, message[: ARP.size]) == (HOST_HARDWARE, own, answer)

        assert not list(lan.read())
        neighbour.say(own, 0x0800, packets[0])
        neighbour.say(b"\xff" * 6, 0x0800, packets[1])  # for everybody is not for the gateway
        assert [one[: len(packets[0])] for one in lan.read()] == [packets[0]]
        assert lan.counters["received"] == 1
        lan.close()
        with pytest.raises(LabError, match="open interface nothing"):
            Lan("nothing", OURS, HOST)


@lab
@enclosed
def test_a_packet_from_the_end_host_shows_where_it_is():
    netns = Netns.create("here")
    link(netns, "ours", netns, "theirs")
    with netns.entered():
        neighbour, lan = Neighbour("theirs"), Lan("ours", OURS, HOST)
        own = lan.arp.getsockname()[4]
        packet = ip.build_ipv4(HOST, "172.16.1.10", ip.ICMP, b"x")
        neighbour.say(own, 0x0800, packet)
        assert list(lan.read()) == [packet]
        lan.send(packet)
        assert neighbour.frames(0x0800, 1) == [(HOST_HARDWARE, own, packet)]
        assert dict(lan.counters) == {"received": 1, "sent": 1}
