"""What a script for a laboratory of routers is: which world it plays in, what its routers are configured with, and the steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.model import router_lab

if TYPE_CHECKING:
    from harness.routers.play import Play

L2TP, ESP = WORLDS = router_lab.WORLDS
"""A LAC with callers and an LNS (harness/routers/l2tp_lab.py); tunnel-mode endpoints about a NAT router (esp_lab.py)."""

RELEASE = "12.4(1)"
THERE, NULL = "routers", "routers-null"
"""In the place of a release, where the routers are there and have their own; the latter where `esp-null` is played with."""


@dataclass(frozen=True, slots=True)
class GatewayStart:
    """How a router that is the gateway of a testbed begins: with the lines of `base` (gateway_configuration.BASES), `lines` after
    them, and `release`. A line of a section is indented below the section's own; "no …" takes back what the base has."""

    base: str = "clients"
    lines: tuple[str, ...] = ()
    release: str = RELEASE


@dataclass(frozen=True, slots=True)
class RouterScript:
    """`lines` are typed into a router, by its name, beyond what the world's routers are configured with: before the captures begin,
    and every one has to be taken. `instead` names routers that begin with these lines alone.

    `release` is the routers', unless a run asks for another; `about_release` says that the script is about this one, whatever a run
    asks for. `needs` are features by their names in model/ios_releases: a release that lacks one is not asked. A script that is not
    over after `overrun_s` is stuck. `world` options are for the world to read, such as how many clients it has. `wants` are what it
    needs of its laboratory, by names of `wants`; `clear`: nothing in it is protected, so that all of it can be read without keys.
    `null`: it is played with `esp-null` in the place of its ciphers, so that ESP can.
    """

    name: str
    summary: str
    world: str
    run: Callable[[Any], Awaitable[None]]
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    release: str = RELEASE
    about_release: bool = False
    needs: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    wants: tuple[str, ...] = ()
    clear: bool = False
    null: bool = False
    overrun_s: float = 4 * 86400.0


Run = Callable[["Play"], Awaitable[None]]
