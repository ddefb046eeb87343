"""The LAC: callers on its lines, whose PPP it begins and whose calls it then tunnels to an LNS, or ends itself.

    caller ── Line (LCP, name) ── domain ─┬─ LacTunnel (IPsec first, where the group is protected) ── LNS
                                          └─ nobody's: PPP ends here, as on an LNS

A line's PPP core is the LAC's own until the caller has said who it is. If the call is tunnelled that core is let go of, and frames
pass unchanged; if not, the answer that was held back is judged here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import TYPE_CHECKING

from harness.virtual.journal import Journal
from harness.virtual.links import Link, Links, Terms
from harness.virtual.lns import FRESH_S
from harness.virtual.settings import Settings
from harness.virtual.vpdn.groups import RequestGroup, Vpdn, in_order, requesting
from harness.virtual.vpdn.lines import LacTunnel, Line, Stage
from harness.wire import events
from harness.wire.config import Entropy, L2tpConfig
from harness.wire.l2tp import Frame
from harness.wire.l2tp.avp import Result
from harness.wire.ppp.handover import is_echo

if TYPE_CHECKING:
    from harness.virtual.parts import Parts

L2TP_PORT = 1701
BUSY_S = 60.0
"""How long an LNS that could not be reached is tried last."""
CALL_LOST_CARRIER = Result(1)


class Lac:
    """`frames` are those for callers: (line, frame), None for a line that goes down. The owner sets what connects it with the rest
    of the router: `send` (tunnel, message), `protect` (asks for a protected tunnel's SAs; why not, or None), `ended` (a tunnel is
    over), `others` (IDs of tunnels that are not its own). `count`: how many lines there have been."""

    def __init__(self, settings: Settings, entropy: Entropy, parts: Parts, journal: Journal, links: Links, lines: int) -> None:
        self.settings = settings
        self.count = lines
        self.lines: dict[int, Line] = {}
        self.tunnels: dict[int, LacTunnel] = {}
        self.frames: list[tuple[int, bytes | None]] = []
        self.send: Callable[[float, LacTunnel, bytes], None] = lambda now, tunnel, message: None
        self.protect: Callable[[float, LacTunnel], str | None] = lambda now, tunnel: "there is no IPsec here"
        self.ended: Callable[[float, LacTunnel], None] = lambda now, tunnel: None
        self.others: Container[int] = ()
        self._entropy = entropy
        self._parts = parts
        self._journal = journal
        self._links = links
        self._busy: dict[str, float] = {}

    @property
    def _vpdn(self) -> Vpdn:
        return self.settings.vpdn or Vpdn()

    @property
    def deadline(self) -> float | None:
        times = [line.link.deadline for line in self.lines.values() if line.stage in (Stage.PPP, Stage.LOCAL)]
        times += [tunnel.deadline for tunnel in self.tunnels.values()]
        return min((time for time in times if time is not None), default=None)

    def __iter__(self) -> Iterator[LacTunnel]:
        """Those that are up."""
        return (tunnel for tunnel in self.tunnels.values() if tunnel.up and not tunnel.closing)

    @property
    def closing(self) -> bool:
        return any(tunnel.closing and not tunnel.core.finished for tunnel in self.tunnels.values())

    # Lines

    def dial_in(self, now: float, terms: Terms | None = None) -> int:
        """A caller is there; returns its line's number. `terms`: those of a way in that is no line of the router's own."""
        self.count += 1
        terms = terms or Terms(self._vpdn.caller_authentication, lists=self._vpdn.caller_lists)
        line = Line(self.count, self._links.begin(now, 0, self.count, 0, ("line", self.count), terms))
        self.lines[line.number] = line
        self._pump_line(now, line)
        return line.number

    def receive_line(self, now: float, number: int, frame: bytes) -> None:
        """A PPP frame of a caller's."""
        line = self.lines.get(number)
        if line is None:
            return
        if line.stage is Stage.TUNNELLED and line.tunnel is not None:
            if line.tunnel.core.send_data(now, frame, line.session):
                self._pump(now, line.tunnel)
            return
        line.handover.incoming(frame)
        if line.stage is Stage.PPP and line.handover.answered:
            line.held = frame
            self._decide(now, line)
        elif line.stage is not Stage.PLACING or is_echo(frame):  # all else that is repeated meanwhile, the LNS will be handed
            line.link.ppp.receive(now, frame)
            self._pump_line(now, line)

    def carrier(self, number: int) -> LacTunnel | None:
        """The tunnel that a line's frames go into, if they do."""
        line = self.lines.get(number)
        return None if line is None or line.stage is not Stage.TUNNELLED else line.tunnel

    def lose_carrier(self, now: float, number: int) -> None:
        """The caller has gone without a word."""
        line = self.lines.get(number)
        if line is not None:
            self._end_line(now, line, "client", "loss of carrier", CALL_LOST_CARRIER, tell_caller=False)

    def _requesting(self, user: str) -> RequestGroup | None:
        """The group that tunnels this user's call."""
        return requesting(self._vpdn.request, user)

    def _decide(self, now: float, line: Line) -> None:
        user = line.handover.user
        group = self._requesting(user)
        if group is None:
            line.stage = Stage.LOCAL
            line.link.ppp.receive(now, line.held)
            self._pump_line(now, line)
            return
        line.stage, line.group = Stage.PLACING, group
        line.link.login.user = user
        calls = Counter(one.tunnel.address for one in self.lines.values() if one.tunnel is not None and one.group is group)
        busy = frozenset(address for address, until in self._busy.items() if until > now)
        line.untried = list(in_order(group.targets, calls, busy))
        self._place(now, line, f"no LNS of vpdn group {group.name} takes another call")

    def _place(self, now: float, line: Line, otherwise: str) -> None:
        """With the next LNS that has not been tried; `otherwise` is why the call fails where none is left."""
        group = line.group
        if group is None or not line.untried:
            self._journal.tell(now, "refused", "line", line.number, layer="vpdn", reason=otherwise, user=line.handover.user)
            line.link.ppp.close(now)
            self._pump_line(now, line)
            line.stage = Stage.LOCAL  # only its PPP is left to end
            return
        target = line.untried.pop(0)
        tunnel = self._tunnel_to(group, target.address)
        line.tunnel = tunnel
        if tunnel.started:
            self._call(now, tunnel, line)
            self._pump(now, tunnel)
            return
        tunnel.waiting.append(line)
        obstacle = self.protect(now, tunnel) if tunnel.protected else None
        if obstacle is not None:
            self._give_up(now, tunnel, obstacle)
        elif not tunnel.protected:
            self.start(now, tunnel)

    def _tunnel_to(self, group: RequestGroup, address: str) -> LacTunnel:
        for tunnel in self.tunnels.values():
            if tunnel.group == group and tunnel.address == address and not tunnel.closing and not tunnel.core.finished:
                return tunnel
        number = 0
        while number == 0 or number in self.tunnels or number in self.others:
            number = int.from_bytes(self._entropy(2))
        tunnel = LacTunnel(group, address, self._parts.l2tp_core(self._config(group), self._entropy, number))
        self.tunnels[number] = tunnel
        return tunnel

    def _config(self, group: RequestGroup) -> L2tpConfig:
        look = self.settings.personality
        return L2tpConfig(
            host_name=group.local_name or look.host_name,
            vendor_name=look.vendor_name,
            firmware=look.firmware,
            receive_window=look.receive_window,
            hello_s=look.hello or 0.0,
            header_bits=look.header_bits,
            secret=group.secret,
            challenge=group.challenges,
            max_sessions=look.max_calls,
            schedule=look.l2tp_schedule,
        )

    # Tunnels

    def start(self, now: float, tunnel: LacTunnel) -> None:
        """Its messages may go out from now on: the SCCRQ does, and the calls that wait are placed."""
        if tunnel.started:
            return
        if not tunnel.waiting:
            self._give_up(now, tunnel, "nobody waits for it any more")
            return
        tunnel.started = True
        tunnel.core.start(now, call=False)
        waiting, tunnel.waiting = tunnel.waiting, []
        for line in waiting:
            self._call(now, tunnel, line)
        self._pump(now, tunnel)

    def unprotectable(self, now: float, address: str, reason: str) -> None:
        """There are no SAs to be had with that LNS."""
        for tunnel in [one for one in self.tunnels.values() if one.address == address and one.protected and not one.started]:
            self._give_up(now, tunnel, reason)

    def _call(self, now: float, tunnel: LacTunnel, line: Line) -> None:
        tunnel.idle_at = None
        line.session = tunnel.core.place_call(now, line.handover.proxy())
        tunnel.lines[line.session] = line

    def receive(self, now: float, tunnel: LacTunnel, message: bytes) -> None:
        tunnel.core.receive(now, message)
        self._pump(now, tunnel)

    def tick(self, now: float) -> None:
        for line in list(self.lines.values()):
            if line.stage in (Stage.PPP, Stage.LOCAL):
                if line.link.tick(now, self.settings.personality.hang_up):
                    self._end_line(now, line, "gateway", "its PPP link has ended")
                else:
                    self._pump_line(now, line)
        for tunnel in list(self.tunnels.values()):
            if tunnel.gone_at is not None and tunnel.gone_at <= now:
                del self.tunnels[tunnel.number]
                continue
            tunnel.core.tick(now)
            if tunnel.idle_at is not None and tunnel.idle_at <= now:
                self.close(now, tunnel)
            self._pump(now, tunnel)

    def _pump(self, now: float, tunnel: LacTunnel) -> None:
        core, moving = tunnel.core, True
        while moving:
            packets, told = core.take_packets(), core.take_events()
            for packet in packets:
                self.send(now, tunnel, packet)
            for event in told:
                self._hear(now, tunnel, event)
            moving = bool(packets or told)
        if core.finished and not tunnel.over:
            self._over(now, tunnel, "the tunnel has ended")

    def _hear(self, now: float, tunnel: LacTunnel, event: events.Event) -> None:
        match event:
            case Frame():
                line = tunnel.lines.get(event.session)
                if line is not None and line.stage is Stage.TUNNELLED:
                    self.frames.append((line.number, event.frame))
            case events.TunnelUp():
                tunnel.up = True
                self._tell(now, tunnel, "tunnel-up", remote=event.tunnel_remote, host=event.peer_host)
            case events.CallUp():
                line = tunnel.lines[event.session_local]
                line.stage = Stage.TUNNELLED
                self._tell(now, tunnel, "session-up", session=event.session_local, user=line.handover.user)
            case events.CallDown():
                line = tunnel.lines.get(event.session_local)
                if line is not None:
                    self._call_down(now, tunnel, line, "server" if event.by_peer else "gateway", event.reason)
            case events.TunnelDown():
                by = ("server" if event.by_peer else "gateway") if event.result else "silence"
                self._tell(now, tunnel, "tunnel-down", by=by, reason=event.reason, result=event.result)
                self._drop_lines(now, tunnel, event.reason)
            case events.Refused():
                self._tell(now, tunnel, "refused", layer=event.layer, reason=event.reason)
            case events.Failed() if not tunnel.up:
                self._tell(now, tunnel, "refused", layer=event.stage, reason=event.reason)
                self._drop_lines(now, tunnel, event.reason)
            case events.Strange():
                self._tell(now, tunnel, "dropped", layer=event.layer, reason=event.detail)

    # Ends

    def close(self, now: float, tunnel: LacTunnel) -> None:
        """CDN for its calls, and StopCCN."""
        if tunnel.closing:
            return
        tunnel.closing, tunnel.idle_at = True, None
        tunnel.core.close(now)
        self._pump(now, tunnel)

    def _over(self, now: float, tunnel: LacTunnel, reason: str) -> None:
        tunnel.over = tunnel.closing = True
        tunnel.idle_at, tunnel.gone_at = None, now + FRESH_S
        self._drop_lines(now, tunnel, reason)
        self.ended(now, tunnel)

    def _give_up(self, now: float, tunnel: LacTunnel, reason: str) -> None:
        """Before it was started: nothing of it has been on the wire."""
        self._tell(now, tunnel, "refused", layer="crypto", reason=reason)
        del self.tunnels[tunnel.number]
        tunnel.over = tunnel.closing = True
        self._drop_lines(now, tunnel, reason)
        self.ended(now, tunnel)

    def _drop_lines(self, now: float, tunnel: LacTunnel, reason: str) -> None:
        """Calls that were up are lost; those that were being placed are tried with the next LNS."""
        lines = [*tunnel.waiting, *tunnel.lines.values()]
        tunnel.waiting, tunnel.lines, tunnel.closing = [], {}, True
        if any(line.stage is Stage.PLACING for line in lines):
            self._busy[tunnel.address] = now + BUSY_S
        for line in lines:
            line.tunnel, line.session = None, 0
            if line.stage is Stage.PLACING:
                self._place(now, line, reason)
            else:
                self._end_line(now, line, "server", reason)

    def _call_down(self, now: float, tunnel: LacTunnel, line: Line, by: str, reason: str) -> None:
        placing = line.stage is Stage.PLACING
        self._leave(now, line)
        self._tell(now, tunnel, "session-down", by=by, reason=reason, user=line.handover.user)
        if placing:
            self._place(now, line, reason)
        else:
            self._end_line(now, line, by, reason)

    def _leave(self, now: float, line: Line) -> None:
        tunnel, line.tunnel = line.tunnel, None
        if tunnel is None:
            return
        if line in tunnel.waiting:
            tunnel.waiting.remove(line)
        tunnel.lines.pop(line.session, None)
        line.session = 0
        if tunnel.started and not tunnel.lines and not tunnel.closing:
            tunnel.idle_at = now + tunnel.group.no_session_s

    def _end_line(
        self, now: float, line: Line, by: str, reason: str, result: Result | None = None, *, tell_caller: bool = True
    ) -> None:
        if self.lines.pop(line.number, None) is None:
            return
        tunnel, session = line.tunnel, line.session
        self._leave(now, line)
        line.stage = Stage.DOWN
        self._links.end(now, line.link, by, reason)
        if tell_caller:
            self.frames.append((line.number, None))
        if tunnel is not None and session:
            tunnel.core.hang_up(now, session, result or CALL_LOST_CARRIER, reason)
            self._pump(now, tunnel)

    # Calls that end here

    def send_ip(self, now: float, link: Link, packet: bytes) -> None:
        line = self.lines.get(link.session)
        frame = link.ppp.send_ip(packet)
        if line is not None and frame is not None:
            link.traffic.went(len(packet))
            self.frames.append((line.number, frame))

    def settle(self, now: float, link: Link) -> None:
        """Something was done to a line's PPP from elsewhere: what comes of it goes out."""
        line = self.lines.get(link.session)
        if line is not None and line.link is link:
            self._pump_line(now, line)

    def _pump_line(self, now: float, line: Line) -> None:
        """What the LAC's own PPP has to say to the caller."""
        while frames := self._links.pump(now, line.link):
            for frame in frames:
                line.handover.outgoing(frame)
                self.frames.append((line.number, frame))

    def _tell(self, now: float, tunnel: LacTunnel, kind: str, **detail: object) -> None:
        self._journal.tell(now, kind, tunnel.address, L2TP_PORT, tunnel=tunnel.number, **detail)
