"""Quick mode and ESP as strongSwan 5.9 and Linux's kernel speak them, in both roles, without a NAT and with one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.lab import enclosure

pytestmark = pytest.mark.lab

# case: datagrams that come back, how strongSwan tells the SA
EXPECTED = {
    "plain": (3, "TRANSPORT, ESP:AES_CBC-128/HMAC_SHA1_96"),
    "PFS, NAT": (3, "TRANSPORT-in-UDP, ESP:AES_CBC-128/HMAC_SHA1_96/MODP_1024"),
    "PFS of an elliptic curve": (3, "TRANSPORT, ESP:AES_CBC-128/HMAC_SHA1_96/ECP_256"),
    "dialled, PFS as they like": (3, "TRANSPORT, ESP:AES_CBC-128/HMAC_SHA1_96/MODP_2048"),
    "dialled, PFS insisted on": (3, "TRANSPORT, ESP:AES_CBC-128/HMAC_SHA1_96/MODP_1024"),
    "tunnel": (3, "TUNNEL, ESP:AES_CBC-128/HMAC_SHA1_96"),
    "null": (3, "TRANSPORT, ESP:NULL/HMAC_SHA1_96"),
    "aes-192, md5": (3, "TRANSPORT, ESP:AES_CBC-192/HMAC_MD5_96"),
    "our kilobytes": (100, "TRANSPORT, ESP:AES_CBC-128/HMAC_SHA1_96"),
    "their kilobytes": (100, "TRANSPORT, ESP:AES_CBC-128/HMAC_SHA1_96"),
    "dialled, our lower limit": (100, "TRANSPORT, ESP:AES_CBC-128/HMAC_SHA1_96"),
    "dialled, tunnel, PFS": (3, "TUNNEL, ESP:AES_CBC-128/HMAC_SHA1_96/MODP_1536"),
}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    command = enclosure.command([sys.executable, str(Path(__file__).with_name("dial_strongswan.py"))])
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("case", EXPECTED)
def test_up_and_esp_goes_both_ways(results: dict[str, Any], case: str) -> None:
    back, installed = EXPECTED[case]
    seen = results[case]
    assert seen["wrong"] == []
    assert seen["back"] == back
    assert f"INSTALLED, {installed}\n" in seen["strongSwan"]
    natted = "NAT" in case
    assert seen["ports"] == ([500, 4500] if natted else [0, 500])
    assert seen["encapsulation"] == ("udp-transport" if natted else "tunnel" if "tunnel" in case else "transport")


def test_kilobytes_renew_the_sas_whoever_counts_them(results: dict[str, Any]) -> None:
    """Over 100 kB each way: ours are up at half of 60, at three quarters where strongSwan began; strongSwan takes off at random."""
    for case in ("our kilobytes", "their kilobytes", "dialled, our lower limit"):
        assert results[case]["pairs"] >= 2
    by_time = [seen["pairs"] for case, seen in results.items() if "kilobytes" not in case and "lower" not in case]
    assert by_time == [1] * (len(EXPECTED) - 3)


def test_strongswan_takes_our_lower_limit_without_complaint(results: dict[str, Any]) -> None:
    seen = results["dialled, our lower limit"]
    assert seen["lifetime_kb"] == 60
    assert any("N((24576))" in line for line in seen["strongSwan heard"])
