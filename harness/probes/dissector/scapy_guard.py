"""The one door to scapy: hostile bytes come out of it as ProtocolError, never as whatever a field's code happened to raise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scapy.packet import Packet

from harness.errors import ProtocolError


class Item(Packet):
    """One entry of a list: what follows its fields belongs to the entry after it."""

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s


def read(layer: str, shape: type[Packet], data: bytes) -> Any:
    """`data` as `shape`. scapy shortens without a word what it cannot fill, so compare lengths; what it raises ends here."""
    try:
        return shape(data)
    except Exception as error:  # scapy's fields raise struct.error, IndexError, ValueError, TypeError … on short or odd bytes
        raise ProtocolError(layer, f"cannot be read as {shape.__name__}: {type(error).__name__}: {error}") from error


def whole(layer: str, shape: type[Packet], entries: Sequence[Any]) -> Sequence[Any]:
    """The entries of a list field, each a `shape`: scapy puts raw bytes in the place of one that it cannot read."""
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, shape):
            raise ProtocolError(layer, f"entry {number} of {len(entries)} is no {shape.__name__}: {bytes(entry)[:16].hex()}")
    return entries
