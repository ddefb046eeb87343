"""Synthetic evidence: a small world of clients, a NAT and a gateway that writes the frames, records and views of a run.

A test plays a scenario, breaks what it wants broken (a packet, a record, a view, a mapping) and asks for the Evidence. Frames are
numbered by time only when the evidence is made, as a capture would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from harness.model import (
    CaptureFacts,
    ClientPlan,
    Evidence,
    FrameKind,
    GatewaySa,
    GatewaySession,
    GatewayView,
    Identity,
    Inner,
    Mark,
    NatMapping,
    NatView,
    Observation,
    Pair,
    Record,
    RecordKind,
    Secret,
    Side,
    Step,
)

GATEWAY, NAT, FAR = "203.0.113.231", "203.0.113.232", "172.16.1.1"
RFC3947 = "4a131c81070358455c5728f20e95452f"
T0 = 1_700_000_000.0
TRANSIT = 0.0002
THINK = 0.004


@dataclass
class Packet:
    """One packet: its frame before the NAT, its frame behind it (None: the NAT dropped it), whether the pairing found it."""

    direction: str
    inside: Observation | None
    outside: Observation | None
    paired: bool = True
    name: str = ""
    client: str = ""


@dataclass
class World:
    """`mode`: "demux" (everyone served), "user" (the newest SA gets everybody's downlink), "kernel" (victims fall silent and the
    gateway's own echoes for them go to the newest SA), "mute" (victims fall silent, nothing of theirs is seen again)."""

    count: int = 2
    mode: str = "demux"
    plans: list[ClientPlan] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)
    lone: list[Observation] = field(default_factory=list)  # far-end and boundary frames
    records: list[Record] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    views: list[GatewayView] = field(default_factory=list)
    tables: list[NatView] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    up: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    sequence: dict[str, int] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    sent: int = 0

    def __post_init__(self) -> None:
        for n in range(1, self.count + 1):
            self.plans.append(ClientPlan(n, f"10.0.0.{n + 1}", GATEWAY, Secret("s"), f"user{n}", Secret("p")))

    # -- who is who -----------------------------------------------------------------------------------------------------------

    def n(self, client: str) -> int:
        return int(client[1:])

    def address(self, client: str) -> str:
        return f"10.0.0.{self.n(client) + 1}"

    def ppp(self, client: str) -> str:
        return f"172.16.1.{self.n(client) + 9}"

    def interface(self, client: str) -> str:
        return f"ppp{self.n(client) - 1}"

    def spi_in(self, client: str) -> str:
        return f"c000000{self.n(client)}"

    def spi_out(self, client: str) -> str:
        return f"d000000{self.n(client)}"

    def cookies(self, client: str) -> tuple[str, str]:
        return f"{self.n(client):016x}", f"{self.n(client) + 0xAA00:016x}"

    def outer(self, client: str, port: int) -> int:
        return 20_000 + self.n(client) if port == 500 else 40_000 + self.n(client)

    def identity(self, client: str) -> Identity:
        n = self.n(client)
        return Identity(
            client,
            self.address(client),
            500,
            4500,
            NAT,
            self.outer(client, 500),
            self.outer(client, 4500),
            (self.cookies(client),),
            (self.spi_in(client),),
            (self.spi_out(client),),
            self.ports.get(client),
            100 + n,
            200 + n,
            300 + n,
            400 + n,
            f"user{n}",
            self.ppp(client),
        )

    # -- packets --------------------------------------------------------------------------------------------------------------

    def packet(self, client: str, t: float, direction: str, port: int, kind: FrameKind, name: str, **fields: Any) -> Packet:
        """One packet between `client` and the gateway; `t` is when it enters the NAT."""
        self.sent += 1
        digest = hashlib.sha256(f"{self.sent}".encode()).hexdigest()
        head = {"tos": 0, "ip_id": self.sent, "flags": "DF", "fragment": 0}
        own, outer = (self.address(client), port), (NAT, self.outer(client, port))
        peer = (GATEWAY, port)
        found = []
        for side, end in ((Side.INSIDE, own), (Side.OUTSIDE, outer)):
            src, dst = (end, peer) if direction == "up" else (peer, end)
            later = (direction == "up") == (side is Side.OUTSIDE)
            found.append(
                Observation(
                    side,
                    0,
                    t + (TRANSIT if later else 0.0),
                    src[0],
                    dst[0],
                    src[1],
                    dst[1],
                    63 if later else 64,
                    kind,
                    200,
                    digest,
                    headers={**head, "ip_checksum": 1 + later, "udp_checksum": 7 + later},
                    **fields,
                )
            )
        p = Packet(direction, found[0], found[1], name=name, client=client)
        self.packets.append(p)
        return p

    def ike(self, client: str, t: float, direction: str, message: str, **fields: Any) -> Packet:
        floated = message not in ("MM1", "MM2", "MM3", "MM4")
        icookie, rcookie = self.cookies(client)
        facts = {
            "icookie": icookie, "rcookie": "0" * 16 if message == "MM1" else rcookie, "exchange": "main mode", "message": message,
            "message_id": 0, "encrypted": floated, "decrypted": floated, "payloads": [], "vendor_ids": [], "nat_d": [],
            "nat_oa": [],
            "proposals": [], "ids": [], "notifies": [], "deletes": [], "retransmission": False, "marker": floated, **fields,
        }  # fmt: skip
        return self.packet(client, t, direction, 4500 if floated else 500, FrameKind.IKE, message, ike=facts)

    def esp(
        self, client: str, t: float, direction: str, name: str, *, on: str | None = None, l2tp: dict[str, Any] | None = None,
        ppp: dict[str, Any] | None = None, mark: Mark | None = None,
    ) -> Packet:  # fmt: skip
        """An ESP packet with the words of `client`, on the SA (and to the port) of `on`."""
        sa = on or client
        spi = self.spi_out(sa) if direction == "up" else self.spi_in(sa)
        if l2tp is None:
            n = self.n(client)
            l2tp = {"tunnel": 200 + n if direction == "up" else 100 + n, "session": 400 + n if direction == "up" else 300 + n}
        fits = ((self.address(client), GATEWAY),) if direction == "up" else ()
        inner = Inner(1701, 1701, 0xF4C8 if direction == "up" else 0, fits, l2tp, ppp, mark)
        packet = self.packet(
            sa, t, direction, 4500, FrameKind.ESP, name, esp={"spi": spi, "sequence": self.sent, "icv_ok": True}, inner=inner
        )
        packet.client = client
        self.boundary(packet, client)
        return packet

    def boundary(self, packet: Packet, client: str) -> None:
        """The same packet at the L2TP boundary inside a demultiplexing gateway."""
        o = packet.outside
        if self.mode != "demux" or o is None or client not in self.ports:
            return
        port, up = self.ports[client], packet.direction == "up"
        src, dst = ((NAT, port), (GATEWAY, 1701)) if up else ((GATEWAY, 1701), (NAT, port))
        self.lone.append(
            replace(o, side=Side.TRANSLATED, t=o.t + (0.001 if up else -0.001), src=src[0], sport=src[1], dst=dst[0], dport=dst[1],
                    kind=FrameKind.L2TP_CLEAR, esp=None, headers={})
        )  # fmt: skip

    def control(self, client: str, t: float, direction: str, message: str, on: str | None = None, **avps: Any) -> Packet:
        n = self.n(client)
        tunnel = 0 if message == "SCCRQ" else 200 + n if direction == "up" else 100 + n
        return self.esp(
            client, t, direction, message, on=on, l2tp={"message": message, "tunnel": tunnel, "session": 0, "avps": avps}
        )

    def link(self, client: str, t: float, direction: str, protocol: str, code: str, on: str | None = None) -> Packet:
        return self.esp(client, t, direction, f"{protocol} {code}", on=on, ppp={"protocol": protocol, "code": code, "id": 1})

    def record(self, t: float, client: str, kind: RecordKind, **data: Any) -> None:
        self.records.append(Record(t, client, kind, data))

    # -- what clients do ------------------------------------------------------------------------------------------------------

    def connect(self, client: str, t: float, *, ppp: bool = True, until: str | None = None) -> float:
        """A whole set-up from `t` on, or as far as the message `until`; returns when it was over. Step, records and all."""
        began = t
        icookie, rcookie = self.cookies(client)
        self.record(t, client, RecordKind.STARTED)
        own, outer, peer = (self.address(client), 500), (NAT, self.outer(client, 500)), (GATEWAY, 500)
        proposal = {"protocol": "ESP", "encapsulation": 4, "encryption": "aes-256", "authentication": "sha1"}
        ids = [{"type": "ID_IPV4_ADDR", "protocol": 17, "port": 1701, "value": a} for a in (self.address(client), GATEWAY)]
        script: list[tuple[str, str, dict[str, Any]]] = [
            ("up", "MM1", {"vendor_ids": ["00" * 16, RFC3947]}),
            ("down", "MM2", {"vendor_ids": [RFC3947]}),
            ("up", "MM3", {"nat_d": [nat_d(icookie, rcookie, *peer), nat_d(icookie, rcookie, *own)]}),
            ("down", "MM4", {"nat_d": [nat_d(icookie, rcookie, *outer), nat_d(icookie, rcookie, *peer)]}),
            ("up", "MM5", {}),
            ("down", "MM6", {}),
            ("up", "QM1", {"proposals": [{**proposal, "spi": self.spi_in(client)}], "ids": ids}),
            ("down", "QM2", {"proposals": [{**proposal, "spi": self.spi_out(client)}], "ids": ids}),
            ("up", "QM3", {}),
        ]
        for direction, message, facts in script:
            self.ike(client, t, direction, message, **facts)
            t += THINK
            if message == until:
                return self._connected(client, began, t, failed="main mode" if message < "QM" else "quick mode")
        self.order.append(client)
        if self.mode == "demux":
            self.ports[client] = 1023 + len(self.order)
        self.record(t, client, RecordKind.IKE_UP, icookie=icookie, rcookie=rcookie, nat_local=True, nat_remote=False)
        self.record(t, client, RecordKind.ESP_UP, spi_in=self.spi_in(client), spi_out=self.spi_out(client))
        for direction, message in (
            ("up", "SCCRQ"),
            ("down", "SCCRP"),
            ("up", "SCCCN"),
            ("up", "ICRQ"),
            ("down", "ICRP"),
            ("up", "ICCN"),
        ):
            self.control(client, t, direction, message)
            t += THINK
            if message == until:
                return self._connected(client, began, t, failed="L2TP tunnel")
        links = [("up", "LCP", "Configure-Request"), ("down", "LCP", "Configure-Ack"), ("up", "LCP", "Configure-Ack"),
                 ("down", "CHAP", "Challenge"), ("up", "CHAP", "Response"), ("down", "CHAP", "Success"),
                 ("down", "IPCP", "Configure-Ack"), ("up", "IPCP", "Configure-Ack")]  # fmt: skip
        if not ppp:
            for i in range(5):
                self.link(client, t + 3 * i, "up", "LCP", "Configure-Request")
                self.link(client, t + 3 * i + 1, "down", "LCP", "Configure-Request")
            return self._connected(client, began, t + 15.0, failed="LCP")
        for direction, protocol, code in links:
            self.link(client, t, direction, protocol, code)
            t += THINK
        self.up.add(client)
        self.record(t, client, RecordKind.PPP_UP, address=self.ppp(client))
        return self._connected(client, began, t, failed=None)

    def _connected(self, client: str, began: float, t: float, failed: str | None) -> float:
        if failed is not None:
            self.record(t, client, RecordKind.FAILED, stage=failed, reason="no answer")
        self.steps.append(Step(f"connect:{client}", began, t, (client,)))
        self.view(f"after-connect:{client}", t)
        return t

    def served(self, client: str) -> str | None:
        """The client on whose SA the gateway sends `client`'s downlink at present; None where it sends nothing."""
        if client in self.gone:
            return None
        newest = self.order[-1]
        if self.mode == "demux" or newest == client:
            return client
        return newest if self.mode == "user" else None

    def mark(self, client: str, t: float, *, lost: bool = False, size: int = 84) -> None:
        """One marked question and, where the gateway serves its owner, the answer; the records follow from what arrives."""
        number = self.sequence[client] = self.sequence.get(client, 0) + 1
        self.record(t, client, RecordKind.MARK_SENT, sequence=number, size=size)
        question, answer = Mark(self.n(client), number, False), Mark(self.n(client), number, True)
        self.esp(client, t + 0.0001, "up", "mark", ppp={"protocol": "IP", "src": self.ppp(client), "dst": FAR}, mark=question)
        on = None if lost else self.served(client)
        if on is None:
            return
        self.far(t + 0.002, self.ppp(client), FAR, question)
        self.far(t + 0.0025, FAR, self.ppp(client), answer)
        self.esp(
            client, t + 0.003, "down", "answer", on=on, ppp={"protocol": "IP", "src": FAR, "dst": self.ppp(client)}, mark=answer
        )
        if on == client:
            self.record(t + 0.004, client, RecordKind.MARK_ANSWERED, sequence=number, size=size, took=0.004)

    def far(self, t: float, src: str, dst: str, mark: Mark) -> None:
        link = {"interface": f"ppp{mark.owner - 1}"}
        self.lone.append(
            Observation(Side.FAR_END, 0, t, src, dst, None, None, 63, FrameKind.ICMP, 84, f"far{t}{mark}", mark=mark, headers=link)
        )

    def hold(self, t: float, seconds: float, *, every: float = 0.2, who: tuple[str, ...] | None = None) -> float:
        """Marked traffic of everyone who is up, one step "hold"; in mode "kernel" the gateway's echoes for victims besides."""
        began, i = t, 0
        sizes = (60, 84, 1300)
        while t < began + seconds:
            for offset, client in enumerate(who or sorted(self.up - self.gone)):
                self.mark(client, t + 0.01 * offset, size=sizes[i % 3])
            if self.mode == "kernel" and i % 25 == 24:
                for victim in sorted(self.up - {self.order[-1]}):
                    self.link(victim, t + 0.1, "down", "LCP", "Echo-Request", on=self.order[-1])
            if self.mode in ("kernel", "mute") and i % 10 == 9:
                self.link(self.order[-1], t + 0.15, "down", "LCP", "Echo-Request")
                self.link(self.order[-1], t + 0.151, "up", "LCP", "Echo-Reply")
            t, i = t + every, i + 1
        self.steps.append(Step("hold", began, t))
        return t

    def view(self, label: str, t: float) -> None:
        """The gateway's account of those who have an SA and are not gone."""
        here = [c for c in self.order if c not in self.gone]
        sessions = tuple(
            GatewaySession(
                NAT, self.ports.get(c, 1701), 200 + self.n(c), 100 + self.n(c), 400 + self.n(c), 300 + self.n(c), self.interface(c)
            )
            for c in here
        )
        sas = tuple(
            GatewaySa(
                spi,
                inbound,
                NAT,
                self.outer(c, 4500),
                self.ports.get(c, 1024) - 1023 if c in self.ports else None,
                self.ports.get(c),
            )
            for c in here
            for spi, inbound in ((self.spi_out(c), True), (self.spi_in(c), False))
        )
        installed = {self.ports[c] - 1023: self.ports[c] for c in here if c in self.ports}
        ikes = tuple((*self.cookies(c), NAT, self.outer(c, 4500)) for c in here)
        self.views.append(GatewayView(t, label, sessions, sas, ikes, ports=installed))
        rows = [(self.address(c), port, self.outer(c, port)) for c in here for port in (500, 4500)]
        self.tables.append(NatView(t, label, tuple(NatMapping("udp", a, p, NAT, q, GATEWAY, p) for a, p, q in rows)))

    # -- breaking things --------------------------------------------------------------------------------------------------------

    def find(self, name: str, client: str | None = None) -> list[Packet]:
        return [p for p in self.packets if p.name == name and client in (None, p.client)]

    def alter(
        self, name: str, change: Callable[[Observation], Observation], *, client: str | None = None, sides: str = "both"
    ) -> None:
        """Apply `change` to the frames of every packet of that name; `sides`: "inside", "outside" or "both"."""
        found = self.find(name, client)
        assert found, f"no packet {name} of {client}"
        for p in found:
            if sides != "outside" and p.inside is not None:
                p.inside = change(p.inside)
            if sides != "inside" and p.outside is not None:
                p.outside = change(p.outside)

    def set_ike(self, name: str, client: str | None = None, **facts: Any) -> None:
        self.alter(name, lambda o: replace(o, ike={**(o.ike or {}), **facts}), client=client)

    # -- the evidence -----------------------------------------------------------------------------------------------------------

    def evidence(self, **overrides: Any) -> Evidence:
        frames: dict[Side, list[tuple[float, int, Observation, Packet | None]]] = {}
        for i, p in enumerate(self.packets):
            for o in (p.inside, p.outside):
                if o is not None:
                    frames.setdefault(o.side, []).append((o.t, i, o, p))
        for i, o in enumerate(self.lone):
            frames.setdefault(o.side, []).append((o.t, i, o, None))
        observations: dict[Side, tuple[Observation, ...]] = {}
        numbers: dict[tuple[int, Side], int] = {}
        for side, found in frames.items():
            found.sort(key=lambda row: row[:2])
            observations[side] = tuple(replace(o, frame=k) for k, (_, _, o, _) in enumerate(found, 1))
            numbers.update({(id(p), side): k for k, (_, _, _, p) in enumerate(found, 1) if p is not None})
        pairs = tuple(
            Pair(numbers[id(p), Side.INSIDE], numbers[id(p), Side.OUTSIDE], p.direction)
            for p in self.packets
            if p.paired and p.inside is not None and p.outside is not None
        )
        captures = tuple(CaptureFacts(s, f"{s.value}.pcap", "eth0", len(o), 0, True) for s, o in observations.items())
        identities = tuple(self.identity(p.name) for p in self.plans)
        found_evidence = Evidence(
            "test", "linux", self.mode, tuple(self.plans), tuple(self.steps), tuple(sorted(self.records, key=lambda r: r.t)),
            observations, captures, pairs, identities, GATEWAY, NAT, tuple(self.views), nat_views=tuple(self.tables),
        )  # fmt: skip
        return replace(found_evidence, **overrides)


