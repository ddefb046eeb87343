"""Evidence: all that a verdict may look at, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.model.account import Logged, Printed, Told
from harness.model.observation import CaptureFacts, Observation, Side
from harness.model.plan import ClientPlan
from harness.model.record import Record


@dataclass(frozen=True, slots=True)
class Pair:
    """The same packet on both sides of the NAT, by frame numbers in the two captures."""

    inside: int
    outside: int
    direction: str  # "up": client to gateway; "down"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is at every layer, from the captures; None or empty where the wire did not show it."""

    client: str
    inside: str  # address
    inside_ike_port: int | None = None
    inside_natt_port: int | None = None
    outside: str | None = None
    outside_ike_port: int | None = None  # the NAT's port for 500
    outside_natt_port: int | None = None  # the NAT's port for 4500
    cookies: tuple[tuple[str, str], ...] = ()  # (initiator, responder), oldest first
    spis_in: tuple[str, ...] = ()  # towards the client, oldest first
    spis_out: tuple[str, ...] = ()  # towards the gateway
    gateway_port: int | None = None  # the port by which the gateway's L2TP knows this client (1024, 1025 … with demux)
    tunnel_client: int | None = None  # tunnel ID the client assigned
    tunnel_gateway: int | None = None
    session_client: int | None = None
    session_gateway: int | None = None
    user: str | None = None
    ppp_address: str | None = None
    outside_l2tp_port: int | None = None  # the NAT's port for 1701, where L2TP runs in clear
    since: float | None = field(default=None, compare=False)  # when this life began on the wire, seconds since the epoch
    until: float | None = field(default=None, compare=False)  # when the client was last heard in it
    lives: tuple[Identity, ...] = field(default=(), compare=False)
    """Where a client came back: itself in each of its lives, oldest first. Empty: it has lived but once."""


@dataclass(frozen=True, slots=True)
class GatewaySession:
    """One L2TP tunnel as the gateway itself lists it. IDs are from the gateway's side of the table. `peer_port` None: it shows none
    (IOS from 12.4T on)."""

    peer_address: str
    peer_port: int | None
    tunnel_local: int
    tunnel_remote: int
    session_local: int | None = None
    session_remote: int | None = None
    interface: str | None = None
    ppp_address: str | None = None


@dataclass(frozen=True, slots=True)
class GatewaySa:
    """One ESP SA as the gateway lists it. `udp_port` is the peer's UDP port of the encapsulation, None without it."""

    spi: str
    inbound: bool
    peer_address: str
    udp_port: int | None
    mark: int | None
    translated_port: int | None = None


@dataclass(frozen=True, slots=True)
class GatewayView:
    """A gateway's own account at one moment. `texts` keeps the raw output of each command, by command.

    `ports` is the translation that is installed: a client's mark to the UDP port its L2TP server knows it by. Empty where no
    client is translated.
    """

    t: float
    label: str
    sessions: tuple[GatewaySession, ...] = ()
    sas: tuple[GatewaySa, ...] = ()
    ike_sas: tuple[tuple[str, str, str, int], ...] = ()  # icookie, rcookie, peer address, peer port
    texts: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """Something a gateway says happened inside it, at `t` seconds since the epoch; the peer as its IPsec sees it (NAT address,
    UDP port of the encapsulation).

    `kind`: ike-up, ike-down, esp-up, esp-down, port-given, port-freed, tunnel-up, tunnel-down, session-up, session-down, ppp-up,
    ppp-down, address-given, address-freed, path-mtu, aaa-silent (a RADIUS server, its port), refused, dropped. Keys of
    `detail`, where they apply: icookie, rcookie, spi_in, spi_out (hexadecimal, from the gateway's side), port (translated), tunnel,
    session, user, address, by, reason.
    """

    t: float
    kind: str
    peer_address: str
    peer_port: int
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NatMapping:
    """One row of a NAT's table. Protocol "udp" or "esp" (then the ports are 0, or SPIs where the NAT keys by them)."""

    protocol: str
    inside_address: str
    inside_port: int
    outside_address: str
    outside_port: int
    remote_address: str
    remote_port: int


