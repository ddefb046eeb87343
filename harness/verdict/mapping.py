"""What the NAT did to the packets: source address and port, one mapping a client, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from harness.model import FrameKind, Observation, RecordKind, Side, Verdict
from harness.verdict.altered import altered, copied, unchanging
from harness.verdict.blame import nat_faults
from harness.verdict.findings import Findings, require
from harness.verdict.foreign import FROM_NOBODY, foreign
from harness.verdict.negotiation import IKE_PORT, L2TP_PORT, NATT_PORT
from harness.verdict.reading import Crossing, Reading, ike, l2tp_message
from harness.verdict.remapping import remappings
from harness.verdict.trust import WIRE, Need, check


@check(*WIRE)
def outside_source_is_the_nat(reading: Reading) -> Verdict:
    """On the outside every packet of a client bears the NAT's address, and every packet to one is for it."""
    nat, gateway = reading.evidence.nat_outside, reading.evidence.gateway_address
    noise = {id(o) for o in foreign(reading)[FROM_NOBODY]}
    f = Findings(nat=nat, noise=len(noise))
    up = 0
    for o in reading.frames(Side.OUTSIDE):
        if id(o) in noise:
            continue
        if o.kind is FrameKind.OTHER and reading.at_address(o.src) is None and reading.at_address(o.dst) is None:
            continue
        if o.src == gateway:
            f.expect(reading.at_address(o.dst) is None, f"the gateway addresses {o.dst} behind the NAT", o)
        else:
            up += 1
            f.expect(o.src == nat, f"a packet from {o.src} is on the outside", o)
    require(up > 0, "nothing came out of the NAT")
    return f.verdict(f"all {up} packets from the clients bear {nat}")


@check(*WIRE, Need.DECRYPTED, Need.PAIRED)
def inner_port_crosses_unchanged(reading: Reading) -> Verdict:
    """The inner ports are the same on both sides of the NAT, and both 1701: ESP hides them from it."""
    f = Findings()
    for c in _crossings(reading):
        before, behind = c.before.inner, c.behind.inner
        if before is None or behind is None:
            continue
        f.expect((before.sport, before.dport) == (behind.sport, behind.dport), "the NAT changed an inner port", c.before, c.behind)
        f.expect(behind.sport == behind.dport == L2TP_PORT, f"inner ports are {behind.sport} and {behind.dport}", c.behind)
    return f.verdict(f"{f.judged // 2} decrypted packets bear port {L2TP_PORT} on both sides of the NAT")


@check(*WIRE, Need.DECRYPTED, Need.PAIRED)
def inner_checksum_is_of_the_inside_address(reading: Reading) -> Verdict:
    """Behind the NAT the inner UDP checksum still fits the client's inside address and no longer the packet's own; the gateway
    takes the packet all the same."""
    f = Findings()
    gateway, nat = reading.evidence.gateway_address, reading.evidence.nat_outside
    unjudged = []
    for client in reading.clients:
        sent = [
            o
            for o in reading.way(Side.OUTSIDE, "up", FrameKind.ESP)
            if reading.sa_owner(o) == client and o.inner is not None and o.inner.udp_checksum != 0
        ]
        if not sent:
            if reading.records(client, RecordKind.PPP_UP):
                unjudged.append(client)
            continue
        for o in sent:
            assert o.inner is not None
            fits = set(o.inner.checksum_fits)
            f.expect((reading.identities[client].inside, gateway) in fits, f"{client}'s inner checksum does not fit its address", o)
            f.expect((nat, gateway) not in fits, f"{client}'s inner checksum fits the NAT's address", o)
        taken = any(
            l2tp_message(o) == "SCCRP" and reading.sa_owner(o) == client for o in reading.way(Side.OUTSIDE, "down", FrameKind.ESP)
        )
        f.expect(taken, f"the gateway did not answer {client}, whose checksums are of its inside address", *sent[:1])
        f.facts.setdefault("judged", {})[client] = len(sent)
    why_not = f"none of the packets of {', '.join(unjudged)}, up though they were, has an inner checksum that could be judged"
    require(not unjudged or bool(f.faults), why_not)
    return f.verdict("the inner checksums are of the inside addresses, and the gateway accepts them")


@check(*WIRE, Need.PAIRED)
def port_500_is_translated(reading: Reading) -> Verdict:
    """MM1 of every client leaves the NAT with another address and another port. One client may keep 500: noted, not judged."""
    return _is_translated(reading, "MM1", IKE_PORT)


@check(*WIRE, Need.PAIRED)
def port_4500_is_translated(reading: Reading) -> Verdict:
    """MM5 of every client leaves the NAT with another address, by a mapping of its own. One client may keep 4500: noted."""
    return _is_translated(reading, "MM5", NATT_PORT)


