"""One call of a tunnel: its two session IDs, where it stands in the table, and the numbering of its data (RFC 2661 §5.4)."""

from __future__ import annotations

from harness.errors import ProtocolError
from harness.wire.l2tp import session
from harness.wire.machine import Machine
from harness.wire.proxy import Proxy


class Call:
    """`local` and `remote` are the session IDs; `remote` is 0 until the peer has assigned one.

    `numbered`: our data carry Ns. The LNS decides by what it sends and the LAC follows, unless one of them `insists`: then its
    numbers are always there. `required`: the LAC has asked for them (Sequencing Required), and data without are refused.
    """

    __slots__ = ("_nr", "_ns", "insists", "local", "machine", "numbered", "opener", "proxy", "remote", "required")

    def __init__(self, local: int, *, remote: int = 0, opener: bool = False, insists: bool = False) -> None:
        self.local = local
        self.remote = remote
        self.opener = opener
        self.machine = Machine(session.TABLE)
        self.proxy: Proxy | None = None
        self.insists = self.numbered = insists
        self.required = insists and opener
        self._ns = 0
        self._nr = 0

    @property
    def state(self) -> session.State:
        return self.machine.state

    @property
    def established(self) -> bool:
        return self.machine.state is session.State.ESTABLISHED

    def require_numbers(self) -> None:
        """The LAC's Sequencing Required AVP has come."""
        self.required = self.insists = self.numbered = True

    def next_numbers(self) -> tuple[int, int] | None:
        """(Ns, Nr) of the next data message, None where it carries none."""
        if not self.numbered:
            return None
        numbers = self._ns, self._nr
        self._ns = (self._ns + 1) & 0xFFFF
        return numbers

    def take_number(self, ns: int | None) -> None:
        """A data message has come. ProtocolError, and nothing changes, where it is late, or unnumbered against the agreement."""
        if ns is None:
            if self.required:
                raise ProtocolError("l2tp", "data without a sequence number, which this call requires")
            self.numbered = self.insists
            return
        if (ns - self._nr) & 0xFFFF >= 0x8000:
            raise ProtocolError("l2tp", f"data message {ns} came late: {self._nr} is next")
        self.numbered = True
        self._nr = (ns + 1) & 0xFFFF
