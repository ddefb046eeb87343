"""A whole dial-in client, sans-IO: IKE, then ESP, in it UDP port 1701, in that L2TP, in that PPP, in that IP.

`wire.ipsec` is what lies below L2TP, which may be nothing at all. Datagrams of the client and the time go in; datagrams, events and
one deadline come out. Every layer's events are passed up in the order in which things happened. Failed comes at most once: the
first cause of the end; what follows from it, and what the owner asked for by `close`, is told by the layers' Down events only.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar

from harness.errors import ProtocolError
from harness.wire import events, ip
from harness.wire.config import Entropy, StackConfig
from harness.wire.ipsec import Ipsec, carrier
from harness.wire.l2tp import Frame, L2tpCore
from harness.wire.ppp import PppCore

CLOSE_S = 10.0
"""How long an orderly end may wait for the peer's acknowledgements before the SAs are deleted all the same."""


class State(Enum):
    """Where the client stands. Those between IDLE and UP are named after the stage that is under way."""

    IDLE = "idle"
    MAIN_MODE = "main mode"
    QUICK_MODE = "quick mode"
    L2TP_TUNNEL = "L2TP tunnel"
    L2TP_SESSION = "L2TP session"
    LCP = "LCP"
    AUTHENTICATION = "PPP authentication"
    IPCP = "IPCP"
    UP = "up"
    CLOSING = "closing"
    ENDED = "ended"
    SILENT = "silent"


_REACHED: Mapping[type[events.Event], State] = {
    events.IkeUp: State.QUICK_MODE,
    events.EspUp: State.L2TP_TUNNEL,
    events.TunnelUp: State.L2TP_SESSION,
    events.CallUp: State.LCP,
    events.LcpUp: State.AUTHENTICATION,
    events.Authenticated: State.IPCP,
    events.PppUp: State.UP,
}
_OVER = frozenset((State.IDLE, State.ENDED, State.SILENT))


