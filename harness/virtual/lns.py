"""The gateway's L2TP server (LNS): tunnels found by their ID, the calls in them, and a PPP link to each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.virtual.agenda import Agenda
from harness.virtual.journal import Journal
from harness.virtual.links import Link, Links
from harness.virtual.peers import Client
from harness.virtual.settings import Settings
from harness.wire import events
from harness.wire.config import Entropy, L2tpConfig
from harness.wire.l2tp import Frame, L2tpCore
from harness.wire.l2tp.header import tunnel_of

if TYPE_CHECKING:
    from harness.virtual.parts import Parts

FRESH_S = 31.0
"""How long an SCCRQ that comes again is a copy of the first (RFC 2661 §5.8: one whole cycle of retransmissions). A tunnel that has
ended lives on for as long, to acknowledge what the peer repeats (§5.7)."""


@dataclass(slots=True, eq=False)
class Tunnel:
    """`address` and `port` are the peer's as L2TP knows it, `origin` is whose SA brought the first message. `links`: by session."""

    number: int
    address: str
    port: int
    core: L2tpCore
    origin: Client | None
    request: bytes  # the SCCRQ that opened it
    began: float
    links: dict[int, Link] = field(default_factory=dict)
    up: bool = False
    closing: bool = False
    busy: bool = False
    idle_at: float | None = None  # when it is closed unless it comes up by then, or a call comes
    gone_at: float | None = None  # when what is left of it is forgotten

    @property
    def known_as(self) -> tuple[str, int]:
        return self.address, self.port

    @property
    def where(self) -> tuple[str, int]:
        """The peer as IPsec sees it, if that is how it came."""
        return self.known_as if self.origin is None else (self.origin.address, self.origin.udp_port)

    @property
    def deadline(self) -> float | None:
        times = [self.core.deadline, self.idle_at, self.gone_at, *(link.deadline for link in self.links.values())]
        return min((time for time in times if time is not None), default=None)


