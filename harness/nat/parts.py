"""The mechanisms of one NAT, each in an attribute of `Parts`, made from a personality. A fault puts another in the place of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.nat.allocator import Allocator, allocator
from harness.nat.behaviour import FILTERS, MAPPINGS, Admits, MapsBy
from harness.nat.draws import Draws, Entropy
from harness.nat.fragments import Fragments
from harness.nat.helpers import CookieHelper, Helper, PayloadAlg, Refuse, SingleClient, SpiGuess
from harness.nat.ios.access_list import AccessList
from harness.nat.ios.esp import HeldEsp, MatchedEsp
from harness.nat.ios.expectations import Expectations
from harness.nat.ios.ftp import FtpGateway
from harness.nat.ios.held import Held
from harness.nat.ios.ike import PreservedIke
from harness.nat.ios.one_to_one import OneToOne
from harness.nat.ios.services import IosPlan, Services
from harness.nat.ios.skinny import SkinnyGateway
from harness.nat.ios.tcp import Tcp
from harness.nat.ios.timers import IosTimers
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
class IosHelpers:
    """What `serve` puts in place: for ESP by default, for ESP with `spi-match`, and for IKE with `preserve-port`."""

    waiting: Callable[[Held], HeldEsp] = HeldEsp
    matching: Callable[[Held, AccessList], HeldEsp] = MatchedEsp
    preserving: Callable[[AccessList], PreservedIke] = PreservedIke


@dataclass(slots=True)
class Translator:
    """How it translates. `ike` takes the UDP packets from and to port 500, or is None; `portless` takes ESP and AH; `payload`
    changes the payload of UDP packets that are whole, or is None. `overload`: an outside port is free as long as it is so for one
    remote end. `endpoint_ports`: where it is not, one inside endpoint has its port towards all remote ends.

    The rest is IOS's. `tcp` is None where TCP does not pass; `held` are packets that wait for a helper; `addresses` gives hosts
    outside addresses of their own, before ports are looked at or, with `overloads` off, in place of that; `map_id` is the number of
    the dynamic mapping; `helpers` are those that its service lines ask for."""

    maps_by: MapsBy
    admits: Admits
    allocator: Allocator
    overload: bool
    timers: Timers
    table: Table
    ike: Helper | None
    portless: Helper
    payload: PayloadAlg | None
    endpoint_ports: bool = False
    tcp: Tcp | None = None
    expectations: Expectations | None = None
    held: Held | None = None
    addresses: OneToOne | None = None
    overloads: bool = True
    map_id: int | None = None
    helpers: IosHelpers = field(default_factory=IosHelpers)


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
    made = Translator(
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
    if plan.ios is not None:
        _as_ios(made, plan.ios)
    return made


def _as_ios(how: Translator, plan: IosPlan) -> None:
    how.timers = IosTimers()
    for name, seconds in plan.timers.items():
        setattr(how.timers, name, seconds)
    how.endpoint_ports = True
    how.expectations = Expectations(how.allocator)
    how.held = Held()
    how.addresses = None if plan.overload else OneToOne()
    how.overloads = plan.overload
    how.map_id = plan.map_id
    serve(how, plan.services)


def serve(how: Translator, services: Services) -> None:
    """Puts the parts in place that these `ip nat service` lines ask for; on a NAT that runs too. For parts of an IOS personality:
    ValueError for any other."""
    if how.expectations is None or how.held is None:
        raise ValueError("the NAT has no IOS personality")
    made, wanted = how.helpers, services.spi_match
    esp = made.waiting(how.held) if wanted is None else made.matching(how.held, wanted)
    if isinstance(how.portless, HeldEsp):
        esp.take_over(how.portless)
    how.portless = esp
    if services.preserve_port is None:
        how.ike = None
    elif isinstance(how.ike, PreservedIke):
        how.ike.permitted = services.preserve_port
    else:
        how.ike = made.preserving(services.preserve_port)
    ftp, skinny = FtpGateway(services.ftp, how.expectations), SkinnyGateway(services.skinny, how.expectations)
    old = () if how.tcp is None else how.tcp.gateways
    for one in old:
        if isinstance(one, FtpGateway):
            ftp.take_over(one)
    how.tcp = Tcp(gateways=[ftp, skinny])