class ClientStack:
    """One connection, from the first main-mode message to the last Delete. Not to be started twice."""

    ipsec_type: ClassVar[type[Ipsec]] = Ipsec
    l2tp_type: ClassVar[type[L2tpCore]] = L2tpCore
    ppp_type: ClassVar[type[PppCore]] = PppCore

    def __init__(self, config: StackConfig, entropy: Entropy) -> None:
        self._ipsec = carrier(config, entropy, self.ipsec_type)
        self._l2tp = self.l2tp_type(config.l2tp, entropy)
        self._ppp = self.ppp_type(config.ppp, entropy)
        self._protected = config.ike is not None
        self._datagrams: list[events.Datagram] = []
        self._events: list[events.Event] = []
        self._failed = False
        self._deleting = False  # the owner ordered the ESP SAs away, and the layers above are to find out by themselves
        self._close_by = 0.0
        self._start_delay = config.l2tp.start_delay_s
        self._l2tp_at: float | None = None  # when the SCCRQ is to go out
        self._ppp_waits = False  # the ICCN is out, and LCP begins once it is acknowledged or the peer's own LCP is here
        self.state = State.IDLE

    # What the owner asks

    @property
    def address(self) -> str | None:
        """The PPP address while IP flows."""
        return self._ppp.address if self.state is State.UP else None

    @property
    def deadline(self) -> float | None:
        if self.state in _OVER:
            return None
        times = [self._ipsec.deadline, self._l2tp.deadline, self._l2tp_at]
        if self._l2tp.established:
            times.append(self._ppp.deadline)
        if self.state is State.CLOSING:
            times.append(self._close_by)
        return min((time for time in times if time is not None), default=None)

    def take_datagrams(self) -> list[events.Datagram]:
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def take_events(self) -> list[events.Event]:
        told, self._events = self._events, []
        return told

    # What the owner orders

    def start(self, now: float) -> None:
        if self.state is not State.IDLE:
            raise ProtocolError("stack", f"cannot start in state {self.state.value}")
        self.state = State.MAIN_MODE if self._protected else State.L2TP_TUNNEL
        self._ipsec.start(now)
        if not self._protected:
            self._start_l2tp(now)
        self._pump(now)

    def close(self, now: float) -> None:
        """The orderly end: LCP Terminate, CDN (result 3), StopCCN (result 1), Deletes. `deadline` is None once it is over."""
        if self.state is State.IDLE:
            self.state = State.ENDED
        if self.state in _OVER or self.state is State.CLOSING:
            return
        self._failed = True  # nothing that comes of it is a failure
        self._begin_end(now)
        self._pump(now)

    def vanish(self) -> None:
        """Falls silent for good: nothing is sent, nothing heard, nothing told."""
        self.state = State.SILENT
        self._datagrams.clear()
        self._events.clear()

    def send_ip(self, now: float, packet: bytes) -> bool:
        """Whether the packet went out: only while PPP is up and there is something to carry it."""
        if self.state is not State.UP or not self._ipsec.ready:
            return False
        frame = self._ppp.send_ip(packet)
        if frame is None or not self._l2tp.send_data(now, frame):
            return False
        self._pump(now)
        return True

    def rekey_ipsec(self, now: float) -> None:
        if self.state not in _OVER:
            self._ipsec.rekey_ipsec(now)
            self._deleting = False
            self._pump(now)

    def rekey_ike(self, now: float) -> None:
        if self.state not in _OVER:
            self._ipsec.rekey_ike(now)
            self._pump(now)

    def delete_ipsec(self, now: float) -> None:
        """Deletes the ESP SAs and nothing else: L2TP and PPP go on until they notice, or until `rekey_ipsec` brings a new pair."""
        if self.state not in _OVER:
            self._ipsec.delete_ipsec(now)
            self._deleting = True
            self._pump(now)

    # What comes in

    def receive(self, now: float, local_port: int, payload: bytes, protocol: int = ip.UDP) -> None:
        """A datagram that came to UDP port 500, 4500 or L2TP's own, or (port 0) an IP packet of `protocol` 50 without its header.
        Never raises: what is refused becomes a Refused event."""
        if self.state in _OVER:
            return
        try:
            message = self._ipsec.receive(now, local_port, payload, protocol)
            if message is not None:
                self._l2tp.receive(now, message)
        except ProtocolError as error:
            self._events.append(events.Refused(error.layer, error.reason))
        self._pump(now)

    def tick(self, now: float) -> None:
        if self.state in _OVER:
            return
        self._ipsec.tick(now)
        if self._l2tp_at is not None and now >= self._l2tp_at:
            self._start_l2tp(now)
        self._l2tp.tick(now)
        if self._l2tp.established:
            self._ppp.tick(now)
        self._pump(now)

    # One layer's output is the next one's input

    def _pump(self, now: float) -> None:
        """Ends, because each round only carries on what the round before produced, and nothing here answers itself."""
        while True:
            self._datagrams += self._ipsec.take_datagrams()
            told = self._ipsec.take_events()
            packets, heard = self._l2tp.take_packets(), self._l2tp.take_events()
            frames, said = self._ppp.take_frames(), self._ppp.take_events()
            for event in told:
                self._tell(now, event)
                if isinstance(event, events.EspUp):
                    self._esp_up(now)
            self._judge_loss(now, told)
            for event in heard:
                self._l2tp_event(now, event)
            if self._ppp_waits and self._l2tp.acknowledged:
                self._open_ppp(now)
            for packet in packets:
                self._ipsec.send(now, packet)
            for event in said:
                self._tell(now, event)
            for frame in frames:
                self._l2tp.send_data(now, frame)
            if not (told or packets or heard or frames or said or self._advance(now)):
                return

    def _esp_up(self, now: float) -> None:
        self._deleting = False
        if self.state is State.L2TP_TUNNEL and not self._l2tp.started and self._l2tp_at is None:
            if self._start_delay > 0:
                self._l2tp_at = now + self._start_delay
            else:
                self._start_l2tp(now)

    def _start_l2tp(self, now: float) -> None:
        self._l2tp_at = None
        self._l2tp.start(now)

    def _judge_loss(self, now: float, told: list[events.Event]) -> None:
        """The last pair of ESP SAs went, and the events that came with it brought no new one: L2TP has nothing to run over."""
        lost = next((event for event in reversed(told) if isinstance(event, events.EspDown)), None)
        if lost is None or self._ipsec.ready or self._deleting or self.state is State.CLOSING:
            return
        who = "the gateway deleted" if lost.by_peer else "there is no more of"
        reason = f"{who} the last ESP SA ({lost.reason})"
        self._fail(now, events.Failed(self.state.value, reason, {"by": "gateway" if lost.by_peer else "silence"}))

    def _l2tp_event(self, now: float, event: events.Event) -> None:
        if isinstance(event, Frame):
            if self._ppp_waits:
                self._open_ppp(now)
            self._ppp.receive(now, event.frame)
            return
        self._tell(now, event)
        if isinstance(event, events.CallUp):
            # An LNS sets its end of the session up when the ICCN comes and drops PPP frames that outrun it: LCP's first request
            # would be lost, and its Restart timer be waited for, every time.
            self._ppp_waits = True

    def _open_ppp(self, now: float) -> None:
        self._ppp_waits = False
        self._ppp.open(now)

    def _tell(self, now: float, event: events.Event) -> None:
        """Passes an event up, and moves `state` as it says."""
        if isinstance(event, events.Failed):
            self._fail(now, event)
            return
        self._events.append(event)
        reached = _REACHED.get(type(event))
        if reached is None or self.state in _OVER or self.state is State.CLOSING:
            return
        if isinstance(event, events.IkeUp | events.EspUp) and self.state not in (State.MAIN_MODE, State.QUICK_MODE):
            return  # a rekey, or a new pair after one's own delete: the layers above stand where they stood
        if isinstance(event, events.LcpUp) and event.authentication == "none":
            reached = State.IPCP
        self.state = reached

    # Ends

    def _fail(self, now: float, event: events.Failed) -> None:
        """The first failure is the cause; it is told with what the layers below it could not know."""
        if not self._failed:
            self._failed = True
            bare = self.state not in (State.MAIN_MODE, State.QUICK_MODE) and not self._ipsec.ready
            facts = {**event.facts, "esp": "there was no ESP SA"} if bare else event.facts
            self._events.append(events.Failed(event.stage, event.reason, facts))
        if self.state not in _OVER and self.state is not State.CLOSING:
            self._begin_end(now)

    def _begin_end(self, now: float) -> None:
        self.state = State.CLOSING
        self._l2tp_at, self._ppp_waits = None, False
        self._close_by = now + CLOSE_S
        if self._ipsec.ready and self._l2tp.established:
            self._ppp.close(now)

    def _advance(self, now: float) -> bool:
        """The next step of an orderly end, each once the one before is done: PPP, L2TP, IPsec."""
        if self.state is not State.CLOSING:
            return False
        if self._ipsec.ready and now < self._close_by:
            if self._l2tp.established and not self._ppp.finished:
                return False
            if not self._l2tp.finished:
                return self._hang_up(now)
        self._ipsec.close(now)
        self._datagrams += self._ipsec.take_datagrams()
        self._events += [event for event in self._ipsec.take_events() if not isinstance(event, events.Failed)]
        self.state = State.ENDED
        return True

    def _hang_up(self, now: float) -> bool:
        """Whether this is the first time: the core sends its CDN and StopCCN once."""
        self._l2tp.close(now)
        return self._l2tp.sending
