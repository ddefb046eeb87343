"""The scenarios, each a short script that a `Play` carries out.

A script says who connects, when traffic flows, and how it ends; it does not judge. Step names are what the verdicts look for:
"connect:c1", "hold", "idle", "delete-ipsec:c1", "gateway-close:c2", "client-close:c3", "vanish:c4", "settle".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.scenario.play import Play

HOLD_S = 3.0
"""How long marked traffic flows between two steps: at 5 marks a second and client, 15 marks each. The verdicts judge no question
of the last 2 s before a client's end: less than 2 s and some marks between two ends would leave the first one's victims unseen."""


IDLE_S = 22.0
"""A Windows client sends its NAT-keepalive after 20 s without traffic, the default of RFC 3948 section 4; one that does not, and is
this long idle, is beyond any doubt about its timer."""


@dataclass(frozen=True, slots=True)
class Script:
    """`clients` is how many take part; `any_number`: the command line may say otherwise. `overrides` are the fields of ClientPlan
    in which a client, by name, differs from the testbed's.

    `time` is "wall" or "virtual". `time_scale` is how many times as fast the gateway's timers run, so that what takes minutes shows
    in seconds; it is printed. `nat` is the NAT's personality (None: the testbed's own NAT), `gateway` what of the gateway's
    settings differs from its variant's. A script that is not over after `overrun_s` is stuck.
    """

    name: str
    summary: str
    clients: int
    run: Callable[[Play], Awaitable[None]]
    time_scale: float = 1.0
    any_number: bool = False
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    time: str = "wall"
    nat: str | None = None
    gateway: Mapping[str, Any] = field(default_factory=dict)
    overrun_s: float = 300.0

    def number_of(self, wanted: int | None) -> int:
        """How many clients, when the command line wants `wanted`."""
        return wanted if wanted is not None and self.any_number else self.clients


async def pair(play: Play) -> None:
    """Client 1 alone for a while, then client 2 beside it; traffic on both; both leave as Windows leaves."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect("c2")
    await play.hold(2 * HOLD_S)
    await play.client_close("c2")
    await play.hold(HOLD_S / 2)
    await play.client_close("c1")


async def alone(play: Play) -> None:
    """One client and nobody else: busy, then idle for longer than its NAT-keepalive takes, then busy again."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.idle(IDLE_S)
    await play.hold(HOLD_S / 2)
    await play.client_close("c1")


async def order(play: Play) -> None:
    """Client 2 first, then client 1, then client 3: whoever comes later, the number of the client must not matter."""
    for name in ("c2", "c1", "c3"):
        await play.connect(name)
        await play.hold(HOLD_S)


async def together(play: Play) -> None:
    """All clients send their first datagram within 10 ms; then traffic on all of them."""
    await play.connect_together([plan.name for plan in play.plans])
    await play.hold(2 * HOLD_S)


async def endings(play: Play) -> None:
    """One client per cause of an end, and a bystander (c5) that must not notice any of them.

    Client 4 goes first, since a silent loss takes longest to be noticed; the others end while the gateway waits for it. It
    announces Dead Peer Detection, which Windows does not: without it only its lifetime ends the SA of a client that has vanished.
    """
    for name in ("c2", "c1", "c3", "c4", "c5"):
        await play.connect(name)
    await play.hold(HOLD_S)
    await play.vanish("c4")
    await play.hold(HOLD_S)
    await play.delete_ipsec("c1")
    await play.hold(HOLD_S)
    await play.gateway_close("c2")
    await play.hold(HOLD_S)
    await play.client_close("c3")
    await play.hold(HOLD_S)
    await play.settle("c4")
    await play.hold(HOLD_S / 2)


SCRIPTS = {
    script.name: script
    for script in (
        Script("alone", "one client", 1, alone),
        Script("pair", "two clients, one after the other", 2, pair),
        Script("order", "clients 2, 1, 3 in this order", 3, order),
        Script("together", "all clients at once", 6, together, any_number=True),
        Script(
            "endings",
            "every way in which a session ends, beside one that stays",
            5,
            endings,
            time_scale=10.0,
            overrides={"c4": {"personality": "linux"}},
        ),
    )
}


def script(name: str) -> Script:
    if name not in SCRIPTS:
        raise UsageError(f"there is no scenario {name!r}", cure=f"one of {', '.join(SCRIPTS)}")
    return SCRIPTS[name]
