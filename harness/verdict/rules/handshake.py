"""What either end must not say while IKE is agreed: false NAT-D, no floating, the marker, what nobody offered, the wrong ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.model import FrameKind, Observation, Side
from harness.verdict.detection import announced
from harness.verdict.dials import dials
from harness.verdict.negotiation import IKE_PORT, L2TP_PORT, NATT_PORT, UDP, UDP_TRANSPORT, UDP_TRANSPORT_DRAFT, nat_d
from harness.verdict.reading import Reading, ike
from harness.verdict.rules.answers import STEPS, unanswered
from harness.verdict.rules.esp import BY_CLIENT, BY_GATEWAY, Find, Said, by_owner
from harness.verdict.rules.nat import ESP_HELPERS
from harness.verdict.rules.rule import Proof


def nat_d_false(said: Said) -> Find:
    """RFC 3947 section 3.2: the first NAT-D is of the receiver's end, one of the others of the sender's own; both as the packet
    that carries them has them where it leaves its sender."""

    def find(reading: Reading) -> Iterator[Proof]:
        for o in _messages(reading, said, "MM3" if said is BY_CLIENT else "MM4"):
            hashes = [str(h) for h in ike(o, "nat_d") or ()]
            if len(hashes) < 2:
                continue
            peer, own = (_hash(o, address, port, hashes) for address, port in ((o.dst, o.dport), (o.src, o.sport)))
            if hashes[0] != peer or own not in hashes[1:]:
                yield Proof(reading.ike_owner(o), (o,), {"whose": "the peer's" if hashes[0] != peer else "its own"})

    return find


def nat_d_unasked(said: Said) -> Find:
    """NAT-D though one side announced nothing, or none though both did (RFC 3947 section 3.2)."""

    def find(reading: Reading) -> Iterator[Proof]:
        for o in _messages(reading, said, "MM3" if said is BY_CLIENT else "MM4"):
            client = reading.ike_owner(o)
            if client is None:
                continue
            first = [_of_exchange(reading, o, name) for name in ("MM1", "MM2")]
            if None in first:
                continue
            both = all(announced(m) for m in first)
            has = bool(ike(o, "nat_d"))
            if both != has:
                how = "holds no NAT-D though both announced it" if both else "holds NAT-D though it was not announced by both"
                yield Proof(client, tuple(m for m in (*first, o) if m is not None), {"how": how})

    return find


def not_announced(said: Said) -> Find:
    """A first message without any NAT-Traversal vendor ID, though there is a NAT. A client whose steps a gateway leaves without an
    answer has not come as far as to need it, and behind a NAT that carries ESP by itself no client needs it."""

    def find(reading: Reading) -> Iterator[Proof]:
        frames = [o for o in _messages(reading, said, "MM1" if said is BY_CLIENT else "MM2") if not announced(o)]
        if reading.evidence.nat in ESP_HELPERS:
            return
        if said is BY_CLIENT:
            kept_waiting = {proof.client for proof in unanswered(BY_GATEWAY, STEPS)(reading)}
            frames = [o for o in frames if reading.ike_owner(o) not in kept_waiting]
        yield from by_owner(reading, [o for o in frames if _translated(reading, reading.ike_owner(o))])

    return find


def not_floated(said: Said) -> Find:
    """IKE of a floated main mode back on 500, or ESP without UDP, by one who knows of the NAT (RFC 3947 section 4)."""

    def find(reading: Reading) -> Iterator[Proof]:
        since = _floated(reading)
        wrong: list[Observation] = []
        for o in said.frames(reading):
            owner = reading.flow_owner(o)
            if owner not in since or o.t <= since[owner]:
                continue
            bare = o.kind is FrameKind.ESP and o.sport is None
            on_500 = o.kind is FrameKind.IKE and IKE_PORT in (o.sport, o.dport)
            anew = on_500 and said is BY_CLIENT and _begins_anew(reading, o, owner)
            if bare or anew or (on_500 and ike(o, "encrypted")):
                wrong.append(o)
        yield from by_owner(reading, wrong)

    return find


def _begins_anew(reading: Reading, o: Observation, client: str | None) -> bool:
    """A new main mode of a client that had floated in the same life, after which all goes by 4500 (RFC 3947 section 4)."""
    if ike(o, "message") != "MM1" or client is None:
        return False
    dial = next((d for d in dials(reading, client) if d.holds(o.t)), None)
    return dial is not None and any(
        dial.holds(m.t) and m.t < o.t and m.dport == NATT_PORT for m in reading.ike_messages(client, "MM5", Side.INSIDE)
    )


def marker_false(said: Said) -> Find:
    """IKE on 4500 without the four zero bytes before it, or on 500 with them (RFC 3948 section 2.2)."""

    def find(reading: Reading) -> Iterator[Proof]:
        wrong = []
        for o in said.frames(reading, FrameKind.IKE):
            port = o.dport if said is BY_CLIENT else o.sport
            if port in (IKE_PORT, NATT_PORT) and ike(o, "marker") is not None and bool(ike(o, "marker")) != (port == NATT_PORT):
                wrong.append(o)
        yield from by_owner(reading, wrong)

    return find


def not_offered(said: Said) -> Find:
    """An answer that takes what the question did not offer, or changes it (RFC 2409 section 5)."""

    def find(reading: Reading) -> Iterator[Proof]:
        offers: dict[tuple[object, ...], tuple[Observation, list[Mapping[str, Any]]]] = {}
        for side in (Side.INSIDE, Side.OUTSIDE):
            for o in reading.frames(side):
                if ike(o, "message") in ("MM1", "QM1") and ike(o, "proposals"):
                    offers.setdefault(_exchange(o), (o, [_bare(p) for p in ike(o, "proposals")]))
        for name in ("MM2", "QM2"):
            for o in _messages(reading, said, name):
                offer = offers.get(_exchange(o))
                taken = [_bare(p) for p in ike(o, "proposals") or ()]
                if offer is not None and any(p not in offer[1] for p in taken):
                    yield Proof(reading.ike_owner(o), (offer[0], o), {"message": name})

    return find


NO_PROPOSAL_CHOSEN = 14  # RFC 2408 section 3.14.1
REFUSED_S = 2.0
"""So shortly after it a refusal is about a quick mode, where none of it says which."""


def refused_again(reading: Reading) -> Iterator[Proof]:
    """A quick mode refused as to its proposals, though the gateway took the very same ones before: from the same client, or from
    another that stands to it as this one does."""
    taken: dict[object, Observation] = {}
    open_: dict[str | None, tuple[Observation, Observation]] = {}  # client → the offer once taken, and the one on the table
    offers: dict[tuple[object, ...], Observation] = {}
    refused: dict[str | None, list[Observation]] = {}
    for o in reading.frames(Side.OUTSIDE):
        client, message, up = reading.ike_owner(o), ike(o, "message"), reading.direction(o) == "up"
        if message == "QM1" and up and not ike(o, "retransmission"):
            offers[_exchange(o)] = o
            before = taken.get(_terms(reading, o))
            if before is not None:
                open_[client] = before, o
        elif message == "QM2" and not up and _exchange(o) in offers:
            offer = offers[_exchange(o)]
            taken.setdefault(_terms(reading, offer), offer)
            open_.pop(client, None)
        elif not up and client in open_ and any(n.get("type") == NO_PROPOSAL_CHOSEN for n in ike(o, "notifies") or ()):
            before, offer = open_.pop(client)
            if o.t - offer.t <= REFUSED_S:
                refused.setdefault(client, [before]).extend((offer, o))
    for client, frames in refused.items():
        yield Proof(client, tuple(frames), {"count": len(frames) // 2})


def _terms(reading: Reading, offer: Observation) -> object:
    """What a QM1 proposes, and whether a NAT is before whoever proposes it."""
    proposals = tuple(tuple(sorted(_bare(p).items(), key=str)) for p in ike(offer, "proposals") or ())
    return proposals, _translated(reading, reading.ike_owner(offer)), offer.dport


def wrong_ends(reading: Reading) -> Iterator[Proof]:
    """A client's QM1 for other ends than its own UDP and the gateway's 1701, or for a mode that cannot cross the NAT."""
    floated = _floated(reading)
    for o in _messages(reading, BY_CLIENT, "QM1"):
        client = reading.ike_owner(o)
        if client is None or client not in reading.identities:
            continue
        ids = list(ike(o, "ids") or ())
        ends = (reading.identities[client].inside, reading.evidence.gateway_address)
        for name, identity, address in zip(("IDci", "IDcr"), ids, ends, strict=False):
            if name == "IDci" and "FQDN" in str(identity.get("type")):
                continue
            port_fits = name == "IDci" or identity.get("port") == L2TP_PORT  # a LAC may choose its own
            if identity.get("value") != address or identity.get("protocol") != UDP or not port_fits:
                yield Proof(client, (o,), {"how": f"names {identity.get('value')} in {name}"})
        modes = {p.get("encapsulation") for p in ike(o, "proposals") or () if p.get("protocol") == "ESP"}
        if client in floated and modes and not modes & {UDP_TRANSPORT, UDP_TRANSPORT_DRAFT}:
            yield Proof(client, (o,), {"how": f"asks for encapsulation {sorted(modes, key=str)}, which no NAT lets through"})


def unreadable(said: Said) -> Find:
    """IKE of a client's main mode that is malformed, or that the keys of that main mode do not open."""

    def find(reading: Reading) -> Iterator[Proof]:
        wrong = [
            o
            for o in said.frames(reading, FrameKind.IKE)
            if reading.ike_owner(o) is not None and o.problem is not None and not ike(o, "retransmission")
        ]
        yield from by_owner(reading, wrong)

    return find


