"""What either end must not put into ESP: false authentication, a number twice, an SPI twice, a false checksum, clear L2TP.

Each box is judged where it speaks, before the NAT has had its hands on it: a client inside, the gateway outside. The functions here
are for one direction: `Said.UP` is the clients' doing, `Said.DOWN` the gateway's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from harness.model import FrameKind, Identity, Observation, RecordKind, Side
from harness.verdict.altered import altered
from harness.verdict.foreign import FROM_GATEWAY, foreign
from harness.verdict.given_up import FOREVER, told_to_end
from harness.verdict.pulse import carriers
from harness.verdict.reading import UNDER_WAY_S, Reading, deleted, ike, l2tp_message, mark_of, spi_of
from harness.verdict.rules.rule import Proof

Find = Callable[[Reading], Iterator[Proof]]


@dataclass(frozen=True, slots=True)
class Said:
    """Where a box's own words are to be read."""

    side: Side
    direction: str

    def frames(self, reading: Reading, kind: FrameKind | None = None) -> Iterator[Observation]:
        return reading.way(self.side, self.direction, kind)


BY_CLIENT = Said(Side.INSIDE, "up")
BY_GATEWAY = Said(Side.OUTSIDE, "down")


def unauthentic(said: Said) -> Find:
    """ESP whose integrity check value does not fit the keys that both ends agreed (RFC 4303 section 3.4.4)."""

    def find(reading: Reading) -> Iterator[Proof]:
        yield from by_owner(reading, (o for o in said.frames(reading, FrameKind.ESP) if o.esp and o.esp.get("icv_ok") is False))

    return find


def number_twice(said: Said) -> Find:
    """A sequence number that an SA has used before: a replay (RFC 4303 section 2.2 forbids it as long as the SA lives)."""

    def find(reading: Reading) -> Iterator[Proof]:
        seen: set[tuple[object, ...]] = set()
        again = []
        for o in said.frames(reading, FrameKind.ESP):
            number = None if o.esp is None else o.esp.get("sequence")
            if number is None:
                continue
            if (reading.sa_owner(o), spi_of(o), number) in seen:
                again.append(o)
            seen.add((reading.sa_owner(o), spi_of(o), number))
        yield from by_owner(reading, again)

    return find


def spi_twice(said: Said) -> Find:
    """An SPI that its receiver has chosen before, for another quick mode (RFC 4301 section 4.4.2.1: it must tell SAs apart)."""

    def find(reading: Reading) -> Iterator[Proof]:
        first: dict[tuple[str | None, str], Observation] = {}
        for o in said.frames(reading, FrameKind.IKE):
            if ike(o, "message") not in ("QM1", "QM2") or ike(o, "retransmission"):
                continue
            chooser = reading.ike_owner(o) if said is BY_CLIENT else None
            for spi in {str(p["spi"]) for p in ike(o, "proposals") or () if p.get("protocol") == "ESP" and p.get("spi")}:
                before = first.setdefault((chooser, spi), o)
                if _exchange(before) != _exchange(o):
                    yield Proof(reading.ike_owner(o), (before, o), {"spi": spi})

    return find


def spi_shared(reading: Reading) -> Iterator[Proof]:
    """Two clients choose one SPI: of 32 bits drawn by chance that does not happen."""
    first: dict[str, Observation] = {}
    for o in BY_CLIENT.frames(reading, FrameKind.IKE):
        if ike(o, "message") not in ("QM1", "QM2") or ike(o, "retransmission"):
            continue
        for spi in {str(p["spi"]) for p in ike(o, "proposals") or () if p.get("protocol") == "ESP" and p.get("spi")}:
            before = first.setdefault(spi, o)
            one, other = reading.ike_owner(before), reading.ike_owner(o)
            if None not in (one, other) and one != other:
                yield Proof(other, (before, o), {"spi": spi, "other": one})


def checksum_false(said: Said) -> Find:
    """An inner UDP checksum that fits no address that the sender can have meant."""

    def find(reading: Reading) -> Iterator[Proof]:
        wrong = []
        for o in said.frames(reading, FrameKind.ESP):
            if o.inner is None or o.inner.udp_checksum == 0:
                continue
            own = {(o.src, o.dst)} if said is BY_CLIENT else set(o.inner.checksum_fits)
            if not own & set(o.inner.checksum_fits):
                wrong.append(o)
        yield from by_owner(reading, wrong)

    return find


