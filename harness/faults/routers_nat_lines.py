"""NATs of routers that read the lines of their configuration otherwise than they are meant, or keep and clear the wrong entries."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.faults.fault import IOS_NAT, Fault, in_ios_nat
from harness.model.nat_entries import NatEntry
from harness.nat.core import NatCore
from harness.nat.headers import UDP
from harness.nat.ios.access_list import AccessList
from harness.nat.ios.clearing import EVERYTHING, Clearing, clear
from harness.nat.ios.timers import DNS, IosTimers
from harness.nat.parts import Translator
from harness.nat.table import Binding
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.nat_meaning import Plan, plan
from harness.virtual.ios.nat_role import NatRoleParts

FTP, SKINNY = 21, 2000
"""The ports that both are spoken at where no line says otherwise."""
HASTY_S, IN_USE_S = 1.0, 60

# What the lines say


class OncePreserved:
    """Reads no end of `IKE preserve-port`."""

    def __init__(self) -> None:
        self._list: AccessList | None = None

    def __call__(self, tree: Entry) -> Plan:
        found = plan(tree)
        self._list = found.services.preserve_port or self._list
        return replace(found, services=replace(found.services, preserve_port=self._list))


def _once(parts: NatRoleParts) -> None:
    parts.plan = OncePreserved()


def _standard_ports(tree: Entry) -> Plan:
    found = plan(tree)
    ftp = tuple(replace(one, port=FTP) for one in found.services.ftp)
    return replace(found, services=replace(found.services, ftp=ftp, skinny=(SKINNY,) if found.services.skinny else ()))


def _overloaded(tree: Entry) -> Plan:
    found = plan(tree)
    if found.overload or not found.pool:
        return found
    return replace(found, overload=True, outside=found.pool[0], pool=None)


# Entries


class HastyDns(IosTimers):
    def _life(self, binding: Binding) -> float:
        asked = binding.protocol == UDP and bool(binding.sessions) and binding.sessions[0].remote_port == DNS
        return HASTY_S if asked else super()._life(binding)


def _hasty_dns(how: Translator) -> None:
    how.timers = HastyDns()


class MadeAnew(IosTimers):
    """Each packet makes its entry anew."""

    def outbound(self, now: float, binding: Binding) -> None:
        super().outbound(now, binding)
        binding.created = now

    def inbound(self, now: float, binding: Binding) -> None:
        super().inbound(now, binding)
        binding.created = now


def _made_anew(how: Translator) -> None:
    how.timers = MadeAnew()


# Clearing


def _of_any_protocol(core: NatCore, now: float, what: Clearing = EVERYTHING) -> int:
    return clear(core, now, replace(what, protocol=None))


@dataclass(frozen=True, slots=True)
class Idle(Clearing):
    """Names nothing that was used a moment ago."""

    def names(self, entry: NatEntry) -> bool:
        return entry.used_s >= IN_USE_S and Clearing.names(self, entry)


def _spares_the_used(core: NatCore, now: float, what: Clearing = EVERYTHING) -> int:
    return clear(core, now, Idle(what.protocol, what.inside, what.outside))


FAULTS: tuple[Fault, ...] = (
    Fault("preserve-port-stays", IOS_NAT, "The no form of `IKE preserve-port` changes nothing.", ios_nat=_once),
    in_ios_nat("services-standard-ports", "Lines for FTP and skinny are for their standard ports, whatever they say.",
               plan=_standard_ports),
    in_ios_nat("pool-overloaded", "A pool without overload is taken for an overloaded one.", plan=_overloaded),
    in_ios_nat("dns-one-second", "An entry of port 53 lives for a second.", _hasty_dns),
    in_ios_nat("entries-made-anew", "Whatever passes makes its entry anew.", _made_anew),
    in_ios_nat("clear-any-protocol", "Clearing takes entries of any protocol, whichever is named.", clear=_of_any_protocol),
    in_ios_nat("clear-spares-the-used", "An entry that is in use is not cleared.", clear=_spares_the_used),
)  # fmt: skip
