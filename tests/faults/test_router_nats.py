"""Faults of a router's NAT: whose ESP and whose port 500 it is, how long an entry lives, what is cleared."""

from __future__ import annotations

import random
from typing import Any

import pytest

from harness.faults import FAULTS
from harness.model.nat_entries import Place
from harness.model.predictable_spi import partner
from harness.nat.core import INSIDE, OUTSIDE, NatCore
from harness.nat.ios.access_list import AccessList
from harness.nat.ios.clearing import Clearing
from harness.nat.ios.entries import translations
from harness.nat.ios.services import Services
from harness.nat.ios.settings import reset_timeout, set_services
from harness.nat.personality import load
from harness.virtual.ios.nat_role import NatRole, NatRoleParts
from harness.virtual.ios.state import State
from harness.wire.ip import UDP
from harness.wire.packet import ESP, Packet, from_ip, to_ip

FIRST, SECOND, FAR, NAT = "10.0.0.2", "10.0.0.3", "203.0.113.241", "203.0.113.232"
ONLY_FIRST = AccessList.of([f"permit {FIRST}"])
ANY = AccessList.of(["permit any"])
A_OUT, A_IN, B_OUT, B_IN = 0x28726CD9, 0x2E59EEF5, 0x11110001, 0x11110002
COOKIE = {FIRST: b"cookie-1", SECOND: b"cookie-2"}


class Bench:
    """A NAT core as the role makes it, with that fault or none."""

    def __init__(self, fault: str | None = None, **services: Any) -> None:
        self.parts = NatRoleParts()
        if fault is not None:
            broken = FAULTS[fault].ios_nat
            assert broken is not None
            broken(self.parts)
        look, entropy = load("ios"), random.Random(1).randbytes
        self.core = NatCore(look, outside=NAT, inside="10.0.0.0/24", entropy=entropy, parts=self.parts.build(look, entropy))
        for _ in range(2):  # as two lines of a configuration do
            set_services(self.core, Services(**services))
        reset_timeout(self.core, "esp")
        self.now = 0.0

    def _pass(self, side: Any, packet: Packet) -> list[Packet]:
        self.core.receive(self.now, side, to_ip(packet))
        return [from_ip(one) for _, one in self.core.take_packets()]

    def up(self, who: str, spi: int, sequence: int = 1) -> list[Packet]:
        """ESP from inside, and all that goes out at it."""
        return self._pass(INSIDE, Packet(who, FAR, ESP, spi.to_bytes(4) + sequence.to_bytes(4) + bytes(24)))

    def down(self, spi: int, sequence: int = 1) -> list[str]:
        """ESP from outside: to whom it goes."""
        packet = Packet(FAR, NAT, ESP, spi.to_bytes(4) + sequence.to_bytes(4) + bytes(24))
        return [one.dst for one in self._pass(OUTSIDE, packet)]

    def ike(self, who: str) -> int:
        """The port from which a first message of IKE goes out."""
        (out,) = self._pass(INSIDE, Packet(who, FAR, UDP, COOKIE[who] + bytes(20), 500, 500))
        return out.sport

    def ike_back(self, who: str) -> list[str]:
        """To whom an answer with that host's cookie goes, that comes to port 500."""
        packet = Packet(FAR, NAT, UDP, COOKIE[who] + bytes(20), 500, 500)
        return [one.dst for one in self._pass(OUTSIDE, packet)]

    def clear(self, **what: Any) -> None:
        self.parts.clear(self.core, self.now, Clearing(**what))

    @property
    def hosts(self) -> set[str]:
        return {one.inside_local.address for one in translations(self.core) if one.inside_local is not None}


def pair(fault: str, **services: Any) -> tuple[Bench, Bench]:
    """Sound, and broken."""
    return Bench(**services), Bench(fault, **services)


@pytest.mark.parametrize("services", [{}, {"spi_match": ONLY_FIRST}], ids=["default", "spi-match"])
def test_entries_by_addresses(services: dict[str, Any]) -> None:
    sound, broken = pair("esp-by-addresses", **services)
    for nat, reached in ((sound, FIRST), (broken, SECOND)):
        nat.up(FIRST, A_OUT)
        nat.down(A_IN)
        nat.up(SECOND, B_OUT)
        assert nat.down(A_IN, 2) == [reached]


def test_what_is_held_is_never_let_go() -> None:
    for nat, passed in zip(pair("esp-held-for-ever"), ([1, 1], [1, 0]), strict=True):
        assert [len(nat.up(FIRST, A_OUT)), len(nat.up(SECOND, B_OUT))] == [1, 0]
        nat.core.receive(0.0, OUTSIDE, to_ip(Packet(FAR, NAT, ESP, A_IN.to_bytes(4) + bytes(3) + b"\1" + bytes(24))))
        nat.core.tick(1.0)
        out = [from_ip(one) for side, one in nat.core.take_packets()]
        assert [sum(one.dst == FIRST for one in out), sum(one.dst == FAR for one in out)] == passed


def test_nothing_is_held() -> None:
    for nat, passed in zip(pair("esp-never-held"), (0, 1), strict=True):
        nat.up(FIRST, A_OUT)
        assert len(nat.up(SECOND, B_OUT)) == passed


