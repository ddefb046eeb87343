"""The wire between LAC and LNS as others read it: tshark, and the project's dissector, which shares no code with the cores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from vpdn_bench import ACCEPT, LAC, LNS, LNS_PPP, REQUEST

from harness.probes.dissector.frames import Addresses, FrameDissector
from harness.probes.keyring import Keyring, parse_keys
from harness.probes.pcap import RAW_IP, PcapWriter, read_frames
from harness.probes.tshark import judge, write_keys
from harness.virtual.vpdn.groups import Security
from harness.wire import events


def keyring(told: list[events.IkeUp | events.EspUp]) -> Keyring:
    lines: list[dict[str, str]] = []
    for event in told:
        if isinstance(event, events.IkeUp):
            line = {"kind": "ike", "icookie": event.icookie.hex(), "rcookie": event.rcookie.hex(), "iv": event.iv.hex()}
            lines.append(line | {"encryption": event.encryption, "hash": event.hash, "key": event.encryption_key.hex()})
            continue
        ways = (("in", event.spi_in, event.key_in, event.auth_key_in), ("out", event.spi_out, event.key_out, event.auth_key_out))
        for direction, spi, key, auth in ways:
            line = {"kind": "esp", "spi": f"{spi:08x}", "direction": direction, "key": key.hex(), "auth_key": auth.hex()}
            lines.append(line | {"encryption": event.encryption, "authentication": event.authentication})
    return parse_keys([json.dumps(line | {"client": "lac"}) for line in lines])


@pytest.fixture(params=["never", "always"])
def capture(bench, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, Keyring]:
    """A call, a ping, its end; and with keep-sa a second call."""
    keep = Security("l2tp", keep_sa=True)
    world = bench(replace(ACCEPT, security=keep, renegotiation=request.param), replace(REQUEST, security=keep))
    world.lac.core.ipsec.keys = []
    for number in range(2):
        caller = world.call()
        assert world.ping(caller, payload=f"mark {number}".encode())
        caller.close()
        world.run(30.0)
    path = tmp_path / "inside.pcap"
    with PcapWriter(path, RAW_IP) as writer:
        for at, data in world.raw:
            writer.write(at, data)
    return path, keyring(world.lac.core.ipsec.keys)


needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@needs_tshark
def test_tshark_reads_every_frame_to_the_end(capture: tuple[Path, Keyring]) -> None:
    path, keys = capture
    judgement = judge(path, keys)
    assert judgement.frames > 60
    assert judgement.malformed + judgement.errors + judgement.ike_not_decrypted + judgement.esp_not_decrypted == ()
    # An ICCN holds LCP options in AVPs, which tshark shows as PPP with nothing above it; there is one a call, and nothing else.
    assert {remark.what for remark in judgement.unknown} == {"raw:ip:esp:udp:l2tp:ppp:ppp:ppp: nothing read above ppp"}
    assert len(judgement.unknown) == 2


@needs_tshark
@pytest.mark.parametrize("capture", ["never"], indirect=True)
def test_tshark_finds_what_the_document_says(capture: tuple[Path, Keyring], tmp_path: Path) -> None:
    """SEC-07, 14, 31, 38 to 40, 93: names, messages in their order, two Deletes, one main mode for two tunnels."""
    path, keys = capture
    write_keys(keys, tmp_path / "keys")

    def field(show: str, *names: str) -> list[str]:
        columns = [part for name in names for part in ("-e", name)]
        command = ["tshark", "-n", "-r", str(path), "-Y", show, "-T", "fields", *columns]
        environment = os.environ | {"WIRESHARK_CONFIG_DIR": str(tmp_path / "keys")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True).stdout.splitlines()

    names = field("l2tp.avp.host_name", "ip.src", "l2tp.avp.message_type", "l2tp.avp.host_name")
    assert names == [f"{LAC}\t1\tLAC", f"{LNS}\t2\tLNS"] * 2
    messages = field("l2tp.avp.message_type", "ip.src", "l2tp.avp.message_type")
    call = [f"{LAC}\t1", f"{LNS}\t2", f"{LAC}\t3", f"{LAC}\t10", f"{LNS}\t11", f"{LAC}\t12"]
    assert [line for line in messages if line.split("\t")[1] not in ("6", "14", "4")] == call * 2
    assert field("isakmp.exchangetype == 2", "isakmp.exchangetype") == ["2"] * 6
    assert field("isakmp.exchangetype == 32", "isakmp.exchangetype") == ["32"] * 6
    assert field("isakmp.typepayload == 12", "isakmp.exchangetype")
    assert field("udp.port == 1701 && !esp", "frame.number") == []
    (proxied,) = set(field("l2tp.avp.proxy_authen_name", "l2tp.avp.proxy_authen_name"))
    assert proxied == "userSerial10@cisco.com"
    assert field("icmp.type == 0", "ip.src")[-1].endswith(LNS_PPP)


def test_the_dissector_reads_every_frame_too(capture: tuple[Path, Keyring]) -> None:
    """SEC-02, 62, 64: all ESP authentic and bare, transport mode without PFS in both offers, DES with SHA-1."""
    path, keys = capture
    dissector = FrameDissector(keys, Addresses(LNS, "", {"lac": LAC}))
    seen = [dissector.dissect("inside", frame)[0] for frame in read_frames(path)]
    assert [one["problem"] for one in seen if "problem" in one] == []
    assert {one["kind"] for one in seen} == {"ike", "esp"}
    esp = [one for one in seen if one["kind"] == "esp"]
    assert all(one["esp"]["icv_ok"] for one in esp)
    assert {one["headers"]["encapsulation"] for one in esp} == {"none"}
    ike = [one["ike"] for one in seen if one["kind"] == "ike"]
    assert all(one["decrypted"] for one in ike if one["encrypted"])
    quick = [one for one in ike if one["message"] == "QM1"]
    assert len(quick) == 2
    assert {proposal["encapsulation"] for one in quick for proposal in one["proposals"]} == {2}  # RFC 2407 §4.5: transport
    assert [one["message"] for one in ike if one["message"][:2] in ("MM", "QM")] == [
        "MM1", "MM2", "MM3", "MM4", "MM5", "MM6", "QM1", "QM2", "QM3", "QM1", "QM2", "QM3",
    ]  # fmt: skip