class Lns:
    """`send` takes an L2TP message for the peer at an address and port."""

    def __init__(
        self,
        settings: Settings,
        entropy: Entropy,
        parts: Parts,
        journal: Journal,
        links: Links,
        send: Callable[[float, str, int, bytes], None],
    ) -> None:
        self.settings = settings
        self.links = links
        self.tunnels: dict[int, Tunnel] = {}
        self.half_open = 0
        self._entropy = entropy
        self._parts = parts
        self._journal = journal
        self._send = send
        self._by_peer: dict[tuple[str, int], dict[int, Tunnel]] = {}
        self._requests: dict[tuple[str, int, bytes], Tunnel] = {}
        self._agenda: Agenda[int] = Agenda()

    @property
    def deadline(self) -> float | None:
        return self._agenda.deadline

    def __iter__(self) -> Iterator[Tunnel]:
        """Those that are up."""
        return (tunnel for tunnel in self.tunnels.values() if tunnel.up and not tunnel.closing)

    @property
    def closing(self) -> bool:
        """Whether a StopCCN of ours still waits for its acknowledgement."""
        return any(tunnel.closing and not tunnel.core.finished for tunnel in self.tunnels.values())

    # What comes in

    def receive(self, now: float, address: str, port: int, payload: bytes, origin: Client | None) -> None:
        """An L2TP message from whoever L2TP knows by this address and port."""
        number = tunnel_of(payload)
        if number is None:
            self._drop(now, address, port, "this is no L2TP")
        elif number == 0:
            self._requested(now, address, port, payload, origin)
        else:
            tunnel = self.tunnels.get(number)
            if tunnel is None:
                self._drop(now, address, port, f"there is no tunnel {number}")
            elif tunnel.known_as != (address, port):
                self._drop(now, address, port, f"tunnel {number} is another peer's")
            else:
                tunnel.core.receive(now, payload)
                self._pump(now, tunnel)

    def _requested(self, now: float, address: str, port: int, payload: bytes, origin: Client | None) -> None:
        known = self._requests.get((address, port, payload))
        if known is None or (known.up and now - known.began > FRESH_S):
            look = self.settings.personality
            if self.half_open >= look.half_open or len(self.tunnels) >= look.max_tunnels:
                self._drop(now, address, port, f"{len(self.tunnels)} tunnels, {self.half_open} of them half open, are all it takes")
                return
            known = self._begin(now, address, port, payload, origin)
        known.core.receive(now, payload)
        self._pump(now, known)

    def _begin(self, now: float, address: str, port: int, payload: bytes, origin: Client | None) -> Tunnel:
        number = 0
        while number == 0 or self._taken(number):
            number = int.from_bytes(self._entropy(2))
        tunnel = Tunnel(number, address, port, self._core(number, payload), origin, payload, now)
        self.tunnels[number] = tunnel
        self.half_open += 1
        self._by_peer.setdefault(tunnel.known_as, {})[number] = tunnel
        self._requests[address, port, payload] = tunnel
        return tunnel

    def _taken(self, number: int) -> bool:
        return number in self.tunnels

    def _core(self, number: int, request: bytes) -> L2tpCore:
        """For the tunnel with this ID, which this SCCRQ asks for."""
        return self._parts.l2tp_core(self._config(), self._entropy, number)

    def _config(self) -> L2tpConfig:
        look = self.settings.personality
        return L2tpConfig(
            host_name=look.host_name,
            vendor_name=look.vendor_name,
            firmware=look.firmware,
            receive_window=look.receive_window,
            hello_s=look.hello or 0.0,
            header_bits=look.header_bits,
            secret=(look.secret or "").encode(),
            challenge=look.challenge,
            max_sessions=look.max_calls,
            schedule=look.l2tp_schedule,
        )

    def tick(self, now: float) -> None:
        for number in list(self._agenda.due(now)):
            tunnel = self.tunnels.get(number)
            if tunnel is None:
                continue
            if tunnel.gone_at is not None and tunnel.gone_at <= now:
                self._forget(tunnel)
                continue
            tunnel.core.tick(now)
            if tunnel.idle_at is not None and tunnel.idle_at <= now:
                self.close(now, tunnel, "no call came")
            for link in list(tunnel.links.values()):
                if link.tick(now, self.settings.personality.hang_up) and not tunnel.core.hang_up(now, link.session):
                    # Its call went when the tunnel began to end, which may take until the peer has acknowledged that.
                    self._end_link(now, tunnel, link.session, "gateway", "the tunnel is ending")
            self._pump(now, tunnel)

    # What comes of it

    def _pump(self, now: float, tunnel: Tunnel) -> None:
        """Until nothing moves any more. What is sent meanwhile through the same tunnel waits for the next round."""
        if tunnel.busy:
            return
        tunnel.busy = True
        core, moving = tunnel.core, True
        while moving:
            packets, told = core.take_packets(), core.take_events()
            for packet in packets:
                self._forth(now, tunnel, packet)
            for event in told:
                self._hear(now, tunnel, event)
            moving = bool(packets or told)
            for link in list(tunnel.links.values()):
                frames = self.links.pump(now, link)
                for frame in frames:
                    link.frames.went(len(frame))
                    core.send_data(now, frame, link.session)
                moving = moving or bool(frames)
        tunnel.busy = False
        self._settle(now, tunnel)

    def _forth(self, now: float, tunnel: Tunnel, message: bytes) -> None:
        """To the tunnel's peer."""
        self._send(now, tunnel.address, tunnel.port, message)

    def _over(self, now: float, tunnel: Tunnel) -> None:
        """It has ended, and the peer knows, or is not there to be told. What is done for a tunnel beside L2TP ends here."""

    def _settle(self, now: float, tunnel: Tunnel) -> None:
        if tunnel.number not in self.tunnels:
            return
        if tunnel.core.finished and tunnel.gone_at is None:
            self._over(now, tunnel)
            self._end_links(now, tunnel, "gateway", "the tunnel has ended")
            if not tunnel.up:
                self._forget(tunnel)
                return
            tunnel.closing, tunnel.idle_at, tunnel.gone_at = True, None, now + FRESH_S
        if not tunnel.up and tunnel.deadline is None:
            if not tunnel.core.tunnel_remote:  # its first message was refused
                self._forget(tunnel)
                return
            # Our SCCRP is acknowledged by a ZLB, or by what overtook the SCCCN, which may still be under way.
            tunnel.idle_at = now + self.settings.personality.call_wait
        self._agenda.set(tunnel.number, tunnel.deadline)

    def _hear(self, now: float, tunnel: Tunnel, event: events.Event) -> None:
        look = self.settings.personality
        match event:
            case Frame():
                link = tunnel.links.get(event.session)
                if link is not None:
                    link.frames.came(len(event.frame))
                    link.ppp.receive(now, event.frame)
            case events.TunnelUp():
                tunnel.up = True
                self.half_open -= 1
                tunnel.idle_at = now + look.call_wait
                self._tell(now, tunnel, "tunnel-up", remote=event.tunnel_remote, host=event.peer_host)
            case events.TunnelDown():
                by = _by(event.by_peer) if event.result else "silence"
                self._end_links(now, tunnel, by, event.reason)
                self._tell(now, tunnel, "tunnel-down", by=by, reason=event.reason, result=event.result)
            case events.CallUp():
                tunnel.idle_at = None
                tunnel.links[event.session_local] = self._begin_link(now, tunnel, event)
                self._tell(now, tunnel, "session-up", session=event.session_local)
            case events.CallDown():
                self._end_link(now, tunnel, event.session_local, _by(event.by_peer), event.reason)
            case events.Refused():
                self._tell(now, tunnel, "refused", layer=event.layer, reason=event.reason)
            case events.Failed() if not tunnel.up:  # else TunnelDown tells it
                self._tell(now, tunnel, "refused", layer=event.stage, reason=event.reason)
            case events.Strange():
                self._tell(now, tunnel, "dropped", layer=event.layer, reason=event.detail)

    def _begin_link(self, now: float, tunnel: Tunnel, call: events.CallUp) -> Link:
        return self.links.begin(now, tunnel.number, call.session_local, call.session_remote, tunnel.where)

    # Ends

    def close(self, now: float, tunnel: Tunnel, reason: str) -> None:
        """CDN and StopCCN."""
        self._end_links(now, tunnel, "gateway", reason)
        tunnel.closing, tunnel.idle_at = True, None
        tunnel.core.close(now)
        self._pump(now, tunnel)

    def hang_up(self, now: float, session: int) -> bool:
        """CDN for a call by the ID that was given it here; whether there is one."""
        for tunnel in self.tunnels.values():
            if session in tunnel.links:
                tunnel.core.hang_up(now, session)
                self._pump(now, tunnel)
                return True
        return False

    def abandon(self, now: float, address: str, port: int, reason: str) -> None:
        """Nobody is known by this address and port any more: what was there ends without a word."""
        for tunnel in list(self._by_peer.get((address, port), {}).values()):
            self._end_links(now, tunnel, "ipsec", reason)
            if tunnel.up and not tunnel.core.finished:
                self._tell(now, tunnel, "tunnel-down", by="ipsec", reason=reason)
            self._forget(tunnel)

    def _end_links(self, now: float, tunnel: Tunnel, by: str, reason: str) -> None:
        for session in list(tunnel.links):
            self._end_link(now, tunnel, session, by, reason)

    def _end_link(self, now: float, tunnel: Tunnel, session: int, by: str, reason: str) -> None:
        link = tunnel.links.pop(session, None)
        if link is None:
            return
        self.links.end(now, link, by, reason)
        self._tell(now, tunnel, "session-down", session=session, by=by, reason=reason)
        if not tunnel.links and not tunnel.closing:
            tunnel.idle_at = now + self.settings.personality.call_wait

    def _forget(self, tunnel: Tunnel) -> None:
        if self.tunnels.pop(tunnel.number, None) is None:
            return
        if not tunnel.up:
            self.half_open -= 1
        there = self._by_peer[tunnel.known_as]
        del there[tunnel.number]
        if not there:
            del self._by_peer[tunnel.known_as]
        key = tunnel.address, tunnel.port, tunnel.request
        if self._requests.get(key) is tunnel:
            del self._requests[key]
        self._agenda.set(tunnel.number, None)

    def send_ip(self, now: float, link: Link, packet: bytes) -> None:
        """Out of a PPP link."""
        tunnel = self.tunnels.get(link.tunnel)
        frame = link.ppp.send_ip(packet)
        if tunnel is not None and frame is not None and tunnel.core.send_data(now, frame, link.session):
            link.frames.went(len(frame))
            link.traffic.went(len(packet))
            self._pump(now, tunnel)

    def settle(self, now: float, link: Link) -> None:
        """Something was done to a link's PPP from elsewhere: what comes of it goes out."""
        tunnel = self.tunnels.get(link.tunnel)
        if tunnel is not None:
            self._pump(now, tunnel)

    def _tell(self, now: float, tunnel: Tunnel, kind: str, **detail: object) -> None:
        self._journal.tell(now, kind, *tunnel.where, tunnel=tunnel.number, **detail)

    def _drop(self, now: float, address: str, port: int, reason: str) -> None:
        self._journal.tell(now, "dropped", address, port, layer="l2tp", reason=reason)


def _by(by_peer: bool) -> str:
    return "client" if by_peer else "gateway"