def in_clear(said: Said) -> Find:
    """L2TP, or a mark, outside ESP, where it is to be protected."""

    def find(reading: Reading) -> Iterator[Proof]:
        if reading.evidence.clear_expected:
            return
        changed = {id(a.behind) for a in altered(reading)}
        shown = [o for o in said.frames(reading) if (o.kind is FrameKind.L2TP_CLEAR or o.mark is not None) and id(o) not in changed]
        by: dict[str | None, list[Observation]] = {}
        for o in shown:
            address, port = (o.src, o.sport) if said is BY_CLIENT else (o.dst, o.dport)
            by.setdefault(reading.at_address(address) or reading.at_port(port, o.t), []).append(o)
        for client, frames in by.items():
            yield Proof(client, tuple(frames))

    return find


def wrong_sa(reading: Reading) -> Iterator[Proof]:
    """Words of one client in the SA of another, as they left the gateway."""
    found: dict[tuple[str, str], list[Observation]] = {}
    for o in carriers(reading, Side.OUTSIDE, "down"):
        owner, receiver = reading.content_owner(o), reading.flow_owner(o)
        if owner is not None and receiver is not None and owner in reading.identities and owner != receiver:
            found.setdefault((owner, receiver), []).append(o)
    for (owner, receiver), frames in found.items():
        yield Proof(owner, tuple(frames), {"receiver": receiver})


def ended_sa(said: Said) -> Find:
    """ESP on an SA for which there was a Delete, more than a moment after that."""

    def find(reading: Reading) -> Iterator[Proof]:
        ended = told_to_end(reading, said.side)
        sent = ((o, (reading.sa_owner(o), spi_of(o))) for o in said.frames(reading, FrameKind.ESP))
        late = [o for o, sa in sent if o.t > ended.get(sa, FOREVER) + UNDER_WAY_S]
        for proof in by_owner(reading, late):
            yield replace(proof, words={"spis": ", ".join(sorted({str(spi_of(o)) for o in proof.frames}))})

    return find


def deaf(reading: Reading) -> Iterator[Proof]:
    """A client that goes on with data on a session though the gateway's CDN or StopCCN told it, more than a moment before, that it
    has ended (RFC 2661 sections 5.6, 5.7)."""
    told: dict[tuple[str, object], Observation] = {}
    lives = [life for identity in reading.identities.values() for life in identity.lives or (identity,)]
    ids: dict[object, int | None] = {life.tunnel_gateway: life.tunnel_client for life in lives}
    late: dict[tuple[str, object], list[Observation]] = {}
    for o in reading.frames(Side.INSIDE):
        client = reading.flow_owner(o)
        if client is None or o.inner is None or o.inner.l2tp is None:
            continue
        tunnel = o.inner.l2tp.get("tunnel")
        if reading.direction(o) == "down" and l2tp_message(o) in ("CDN", "StopCCN") and reading.at_address(o.dst) == client:
            told.setdefault((client, tunnel), o)
        elif reading.direction(o) == "up" and l2tp_message(o) is None and o.inner.ppp is not None:
            end = told.get((client, ids.get(tunnel)))
            if end is not None and o.t > end.t + UNDER_WAY_S:
                late.setdefault((client, ids.get(tunnel)), [end]).append(o)
    for (client, _), frames in late.items():
        yield Proof(client, tuple(frames), {"count": len(frames) - 1})


def wrong_numbers(said: Said) -> Find:
    """L2TP for a tunnel that its receiver assigned to nobody, or for a session that is none of that tunnel's (RFC 2661 section 3);
    what was assigned has to be known for that."""

    def find(reading: Reading) -> Iterator[Proof]:
        sessions: dict[object, set[int | None]] = {0: {0}}
        known: set[str] = set()
        for identity in reading.identities.values():
            for life in identity.lives or (identity,):
                tunnel = life.tunnel_gateway if said is BY_CLIENT else life.tunnel_client
                if tunnel is not None:
                    known.add(identity.client)
                    sessions.setdefault(tunnel, {0}).add(life.session_gateway if said is BY_CLIENT else life.session_client)
        wrong = []
        for o in said.frames(reading, FrameKind.ESP):
            l2tp = None if o.inner is None else o.inner.l2tp
            if l2tp is None or reading.sa_owner(o) not in known:
                continue
            assigned = sessions.get(l2tp.get("tunnel"))
            if assigned is None or (None not in assigned and l2tp.get("session") not in assigned):
                wrong.append(o)
        yield from by_owner(reading, wrong)

    return find


