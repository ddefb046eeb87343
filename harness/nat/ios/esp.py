"""ESP through an overloaded address, told apart by SPI (ESN-02…16).

What the source states: normally an entry is delayed until a reply has come from the destination; with spi-match, for endpoints
that an access list permits, entries are made at once, since the inbound SPI can be told from the outbound one; that works only
where the endpoints choose their SPIs accordingly; it makes setting up in parallel possible. An ESP entry lives five minutes (the
sample shows 4:59 left).

What is derived, for it is not said what is delayed:

- The first packet of an outbound SPI goes out, or there never were a reply. Its entry is half open: the outbound SPI is known,
  the inbound one is not. The first unseen SPI that then comes from that destination completes it.
- While an entry of one inside host is half open, other hosts' new SPIs towards the same destination wait: two half-open entries
  could not be told apart. Their packets are held (`held.py`) and go out, in order, as soon as the first is complete or has ended.
  The delay is thus what is left of the first one's round trip; with a destination that never replies, five minutes.
- An SPI that is another host's, though its entry has ended or was cleared, completes nothing.
- Where SPIs are unpredictable though the list permits the endpoint, its entry is immediate and wrong. An unseen SPI then goes
  to the one host that still waits for a reply; to nobody, where several do, or where packets of a host beside the list wait.
- Two hosts with the same inbound SPI at one destination: the later is refused with spi-match. By default its first reply is known
  for what it is by a sequence number that the earlier one has received already, and is dropped.

ICMP errors about ESP (RFC 5508 §4, which is silent about ESP) are for the host whose SPI they quote: a path MTU that a router
outside tells reaches the endpoint that has to know it.

What cannot be told without spi-match: a destination that uses a new SPI unasked (it rekeys first), or replies for the first time
after the half-open entry has ended or was cleared, while another host waits. That packet is taken for the other's reply.
"""

from __future__ import annotations

from harness.model.predictable_spi import partner, predictable
from harness.nat.headers import ESP
from harness.nat.ios.access_list import AccessList
from harness.nat.ios.held import Held
from harness.nat.state import Dropped, State
from harness.nat.table import Session

WINDOW = 64
"""Sequence numbers that a receiver can tell replays in (RFC 4303 §3.4.3)."""


