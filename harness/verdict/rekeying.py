"""What outlives an SA: a client's port, tunnel, session and PPP address over rekeys of either phase, and every mark across them.

Scenario "rekey": two clients over more than three lifetimes of their ESP SAs, and a rekey of the ISAKMP SA by force.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from harness.model import Observation, Side, Verdict
from harness.verdict.dials import Dial, dials, latest, own_frames
from harness.verdict.findings import Findings, require
from harness.verdict.ports import at_boundary, ports_by_life, require_boundary
from harness.verdict.pulse import LostBy, carriers
from harness.verdict.reading import Reading, ike, l2tp_message, mark_of, ppp, spi_of
from harness.verdict.survival import Life, every_life, trusted_lives
from harness.verdict.survivors import LOSS_BUDGET, expect_alive
from harness.verdict.trust import TRAFFIC, Need, check

LIFETIMES = 3
"""More than so many lifetimes have to go by, so that many rekeys are seen."""

LAPSE_S = 1.0
"""An SA that has less than this to go has lapsed: whoever has to give up for it may do so this much sooner."""

AFTERMATH_S = 30.0
"""Whoever leaves unasked this shortly after a rekey leaves for it: what a rekey replaces is kept for some seconds at most."""

RESPONDER_LIFETIME, LIFE_TYPE, LIFE_DURATION, SECONDS, KILOBYTES = 24576, 1, 2, 1, 2
"""Numbers of RFC 2407: a notify, two attributes of it, and the units."""

OVERLAP_S = 10.0
"""Marks this shortly before and after a rekey have crossed it: old and new SA are both there then."""


@dataclass(frozen=True, slots=True)
class Rekey:
    """The QM3 (inside) that brought a client a new pair of SAs; their SPIs and those of the pair before."""

    client: str
    agreed: Observation
    old: tuple[str, str]  # towards the client, towards the gateway
    new: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Agreement:
    """A quick mode that was completed: its QM3 (inside), the SPIs towards the client and towards the gateway, the lifetime that QM2
    names, in seconds."""

    agreed: Observation
    spis: tuple[str, str]
    lifetime_s: int | None


@check(*TRAFFIC, Need.TRANSLATED)
def quick_mode_rekey_keeps_everything(reading: Reading, *, lifetimes: int = LIFETIMES) -> Verdict:
    """After more than three lifetimes, each SA renewed before its end, the SPIs are new, and port, tunnel, session and PPP address
    are what they were."""
    f, found = _alive(reading)
    _expect_carried_out(f, reading)
    made = {c: [r for r in rekeys(reading) if r.client == c] for c in found}
    few = [c for c, own in made.items() if len(own) < lifetimes]
    require(not few or bool(f.faults), f"{', '.join(few)} did not go through {lifetimes} rekeys")
    for client, own in made.items():
        for rekey in own:
            used = [o for o in carriers(reading, Side.OUTSIDE, "down") if spi_of(o) == rekey.new[0]]
            f.expect(bool(used), f"nothing came to {client} on its new SA {rekey.new[0]}", rekey.agreed)
        _expect_same_port(f, reading, client, [r.agreed.t for r in own])
        _expect_same_session(f, reading, client, found[client])
    f.facts["rekeys"] = {c: len(own) for c, own in made.items()}
    require_boundary(f, reading, found, "up", "down")
    return f.verdict(f"rekeys {f.facts['rekeys']}, ports {f.facts['ports']}: port, tunnel, session and PPP address stayed")


@check(*TRAFFIC, Need.TRANSLATED)
def main_mode_rekey_keeps_the_port(reading: Reading) -> Verdict:
    """Whoever went through a new main mode while up is known by the port it had, and so is the next SA made under it."""
    f, found = _alive(reading)
    _expect_carried_out(f, reading)
    judged = {}
    for client, life in found.items():
        again = [o for o in reading.ike_messages(client, "MM6") if life.up is not None and o.t > life.up.t]
        if not again:
            continue
        judged[client] = len(again)
        cookies = {ike(o, "icookie") for o in again}
        agreed = [o.t for o in reading.ike_messages(client, "QM3") if ike(o, "icookie") in cookies]
        f.facts.setdefault("sas_under_new_main_mode", {})[client] = len(agreed)
        _expect_same_port(f, reading, client, [o.t for o in again] + agreed)
    require(bool(judged) or bool(f.faults), "nobody rekeyed its ISAKMP SA while it was up")
    for step in reading.steps("rekey-ike"):
        for client in (c for c in step.clients if c not in judged):
            f.expect(False, f"{client} went through no new main mode, though {step.name} asked for one")
    f.facts["main_modes"] = judged
    under = sum(f.facts.get("sas_under_new_main_mode", {}).values())
    require(under > 0 or bool(f.faults), "no ESP SA was made under a new main mode, so nothing shows which port that would get")
    require_boundary(f, reading, judged, "up")
    return f.verdict(f"new main modes {judged}, ESP SAs under them {under}; the ports stayed {f.facts['ports']}")


@check(*TRAFFIC, Need.TRANSLATED)
def old_and_new_sa_share_the_port(reading: Reading) -> Verdict:
    """Marks of the last seconds of an SA and of the first of its successor bear one port at L2TP, and none is lost between."""
    f, found = _alive(reading)
    _expect_carried_out(f, reading)
    ports = _port_of_sa(reading)
    f.facts["overlaps"] = []
    for rekey in rekeys(reading):
        life = found[rekey.client]
        near = [a for a in life.asked if abs(a.question.t - rekey.agreed.t) <= OVERLAP_S]
        lost = [a for a in near if a.lost_by is LostBy.GATEWAY]
        told = f"{rekey.client} lost {len(lost)} of {len(near)} marks in the rekey to {rekey.new[1]}"
        f.expect(not lost, told, rekey.agreed, *(a.reached for a in lost[:5]))
        both = [ports.get(spi, {}) for spi in (rekey.old[1], rekey.new[1])]
        unseen = f"no mark of {rekey.client} was seen at L2TP from both {rekey.old[1]} and {rekey.new[1]}"
        require(all(both) or bool(f.faults), unseen)
        known = {port for one in both for port in one}
        frames = (o for one in both for o in one.values())
        f.expect(len(known) <= 1, f"{rekey.client}'s old and new SA map to {sorted(known)}", rekey.agreed, *frames)
        f.facts["overlaps"].append({"client": rekey.client, "old": rekey.old[1], "new": rekey.new[1], "ports": sorted(known)})
    require(bool(f.facts["overlaps"]) or bool(f.faults), "nobody rekeyed its ESP SA while it was up")
    return f.verdict(f"in {len(f.facts['overlaps'])} rekeys old and new SA bore one port each, and no mark was lost")


def rekeys(reading: Reading) -> tuple[Rekey, ...]:
    """Every new pair of SAs of a client that had one in the same life, by time."""
    return reading.once(_rekeys)


def _rekeys(reading: Reading) -> tuple[Rekey, ...]:
    found = []
    for dial in (d for client in reading.clients for d in dials(reading, client)):
        found += [Rekey(dial.client, new.agreed, old.spis, new.spis) for old, new in pairwise(agreements(reading, dial))]
    return tuple(sorted(found, key=lambda r: (r.agreed.t, r.client)))


def agreements(reading: Reading, dial: Dial) -> list[Agreement]:
    """What each quick mode of a life agreed, by time."""
    pairs: dict[tuple[str, str], dict[str, str]] = {}
    lifetimes: dict[tuple[str, str], list[int]] = {}
    done = []
    for o in own_frames(reading, dial):
        key = (str(ike(o, "icookie")), str(ike(o, "message_id")))
        for p in ike(o, "proposals") or ():
            if ike(o, "message") in ("QM1", "QM2") and p.get("protocol") == "ESP":
                # An SPI is chosen by the one who will receive on it.
                way = "in" if reading.direction(o) == "up" else "out"
                pairs.setdefault(key, {})[way] = str(p.get("spi"))
            if ike(o, "message") == "QM2" and "lifetime_s" in p:
                lifetimes.setdefault(key, []).append(int(p["lifetime_s"]))
        lifetimes.setdefault(key, []).extend(_told_lifetimes(o))
        if ike(o, "message") == "QM3" and not ike(o, "retransmission") and len(pairs.get(key, {})) == 2:
            agreed = pairs.pop(key)
            done.append(Agreement(o, (agreed["in"], agreed["out"]), min(lifetimes.get(key, ()), default=None)))
    return done


def _told_lifetimes(o: Observation) -> list[int]:
    """What a responder that holds SAs for less long than was proposed tells the initiator, in seconds."""
    return [value for unit, value in _responder_lifetimes(o) if unit == SECONDS]


def told_kilobytes(o: Observation) -> int | None:
    """How many kilobytes a QM2 lets its SAs carry: the responder's own lower limit, else the transform's; None without either."""
    own = [value for unit, value in _responder_lifetimes(o) if unit == KILOBYTES]
    named = [int(p["lifetime_kb"]) for p in ike(o, "proposals") or () if p.get("lifetime_kb")]
    return min((*own, *named), default=None)


def _responder_lifetimes(o: Observation) -> Iterator[tuple[int, int]]:
    """(unit, value) of what a responder says that will not hold SAs for as long as was proposed (RFC 2407 section 4.6.3.1):
    attributes of two bytes' type and two bytes' value, or length and value where the type's first bit is not set."""
    for data in (bytes.fromhex(n.get("data") or "") for n in ike(o, "notifies") or () if n.get("type") == RESPONDER_LIFETIME):
        at, unit = 0, 0
        while at + 4 <= len(data):
            kind, short = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4])
            size = 0 if kind & 0x8000 else short
            value = int.from_bytes(data[at + 4 : at + 4 + size]) if size else short
            if kind & 0x7FFF == LIFE_TYPE:
                unit = value
            elif kind & 0x7FFF == LIFE_DURATION:
                yield unit, value
            at += 4 + size


