"""The mechanisms of one NAT, each in an attribute of `Parts`, made from a personality. A fault puts another in the place of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.nat.allocator import Allocator, allocator
from harness.nat.behaviour import FILTERS, MAPPINGS, Admits, MapsBy
from harness.nat.draws import Draws, Entropy
from harness.nat.fragments import Fragments
from harness.nat.helpers import CookieHelper, Helper, PayloadAlg, Refuse, SingleClient, SpiGuess
from harness.nat.link import Impairments, Link
from harness.nat.personality import Personality, Translation
from harness.nat.rewriting import Rewriter
from harness.nat.table import Table
from harness.nat.timers import Timers

HELPERS: Mapping[str, Callable[[], Helper]] = {
    "cookie": CookieHelper,
    "spi-guess": SpiGuess,
    "first-client": lambda: SingleClient(newest=False),
    "last-client": lambda: SingleClient(newest=True),
}


@dataclass(slots=True)
class Translator:
    """How it translates. `ike` takes the UDP packets from and to port 500, or is None; `portless` takes ESP and AH; `payload`
    changes the payload of UDP packets that are whole, or is None. `overload`: an outside port is free as long as it is so for one
    remote end."""

    maps_by: MapsBy
    admits: Admits
    allocator: Allocator
    overload: bool
    timers: Timers
    table: Table
    ike: Helper | None
    portless: Helper
    payload: PayloadAlg | None


@dataclass(slots=True)
class Parts:
    """`translator` is None for a router. `up` and `down` are the links towards outside and inside; None where nothing befalls
    packets."""

    translator: Translator | None
    up: Link | None = None
    down: Link | None = None
    rewriter: Rewriter = field(default_factory=Rewriter)
    fragments_up: Fragments = field(default_factory=Fragments)
    fragments_down: Fragments = field(default_factory=Fragments)


def build(personality: Personality, entropy: Entropy) -> Parts:
    """New parts as `personality` says. All chance comes from 32 bytes of `entropy`, drawn here."""
    seed = entropy(32)

    def link(name: bytes, impairments: Impairments | None) -> Link | None:
        return None if impairments is None else Link(impairments, Draws(seed + name))

    plan = personality.translation
    translator = None if plan is None else _translator(plan, Draws(seed + b"ports"))
    return Parts(translator, link(b"up", personality.up), link(b"down", personality.down))


def _translator(plan: Translation, draws: Draws) -> Translator:
    timers = Timers(
        plan.udp_s, plan.udp_stream_s, plan.icmp_s, plan.portless_s, plan.refresh_outbound, plan.refresh_inbound
    )  # fmt: skip
    return Translator(
        maps_by=MAPPINGS[plan.mapping],
        admits=FILTERS[plan.filtering],
        allocator=allocator(plan.allocator, plan.ports, draws),
        overload=plan.overload,
        timers=timers,
        table=Table(plan.limit),
        ike=None if plan.ike == "none" else HELPERS[plan.ike](),
        portless=Refuse() if plan.esp == "none" else HELPERS[plan.esp](),
        payload=None if plan.payload_octets is None else PayloadAlg(plan.payload_octets),
    )
