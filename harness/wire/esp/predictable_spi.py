"""Predictable SPIs, as endpoints choose them that match SPIs (`crypto ipsec nat-transparency spi-matching`).

Who begins a quick mode chooses an SPI at random; who answers receives on the one that follows from it. A NAT that sees an SPI leave
knows by the same rule which one comes back, and so need not wait for the answer to learn it.

The vendor has not published its rule. This one is of our own: each SPI follows from the other by one exclusive or, so that it is
the same in both directions. The constant is what the one pair in the vendor's sample output (28726cd9 and 2e59eef5) differs by, so
that the sample obeys the rule; a single pair proves nothing about the vendor's.
"""

from __future__ import annotations

DIFFERENCE = 0x062B822C
LOWEST = 256
"""SPIs below are reserved (RFC 2406 §2.1)."""


def partner(spi: int) -> int:
    """The SPI of the other direction; `partner(partner(spi)) == spi`."""
    return spi ^ DIFFERENCE


def usable(spi: int) -> bool:
    """Whether one may begin with it: neither it nor its partner is reserved."""
    return spi >= LOWEST and partner(spi) >= LOWEST
