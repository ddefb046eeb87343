"""Plain hosts about a NAT: what they send is sound by scapy's reckoning, and what is not sound has not come to them."""

from __future__ import annotations

import asyncio

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from harness.model import nat_words
from harness.routers.nat_hosts import ACK, SYN, End, NatHosts

INSIDE, OUTSIDE = "10.0.0.5", "203.0.113.9"


class Lab:
    """Keeps what is sent; whoever is attached is handed what the test says."""

    def __init__(self) -> None:
        self.hosts = {}
        self.sent = []

    def attach(self, address, inside, arrives):
        self.hosts[address] = (inside, arrives)

    def from_neighbour(self, address, packet):
        inside, _ = self.hosts[address]
        self.sent.append(("inside" if inside else "outside", packet))


class Play:
    def __init__(self) -> None:
        self.lab = Lab()
        self.told = []
        self.number = 0

    def next_number(self):
        self.number += 1
        return self.number

    def tell(self, who, kind, **data):
        self.told.append((who, kind, data))

    async def until(self, holds, seconds):
        return holds()


@pytest.fixture
def play():
    return Play()


def test_what_they_send_has_sound_checksums_and_goes_to_their_own_wire(play):
    hosts = NatHosts(play, (INSIDE,), (OUTSIDE,))

    async def all_kinds():
        await hosts.udp(INSIDE, 4000, OUTSIDE, 53, b"odd")
        await hosts.ping(INSIDE, OUTSIDE, 20)
        end = End(OUTSIDE, 21, INSIDE, 3000)
        await hosts.tcp(end, flags=SYN)
        await hosts.tcp(end, b"hello", flags=ACK)

    asyncio.run(all_kinds())
    assert [side for side, _ in play.lab.sent] == ["inside", "inside", "outside", "outside"]
    assert {address: inside for address, (inside, _) in play.lab.hosts.items()} == {INSIDE: True, OUTSIDE: False}
    read = [IP(packet) for _, packet in play.lab.sent]
    for one in read:
        anew = one.copy()
        for layer in (IP, UDP, TCP, ICMP):
            if layer in anew:
                del anew[layer].chksum
        assert bytes(IP(bytes(anew))) == bytes(one)
    assert [(one[TCP].seq, one[TCP].flags.value) for one in read[2:]] == [(1000, SYN), (1001, ACK)]
    assert [one.id for one in read] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("transport", "seen"),
    [
        (UDP(sport=53, dport=4000), {"protocol": "udp", "sport": 53, "dport": 4000}),
        (TCP(sport=21, dport=3000, seq=7, ack=9, flags="PA"), {"protocol": "tcp", "seq": 7, "ack": 9, "flags": 0x18}),
        (ICMP(type=0, id=20), {"protocol": "icmp", "sport": 20}),
    ],
)
def test_what_comes_is_told_unless_a_checksum_is_wrong(play, transport, seen):
    NatHosts(play, (INSIDE,), (OUTSIDE,))
    arrives = play.lab.hosts[INSIDE][1]
    packet = bytes(IP(src=OUTSIDE, dst=INSIDE, id=77) / transport / Raw(b"words"))
    arrives(packet[:-1] + b"x")
    arrives(packet[:22])
    arrives(bytes(IP(src=OUTSIDE, dst=INSIDE, proto=50) / Raw(bytes(20))))
    assert play.told == []
    arrives(packet)
    ((who, kind, data),) = play.told
    assert (who, kind, data["number"], data["said"]) == (f"host {INSIDE}", "got", 77, "words")
    assert data.items() >= {"src": OUTSIDE, "dst": INSIDE, **seen}.items()


def test_words_that_a_nat_looks_into():
    assert nat_words.passive("10.0.0.99", 5000) == b"227 Entering passive mode (10,0,0,99,19,136).\r\n"
    assert nat_words.told_passive("227 =(203,0,113,99,4,0)") == ("203.0.113.99", 1024)
    assert nat_words.told_passive("230 Login successful.") is None
    register, opened = (made.decode("latin-1") for made in (nat_words.register(INSIDE), nat_words.opened(INSIDE, 16384)))
    assert (nat_words.told_register(register), nat_words.told_register(opened)) == (INSIDE, "")
    assert (nat_words.told_opened(opened), nat_words.told_opened(register)) == ((INSIDE, 16384), None)
    assert len(register.encode("latin-1")) == 8 + int.from_bytes(register.encode("latin-1")[:4], "little")
    assert nat_words.told_register("") == ""
    assert nat_words.told_opened("short") is None
