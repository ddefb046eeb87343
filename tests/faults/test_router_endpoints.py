"""Faults of tunnel-mode endpoints: SPIs, NAT transparency, crypto maps, what comes in the clear."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from harness.faults import FAULTS
from harness.model.predictable_spi import partner
from harness.routers import esp_sites
from harness.routers.breaking import makers
from harness.routers.esp_sites import EAST, SPI_MATCHING, WEST, Site
from harness.routers.makers import Makers
from harness.virtual.access_list import access_list
from harness.virtual.crypto_map import IsakmpEntry
from harness.virtual.ios.endpoint_role import EndpointRole
from harness.virtual.ios.state import State
from harness.virtual.peers import Association
from harness.virtual.vpn_endpoint import INSIDE, OUTSIDE
from harness.virtual.vpn_sa import VpnSa
from harness.wire.config import Selector
from harness.wire.ip import UDP
from harness.wire.packet import Packet, to_ip

HERE, THERE = Site(WEST, 1), Site(EAST, 1)
CLIENT, CONCENTRATOR = esp_sites.client(HERE, (THERE,)), esp_sites.concentrator(THERE, (HERE,))


def endpoint(fault: str | None, *lines: str) -> EndpointRole:
    state = State(release="12.4(1)", startup="\n".join([*lines, "end", ""]))
    assert state.troubles == []
    made = Makers() if fault is None else makers(FAULTS[fault])
    return made.endpoint("one", state, random.Random(1).randbytes)


def pair(fault: str, *lines: str) -> tuple[Any, Any]:
    """The cores of a sound one, and of a broken one."""
    cores = [endpoint(name, *lines).core for name in (None, fault)]
    assert None not in cores
    return cores[0], cores[1]


def test_spis_are_chosen_by_chance() -> None:
    theirs = 0x28726CD9
    sound, broken = (core.negotiation for core in pair("spis-random", *CLIENT, SPI_MATCHING))
    assert sound._choose_spi(theirs, matching=True) == partner(theirs)
    assert broken._choose_spi(theirs, matching=True) not in (None, partner(theirs))


def test_nat_transparency() -> None:
    sound, broken = pair("udp-regardless", *CLIENT, SPI_MATCHING)
    assert [one.settings.nat_transparency.method for one in (sound, broken)] == ["spi-matching", "udp-encaps"]
    sound, broken = pair("both-methods", *CLIENT, SPI_MATCHING)
    assert [one.settings.nat_transparency.method for one in (sound, broken)] == ["spi-matching"] * 2
    assert [len(one.settings.nat_transparency.vendor_ids) > 1 for one in (sound, broken)] == [False, True]
    usual, same = pair("both-methods", *CLIENT)
    assert usual.settings == same.settings


def test_the_order_of_entries() -> None:
    lines = esp_sites.client(HERE, (THERE, Site(EAST, 2)))
    sound, broken = (core.settings.policy.crypto_map for core in pair("sequence-reversed", *lines))
    assert [entry.sequence for entry in sound.entries] == [10, 20]
    assert [entry.sequence for entry in broken.entries] == [20, 10]


def test_a_dynamic_entry_serves_anybody() -> None:
    local, near, far = Selector(0x0A020100, 0xFFFFFF00), Selector(0x0A010100, 0xFFFFFF00), Selector(0x0A090900, 0xFFFFFF00)
    sound, broken = (core.negotiation for core in pair("dynamic-anybody", *CONCENTRATOR))
    found = []
    for negotiation in (sound, broken):
        children = negotiation._config(Association(1, "203.0.113.232", {500: 500}), known=False).children
        assert [child.name for child in children(local, near)] == ["vpn 10 any 10"]
        found.append(children(local, far))
    assert isinstance(found[0], int)
    assert [(child.name, child.remote) for child in found[1]] == [("vpn 10 any 10", far)]


def test_a_temporary_entry_stays() -> None:
    permit = access_list("t", "permit ip 10.2.1.0 0.0.0.255 10.1.1.0 0.0.0.255").entries[0]
    for core, left in zip(pair("temporary-left", *CONCENTRATOR), ([], [permit]), strict=True):
        sas = core.negotiation.sas
        sa = VpnSa(1, "vpn 10 any 10", permit.source, permit.destination, "203.0.113.232")
        sas.add(sa)
        assert sas.permits()[sa.name] == [permit]
        sas.remove(sa)
        assert sas.permits().get(sa.name, []) == left


def test_only_the_first_peer_is_tried() -> None:
    entry = IsakmpEntry(10, peers=("192.0.2.1", "192.0.2.2"))
    for core, peer in zip(pair("first-peer-only", *CLIENT), ("192.0.2.2", "192.0.2.1"), strict=True):
        core.negotiation.current["vpn 10"] = 1
        assert core.negotiation.peer_of("vpn 10", entry) == peer


def test_kilobytes_are_never_spent() -> None:
    for core, due in zip(pair("kilobytes-ignored", *CLIENT), (5.0, None), strict=True):
        association: Any = SimpleNamespace(number=1, core=SimpleNamespace(spend=lambda now, spi, octets: True))
        core.negotiation.spend(5.0, SimpleNamespace(association=association, spi_in=1, octets=1))
        assert core.deadline == due


PROTECTED = to_ip(Packet(THERE.host, HERE.host, UDP, b"in the clear", 9000, 9001))
UNPROTECTED = to_ip(Packet("198.51.100.7", HERE.host, UDP, b"in the clear", 9000, 9001))


@pytest.mark.parametrize(
    ("fault", "packet", "good"), [("clear-in-taken", PROTECTED, False), ("clear-in-refused", UNPROTECTED, True)]
)
def test_what_comes_in_the_clear(fault: str, packet: bytes, good: bool) -> None:
    for core, passes in zip(pair(fault, *CLIENT), (good, not good), strict=True):
        core.receive(1.0, OUTSIDE, packet)
        assert ([side for side, _ in core.take_packets()] == [INSIDE]) is passes
