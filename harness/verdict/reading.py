"""Look-ups over one Evidence: whose SPI, whose address, whose packet, which way, in the order of time.

A Reading holds no opinion. Directions are "up" (client to gateway) and "down". Clients go by their plan's name ("c1").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.model import CaptureFacts, Evidence, FrameKind, Identity, Mark, Observation, Pair, Record, RecordKind, Side, Step

T = TypeVar("T")

CLOSING_STEPS = ("delete-ipsec", "gateway-close", "client-close", "vanish")
"""The steps that end a client on purpose; `<step>:<client>` names one."""

UNDER_WAY_S = 1.0
"""What a client sent last may be seen this much later elsewhere."""

UNTRACEABLE = "nobody"
"""Stands for a receiver or owner that is none of the run's clients."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One packet seen before and behind the NAT, in the order in which it travelled."""

    direction: str
    before: Observation
    behind: Observation

    @property
    def inside(self) -> Observation:
        return self.before if self.direction == "up" else self.behind

    @property
    def outside(self) -> Observation:
        return self.behind if self.direction == "up" else self.before

    @property
    def cut(self) -> bool:
        """Whether it is in fragments on a side: its payload is whole in the frame that completes it, whose header is its own."""
        return bool(self.before.headers.get("fragment") or self.behind.headers.get("fragment"))


def spi_of(o: Observation) -> str | None:
    return None if o.esp is None else str(o.esp["spi"])


def mark_of(o: Observation) -> Mark | None:
    """The mark a frame carries, in clear or decrypted."""
    if o.mark is not None:
        return o.mark
    return None if o.inner is None else o.inner.mark


def ike(o: Observation, key: str) -> Any:
    return None if o.ike is None else o.ike.get(key)


def l2tp_message(o: Observation) -> str | None:
    """The control message's name, None for data and for what is not L2TP."""
    if o.inner is None or o.inner.l2tp is None:
        return None
    message = o.inner.l2tp.get("message")
    return None if message is None else str(message)


def ppp(o: Observation) -> tuple[str, str] | None:
    """(protocol, code) of the PPP frame inside, the code "" where the protocol has none."""
    if o.inner is None or o.inner.ppp is None:
        return None
    return str(o.inner.ppp.get("protocol", "")), str(o.inner.ppp.get("code", ""))


def deleted(o: Observation, protocol: str) -> tuple[str, ...]:
    """The SPIs that the Delete payloads of a decrypted IKE message name for `protocol` ("esp" or "isakmp")."""
    return tuple(str(spi) for d in ike(o, "deletes") or () if d["protocol"] == protocol for spi in d["spis"])


def deletes(o: Observation) -> tuple[str, ...]:
    """The protocols ("esp", "isakmp") named by the Delete payloads of a decrypted IKE message."""
    return tuple(str(d["protocol"]) for d in ike(o, "deletes") or ())


def result_code(o: Observation) -> int | None:
    """The result of a CDN's or StopCCN's Result Code AVP."""
    if o.inner is None or o.inner.l2tp is None:
        return None
    value = (o.inner.l2tp.get("avps") or {}).get("Result Code")
    if isinstance(value, dict):
        value = value.get("result")
    return value if isinstance(value, int) else None