def no_ike(said: Said) -> Find:
    """What is on a port of IKE's and has not even an ISAKMP header (RFC 2408 section 3.1)."""

    def find(reading: Reading) -> Iterator[Proof]:
        found: dict[str, list[Observation]] = {}
        for o in said.frames(reading, FrameKind.IKE):
            client = reading.at_address(o.src) if said is BY_CLIENT else reading.at_port(o.dport, o.t)
            if o.ike is None and client is not None:
                found.setdefault(client, []).append(o)
        for client, frames in found.items():
            yield Proof(client, tuple(frames), {"port": frames[0].dport if said is BY_CLIENT else frames[0].sport})

    return find


def gateway_keepalives(reading: Reading) -> Iterator[Proof]:
    """Keepalives from the end that is behind no NAT (RFC 3948 section 4)."""
    yield Proof(None, tuple(BY_GATEWAY.frames(reading, FrameKind.KEEPALIVE)))


def wrong_address(reading: Reading) -> Iterator[Proof]:
    """The gateway speaks to a port from which that client never spoke, or from a port that the client never addressed."""
    used: dict[str, set[tuple[str, int | None]]] = {}
    addressed: dict[str, set[int | None]] = {}
    found: dict[str, list[Observation]] = {}
    for o in reading.frames(Side.OUTSIDE):
        owner = reading.flow_owner(o) if o.kind in (FrameKind.IKE, FrameKind.ESP) else None
        if owner is None:
            continue
        if reading.direction(o) == "up":
            used.setdefault(owner, set()).add((o.src, o.sport))
            addressed.setdefault(owner, set()).add(o.dport)
        elif owner in used and ((o.dst, o.dport) not in used[owner] or o.sport not in addressed[owner]):
            found.setdefault(owner, []).append(o)
    for owner, frames in found.items():
        last = frames[0]
        yield Proof(owner, tuple(frames), {"way": f"from {last.sport} to {last.dst}:{last.dport}"})


