"""tshark, which shares no code with this project, reads a whole session: ESP with the session's keys, L2TP, PPP and IP inside."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.wire import events, ip
from harness.wire.esp import AUTHENTICATIONS, ENCRYPTIONS, OutboundSa

TSHARK = shutil.which("tshark")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

Dial = Callable[..., Any]
CLIENT, GATEWAY = "10.0.0.2", "203.0.113.231"
PING = ip.build_ipv4("172.16.1.10", "172.16.1.1", ip.ICMP, ip.build_echo(ip.Echo(True, 1, 1, b"NSTM" * 20)), identification=1)
CIPHERS = {"aes-256": "AES-CBC [RFC3602]", "aes-128": "AES-CBC [RFC3602]", "3des": "TripleDES-CBC [RFC2451]"}
MACS = {"sha1": "HMAC-SHA-1-96 [RFC2404]", "sha256": "HMAC-SHA-256-128 [RFC4868]"}


def write_pcap(path: Path, crossed: list[tuple[bool, events.Datagram]]) -> None:
    """libpcap's file format, link type 101 (raw IP)."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for number, (to_gateway, datagram) in enumerate(crossed):
        ends = (CLIENT, GATEWAY) if to_gateway else (GATEWAY, CLIENT)
        inner = ip.build_udp(*map(ip.packed, ends), datagram.sport, datagram.dport, datagram.payload)
        packet = ip.build_ipv4(*ends, ip.UDP, inner, identification=number)
        out.append(struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet)
    path.write_bytes(b"".join(out))


def tshark(path: Path, *arguments: str) -> str:
    assert TSHARK is not None
    done = subprocess.run([TSHARK, "-r", str(path), *arguments], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def esp_options(up: events.EspUp) -> list[str]:
    """The run's keys in the form of tshark's esp_sa table, one line a direction."""
    cipher, mac = CIPHERS[up.encryption], MACS[up.authentication]
    rows = [
        (CLIENT, GATEWAY, up.spi_out, up.key_out, up.auth_key_out),
        (GATEWAY, CLIENT, up.spi_in, up.key_in, up.auth_key_in),
    ]
    options = ["-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"]
    for source, destination, spi, key, auth_key in rows:
        row = ("IPv4", source, destination, f"0x{spi:08x}", cipher, f"0x{key.hex()}", mac, f"0x{auth_key.hex()}")
        options += ["-o", "uat:esp_sa:" + ",".join(f'"{field}"' for field in row)]
    return options


@pytest.fixture
def session(dial: Dial, tmp_path: Path) -> tuple[Path, list[str]]:
    """A session from SCCRQ to Delete, with a ping in it, as a capture; and tshark's options to read it."""
    link = dial(echo_s=50.0)
    assert link.client.send_ip(link.now, PING)
    link.settle()
    link.run(seconds=60)  # keepalives, a Hello after 40 s, an echo after 50
    link.client.close(link.now)
    link.settle()
    path = tmp_path / "session.pcap"
    # IKE is another test's; the ESP packets are enough to see that all of it is read.
    write_pcap(path, [one for one in link.crossed if one[1].dport == 4500 and one[1].payload[:4] != bytes(4)])
    (up,) = link.of(events.EspUp)
    return path, esp_options(up)


def test_nothing_is_malformed_or_unknown(session: tuple[Path, list[str]]) -> None:
    path, options = session
    text = tshark(path, "-V", *options)
    for word in ("Malformed", "Unknown", "Reserved: 1", "unreassembled", "incorrect", "[Bad: True]"):
        lines = [line for line in text.splitlines() if word.lower() in line.lower()]
        assert not lines, f"tshark says {word}: {lines[:5]}"


def test_every_packet_is_authentic_and_decrypted(session: tuple[Path, list[str]]) -> None:
    path, options = session
    esp = tshark(path, "-Y", "esp", "-T", "fields", "-e", "esp.icv_good", "-e", "l2tp.type", *options).splitlines()
    assert len(esp) > 25
    assert {line.split("\t")[0] for line in esp} == {"1"}
    assert all(line.split("\t")[1] for line in esp)


def test_the_messages_are_what_they_should_be(session: tuple[Path, list[str]]) -> None:
    path, options = session
    types = tshark(path, "-Y", "l2tp.avp.message_type", "-T", "fields", "-e", "l2tp.avp.message_type", *options).split()
    assert types == ["1", "2", "3", "10", "11", "12", "6", "14", "4"]
    text = tshark(path, "-V", *options)
    for line in (
        "Vendor Name: Microsoft",
        "Firmware Revision: 1537 (0x0601)",
        "Receive Window Size: 8",
        "Vendor ID: Microsoft (311)",
        "Result code: Session disconnected for administrative reasons (3)",
        "Result code: General request to clear control connection (1)",
        "Protocol: Link Control Protocol (0xc021)",
        "Maximum Receive Unit: 1400",
        "Algorithm: MS-CHAP-2 (129)",
        "Challenge Handshake Authentication Protocol",
        "IP Address: 172.16.1.10",
        "Primary DNS Address: 172.16.1.1",
        "Type: 8 (Echo (ping) request)",
        "Code: Termination Request (5)",
    ):
        assert line in text, line


@pytest.mark.parametrize("encryption", CIPHERS)
@pytest.mark.parametrize("authentication", MACS)
def test_every_transform_is_read(encryption: str, authentication: str, tmp_path: Path) -> None:
    """ESP alone, once for each pair of transforms."""
    entropy = random.Random(5).randbytes
    key, auth_key = entropy(ENCRYPTIONS[encryption].key), entropy(AUTHENTICATIONS[authentication].key)
    sa = OutboundSa(0x1000, encryption, authentication, key, auth_key, entropy)
    ends = ip.packed(CLIENT), ip.packed(GATEWAY)
    packets = [sa.seal(ip.UDP, ip.build_udp(*ends, 9, 9, bytes(size))) for size in range(40)]
    path = tmp_path / "esp.pcap"
    write_pcap(path, [(True, events.Datagram(4500, 4500, packet)) for packet in packets])
    up = events.EspUp(1, 0x1000, "", encryption, authentication, 0, 0, key, auth_key, key, auth_key, False)
    found = tshark(path, "-T", "fields", "-e", "esp.icv_good", "-e", "udp.length", *esp_options(up)).splitlines()
    assert [line.split("\t")[0] for line in found] == ["1"] * 40
    assert [int(line.split("\t")[1].split(",")[-1]) for line in found] == [8 + size for size in range(40)]
