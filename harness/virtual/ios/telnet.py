"""Telnet's options (RFC 854, 855) on the way between a connection and a session. Sans-IO: bytes in, bytes out.

A terminal server offers to echo and to suppress go-ahead, and asks for the window's size (RFC 857, 858, 1073); all else is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
ECHO, SGA, NAWS = 1, 3, 31
OURS = (ECHO, SGA)
THEIRS = (SGA, NAWS)
BREAK, INTERRUPT, ARE_YOU_THERE, ERASE_CHARACTER, ERASE_LINE = 243, 244, 246, 247, 248
_AS_KEYS = {BREAK: 0x03, INTERRUPT: 0x03, ERASE_CHARACTER: 0x08, ERASE_LINE: 0x15}
MOST = 64
"""Bytes of a subnegotiation that are kept; none that is understood has more."""


@dataclass(slots=True)
class Telnet:
    """`receive` gives what was typed; what is to be sent because of it waits in `take`. `window` is (columns, lines), None while
    unknown."""

    window: tuple[int, int] | None = None
    _out: bytearray = field(default_factory=bytearray)
    _state: str = "data"
    _verb: int = 0
    _said: bytearray = field(default_factory=bytearray)
    _ours: set[int] = field(default_factory=lambda: set(OURS))
    _theirs: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for option in OURS:
            self._out += bytes((IAC, WILL, option))
        for option in THEIRS:
            self._out += bytes((IAC, DO, option))
            self._theirs.add(option)

    def take(self) -> bytes:
        out, self._out = bytes(self._out), bytearray()
        return out

    def send(self, data: bytes) -> bytes:
        """What a session says, as it goes on the wire."""
        return data.replace(b"\xff", b"\xff\xff")

    def receive(self, data: bytes) -> bytes:
        typed = bytearray()
        for byte in data:
            self._byte(byte, typed)
        return bytes(typed)

    # --- within ---

    def _byte(self, byte: int, typed: bytearray) -> None:
        if self._state == "data":
            if byte == IAC:
                self._state = "command"
            else:
                typed.append(byte)
        elif self._state == "command":
            self._command(byte, typed)
        elif self._state == "option":
            self._state = "data"
            self._option(self._verb, byte)
        elif self._state == "said":
            if byte == IAC:
                self._state = "said-command"
            elif len(self._said) < MOST:
                self._said.append(byte)
        elif byte == IAC:  # said-command: a byte 255 of the subnegotiation
            self._state = "said"
            self._said += bytes((IAC,)) if len(self._said) < MOST else b""
        else:
            self._state = "data"
            if byte == SE:
                self._negotiated()

    def _command(self, byte: int, typed: bytearray) -> None:
        self._state = "data"
        if byte == IAC:
            typed.append(IAC)
        elif byte in (WILL, WONT, DO, DONT):
            self._verb, self._state = byte, "option"
        elif byte == SB:
            self._said.clear()
            self._state = "said"
        elif byte == ARE_YOU_THERE:
            self._out += b"\r\n[Yes]\r\n"
        elif byte in _AS_KEYS:
            typed.append(_AS_KEYS[byte])

    def _option(self, verb: int, option: int) -> None:
        """A change is answered, a confirmation is not: so no two ends answer each other for ever (RFC 1143's aim)."""
        if verb in (DO, DONT):
            on, wanted, yes, no = self._ours, OURS, WILL, WONT
        else:
            on, wanted, yes, no = self._theirs, THEIRS, DO, DONT
        if verb in (DO, WILL):
            if option in on:
                return
            if option in wanted:
                on.add(option)
            self._out += bytes((IAC, yes if option in wanted else no, option))
        elif option in on:
            on.discard(option)
            self._out += bytes((IAC, no, option))

    def _negotiated(self) -> None:
        if len(self._said) == 5 and self._said[0] == NAWS:
            columns, lines = int.from_bytes(self._said[1:3], "big"), int.from_bytes(self._said[3:5], "big")
            self.window = (columns, lines)
