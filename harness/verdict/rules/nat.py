"""What a NAT must not do, shown by the two captures on either side of it (RFC 4787, RFC 3948 section 4)."""

from __future__ import annotations

from collections.abc import Iterator

from harness.model import FrameKind, Observation, Side
from harness.verdict.altered import NAT_TRANSIT_S, altered, copied, made, unchanging
from harness.verdict.dials import dials
from harness.verdict.link_cuts import cut
from harness.verdict.reading import Crossing, Reading, ike, spi_of
from harness.verdict.remapping import IN_USE_S, remappings
from harness.verdict.rules.rule import Proof

LOSS_BUDGET = 0.01
"""Share of a client's packets, one way, that may get lost between the two captures; one of them always may."""

ORDERED = ("nat-clears", "nat-reboots", "nat-renumbers", "nat-forgets")
"""The steps by which a scenario has the NAT lose mappings: what follows from these is nobody's fault."""

_CARRIED = (FrameKind.IKE, FrameKind.ESP, FrameKind.KEEPALIVE, FrameKind.L2TP_CLEAR)


ESP_HELPERS = ("esp-helper", "single-client", "single-client-first")
"""The personalities that take it upon themselves to carry ESP without UDP. Of an ordinary NAT nobody can ask that: NAT-Traversal is
there because it has no ports to translate."""

HARMLESS = ("tos", "dscp", "ecn", "ip_id")
"""Header fields that tell routers how to carry a packet, and that neither end looks at."""

PORTS_ONLY = "ports-only"
"""The personality that knows nothing of any protocol without ports."""

COOKIE_HELPER = "cookie-helper"
"""The personality that keeps port 500 for everybody's IKE."""

NO_NAT = "none"
"""The personality that routes and translates nothing."""


def translates(reading: Reading) -> bool:
    """Whether there is a NAT between the two captures at all."""
    return bool(reading.evidence.nat_outside) and reading.evidence.nat != NO_NAT


def _carries(reading: Reading, o: Observation) -> bool:
    """Whether a packet is one that this NAT has to bring to its client."""
    return o.sport is not None or reading.evidence.nat in ESP_HELPERS


def concerned(reading: Reading, frames: tuple[Observation, ...]) -> set[str | None]:
    """The clients that frames belong to, by SA, cookie or inside address."""
    return {c for o in frames for c in (reading.flow_owner(o), reading.at_address(o.src), reading.at_address(o.dst))}