def deletes_unknown(said: Said) -> Find:
    """A Delete for an ESP SA that no quick mode of that client agreed."""

    def find(reading: Reading) -> Iterator[Proof]:
        for o in said.frames(reading, FrameKind.IKE):
            named, client = set(deleted(o, "esp")), reading.ike_owner(o)
            if named and client is not None:
                identity = reading.identities[client]
                unknown = named - {*identity.spis_in, *identity.spis_out}
                if unknown:
                    yield Proof(client, (o,), {"spis": ", ".join(sorted(unknown))})

    return find


def former_sa(reading: Reading) -> Iterator[Proof]:
    """What is for the tunnel of one of a client's lives, in an SA of a life before."""
    for identity in reading.identities.values():
        late = list(_on_former_sas(reading, identity)) if identity.lives else []
        yield Proof(identity.client, tuple(late), {"spis": ", ".join(sorted({str(spi_of(o)) for o in late}))})


def _on_former_sas(reading: Reading, identity: Identity) -> Iterator[Observation]:
    tunnels = {life.tunnel_client: number for number, life in enumerate(identity.lives)}
    agreed = {spi: number for number, life in reversed([*enumerate(identity.lives)]) for spi in life.spis_in}
    for o in BY_GATEWAY.frames(reading, FrameKind.ESP):
        tunnel = None if o.inner is None or o.inner.l2tp is None else o.inner.l2tp.get("tunnel")
        number = agreed.get(spi_of(o) or "")
        if number is not None and tunnel is not None and tunnels.get(tunnel, number) > number:
            yield o


def unknown_sa(reading: Reading) -> Iterator[Proof]:
    frames = tuple(o for o in foreign(reading)[FROM_GATEWAY] if o.side is Side.OUTSIDE and o.kind is FrameKind.ESP)
    yield Proof(None, frames, {"spis": ", ".join(sorted({str(spi_of(o)) for o in frames}))})


def leaked_port(reading: Reading) -> Iterator[Proof]:
    """Inner ports downwards that the client never used upwards: what the gateway translated to within itself is on the wire."""
    used: dict[str, set[tuple[int, int]]] = {}
    for o in reading.way(Side.INSIDE, "up", FrameKind.ESP):
        owner = reading.sa_owner(o)
        if owner is not None and o.inner is not None:
            used.setdefault(owner, set()).add((o.inner.dport, o.inner.sport))
    found: dict[str, list[Observation]] = {}
    for o in reading.way(Side.OUTSIDE, "down", FrameKind.ESP):
        owner = reading.sa_owner(o)
        if owner in used and o.inner is not None and (o.inner.sport, o.inner.dport) not in used[owner]:
            found.setdefault(owner, []).append(o)
    for owner, frames in found.items():
        assert frames[0].inner is not None
        yield Proof(owner, tuple(frames), {"ports": f"{frames[0].inner.sport} to {frames[0].inner.dport}"})


def damaged_words(reading: Reading) -> Iterator[Proof]:
    """What reached a client on its own SA, unharmed by the NAT, and was not for it or not whole: ESP begins at the gateway."""
    for client in reading.clients:
        for kind in (RecordKind.MARK_DAMAGED, RecordKind.MARK_STRANGE, RecordKind.STRANGE_DATA):
            records = reading.records(client, kind)
            if records:
                near = [
                    o
                    for o in reading.way(Side.OUTSIDE, "down", FrameKind.ESP)
                    if reading.sa_owner(o) == client and abs(o.t - records[0].t) < 0.1 and mark_of(o) is not None
                ]
                yield Proof(client, tuple(near[:3]), {"what": kind.value, "times": len(records)}, records)


def by_owner(reading: Reading, frames: Iterator[Observation] | list[Observation]) -> Iterator[Proof]:
    """One proof a client, by the SA or main mode that the frames belong to."""
    found: dict[str | None, list[Observation]] = {}
    for o in frames:
        found.setdefault(reading.flow_owner(o), []).append(o)
    for client, own in found.items():
        yield Proof(client, tuple(own))


def _exchange(o: Observation) -> tuple[object, object]:
    return ike(o, "icookie"), ike(o, "message_id")
