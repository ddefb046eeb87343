"""One NAT for several routing tables: hosts of different VRFs may have one inside address, and never meet (ESN-58).

Each VRF is a NAT core of its own, with a table of its own. From outside a packet's destination tells whose it is; so each VRF needs
outside addresses that no other has.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import UsageError
from harness.model.nat_entries import NatEntry
from harness.nat.core import INSIDE, OUTSIDE, NatCore, Side
from harness.nat.ios.clearing import EVERYTHING, Clearing, clear
from harness.nat.ios.entries import translations

GLOBAL = ""
"""The name of the table of interfaces without a VRF."""


class VrfNat:
    """`cores` by VRF. An outside address is a core's if it is its own, or in its pool, or that of a static translation."""

    def __init__(self, cores: Mapping[str, NatCore]) -> None:
        self.cores = dict(cores)
        taken: dict[bytes, str] = {}
        for name, core in self.cores.items():
            for address in core.outside_addresses():
                if taken.setdefault(address, name) != name:
                    raise UsageError(
                        f"VRF {name or 'global'} and VRF {taken[address] or 'global'} have one outside address",
                        cure="an outside address or pool for each VRF",
                    )

    @property
    def deadline(self) -> float | None:
        return min((one for core in self.cores.values() if (one := core.deadline) is not None), default=None)

    def receive(self, now: float, side: Side, packet: bytes, vrf: str = GLOBAL) -> None:
        """`vrf` is that of the interface on which a packet came in from inside; from outside it is not asked for. A packet that is
        no VRF's goes to the global table, which counts it. KeyError for a VRF that there is not."""
        if side == INSIDE:
            self.cores[vrf].receive(now, side, packet)
            return
        destination = packet[16:20]
        owner = next((core for core in self.cores.values() if destination in core.outside_addresses()), None)
        owner = self.cores.get(GLOBAL) if owner is None else owner
        if owner is not None:
            owner.receive(now, OUTSIDE, packet)

    def tick(self, now: float) -> None:
        for core in self.cores.values():
            core.tick(now)

    def take_packets(self) -> list[tuple[Side, str, bytes]]:
        """(the side on which it goes out, the VRF whose it is, the packet)."""
        return [(side, name, packet) for name, core in self.cores.items() for side, packet in core.take_packets()]

    def translations(self, vrf: str | None = None) -> tuple[NatEntry, ...]:
        """The entries of one VRF, or of all."""
        return tuple(one for name, core in self.cores.items() if vrf in (None, name) for one in translations(core, name))

    def clear(self, now: float, what: Clearing = EVERYTHING, vrf: str | None = None) -> int:
        """How many entries went, in one VRF or in all."""
        return sum(clear(core, now, what) for name, core in self.cores.items() if vrf in (None, name))
