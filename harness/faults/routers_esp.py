"""NATs of routers that know ESP, and lose track of whose it is; what their service lists, timers and clear commands do."""

from __future__ import annotations

from collections.abc import Callable

from harness.faults.fault import Fault, in_ios_nat
from harness.model.nat_entries import NatEntry
from harness.model.predictable_spi import partner, predictable
from harness.nat.core import NatCore
from harness.nat.headers import ESP
from harness.nat.ios.access_list import AccessList
from harness.nat.ios.clearing import EVERYTHING, Clearing, clear
from harness.nat.ios.esp import HeldEsp, MatchedEsp
from harness.nat.ios.held import Held
from harness.nat.ios.ike import PreservedIke
from harness.nat.ios.timers import IosTimers
from harness.nat.parts import Translator
from harness.nat.state import Dropped, State
from harness.nat.table import Binding, Session

ANYBODY = AccessList.of(["permit any"])
NO_SPI = bytes(4)
HASTY_S = 30.0

# Whose ESP it is


class ByAddresses(HeldEsp):
    """The SPI is no part of an entry's key."""

    def outward(self, state: State, packet: bytes, at: int) -> Session | None:
        if packet[9] != ESP:
            raise Dropped("protocol")
        leaving = packet[12:20] + NO_SPI
        found = state.table.find_leaving(state.now, ESP, leaving)
        return self._establish(state, leaving, packet[16:20] + state.outside + NO_SPI) if found is None else found

    def inward(self, state: State, packet: bytes, at: int) -> Session:
        found = state.table.find_coming(state.now, ESP, packet[12:20] + NO_SPI)
        if found is None:
            raise Dropped("unknown SPI")
        return found


class NeverReleased(Held):
    def take(self, now: float) -> list[tuple[float, bytes]]:
        return []


def _never_releases(how: Translator) -> None:
    held = NeverReleased()
    how.held = held
    if isinstance(how.portless, HeldEsp):
        how.portless.held = held


class NeverHeld(HeldEsp):
    """Everybody's entry is made at once, half open."""

    def _admit(self, state: State, packet: bytes, leaving: bytes) -> Session | None:
        return self._establish(state, leaving, None)


class ToTheNewest(NeverHeld):
    """Nobody waits, and an unseen SPI is the newest one's."""

    def _others_wait(self, state: State, remote: bytes, inside: bytes) -> bool:
        return False

    def _waiting(self, state: State, remote: bytes) -> list[Session]:
        return super()._waiting(state, remote)[-1:]


class MatchesEverybody(MatchedEsp):
    def __init__(self, held: Held, permitted: AccessList) -> None:
        super().__init__(held, ANYBODY)


class MatchesSwapped(MatchedEsp):
    """The inbound SPI is written down with its bytes in the other order."""

    def _admit(self, state: State, packet: bytes, leaving: bytes) -> Session | None:
        inside, remote, spi = leaving[:4], leaving[4:8], int.from_bytes(leaving[8:])
        if not self.permitted.permits(inside, remote) or not predictable(spi):
            return super()._admit(state, packet, leaving)
        expected = int.from_bytes(partner(spi).to_bytes(4), "little")
        coming = remote + state.outside + expected.to_bytes(4)
        if state.table.find_coming(state.now, ESP, coming) is not None:
            raise Dropped("SPI clash")
        made = self._establish(state, leaving, coming)
        made.spi = expected
        self._own(state, coming, inside)
        return made


class TakesClashes(MatchedEsp):
    """A second host with an inbound SPI that another has takes it over."""

    def _admit(self, state: State, packet: bytes, leaving: bytes) -> Session | None:
        inside, remote, spi = leaving[:4], leaving[4:8], int.from_bytes(leaving[8:])
        if self.permitted.permits(inside, remote) and predictable(spi):
            taken = state.table.find_coming(state.now, ESP, remote + state.outside + partner(spi).to_bytes(4))
            if taken is not None:
                state.table.remove(taken.binding)
        return super()._admit(state, packet, leaving)


def _by_addresses(how: Translator) -> None:
    how.helpers.waiting, how.helpers.matching = ByAddresses, lambda held, permitted: ByAddresses(held)


def _waiting(kind: Callable[[Held], HeldEsp]) -> Callable[[Translator], None]:
    def broken(how: Translator) -> None:
        how.helpers.waiting = kind

    return broken