def _alive(reading: Reading) -> tuple[Findings, dict[str, Life]]:
    f = Findings(ports={})
    _expect_renewed_in_time(f, reading)
    _expect_nobody_left_for_a_rekey(f, reading)
    expect_alive(f, reading, at_least=1, loss_budget=LOSS_BUDGET)
    return f, {c: life for c, life in trusted_lives(reading).items() if life.up is not None}


def _expect_carried_out(f: Findings, reading: Reading) -> None:
    """Every rekey that the scenario ordered came to its end: an order after which no new SA came is a rekey that failed."""
    for step in (s for kind in ("rekey-ipsec", "rekey-ike") for s in reading.steps(kind)):
        why = f": {step.detail['why']}" if "why" in step.detail else ""
        asked = f"{step.name}, begun by the {step.detail.get('by', 'client')}, brought no new SA{why}"
        f.expect(step.detail.get("carried_out") is not False, asked)


def _expect_renewed_in_time(f: Findings, reading: Reading) -> None:
    """No pair of SAs lapses beneath a client that is up: its successor is agreed within the lifetime that quick mode agreed."""
    for life in (one for one in every_life(reading) if one.up is not None):
        dial = next(d for d in dials(reading, life.client) if d.number == life.number)
        pairs = agreements(reading, dial)
        for one, after in zip(pairs, [*(p.agreed.t for p in pairs[1:]), life.end.t][: len(pairs)], strict=True):
            if one.lifetime_s is None:
                continue
            lapsed = f"{life.client}'s SA {one.spis[0]} was not renewed in the {one.lifetime_s} s that it had"
            f.expect(after < one.agreed.t + one.lifetime_s - LAPSE_S, lapsed, one.agreed, life.end.frame)


