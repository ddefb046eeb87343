"""The access concentrator of PPPoE (RFC 2516 §5): it offers to take calls, and gives each host that asks a session of its own.

It keeps nothing of a host before that asks for a session: its cookie is a digest of the host's address under a secret (§5.2 and
Appendix A, AC-Cookie), so that solicitations in anybody's name cost it nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from harness.wire.config import Entropy
from harness.wire.pppoe.packet import (
    BROADCAST,
    NOBODY,
    Code,
    Frame,
    Tag,
    build,
    echoed,
    off_ethernet,
    onto_ethernet,
    parse,
)

COOKIE = 16  # bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A host has a session now; `address` is its hardware address."""

    session: int
    address: bytes


@dataclass(frozen=True, slots=True)
class Arrived:
    """A PPP frame of a session."""

    session: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The host has ended it."""

    session: int


@dataclass(slots=True)
class _Session:
    address: bytes
    request: Frame = field(repr=False)


class Concentrator:
    """`name` is its AC-Name, `address` its hardware address. It takes at most `most` sessions in all and `per_host` for one
    address; whichever service is asked for, it has. `sessions`: the hosts' addresses by session."""

    def __init__(self, name: str, address: bytes, entropy: Entropy, *, most: int = NOBODY - 1, per_host: int = NOBODY - 1) -> None:
        self.name = name
        self.address = address
        self.most = most
        self.per_host = per_host
        self._secret = entropy(32)
        self._sessions: dict[int, _Session] = {}
        self._last = 0
        self._frames: list[bytes] = []
        self._events: list[Opened | Arrived | Closed] = []

    @property
    def sessions(self) -> dict[int, bytes]:
        return {number: one.address for number, one in self._sessions.items()}

    def receive(self, data: bytes) -> None:
        """Any frame of the wire: what is for others is passed over. ProtocolError where it is for this one and makes no sense."""
        if data[:6] not in (self.address, BROADCAST) or data[6:12] == self.address:
            return
        frame = parse(data)
        if frame.code == Code.PADI:
            self._solicited(frame)
        elif frame.dst != self.address:
            return
        elif frame.code == Code.PADR:
            self._requested(frame)
        elif (mine := self._sessions.get(frame.session)) is None or mine.address != frame.src:
            if frame.code == Code.SESSION:  # of a session that is over: its host has not heard so
                self._say(frame.src, Code.PADT, frame.session)
        elif frame.code == Code.SESSION:
            self._events.append(Arrived(frame.session, off_ethernet(frame.payload)))
        elif frame.code == Code.PADT:
            del self._sessions[frame.session]
            self._events.append(Closed(frame.session))

    def send(self, session: int, ppp: bytes) -> None:
        """A PPP frame to the session's host. ProtocolError where it is too long for one."""
        if (mine := self._sessions.get(session)) is not None:
            payload = onto_ethernet(ppp)
            self._frames.append(build(Frame(mine.address, self.address, Code.SESSION, session, payload=payload)))

    def end(self, session: int) -> None:
        """The host is told, and nothing more comes of it."""
        if (mine := self._sessions.pop(session, None)) is not None:
            self._say(mine.address, Code.PADT, session)

    def take_frames(self) -> list[bytes]:
        """Ethernet frames to send."""
        taken, self._frames = self._frames, []
        return taken

    def take_events(self) -> list[Opened | Arrived | Closed]:
        taken, self._events = self._events, []
        return taken

    # --- within ---

    def _solicited(self, frame: Frame) -> None:
        service = frame.all(Tag.SERVICE_NAME)
        if frame.session or len(service) != 1:  # "exactly one" (§5.1)
            return
        kept = echoed(frame, Tag.HOST_UNIQ, Tag.RELAY_SESSION_ID)
        names = ((Tag.AC_NAME, self.name.encode()), (Tag.SERVICE_NAME, service[0]), (Tag.AC_COOKIE, self._cookie(frame.src)))
        self._say(frame.src, Code.PADO, 0, *names, *kept)

    def _requested(self, frame: Frame) -> None:
        service = frame.all(Tag.SERVICE_NAME)
        if not hmac.compare_digest(frame.first(Tag.AC_COOKIE) or b"", self._cookie(frame.src)):
            return  # it was never offered anything at that address
        kept = tuple(echoed(frame, Tag.HOST_UNIQ, Tag.RELAY_SESSION_ID))
        if frame.session or len(service) != 1:
            self._say(frame.src, Code.PADS, 0, (Tag.GENERIC_ERROR, b"one Service-Name is wanted"), *kept)
            return
        session = next((number for number, one in self._sessions.items() if one.request == frame), None)
        if session is None:  # else it is the same request, whose answer was lost
            session = self._begin(frame)
        if session is None:
            self._say(frame.src, Code.PADS, 0, (Tag.SERVICE_NAME, service[0]), (Tag.AC_SYSTEM_ERROR, b"no session is left"), *kept)
        else:
            self._say(frame.src, Code.PADS, session, (Tag.SERVICE_NAME, service[0]), *kept)

    def _begin(self, frame: Frame) -> int | None:
        """A number that no session has, the next after the last one given; None where there may be no more."""
        own = sum(one.address == frame.src for one in self._sessions.values())
        if len(self._sessions) >= min(self.most, NOBODY - 1) or own >= self.per_host:
            return None
        while self._last in self._sessions or not 0 < self._last < NOBODY:
            self._last = self._last % (NOBODY - 1) + 1
        session = self._last
        self._last = session % (NOBODY - 1) + 1
        self._sessions[session] = _Session(frame.src, frame)
        self._events.append(Opened(session, frame.src))
        return session

    def _cookie(self, address: bytes) -> bytes:
        return hmac.digest(self._secret, address, hashlib.sha256)[:COOKIE]

    def _say(self, to: bytes, code: Code, session: int, *tags: tuple[int, bytes]) -> None:
        self._frames.append(build(Frame(to, self.address, code, session, tags)))
