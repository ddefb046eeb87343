"""ESP in tunnel mode: what is read of the inner IP packet, and that nothing in one makes the dissector raise."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.probes.dissector.frames import Addresses, FrameDissector
from harness.probes.dissector.ike_layers import Payload as IkePayload
from harness.probes.dissector.ike_layers import describe
from harness.probes.keyring import parse_keys
from harness.probes.pcap import RAW_IP, RawFrame

CLIENT, GATEWAY, NAT = "10.0.0.2", "203.0.113.231", "203.0.113.232"
KEY, AUTH = b"\x07" * 8, b"\x5a" * 16
KEYS = parse_keys(
    [
        json.dumps(
            {"kind": "esp", "client": "c1", "spi": "00004321", "direction": "out", "encryption": "null", "key": ""}
            | {"authentication": "md5", "auth_key": AUTH.hex()}
        )
    ]
)


def look(craft: Any, inner: bytes, next_header: int = 4, protocol: int = 50) -> dict[str, Any]:
    """The frame with `inner` in it as it is on the outside, NULL encryption with HMAC-MD5-96."""
    filler = -(len(inner) + 2) % 4
    packet = bytes.fromhex("0000432100000001") + inner + bytes(range(1, filler + 1)) + bytes((filler, next_header))
    packet += hmac.digest(AUTH, packet, "md5")[:12]
    data = craft.ip(NAT, GATEWAY, protocol, packet)
    dissector = FrameDissector(KEYS, Addresses(GATEWAY, NAT, {"c1": CLIENT}))
    seen, _ = dissector.dissect("outside", RawFrame(1, 1.0, 1_000_000_000, RAW_IP, data, False))
    return seen


def test_the_inner_packet_is_read_and_its_own_addresses_are_those_of_the_checksum(craft: Any) -> None:
    datagram = craft.udp("192.168.9.9", GATEWAY, 1701, 1701, craft.control(6, 7001, 0, 0, 0))
    seen = look(craft, craft.ip("192.168.9.9", GATEWAY, 17, datagram))
    assert (seen["kind"], seen["headers"]["encapsulation"], seen.get("problem")) == ("esp", "none", None)
    assert (seen["esp"]["inner_src"], seen["esp"]["inner_dst"], seen["esp"]["next_header"]) == ("192.168.9.9", GATEWAY, 4)
    assert seen["inner"]["l2tp"]["message"] == "Hello"
    assert seen["inner"]["checksum_fits"] == [["192.168.9.9", GATEWAY]]


def test_a_datagram_of_another_service_is_not_read_as_l2tp(craft: Any) -> None:
    """A version that L2TP does not have would be a problem there."""
    payload = b"\x01\x01not L2TP"
    seen = look(craft, craft.ip("10.1.1.5", "10.2.1.5", 17, craft.udp("10.1.1.5", "10.2.1.5", 9000, 9001, payload)))
    assert (seen["esp"]["inner_src"], seen["esp"]["inner_dst"]) == ("10.1.1.5", "10.2.1.5")
    assert ("inner" in seen, seen.get("problem")) == (False, None)
    there = look(craft, craft.ip(CLIENT, GATEWAY, 17, craft.udp(CLIENT, GATEWAY, 1024, 1701, payload)))
    assert "version 1" in there["problem"]


@pytest.mark.parametrize(("following", "esp_spi"), [(50, "00000100"), (17, None)])
def test_the_header_of_ah(craft: Any, following: int, esp_spi: str | None) -> None:
    from scapy.layers.ipsec import AH  # the author of the bytes

    made = bytes(AH(nh=following, payloadlen=4, spi=0x101, seq=7, icv=bytes(12))) + bytes.fromhex("00000100") + bytes(20)
    dissector = FrameDissector(KEYS, Addresses(GATEWAY, NAT, {}))

    def seen(data: bytes) -> dict[str, Any]:
        frame = RawFrame(1, 1.0, 1_000_000_000, RAW_IP, craft.ip(CLIENT, GATEWAY, 51, data), False)
        return dissector.dissect("outside", frame)[0]

    whole = seen(made)
    assert whole["headers"]["ah"] == {"next_header": following, "spi": "00000101", "sequence": 7} | (
        {"esp_spi": esp_spi} if esp_spi else {}
    )
    assert (whole["kind"], whole.get("problem")) == ("other", None)
    assert "the header alone takes 12" in seen(made[:11])["problem"]
    assert "the header says 24 bytes" in seen(made[:20])["problem"]


@pytest.mark.parametrize(("protocol", "offset", "words"), [(6, 0, "holds protocol 6"), (17, 8, "holds a fragment")])
def test_what_is_no_datagram_is_a_problem(craft: Any, protocol: int, offset: int, words: str) -> None:
    inner = bytearray(craft.ip(CLIENT, GATEWAY, protocol, bytes(24)))
    inner[6:8] = (offset // 8).to_bytes(2)
    assert words in look(craft, bytes(inner))["problem"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, derandomize=True)
@given(inner=st.binary(max_size=80), version=st.booleans(), next_header=st.sampled_from([4, 17, 0, 41, 59, 255]))
def test_no_inner_bytes_make_it_raise(craft: Any, inner: bytes, version: bool, next_header: int) -> None:
    data = b"\x45\x00" + len(inner).to_bytes(2) + inner[4:] if version and len(inner) > 4 else inner
    assert look(craft, data, next_header)["kind"] == "esp"


def test_transforms_of_ah_are_not_taken_for_ciphers(craft: Any) -> None:
    body = craft.security_association(2, b"\1\2\3\4", (3, craft.attributes((5, 2), (4, 2))))
    (found,) = describe([IkePayload(1, body)])["proposals"]
    assert (found["protocol"], found["id"], found["authentication"], found["encapsulation"]) == ("AH", "AH_SHA", "sha1", 2)
    assert "encryption" not in found