def nat_d(icookie: str, rcookie: str, address: str, port: int) -> str:
    """RFC 3947 section 3.2 with SHA-1, written here once more so that the check has something to be compared with."""
    octets = bytes(int(part) for part in address.split("."))
    return hashlib.sha1(bytes.fromhex(icookie) + bytes.fromhex(rcookie) + octets + bytes([port >> 8, port & 255])).hexdigest()


def clean(count: int = 2, *, order: tuple[str, ...] | None = None, hold: float = 6.0) -> World:
    """Demux: clients connect one after another while marks flow; then all hold; then the run is over and everyone closes."""
    world = World(count)
    t = T0
    for client in order or tuple(p.name for p in world.plans):
        t = world.connect(client, t) + 0.1
        t = world.hold(t, 2.0)
    t = world.hold(t, hold)
    world.view("end", t)
    return over(world, t)


def over(world: World, t: float) -> World:
    """The run is over: whoever is still up is told to close."""
    for client in sorted(world.up - world.gone):
        t = close(world, client, t + 2.5, by="run")
    return world


def close(world: World, client: str, t: float, by: str = "run") -> float:
    """CDN 3, StopCCN 1, Delete, as the Windows client does it."""
    world.control(client, t, "up", "CDN", **{"Result Code": {"result": 3, "error": None, "message": ""}})
    world.control(client, t + 0.01, "up", "StopCCN", **{"Result Code": {"result": 1, "error": None, "message": ""}})
    world.ike(client, t + 0.02, "up", "INFO", deletes=[{"protocol": "esp", "spis": [world.spi_in(client)]}])
    world.ike(client, t + 0.03, "up", "INFO", deletes=[{"protocol": "isakmp", "spis": ["".join(world.cookies(client))]}])
    world.record(t, client, RecordKind.ENDED, cause="closed", by=by)
    world.gone.add(client)
    return t + 0.03


