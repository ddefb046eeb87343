"""Phase 1 as strongSwan 5.9 speaks it, as responder and as initiator; quick mode behind it shows that both have the same keys."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.lab import enclosure

pytestmark = pytest.mark.lab

# case: exchange, algorithms, authentication, strongSwan's ID, which side is behind a NAT
EXPECTED = {
    "main, aes192-md5-modp1536": ("main mode", "aes-192 md5 modp1536", "psk", "203.0.113.231", "ours"),
    "main, 3des-md5-modp768": ("main mode", "3des md5 modp768", "psk", "203.0.113.231", None),
    "aggressive": ("aggressive mode", "aes-128 sha1 modp1024", "psk", "203.0.113.231", None),
    "aggressive, FQDN, NAT": ("aggressive mode", "aes-128 sha1 modp1024", "psk", "gateway.example.com", "ours"),
    "main, signatures, NAT": ("main mode", "aes-256 sha256 modp2048", "rsa", "gateway.example.com", "ours"),
    "aggressive, signatures, DN": ("aggressive mode", "aes-256 sha256 modp2048", "rsa", "CN=gateway,O=Test", None),
    "dialled, main, aes192-md5-modp1536": ("main mode", "aes-192 md5 modp1536", "psk", "203.0.113.231", None),
    "dialled, aggressive, FQDN, NAT": ("aggressive mode", "aes-128 sha1 modp1536", "psk", "gateway.example.com", "theirs"),
    "dialled, main, signatures, DN": ("main mode", "aes-256 sha256 modp2048", "rsa", "CN=gateway,O=Test", None),
    "dialled, aggressive, signatures, NAT": ("aggressive mode", "aes-256 sha256 modp2048", "rsa", "gateway.example.com", "theirs"),
}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    script = str(Path(__file__).with_name("dial_strongswan.py"))
    command = enclosure.command([sys.executable, script])
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("case", EXPECTED)
def test_up(results: dict[str, Any], case: str) -> None:
    exchange, algorithms, proof, identity, natted = EXPECTED[case]
    seen = results[case]
    assert seen["refused"] == seen["failed"] == []
    assert (seen["exchange"], seen["authentication"], seen["identity"]) == (exchange, proof, identity)
    assert f"{seen['encryption']} {seen['hash']} {seen['group']}" == algorithms
    assert (seen["nat_local"], seen["nat_remote"]) == (natted == "ours", natted == "theirs")
    assert seen["ports"] == ([500, 4500] if natted else [500])
    assert seen["encapsulation"] == ("udp-transport" if natted else "transport")
    assert "ESTABLISHED, IKEv1" in seen["strongSwan"]
    assert ("INSTALLED, TRANSPORT-in-UDP" if natted else "INSTALLED, TRANSPORT,") in seen["strongSwan"]
    assert any("AGGRESSIVE" in line for line in seen["strongSwan heard"]) is (exchange == "aggressive mode")


def test_initial_contact_either_way(results: dict[str, Any]) -> None:
    assert results["dialled, main, aes192-md5-modp1536"]["initial contact"]
    assert any("[ ID HASH N(INITIAL_CONTACT) ]" in line for line in results["main, 3des-md5-modp768"]["strongSwan heard"])
    informational = [line for line in results["aggressive, FQDN, NAT"]["strongSwan heard"] if "INFORMATIONAL" in line]
    assert [line.split("[")[1] for line in informational] == [" HASH N(INITIAL_CONTACT) ]"]
    assert not any("INITIAL_CONTACT" in line for line in results["aggressive"]["strongSwan heard"])


def test_a_lifetime_in_kilobytes_does_not_stop_strongswan(results: dict[str, Any]) -> None:
    assert results["main, 3des-md5-modp768"]["lifetime_kb"] == 5000


def test_an_untrusted_certificate_is_refused_with_its_reason(results: dict[str, Any]) -> None:
    seen = results["dialled, main, a stranger's signature"]
    assert seen["refused"][:1] == ["the certificate of CN=gateway,O=Test comes from CN=root,O=Test, which nobody here trusts"]
    assert "exchange" not in seen
    assert "ESTABLISHED" not in seen["strongSwan"]
