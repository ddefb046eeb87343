"""`crypto ipsec nat-transparency`: UDP encapsulation, SPI matching, or neither, as the commands leave it.

UDP encapsulation is what a router does unless told otherwise. Each of the two takes the other's place; `no` with its keyword turns
one off. UDP encapsulation comes back when SPI matching is turned off, unless it has been turned off itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from harness.wire.ike.natt import DIALECTS
from harness.wire.ike.registry import DPD_VENDOR_ID

Method = Literal["udp-encaps", "spi-matching", "none"]


@dataclass(frozen=True, slots=True)
class NatTransparency:
    """`udp_off`: `no … udp-encaps` has been given since UDP encapsulation was last asked for."""

    spi_matching: bool = False
    udp_off: bool = False

    def set(self, keyword: Literal["udp-encaps", "spi-matching"], *, no: bool = False) -> NatTransparency:
        """After one command."""
        if keyword == "udp-encaps":
            return replace(self, udp_off=True) if no else NatTransparency()
        return replace(self, spi_matching=False) if no else NatTransparency(spi_matching=True)

    @property
    def method(self) -> Method:
        if self.spi_matching:
            return "spi-matching"
        return "none" if self.udp_off else "udp-encaps"

    @property
    def lines(self) -> tuple[str, ...]:
        """Of `show running-config`: never both, nothing for the default."""
        return LINES[self.method]

    @property
    def vendor_ids(self) -> tuple[bytes, ...]:
        """What phase 1 announces: NAT traversal in all its dialects, or nothing of it, so that nobody looks for a NAT and ESP is IP
        protocol 50 whatever lies between."""
        natt = tuple(row.vendor_id for row in DIALECTS) if self.method == "udp-encaps" else ()
        return (*natt, DPD_VENDOR_ID)


LINES: Mapping[Method, tuple[str, ...]] = {
    "udp-encaps": (),
    "spi-matching": ("crypto ipsec nat-transparency spi-matching",),
    "none": ("no crypto ipsec nat-transparency udp-encaps",),
}
