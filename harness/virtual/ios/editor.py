"""A line as it is typed: echo, the keys that edit it, what was typed before. Sans-IO: one byte in, an event out, the echo beside
it.

IOS's keys: ^A ^E ^B ^F (and the arrows) move, backspace ^D ^K ^U ^X ^W delete, ^P ^N (and the arrows) go through the history, ^R
^L show the line again, ^C gives it up, ^Z ends configuration, Tab completes a keyword, "?" helps, ^V takes the next byte as it
is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_ARROWS = {ord("A"): 0x10, ord("B"): 0x0E, ord("C"): 0x06, ord("D"): 0x02}
HISTORY = 20
LONGEST = 254
"""Characters of a line; what is typed beyond is not taken, and not echoed."""


@dataclass(frozen=True, slots=True)
class Typed:
    """`what`: "line" (ended by Return), "help" (a "?" after this text), "tab", "cancel" (^C), "end" (^Z), "redraw"."""

    what: str
    text: str = ""


@dataclass(slots=True)
class Editor:
    """`echo` is what the terminal is to show; False for passwords. `history`: earlier lines, the latest last, `size` of them."""

    echo: bool = True
    size: int = HISTORY
    history: list[str] = field(default_factory=list)
    text: str = ""
    cursor: int = 0
    _back: int = 0
    _kept: str = ""
    _escape: int = 0
    _literal: bool = False
    _out: bytearray = field(default_factory=bytearray)

    def take_echo(self) -> bytes:
        out, self._out = bytes(self._out), bytearray()
        return out

    def clear(self, *, echo: bool = True) -> None:
        self.text, self.cursor, self._back, self.echo = "", 0, 0, echo

    def remember(self, line: str) -> None:
        if line.strip() and self.size and self.history[-1:] != [line]:
            self.history[:] = [*self.history, line][-self.size :]

    def replace(self, text: str) -> None:
        """Shows another line in the place of this one."""
        self._show("\b" * self.cursor + text + " " * max(0, len(self.text) - len(text)) + "\b" * max(0, len(self.text) - len(text)))
        self.text, self.cursor = text, len(text)

    def drawn(self) -> bytes:
        """The line as it stands, the cursor in its place."""
        return (self.text + "\b" * (len(self.text) - self.cursor)).encode("latin-1") if self.echo else b""

    def feed(self, byte: int) -> Typed | None:
        """What the byte has brought about; None where the line only changed. A line's end is CR or LF."""
        if self._literal:
            self._literal = False
            self._insert(byte)
            return None
        if self._escape:
            return self._escaped(byte)
        if byte in (0x0D, 0x0A):
            line = self.text
            self.clear(echo=self.echo)
            return Typed("line", line)
        if not self.echo and byte not in (0x08, 0x7F, 0x15, 0x03, 0x1A):
            if byte >= 0x20:
                self._insert(byte)
            return None
        return self._key(byte)

    # --- within ---

    def _escaped(self, byte: int) -> Typed | None:
        if self._escape == 1 and byte in (ord("["), ord("O")):
            self._escape = 2
            return None
        if self._escape == 2 and (0x30 <= byte <= 0x3F):
            return None
        before, self._escape = self._escape, 0
        return self._key(_ARROWS[byte]) if before == 2 and byte in _ARROWS else None

    def _key(self, byte: int) -> Typed | None:
        if byte == 0x3F:
            return Typed("help", self.text[: self.cursor])
        if byte >= 0x20 and byte != 0x7F:
            self._insert(byte)
        elif byte in (0x08, 0x7F):
            self._delete(self.cursor - 1, self.cursor)
        elif byte in (0x15, 0x18):
            self._delete(0, self.cursor)
        elif byte == 0x17:
            head = self.text[: self.cursor].rstrip()
            self._delete(len(head.rpartition(" ")[0]) + (" " in head), self.cursor)
        elif byte == 0x04:
            self._delete(self.cursor, self.cursor + 1)
        elif byte == 0x0B:
            self._delete(self.cursor, len(self.text))
        elif byte in (0x01, 0x05, 0x02, 0x06):
            self._move({0x01: 0, 0x05: len(self.text), 0x02: self.cursor - 1, 0x06: self.cursor + 1}[byte])
        elif byte in (0x10, 0x0E):
            self._recall(1 if byte == 0x10 else -1)
        elif byte in (0x12, 0x0C):
            return Typed("redraw")
        elif byte == 0x09:
            return Typed("tab", self.text[: self.cursor])
        elif byte in (0x03, 0x1A):
            line = self.text
            self.clear(echo=self.echo)
            return Typed("cancel" if byte == 0x03 else "end", line)
        elif byte == 0x16:
            self._literal = True
        elif byte == 0x1B:
            self._escape = 1
        return None

    def _show(self, text: str) -> None:
        if self.echo:
            self._out += text.encode("latin-1")

    def _insert(self, byte: int) -> None:
        if len(self.text) >= LONGEST:
            return
        tail = self.text[self.cursor :]
        self.text = self.text[: self.cursor] + chr(byte) + tail
        self.cursor += 1
        self._show(chr(byte) + tail + "\b" * len(tail))

    def _move(self, to: int) -> None:
        to = min(max(to, 0), len(self.text))
        self._show("\b" * (self.cursor - to) if to < self.cursor else self.text[self.cursor : to])
        self.cursor = to

    def _delete(self, first: int, last: int) -> None:
        first, last = max(first, 0), min(last, len(self.text))
        if first >= last:
            return
        tail, gone = self.text[last:], last - first
        self._show("\b" * (self.cursor - first) + tail + " " * gone + "\b" * (gone + len(tail)))
        self.text, self.cursor = self.text[:first] + tail, first

    def _recall(self, step: int) -> None:
        back = self._back + step
        if not 0 <= back <= len(self.history):
            return
        if self._back == 0:
            self._kept = self.text
        self._back = back
        self.replace(self.history[-back] if back else self._kept)
