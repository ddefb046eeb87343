"""NATs that are broken: what they write into packets, which ports they give, how long mappings live, whom answers go to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from harness.faults.fault import NAT, Fault, in_nat
from harness.nat.allocator import Allocator, Free, PortRange, Preserving, Sequential
from harness.nat.headers import UDP
from harness.nat.helpers import CookieHelper, PayloadAlg, Refuse, SingleClient, SpiGuess
from harness.nat.parts import Parts, Translator
from harness.nat.rewriting import TTL_CHANGE, Rewriter
from harness.nat.table import Binding, Session, Table
from harness.nat.timers import Timers

# What is written into packets


class StaleChecksum(Rewriter):
    def _udp_checksum(self, buffer: bytearray, at: int, change: int) -> None:
        """It stays as it was."""


class NoChecksum(Rewriter):
    def _udp_checksum(self, buffer: bytearray, at: int, change: int) -> None:
        buffer[at : at + 2] = bytes(2)


class KeepsTtl(Rewriter):
    def _ip_checksum(self, buffer: bytearray, change: int) -> None:
        buffer[8] += 1
        super()._ip_checksum(buffer, change - TTL_CHANGE)


class NoIdentification(Rewriter):
    def _ip_checksum(self, buffer: bytearray, change: int) -> None:
        super()._ip_checksum(buffer, change + int.from_bytes(buffer[4:6]))
        buffer[4:6] = bytes(2)


class LetsThrough(Rewriter):
    """Every tenth packet leaves as it came."""

    def __init__(self) -> None:
        self._count = 0

    def outward(self, packet: bytes, at: int, session: Session) -> bytes:
        self._count += 1
        return super().outward(packet, at, session) if self._count % 10 else self.routed(packet)


EXPEDITED = 0xB8
"""The type of service of voice (RFC 3246)."""


class MarksAsVoice(Rewriter):
    def _ip_checksum(self, buffer: bytearray, change: int) -> None:
        super()._ip_checksum(buffer, change + buffer[1] - EXPEDITED)
        buffer[1] = EXPEDITED


def _rewriting(name: str, breaks: str, kind: type[Rewriter]) -> Fault:
    def broken(parts: Parts) -> None:
        parts.rewriter = kind()

    return Fault(name, NAT, breaks, nat=broken)


# Which ports are given


class PreservesAlways(Preserving):
    def choose(self, port: int, siblings: Iterable[int], free: Free) -> int | None:
        return port


class InTurn(Sequential):
    """One of three, whether it is free or not."""

    def __init__(self, ports: PortRange) -> None:
        super().__init__(ports)
        self._given = 0

    def choose(self, port: int, siblings: Iterable[int], free: Free) -> int | None:
        self._given += 1
        return self.ports.first + self._given % 3


def _allocating(kind: Callable[[PortRange], Allocator]) -> Callable[[Translator], None]:
    def broken(how: Translator) -> None:
        how.allocator = kind(how.allocator.ports)

    return broken


# How long mappings live, and whom answers go to


def _five_seconds(how: Translator) -> None:
    how.timers = Timers(5.0, 5.0, 5.0, 5.0)


def _not_refreshed(how: Translator) -> None:
    how.timers.refresh_outbound = how.timers.refresh_inbound = False


class Moves(Table):
    """After 60 packets a mapping gets another port."""

    def find_leaving(self, now: float, protocol: int, key: bytes) -> Session | None:
        found = super().find_leaving(now, protocol, key)
        if found is None or protocol != UDP or found.up < 60:
            return found
        old = found.binding
        port = 1024 + (old.outside_port - 24) % 64512
        made = self.bind(old.key, protocol, old.inside, old.inside_port, old.outside, port, old.expires)
        coming = found.remote + old.outside + key[10:12] + port.to_bytes(2)
        return self.join(made, found.remote, found.remote_port, key, coming)


class AnswersNewest(Table):
    def find_coming(self, now: float, protocol: int, key: bytes) -> Session | None:
        found = super().find_coming(now, protocol, key)
        return found and self._likes(protocol, found)[-1]

    def _likes(self, protocol: int, found: Session) -> list[Session]:
        """All that have to do with the same remote end."""
        sessions = self._coming.get(protocol, {}).values()
        return [one for one in sessions if (one.remote, one.remote_port) == (found.remote, found.remote_port)]


class MixesUp(AnswersNewest):
    """Every tenth answer goes to a neighbour."""

    _count = 0

    def find_coming(self, now: float, protocol: int, key: bytes) -> Session | None:
        found = Table.find_coming(self, now, protocol, key)
        if found is None:
            return None
        self._count += 1
        others = [one for one in self._likes(protocol, found) if one is not found]
        return others[0] if others and self._count % 10 == 0 else found


class EndsTogether(Table):
    def remove(self, binding: Binding) -> None:
        if binding.removed:
            return
        super().remove(binding)
        for other in [one for one in self._bindings.values() if one.inside == binding.inside]:
            super().remove(other)


def _table(kind: type[Table], limit: int | None = None) -> Callable[[Translator], None]:
    def broken(how: Translator) -> None:
        how.table = kind(limit or how.table.limit)

    return broken


# What it means well


def _cookies(how: Translator) -> None:
    how.ike = CookieHelper()


def _last_client(how: Translator) -> None:
    how.ike = SingleClient(newest=True)


def _guesses_esp(how: Translator) -> None:
    """What already does something for protocol 50 goes on doing that."""
    if isinstance(how.portless, Refuse):
        how.portless = SpiGuess()


def _payloads(how: Translator) -> None:
    how.payload = PayloadAlg(1)


def _loose(how: Translator) -> None:
    how.maps_by = lambda protocol, inside, port, remote, remote_port: (protocol, port, remote, remote_port)


FAULTS: tuple[Fault, ...] = (
    _rewriting("nat-checksum-stale", "The UDP checksum is not brought up to date.", StaleChecksum),
    _rewriting("nat-checksum-zero", "The UDP checksum is taken out in place of being brought up to date.", NoChecksum),
    _rewriting("nat-ttl-kept", "The time to live is not counted down.", KeepsTtl),
    _rewriting("nat-identification-cleared", "The identification of IP packets is set to zero.", NoIdentification),
    _rewriting("nat-lets-through", "Every tenth packet that leaves keeps its inside address and port.", LetsThrough),
    _rewriting("nat-tos-set", "The type of service is set to that of voice.", MarksAsVoice),
    in_nat(
        "nat-preserves-always",
        "A mapping gets the client's own port, whether somebody has it or not.",
        _allocating(PreservesAlways),
    ),
    in_nat("nat-three-ports", "Three ports are given in turn, whether they are free or not.", _allocating(InTurn)),
    in_nat("nat-inside-address-forgotten", "Mappings are kept under the inside port, and not under the inside address.", _loose),
    in_nat("nat-timer-5", "Mappings end after 5 seconds without a packet.", _five_seconds),
    in_nat("nat-not-refreshed", "Packets do not prolong the life of a mapping.", _not_refreshed),
    in_nat("nat-port-moves", "A mapping gets another port after 60 packets.", _table(Moves)),
    in_nat(
        "nat-answers-newest",
        "What comes from a remote end goes to the client that sent there last for the first time.",
        _table(AnswersNewest),
    ),
    in_nat("nat-mixes-up", "Every tenth packet that comes in goes to another client of the same remote end.", _table(MixesUp)),
    in_nat("nat-ends-together", "When one mapping of a client ends, all of them do.", _table(EndsTogether)),
    in_nat("nat-table-of-three", "The table has room for three sessions.", _table(Table, 3)),
    in_nat("nat-cookie-helper", "IKE keeps port 500 for everybody and is told apart by its cookies.", _cookies),
    in_nat("nat-ike-last-client", "IKE on port 500 belongs to the client that came last.", _last_client),
    in_nat("nat-guesses-esp", "Protocol 50 passes, its SPIs guessed, where the NAT knows nothing but ports.", _guesses_esp),
    in_nat("nat-payload", "Bytes like the first one of a client's address are translated in payloads too.", _payloads),
)
