"""The router's crypto maps, live: a tunnel-mode VPN endpoint that is what the configuration says of it from each line on. Sans-IO,
with the doors of a NAT core (`receive`, `tick`, `take_packets`, `deadline`), to stand where one does.

    inside ── in the clear, or protected as the crypto map on the outside interface says ── outside

What is up stays as it was agreed on, as on IOS: changes act on what comes next, until `clear` ends what is there. SAs end where
their entry goes, or the crypto map leaves the interface. Another address of the endpoint, and `reload`, lose everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from harness.model import GatewayEvent
from harness.virtual import vpn_view
from harness.virtual.ios import orders
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.endpoint_meaning import Plan, plan
from harness.virtual.ios.shows import live
from harness.virtual.ios.shows.endpoint_crypto import EndpointCrypto
from harness.virtual.ios.state import State
from harness.virtual.ios.unheeded import ENDPOINT, unheeded
from harness.virtual.vpn_endpoint import INSIDE, OUTSIDE, Side, VpnEndpoint
from harness.virtual.vpn_negotiation import Negotiation
from harness.wire import events
from harness.wire.config import Entropy


@dataclass(slots=True)
class EndpointParts:
    """The mechanisms of the role; a fault puts others in the place of some. `plan` reads the configuration; `core` and
    `negotiation` are whole layers, for subclasses in which some method is another."""

    plan: Callable[[Entry, frozenset[str], str], Plan] = plan
    core: Callable[..., VpnEndpoint] = VpnEndpoint
    negotiation: Callable[..., Negotiation] = Negotiation


class EndpointRole:
    """`core` is None as long as no interface can be the outside one. `wake` is called when something else than a packet or the time
    may have changed what there is to send, or the deadline. `counts`: down (there is no core, the router boots, or the outside
    interface is shut down); `core.counts` has the others."""

    def __init__(
        self, state: State, entropy: Entropy, wake: Callable[[], None] = lambda: None, parts: EndpointParts | None = None
    ) -> None:
        self._parts = parts or EndpointParts()
        self.state = state
        self.wake = wake
        self.plan = Plan()
        self.keys: list[events.IkeUp | events.EspUp] | None = None  # a list where the owner wants them, for the run's key file
        self.core: VpnEndpoint | None = None
        self.counts: Counter[str] = Counter()
        self._entropy = entropy
        self._events: list[GatewayEvent] = []
        self._now = state.now
        self._booting = False
        state.configuration.listeners.append(self._configured)
        state.on_reload.append(self._reloaded)
        state.lacks = lambda: (*self.plan.lacks, *unheeded(state.configuration.tree, ENDPOINT))
        live.register_crypto(state, EndpointCrypto(self))
        orders.register_crypto(state, self)
        self._become(self._parts.plan(state.configuration.tree, state.features, ""))

    # --- packets and time ---

    def receive(self, now: float, side: Side, packet: bytes) -> None:
        """Any bytes may come in; nothing is raised."""
        self.tick(now)
        if self.core is None or not self.plan.up:
            self.counts["down"] += 1
        else:
            self.core.receive(now, side, packet)

    def tick(self, now: float) -> None:
        self._now = max(self._now, now)
        if self._booting and self._now >= self.state.up_at:
            self._booting = False
            self._become(self._parts.plan(self.state.configuration.tree, self.state.features, self.plan.interface))
        if self.core is not None:
            self.core.tick(self._now)

    @property
    def deadline(self) -> float | None:
        if self._booting:
            return self.state.up_at
        return None if self.core is None else self.core.deadline

    def take_packets(self) -> list[tuple[Side, bytes]]:
        """What is for an interface that is shut down is lost."""
        taken = [] if self.core is None else self.core.take_packets()
        if self.plan.up:
            return taken
        self.counts["down"] += sum(side == OUTSIDE for side, _ in taken)
        return [(side, packet) for side, packet in taken if side != OUTSIDE]

    def side_of(self, interface: str) -> Side | None:
        """On which side of the endpoint that interface is; None while there is no outside one."""
        return None if self.core is None else OUTSIDE if interface == self.plan.interface else INSIDE

    def stands_for(self, side: Side, address: bytes) -> bool:
        """Of no address but its interfaces'."""
        return False

    def take_events(self) -> list[GatewayEvent]:
        taken, self._events = self._events + ([] if self.core is None else self.core.take_events()), []
        return taken

    # --- what is shown and ordered ---

    def view(self) -> vpn_view.EndpointView:
        """As of the router's own time."""
        if self.core is None:
            return vpn_view.EndpointView(self._time(), (), (), (), ())
        self.tick(self._time())
        self.wake()
        return vpn_view.of(self._now, self.core)

    def clear_sas(self, now: float, peer: str | None = None, map_name: str | None = None) -> None:
        if self.core is not None:
            self.core.clear_sas(self._time(), peer, map_name)
            self.wake()

    def clear_isakmp(self, now: float, number: int | None = None) -> None:
        """`number` counts the ISAKMP SAs that there ever were, from 0."""
        if self.core is not None:
            self.core.delete_isakmp(self._time(), None if number is None else number + 1)
            self.wake()

    def _time(self) -> float:
        return max(self._now, self.state.now)

    # --- what the configuration says ---

    def _configured(self, old: Entry, new: Entry) -> None:
        if self._booting:
            return
        wanted = self._parts.plan(new, self.state.features, self.plan.interface)
        if wanted != self.plan:
            self._become(wanted)
            self.wake()

    def _become(self, wanted: Plan) -> None:
        interface, self.plan = self.plan.interface, wanted
        now, core, settings = self._time(), self.core, wanted.settings
        if settings is None:
            self.plan = Plan(interface=interface, lacks=wanted.lacks)  # it may come back
            self._lose()
        elif core is None or core.settings.address != settings.address:
            self._lose()
            self.core = self._parts.core(settings, self._entropy, self._parts.negotiation)
            self.core.negotiation.keyed = self._keyed
            self.core.tick(now)
        elif core.settings != settings:
            core.tick(now)
            core.reconfigure(now, settings)

    def _keyed(self, event: events.IkeUp | events.EspUp) -> None:
        if self.keys is not None:
            self.keys.append(event)

    def _lose(self) -> None:
        """No peer hears of it."""
        if self.core is not None:
            self._events += self.core.take_events()
        self.core = None

    def _reloaded(self, now: float) -> None:
        self._now = max(self._now, now)
        self._booting = True
        self._lose()
        self.wake()