@check(*WIRE, Need.PAIRED)
def mappings_differ(reading: Reading) -> Verdict:
    """No two clients share a port at the NAT towards the same port of the gateway. Towards another they may: the NAT tells the
    answers apart by where they come from."""
    require(len(reading.clients) >= 2, "one client alone has nobody to differ from")
    f = Findings()
    users: dict[tuple[int | None, int | None], set[str]] = {}
    for c in _crossings(reading):
        client = reading.at_address(c.inside.src)
        if c.direction == "up" and client is not None:
            users.setdefault((c.outside.sport, c.outside.dport), set()).add(client)
    senders = set().union(*users.values()) if users else set()
    require(senders == set(reading.clients), f"nothing of {', '.join(sorted(set(reading.clients) - senders))} crossed the NAT")
    for (port, _), clients in users.items():
        f.expect(len(clients) == 1, f"{' and '.join(sorted(clients))} share port {port} at the NAT")
    f.facts["ports"] = {c: sorted({p for (p, _), u in users.items() if c in u and p is not None}) for c in sorted(senders)}
    return f.verdict(f"each client has ports of its own at the NAT: {f.facts['ports']}")


@check(*WIRE, Need.PAIRED)
def mappings_last(reading: Reading) -> Verdict:
    """No mapping changes while it is in use, unless the scenario asked for it."""
    changed = [one for one in remappings(reading) if not one.asked_for]
    f = Findings(blamed=[{"box": "nat", "why": one.sentence} for one in changed])
    flows = {(c.inside.src, c.inside.sport, c.outside.dport) for c in _crossings(reading) if c.direction == "up"}
    f.expect(not changed, "; ".join(one.sentence for one in changed), *(o for one in changed for o in (one.last, one.first)))
    return f.verdict(f"each of {len(flows)} mappings lasted as long as it was used")


@check(*WIRE, Need.PAIRED)
def payload_crosses_untouched_outbound(reading: Reading) -> Verdict:
    """Every UDP payload leaves the NAT byte for byte as it went in."""
    return _untouched(reading, "up")


@check(*WIRE, Need.PAIRED)
def payload_crosses_untouched_inbound(reading: Reading) -> Verdict:
    """Every UDP payload reaches the clients byte for byte as the gateway sent it."""
    return _untouched(reading, "down")


@check(*WIRE, Need.PAIRED)
def nothing_else_changes(reading: Reading) -> Verdict:
    """Between the two sides only the client's address and port, the TTL (downwards) and the checksums differ."""
    f = Findings()
    changed = (Crossing(a.direction, a.before, a.behind) for a in altered(reading))
    for c in (*_crossings(reading), *changed):
        for name, before, behind in unchanging(c):
            f.expect(before == behind, f"the NAT changed {name} from {before} to {behind}", c.before, c.behind)
        f.expect(c.behind.ttl < c.before.ttl, f"the TTL went from {c.before.ttl} to {c.behind.ttl}", c.before, c.behind)
    _expect_no_copies(f, reading, "up", "down")
    return f.verdict(f"{len(reading.crossings())} packets differ in address, port, TTL and checksums only")


@check(*WIRE, Need.PAIRED)
def gateway_end_is_unchanged(reading: Reading) -> Verdict:
    """The gateway's address and port, 500 or 4500, are the same on both sides."""
    f = Findings()
    gateway = reading.evidence.gateway_address
    for c in _crossings(reading):
        ends = [(o.dst, o.dport) if c.direction == "up" else (o.src, o.sport) for o in (c.before, c.behind)]
        f.expect(ends[0] == ends[1], f"the NAT changed the gateway's end from {ends[0]} to {ends[1]}", c.before, c.behind)
        f.expect(ends[1] in ((gateway, IKE_PORT), (gateway, NATT_PORT)), f"the gateway's end is {ends[1]}", c.behind)
    return f.verdict(f"the gateway's end is the same on both sides of {f.judged // 2} packets")


@check(*WIRE, Need.DECRYPTED, Need.PAIRED)
def housekeeping_keeps_clients_apart(reading: Reading) -> Verdict:
    """Ports alone, without any helper for IPsec, bring every packet to the client whose SA or main mode it belongs to."""
    require(len(reading.clients) >= 2, "one client alone cannot be mistaken for another")
    f = Findings()
    received = set()
    for c in _crossings(reading):
        owner = reading.flow_owner(c.outside)
        if c.direction == "down" and owner is not None:
            right = reading.at_address(c.inside.dst) == owner
            f.expect(right, f"a packet of {owner} was handed to {c.inside.dst}", c.outside, c.inside)
            received.add(owner)
    require(received >= set(reading.clients), f"nothing came back for {', '.join(sorted(set(reading.clients) - received))}")
    for fault in nat_faults(reading):
        f.expect(False, fault.why, *fault.frames[:4])
    _expect_no_copies(f, reading, "up", "down")
    return f.verdict(f"{len(received)} clients are told apart by their ports alone")


