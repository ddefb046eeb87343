"""The tunnel-mode endpoint against strongSwan 5.9 and Linux's ESP: either begins, with and without a NAT, and packets pass."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.lab import enclosure

pytestmark = pytest.mark.lab

# case: encapsulation and ports seen, what strongSwan calls it, whether our SPIs are partners
EXPECTED = {
    "we begin": ("tunnel", ["500", "esp"], "TUNNEL, ESP:AES_CBC-128/HMAC_SHA1_96/MODP_1536", None),
    "we begin, behind a NAT": ("udp-tunnel", ["4500", "500"], "TUNNEL-in-UDP", None),
    "we begin, matching SPIs": ("tunnel", ["500", "esp"], "TUNNEL", False),
    "strongSwan begins": ("tunnel", ["500", "esp"], "TUNNEL", None),
    "strongSwan begins, we match SPIs": ("tunnel", ["500", "esp"], "TUNNEL", True),
}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    command = enclosure.command([sys.executable, str(Path(__file__).with_name("tunnel_to_strongswan.py"))])
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("case", EXPECTED)
def test_a_tunnel_carries_packets(results: dict[str, Any], case: str) -> None:
    encapsulation, kinds, title, predictable = EXPECTED[case]
    seen = results[case]
    assert seen["up"]
    assert seen["refused"] == []
    assert seen["kinds"] == kinds
    for entry, how, local, remote, partners in seen["ipsec"]:
        assert entry == ("mymap 20 any 10" if "strongSwan begins" in case else "mymap 10")
        assert (how, partners) == (encapsulation, predictable)
        assert (local, remote) == ("10.1.0.0/255.255.0.0/0/0", "10.2.0.0/255.255.0.0/0/0")
    assert f"INSTALLED, {title}" in seen["strongSwan"]
    assert bool(seen["warnings"]) is (predictable is False)
    if "strongSwan begins" in case:
        assert seen["asked"]
    else:
        assert (seen["answers"], seen["answers after"], seen["rekeyed"]) == (5, 5, True)
        assert seen["by the new SAs"] == 5
        assert "REKEYED" in seen["strongSwan"]
    assert seen["gone"]  # strongSwan took our Deletes