def _expect_nobody_left_for_a_rekey(f: Findings, reading: Reading) -> None:
    """A new SA of either phase is no reason for a client to give up its connection."""
    for life in (one for one in every_life(reading) if one.up is not None and one.left_by_itself):
        assert life.up is not None
        again = [*reading.ike_messages(life.client, "MM6", Side.INSIDE), *reading.ike_messages(life.client, "QM3", Side.INSIDE)]
        near = [o for o in again if life.up.t < o.t <= life.end.t <= o.t + AFTERMATH_S]
        f.expect(not near, f"{life.client} gave up its connection after a rekey", *near[-1:], life.end.frame)


def _expect_same_port(f: Findings, reading: Reading, client: str, since: list[float]) -> None:
    """One port before and after each of those moments, seen at L2TP after the last of them."""
    seen = ports_by_life(reading).get((client, latest(reading, client).number), {})
    f.facts.setdefault("ports", {})[client] = sorted(seen)
    first = next(iter(seen.values()), None)
    others = [o for port, o in seen.items() if o is not first]
    f.expect(len(seen) <= 1, f"{client} was known by {sorted(seen)}: its port did not outlive a rekey", *others)
    heard = [b.frame.t for b in at_boundary(reading) if b.client == client and b.direction == "up"]
    late = not since or (bool(heard) and heard[-1] > max(since))
    require(late or bool(f.faults), f"nothing of {client} was seen at L2TP after its last rekey")


