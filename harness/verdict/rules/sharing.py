"""What a gateway must not give to two clients at once, and what must come out at the end host as it went in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.model import FrameKind, Identity, Observation, Side
from harness.verdict.confusion import towards_far_end
from harness.verdict.duplicates import duplicates
from harness.verdict.ports import L2TP_PORT, AtBoundary, at_boundary
from harness.verdict.reading import Reading, l2tp_message, mark_of, ppp
from harness.verdict.rules.answers import to_be_dropped
from harness.verdict.rules.esp import Find
from harness.verdict.rules.rule import Proof
from harness.verdict.survival import Life, every_life


@dataclass(frozen=True, slots=True)
class _Held:
    client: str
    value: object
    began: float
    ended: float
    frame: Observation


def given_twice(what: str, of: Callable[[Identity], object]) -> Find:
    """The same `what` (address, tunnel number, translated port) held by two clients that were both up."""

    def find(reading: Reading) -> Iterator[Proof]:
        held: dict[object, list[_Held]] = {}
        for life in every_life(reading):
            identity = _identity(reading, life)
            value = None if identity is None else of(identity)
            if value is not None and life.up is not None:
                held.setdefault(value, []).append(_Held(life.client, value, life.up.t, life.end.t, _given(reading, life)))
        for value, holders in held.items():
            for i, one in enumerate(holders):
                for other in holders[i + 1 :]:
                    if one.client != other.client and one.began < other.ended and other.began < one.ended:
                        words = {"other": other.client, "what": what, "value": value}
                        yield Proof(one.client, (one.frame, other.frame), words)

    return find


def untold_port(reading: Reading) -> Iterator[Proof]:
    """L2TP hears a client that came after demultiplexing was taken out by another port than the one that the client sends from."""
    off = next(iter(reading.steps("demux-off")), None)
    if off is None:
        return
    own: dict[str, set[int]] = {}
    for o in reading.way(Side.INSIDE, "up", FrameKind.ESP):
        client = reading.sa_owner(o)
        if client is not None and o.inner is not None:
            own.setdefault(client, set()).add(o.inner.sport)
    found: dict[str, list[AtBoundary]] = {}
    for b in at_boundary(reading):
        agreed = None if b.client is None else reading.first_ike(b.client, "QM3")
        if b.client is None or agreed is None or agreed.t < off.ended or b.direction != "up":
            continue
        if b.port not in own.get(b.client, {b.port}):
            found.setdefault(b.client, []).append(b)
    for client, packets in found.items():
        yield Proof(client, tuple(b.frame for b in packets), {"port": packets[0].port})


def port_out_of_range(reading: Reading) -> Iterator[Proof]:
    """L2TP hears a client by a translated port beyond the last one that the gateway was told to give."""
    last = reading.evidence.gateway_told.get("port_last")
    if not isinstance(last, int):
        return
    found: dict[str | None, list[AtBoundary]] = {}
    for b in at_boundary(reading):
        if b.direction == "up" and b.port != L2TP_PORT and b.port > last:
            found.setdefault(b.client, []).append(b)
    for client, packets in found.items():
        yield Proof(client, tuple(b.frame for b in packets), {"port": packets[0].port, "last": last})


def took_false_checksums(reading: Reading) -> Iterator[Proof]:
    """A gateway that is to verify inner checksums answers a tunnel's first message whose checksum fits no end of its packet."""
    asked: dict[str, list[Observation]] = {}
    for o in reading.frames(Side.OUTSIDE):
        client, message = reading.sa_owner(o), l2tp_message(o)
        if client is None or o.inner is None:
            continue
        if message == "SCCRQ" and to_be_dropped(reading, o):
            asked.setdefault(client, []).append(o)
        elif message == "SCCRP" and client in asked and reading.direction(o) == "down":
            yield Proof(client, (*asked.pop(client), o))


def strays(reading: Reading) -> Iterator[Proof]:
    """Words that came out of another client's link."""
    known = {p.number for p in reading.evidence.plans}
    yield Proof(None, tuple(o for o in towards_far_end(reading).strays if (mark := mark_of(o)) is not None and mark.owner in known))


def made_twice(box: str) -> Find:
    """Marks that a box ("gateway", "client") made more often than it had been given."""

    def find(reading: Reading) -> Iterator[Proof]:
        for one in duplicates(reading):
            if one.box == box and one.owner in reading.clients:
                yield Proof(one.owner, one.frames)

    return find


def _identity(reading: Reading, life: Life) -> Identity | None:
    """What a client was known by in one of its lives."""
    identity = reading.identities.get(life.client)
    if identity is None or not identity.lives:
        return identity
    return next((one for one in reversed(identity.lives) if one.since is None or one.since <= life.end.t), identity)


def _given(reading: Reading, life: Life) -> Observation:
    """The last word of the gateway's side of set-up before the client was up."""
    assert life.up is not None
    acks = [o for o in reading.once(_acks).get(life.client, ()) if o.t <= life.up.t]
    return acks[-1] if acks else life.up


def _acks(reading: Reading) -> dict[str | None, list[Observation]]:
    """By client, what the gateway has taken of its IPCP."""
    found: dict[str | None, list[Observation]] = {}
    for o in reading.way(Side.OUTSIDE, "down"):
        if ppp(o) == ("IPCP", "Configure-Ack"):
            found.setdefault(reading.flow_owner(o), []).append(o)
    return found