class Reading:
    """One Evidence, indexed. What the scenario itself injected is left out: no box is judged by it."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.clients: tuple[str, ...] = tuple(p.name for p in sorted(evidence.plans, key=lambda p: p.number))
        self._by_number = {p.number: p.name for p in evidence.plans}
        self.identities: dict[str, Identity] = {i.client: i for i in evidence.identities}
        self._address = {p.address: p.name for p in evidence.plans}
        known = (*evidence.elsewhere, *evidence.identities)  # the clients of this evidence last, so that they have what both claim
        self.spi_in: dict[str, str] = {spi: i.client for i in known for spi in i.spis_in}
        self.spi_out: dict[str, str] = {spi: i.client for i in known for spi in i.spis_out}
        number = Counter(spi for i in evidence.identities for spi in dict.fromkeys(i.spis_in))
        self._shared = {spi: {i.client for i in evidence.identities if spi in i.spis_in} for spi, n in number.items() if n > 1}
        self._cookie = {pair[0]: i.client for i in evidence.identities for pair in i.cookies}
        lives = [life for i in evidence.identities for life in i.lives or (i,)]
        self._tunnel = Held((i.tunnel_client, i) for i in lives)
        self._gateway_tunnel = Held((i.tunnel_gateway, i) for i in lives)
        self._outer = Held((p, i) for i in lives for p in {i.outside_ike_port, i.outside_natt_port, i.outside_l2tp_port})
        self._ppp = Held((i.ppp_address, i) for i in lives)
        self._frames: dict[Side, tuple[Observation, ...]] = {
            side: tuple(sorted((o for o in found if o.kind is not FrameKind.INJECTED), key=lambda o: (o.t, o.frame)))
            for side, found in evidence.observations.items()
        }
        self._ways: dict[tuple[Side, str | None, FrameKind | None], list[Observation]] = {}
        for side, found in self._frames.items():
            for o in found:
                for kind in (None, o.kind):
                    self._ways.setdefault((side, self.direction(o), kind), []).append(o)
        self._records: dict[tuple[str, RecordKind], list[Record]] = {}
        for r in sorted(evidence.records, key=lambda r: r.t):
            self._records.setdefault((r.client, r.kind), []).append(r)
        self._steps: dict[str, list[Step]] = {}
        self._kinds: dict[str, list[Step]] = {}
        for s in evidence.steps:
            self._steps.setdefault(s.name, []).append(s)
            self._kinds.setdefault(s.name.partition(":")[0], []).append(s)
        self._by_frame = {(o.side, o.frame): o for found in self._frames.values() for o in found}
        self._kept: dict[Callable[[Reading], Any], Any] = {}

    def once(self, look: Callable[[Reading], T]) -> T:
        """What `look` makes of this evidence: worked out when first asked for, and kept."""
        if look not in self._kept:
            self._kept[look] = look(self)
        found: T = self._kept[look]
        return found

    # -- frames ---------------------------------------------------------------------------------------------------------------

    def frames(self, side: Side) -> tuple[Observation, ...]:
        """All frames of one side by time."""
        return self._frames.get(side, ())

    def capture(self, side: Side) -> CaptureFacts | None:
        return next((c for c in self.evidence.captures if c.side is side), None)

    def direction(self, o: Observation) -> str | None:
        """ "up" towards the gateway, "down" from it, None for traffic that is not the gateway's."""
        if o.dst == self.evidence.gateway_address:
            return "up"
        return "down" if o.src == self.evidence.gateway_address else None

    def way(self, side: Side, direction: str, kind: FrameKind | None = None) -> Iterator[Observation]:
        """The frames of one side that go "up" or "down", of that kind or of all, by time."""
        return iter(self._ways.get((side, direction, kind), ()))

    def crossings(self) -> tuple[Crossing, ...]:
        """Every pair whose two frames are there, in the order of the outside capture."""
        return self.once(Reading._crossings)

    def _crossings(self) -> tuple[Crossing, ...]:
        found = []
        for pair in sorted(self.evidence.pairs, key=lambda p: p.outside):
            crossing = self._crossing(pair)
            if crossing is not None:
                found.append(crossing)
        return tuple(found)

    def _crossing(self, pair: Pair) -> Crossing | None:
        inside = self._by_frame.get((Side.INSIDE, pair.inside))
        outside = self._by_frame.get((Side.OUTSIDE, pair.outside))
        if inside is None or outside is None:
            return None
        return Crossing(pair.direction, *((inside, outside) if pair.direction == "up" else (outside, inside)))

    # -- owners ---------------------------------------------------------------------------------------------------------------

    def at_address(self, address: str) -> str | None:
        """The client whose inside address this is."""
        return self._address.get(address)

    def at_port(self, port: int | None, t: float | None = None) -> str | None:
        """The client whose mapping at the NAT, for 500, 4500 or clear 1701, is this outside port, at `t` or ever."""
        return None if port is None else self._outer.get(port, t)

    def numbered(self, owner: int) -> str:
        return self._by_number.get(owner, UNTRACEABLE)

    def ppp_owners(self, address: str) -> frozenset[str]:
        """The clients that ever had this PPP address; more than one where it was given out again."""
        return self._ppp.ever(address)

    def tunnel_owner(self, tunnel: int | None, direction: str, t: float) -> str | None:
        """The client whose tunnel has this number at its receiver: the gateway going "up", the client going "down"."""
        return (self._gateway_tunnel if direction == "up" else self._tunnel).get(tunnel, t)

    def sa_owner(self, o: Observation) -> str | None:
        """The client whose SA protects an ESP frame. Two clients may choose one SPI, each for itself (RFC 4301 section
        4.1): then the frame is of the one to whose address, or NAT port, it goes."""
        spi = spi_of(o)
        if spi is None:
            return None
        if self.direction(o) == "down" and spi in self._shared:
            receiver = self.at_address(o.dst) or self.at_port(o.dport, o.t)
            return receiver if receiver in self._shared[spi] else None
        return self.spi_in.get(spi) if self.direction(o) == "down" else self.spi_out.get(spi)

    def shared(self, spi: str) -> bool:
        """Whether two clients receive on this SPI, so that it tells nothing without an address."""
        return spi in self._shared

    def ike_owner(self, o: Observation) -> str | None:
        """The client whose main mode an IKE message belongs to, by the initiator's cookie."""
        return None if o.ike is None else self._cookie.get(str(o.ike["icookie"]))

    def flow_owner(self, o: Observation) -> str | None:
        """The client to whose SA or main mode a frame belongs, whatever addresses it bears. Where L2TP is to run in clear there is
        neither, and a frame is of the client at whose address, or NAT port, it is."""
        if o.kind is FrameKind.L2TP_CLEAR and self.evidence.clear_expected:
            address, port = (o.src, o.sport) if self.direction(o) == "up" else (o.dst, o.dport)
            return self.at_address(address) or self.at_port(port, o.t)
        return self.ike_owner(o) if o.kind is FrameKind.IKE else self.sa_owner(o)

    def content_owner(self, o: Observation) -> str | None:
        """Whose words a decrypted frame from the gateway carries: by its mark, its inner destination, or its tunnel."""
        mark = mark_of(o)
        if mark is not None:
            return self.numbered(mark.owner)
        if o.inner is None:
            return None
        if o.inner.ppp is not None and "dst" in o.inner.ppp:
            owner = self._ppp.get(str(o.inner.ppp["dst"]), o.t)
            if owner is not None:
                return owner
        return self._tunnel.get(o.inner.l2tp.get("tunnel"), o.t) if o.inner.l2tp is not None else None

    def replaced(self, o: Observation) -> bool:
        """Whether a Delete concerns only what a rekey had already replaced: a newer SA of the same client was at work before it."""
        client = self.ike_owner(o)
        if client is None:
            return False
        identity = self.identities[client]
        if deleted(o, "isakmp") or "isakmp" in deletes(o):
            older = [c for c, _ in identity.cookies]
            return self._at_work(o, older[older.index(str(ike(o, "icookie"))) + 1 :])
        gone = set(deleted(o, "esp"))
        for spis, others in ((identity.spis_in, identity.spis_out), (identity.spis_out, identity.spis_in)):
            if gone & set(spis):
                newer = max(spis.index(g) for g in gone if g in spis) + 1
                if not self._at_work(o, (*spis[newer:], *others[newer:])):  # a pair may be at work one way only
                    return False
        return True

    def _at_work(self, o: Observation, names: Iterable[str]) -> bool:
        """Whether one of these cookies or SPIs was at work in a frame before this one."""
        first = self.once(Reading._first_use)
        return any(first.get((o.side, name), float("inf")) < o.t for name in names)

    def _first_use(self) -> dict[tuple[Side, str], float]:
        found: dict[tuple[Side, str], float] = {}
        for side, frames in self._frames.items():
            for o in frames:
                name = ike(o, "icookie") if o.kind is FrameKind.IKE else spi_of(o) if o.kind is FrameKind.ESP else None
                if name is not None:
                    found.setdefault((side, str(name)), o.t)
        return found

    # -- records, steps --------------------------------------------------------------------------------------------------------

    def records(self, client: str, kind: RecordKind) -> tuple[Record, ...]:
        return tuple(self._records.get((client, kind), ()))

    def step(self, name: str) -> Step | None:
        """The first one of that name."""
        return next(iter(self._steps.get(name, ())), None)

    def named(self, name: str) -> tuple[Step, ...]:
        return tuple(self._steps.get(name, ()))

    def steps(self, kind: str) -> tuple[Step, ...]:
        """All of a kind, whichever client they concern ("rekey-ipsec" for "rekey-ipsec:c1" and the others), by time."""
        return tuple(sorted(self._kinds.get(kind, ()), key=lambda s: s.began))

    def closing_step(self, client: str, since: float = float("-inf")) -> Step | None:
        """The first step, if any, that ends this client on purpose, and is not over before `since`."""
        found = (s for kind in CLOSING_STEPS for s in self._steps.get(f"{kind}:{client}", ()) if s.ended >= since)
        return min(found, key=lambda s: s.began, default=None)

    # -- messages of a client ----------------------------------------------------------------------------------------------------

    def ike_messages(self, client: str, message: str, side: Side = Side.OUTSIDE) -> tuple[Observation, ...]:
        """The first sendings of one message of one client's IKE, by time."""
        return tuple(self.once(Reading._ike_messages).get((client, message, side), ()))

    def _ike_messages(self) -> dict[tuple[str | None, str, Side], list[Observation]]:
        found: dict[tuple[str | None, str, Side], list[Observation]] = {}
        for side, frames in self._frames.items():
            for o in frames:
                if o.kind is FrameKind.IKE and not ike(o, "retransmission"):
                    found.setdefault((self.ike_owner(o), str(ike(o, "message")), side), []).append(o)
        return found

    def first_ike(self, client: str, message: str, side: Side = Side.OUTSIDE) -> Observation | None:
        return next(iter(self.ike_messages(client, message, side)), None)

    def arrivals(self) -> tuple[str, ...]:
        """The clients in the order in which their first ESP SAs were agreed (QM3 on the outside), or, where L2TP runs in clear, in
        which they first asked for a tunnel; those without are left out."""
        if self.evidence.clear_expected:
            clear = (self.flow_owner(o) for o in self.way(Side.OUTSIDE, "up") if l2tp_message(o) == "SCCRQ")
            return tuple(dict.fromkeys(c for c in clear if c is not None))
        agreed = [(o.t, o.frame, c) for c in self.clients if (o := self.first_ike(c, "QM3")) is not None]
        return tuple(c for _, _, c in sorted(agreed))

    def end_of_capture(self, side: Side) -> float:
        """The time of a side's last frame; of an empty side, minus infinity."""
        found = self.frames(side)
        return found[-1].t if found else float("-inf")