def _expect_same_session(f: Findings, reading: Reading, client: str, life: Life) -> None:
    """Once up, nothing is set up anew, and every data message bears the numbers of the first."""
    assert life.up is not None
    numbers: dict[str, set[tuple[object, object]]] = {"up": set(), "down": set()}
    addresses: set[str] = set()
    for o in own_frames(reading, latest(reading, client)):
        direction = reading.direction(o)
        if o.t <= life.up.t or direction is None or o.inner is None:
            continue
        message = l2tp_message(o)
        f.expect(message not in ("SCCRQ", "ICRQ"), f"{client} set up a new {'tunnel' if message == 'SCCRQ' else 'session'}", o)
        if message is None and o.inner.l2tp is not None:
            numbers[direction].add((o.inner.l2tp.get("tunnel"), o.inner.l2tp.get("session")))
        if ppp(o) == ("IPCP", "Configure-Ack") and direction == "down":
            f.expect(False, f"{client}'s PPP address was negotiated anew", o)
        mark = mark_of(o)
        if mark is not None and direction == "up" and not mark.answer and o.inner.ppp is not None:
            addresses.add(str(o.inner.ppp.get("src")))
    for direction, seen in numbers.items():
        f.expect(len(seen) <= 1, f"{client}'s data going {direction} bore {len(seen)} pairs of tunnel and session numbers")
    f.expect(len(addresses) <= 1, f"{client} sent from {sorted(addresses)}: its PPP address did not outlive a rekey")
    f.facts.setdefault("ppp_addresses", {})[client] = sorted(addresses)


def _port_of_sa(reading: Reading) -> dict[str, dict[int, Observation]]:
    """SPI → the ports that questions which came on it had at L2TP, by the mark that both captures show."""
    came = {
        (m.owner, m.sequence): spi
        for o in carriers(reading, Side.OUTSIDE, "up")
        if (m := mark_of(o)) is not None and not m.answer and (spi := spi_of(o)) is not None
    }
    found: dict[str, dict[int, Observation]] = {}
    for b in at_boundary(reading):
        mark = mark_of(b.frame)
        spi = None if mark is None or mark.answer or b.direction != "up" else came.get((mark.owner, mark.sequence))
        if spi is not None:
            found.setdefault(spi, {}).setdefault(b.port, b.frame)
    return found