FOLLOW_S = 2.0
"""A gateway that has authentic packets from a client's new port for so long has had time to answer there."""
FOLLOW_PACKETS = 3


def not_followed(reading: Reading) -> Iterator[Proof]:
    """The gateway goes on at a client's old port though authentic packets come from the new one (RFC 3947 section 6)."""
    moved: dict[str, tuple[int, list[Observation]]] = {}  # client → its present port at 4500, and its first packets from there
    left: dict[str, set[int]] = {}  # the ports that it had before
    stale: dict[str, list[Observation]] = {}
    for o in reading.frames(Side.OUTSIDE):
        owner = reading.flow_owner(o) if o.kind in (FrameKind.IKE, FrameKind.ESP) else None
        if owner is None:
            continue
        if reading.direction(o) == "up" and o.dport == NATT_PORT and o.sport is not None:
            port, packets = moved.get(owner, (o.sport, []))
            if port == o.sport:
                moved[owner] = port, [*packets[:FOLLOW_PACKETS], o]
            else:
                left.setdefault(owner, set()).add(port)
                moved[owner] = o.sport, [o]
        elif reading.direction(o) == "down" and o.sport == NATT_PORT and owner in left:
            port, packets = moved[owner]
            told = len(packets) >= FOLLOW_PACKETS and o.t - packets[0].t > FOLLOW_S
            if told and o.dport != port and o.dport in left[owner]:
                stale.setdefault(owner, []).extend((packets[0], o))
    for owner, frames in stale.items():
        if len(frames) >= 2 * FOLLOW_PACKETS:
            yield Proof(owner, tuple(frames), {"port": frames[1].dport, "now": frames[0].sport, "count": len(frames) // 2})


def _floated(reading: Reading) -> dict[str, float]:
    """Since when each client's main mode is on 4500, by the client's own first packet there; only those whom a NAT translates."""
    return reading.once(_floating)


def _floating(reading: Reading) -> dict[str, float]:
    found: dict[str, float] = {}
    for o in reading.frames(Side.INSIDE):
        owner = reading.ike_owner(o)
        if owner is None or owner in found:
            continue
        if reading.direction(o) == "up" and _knows_of_nat(reading, owner) and ike(o, "message") == "MM5":
            # A client that does not float in its MM5 was to: from that message on everything of it counts.
            found[owner] = o.t if o.dport == NATT_PORT else o.t - 1e-6
    return found


def _knows_of_nat(reading: Reading, client: str) -> bool:
    """Both sent NAT-D in this run, and the NAT changed the client's address."""
    mm3, mm4 = (reading.first_ike(client, name) for name in ("MM3", "MM4"))
    sent = all(m is not None and ike(m, "nat_d") for m in (mm3, mm4))
    return sent and _translated(reading, client)


def _translated(reading: Reading, client: str | None) -> bool:
    identity = reading.identities.get(client or "")
    return identity is not None and identity.outside not in (None, identity.inside)


def _messages(reading: Reading, said: Said, name: str) -> Iterator[Observation]:
    return (o for o in said.frames(reading, FrameKind.IKE) if ike(o, "message") == name and not ike(o, "retransmission"))


def _of_exchange(reading: Reading, o: Observation, name: str) -> Observation | None:
    """The first message of that name of the same main mode, outside."""
    client = reading.ike_owner(o)
    found = reading.ike_messages(client, name) if client is not None else ()
    return next((m for m in found if ike(m, "icookie") == ike(o, "icookie")), None)


def _hash(o: Observation, address: str, port: int | None, hashes: list[str]) -> str | None:
    return nat_d(str(ike(o, "icookie")), str(ike(o, "rcookie")), address, port or 0, len(hashes[0]))


def _exchange(o: Observation) -> tuple[object, ...]:
    return str(ike(o, "message"))[:2], ike(o, "icookie"), ike(o, "message_id")


def _bare(p: Mapping[str, Any]) -> Mapping[str, Any]:
    """A transform without what is each end's own."""
    return {key: value for key, value in p.items() if key not in ("spi", "number", "transform", "proposal")}
