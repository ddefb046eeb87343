"""The IOS router's NAT as its configuration makes it: each line on packets, typed while the router runs, and taken back."""

import struct

import pytest
from nat_bench import Bench
from nat_packets import CLIENT, GATEWAY, NAT, OTHER, SECOND, echo, esp, ip, tcp, udp

from harness.model.predictable_spi import partner
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.nat_meaning import plan
from harness.virtual.ios.nat_role import CAPACITY, NatRole
from harness.virtual.ios.session import Session
from harness.virtual.ios.state import State

RULE = "ip nat inside source list 1 interface FastEthernet0/1 overload"
STARTUP = f"""\
version 12.4
interface FastEthernet0/0
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
interface FastEthernet0/1
 ip address {NAT} 255.255.255.0
 ip nat outside
{RULE}
access-list 1 permit {CLIENT}
line con 0
end
"""
ELSEWHERE, THIRD = "198.51.100.9", "198.51.100.77"


class Router(Bench):
    """A bench whose core is the router's NAT; `type` types in configuration mode."""

    def __init__(self, startup=STARTUP):
        self.state = State(startup=startup)
        assert self.state.troubles == []
        self.woken = []
        self.core = NatRole(self.state, lambda n: (b"seed" * n)[:n], lambda: self.woken.append(self.now))
        self.session = Session(self.state, "con 0")
        self.now = 0.0
        self.session.open(0.0)
        self.session.level = 15

    def run(self, line):
        self.session.take_output()
        self.session.receive(self.now, f"{line}\r".encode())
        return self.session.take_output().decode().split("\r\n")[1:-1]

    def type(self, *lines):
        self.run("configure terminal")
        said = [one for line in lines for one in self.run(line)]
        self.run("end")
        assert said == []

    def shown(self, more=""):
        self.run("terminal length 0")
        return [line.split() for line in self.run(f"show ip nat translations {more}")[1:]]


def untouched(nat, who, destination=GATEWAY):
    out = nat.up(udp(who, 500, destination, 500))
    return out is not None and (out.src, out.ports, out.ttl) == (who, (500, 500), 63)


# --- whom it translates ---


def test_who_is_not_in_the_list_is_routed_as_it_is_both_ways():
    nat = Router()
    assert nat.up(udp(CLIENT, 500, GATEWAY, 500)).src == NAT
    assert untouched(nat, SECOND)
    assert nat.down(udp(GATEWAY, 500, SECOND, 500)).flow == (GATEWAY, 500, SECOND, 500)
    assert [row[2] for row in nat.shown()] == [f"{CLIENT}:500"]
    nat.type(f"access-list 1 permit {SECOND}")
    assert nat.up(udp(SECOND, 500, GATEWAY, 500)).src == NAT


def test_an_extended_list_is_asked_about_each_packet():
    nat = Router()
    nat.type("access-list 101 deny udp any any eq 53", "access-list 101 permit ip any any")
    nat.type(f"no {RULE}", RULE.replace("list 1", "list 101"))
    assert nat.up(udp(CLIENT, 4000, GATEWAY, 53)).src == CLIENT
    assert nat.up(udp(CLIENT, 4000, GATEWAY, 54)).src == NAT
    assert nat.up(esp(CLIENT, GATEWAY, 0x1234)).src == NAT


@pytest.mark.parametrize(
    ("off", "on"),
    [
        ((f"no {RULE}",), (RULE,)),
        (("interface fa0/0", "no ip nat inside"), ("interface fa0/0", "ip nat inside")),
        (("interface fa0/1", "no ip nat outside"), ("interface fa0/1", "ip nat outside")),
        (("interface fa0/0", "shutdown"), ("interface fa0/0", "no shutdown")),
        (("no access-list 1",), (f"access-list 1 permit {CLIENT}",)),
    ],
)
def test_without_any_one_part_nothing_is_translated_and_with_it_again_it_is(off, on):
    nat = Router()
    assert nat.up(udp(CLIENT, 500, GATEWAY, 500)).src == NAT
    nat.type(*off)
    assert untouched(nat, CLIENT)
    assert nat.down(udp(GATEWAY, 7, NAT, 7)) is None  # for the router itself
    assert nat.up(udp(CLIENT, 7, "10.0.0.1", 7)) is None
    nat.type(*on)
    assert nat.up(udp(CLIENT, 500, GATEWAY, 500)).src == NAT


