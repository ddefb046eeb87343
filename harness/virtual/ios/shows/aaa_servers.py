"""`show aaa servers`: how it goes with each RADIUS server. Authorization is never asked for apart, so that its counters stay 0.

Layout: what public configuration guides print of it, without the lines that IOS XE added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.meaning_aaa import ALL
from harness.wire.radius import Server
from harness.wire.radius.health import Health, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.virtual.ios.router import IosRouter


def servers(router: IosRouter, match: Match) -> list[str]:
    aaa, lines = router.settings.aaa, list[str]()
    known = router.core.aaa.client.health
    for number, server in enumerate(() if aaa is None else aaa.groups.get(ALL, ()), 1):
        lines += _server(number, server, known.get(server) or Health(router.state.now), router.state.now)
    return lines


def _server(number: int, server: Server, health: Health, now: float) -> Iterator[str]:
    dead = health.dead(now)
    lost = health.dead_s + (now - health.since if dead else 0.0)
    yield ""
    yield (
        f"RADIUS: id {number}, priority {number}, host {server.address}, auth-port {server.auth_port}, "
        f"acct-port {server.acct_port}"
    )
    state = "DEAD" if dead else "UP"
    yield f"     State: current {state}, duration {now - health.since:.0f}s, previous duration {health.previous_s:.0f}s"
    yield f"     Dead: total time {lost:.0f}s, count {health.deaths}"
    for title, tally in (("Authen", health.access), ("Author", Tally()), ("Account", health.accounting)):
        mean = 1000 * tally.spent_s / tally.success if tally.success else 0
        yield f"     {title}: request {tally.requests}, timeouts {tally.timeouts}"
        yield (
            f"             Response: unexpected {tally.unexpected}, server error {tally.malformed}, incorrect {tally.incorrect}, "
            f"time {mean:.0f}ms"
        )
        yield f"             Transaction: success {tally.success}, failure {tally.failure}"


SHOWS: Mapping[str, Callable[[IosRouter, Match], list[str]]] = {"show aaa servers": servers}
