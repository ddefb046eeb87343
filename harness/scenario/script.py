"""What a script is: who takes part, what differs from the testbed's own, in whose time, and the steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.model import ClientPlan
from harness.model.testbed import Testbed
from harness.routers.script import GatewayStart

if TYPE_CHECKING:
    from harness.scenario.play import Play

EVERYTHING, WITHOUT_KEEPALIVES = "everything", "without-keepalives"
"""What simulated captures may keep; a day of many clients is too long for everything."""

MARKS_PER_S = 5.0
HOLD_S = 3.0
"""How long marked traffic flows between two steps: at 5 marks a second and client, 15 marks each. The verdicts judge no question
of the last 2 s before a client's end: less than 2 s and some marks between two ends would leave the first one's victims unseen."""


@dataclass(frozen=True, slots=True)
class Script:
    """`clients` is how many take part; `any_number`: the command line may say otherwise. `overrides` are the fields of ClientPlan
    in which a client, by name, differs from the testbed's, `personality` what all others are (None: the testbed's).

    `time` is "wall" or "virtual". `time_scale` is how many times as fast the gateway's timers run, so that what takes minutes shows
    in seconds; it is printed. `nat` is the NAT's personality (None: the testbed's own NAT), `gateway` what of the gateway's
    settings differs from its variant's. Each client that is up sends `marks_per_s`. `captures` is what simulated captures keep
    ("everything", or "without-keepalives": see simulated_captures). A script that is not over after
    `overrun_s` is stuck. `not_up` names the clients that are not to come up.

    `router` is how a router begins that is configured by its command line; with it, no other gateway can play the script.
    `marks_to` is where the marked traffic goes instead of the gateway's own PPP address, `mark_sizes` their sizes in turn
    (bytes; None: from the least to the link's MTU).
    """

    name: str
    summary: str
    clients: int
    run: Callable[[Play], Awaitable[None]]
    time_scale: float = 1.0
    any_number: bool = False
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    personality: str | None = None
    time: str = "wall"
    nat: str | None = None
    gateway: Mapping[str, Any] = field(default_factory=dict)
    marks_per_s: float = MARKS_PER_S
    captures: str = EVERYTHING
    not_up: frozenset[str] = frozenset()
    overrun_s: float = 300.0
    arrivals_per_s: float | None = None  # of clients; None: all may come in one moment
    router: GatewayStart | None = None
    marks_to: str | None = None
    mark_sizes: tuple[int, ...] | None = None
    guest: bool = False  # one of its clients is a machine in a guest: the wall's time alone, and only where guests are wanted

    def plans(self, plans: Iterable[ClientPlan]) -> tuple[ClientPlan, ...]:
        """The testbed's plans, as this script changes them."""
        everybody = {} if self.personality is None else {"personality": self.personality}
        return tuple(replace(plan, **{**everybody, **self.overrides.get(plan.name, {})}) for plan in plans)

    def differs(self, testbed: Testbed, clients: int) -> tuple[str, ...]:
        """What is not as the testbed and the gateway's variant have it, a line each: what a reader of the run has to know."""
        lines = []
        if self.gateway:
            lines.append("the gateway differs from its variant: " + _listed(self.gateway))
        if self.router is not None:
            lines.append(_router(self.router))
        if self.nat is not None and self.nat != testbed.nat.personality:
            lines.append(f"the NAT is {self.nat}")
        own = testbed.plans(clients)
        others: dict[str, list[str]] = {}
        for was, plan in zip(own, self.plans(own), strict=True):
            if plan.personality != was.personality:
                others.setdefault(plan.personality, []).append(plan.name)
            rest = {one: getattr(plan, one) for one in ("site", "address") if getattr(plan, one) != getattr(was, one)}
            if rest:
                lines.append(f"{plan.name} differs from the testbed's clients: {_listed(rest)}")
        for personality, names in others.items():
            lines.append(f"every client is {personality}" if len(names) == len(own) else f"{', '.join(names)}: {personality}")
        return tuple(lines)

    def number_of(self, wanted: int | None) -> int:
        """How many clients, when the command line wants `wanted`."""
        return wanted if wanted is not None and self.any_number else self.clients


def _router(start: GatewayStart) -> str:
    more = f" and {len(start.lines)} lines more" if start.lines else ""
    return f"the router has {start.release} and the configuration {start.base}{more}"


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
