"""Whole sessions in every mode, read by two that share no code with the stack: the probes' dissector, and tshark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.probes import tshark
from harness.probes.dissector.frames import Addresses, FrameDissector
from harness.probes.keyring import Keyring, parse_keys
from harness.probes.pcap import RAW_IP, PcapWriter, read_frames
from harness.wire import events, ip
from harness.wire.config import EspProposal
from harness.wire.ike.natt import DIALECTS
from harness.wire.packet import Packet, to_ip

Dial = Callable[..., Any]
CLIENT, GATEWAY = "10.0.0.2", "203.0.113.231"
ECHO = ip.build_echo(ip.Echo(True, 1, 1, b"anybody there? " * 5))
PING = ip.build_ipv4("172.16.1.10", "172.16.1.1", ip.ICMP, ECHO, identification=1)
L2TP = ["SCCRQ", "SCCRP", "SCCCN", "ICRQ", "ICRP", "ICCN", "CDN", "StopCCN"]


@dataclass(frozen=True)
class Mode:
    """How the client is dialled, and what is to be seen: frame kinds, and the encapsulation numbers of the proposals."""

    kinds: set[str]
    encapsulations: set[int] = field(default_factory=set)
    dial: dict[str, Any] = field(default_factory=dict)
    both: dict[str, Any] = field(default_factory=dict)  # of the IKE configurations on either side


NATTED, OPEN, CLEAR = {"ike", "esp"}, {"ike", "esp"}, {"l2tp-clear"}
MODES = {
    "NAT": Mode(NATTED, {4}),
    "NAT, draft": Mode(NATTED, {61444}, both={"vendor_ids": (DIALECTS[2].vendor_id,)}),
    "NAT, tunnel": Mode(NATTED, {3}, both={"mode": "tunnel"}),
    "NAT, draft, tunnel": Mode(NATTED, {61443}, both={"mode": "tunnel", "vendor_ids": (DIALECTS[1].vendor_id,)}),
    "no NAT": Mode(OPEN, {2}, {"nat": False}),
    "no NAT, tunnel": Mode(OPEN, {1}, {"nat": False}, {"mode": "tunnel"}),
    "no NAT-Traversal": Mode(OPEN, {2}, {"nat": False}, {"vendor_ids": ()}),
    "aggressive": Mode(NATTED, {4}, both={"exchange": "aggressive", "accept_aggressive": True}),
    "PFS": Mode(NATTED, {4}, both={"pfs": "modp1024"}),
    "floating port": Mode(NATTED, {4}, {"stack": {"l2tp_port": 1024, "udp_checksum": "zero"}}),
    "clear": Mode(CLEAR, dial={"ipsec": False}),
    "clear, floating port": Mode(CLEAR, dial={"ipsec": False, "stack": {"l2tp_port": 1024}}),
}
TRANSFORMS = [("des", "md5"), ("3des", "sha256"), ("aes-128", "md5"), ("aes-192", "sha1"), ("null", "sha1")]
MODES |= {
    f"{cipher} {mac}, {way}": Mode(NATTED, {4 if nat else 2}, {"nat": nat}, {"esp_proposals": (EspProposal(cipher, mac),)})
    for cipher, mac in TRANSFORMS
    for way, nat in (("NAT", True), ("no NAT", False))
}


def keyring(told: list[events.Event]) -> Keyring:
    """As the journal writes them."""
    lines: list[dict[str, str]] = []
    for event in told:
        if isinstance(event, events.IkeUp):
            line = {"kind": "ike", "icookie": event.icookie.hex(), "rcookie": event.rcookie.hex(), "iv": event.iv.hex()}
            lines.append(line | {"encryption": event.encryption, "hash": event.hash, "key": event.encryption_key.hex()})
        elif isinstance(event, events.EspUp):
            for direction, spi, key, auth in (
                ("in", event.spi_in, event.key_in, event.auth_key_in),
                ("out", event.spi_out, event.key_out, event.auth_key_out),
            ):
                line = {"kind": "esp", "spi": f"{spi:08x}", "direction": direction, "key": key.hex(), "auth_key": auth.hex()}
                lines.append(line | {"encryption": event.encryption, "authentication": event.authentication})
    return parse_keys([json.dumps(line | {"client": "c1"}) for line in lines])


@pytest.fixture(params=MODES)
def session(request: pytest.FixtureRequest, dial: Dial, tmp_path: Path) -> tuple[Mode, Path, Keyring]:
    """A session with rekeys in it, from the first message to the last, as it was between client and NAT."""
    mode = MODES[request.param]
    link = dial(**mode.dial, ike=mode.both, gateway_ike=mode.both)
    assert link.client.send_ip(link.now, PING)
    if "ike" in mode.kinds:
        link.settle()
        link.client.rekey_ipsec(link.now)
        link.settle()
        link.client.rekey_ike(link.now)
    link.settle()
    assert link.client.send_ip(link.now, PING)
    link.run(seconds=50)
    link.client.close(link.now)
    link.settle()
    path = tmp_path / "inside.pcap"
    writer = PcapWriter(path, RAW_IP)
    for number, (to_gateway, datagram) in enumerate(link.crossed):
        ends = (CLIENT, GATEWAY) if to_gateway else (GATEWAY, CLIENT)
        packet = Packet(*ends, datagram.protocol, datagram.payload, datagram.sport, datagram.dport)
        writer.write(number * 1_000_000, to_ip(packet, identification=number))
    writer.close()
    return mode, path, keyring(link.told)


def test_the_dissector_reads_every_frame_to_the_end(session: tuple[Mode, Path, Keyring]) -> None:
    mode, path, keys = session
    dissector = FrameDissector(keys, Addresses(GATEWAY, "", {"c1": CLIENT}))
    seen = [dissector.dissect("inside", frame)[0] for frame in read_frames(path)]
    assert [one["problem"] for one in seen if "problem" in one] == []
    assert {one["kind"] for one in seen} - {"keepalive"} == mode.kinds
    assert all(one["ike"]["decrypted"] for one in seen if one["kind"] == "ike" and one["ike"]["encrypted"])
    esp = [one for one in seen if one["kind"] == "esp"]
    assert all(one["esp"]["icv_ok"] for one in esp)
    natted = mode.dial.get("nat", True)
    assert {one["headers"]["encapsulation"] for one in esp} == ({"udp" if natted else "none"} if "esp" in mode.kinds else set())
    messages = [one["inner"]["l2tp"]["message"] for one in seen if one.get("inner") and "message" in one["inner"]["l2tp"]]
    assert [message for message in messages if message not in ("ZLB", "Hello")] == L2TP
    quick = [one["ike"] for one in seen if one["kind"] == "ike" and one["ike"]["message"] == "QM1"]
    assert {proposal["encapsulation"] for ike in quick for proposal in ike["proposals"]} == mode.encapsulations


def test_the_dissector_sees_what_the_mode_is_about(session: tuple[Mode, Path, Keyring]) -> None:
    mode, path, keys = session
    dissector = FrameDissector(keys, Addresses(GATEWAY, "", {"c1": CLIENT}))
    seen = [dissector.dissect("inside", frame)[0] for frame in read_frames(path)]
    ike = [one["ike"] for one in seen if one["kind"] == "ike"]
    named = [one["message"] for one in ike]
    if mode.both.get("exchange") == "aggressive":
        assert named[:3] == ["AM1", "AM2", "AM3"]
        assert all(len(one["nat_d"]) == 2 for one in ike[1:3])
    if "pfs" in mode.both:
        assert all("KE" in one["payloads"] for one in ike if one["message"] in ("QM1", "QM2"))
        groups = {proposal["group"] for one in ike if one["message"] == "QM1" for proposal in one["proposals"]}
        assert groups == {"modp1024"}
    inner = [one for one in seen if one.get("inner")]
    port = mode.dial.get("stack", {}).get("l2tp_port", 1701)
    assert {one["inner"]["sport"] for one in inner if one["src"] == CLIENT} == {port}
    to_gateway = [one for one in inner if one["src"] == CLIENT and one["kind"] == "esp"]
    if mode.both.get("mode") == "tunnel":
        assert {(one["esp"]["inner_src"], one["esp"]["inner_dst"]) for one in to_gateway} == {(CLIENT, GATEWAY)}
    for one in to_gateway:
        right = [[CLIENT, GATEWAY]] if "udp_checksum" not in mode.dial.get("stack", {}) else []
        assert one["inner"]["checksum_fits"] == right


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_every_frame_to_the_end(session: tuple[Mode, Path, Keyring]) -> None:
    _, path, keys = session
    assert tshark.judge(path, keys).remarks == ()
