"""The host of a PPPoE session (RFC 2516 §5): it asks who takes calls, chooses one who does, and asks that one for a session.

    host                      concentrator
    PADI (to all) ──────────▶
         ◀────────── PADO
    PADR ──────────▶
         ◀────────── PADS, with the session's number
    PPP frames of that session, both ways; PADT from either ends it
"""

from __future__ import annotations

from enum import Enum, auto

from harness.errors import ProtocolError
from harness.wire.config import Entropy
from harness.wire.machine import Machine, Table
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
from harness.wire.retransmit import Retransmit, Schedule

WAITS = Schedule((1.0, 2.0, 4.0, 8.0))
"""Of both questions: doubled each time, as §8 recommends."""


class State(Enum):
    IDLE = "nothing asked"
    SOLICITING = "waits for offers"
    REQUESTING = "waits for its session"
    OPEN = "has its session"
    OVER = "over"


class Event(Enum):
    OPEN = auto()
    OFFER = auto()  # a PADO that can be accepted
    CONFIRMED = auto()  # a PADS with a session
    REFUSED = auto()  # one with an error
    TERMINATED = auto()  # a PADT of its session
    SILENCE = auto()  # the last question was not answered
    CLOSE = auto()


class Action(Enum):
    SOLICIT = auto()
    REQUEST = auto()
    BEGIN = auto()
    TERMINATE = auto()
    END = auto()


S, E, A = State, Event, Action
TABLE: Table[State, Event, Action] = Table(
    "pppoe",
    State,
    Event,
    State.IDLE,
    {
        (S.IDLE, E.OPEN): ((A.SOLICIT,), S.SOLICITING),
        (S.IDLE, E.CLOSE): ((A.END,), S.OVER),
        (S.SOLICITING, E.OFFER): ((A.REQUEST,), S.REQUESTING),
        (S.SOLICITING, E.SILENCE): ((A.END,), S.OVER),
        (S.SOLICITING, E.CLOSE): ((A.END,), S.OVER),
        (S.REQUESTING, E.OFFER): ((), S.REQUESTING),  # of a concentrator that was slower
        (S.REQUESTING, E.CONFIRMED): ((A.BEGIN,), S.OPEN),
        (S.REQUESTING, E.REFUSED): ((A.END,), S.OVER),
        (S.REQUESTING, E.SILENCE): ((A.END,), S.OVER),
        (S.REQUESTING, E.CLOSE): ((A.END,), S.OVER),
        (S.OPEN, E.OFFER): ((), S.OPEN),
        (S.OPEN, E.CONFIRMED): ((), S.OPEN),  # the answer to a question that was repeated
        (S.OPEN, E.TERMINATED): ((A.END,), S.OVER),
        (S.OPEN, E.CLOSE): ((A.TERMINATE, A.END), S.OVER),
        (S.OVER, E.OFFER): ((), S.OVER),
        (S.OVER, E.CONFIRMED): ((A.TERMINATE,), S.OVER),  # a session that nobody waits for any more
        (S.OVER, E.REFUSED): ((), S.OVER),
        (S.OVER, E.TERMINATED): ((), S.OVER),
        (S.OVER, E.CLOSE): ((), S.OVER),
    },
)


