"""Faults in how a router's NAT reads its lines, and in which entries it keeps and clears."""

from __future__ import annotations

import random

from test_router_nats import A_IN, A_OUT, FAR, FIRST, Bench, pair, two_tunnels

from harness.faults import FAULTS
from harness.model.nat_entries import Place
from harness.nat.core import INSIDE
from harness.nat.ios.entries import translations
from harness.routers.breaking import makers
from harness.routers.esp_lab import CONFIGURATION
from harness.routers.esp_sites import PRESERVE_PORT
from harness.routers.makers import Makers
from harness.routers.scripts.esp_services import FTP_2021, SKINNY
from harness.routers.scripts.esp_tunnels import POOL
from harness.routers.terminal import Terminal
from harness.virtual.ios.nat_role import NatRole
from harness.virtual.ios.state import State
from harness.wire.ip import UDP
from harness.wire.packet import Packet, to_ip


def role(fault: str | None, startup: str) -> NatRole:
    made = Makers() if fault is None else makers(FAULTS[fault])
    state = State(release="12.4(1)", startup=f"{startup}\nend\n")
    assert state.troubles == []
    return made.nat("nat", state, random.Random(1).randbytes)


def roles(fault: str, *lines: str) -> tuple[NatRole, NatRole]:
    """Sound, and broken."""
    startup = "\n".join([CONFIGURATION.read_text(encoding="utf-8").rstrip(), *lines])
    return role(None, startup), role(fault, startup)


def test_the_no_form_of_preserve_port() -> None:
    for one, still in zip(roles("preserve-port-stays", PRESERVE_PORT), (False, True), strict=True):
        assert one.plan.services.preserve_port is not None
        Terminal("nat", one.state, lambda: 0.0, lambda: None).configure(f"no {PRESERVE_PORT}")
        assert (one.plan.services.preserve_port is not None) is still
    fresh, other = roles("preserve-port-stays")
    assert (fresh.plan.services.preserve_port, other.plan.services.preserve_port) == (None, None)


def test_services_at_their_standard_ports() -> None:
    found = [one.plan.services for one in roles("services-standard-ports", FTP_2021, SKINNY)]
    assert [([one.port for one in services.ftp], services.skinny) for services in found] == [([2021], (20002,)), ([21], (2000,))]


def test_a_pool_is_overloaded() -> None:
    startup = "\n".join(POOL)
    sound, broken = (role(fault, startup).plan for fault in (None, "pool-overloaded"))
    assert (sound.overload, sound.pool) == (False, tuple(f"203.0.113.{number}" for number in (234, 235, 236)))
    assert (broken.overload, broken.pool, broken.outside) == (True, None, "203.0.113.234")


def test_an_answer_from_port_53_has_a_second() -> None:
    def ask(nat: Bench, port: int) -> None:
        nat.core.receive(nat.now, INSIDE, to_ip(Packet(FIRST, FAR, UDP, b"a name", 1220, port)))
        nat.core.take_packets()

    for nat, left in zip(pair("dns-one-second"), ([53, 69], [69]), strict=True):
        for port in (53, 69):
            ask(nat, port)
        nat.now = 2.0
        nat.core.tick(nat.now)
        assert sorted(one.outside_global.port for one in translations(nat.core) if one.outside_global) == left


def test_an_entry_is_made_anew() -> None:
    for nat, age in zip(pair("entries-made-anew"), (5, 0), strict=True):
        nat.up(FIRST, A_OUT)
        nat.now = 5.0
        nat.up(FIRST, A_OUT, 2)
        assert {one.created_s for one in translations(nat.core) if one.protocol == "esp"} == {age}


def protocols(nat: Bench) -> set[str]:
    return {one.protocol for one in translations(nat.core)}


def test_clearing_takes_any_protocol() -> None:
    for nat, left in zip(pair("clear-any-protocol"), ({"udp"}, set()), strict=True):
        nat.ike(FIRST)
        nat.up(FIRST, A_OUT)
        nat.clear(protocol="esp")
        assert protocols(nat) == left


def test_clearing_spares_what_is_in_use() -> None:
    for nat, left in zip(pair("clear-spares-the-used"), (set(), {"esp"}), strict=True):
        two_tunnels(nat)
        nat.clear(protocol="esp", outside=(Place(FAR), Place(FAR)))
        assert protocols(nat) == left
        nat.now = 100.0
        nat.clear()
        assert protocols(nat) == set()
        assert nat.down(A_IN, 9) == []
