"""A whole dial-in client, sans-IO: IKE, then ESP in UDP, in it UDP port 1701, in that L2TP, in that PPP, in that IP.

Datagrams of the client's two UDP ports and the time go in; datagrams, events and one deadline come out. Every layer's events are
passed up in the order in which things happened. Failed comes at most once: the first cause of the end; what follows from it, and
what the owner asked for by `close`, is told by the layers' Down events only.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from harness.errors import ProtocolError
from harness.wire import events, ip
from harness.wire.config import Entropy, StackConfig
from harness.wire.esp import InboundSa, OutboundSa, spi_of
from harness.wire.ike.core import IkeCore
from harness.wire.l2tp import Frame, L2tpCore, inner_packet
from harness.wire.ppp import PppCore

IKE_PORT = 500
NATT_PORT = 4500
L2TP_PORT = 1701
MARKER = bytes(4)
KEEPALIVE = b"\xff"
IP_IN_IP = 4
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

    def __init__(self, config: StackConfig, entropy: Entropy) -> None:
        self._entropy = entropy
        self._ike = IkeCore(config.ike, entropy)
        self._l2tp = L2tpCore(config.l2tp, entropy)
        self._ppp = PppCore(config.ppp, entropy)
        self._here = ip.packed(config.ike.address)
        self._there = ip.packed(config.ike.peer_address)
        self._pairs: dict[int, tuple[InboundSa, OutboundSa]] = {}  # by inbound SPI, newest last
        self._datagrams: list[events.Datagram] = []
        self._events: list[events.Event] = []
        self._failed = False
        self._deleting = False  # the owner ordered the ESP SAs away, and the layers above are to find out by themselves
        self._lost: events.EspDown | None = None  # the last pair went, in the batch of events at hand
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
        times = [self._ike.deadline, self._l2tp.deadline, self._l2tp_at]
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
        self.state = State.MAIN_MODE
        self._ike.start(now)
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
        """Whether the packet went out: only while PPP is up and there is an ESP SA to carry it."""
        if self.state is not State.UP or not self._pairs:
            return False
        frame = self._ppp.send_ip(packet)
        if frame is None or not self._l2tp.send_data(now, frame):
            return False
        self._pump(now)
        return True

    def rekey_ipsec(self, now: float) -> None:
        if self.state not in _OVER:
            self._deleting = False
            self._ike.rekey_ipsec(now)
            self._pump(now)

    def rekey_ike(self, now: float) -> None:
        if self.state not in _OVER:
            self._ike.rekey_ike(now)
            self._pump(now)

    def delete_ipsec(self, now: float) -> None:
        """Deletes the ESP SAs and nothing else: L2TP and PPP go on until they notice, or until `rekey_ipsec` brings a new pair."""
        if self.state not in _OVER:
            self._deleting = True
            self._ike.delete_ipsec(now)
            self._pump(now)

    # What comes in

    def receive(self, now: float, local_port: int, payload: bytes) -> None:
        """A datagram that came to port 500 or 4500. Never raises: what is refused becomes a Refused event."""
        if self.state in _OVER:
            return
        try:
            if local_port == IKE_PORT:
                self._ike.receive(now, payload, IKE_PORT)
            elif local_port != NATT_PORT:
                raise ProtocolError("stack", f"port {local_port} is not served")
            elif payload[:4] == MARKER:
                self._ike.receive(now, payload[4:], NATT_PORT)
            elif payload != KEEPALIVE:
                self._open(now, payload)
        except ProtocolError as error:
            self._events.append(events.Refused(error.layer, error.reason))
        self._pump(now)

    def tick(self, now: float) -> None:
        if self.state in _OVER:
            return
        self._ike.tick(now)
        if self._l2tp_at is not None and now >= self._l2tp_at:
            self._start_l2tp(now)
        self._l2tp.tick(now)
        if self._l2tp.established:
            self._ppp.tick(now)
        self._pump(now)

    def _open(self, now: float, packet: bytes) -> None:
        spi = spi_of(packet)
        pair = self._pairs.get(spi)
        if pair is None:
            raise ProtocolError("esp", f"unknown SPI {spi:08x}")
        next_header, payload = pair[0].open(packet)
        self._ike.note_traffic(now, sent=False)
        if next_header != ip.UDP:
            inner = payload if next_header == IP_IN_IP else None
            self._events.append(events.Strange("esp", f"next header {next_header} is not UDP", None, None, inner))
            return
        # The checksum is not judged: the gateway computed it over addresses that the NAT has changed since (RFC 3948 §3.1.2).
        datagram = ip.parse_udp(payload)
        if datagram.dport != L2TP_PORT:
            ports = f"UDP {datagram.sport} to {datagram.dport} is not L2TP to port {L2TP_PORT}"
            self._events.append(events.Strange("udp", ports, None, None, inner_packet(datagram.payload)))
            return
        self._l2tp.receive(now, datagram.payload)

    # One layer's output is the next one's input

    def _pump(self, now: float) -> None:
        """Ends, because each round only carries on what the round before produced, and nothing here answers itself."""
        while True:
            self._datagrams += self._ike.take_datagrams()
            told = self._ike.take_events()
            packets, heard = self._l2tp.take_packets(), self._l2tp.take_events()
            frames, said = self._ppp.take_frames(), self._ppp.take_events()
            for event in told:
                self._ike_event(now, event)
            self._judge_loss(now)
            for event in heard:
                self._l2tp_event(now, event)
            if self._ppp_waits and self._l2tp.acknowledged:
                self._open_ppp(now)
            for packet in packets:
                self._send(now, packet)
            for event in said:
                self._tell(now, event)
            for frame in frames:
                self._l2tp.send_data(now, frame)
            if not (told or packets or heard or frames or said or self._advance(now)):
                return

    def _send(self, now: float, payload: bytes) -> None:
        """An L2TP message into the newest outbound SA. Without one it is lost, as it is under an IPsec policy."""
        if not self._pairs:
            return
        outbound = next(reversed(self._pairs.values()))[1]
        datagram = ip.build_udp(self._here, self._there, L2TP_PORT, L2TP_PORT, payload)
        try:
            sealed = outbound.seal(ip.UDP, datagram)
        except ProtocolError as error:
            self._events.append(events.Refused(error.layer, error.reason))
            return
        self._datagrams.append(events.Datagram(NATT_PORT, NATT_PORT, sealed))
        self._ike.note_traffic(now, received=False)

    def _ike_event(self, now: float, event: events.Event) -> None:
        match event:
            case events.EspUp():
                self._tell(now, event)
                self._esp_up(now, event)
            case events.EspDown():
                self._tell(now, event)
                if self._pairs.pop(event.spi_in, None) is not None and not self._pairs:
                    self._lost = event
            case _:
                self._tell(now, event)

    def _esp_up(self, now: float, event: events.EspUp) -> None:
        if not event.encapsulation.startswith("udp"):
            reason = f"the SA is {event.encapsulation}, which only UDP encapsulation can carry here: no NAT was found on the way"
            self._fail(now, events.Failed("quick mode", reason, {"by": "client"}))
            return
        names = event.encryption, event.authentication
        self._pairs[event.spi_in] = (
            InboundSa(event.spi_in, *names, event.key_in, event.auth_key_in),
            OutboundSa(event.spi_out, *names, event.key_out, event.auth_key_out, self._entropy),
        )
        self._lost = None
        self._deleting = False
        if self.state is State.L2TP_TUNNEL and not self._l2tp.started and self._l2tp_at is None:
            if self._start_delay > 0:
                self._l2tp_at = now + self._start_delay
            else:
                self._start_l2tp(now)

    def _start_l2tp(self, now: float) -> None:
        self._l2tp_at = None
        self._l2tp.start(now)

    def _judge_loss(self, now: float) -> None:
        """The last pair of ESP SAs went, and the events that came with it brought no new one: L2TP has nothing to run over."""
        lost, self._lost = self._lost, None
        if lost is None or self._deleting or self.state is State.CLOSING:
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
            bare = self.state not in (State.MAIN_MODE, State.QUICK_MODE) and not self._pairs
            facts = {**event.facts, "esp": "there was no ESP SA"} if bare else event.facts
            self._events.append(events.Failed(event.stage, event.reason, facts))
        if self.state not in _OVER and self.state is not State.CLOSING:
            self._begin_end(now)

    def _begin_end(self, now: float) -> None:
        self.state = State.CLOSING
        self._l2tp_at, self._ppp_waits = None, False
        self._close_by = now + CLOSE_S
        if self._pairs and self._l2tp.established:
            self._ppp.close(now)

    def _advance(self, now: float) -> bool:
        """The next step of an orderly end, each once the one before is done: PPP, L2TP, IPsec."""
        if self.state is not State.CLOSING:
            return False
        if self._pairs and now < self._close_by:
            if self._l2tp.established and not self._ppp.finished:
                return False
            if not self._l2tp.finished:
                return self._hang_up(now)
        self._ike.close(now)
        self._datagrams += self._ike.take_datagrams()
        self._events += [event for event in self._ike.take_events() if not isinstance(event, events.Failed)]
        self._pairs.clear()
        self.state = State.ENDED
        return True

    def _hang_up(self, now: float) -> bool:
        """Whether this is the first time: the core sends its CDN and StopCCN once."""
        self._l2tp.close(now)
        return self._l2tp.sending
