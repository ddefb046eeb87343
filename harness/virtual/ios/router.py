"""The virtual IOS router: what its sessions share (`State`) and its live role, which is what the configuration means at any time.

It has the doors of the virtual gateway (`receive`, `tick`, `deadline`, `take_packets` …), so that whatever carries that carries it:
`simulation.gateway_box`, `simulation.access_box`, a process with sockets. `now` is one clock for packets and terminals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.model import GatewayEvent, GatewayView
from harness.virtual import settings as virtual
from harness.virtual.ios import debugging, orders
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.core import CoreParts, IosCore
from harness.virtual.ios.meaning_router import Meaning, differences, meant, needs_rebuild
from harness.virtual.ios.pppoe import Frames, PppoeLines
from harness.virtual.ios.shows import live
from harness.virtual.ios.state import State
from harness.virtual.ios.syslog import Syslog
from harness.virtual.ios.unheeded import WIRE, unheeded
from harness.virtual.journal import Tap
from harness.virtual.settings import Personality, Settings
from harness.virtual.vpdn.crypto import Crypto
from harness.wire.config import Entropy
from harness.wire.packet import Packet

NOTHING = Settings(virtual.load("plain"))
"""What a core is made of that serves nobody yet."""


@dataclass(slots=True)
class RouterParts(CoreParts):
    """The mechanisms of a router; a fault puts others in the place of some. `meant` reads the configuration, `core` is the live
    role itself and `debug` what tells of it, for subclasses in which some method is another."""

    meant: Callable[[Entry, Personality], Meaning] = meant
    core: Callable[..., IosCore] = IosCore
    debug: Callable[[IosRouter], debugging.Debug] = debugging.Debug


class IosRouter:
    """`base` is the personality behind what no command says. `changed` is called whenever a session's doing may have left packets
    to send or another deadline, so that the owner comes and takes them.

    `meaning` is what the configuration says now; without settings in it the router hears and says nothing. What is typed acts at
    once, on what is up where the core can, on what comes next where it cannot; what the core can only be told before its start
    (addresses, whether there is a crypto map at all) costs all that is up. After `reload` everything is lost, and nothing heard
    until the router is up again.
    """

    def __init__(
        self,
        state: State,
        entropy: Entropy,
        base: Personality | None = None,
        parts: RouterParts | None = None,
        *,
        witnessed: bool = True,
    ) -> None:
        self.name = "gateway"
        self.state = state
        self.base = base or virtual.load("demux")
        self.changed: Callable[[], None] = lambda: None
        self._parts = parts or RouterParts()
        self.core = self._parts.core(NOTHING, entropy, self._keys, self._parts, witnessed=witnessed)
        self.debug = self._parts.debug(self)
        self.core.see = self.debug.see
        self.syslog = Syslog(self)
        self.meaning = Meaning(None)
        self.pppoe = PppoeLines(lambda: self.core, entropy)
        self._serial: Frames = []
        self._booting = False
        self._events: list[GatewayEvent] = []
        self._live = False
        state.configuration.listeners.append(self._configured)
        state.on_reload.append(self._down)
        state.on_log.append(self._logged)
        state.lacks = lambda: (*self.meaning.lacks, *unheeded(state.configuration.tree, WIRE))
        live.register(state, self)
        orders.register(state, self)
        debugging.register(state, self.debug)
        self._apply(state.now)

    def _keys(self) -> Crypto:
        return self.meaning.keys

    # The configuration

    def _configured(self, old: Entry, new: Entry) -> None:
        if not self._booting:
            self._apply(self.state.now)
            self.settle()

    def _apply(self, now: float) -> None:
        before, self.meaning = self.meaning, self._parts.meant(self.state.configuration.tree, self.base)
        self.core.rip.configure(now, self.meaning.rip)
        self._carry()
        self.pppoe.configure(now, self.meaning.pppoe)
        settings = self.meaning.settings
        if settings is None:
            if self._live:
                self._live = False
                self._rebuild(now, None)
            return
        current = self.core.settings
        if not self._live or needs_rebuild(current, settings):
            self._live = True
            self._rebuild(now, settings)
        elif changes := differences(current, settings):
            self.core.reconfigure(now, **changes)
        elif before.keys != self.meaning.keys:
            self.core.ipsec.reconfigure(settings)

    def _logged(self, line: str) -> None:
        self.syslog.tell(line)
        self.changed()

    def _down(self, now: float) -> None:
        self._booting, self._live = True, False
        self.syslog.forget()
        self.core.restart(now)
        self._carry()
        self.pppoe.forget()
        self.debug.off()
        self.settle()

    def _rebuild(self, now: float, settings: Settings | None) -> None:
        self.core.rebuild(now, settings)
        self._hear()
        self.debug.forget()

    @property
    def up(self) -> bool:
        """Whether it is booted and serves somebody."""
        return self._live

    def settle(self) -> None:
        """After anything has been done to the core from within: what it tells is heard, and the owner comes."""
        self._hear()
        self.changed()

    def _hear(self) -> None:
        told = self.core.take_events()
        for event in told:
            self.debug.hear(event)
        self._events += told

    # What the owner calls, as of a gateway

    @property
    def settings(self) -> Settings:
        return self.core.settings

    @property
    def deadline(self) -> float | None:
        times = [self.state.deadline, self.state.up_at if self._booting else self.core.deadline if self.up else None]
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: float) -> None:
        self.state.tick(now)
        if self._booting and now >= self.state.up_at:
            self._booting = False
            self._apply(now)
        if self.up:
            self.core.tick(now)
            self._hear()

    def receive(self, now: float, packet: Packet) -> None:
        """A packet from the wire, whole."""
        self.state.now = max(self.state.now, now)
        if self.up:
            self.core.receive(now, packet)
            self._hear()

    def receive_lan(self, now: float, packet: bytes) -> None:
        self.state.now = max(self.state.now, now)
        if self.up:
            self.core.receive_lan(now, packet)
            self._hear()

    def take_packets(self) -> list[Packet]:
        return self.core.take_packets()

    def take_lan(self) -> list[bytes]:
        return self.core.take_lan()

    def take_taps(self) -> list[Tap]:
        return self.core.take_taps()

    def take_events(self) -> list[GatewayEvent]:
        self._hear()
        taken, self._events = self._events, []
        return taken

    def view(self, now: float, label: str) -> GatewayView:
        return self.core.view(now, label)

    # Callers' lines, as of a LAC

    def dial_in(self, now: float) -> int:
        """A caller has come in on a line; returns the line's number."""
        return self.core.dial_in(now)

    def lose_carrier(self, now: float, line: int) -> None:
        self.core.lose_carrier(now, line)
        self._hear()

    def receive_line(self, now: float, line: int, frame: bytes) -> None:
        self.state.now = max(self.state.now, now)
        if self.up:
            self.core.receive_line(now, line, frame)
            self._hear()

    def take_frames(self) -> Frames:
        self._carry()
        taken, self._serial = self._serial, []
        return taken

    # Callers that come by Ethernet

    def receive_ethernet(self, now: float, interface: str, frame: bytes) -> None:
        """A whole frame of PPPoE's on an interface that was attached."""
        self.state.now = max(self.state.now, now)
        if self.up:
            self._carry()
            self.pppoe.receive(now, interface, frame)
            self._hear()

    def take_ethernet(self) -> list[tuple[str, bytes]]:
        """Frames to send, by interface."""
        self._carry()
        return self.pppoe.take_frames()

    def _carry(self) -> None:
        self._serial += self.pppoe.carry(self.core.take_frames())
