"""One PPP link, sans-IO: frames and `now` in; frames, events and a deadline out (RFC 1661 §3.2 for the phases)."""

from __future__ import annotations

from enum import Enum
from functools import partial

from harness.errors import ProtocolError
from harness.wire import events
from harness.wire.config import Entropy, PppConfig
from harness.wire.ppp import frame
from harness.wire.ppp.authentication import Exchange
from harness.wire.ppp.authority import Claim, Decision
from harness.wire.ppp.chap import Chap
from harness.wire.ppp.echo import EchoTimer
from harness.wire.ppp.frame import Protocol, protocol_name
from harness.wire.ppp.ipcp import IpcpOptions
from harness.wire.ppp.lcp import is_authentication, lcp_options
from harness.wire.ppp.negotiation import Negotiation, Signal
from harness.wire.ppp.packet import Code, Packet, parse_options, readable
from harness.wire.ppp.pap import Pap
from harness.wire.ppp.proxied import has_answer, obstacle
from harness.wire.proxy import Proxy


class Phase(Enum):
    """The phases of RFC 1661 §3.2."""

    DEAD = "dead"
    ESTABLISH = "establish"
    AUTHENTICATE = "authenticate"
    NETWORK = "network"
    TERMINATE = "terminate"

    @property
    def stage(self) -> str:
        """The stage that a failure in this phase is told under."""
        return {Phase.AUTHENTICATE: "PPP authentication", Phase.NETWORK: "IPCP"}.get(self, "LCP")