class HeldEsp:
    """Entries that wait for the reply."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self.reset()

    def reset(self) -> None:
        self.held.clear()
        self._open: dict[bytes, list[Session]] = {}  # by remote address: those without an answer
        self._owners: dict[bytes, bytes] = {}  # the key of an inbound SPI → whose it was last
        self._sent: dict[bytes, list[Session]] = {}  # remote address and outbound SPI → who sends so

    def take_over(self, other: HeldEsp) -> None:
        """What `other` knew, when this takes its place on a NAT that runs."""
        self.held, self._open, self._owners, self._sent = other.held, other._open, other._owners, other._sent

    def outward(self, state: State, packet: bytes, at: int) -> Session | None:
        """None where the packet has to wait."""
        if packet[9] != ESP:
            raise Dropped("protocol")
        leaving = packet[12:20] + _spi(packet, at)
        found = state.table.find_leaving(state.now, ESP, leaving)
        return self._admit(state, packet, leaving) if found is None else found

    def inward(self, state: State, packet: bytes, at: int) -> Session:
        if packet[9] != ESP:
            raise Dropped("protocol")
        spi = _spi(packet, at)
        coming = packet[12:20] + spi
        found = state.table.find_coming(state.now, ESP, coming)
        if found is None:
            found = self._complete(state, packet[12:16], coming)
            found.spi = int.from_bytes(spi)
        sequence = int.from_bytes(packet[at + 4 : at + 8])
        if not _is_new(found, sequence) and self._others_wait(state, found.remote, found.binding.inside):
            raise Dropped("SPI clash")
        _note(found, sequence)
        return found

    def quoted_out(self, state: State, remote: bytes, spi: bytes) -> Session | None:
        """Whose packet it was that left for `remote` with that SPI; None where nobody's, or that of one of several."""
        found = self._senders(state, remote + spi)
        return found[-1] if len({one.binding.inside for one in found}) == 1 else None

    def quoted_in(self, state: State, remote: bytes, inside: bytes, spi: bytes) -> Session | None:
        """The session of a packet that came in from `remote` for that inside host, and bore that SPI."""
        found = state.table.find_coming(state.now, ESP, remote + state.outside + spi)
        return found if found is not None and found.binding.inside == inside else None

    def _senders(self, state: State, key: bytes) -> list[Session]:
        return [one for one in self._sent.get(key, ()) if not one.binding.removed and one.binding.expires > state.now]

    def _establish(self, state: State, leaving: bytes, coming: bytes | None) -> Session:
        """A new entry, which waits for an answer, and whose sender errors about its packets are for."""
        remote, key = leaving[4:8], leaving[4:]
        made = state.establish(ESP, leaving, coming, 0, int.from_bytes(leaving[8:]))
        self._open_for(state, remote).append(made)
        if key not in self._sent and len(self._sent) >= state.table.limit:
            self._sent = {one: left for one in self._sent if (left := self._senders(state, one))}
        self._sent[key] = [*self._senders(state, key), made]
        return made

    def _admit(self, state: State, packet: bytes, leaving: bytes) -> Session | None:
        """A half-open entry, or None and the packet held."""
        inside, remote = leaving[:4], leaving[4:8]
        if self._others_wait(state, remote, inside):
            if not self.held.put(state.now, leaving[:8], packet):
                raise Dropped("held: no room")
            return None
        return self._establish(state, leaving, None)

    def _complete(self, state: State, remote: bytes, coming: bytes) -> Session:
        """The entry whose answer an unseen SPI is."""
        waiting = self._waiting(state, remote)
        if not waiting:
            raise Dropped("unknown SPI")
        found = waiting[0]
        if any(one.binding.inside != found.binding.inside for one in waiting):
            raise Dropped("SPI of one of several")
        if self._owners.get(coming, found.binding.inside) != found.binding.inside:
            raise Dropped("another client's")
        state.table.answer_to(found, coming)
        found.learnt = state.now
        self._own(state, coming, found.binding.inside)
        return found

    def _own(self, state: State, coming: bytes, inside: bytes) -> None:
        while len(self._owners) >= state.table.limit:
            del self._owners[next(iter(self._owners))]
        self._owners[coming] = inside

    def _others_wait(self, state: State, remote: bytes, inside: bytes) -> bool:
        return any(one.binding.inside != inside for one in self._waiting(state, remote))

    def _open_for(self, state: State, remote: bytes) -> list[Session]:
        if remote not in self._open and len(self._open) >= state.table.limit:
            self._open = {one: left for one in self._open if (left := self._waiting(state, one))}
        return self._open.setdefault(remote, [])

    def _waiting(self, state: State, remote: bytes) -> list[Session]:
        """The live entries towards this destination that nothing has answered yet, oldest first."""
        entries = self._open.get(remote)
        if not entries:
            return []
        left = [one for one in entries if not one.highest and not one.binding.removed and one.binding.expires > state.now]
        if left:
            self._open[remote] = left
        else:
            del self._open[remote]
        return left


class MatchedEsp(HeldEsp):
    """Endpoints that the list permits get both halves of their entry at once; all others wait as by default."""

    def __init__(self, held: Held, permitted: AccessList) -> None:
        super().__init__(held)
        self.permitted = permitted

    def _admit(self, state: State, packet: bytes, leaving: bytes) -> Session | None:
        inside, remote, spi = leaving[:4], leaving[4:8], int.from_bytes(leaving[8:])
        if not self.permitted.permits(inside, remote) or not predictable(spi):
            return super()._admit(state, packet, leaving)
        expected = partner(spi)
        coming = remote + state.outside + expected.to_bytes(4)
        if state.table.find_coming(state.now, ESP, coming) is not None:
            raise Dropped("SPI clash")
        made = self._establish(state, leaving, coming)
        made.spi = expected
        self._own(state, coming, inside)
        return made

    def _complete(self, state: State, remote: bytes, coming: bytes) -> Session:
        """An SPI that was not expected of the one host that waits for a reply may be another's, where another's packets are held:
        gateways may speak first."""
        waiting = self._waiting(state, remote)
        expected = len(waiting) == 1 and waiting[0].coming is not None
        if expected and self.held.others(state.now, remote, waiting[0].binding.inside):
            raise Dropped("SPI of one of several")
        return super()._complete(state, remote, coming)


def _spi(packet: bytes, at: int) -> bytes:
    if len(packet) < at + 8:
        raise Dropped("malformed")
    return packet[at : at + 4]


def _is_new(session: Session, sequence: int) -> bool:
    """Whether the session's own receiver would take the number for new."""
    age = session.highest - sequence
    return age < 0 or (age < WINDOW and not session.received >> age & 1)


def _note(session: Session, sequence: int) -> None:
    """A number of 0 (none is sent, RFC 4303 §2.2) is noted as 1: that something came is what `highest` says too."""
    sequence = max(sequence, 1)
    ahead = sequence - session.highest
    if ahead > 0:
        session.received = (session.received << ahead | 1) & (1 << WINDOW) - 1 if ahead < WINDOW else 1
        session.highest = sequence
    elif -ahead < WINDOW:
        session.received |= 1 << -ahead
