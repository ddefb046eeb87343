"""Scripts with a real Linux client (strongSwan, xl2tpd and pppd in a guest), alone and beside simulated ones.

No protocol core of ours takes part on its side: what our own gateway got wrong as its responder would, the simulated clients may
have got wrong the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.scenario.script import HOLD_S, Script

if TYPE_CHECKING:
    from harness.scenario.play import Play

REAL = "real-linux"
"""The personality of a client that is a machine of its own: no file says what it looks like, it is what it is."""


async def real_alone(play: Play) -> None:
    """Up; every rekey that either end can begin, and a new SA under each new main mode; gone."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    for by in ("client", "gateway"):
        await play.rekey_ipsec("c1", by=by)
        await play.hold(HOLD_S)
        await play.rekey_ike("c1", by=by)
        await play.hold(HOLD_S)
    await play.rekey_ipsec("c1", by="client")
    await play.hold(HOLD_S)
    await play.client_close("c1")


async def real_beside(play: Play) -> None:
    """The real client comes last, leaves and comes back beside two that are there throughout."""
    for name in ("c1", "c2", "c3"):
        await play.connect(name)
        await play.hold(HOLD_S)
    await play.client_close("c3")
    await play.hold(HOLD_S)
    await play.come_back("c3")
    await play.hold(2 * HOLD_S)


async def real_newcomer(play: Play) -> None:
    """A simulated client, then a real one."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect("c2")
    await play.hold(2 * HOLD_S)


REAL_CLIENTS = (
    Script("real-alone", "a real Linux client, with every rekey that either end begins", 1, real_alone,
           overrides={"c1": {"personality": REAL}}, guest=True),
    Script("real-beside", "a real Linux client beside two simulated ones; it leaves and returns", 3, real_beside,
           overrides={"c3": {"personality": REAL}}, guest=True),
    Script("real-newcomer", "a simulated client, then a real one", 2, real_newcomer,
           overrides={"c2": {"personality": REAL}}, guest=True),
)  # fmt: skip