class PppCore:
    """`receive` never raises: what it refuses becomes a Refused event. `finished` is True once the link is dead and stays so.
    Failed comes once, unless the end was asked for by `close`."""

    def __init__(self, config: PppConfig, entropy: Entropy) -> None:
        self._config = config
        self._entropy = entropy
        self._frames: list[bytes] = []
        self._events: list[events.Event] = []
        self._lcp_options = lcp_options(config, entropy)
        self._lcp = Negotiation(self._lcp_options, config.schedule, partial(self._send, Protocol.LCP), self._extension)
        self._ipcp_options = IpcpOptions(config)
        self._ipcp = Negotiation(self._ipcp_options, config.schedule, partial(self._send, Protocol.IPCP))
        self._peer_role: Exchange | None = None  # we say who we are
        self._authenticator: Exchange | None = None  # we ask who the peer is
        self._echo = EchoTimer(config.echo_s, config.echo_misses)
        self._phase = Phase.DEAD
        self._proxy: Proxy | None = None  # what a LAC has settled, until it has been used
        self._closing = False
        self._failed = False
        self._up = False
        self.finished = False

    @property
    def _roles(self) -> tuple[Exchange, ...]:
        return tuple(role for role in (self._peer_role, self._authenticator) if role is not None)

    # What the owner calls

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def user(self) -> str:
        """Whom we have authenticated, "" where nobody."""
        role = self._authenticator
        return role.user if role is not None and role.outcome else ""

    @property
    def address(self) -> str | None:
        """Our address while IP flows, else None."""
        return self._ipcp_options.address if self._ipcp.opened else None

    def open(self, now: float, proxy: Proxy | None = None) -> None:
        """`proxy` is what a LAC has settled with the peer already; the configuration says whether that counts."""
        self._phase = Phase.ESTABLISH
        policy = self._config.lcp_renegotiation
        why = obstacle(self._config, self._lcp_options, proxy) if proxy is not None and policy != "always" else None
        if proxy is not None and policy != "always" and why is None:
            self._proxy = proxy if has_answer(proxy) else None
            self._lcp_options.adopt(parse_options("lcp", proxy.last_sent))
            self._lcp.adopt(now, parse_options("lcp", proxy.last_received))
        elif why is not None and policy == "never":
            self._fail(now, "LCP", f"the LCP that the LAC has negotiated does not do: {why}", by="client")
            self._phase, self.finished = Phase.DEAD, True
        else:
            self._lcp.open(now)
            self._lcp.up(now)
        self._settle(now)

    def receive(self, now: float, data: bytes) -> None:
        try:
            protocol, information = frame.parse(data)
            self._dispatch(now, protocol, information)
        except ProtocolError as error:
            self._events.append(events.Refused(error.layer, str(error)))
        self._settle(now)

    def tick(self, now: float) -> None:
        self._lcp.tick(now)
        self._ipcp.tick(now)
        for role in self._roles:
            role.tick(now)
        if self._echo.due(now):
            if self._echo.exhausted:
                why = f"no answer to {self._config.echo_misses} LCP Echo-Requests"
                self._fail(now, "LCP", why, by="silence", farewell=why)
            else:
                self._echo.sent(now, self._lcp.send(Code.ECHO_REQUEST, self._lcp_options.magic))
        self._settle(now)

    @property
    def deadline(self) -> float | None:
        times = [self._lcp.deadline, self._ipcp.deadline, self._echo.deadline, *(role.deadline for role in self._roles)]
        return min((time for time in times if time is not None), default=None)

    def take_frames(self) -> list[bytes]:
        frames, self._frames = self._frames, []
        return frames

    def take_events(self) -> list[events.Event]:
        told, self._events = self._events, []
        return told

    def send_ip(self, packet: bytes) -> bytes | None:
        """The frame that carries an IP packet; None while IPCP is not open."""
        if not self._ipcp.opened:
            return None
        return self._frame(Protocol.IP, packet)

    def decide(self, now: float, claim: Claim, decision: Decision) -> None:
        """What the configuration's authority has made of a claim that it took time for."""
        if self._authenticator is not None:
            self._authenticator.decide(now, claim, decision)
            self._settle(now)

    def close(self, now: float) -> None:
        """Terminates the link; `finished` follows with the peer's Terminate-Ack or after two attempts (RFC 1661 §4.6)."""
        if self._phase is Phase.DEAD:
            self.finished = True
        if self._closing or self.finished:
            return
        self._closing = True
        self._terminate(now)
        self._settle(now)

    # What comes in

    def _dispatch(self, now: float, protocol: int, information: bytes) -> None:
        if protocol == Protocol.LCP:
            self._lcp.receive(now, information)
        elif not self._lcp.opened:
            raise ProtocolError("ppp", f"{protocol_name(protocol)} while LCP is {self._lcp.state.name}")
        elif protocol in (Protocol.CHAP, Protocol.PAP):
            self._authentication(now, protocol, information)
        elif self._phase is Phase.AUTHENTICATE and not is_authentication(protocol):
            raise ProtocolError("ppp", f"{protocol_name(protocol)} before authentication is done")  # RFC 1661 §3.5
        elif protocol == Protocol.IPCP:
            self._ipcp.receive(now, information)
        elif protocol == Protocol.IP:
            if not self._ipcp.opened:
                raise ProtocolError("ppp", f"IP while IPCP is {self._ipcp.state.name}")
            self._events.append(events.IpPacket(information))
        else:
            room = self._lcp_options.peer_mru - 6
            self._lcp.send(Code.PROTOCOL_REJECT, protocol.to_bytes(2) + information[:room])

    def _authentication(self, now: float, protocol: int, information: bytes) -> None:
        """To the role that answers, or to the one that asks."""
        for role in self._roles:
            if role.takes(protocol, information[0] if information else 0):
                role.receive(now, information)
                return
        raise ProtocolError(protocol_name(protocol).lower(), f"{protocol_name(protocol)} was not negotiated in this direction")

    def _extension(self, now: float, packet: Packet) -> bool:
        """LCP's codes above Code-Reject."""
        if packet.code == Code.PROTOCOL_REJECT:
            self._protocol_rejected(now, packet)
            return True
        if packet.code in (Code.IDENTIFICATION, Code.TIME_REMAINING):
            return True  # RFC 1570: said for our information, not to be answered
        if packet.code not in (Code.ECHO_REQUEST, Code.ECHO_REPLY, Code.DISCARD_REQUEST):
            return False
        if len(packet.data) < 4:
            raise ProtocolError("lcp", f"{Code(packet.code).name} without a magic number", 4)
        if packet.code == Code.ECHO_REQUEST:
            self._lcp_options.saw_magic(packet.data[:4])
            magic = self._lcp_options.magic
            room = self._lcp_options.peer_mru - 8
            self._lcp.echoed(now, Packet(Code.ECHO_REPLY, packet.identifier, magic + packet.data[4 : 4 + room]))
            return True
        if packet.code == Code.ECHO_REPLY:
            self._echo.answered(packet.identifier)
        self._lcp.echoed(now, None)
        return True

    def _protocol_rejected(self, now: float, packet: Packet) -> None:
        if len(packet.data) < 2:
            raise ProtocolError("lcp", "a Protocol-Reject that names no protocol", 4)
        protocol = int.from_bytes(packet.data[:2])
        if not self._lcp.opened:  # §5.7: only in the Opened state
            raise ProtocolError("lcp", f"Protocol-Reject while LCP is {self._lcp.state.name}")
        self._lcp.rejected(now, fatal=protocol == Protocol.LCP)
        if protocol == Protocol.IPCP or (is_authentication(protocol) and self._phase is Phase.AUTHENTICATE):
            self._fail(now, self._phase.stage, f"the peer rejects {protocol_name(protocol)}", by="gateway")

    # What follows from it

    def _settle(self, now: float) -> None:
        """Turns the layers' signals into phases and events until nothing moves any more. Ends, because every round that moves
        sends a packet or closes a layer, and a layer signals only when fired."""
        while True:
            lcp, ipcp = self._lcp.take_signals(), self._ipcp.take_signals()
            for signal in lcp:
                self._lcp_signal(now, signal)
            for signal in ipcp:
                self._ipcp_signal(now, signal)
            if not lcp and not ipcp and not self._judge(now):
                return

    def _lcp_signal(self, now: float, signal: Signal) -> None:
        options = self._lcp_options
        if signal is Signal.UP:
            self._events.append(events.LcpUp(options.peer_mru, options.peer_demands or "none"))
            self._echo.start(now)
            self._begin_authentication(now)
        elif signal is Signal.DOWN:
            self._lcp_down(now)
        else:
            if not self._closing and not self._failed:
                by = "silence" if self._lcp.closed_by_peer is None else "gateway"
                self._fail(now, self._phase.stage, self._why_finished(), by=by)
            self._phase = Phase.DEAD
            self.finished = True

    def _lcp_down(self, now: float) -> None:
        stage = "LCP" if self._up else self._phase.stage
        ended_by_peer = self._lcp.closed_by_peer
        self._echo.stop()
        for role in self._roles:
            role.close(now)
        self._peer_role = self._authenticator = None
        if self._phase is Phase.NETWORK:
            self._ipcp.down(now)
        reason = "LCP began again" if ended_by_peer is None else self._terminated("LCP", ended_by_peer)
        self._link_down(ended_by_peer is not None or not (self._closing or self._failed), reason)
        self._phase = Phase.ESTABLISH
        if ended_by_peer is not None:
            self._fail(now, stage, reason, by="gateway")
            self._phase = Phase.TERMINATE

    def _begin_authentication(self, now: float) -> None:
        self._phase = Phase.AUTHENTICATE
        method = self._lcp_options.peer_demands
        demanded = self._lcp_options.demanded
        if self._config.demands and (self._lcp_options.authentication_rejected or demanded is None):
            self._fail(now, Phase.AUTHENTICATE.stage, f"the peer refuses {' and '.join(self._config.demands)}", by="gateway")
            return
        if method is not None:
            self._peer_role = self._exchange(method)
            self._peer_role.open_peer(now)
        if demanded is not None:
            self._authenticator = self._exchange(demanded)
            proxy, self._proxy = self._proxy, None
            if proxy is None:
                self._authenticator.open_authenticator(now)
            else:
                answer = proxy.authen_challenge, proxy.authen_response, proxy.authen_name
                self._authenticator.take_over(now, proxy.authen_id, *answer)

    def _exchange(self, method: str) -> Exchange:
        kind = Pap if method == "pap" else Chap
        return kind(self._config, method, self._entropy, partial(self._send, kind.protocol))

    def _judge(self, now: float) -> bool:
        """Whether something followed from the state of authentication (IPCP begins once both directions are satisfied) or of the
        magic numbers. Also sees a challenge fail that came later, while the link was up."""
        if self._failed or self._closing:
            return False
        for role in self._roles:
            if role.outcome is False:
                self._fail(now, Phase.AUTHENTICATE.stage, role.message, by=role.ended_by, facts=role.facts)
                return True
        for name, layer in (("LCP", self._lcp), ("IPCP", self._ipcp)):
            if layer.hopeless:
                self._fail(now, name, f"{name} found no agreement in {layer.disagreements} Naks and Rejects", by="client")
                return True
        if self._lcp_options.looped:
            self._fail(now, "LCP", "the link is looped back: our own magic number came in", by="client")
            return True
        if self._phase is not Phase.AUTHENTICATE or not all(role.outcome for role in self._roles):
            return False
        for role in self._roles:
            name = "peer" if role is self._peer_role else "authenticator"
            self._events.append(events.Authenticated(role.method, role.message, role.user, name))
        if not self._ipcp_options.serve(self.user):
            reason = f"no address is left for {self.user or 'the peer'}"
            self._ipcp.send(Code.TERMINATE_REQUEST, reason.encode())
            self._fail(now, "IPCP", reason, by="client", farewell=reason)
            return True
        self._phase = Phase.NETWORK
        self._ipcp.open(now)
        self._ipcp.up(now)
        return True

    def _ipcp_signal(self, now: float, signal: Signal) -> None:
        options = self._ipcp_options
        if signal is Signal.UP:
            if options.address is None:
                self._fail(now, "IPCP", "the peer gives us no address", by="gateway")
                return
            if options.unassigned:
                self._fail(now, "IPCP", "the peer takes no address from us", by="gateway")
                return
            self._up = True
            self._events.append(events.PppUp(options.address, options.peer, options.dns, options.nbns, self.user))
        elif signal is Signal.DOWN:
            ended = self._ipcp.closed_by_peer
            self._link_down(True, "IPCP began again" if ended is None else self._terminated("IPCP", ended))
        elif self._phase is Phase.NETWORK and not self._closing:
            ended = self._ipcp.closed_by_peer
            reason = self._unanswered("IPCP", self._ipcp) if ended is None else self._terminated("IPCP", ended)
            self._fail(now, "IPCP", reason, by="silence" if ended is None else "gateway")

    # Ends

    def _why_finished(self) -> str:
        ended = self._lcp.closed_by_peer
        if ended is not None:
            return self._terminated("LCP", ended)
        return self._unanswered("LCP", self._lcp)

    @staticmethod
    def _unanswered(name: str, layer: Negotiation) -> str:
        if layer.heard:
            return f"{name} found no agreement: {layer.sent} Configure-Requests in a row without a usable answer"
        return f"no answer to {layer.sent} {name} Configure-Requests"

    @staticmethod
    def _terminated(name: str, data: bytes) -> str:
        said = readable(data)
        return f"the peer sent an {name} Terminate-Request" + (f": {said}" if said else "")

    def _link_down(self, by_peer: bool, reason: str) -> None:
        if self._up:
            self._up = False
            self._events.append(events.PppDown(by_peer, reason))

    def _fail(
        self, now: float, stage: str, reason: str, *, by: str, facts: dict[str, str] | None = None, farewell: str = ""
    ) -> None:
        """`by` is who ended it: "gateway", "client", "silence"; `farewell` what the peer is told."""
        was_up = self._up
        self._link_down(by == "gateway", reason)
        if self._failed or self._closing:
            return
        refused = self._lcp_options.refused_authentication
        if refused and self._lcp_options.peer_demands is None and not was_up:
            stage, reason = Phase.AUTHENTICATE.stage, f"{reason}; the peer asked for {refused}, which is not accepted"
        self._failed = True
        self._events.append(events.Failed(stage, reason, {"by": by, **(facts or {})}))
        self._terminate(now, farewell)

    def _terminate(self, now: float, farewell: str = "") -> None:
        if not self.finished:
            self._link_down(False, "closed")
            self._lcp.close(now, farewell)

    # What goes out

    def _frame(self, protocol: int, information: bytes) -> bytes:
        options = self._lcp_options
        return frame.build(protocol, information, short_address=options.peer_acfc, short_protocol=options.peer_pfc)

    def _send(self, protocol: int, packet: bytes) -> None:
        self._frames.append(self._frame(protocol, packet))