@dataclass(frozen=True, slots=True)
class NatView:
    """The NAT's own account at one moment, `t` seconds since the epoch."""

    t: float
    label: str
    mappings: tuple[NatMapping, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a scenario that was carried out: its name, when it began and ended, and whom it concerned."""

    name: str
    began: float
    ended: float
    clients: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How much later the clock of the outside capture is than that of the inside one, from packets that both have, both ways.

    At time `at` (by the inside clock) it is `offset_s`, and grows by `drift_ppm` microseconds a second; the truth is within
    `bound_s` of that all through the captures, infinite where it cannot be told (`why` says it then). `corrected`: the outside
    observations bear the inside clock's time.
    """

    offset_s: float
    bound_s: float
    drift_ppm: float = 0.0
    at: float = 0.0
    up: int = 0  # packets that it rests on, by direction
    down: int = 0
    corrected: bool = False
    why: str = ""

    def at_time(self, t: float) -> float:
        """The offset at `t` seconds since the epoch."""
        return self.offset_s + self.drift_ppm * 1e-6 * (t - self.at)


@dataclass(frozen=True, slots=True)
class Site:
    """A second NAT in front of the same gateway, with clients of its own behind it (`ClientPlan.site` is its `number`).

    `outside` is its outside address, `side` the capture of its inside; `pairs` pair that with the one outside capture.
    """

    number: int
    outside: str
    side: Side
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything one scenario left behind.

    `trouble` lists reasons why the evidence is not to be trusted at all; the verdict then is INCONCLUSIVE. `attachments` maps
    a title to a file's path. `clear_expected` is true only where a behaviour declares unprotected L2TP on the wire.
    """

    scenario: str
    testbed: str
    variant: str
    plans: tuple[ClientPlan, ...]
    steps: tuple[Step, ...]
    records: tuple[Record, ...]
    observations: Mapping[Side, tuple[Observation, ...]]
    captures: tuple[CaptureFacts, ...]
    pairs: tuple[Pair, ...]
    identities: tuple[Identity, ...]
    gateway_address: str
    nat_outside: str
    gateway_views: tuple[GatewayView, ...] = ()
    logs: Mapping[str, str] = field(default_factory=dict)
    attachments: Mapping[str, str] = field(default_factory=dict)
    trouble: tuple[str, ...] = ()
    clear_expected: bool = False
    gateway_events: tuple[GatewayEvent, ...] = ()  # empty where the gateway tells none
    nat_views: tuple[NatView, ...] = ()
    gateway_told: Mapping[str, Any] = field(default_factory=dict)  # what the script would have otherwise than its variant has it
    time: str = "wall"  # or "virtual": a simulated link, NAT and clock
    nat: str | None = None  # the NAT's personality ("none" translates nothing); None: the testbed's own NAT
    sites: tuple[Site, ...] = ()  # the NATs beside the first, whose outside address is `nat_outside`
    elsewhere: tuple[Identity, ...] = ()  # where this is one site of several: the clients of the others
    exposures: tuple[tuple[str, int, str], ...] = ()  # what the cleartext sentinel found: side, frame, what and why
    accounts: bool = True  # False: captures taken elsewhere, without the clients' records and the scenario's steps
    clock: ClockOffset | None = None  # where the two sides were captured by different clocks
    release: str = ""  # in a laboratory of routers: their release; the three below are empty elsewhere
    printed: tuple[Printed, ...] = ()
    logged: tuple[Logged, ...] = ()
    told: tuple[Told, ...] = ()

    def identity(self, client: str) -> Identity:
        return next(i for i in self.identities if i.client == client)

    def records_of(self, client: str) -> tuple[Record, ...]:
        return tuple(r for r in self.records if r.client == client)

    def step(self, name: str) -> Step:
        return next(s for s in self.steps if s.name == name)
