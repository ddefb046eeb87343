"""SPIs of which one end can tell the other end's: how a NAT can know the inbound SPI of a tunnel when it sees the outbound one.

The source (NAT Support for IPsec ESP, phase II) says that endpoints choose SPIs by a predictive algorithm, and does not publish it;
its one sample, outbound 0x28726cd9 with inbound 0x2e59eef5, fixes none. The relation here is therefore ours, and no vendor's. The
endpoints and the NAT call this one function, as the vendor's do theirs. It is its own inverse, so that it serves whichever end
has chosen first.
"""

from __future__ import annotations

RESERVED = 256
"""SPIs below it are not for use (RFC 4303 §2.1)."""
_OTHER_END = 0x8000_0000


def partner(spi: int) -> int:
    """The SPI of the same tunnel's other direction. ValueError for what is no SPI, or has no partner that may be used."""
    other = spi ^ _OTHER_END
    if not RESERVED <= spi < 1 << 32 or other < RESERVED:
        raise ValueError(f"{spi:#x} is no SPI with a partner")
    return other


def predictable(spi: int) -> bool:
    """Whether an endpoint that wants to be predicted may choose this SPI."""
    return RESERVED <= spi < 1 << 32 and spi ^ _OTHER_END >= RESERVED
