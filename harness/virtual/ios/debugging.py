"""What the live role tells of itself: `debug crypto socket`, `debug vpdn l2x-events` and `vpdn logging` for terminals that monitor,
and the names and times that show commands print.

The lines and their order are those of the document's sample (L2TP Security); that the SCCRP which goes out is called an SCCRQ is
the sample's too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from harness.model import GatewayEvent
from harness.virtual.ios.core import Seen
from harness.virtual.ios.grammar import Match
from harness.virtual.ios.kinds import short_interface
from harness.virtual.ios.state import State

if TYPE_CHECKING:
    from harness.virtual.ios.router import IosRouter
    from harness.virtual.ios.session import Session

SOCKET, L2X = "crypto socket", "vpdn l2x-events"
NAMES = {SOCKET: "Crypto Secure Socket events", L2X: "L2X protocol events"}
CLIENT = "L2X Security"
APPLICATION = f"CRYPTO_SS({CLIENT})"


class Debug:
    """`on`: what is being debugged. `hosts`: the peers' names by tunnel, ours; `since`: when a tunnel, (number, 0), or a session,
    (tunnel, number), came up."""

    def __init__(self, router: IosRouter) -> None:
        self.on: set[str] = set()
        self.hosts: dict[int, str] = {}
        self.since: dict[tuple[int, int], float] = {}
        self._router = router

    def forget(self) -> None:
        """Everything that was up is gone."""
        self.hosts.clear()
        self.since.clear()

    def off(self) -> None:
        self.on.clear()
        self.forget()

    def see(self, now: float, seen: Seen) -> None:
        if not self.on:
            return
        settings = self._router.core.settings
        here, there = settings.address, seen.address
        if seen.what == "open":
            self._say(SOCKET, f"{APPLICATION}:Active open, {self._socket(there, seen.port)}")
            return
        message = seen.message
        name = "" if message is None else message.text("host-name")
        number = 0 if message is None else message.number("assigned-tunnel-id", 0)
        own = f"Tnl {seen.tunnel} L2TP"
        self._say(L2X, f"L2TP:I SCCRQ from {name} tnl {number}")
        if seen.refused:
            return
        if seen.protected and settings.vpdn is not None:
            ends = f"local {here}(1701), remote {there}({seen.port})"
            self._say(L2X, f"L2X:Requested security for socket, UDP socket info:{ends}")
        if seen.challenge:
            self._say(L2X, f"{own}:Got a challenge in SCCRQ, {name}")
        self._say(
            L2X,
            f"{own}:New tunnel created for remote {name}, address {there}",
            f"{own}:O SCCRQ to {name} tnlid {number}",
            f"{own}:Control channel retransmit delay set to {settings.personality.l2tp_schedule.waits[0]:.0f} seconds",
            f"{own}:Tunnel state change from idle to wait-ctl-reply",
        )
        if seen.protected and settings.vpdn is not None:
            self._say(SOCKET, f"{APPLICATION}:Completed binding of application to socket")

    def hear(self, event: GatewayEvent) -> None:
        detail, core = event.detail, self._router.core
        tunnel, session = detail.get("tunnel", 0), detail.get("session", 0)
        match event.kind:
            case "esp-up" if not detail["rekey"]:
                self._secured(event)
            case "tunnel-up":
                self.hosts[tunnel], self.since[tunnel, 0] = detail["host"], event.t
                held = core.lns.held.get(tunnel)
                if held is not None and held.group is not None and held.group.challenges:
                    self._say(L2X, f"Tnl {tunnel} L2TP:Got a response in SCCCN, {detail['host']}")
                    self._say(L2X, f"Tnl {tunnel} L2TP:Tunnel Authentication success")
                self._say(L2X, f"Tnl {tunnel} L2TP:Tunnel state change from wait-ctl-reply to established")
            case "tunnel-down":
                self.hosts.pop(tunnel, None)
                if self.since.pop((tunnel, 0), None) is not None:
                    self._say(L2X, f"Tnl {tunnel} L2TP:Tunnel state change from established to idle")
            case "session-up":
                self.since[tunnel, session] = event.t
                self._say(L2X, f"Tnl/Sn {tunnel}/{session} L2TP:Session state change from wait-connect to established")
            case "session-down":
                self._closed(detail)
                if self.since.pop((tunnel, session), None) is not None:
                    self._say(L2X, f"Tnl/Sn {tunnel}/{session} L2TP:Session state change from established to idle")

    @property
    def logs_calls(self) -> bool:
        """`vpdn logging`, which is on unless the configuration says otherwise."""
        return not self._router.state.configuration.tree.has("no vpdn logging")

    def _closed(self, detail: Mapping[str, Any]) -> None:
        """The message's name is that of IOS; what it says of the cause is in our own words."""
        state, tunnel = self._router.state, detail.get("tunnel", 0)
        if not self.logs_calls:
            return
        role = "LAC" if tunnel in self._router.core.lac.tunnels else "LNS"
        user = f" user {detail['user']}" if detail.get("user") else ""
        state.log(f"%VPDN-6-CLOSED: L2TP {role} {state.hostname} closed{user}; {detail.get('reason', '')}")

    def _secured(self, event: GatewayEvent) -> None:
        """L2TP's socket with that peer: the LAC's own is bound by it, for the LNS it is the first that it hears of the peer."""
        core = self._router.core
        if SOCKET not in self.on or core.settings.vpdn is None:
            return
        if any(one.protected and one.address == event.peer_address for one in core.lac.tunnels.values()):
            self._say(SOCKET, f"{APPLICATION}:Completed binding of application to socket")
        elif (sa := core.ipsec.sadb.named(str(event.detail["spi_in"]))) is not None:
            self._say(SOCKET, f"{APPLICATION}:Passive open, {self._socket(sa.address, sa.port)}")

    def _socket(self, there: str, port: int) -> str:
        settings = self._router.core.settings
        crypto = None if settings.vpdn is None else settings.vpdn.crypto
        interface = "" if crypto is None else short_interface(crypto.interface)
        return f"socket info:local {settings.address}/1701, remote {there}/{port}, prot 17, ifc {interface}"

    def _say(self, what: str, *lines: str) -> None:
        if what in self.on:
            self._router.state.log(*lines)


def register(state: State, debug: Debug) -> None:
    def switched(what: Iterable[str], on: bool) -> Callable[[Session, Match], Iterable[str]]:
        def action(session: Session, match: Match) -> Iterable[str]:
            if on:
                debug.on |= set(what)
            else:
                debug.on -= set(what)
            return tuple(f"{NAMES[one]} debugging is {'on' if on else 'off'}" for one in what)

        return action

    def all_off(session: Session, match: Match) -> Iterable[str]:
        debug.on.clear()
        return ("All possible debugging has been turned off",)

    for what in NAMES:
        state.command(f"debug {what}", switched((what,), True))
        state.command(f"undebug {what}", switched((what,), False))
        state.command(f"no debug {what}", switched((what,), False))
    state.command("undebug all", all_off)
    state.command("no debug all", all_off)
    state.show("show debugging", lambda state, match: [f"{NAMES[one]} debugging is on" for one in sorted(debug.on)], level=15)
