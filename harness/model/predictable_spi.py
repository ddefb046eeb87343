"""SPIs of which one end can tell the other end's: how a NAT can know the inbound SPI of a tunnel when it sees the outbound one.

The source (NAT Support for IPsec ESP, phase II) says that endpoints choose SPIs by a predictive algorithm, and does not publish it.
The relation here is therefore ours, and no vendor's: each SPI follows from the other by one exclusive or, so that it is the same in
both directions, and serves whichever end has chosen first. The constant is what the one pair of the source's sample differs by
(28726cd9 and 2e59eef5), so that the sample obeys the relation; a single pair proves nothing about the vendor's. The endpoints and
the NAT call this one module, as the vendor's do theirs.
"""

from __future__ import annotations

RESERVED = 256
"""SPIs below it are not for use (RFC 4303 §2.1)."""
DIFFERENCE = 0x062B_822C


def partner(spi: int) -> int:
    """The SPI of the same tunnel's other direction. ValueError for what is no SPI, or has no partner that may be used."""
    if not predictable(spi):
        raise ValueError(f"{spi:#x} is no SPI with a partner")
    return spi ^ DIFFERENCE


def predictable(spi: int) -> bool:
    """Whether an endpoint that wants to be predicted may choose this SPI: neither it nor its partner is reserved."""
    return RESERVED <= spi < 1 << 32 and spi ^ DIFFERENCE >= RESERVED