class Host:
    """`address` is its hardware address, `service` the name that it asks for ("": any), `concentrator` the AC-Name that alone it
    takes ("": any). Frames are whole Ethernet frames; those of other hosts on the same card pass by it. `session` is the number
    of its session while it has one, `peer` the concentrator's hardware address; `reason` why it is over."""

    def __init__(
        self, address: bytes, entropy: Entropy, *, service: str = "", concentrator: str = "", waits: Schedule = WAITS
    ) -> None:
        self.address = address
        self.peer = b""
        self.concentrator = ""
        self.session = 0
        self.reason = ""
        self._service = service.encode()
        self._wanted = concentrator
        self._unique = entropy(8)
        self._machine = Machine(TABLE)
        self._question = Retransmit(waits)
        self._answer = Frame(b"", b"", 0)
        self._frames: list[bytes] = []
        self._ppp: list[bytes] = []

    @property
    def state(self) -> State:
        return self._machine.state

    @property
    def deadline(self) -> float | None:
        return self._question.deadline

    def open(self, now: float) -> None:
        self._fire(now, Event.OPEN)

    def close(self, now: float, reason: str = "closed") -> None:
        """Ends the session, or gives up asking for one."""
        self.reason = self.reason or reason
        self._fire(now, Event.CLOSE)

    def tick(self, now: float) -> None:
        again = self._question.expire(now)
        if again is None:
            self.reason = "nobody offers to take the call" if self.state is State.SOLICITING else "its request was not answered"
            self._fire(now, Event.SILENCE)
        else:
            self._frames += again

    def receive(self, now: float, data: bytes) -> None:
        """Any frame of the wire: what is not for this host is passed over. ProtocolError where it is, and makes no sense."""
        if data[:6] != self.address or data[6:12] == self.address:
            return
        frame = parse(data)
        if frame.code == Code.SESSION:
            if self.state is State.OPEN and (frame.src, frame.session) == (self.peer, self.session):
                self._ppp.append(off_ethernet(frame.payload))
        elif frame.code == Code.PADT:
            if self.state is State.OPEN and (frame.src, frame.session) == (self.peer, self.session):
                self.reason = frame.error or "the concentrator has ended the session"
                self._fire(now, Event.TERMINATED)
        elif frame.code in (Code.PADO, Code.PADS) and frame.first(Tag.HOST_UNIQ) == self._unique:
            self._answered(now, frame)

    def send(self, ppp: bytes) -> None:
        """A PPP frame of the session. ProtocolError where it is too long for one; nothing is sent where there is no session."""
        if self.state is State.OPEN:
            self._frames.append(build(Frame(self.peer, self.address, Code.SESSION, self.session, payload=onto_ethernet(ppp))))

    def take_frames(self) -> list[bytes]:
        """Ethernet frames to send."""
        taken, self._frames = self._frames, []
        return taken

    def take_ppp(self) -> list[bytes]:
        """PPP frames that have come."""
        taken, self._ppp = self._ppp, []
        return taken

    # --- within ---

    def _answered(self, now: float, frame: Frame) -> None:
        if frame.code == Code.PADO:
            if frame.session:
                raise ProtocolError("pppoe", f"a PADO names session {frame.session}")
            if frame.error or not self._acceptable(frame):
                return
            event = Event.OFFER
        elif frame.error or not 0 < frame.session < NOBODY:
            event = Event.REFUSED
        else:
            event = Event.CONFIRMED
        if event is not Event.OFFER and self.state in (State.REQUESTING, State.OPEN) and frame.src != self.peer:
            return  # of somebody whom nothing was asked
        self._answer = frame
        if event is Event.REFUSED and self.state is State.REQUESTING:
            self.reason = frame.error or f"session {frame.session} is none"
        self._fire(now, event)

    def _acceptable(self, offer: Frame) -> bool:
        """It names its concentrator, and offers the service that was asked for (§5.2)."""
        name = offer.first(Tag.AC_NAME)
        wanted = not self._wanted or (name or b"").decode("utf-8", "replace") == self._wanted
        return name is not None and wanted and self._service in offer.all(Tag.SERVICE_NAME)

    def _fire(self, now: float, event: Event) -> None:
        for action in self._machine.fire(event):
            self._carry_out(now, action)

    def _carry_out(self, now: float, action: Action) -> None:
        own = ((Tag.SERVICE_NAME, self._service), (Tag.HOST_UNIQ, self._unique))
        match action:
            case Action.SOLICIT:
                self._ask(now, Frame(BROADCAST, self.address, Code.PADI, tags=own))
            case Action.REQUEST:
                offer = self._answer
                self.peer = offer.src
                self.concentrator = (offer.first(Tag.AC_NAME) or b"").decode("utf-8", "replace")
                kept = echoed(offer, Tag.AC_COOKIE, Tag.RELAY_SESSION_ID)
                self._ask(now, Frame(self.peer, self.address, Code.PADR, tags=(*own, *kept)))
            case Action.BEGIN:
                self.session = self._answer.session
                self._question.stop()
            case Action.TERMINATE:
                self._frames.append(build(Frame(self.peer, self.address, Code.PADT, self.session or self._answer.session)))
            case Action.END:
                self._question.stop()
                self.session = 0

    def _ask(self, now: float, frame: Frame) -> None:
        data = build(frame)
        self._frames.append(data)
        self._question.start(now, data)
