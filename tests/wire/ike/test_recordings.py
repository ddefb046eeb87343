"""Exchanges with strongSwan 5.9.8 (Debian 12), replayed.

Recorded over UDP between a core and charon in two network namespaces, PSK "sharedsecret", charon's side
`keyexchange=ikev1 type=transport leftprotoport=17/1701 rightprotoport=17/%any`. "draws" are the random bytes that the core drew,
"log" the datagrams: outgoing ones as on the wire, incoming ones without the non-ESP marker. The last message of the first three is
charon's Delete: the kernel it ran on has no ESP, so the SAs came up in IKE and could not be installed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import authorities as pki
import pytest

from harness.wire.config import EspProposal, IkeConfig, IkeProposal
from harness.wire.events import EspDown, EspUp, IkeUp, Notified, Refused
from harness.wire.ike.core import IkeCore

WINDOWS_7 = (
    IkeProposal("aes-256", "sha1", "ecp384"),
    IkeProposal("aes-128", "sha1", "ecp256"),
    IkeProposal("aes-256", "sha1", "modp2048"),
    IkeProposal("3des", "sha1", "modp2048"),
    IkeProposal("3des", "sha1", "modp1024"),
)
CONFIG = IkeConfig(
    address="10.0.0.2",
    peer_address="203.0.113.231",
    psk=b"sharedsecret",
    proposals=WINDOWS_7,
    esp_proposals=(EspProposal("aes-256", "sha1"), EspProposal("3des", "sha1")),
    vendor_ids=tuple(
        bytes.fromhex(value)
        for value in (
            "1e2b516905991c7d7c96fcbfb587e46100000008",
            "4a131c81070358455c5728f20e95452f",
            "90cb80913ebb696e086381b5ec427b1f",
            "4048b7d56ebce88525e7de7f00d6c2d3",
            "fb1de3cdf341b7ea16b7e5be0855f120",
            "26244d38eddb61b3172a36e3d0cfb819",
            "e3a5966a76379fe707228231e5ce8652",
            "afcad71368a1f1c96b8696fc77570100",
        )
    ),
)
RECORDINGS = {
    "nat-aes256-ecp384": (CONFIG, "ecp384", "udp-transport", True),
    "plain-aes256-modp2048": (replace(CONFIG, address="203.0.113.232", proposals=WINDOWS_7[2:]), "modp2048", "transport", False),
    "nat-3des-modp1024": (
        replace(CONFIG, proposals=WINDOWS_7[4:], esp_proposals=(EspProposal("3des", "sha1"),)),
        "modp1024",
        "udp-transport",
        True,
    ),
}


class Draws:
    """Gives recorded bytes by their size, so that the order in which different things are drawn does not matter."""

    def __init__(self, draws: list[str]) -> None:
        self._left = [bytes.fromhex(value) for value in draws]

    def __call__(self, count: int) -> bytes:
        found = next(value for value in self._left if len(value) == count)
        self._left.remove(found)
        return found


@pytest.mark.parametrize("name", RECORDINGS)
def test_replay(name: str) -> None:
    config, group, encapsulation, natted = RECORDINGS[name]
    recording: dict[str, Any] = json.loads((Path(__file__).parent / "recordings" / f"{name}.json").read_text())
    core = IkeCore(config, Draws(recording["draws"]))
    core.start(0.0)
    waiting: list[tuple[int, str]] = []
    for direction, port, payload in recording["log"]:
        if direction == "in":
            assert not waiting
            core.receive(0.0, bytes.fromhex(payload), port)
        else:
            waiting = waiting or [(datagram.sport, datagram.payload.hex()) for datagram in core.take_datagrams()]
            assert waiting.pop(0) == (port, payload)
    events = core.take_events()
    assert not [event for event in events if isinstance(event, Refused)]
    (ike,) = [event for event in events if isinstance(event, IkeUp)]
    (esp,) = [event for event in events if isinstance(event, EspUp)]
    (down,) = [event for event in events if isinstance(event, EspDown)]
    assert (ike.group, ike.nat_local, ike.nat_remote) == (group, natted, False)
    assert esp.encapsulation == encapsulation
    assert down.by_peer
    assert down.spi_in == esp.spi_in


SIGNED = IkeProposal("aes-256", "sha256", "modp2048", authentication="rsa")
BARE = IkeConfig(
    address="",
    peer_address="203.0.113.231",
    psk=b"sharedsecret",
    proposals=(SIGNED,),
    esp_proposals=(EspProposal("aes-128", "sha1"),),
    vendor_ids=(bytes.fromhex("4a131c81070358455c5728f20e95452f"), bytes.fromhex("afcad71368a1f1c96b8696fc77570100")),
    credentials=pki.credentials("laptop", bits=2048),
)
AGGRESSIVE = replace(BARE, identity="fqdn:laptop.example.com", exchange="aggressive", accept_aggressive=True)
UNLIMITED = (EspProposal("aes-128", "sha1", 0, 0),)  # what was recorded holds no RESPONDER-LIFETIME
# by dial_strongswan.py, whose cases tell the configurations; strongSwan is the initiator where "dialled" is in the name
OTHER_WAYS = {
    "aggressive-nat": (
        replace(AGGRESSIVE, address="10.0.0.2", proposals=(IkeProposal("aes-128", "sha1", "modp1024"),), initial_contact=True),
        ("aggressive mode", "psk", "gateway.example.com", "udp-transport"),
    ),
    "signatures-nat": (
        replace(BARE, address="10.0.0.2", identity="fqdn:laptop.example.com"),
        ("main mode", "rsa", "gateway.example.com", "udp-transport"),
    ),
    "dialled-aggressive-nat": (
        replace(
            AGGRESSIVE,
            address="203.0.113.12",
            esp_proposals=UNLIMITED,
            peer_address="203.0.113.99",
            proposals=(IkeProposal("aes-128", "sha1", "modp1536"),),
            psk=b"",
            psk_for={"gateway.example.com": b"sharedsecret"}.get,
        ),
        ("aggressive mode", "psk", "gateway.example.com", "udp-transport"),
    ),
    "dialled-signatures": (
        replace(BARE, address="203.0.113.13", identity="dn", esp_proposals=UNLIMITED),
        ("main mode", "rsa", "CN=gateway,O=Test", "transport"),
    ),
}


@pytest.mark.parametrize("name", OTHER_WAYS)
def test_replay_of_aggressive_mode_and_signatures(name: str) -> None:
    config, (exchange, proof, identity, encapsulation) = OTHER_WAYS[name]
    recording: dict[str, Any] = json.loads((Path(__file__).parent / "recordings" / f"{name}.json").read_text())
    core = IkeCore(config, Draws(recording["draws"]))
    if "dialled" not in name:
        core.start(0.0)
    waiting: list[tuple[int, str]] = []
    for direction, port, payload in recording["log"]:
        if direction == "in":
            assert not waiting
            core.receive(0.0, bytes.fromhex(payload), port)
        else:
            waiting = waiting or [(datagram.sport, datagram.payload.hex()) for datagram in core.take_datagrams()]
            assert waiting.pop(0) == (port, payload)
    events = core.take_events()
    assert [type(event) for event in events if not isinstance(event, Notified)] == [IkeUp, EspUp]
    ike, esp = (event for event in events if isinstance(event, IkeUp | EspUp))
    assert (ike.exchange, ike.authentication, ike.identity) == (exchange, proof, identity)
    assert esp.encapsulation == encapsulation