def payload_changed(reading: Reading) -> Iterator[Proof]:
    changed = altered(reading)
    for client in reading.clients:
        frames = tuple(o for a in changed if client in concerned(reading, (a.before, a.behind)) for o in (a.before, a.behind))
        yield Proof(client, frames, {"count": len(frames) // 2})


def address_let_through(reading: Reading) -> Iterator[Proof]:
    """Where there is a NAT at all: what only routes may let any address through, and so may one whose client is not behind it."""
    if not translates(reading):
        return
    outside = {p.name for p in reading.evidence.plans if p.site == 0}
    frames: dict[str, list[Observation]] = {}
    for o in reading.frames(Side.OUTSIDE):
        client = reading.at_address(o.src) or reading.at_address(o.dst)
        if client is not None and client not in outside:
            frames.setdefault(client, []).append(o)
    for client, found in frames.items():
        yield Proof(client, tuple(found))


def mappings_collide(reading: Reading) -> Iterator[Proof]:
    """One outside port towards one of the gateway's for two clients while both were using it, each in one of its lives."""
    lives = {client: dials(reading, client) for client in reading.clients}
    spans: dict[tuple[int, int | None], dict[tuple[str, int], list[Crossing]]] = {}
    for c in reading.crossings():
        client = reading.at_address(c.inside.src)
        if c.direction == "up" and client is not None and c.outside.sport is not None and c.outside.src != c.inside.src:
            life = next((d.number for d in reversed(lives[client]) if d.began <= c.inside.t), 1)
            spans.setdefault((c.outside.sport, c.outside.dport), {}).setdefault((client, life), []).append(c)
    for (port, _), users in spans.items():
        names = sorted(users)
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                a, b = users[one], users[other]
                if one[0] != other[0] and a[0].outside.t <= b[-1].outside.t and b[0].outside.t <= a[-1].outside.t:
                    frames = (a[0].outside, b[0].outside, a[0].inside, b[0].inside)  # the last two tell whose they are
                    yield Proof(one[0], frames, {"other": other[0], "port": port})


def port_shared(reading: Reading) -> Iterator[Proof]:
    """One outside port towards one of the gateway's for two clients shortly after one another, while the mapping of the first was
    still in use (`IN_USE_S`).
    A NAT that tells IKE apart by its cookies does that on purpose."""
    if reading.evidence.nat == COOKIE_HELPER:
        return
    last: dict[tuple[str, int, int | None], Crossing] = {}
    told: set[tuple[str, str]] = set()
    for c in reading.crossings():
        client, port = reading.at_address(c.inside.src), c.outside.sport
        if c.direction != "up" or client is None or port is None or c.outside.src == c.inside.src:
            continue
        before = last.get((c.outside.src, port, c.outside.dport))
        other = None if before is None else reading.at_address(before.inside.src)
        if before is not None and other not in (None, client) and c.outside.t - before.outside.t < IN_USE_S:
            key = str(other), client
            if key not in told and not _ordered(reading, before.outside.t, c.outside.t):
                told.add(key)
                yield Proof(client, (before.outside, c.outside, before.inside, c.inside), {"other": other, "port": port})
        last[c.outside.src, port, c.outside.dport] = c


def misdelivered(reading: Reading) -> Iterator[Proof]:
    """A packet that left the gateway on the right SA and to the right port, and was handed to another client.

    Whose port it is shows by who sent through it last, since a NAT may have given it anew."""
    wrong: dict[str, list[Observation]] = {}
    users: dict[tuple[object, ...], str | None] = {}
    for c in reading.crossings():
        owner, receiver = reading.flow_owner(c.outside), reading.at_address(c.inside.dst)
        if c.direction == "up":
            users[_end(reading, c.outside, "up")] = reading.at_address(c.inside.src)
        elif owner is not None and users.get(_end(reading, c.outside, "down"), owner) == receiver:
            continue  # the port is the receiver's: it was the gateway that sent there
        if c.direction != "down" or owner is None or receiver in (None, owner) or not _carries(reading, c.outside):
            continue
        if reading.at_port(c.outside.dport, c.outside.t) in (None, owner):
            wrong.setdefault(owner, []).append(c.inside)
    for owner, frames in wrong.items():
        yield Proof(owner, tuple(frames))


def header_changed(reading: Reading) -> Iterator[Proof]:
    """Anything beyond the client's address and port, the TTL and the checksums; a checksum that was right and is false then. A
    NAT may cut a packet into fragments, or put it together: of these the payload alone is compared, in another rule."""
    return (proof for proof in reading.once(_changed) if not _harmless(proof))


def header_touched(reading: Reading) -> Iterator[Proof]:
    """What a NAT has no business with either, and what nobody's connection depends on."""
    return (proof for proof in reading.once(_changed) if _harmless(proof))


def _harmless(proof: Proof) -> bool:
    what, behind = proof.words["what"], proof.words["behind"]
    return what in HARMLESS or (what == "udp_checksum_ok" and behind is None)


def _changed(reading: Reading) -> tuple[Proof, ...]:
    """Of each client each field, and of a field's checks each result, once."""
    found: dict[tuple[str | None, str, object], list[Observation]] = {}
    words: dict[tuple[str | None, str, object], dict[str, object]] = {}
    changed = (Crossing(a.direction, a.before, a.behind) for a in altered(reading))
    for c in (*reading.crossings(), *changed):
        if c.cut:
            continue
        client = reading.at_address(c.inside.src if c.direction == "up" else c.inside.dst)
        for what, before, behind in unchanging(c):
            if before != behind:
                key = client, what, behind if behind in (None, False) else True
                found.setdefault(key, []).extend((c.before, c.behind))
                words.setdefault(key, {"what": what, "before": before, "behind": behind})
    return tuple(Proof(key[0], tuple(frames), words[key]) for key, frames in found.items())


def ttl_kept(reading: Reading) -> Iterator[Proof]:
    if not translates(reading):
        return
    frames = tuple(o for c in reading.crossings() if c.behind.ttl >= c.before.ttl for o in (c.before, c.behind))
    yield Proof(None, frames, {"count": len(frames) // 2})


def let_out_twice(reading: Reading) -> Iterator[Proof]:
    frames = tuple(o for c in copied(reading) for o in (c.original, c.copy))
    yield Proof(None, frames, {"count": len(frames) // 2})


def keeps_alive(reading: Reading) -> Iterator[Proof]:
    frames = made(reading)
    yield Proof(None, frames, {"count": len(frames)})


def forgot_mapping(reading: Reading) -> Iterator[Proof]:
    for change in remappings(reading):
        if not _ordered(reading, change.last.t, change.first.t):
            yield Proof(change.client, (change.last, change.first), {"sentence": change.sentence})


def esp_carried(reading: Reading) -> Iterator[Proof]:
    """ESP without UDP that a NAT let through which is to know ports only: it guesses whose it is."""
    if reading.evidence.nat != PORTS_ONLY:
        return
    found: dict[str | None, list[Observation]] = {}
    for c in reading.crossings():
        if c.inside.kind is FrameKind.ESP and c.inside.sport is None:
            client = reading.at_address(c.inside.src if c.direction == "up" else c.inside.dst)
            found.setdefault(client, []).extend((c.before, c.behind))
    for client, frames in found.items():
        yield Proof(client, tuple(frames), {"count": len(frames) // 2})


def swallowed(reading: Reading) -> Iterator[Proof]:
    """More of a client's packets, one way, or more of one kind of all clients', than a NAT may lose; or all of a kind."""
    lost: dict[tuple[str, str, str], list[Observation]] = {}
    sent: dict[tuple[str, str, str], int] = {}
    for way, o, client, came_out in _transits(reading):
        for key in ((client, way, ""), ("", way, o.kind.value)):
            sent[key] = sent.get(key, 0) + 1
            if not came_out:
                lost.setdefault(key, []).append(o)
    for (client, way, kind), frames in lost.items():
        everything = bool(kind) and len(frames) == sent[client, way, kind]
        if everything or len(frames) > max(1.0, LOSS_BUDGET * sent[client, way, kind]):
            whose = client or "all clients"
            yield Proof(client or None, tuple(frames), {"whose": whose, "way": way, "of": sent[client, way, kind]})


def held_up(reading: Reading) -> Iterator[Proof]:
    late = [c for c in reading.crossings() if c.behind.t - c.before.t > NAT_TRANSIT_S and not cut(reading, c.before.t)]
    longest = max((c.behind.t - c.before.t for c in late), default=0.0)
    yield Proof(None, tuple(o for c in late for o in (c.before, c.behind)), {"count": len(late), "longest": f"{longest:.1f}"})


def overtaken(reading: Reading) -> Iterator[Proof]:
    """ESP that came out of the NAT before the QM3 that it followed into it: on an SA of which its receiver cannot know yet."""
    begun: dict[str, list[Crossing]] = {}
    brought: dict[tuple[str, str | None], Crossing] = {}  # client and SPI → the QM3 before its first packet
    found: dict[str, list[Observation]] = {}
    for c in sorted((c for c in reading.crossings() if c.direction == "up"), key=lambda c: (c.before.t, c.before.frame)):
        client = reading.flow_owner(c.before)
        if client is None:
            continue
        if ike(c.before, "message") == "QM3":
            begun.setdefault(client, []).append(c)
        elif c.before.kind is FrameKind.ESP and client in begun:
            qm3 = brought.setdefault((client, spi_of(c.before)), begun[client][-1])
            if (c.behind.t, c.behind.frame) < (qm3.behind.t, qm3.behind.frame):
                found.setdefault(client, [qm3.before, qm3.behind]).extend((c.before, c.behind))
    for client, frames in found.items():
        yield Proof(client, tuple(frames), {"count": len(frames) // 2 - 1})


def _transits(reading: Reading) -> Iterator[tuple[str, Observation, str, bool]]:
    """(direction, frame before the NAT, whose it is, whether it came out) for all that a NAT has to let through."""
    if not translates(reading):
        return
    came_out = {(c.before.side, c.before.frame) for c in reading.crossings()} | {
        (a.before.side, a.before.frame) for a in altered(reading)
    }
    for o in reading.way(Side.INSIDE, "up"):
        client = reading.at_address(o.src)
        if client is not None and o.kind in _CARRIED and _sound(o) and _carries(reading, o):
            passed = (o.side, o.frame) in came_out
            if passed or not cut(reading, o.t):  # a NAT that cannot find the gateway any more has nobody to let it out to
                yield "up", o, client, passed
    mapped: dict[tuple[object, ...], tuple[float, str]] = {}  # outside end and gateway's port → last packet up, whose
    ups = [c for c in reading.crossings() if c.direction == "up"]
    until, i = reading.end_of_capture(Side.INSIDE), 0
    for o in reading.way(Side.OUTSIDE, "down"):
        while i < len(ups) and ups[i].outside.t <= o.t:
            up = ups[i]
            client = reading.at_address(up.inside.src)
            if client is not None:
                mapped[_end(reading, up.outside, "up")] = (up.outside.t, client)
            i += 1
        last, owner = mapped.get(_end(reading, o, "down"), (float("-inf"), ""))
        live = o.t - last < IN_USE_S and not _ordered(reading, last, o.t)
        if live and o.t <= until and o.kind in _CARRIED and _sound(o) and _carries(reading, o):
            yield "down", o, owner, (o.side, o.frame) in came_out


def _end(reading: Reading, o: Observation, direction: str) -> tuple[object, ...]:
    """What a mapping is known by outside; ESP without UDP has no ports, and its owner stands for them."""
    address, port, service = (o.src, o.sport, o.dport) if direction == "up" else (o.dst, o.dport, o.sport)
    return (address, port, service) if port is not None else (address, reading.flow_owner(o))


def _sound(o: Observation) -> bool:
    """A packet whose own checksums are wrong may be dropped by anybody."""
    return o.headers.get("ip_checksum_ok") is not False and o.headers.get("udp_checksum_ok") is not False and o.ttl > 1


def _ordered(reading: Reading, since: float, until: float) -> bool:
    return any(s.began <= until and since <= s.ended for kind in ORDERED for s in reading.steps(kind))