def test_another_outside_address_takes_the_place_of_the_first():
    nat = Router()
    nat.up(udp(CLIENT, 500, GATEWAY, 500))
    nat.type("interface fa0/1", f"ip address {ELSEWHERE} 255.255.255.0")
    assert nat.shown() == []
    assert nat.up(udp(CLIENT, 500, GATEWAY, 500)).src == ELSEWHERE
    assert nat.down(udp(GATEWAY, 500, NAT, 500)) is None


def test_a_static_translation_is_shown_at_once_and_works_from_outside():
    nat = Router()
    nat.type(f"ip nat inside source static {SECOND} {ELSEWHERE}")
    assert nat.shown() == [["---", ELSEWHERE, SECOND, "---", "---"]]
    assert nat.down(tcp(GATEWAY, 4000, ELSEWHERE, 22)).flow == (GATEWAY, 4000, SECOND, 22)
    assert nat.up(udp(CLIENT, 500, GATEWAY, 500)).src == NAT  # the rule is there beside it
    assert nat.run("clear ip nat translation *") == []
    assert nat.shown() == [["---", ELSEWHERE, SECOND, "---", "---"]]
    nat.type(f"no ip nat inside source static {SECOND} {ELSEWHERE}")
    assert nat.shown() == []
    assert untouched(nat, SECOND)


def test_esn_55_a_pool_without_overload_gives_each_host_an_address():
    nat = Router(
        STARTUP.replace(RULE, "ip nat pool net 171.69.233.209 171.69.233.210 netmask 255.255.255.240\n"
                              "ip nat inside source list 1 pool net")
    )  # fmt: skip
    nat.type(f"access-list 1 permit {SECOND}", "access-list 1 permit 10.0.0.4")
    assert nat.up(esp(CLIENT, GATEWAY, 0x1234)).src == "171.69.233.209"
    assert nat.up(udp(SECOND, 500, GATEWAY, 500)).flow == ("171.69.233.210", 500, GATEWAY, 500)
    assert nat.up(udp("10.0.0.4", 500, GATEWAY, 500)) is None  # none is left
    assert nat.down(esp(GATEWAY, "171.69.233.209", 0x9999)).dst == CLIENT
    assert sorted(nat.shown()) == [["---", "171.69.233.209", CLIENT, "---", "---"], ["---", "171.69.233.210", SECOND, "---", "---"]]
    nat.run("clear ip nat translation inside 171.69.233.210 10.0.0.3")
    assert nat.up(udp("10.0.0.4", 500, GATEWAY, 500)).src == "171.69.233.210"


def test_an_overloaded_pool_shares_its_first_address():
    nat = Router(
        STARTUP.replace(RULE, "ip nat pool net 171.69.233.209 171.69.233.210 prefix-length 28\n"
                              "ip nat inside source list 1 pool net overload")
    )  # fmt: skip
    nat.type(f"access-list 1 permit {SECOND}")
    ports = [nat.up(udp(who, 500, GATEWAY, 500)) for who in (CLIENT, SECOND)]
    assert {one.src for one in ports} == {"171.69.233.209"}
    assert ports[0].ports[0] != ports[1].ports[0]


# --- timers and limits ---


def test_time_outs_count_from_the_line_on_and_go_back_with_no():
    nat = Router()
    nat.type("ip nat translation udp-timeout 60", "ip nat translation dns-timeout 20", "ip nat translation icmp-timeout never")
    nat.up(udp(CLIENT, 4000, GATEWAY, 4000))
    nat.up(udp(CLIENT, 4001, GATEWAY, 53))
    nat.up(echo(CLIENT, GATEWAY, 8, 20))
    nat.wait(20.0)
    assert [row[0] for row in nat.shown()] == ["icmp", "udp"]
    nat.wait(40.0)
    assert [row[0] for row in nat.shown()] == ["icmp"]
    nat.wait(1e6)
    assert [row[0] for row in nat.shown()] == ["icmp"]
    nat.type("no ip nat translation udp-timeout 60")
    nat.up(udp(CLIENT, 4000, GATEWAY, 4000))
    nat.wait(299.0)
    assert [row[0] for row in nat.shown("udp")] == ["udp"]
    nat.wait(1.0)
    assert nat.shown("udp") == []