class Held:
    """Who held a key (a tunnel number, a PPP address, a NAT port) when: keys are given out again once their holder has left."""

    def __init__(self, rows: Iterable[tuple[Any, Identity]]) -> None:
        self._rows: dict[Any, list[Identity]] = {}
        for key, life in rows:
            if key is not None:
                self._rows.setdefault(key, []).append(life)

    def ever(self, key: Any) -> frozenset[str]:
        return frozenset(life.client for life in self._rows.get(key, ()))

    def get(self, key: Any, t: float | None = None) -> str | None:
        """The one client that holds the key, at `t` or ever; a key that several hold identifies nobody.

        Of several those count whose life had begun by `t` and that were still heard of then.
        """
        rows = self._rows.get(key, ())
        if t is not None and len(rows) > 1:
            begun = [life for life in rows if life.since is None or life.since <= t]
            rows = [life for life in begun if life.until is None or t <= life.until + UNDER_WAY_S] or begun[-1:]
        holders = {life.client for life in rows}
        return holders.pop() if len(holders) == 1 else None


_read: list[Reading] = []
"""At most one: of the evidence that was asked for last."""


def reading_of(evidence: Evidence) -> Reading:
    """The Reading of this very evidence. It is kept until another is asked for: a scenario's checks come one after another, and
    with hundreds of clients the indexing takes longer than most of them."""
    if not _read or _read[0].evidence is not evidence:
        _read[:] = [Reading(evidence)]
    return _read[0]
