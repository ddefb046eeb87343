"""One ESP SA a direction (RFC 4303): `OutboundSa.seal` and `InboundSa.open`.

Wire form: SPI (4) | sequence (4) | IV (block) | ciphertext of (payload | padding 1, 2, 3… | pad length | next header) | ICV.

One cipher context serves the whole life of an SA, because making one costs ten times as much as using it. CBC chains each block
to the ciphertext block before it, so:

- outbound, every packet begins with a block of fresh entropy; its ciphertext is unpredictable and *is* the IV (RFC 3602 §3);
- inbound, IV and ciphertext go in together; the first block that comes out depends on the packet before and is dropped.

`octets` counts the bytes to which the cipher was applied, padding and all: what a lifetime in kilobytes limits (RFC 2401 §4.4.3).
Whoever has keys, by IKE or by hand, makes an SA of them; it knows of no lifetime itself.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable

from harness.errors import ProtocolError
from harness.wire.esp.replay import ReplayWindow
from harness.wire.esp.transforms import pick

HEADER = struct.Struct("!II")
LAST_SEQUENCE = 0xFFFFFFFF

# Tail of padding for each pad length: 1, 2, 3… then the length itself (RFC 4303 §2.4).
_PADDING = tuple(bytes(range(1, count + 1)) + bytes([count]) for count in range(256))


def spi_of(packet: bytes) -> int:
    """The SPI of an ESP packet. ProtocolError for what is too short, and for 0, which never crosses the wire (RFC 4303 §2.1)."""
    if len(packet) < 8:
        raise ProtocolError("esp", f"{len(packet)} bytes are shorter than an ESP header")
    spi = int.from_bytes(packet[:4])
    if spi == 0:
        raise ProtocolError("esp", "SPI 0 never crosses the wire", 0)
    return spi


class OutboundSa:
    """Seals packets under `spi`, the number that the receiver chose."""

    __slots__ = ("_block", "_encrypt", "_entropy", "_icv", "_iv", "_mac", "octets", "sequence", "spi")

    def __init__(
        self, spi: int, encryption: str, authentication: str, key: bytes, auth_key: bytes, entropy: Callable[[int], bytes]
    ) -> None:
        cipher, mac = pick(encryption, authentication, key, auth_key)
        self.spi = spi
        self.sequence = 0
        self.octets = 0
        self._entropy = entropy
        self._block = cipher.block
        self._iv = cipher.iv
        self._icv = mac.icv
        self._encrypt = cipher.encryptor(key)
        self._mac = hmac.new(auth_key, digestmod=mac.digest)

    def seal(self, next_header: int, payload: bytes) -> bytes:
        """The ESP packet around `payload`. ProtocolError once 2**32 - 1 packets have gone: a number never comes twice (§3.3.3)."""
        if self.sequence >= LAST_SEQUENCE:
            raise ProtocolError("esp", f"SA {self.spi:08x} has used up its sequence numbers")
        self.sequence += 1
        size = len(payload) + 2
        filler = -size % self._block
        self.octets += size + filler
        body = self._encrypt(b"".join((self._entropy(self._iv), payload, _PADDING[filler], next_header.to_bytes(1))))
        packet = HEADER.pack(self.spi, self.sequence) + body
        mac = self._mac.copy()
        mac.update(packet)
        return packet + mac.digest()[: self._icv]


class InboundSa:
    """Opens the packets sent to `spi`. `packets` counts the authentic ones, `replayed` and `unauthentic` those refused for their
    sequence number and for their ICV."""

    __slots__ = ("_block", "_decrypt", "_icv", "_iv", "_mac", "octets", "packets", "replayed", "spi", "unauthentic", "window")

    def __init__(self, spi: int, encryption: str, authentication: str, key: bytes, auth_key: bytes) -> None:
        cipher, mac = pick(encryption, authentication, key, auth_key)
        self.spi = spi
        self.packets = 0
        self.replayed = 0
        self.unauthentic = 0
        self.octets = 0
        self.window = ReplayWindow()
        self._block = cipher.block
        self._iv = cipher.iv
        self._icv = mac.icv
        self._decrypt = cipher.decryptor(key)
        self._mac = hmac.new(auth_key, digestmod=mac.digest)

    def open(self, packet: bytes) -> tuple[int, bytes]:
        """(next header, payload). ProtocolError, in this order, for another SPI, a length that cannot be, a replay, a wrong ICV;
        none of these moves the replay window. Then for padding that is not 1, 2, 3…: authentic, so the window has moved."""
        block, iv, icv = self._block, self._iv, self._icv
        end = len(packet) - icv
        if end < 8 + iv + block or (end - 8) % block:
            raise ProtocolError("esp", f"{len(packet)} bytes hold no whole blocks of {block}")
        spi, sequence = HEADER.unpack_from(packet)
        if spi != self.spi:
            raise ProtocolError("esp", f"SPI {spi:08x} came to SA {self.spi:08x}", 0)
        try:
            self.window.check(sequence)
        except ProtocolError:
            self.replayed += 1
            raise
        mac = self._mac.copy()
        mac.update(packet[:end])
        if not hmac.compare_digest(mac.digest()[:icv], packet[end:]):
            self.unauthentic += 1
            raise ProtocolError("esp", f"wrong ICV on SA {spi:08x}, sequence {sequence}", end)
        self.window.mark(sequence)
        self.packets += 1
        self.octets += end - 8 - iv
        clear = self._decrypt(packet[8:end])
        count, next_header = clear[-2], clear[-1]
        tail = len(clear) - 2 - count
        if tail < iv or clear[tail:-1] != _PADDING[count]:
            raise ProtocolError("esp", f"padding of {count} bytes is not 1, 2, 3…")
        return next_header, clear[iv:tail]