def test_what_is_shown_is_of_the_moment_at_which_it_is_asked_for():
    nat = Router()
    nat.up(udp(CLIENT, 4000, GATEWAY, 4000))
    nat.now = 250.0  # nothing has ticked
    assert "create 00:04:10, use 00:04:10," in " ".join(nat.run("show ip nat translations verbose")[2].split())
    nat.now = 300.0
    assert nat.shown() == []


def test_max_entries():
    nat = Router()
    nat.type("ip nat translation max-entries 1")
    assert nat.up(udp(CLIENT, 4000, GATEWAY, 4000)) is not None
    assert nat.up(udp(CLIENT, 4000, OTHER, 4000)) is None
    nat.type("no ip nat translation max-entries")
    assert nat.core.core.parts.translator.table.limit == CAPACITY
    assert nat.up(udp(CLIENT, 4000, OTHER, 4000)) is not None


# --- services ---


def test_esn_70_to_72_ftp_and_skinny_on_their_ports_beside_esp_and_ike():
    nat = Router()
    nat.type("access-list 20 permit any", "ip nat service list 20 ftp tcp port 2021", "ip nat service skinny tcp port 20002")
    assert nat.up(tcp(CLIENT, 3001, GATEWAY, 21)) is None
    said = b"PORT 10,0,0,2,19,136\r\n"
    nat.up(tcp(CLIENT, 3000, GATEWAY, 2021))
    out = nat.up(tcp(CLIENT, 3000, GATEWAY, 2021, said, flags=0x10, seq=1))
    assert out.payload[20:].startswith(b"PORT 203,0,113,232,")
    register = struct.pack("<III", 60, 0, 1) + bytes(24) + bytes((10, 0, 0, 2)) + bytes(28)
    assert nat.up(tcp(CLIENT, 3002, GATEWAY, 20002, register, flags=0x10, seq=1)).payload[56:60] == bytes((203, 0, 113, 232))
    nat.type(*(f"ip nat service list 20 {what}" for what in ("ftp tcp port 21", "ESP spi-match", "IKE preserve-port")))
    assert nat.up(tcp(CLIENT, 3001, GATEWAY, 21)) is not None
    nat.type("no ip nat service list 20 ftp tcp port 2021", "no ip nat service list 20 ftp tcp port 21")
    nat.up(tcp(CLIENT, 3003, GATEWAY, 2021))
    assert nat.up(tcp(CLIENT, 3003, GATEWAY, 2021, said, flags=0x10, seq=1)).payload[20:] == said


def test_esn_73_the_other_services_are_taken_and_change_nothing():
    nat = Router()
    lines = ("ip nat service H225", "ip nat service ras", "ip nat service sip tcp port 5060", "ip nat service sip udp port 5060")
    nat.type("ip nat service list 1 ESP spi-match", *lines)
    text = f"INVITE sip:bob@{CLIENT}".encode()
    assert nat.up(udp(CLIENT, 5060, GATEWAY, 5060, text)).payload[8:] == text
    assert [row[4] for row in nat.shown("esp")] == []
    nat.up(esp(CLIENT, GATEWAY, 0x1234))
    assert len(nat.shown("esp")) == 2


def test_a_service_list_by_name_that_looks_at_the_outside_end_and_the_protocol():
    nat = Router()
    nat.type(
        "ip access-list extended VPN",
        f"deny esp any host {OTHER}",
        "permit udp any any eq 500",
        f"permit esp host {CLIENT} any",
        "exit",
        "ip nat service list VPN ESP spi-match",
    )
    nat.up(esp(CLIENT, GATEWAY, 0x1234))
    nat.up(esp(CLIENT, OTHER, 0x5678))
    assert [row[4].split(":")[0] for row in nat.shown("esp")] == [OTHER, GATEWAY, GATEWAY]
    nat.type(f"access-list 1 permit {SECOND}")
    nat.up(esp(SECOND, THIRD, 0x9999))  # the line about UDP is not about it
    assert [row[4].split(":")[0] for row in nat.shown("esp")] == [THIRD, OTHER, GATEWAY, GATEWAY]


