"""IPv4 reassembly (RFC 791 §3.2), so that a datagram that the path cut up is judged whole, at the frame that completes it."""

from __future__ import annotations

from collections import OrderedDict

from harness.probes.dissector.headers import IpPacket

_KEPT = 256  # datagrams under way at once; the oldest goes first, so that a flood of first fragments costs no memory
_LARGEST = 65_535


class Reassembler:
    """One side of one capture."""

    def __init__(self) -> None:
        self._parts: OrderedDict[tuple[str, str, int, int], dict[int, tuple[bytes, bool]]] = OrderedDict()

    def add(self, packet: IpPacket) -> bytes | None:
        """The whole payload once the last hole is filled, else None."""
        key = (packet.src, packet.dst, packet.protocol, packet.ident)
        parts = self._parts.setdefault(key, {})
        parts[packet.offset] = (packet.payload, packet.more)
        while len(self._parts) > _KEPT:
            self._parts.popitem(last=False)
        if not any(not more for _, more in parts.values()) or 0 not in parts:
            return None
        whole = self._join(parts)
        if whole is not None:
            self._parts.pop(key, None)
        return whole

    @staticmethod
    def _join(parts: dict[int, tuple[bytes, bool]]) -> bytes | None:
        pieces, at = [], 0
        while at in parts:
            data, more = parts[at]
            pieces.append(data)
            at += len(data)
            if not more:
                return b"".join(pieces)
            if not data or at > _LARGEST:
                return None
        return None