def eviction(mode: str = "user", count: int = 2, *, order: tuple[str, ...] | None = None) -> World:
    """The plain gateway: each newcomer's SA takes the downlink of all before it. In kernel mode the newcomer's LCP fails."""
    world = World(count, mode)
    t = T0
    for i, client in enumerate(order or tuple(p.name for p in world.plans)):
        # the marks of those already there go on while the newcomer connects
        began = t
        t = world.connect(client, t, ppp=mode == "user" or i == 0)
        if i:
            for victim in sorted(world.up - {client}):
                for k in range(3):
                    world.mark(victim, began + 0.040 + 0.2 * k)
        t = world.hold(max(t, began + 0.7) + 0.1, 6.0)
    world.view("end", t)
    return over(world, t)


def endings(pause: float = 3.0) -> World:
    """Five clients; the fourth vanishes, the first loses its SAs, the second is cleared by the gateway, the third hangs up. Marks
    flow for `pause` seconds between any two of these."""
    world = World(5)
    t = T0
    for client in ("c2", "c1", "c3", "c4", "c5"):
        t = world.connect(client, t) + 0.05
    t = world.hold(t, 4.0)
    world.gone.add("c4")
    world.steps.append(Step("vanish:c4", t, t + 0.001, ("c4",), {"carried_out": True}))
    for i in range(3):
        world.control("c4", t + 3 + i, "down", "Hello")
    t = world.hold(t + 0.1, pause)
    spi = world.spi_out("c1")
    world.ike("c1", t, "down", "INFO", deletes=[{"protocol": "esp", "spis": [spi]}])
    world.record(t, "c1", RecordKind.ENDED, cause="deleted", by="gateway")
    world.gone.add("c1")
    world.steps.append(Step("delete-ipsec:c1", t - 0.01, t + 0.01, ("c1",), {"carried_out": True}))
    t = world.hold(t + 0.1, pause)
    world.control("c2", t, "down", "StopCCN", **{"Result Code": {"result": 6, "error": None, "message": ""}})
    world.record(t, "c2", RecordKind.ENDED, cause="StopCCN", by="gateway")
    world.gone.add("c2")
    world.steps.append(Step("gateway-close:c2", t - 0.01, t + 0.01, ("c2",), {"carried_out": True}))
    t = world.hold(t + 0.1, pause)
    ended = close(world, "c3", t, by="client")
    world.steps.append(Step("client-close:c3", t - 0.01, ended + 0.01, ("c3",), {"carried_out": True}))
    t = world.hold(t + 0.1, pause)
    world.view("after-vanish:c4", t)
    t = world.hold(t + 0.1, pause)
    world.view("end", t)
    return over(world, t)


def together(count: int = 4, apart: float = 0.001) -> World:
    """Everyone starts within 3 ms, or `apart` seconds after one another."""
    world = World(count)
    done = [world.connect(p.name, T0 + apart * i) for i, p in enumerate(world.plans)]
    world.views.clear()  # the gateway is asked when all are there
    for p in world.plans:
        world.view(f"after-connect:{p.name}", max(done) + 0.1)
    t = world.hold(max(done) + 0.2, 6.0)
    world.view("end", t)
    return over(world, t)


def idle() -> World:
    """Two clients that fall quiet for a minute and send keepalives meanwhile."""
    world = clean()
    t = max(p.inside.t for p in world.packets if p.inside is not None) + 1.0
    for client in ("c1", "c2"):
        for i in range(3):
            world.packet(client, t + 20 * i, "up", 4500, FrameKind.KEEPALIVE, "keepalive")
    return world