def test_esn_60_one_of_a_hosts_two_tunnels_is_cleared_by_its_spi_in_either_place():
    nat = Router()
    nat.type("ip nat service list 1 ESP spi-match")

    def spis():
        return {int(row[4].split(":")[1], 16) for row in nat.shown("esp")} - {0}

    for command in (
        f"clear ip nat translation esp inside {NAT} 0 {CLIENT} {partner(0x1234):08x}",
        f"clear ip nat translation esp inside {NAT} 0 {CLIENT} 0 {GATEWAY} 0 {GATEWAY} 1234",
    ):
        for spi in (0x1234, 0x5678):
            nat.up(esp(CLIENT, GATEWAY, spi))
        assert spis() == {0x1234, 0x5678}
        assert nat.run(command) == []
        assert spis() == {0x5678}
    nat.run(f"clear ip nat translation esp inside {NAT} {CLIENT}")
    assert spis() == set()


def test_a_list_that_is_not_there_permits_nothing():
    nat = Router()
    nat.type("ip nat service list 77 ESP spi-match")
    nat.up(esp(CLIENT, GATEWAY, 0x1234))
    assert len(nat.shown("esp")) == 1


# --- the router's life ---


def test_a_reload_forgets_the_table_and_what_was_not_saved():
    nat = Router()
    nat.type("ip nat service list 1 ESP spi-match")
    nat.up(esp(CLIENT, GATEWAY, 0x1234))
    nat.now = 10.0
    nat.state.tick(10.0)
    nat.state.reload("Reload Command")
    assert nat.core.entries() == ()
    assert nat.up(esp(CLIENT, GATEWAY, 0x1234)) is None  # it boots
    assert nat.core.counts["down"] == 1
    nat.now = 20.0
    assert nat.up(esp(CLIENT, GATEWAY, 0x1234)) is not None
    assert len(nat.core.entries()) == 1  # half open: the service was not saved


def test_a_change_and_a_clear_wake_the_owner():
    """A packet that waited for the entry which is cleared goes out, without another packet or the time."""
    nat = Router()
    nat.type(f"access-list 1 permit {SECOND}")
    nat.up(esp(CLIENT, GATEWAY, 0x1234))
    assert nat.up(esp(SECOND, GATEWAY, 0x5678)) is None
    before = len(nat.woken)
    nat.now = 1.0
    nat.run("clear ip nat translation esp")
    assert len(nat.woken) > before
    assert [packet[20:24] for _, packet in nat.core.take_packets()] == [(0x5678).to_bytes(4)]


@pytest.mark.parametrize("packet", [b"", b"E", bytes(40), b"\x45" + bytes(18), ip(CLIENT, GATEWAY, 17, b"")])
@pytest.mark.parametrize("side", ["inside", "outside"])
def test_any_bytes_may_come_in(side, packet):
    for nat in (Router(), Router(STARTUP.replace(RULE + "\n", ""))):
        nat.core.receive(1.0, side, packet)
        assert len(nat.core.take_packets()) <= (packet[:1] == b"\x45" and len(packet) == 20 and side == "inside")


def test_what_is_not_honoured_is_told():
    def lacks(*lines):
        configuration = Configuration()
        assert load(configuration, [*STARTUP.splitlines()[:-1], *lines, "end"], State().features) == []
        return plan(configuration.tree).lacks

    assert lacks() == ()
    for line, said in (
        ("ip nat inside source route-map m interface FastEthernet0/1 overload", "knows no route maps"),
        ("ip nat inside source list 2 pool nowhere", "its pool does not exist"),
        ("ip nat inside source static tcp 10.0.0.5 80 198.51.100.9 80", "static translations are of whole addresses"),
        ("access-list 101 permit tcp any any gt 1023", "says more than this NAT looks at"),
    ):
        (one,) = lacks(line)
        assert said in one
        assert line in one
    (one,) = lacks("ip nat pool p 198.51.100.9 198.51.100.10 prefix-length 24", "ip nat inside source list 2 pool p")
    assert "one kind of dynamic rules" in one
