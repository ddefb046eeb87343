from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.model import Side
from harness.probes.dissect import Addresses, Dissector
from harness.probes.sentinel import Exposure, flows, watch

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"


def findings(dissector: Dissector, craft: Any, folder: Path, *packets: bytes, **options: Any) -> tuple[Any, ...]:
    path = folder / "outside.pcap"
    path.write_bytes(craft.pcap_bytes([(n, craft.ether(packet)) for n, packet in enumerate(packets)]))
    return watch(dissector.dissect({Side.OUTSIDE: path}, addresses=Addresses(GATEWAY, NAT)), **options)


def test_a_protected_run_has_no_findings(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    client = craft.Client(world, 1)
    client.up()
    client.mark(1)
    client.keepalive()
    files = world.write(tmp_path)
    captures = {Side.INSIDE: files.inside, Side.OUTSIDE: files.outside}
    assert watch(dissector.dissect(captures, keys=files.keys, addresses=Addresses(GATEWAY, NAT))) == ()


def packets(craft: Any) -> dict[str, bytes]:
    def datagram(sport: int, dport: int, payload: bytes) -> bytes:
        return bytes(craft.ip(NAT, GATEWAY, 17, craft.udp(NAT, GATEWAY, sport, dport, payload)))

    quoted = craft.ip(NAT, GATEWAY, 17, craft.udp(NAT, GATEWAY, 1701, 1701, bytes(8)))
    harmless = craft.ip(NAT, GATEWAY, 17, craft.udp(NAT, GATEWAY, 1024, 4500, bytes(8)))

    def icmp(kind: int, body: bytes) -> bytes:
        bare = bytes([kind, 0, 0, 0]) + bytes(4) + body
        return bytes(craft.ip(GATEWAY, NAT, 1, bare[:2] + craft.summed(bare).to_bytes(2) + bare[4:]))

    return {
        "l2tp": datagram(1701, 1701, craft.control(1, 0, 0, 0, 0)),
        "l2tp on a strange port": datagram(1024, 1025, craft.control(1, 0, 0, 0, 0)),
        "null esp": datagram(1024, 4500, b"\1\2\3\4\0\0\0\1\x06\xa5\x06\xa5" + bytes(20)),
        "bare esp": craft.ip(NAT, GATEWAY, 50, b"\1\2\3\4\0\0\0\1" + bytes(32)),
        "gre": craft.ip(NAT, GATEWAY, 47, bytes(8)),
        "mark": craft.marked(NAT, GATEWAY, 4, 1, False),
        "ping": icmp(8, b"abcd"),
        "icmp about l2tp": icmp(3, quoted[:28]),
        "icmp about ipsec": icmp(3, harmless[:28]),
        "dns": datagram(1024, 53, b"x"),
        "tcp": craft.ip(NAT, GATEWAY, 6, bytes(20)),
        "no ike": datagram(500, 500, b"hello"),
    }


@pytest.mark.parametrize(
    ("name", "exposure"),
    [
        ("l2tp", Exposure.CLEAR_L2TP),
        ("l2tp on a strange port", Exposure.CLEAR_L2TP),
        ("null esp", Exposure.CLEAR_L2TP),
        ("bare esp", Exposure.BARE_ESP),
        ("gre", Exposure.CLEAR_PPP),
        ("mark", Exposure.CLEAR_PPP),
        ("ping", Exposure.UNKNOWN),
        ("icmp about l2tp", Exposure.CLEAR_L2TP),
        ("icmp about ipsec", None),
        ("dns", Exposure.UNKNOWN),
        ("tcp", Exposure.UNKNOWN),
        ("no ike", Exposure.UNKNOWN),
    ],
)
def test_each_kind_of_exposure(dissector: Dissector, craft: Any, tmp_path: Path, name: str, exposure: Exposure | None) -> None:
    found = findings(dissector, craft, tmp_path, packets(craft)[name])
    assert [f.exposure for f in found] == ([] if exposure is None else [exposure])
    assert all(f.frame == 1 and f.why for f in found)


def test_what_is_declared_clear_is_not_found_and_the_rest_is(dissector: Dissector, craft: Any, tmp_path: Path) -> None:
    sent = packets(craft)
    some = [sent["l2tp"], sent["bare esp"], sent["dns"], sent["l2tp"]]
    assert [f.frame for f in findings(dissector, craft, tmp_path, *some)] == [1, 2, 3, 4]
    assert [f.frame for f in findings(dissector, craft, tmp_path, *some, clear_expected=True)] == [2, 3]
    assert [f.frame for f in findings(dissector, craft, tmp_path, *some, clear_expected=lambda o: o.frame == 4)] == [1, 2, 3]
    assert [f.frame for f in findings(dissector, craft, tmp_path, *some, nat_traversal=False)] == [1, 3, 4]
    by_flow = flows(findings(dissector, craft, tmp_path, *some))
    assert [f.frame for f in by_flow[NAT, GATEWAY, 17, 1701, 1701]] == [1, 4]


def test_behind_the_gateway_clear_traffic_is_nobodys_business(dissector: Dissector, craft: Any, tmp_path: Path) -> None:
    path = tmp_path / "far.pcap"
    path.write_bytes(craft.pcap_bytes([(1, craft.ether(packets(craft)["mark"]))]))
    assert watch(dissector.dissect({Side.FAR_END: path})) == ()
