"""A bounds-checked reader over bytes. Nothing in `wire` indexes a received packet by any other means."""

from __future__ import annotations

from harness.errors import ProtocolError


class Reader:
    """Reads big-endian fields from `data`, never past its end.

    Every short read raises ProtocolError naming `layer`, what was being read, and the offset in `data`.
    """

    __slots__ = ("_data", "_end", "_layer", "_position")

    def __init__(self, layer: str, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._layer = layer
        self._data = data
        self._position = start
        self._end = len(data) if end is None else end
        if not 0 <= start <= self._end <= len(data):
            raise ProtocolError(layer, f"a field of {self._end - start} bytes does not fit", start)

    @property
    def position(self) -> int:
        return self._position

    @property
    def left(self) -> int:
        return self._end - self._position

    def take(self, count: int, what: str) -> bytes:
        if count < 0 or count > self.left:
            raise self.error(f"{what} needs {count} bytes, {self.left} are left")
        start = self._position
        self._position += count
        return self._data[start : self._position]

    def u8(self, what: str) -> int:
        return self.take(1, what)[0]

    def u16(self, what: str) -> int:
        return int.from_bytes(self.take(2, what))

    def u32(self, what: str) -> int:
        return int.from_bytes(self.take(4, what))

    def rest(self) -> bytes:
        return self.take(self.left, "the rest")

    def sub(self, count: int, what: str) -> Reader:
        """A reader over the next `count` bytes, which this one steps over. Offsets stay those of the whole message."""
        if count < 0 or count > self.left:
            raise self.error(f"{what} needs {count} bytes, {self.left} are left")
        start = self._position
        self._position += count
        return Reader(self._layer, self._data, start, self._position)

    def error(self, reason: str) -> ProtocolError:
        return ProtocolError(self._layer, reason, self._position)