def _matching(kind: Callable[[Held, AccessList], HeldEsp]) -> Callable[[Translator], None]:
    def broken(how: Translator) -> None:
        how.helpers.matching = kind

    return broken


def _preserving(kind: Callable[[AccessList], PreservedIke]) -> Callable[[Translator], None]:
    def broken(how: Translator) -> None:
        how.helpers.preserving = kind

    return broken


# Port 500


class PreservesForEverybody(PreservedIke):
    @property
    def permitted(self) -> AccessList:
        return ANYBODY

    @permitted.setter
    def permitted(self, asked: AccessList) -> None:
        """The list is not looked at."""


class PreservesForNobody(PreservedIke):
    def outward(self, state: State, packet: bytes, at: int) -> Session | None:
        return None


class LastKeeper(PreservedIke):
    """Answers at port 500 go to whoever kept it last."""

    def inward(self, state: State, packet: bytes, at: int) -> Session | None:
        kept = self._live(state, packet[12:16])
        return kept[-1] if kept else None


# Time


class ShortEsp(IosTimers):
    def lifetime(self, protocol: int, answered: bool) -> float:
        return HASTY_S if protocol == ESP else super().lifetime(protocol, answered)


class EspNotRenewed(IosTimers):
    def outbound(self, now: float, binding: Binding) -> None:
        if binding.protocol != ESP:
            super().outbound(now, binding)

    def inbound(self, now: float, binding: Binding) -> None:
        if binding.protocol != ESP:
            super().inbound(now, binding)


def _timers(kind: type[IosTimers]) -> Callable[[Translator], None]:
    def broken(how: Translator) -> None:
        how.timers = kind()

    return broken


# Clearing


def _clears_all_esp(core: NatCore, now: float, what: Clearing = EVERYTHING) -> int:
    return clear(core, now, Clearing(protocol="esp") if what.protocol == "esp" else what)


class Inbound(Clearing):
    """Names nothing by an outside address: the halves that are found by it stay, and with them their partners."""

    def names(self, entry: NatEntry) -> bool:
        return self.outside is None and super().names(entry)


def _clears_no_half(core: NatCore, now: float, what: Clearing = EVERYTHING) -> int:
    return clear(core, now, Inbound(what.protocol, what.inside, what.outside))


FAULTS: tuple[Fault, ...] = (
    in_ios_nat("esp-by-addresses", "An ESP entry is for two addresses, whatever the SPI.", _by_addresses),
    in_ios_nat("esp-held-for-ever", "ESP that waits for another's reply is never let go.", _never_releases),
    in_ios_nat("esp-never-held", "Nobody's ESP waits for another's reply.", _waiting(NeverHeld)),
    in_ios_nat("esp-reply-to-newest", "Nobody's ESP waits, and a reply is the newest one's.", _waiting(ToTheNewest)),
    in_ios_nat("spi-match-everybody", "With spi-match SPIs are matched for everybody, listed or not.", _matching(MatchesEverybody)),
    in_ios_nat("spi-match-nobody", "With spi-match nobody's SPIs are matched.", _matching(lambda held, permitted: HeldEsp(held))),
    in_ios_nat("spi-match-swapped", "A matched inbound SPI is kept with its bytes in the other order.", _matching(MatchesSwapped)),
    in_ios_nat("spi-match-takes-over", "A host whose matched SPI another has gets it.", _matching(TakesClashes)),
    in_ios_nat("preserve-port-everybody", "Port 500 is kept for everybody, listed or not.", _preserving(PreservesForEverybody)),
    in_ios_nat("preserve-port-nobody", "Port 500 is kept for nobody.", _preserving(PreservesForNobody)),
    in_ios_nat("preserve-port-last", "What comes to a kept port 500 is the last one's who kept it.", _preserving(LastKeeper)),
    in_ios_nat("esp-30-seconds", "An ESP entry lives for 30 s.", _timers(ShortEsp)),
    in_ios_nat("esp-not-renewed", "Traffic does not renew the life of an ESP entry.", _timers(EspNotRenewed)),
    in_ios_nat("clear-esp-clears-all", "Clearing one ESP entry clears all that are ESP's.", clear=_clears_all_esp),
    in_ios_nat("clear-by-outside-never", "An entry that is named by its outside address is not cleared.", clear=_clears_no_half),
)
