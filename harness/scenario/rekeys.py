"""Scripts in which SAs are replaced beneath sessions that are up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.scenario.script import HOLD_S, Script

if TYPE_CHECKING:
    from harness.scenario.play import Play

ESP_LIFE_S = 600
"""The lifetime of the document's example (`set security-association lifetime seconds 600`)."""

STORM_CLIENTS = 25


async def rekey(play: Play) -> None:
    """Two clients for more than three lifetimes of their ESP SAs; then every rekey that either end can begin."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(3.2 * ESP_LIFE_S)
    await play.rekey_ipsec("c1", by="client")
    await play.hold(HOLD_S)
    await play.rekey_ipsec("c2", by="gateway")
    await play.hold(HOLD_S)
    for name, by in (("c1", "client"), ("c2", "gateway")):
        await play.rekey_ike(name, by=by)
        await play.hold(HOLD_S)
        await play.rekey_ipsec(name, by=by)  # an ESP SA under the new ISAKMP SA
    await play.hold(5 * HOLD_S)
    await play.client_close("c2")
    await play.hold(HOLD_S)
    await play.client_close("c1")


async def rekey_storm(play: Play) -> None:
    """All clients come within a second, so that all their SAs are due within ten; twice over."""
    await play.connect_together([plan.name for plan in play.plans])
    await play.hold(2.2 * ESP_LIFE_S)


REKEYS = (
    Script(
        "rekey",
        "three lifetimes of 600 s, and every rekey by either end",
        2,
        rekey,
        time="virtual",
        gateway={"esp_lifetime_s": ESP_LIFE_S},
        marks_per_s=0.25,
        overrun_s=3600.0,
    ),
    Script(
        "rekey-storm",
        "all SAs are due within ten seconds",
        STORM_CLIENTS,
        rekey_storm,
        time="virtual",
        any_number=True,
        gateway={"esp_lifetime_s": ESP_LIFE_S},
        marks_per_s=0.1,
        overrun_s=3600.0,
    ),
)
