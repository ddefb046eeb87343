"""The router's NAT, live: what the configuration says of it is what it does from that line on, and what it holds is shown and
cleared by commands. Sans-IO, with the doors of a NAT core (`receive`, `tick`, `take_packets`, `deadline`), to stand where one does.

    inside ── permitted by a rule's list, or static: the NAT core · all else: routed as it is ── outside

Which packets are translated is asked of the lists anew for each packet. Without a rule, an inside or an outside there is no table:
taking the last one away drops the entries, as IOS does when it is told to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import ProtocolError
from harness.model.nat_entries import NatEntry
from harness.nat.core import INSIDE, OUTSIDE, NatCore, Side
from harness.nat.draws import Entropy
from harness.nat.headers import dotted
from harness.nat.ios.clearing import EVERYTHING, Clearing, clear
from harness.nat.ios.entries import translations
from harness.nat.ios.settings import reset_timeout, set_addresses, set_max_entries, set_services, set_timeout
from harness.nat.ios.timers import KINDS
from harness.nat.parts import Parts, build
from harness.nat.personality import Personality, load
from harness.virtual.access_list import flow_of
from harness.virtual.ios import nat_commands
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.nat_meaning import Plan, plan
from harness.virtual.ios.state import State
from harness.virtual.ios.unheeded import NAT, unheeded
from harness.virtual.router import forwarded

PERSONALITY = "ios"
CAPACITY = 65536
"""Entries, where no `max-entries` says how many: what a router's memory is held to bear. Ours."""


@dataclass(slots=True)
class NatRoleParts:
    """The mechanisms of the role; a fault puts others in the place of some. `plan` reads the configuration, `build` makes the parts
    of the NAT core, `clear` does what `clear ip nat translation` asks for."""

    plan: Callable[[Entry], Plan] = plan
    build: Callable[[Personality, Entropy], Parts] = build
    clear: Callable[[NatCore, float, Clearing], int] = clear


class NatRole:
    """`core` is None as long as nothing is configured to be translated. `wake` is called when something else than a packet or the
    time may have changed what there is to send, or the deadline. `counts`: routed, no-route, malformed, down (the router boots)."""

    def __init__(
        self, state: State, entropy: Entropy, wake: Callable[[], None] = lambda: None, parts: NatRoleParts | None = None
    ) -> None:
        self._parts = parts or NatRoleParts()
        self.state = state
        self.wake = wake
        self.plan = Plan()
        self.core: NatCore | None = None
        self.counts: Counter[str] = Counter()
        self._entropy = entropy
        self._routed: list[tuple[Side, bytes]] = []
        self._now = state.now
        state.configuration.listeners.append(self._configured)
        state.on_reload.append(self._reloaded)
        state.lacks = lambda: (*self.plan.lacks, *unheeded(state.configuration.tree, NAT))
        nat_commands.register(state, self)
        self._become(self._parts.plan(state.configuration.tree))

    # --- packets and time ---

    def receive(self, now: float, side: Side, packet: bytes) -> None:
        """Any bytes may come in; nothing is raised."""
        self._now = max(self._now, now)
        if now < self.state.up_at:
            self.counts["down"] += 1
        elif self.core is not None and self._is_for_core(self.core, side, packet):
            self.core.receive(now, side, packet)
        else:
            self._route(side, packet)

    def tick(self, now: float) -> None:
        self._now = max(self._now, now)
        if self.core is not None:
            self.core.tick(now)

    @property
    def deadline(self) -> float | None:
        return None if self.core is None else self.core.deadline

    def take_packets(self) -> list[tuple[Side, bytes]]:
        routed, self._routed = self._routed, []
        return routed + ([] if self.core is None else self.core.take_packets())

    def side_of(self, interface: str) -> Side | None:
        """On which side of the NAT that interface is; None where it is on neither."""
        found = self.state.configuration.tree.first(f"interface {interface}")
        return next((side for side in (INSIDE, OUTSIDE) if found is not None and found.has(f"ip nat {side}")), None)

    def stands_for(self, side: Side, address: bytes) -> bool:
        """Whether packets from that side to an address that is no interface's come here all the same."""
        return side == OUTSIDE and self.core is not None and address in self.core.outside_addresses()

    def _is_for_core(self, core: NatCore, side: Side, packet: bytes) -> bool:
        if side == OUTSIDE:
            return packet[16:20] in core.outside_addresses()
        if dotted(packet[12:16]) in self.plan.statics:
            return True
        try:
            flow = flow_of(packet)
        except ProtocolError:
            return True  # the core counts what is malformed
        return any(one.permits(flow) for one in self.plan.sources)

    def _route(self, side: Side, packet: bytes) -> None:
        """As it is, to the other side: a destination on the side from which it came is no business of the router's."""
        inside = self.plan.inside
        try:
            flow = flow_of(packet)
            to_inside = inside is not None and not (flow.destination ^ int(inside.network_address)) & int(inside.netmask)
            if dotted(packet[16:20]) in self.plan.own or (inside is not None and to_inside == (side == INSIDE)):
                self.counts["no-route"] += 1
                return
            self._routed.append((OUTSIDE if side == INSIDE else INSIDE, forwarded(packet)))
            self.counts["routed"] += 1
        except ProtocolError:
            self.counts["malformed"] += 1

    # --- what is shown and ordered ---

    def entries(self) -> tuple[NatEntry, ...]:
        """As of the router's own time."""
        if self.core is None:
            return ()
        self._catch_up()
        return translations(self.core, self.plan.vrf)

    def clear(self, what: Clearing = EVERYTHING) -> int:
        """How many entries went."""
        if self.core is None:
            return 0
        gone = self._parts.clear(self.core, self._time(), what)
        self.wake()
        return gone

    def _time(self) -> float:
        return max(self._now, self.state.now)

    def _catch_up(self) -> None:
        self.tick(self._time())
        self.wake()

    # --- what the configuration says ---

    def _configured(self, old: Entry, new: Entry) -> None:
        wanted = self._parts.plan(new)
        if wanted != self.plan:
            self._become(wanted)
            self.wake()

    def _become(self, wanted: Plan) -> None:
        old, self.plan = self.plan, wanted
        now = self._time()
        core = self.core
        if not wanted.translates:
            self.core = None
            return
        assert wanted.inside is not None
        assert wanted.outside is not None
        if core is None or old.inside != wanted.inside:
            look, inside = load(PERSONALITY), str(wanted.inside)
            parts = self._parts.build(look, self._entropy)
            core = self.core = NatCore(look, outside=wanted.outside, inside=inside, entropy=self._entropy, parts=parts)
            core.tick(now)
        elif core.outside != wanted.outside:
            core.renumber(now, wanted.outside)
        else:
            core.tick(now)
        set_addresses(core, overload=wanted.overload, pool=wanted.pool, statics=wanted.statics)
        set_services(core, wanted.services)
        set_max_entries(core, wanted.max_entries or CAPACITY)
        for kind in KINDS:
            if kind in wanted.timeouts:
                set_timeout(core, kind, wanted.timeouts[kind])
            else:
                reset_timeout(core, kind)
        core.retry()

    def _reloaded(self, now: float) -> None:
        """What is held in memory is gone. The configuration is read again by the router itself."""
        self._now = max(self._now, now)
        self._routed.clear()
        if self.core is not None:
            self.core.reboot(self._now)
            self.wake()
