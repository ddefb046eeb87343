"""Faults of tunnel-mode endpoints that remember what was configured, let out what has to wait, or grant too much or too little."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from test_router_endpoints import CLIENT, CONCENTRATOR, HERE, THERE, endpoint, pair

from harness.routers.esp_sites import SPI_MATCHING
from harness.routers.scripts.crypto_map_edits import BY_HAND, KEYS, SOMESET
from harness.routers.terminal import Terminal
from harness.virtual.crypto_map import ManualEntry
from harness.virtual.ios.endpoint_role import EndpointRole
from harness.virtual.peers import Association
from harness.virtual.vpn_endpoint import INSIDE, OUTSIDE
from harness.virtual.vpn_negotiation import Standing
from harness.virtual.vpn_sa import VpnSa
from harness.wire.config import Selector
from harness.wire.ip import UDP
from harness.wire.packet import ESP, Packet, to_ip

TAKEN = 7


def typed(role: EndpointRole, *lines: str) -> None:
    Terminal("one", role.state, lambda: 0.0, lambda: None).configure(*lines)


def both(fault: str, *lines: str) -> tuple[EndpointRole, EndpointRole]:
    return endpoint(None, *lines), endpoint(fault, *lines)


def method(role: EndpointRole) -> str:
    assert role.plan.settings is not None
    return role.plan.settings.nat_transparency.method


def entries(role: EndpointRole) -> Any:
    assert role.plan.settings is not None
    crypto_map = role.plan.settings.policy.crypto_map
    return () if crypto_map is None else crypto_map.entries


def test_udp_encapsulation_is_no_default() -> None:
    assert [method(one) for one in both("udp-not-by-default", *CLIENT)] == ["udp-encaps", "none"]
    assert [method(one) for one in both("udp-not-by-default", *CLIENT, SPI_MATCHING)] == ["spi-matching"] * 2


def test_spi_matching_stays_on() -> None:
    for one, then in zip(both("spi-matching-stays", *CLIENT), ("udp-encaps", "spi-matching"), strict=True):
        assert method(one) == "udp-encaps"
        typed(one, SPI_MATCHING)
        assert method(one) == "spi-matching"
        typed(one, f"no {SPI_MATCHING}")
        assert method(one) == then


@pytest.mark.parametrize("predictable", [True, False])
def test_what_does_not_match_is_dropped(predictable: bool) -> None:
    """The rest of the installation is the endpoint's own."""
    for core, left in zip(pair("unmatched-dropped", *CLIENT, SPI_MATCHING), (1, int(predictable)), strict=True):
        negotiation, association = core.negotiation, Association(1, THERE.address, {500: 500})
        sa = VpnSa(1, "vpn 10", Selector(1, 1), Selector(2, 2), THERE.address, association=association, predictable=predictable)
        negotiation.sas.add(sa)
        negotiation.sas.by_spi[ESP, TAKEN] = sa  # so that nothing more is installed
        event: Any = SimpleNamespace(spi_in=TAKEN)
        association.core = SimpleNamespace(delete_esp=lambda now, spi: None)  # type: ignore[assignment]
        negotiation._install(0.0, association, Standing(True), event)
        assert len(list(negotiation.sas)) == left


def test_entries_are_remembered() -> None:
    sound, broken = both("entries-remembered", *CLIENT, "crypto ipsec transform-set other esp-3des esp-sha-hmac")
    for one in (sound, broken):
        typed(one, "crypto map vpn 10", "set transform-set other")
    assert [entries(one)[0].transform_sets for one in (sound, broken)] == [("other",), ("ts",)]
    for one in (sound, broken):
        typed(one, "no crypto map vpn 10")
    assert [len(entries(one)) for one in (sound, broken)] == [0, 1]


def test_the_first_transform_set_alone() -> None:
    lines = [line.replace("set transform-set ts", "set transform-set ts other") for line in CLIENT]
    lines.insert(0, "crypto ipsec transform-set other esp-3des esp-sha-hmac")
    found = [entries(one)[0].transform_sets for one in both("first-set-only", *lines)]
    assert found == [("ts", "other"), ("ts",)]


def test_keys_by_hand_are_not_used() -> None:
    more = (SOMESET, BY_HAND, " match address 101", " set transform-set someset", f" set peer {THERE.address}", *KEYS)
    lines = [line for line in CLIENT if "crypto map vpn 10" not in line and not line.startswith((" set", " match"))]
    lines = [*lines[:-2], *(f" {line}" if line.startswith("set session") else line for line in more), *lines[-2:]]
    for one, number in zip(both("hand-keys-unused", *lines), (4, 0), strict=True):
        (entry,) = (entry for entry in entries(one) if isinstance(entry, ManualEntry))
        assert len(entry.keys) == number


def test_less_than_a_line_is_refused() -> None:
    local, near, host = Selector(0x0A020100, 0xFFFFFF00), Selector(0x0A010100, 0xFFFFFF00), Selector(0x0A010105, 0xFFFFFFFF)
    for core, granted in zip(pair("whole-lines-only", *CONCENTRATOR), (True, False), strict=True):
        children = core.negotiation._config(Association(1, "203.0.113.232", {500: 500}), known=False).children
        assert not isinstance(children(local, near), int)
        assert (not isinstance(children(local, host), int)) is granted


@pytest.mark.parametrize(("fault", "lines", "here", "there"), [
    ("dynamic-let-out", CONCENTRATOR, THERE, HERE), ("static-let-out", CLIENT, HERE, THERE),
])  # fmt: skip
def test_what_has_no_sa_leaves(fault: str, lines: tuple[str, ...], here: Any, there: Any) -> None:
    packet = to_ip(Packet(here.host, there.host, UDP, b"a word", 9000, 9001))
    for core, out in zip(pair(fault, *lines), (False, True), strict=True):
        core.receive(1.0, INSIDE, packet)
        left = [one for side, one in core.take_packets() if side == OUTSIDE]
        assert any(one[16:20] == packet[16:20] for one in left) is out


@pytest.mark.parametrize(("fault", "lines"), [("dynamic-let-out", CLIENT), ("static-let-out", CONCENTRATOR)])
def test_each_lets_out_its_own_kind(fault: str, lines: tuple[str, ...]) -> None:
    here, there = (HERE, THERE) if lines is CLIENT else (THERE, HERE)
    packet = to_ip(Packet(here.host, there.host, UDP, b"a word", 9000, 9001))
    core = pair(fault, *lines)[1]
    core.receive(1.0, INSIDE, packet)
    assert not any(one[16:20] == packet[16:20] for _, one in core.take_packets())