def _crossings(reading: Reading) -> tuple[Crossing, ...]:
    found = reading.crossings()
    require(bool(found), "no packet was seen on both sides of the NAT")
    return found


def _first_crossings(reading: Reading, message: str) -> Iterator[tuple[str, Crossing]]:
    """The first crossing of one IKE message of each client; raises Inconclusive where a client has none."""
    for client in reading.clients:
        found = next(
            (
                c
                for c in _crossings(reading)
                if c.direction == "up" and ike(c.inside, "message") == message and reading.at_address(c.inside.src) == client
            ),
            None,
        )
        require(found is not None, f"{client}'s {message} was not seen on both sides of the NAT")
        assert found is not None
        yield client, found


def _is_translated(reading: Reading, message: str, port: int) -> Verdict:
    """The first of these messages of every client leaves the NAT with another address. One client may keep its port: noted. A lone
    one may not keep 500: for all that can be seen, that NAT keeps every port."""
    f = Findings()
    kept = []
    for client, c in _first_crossings(reading, message):
        f.expect(c.inside.sport == port, f"{client} sends {message} from {c.inside.sport}", c.inside)
        _expect_source_translated(f, reading, client, c)
        f.facts[client] = f"{c.inside.src}:{c.inside.sport} -> {c.outside.src}:{c.outside.sport}"
        if c.outside.sport == port:
            kept.append(client)
    allowed = 0 if len(reading.clients) == 1 and port == IKE_PORT else 1
    f.expect(len(kept) <= allowed, f"the NAT left port {port} to {', '.join(kept)}")
    f.facts[f"kept_{port}"] = kept
    return f.verdict(f"{message} is translated: {f.facts}")


def _expect_source_translated(f: Findings, reading: Reading, client: str, c: Crossing) -> None:
    f.expect(c.outside.src == reading.evidence.nat_outside, f"{client} left the NAT as {c.outside.src}", c.inside, c.outside)
    f.expect(c.outside.src != c.inside.src, f"{client}'s address was not translated", c.inside, c.outside)


def _untouched(reading: Reading, direction: str) -> Verdict:
    f = Findings()
    for c in _crossings(reading):
        if c.direction == direction:
            same = c.before.payload_digest == c.behind.payload_digest
            f.expect(same and (c.cut or c.before.length == c.behind.length), "the NAT changed a payload", c.before, c.behind)
    for a in altered(reading):
        if a.direction == direction:
            f.expect(False, "the NAT changed a payload", a.before, a.behind)
    _expect_no_copies(f, reading, direction)
    f.facts["compared"] = f.judged
    return f.verdict(f"all {f.judged} payloads going {direction} are byte for byte the same on both sides")


def _expect_no_copies(f: Findings, reading: Reading, *directions: str) -> None:
    """What went into the NAT once comes out once."""
    found = [c for c in copied(reading) if c.direction in directions]
    f.facts["copies"] = len(found)
    for c in found:
        f.expect(False, f"the NAT let packets out twice: {len(found)} of them", c.original, c.copy)


def clear_frames(reading: Reading) -> tuple[Observation, ...]:
    """Frames on either side of the NAT that show in clear what ESP ought to hide: L2TP, or a marked packet."""
    return tuple(
        o
        for side in (Side.INSIDE, Side.OUTSIDE)
        for o in reading.frames(side)
        if o.kind is FrameKind.L2TP_CLEAR or o.mark is not None or (o.kind is FrameKind.OTHER and L2TP_PORT in (o.sport, o.dport))
    )


@check(*WIRE)
def nothing_crosses_in_clear(reading: Reading) -> Verdict:
    """The NAT sees IKE, ESP in UDP and keepalives: no UDP 1701 anywhere, and no marked packet outside ESP.

    This is also the sentinel that watches every run.
    """
    require(not reading.evidence.clear_expected, "this run was declared to carry L2TP in clear")
    f = Findings()
    protected = sum(o.kind is FrameKind.ESP for side in (Side.INSIDE, Side.OUTSIDE) for o in reading.frames(side))
    require(protected > 0, "no ESP was seen at all, so nothing shows that traffic was protected")
    found = clear_frames(reading)
    f.expect(not found, f"{len(found)} packets crossed in clear", *found)
    for side, number, why in reading.evidence.exposures:
        f.expect(False, f"{side} frame {number}: {why}")
        f.point_at((side, number))
    return f.verdict(f"{protected} ESP packets, and nothing of L2TP in clear on either side")