def test_a_reply_is_the_newest_one_s() -> None:
    for nat, reached in zip(pair("esp-reply-to-newest"), (FIRST, SECOND), strict=True):
        nat.up(FIRST, A_OUT)
        nat.up(SECOND, B_OUT)
        assert reached in nat.down(A_IN)


@pytest.mark.parametrize(("fault", "who", "good"), [("spi-match-everybody", SECOND, 0), ("spi-match-nobody", FIRST, 1)])
def test_whose_spis_are_matched(fault: str, who: str, good: int) -> None:
    """Another waits already: only whose SPIs are matched passes."""
    listed = AccessList.of(["permit 10.0.0.2"])
    for nat, passed in zip(pair(fault, spi_match=listed), (good, 1 - good), strict=True):
        nat.up("10.0.0.9", 0x77770001)
        assert len(nat.up(who, A_OUT)) == passed


def test_a_matched_spi_with_its_bytes_swapped() -> None:
    for nat, kept in zip(pair("spi-match-swapped", spi_match=ANY), ("2e59eef5", "f5ee592e"), strict=True):
        nat.up(FIRST, A_OUT)
        nat.up(SECOND, B_OUT)
        assert f"{nat.core.mappings()[0].inside_port:08x}" == kept
        assert nat.down(partner(A_OUT)) == ([FIRST] if kept == "2e59eef5" else [])


def test_a_clash_is_won_by_the_later() -> None:
    for nat, reached in zip(pair("spi-match-takes-over", spi_match=ANY), (FIRST, SECOND), strict=True):
        nat.up(FIRST, A_OUT)
        nat.up(SECOND, A_OUT)
        assert nat.down(A_IN) == [reached]


def test_whose_port_500_is_kept() -> None:
    for nat, ports in zip(pair("preserve-port-everybody", preserve_port=ONLY_FIRST), ((True, False), (True, True)), strict=True):
        assert (nat.ike(FIRST) == 500, nat.ike(SECOND) == 500) == ports
    nobody = Bench("preserve-port-nobody", preserve_port=AccessList.of([f"permit {SECOND}"]))
    sound = Bench(preserve_port=AccessList.of([f"permit {SECOND}"]))
    for nat, kept in ((sound, True), (nobody, False)):
        nat.ike(FIRST)
        assert (nat.ike(SECOND) == 500) is kept


def test_port_500_is_the_last_keeper_s() -> None:
    for nat, reached in zip(pair("preserve-port-last", preserve_port=ANY), (FIRST, SECOND), strict=True):
        nat.ike(FIRST)
        nat.ike(SECOND)
        assert nat.ike_back(FIRST) == [reached]


@pytest.mark.parametrize(("fault", "at", "good"), [("esp-30-seconds", (31.0,), True), ("esp-not-renewed", (200.0, 400.0), True)])
def test_lives(fault: str, at: tuple[float, ...], good: bool) -> None:
    """An entry that is used at these times is still there at the last one."""
    for nat, there in zip(pair(fault), (good, not good), strict=True):
        nat.up(FIRST, A_OUT)
        assert nat.down(A_IN) == [FIRST]
        for number, nat.now in enumerate(at, 2):
            found = nat.down(A_IN, number)
        assert (found == [FIRST]) is there


def two_tunnels(nat: Bench) -> None:
    nat.up(FIRST, A_OUT)
    nat.down(A_IN)
    nat.up(SECOND, B_OUT)
    nat.down(B_IN)


def test_clearing_one_clears_all() -> None:
    for nat, left in zip(pair("clear-esp-clears-all"), ({SECOND}, set()), strict=True):
        two_tunnels(nat)
        nat.clear(protocol="esp", inside=(Place(NAT), Place(FIRST)))
        assert nat.hosts == left


def test_what_is_named_by_its_outside_is_not_cleared() -> None:
    for nat, left in zip(pair("clear-by-outside-never"), (set(), {FIRST, SECOND}), strict=True):
        two_tunnels(nat)
        nat.clear(protocol="esp", outside=(Place(FAR), Place(FAR)))
        assert nat.hosts == left
        nat.clear()
        assert nat.hosts == set()


def test_the_role_that_a_laboratory_makes_has_the_fault_s_parts() -> None:
    from harness.routers.breaking import makers
    from harness.routers.esp_lab import CONFIGURATION
    from harness.routers.esp_sites import SPI_MATCH

    startup = CONFIGURATION.read_text(encoding="utf-8") + f"{SPI_MATCH}\nend\n"
    made = makers(FAULTS["spi-match-swapped"]).nat("nat", State(release="12.4(1)", startup=startup), random.Random(1).randbytes)
    sound = NatRole(State(release="12.4(1)", startup=startup), random.Random(1).randbytes)
    kinds = []
    for role in (sound, made):
        assert role.core is not None
        assert role.core.parts.translator is not None
        kinds.append(type(role.core.parts.translator.portless).__name__)
    assert kinds == ["MatchedEsp", "MatchesSwapped"]
