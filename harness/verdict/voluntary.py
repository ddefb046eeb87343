"""Clients that tunnel for themselves to an LNS whose group has a crypto profile: L2TP Security, the client-initiated example."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from harness.errors import Inconclusive
from harness.model import FrameKind, Observation, RecordKind, Side, Verdict
from harness.verdict.dials import latest, own_frames
from harness.verdict.findings import Findings, require
from harness.verdict.reading import Reading, deletes, ike, l2tp_message, spi_of
from harness.verdict.rekeying import Agreement, agreements, told_kilobytes
from harness.verdict.router_example import GATEWAY, expect_lives
from harness.verdict.router_sessions import unproved
from harness.verdict.routers.reading import rows, told
from harness.verdict.survival import trusted_lives
from harness.verdict.survivors import LOSS_BUDGET
from harness.verdict.trust import TRAFFIC, WIRE, Need, check

LIFE_S, SHORT_LIFE_S = 120, 100
REKEYS = 5
VOLUME_KB = 2560
DF_SIZES = 1400, 1420, 1460
IP_AND_TCP = 40
"""Bytes of the two headers that a TCP segment has before it."""
KILOBYTE = 1024
TUNNELLED = FrameKind.IKE, FrameKind.ESP, FrameKind.L2TP_CLEAR
PHASE_1, PHASE_2 = "show crypto isakmp sa", "show crypto ipsec sa"


@check(*(need for need in TRAFFIC if need is not Need.MARKS))
def client_comes_up_by_itself(reading: Reading) -> Verdict:
    """Each client has a tunnel and a call of its own making, and marked traffic both ways; nobody but the client, its NAT and the
    LNS sends or receives IKE, ESP or L2TP."""
    f = Findings(hosts={})
    lives = trusted_lives(reading)
    own = {plan.address for plan in reading.evidence.plans}
    inside, outside = own | {reading.evidence.gateway_address}, {reading.evidence.nat_outside, reading.evidence.gateway_address}
    for client, life in lives.items():
        f.expect(life.up is not None, f"{client} did not come up: {life.end.stage} incomplete")
        asked = _asked_for(reading, client, "SCCRQ")
        f.expect(len({_tunnel(o) for o in asked}) == 1, f"{client} asked for {len(asked)} tunnels", *asked)
        f.expect(any(a.answer is not None for a in life.asked), f"none of {client}'s marks was answered", life.up)
    for side, allowed in ((Side.INSIDE, inside), (Side.OUTSIDE, outside)):
        strangers = [o for o in reading.frames(side) if o.kind in TUNNELLED and not {o.src, o.dst} <= allowed]
        who = ", ".join(sorted({o.src for o in strangers} - allowed))
        f.expect(not strangers, f"{who} took part on the {side.value}", *strangers[:3])
    return f.verdict(f"{', '.join(lives)} came up by themselves; nobody else took part")


def _asked_for(reading: Reading, client: str, *what: str) -> list[Observation]:
    """A client's own requests."""
    own = own_frames(reading, latest(reading, client))
    return [o for o in own if l2tp_message(o) in what and reading.direction(o) == "up"]


def _tunnel(o: Observation) -> object:
    """By which number the client wants it, the same when it asks again."""
    return (o.inner.l2tp.get("avps") or {}).get("Assigned Tunnel ID") if o.inner is not None and o.inner.l2tp is not None else None


@check(*WIRE, Need.DECRYPTED)
def esp_without_authentication_carries_nothing(reading: Reading) -> Verdict:
    """Scenario "voluntary-bare": who offers ESP without authentication gets no SA, though a transform set of the profile is just
    that; who offers it with authentication is served."""
    offered: dict[str, set[bool]] = {}
    for client in reading.clients:
        first = reading.first_ike(client, "QM1")
        for p in (ike(first, "proposals") or ()) if first is not None else ():
            offered.setdefault(client, set()).add(bool(p.get("authentication")))
    bare = [client for client, kinds in offered.items() if kinds == {False}]
    sound = [client for client, kinds in offered.items() if kinds == {True}]
    require(bool(bare), "nobody offered ESP without authentication alone")
    require(any(reading.records(client, RecordKind.PPP_UP) for client in sound), "nobody came up who offered authentication")
    f = Findings(without=bare, with_it=sound)
    for client in bare:
        o = reading.first_ike(client, "QM2")
        f.expect(o is None, f"{client} was given ESP without authentication", o)
        carried = [o for o in reading.frames(Side.OUTSIDE) if o.kind is FrameKind.ESP and reading.sa_owner(o) == client]
        f.expect(not carried, f"{len(carried)} ESP packets of {client} bear no authentication", *carried[:3])
        f.expect(not reading.records(client, RecordKind.PPP_UP), f"{client} has a session without authentication")
    return f.verdict(f"{', '.join(bare)} got nothing without authentication, {', '.join(sound)} is served with it")


@check(*WIRE, Need.DECRYPTED)
def tunnel_needs_no_proof(reading: Reading) -> Verdict:
    """Without tunnel authentication an SCCRQ without Challenge makes a tunnel, and nobody is asked for a proof."""
    return unproved(reading)


@check(*TRAFFIC)
def session_outlives_its_sas(reading: Reading, *, rekeys: int = REKEYS) -> Verdict:
    """Quick mode agrees 120 s; through five and more rekeys tunnel, call and traffic go on."""
    f = Findings(rekeys={})
    for client in _watched(reading):
        made = agreements(reading, latest(reading, client))
        if _proposed(reading, client) <= LIFE_S:
            continue
        expect_lives(f, client, made, LIFE_S)
        f.facts["rekeys"][client] = len(made) - 1
        if len(made) <= rekeys:
            require(bool(f.faults), f"{client} went through {max(0, len(made) - 1)} rekeys, {rekeys} are needed")
            continue
        life = trusted_lives(reading)[client]
        again = _asked_for(reading, client, "SCCRQ", "ICRQ")
        f.expect(len(again) == 2, f"{client} asked {len(again)} times for a tunnel or a call", *again[2:])
        late = [a for a in life.asked if a.question.t > made[rekeys].agreed.t]
        require(bool(late), f"{client} sent nothing after {rekeys} rekeys")
        lost = [a for a in late if a.answer is None]
        few = len(lost) <= max(1, round(LOSS_BUDGET * len(late)))  # one may be under way as the client hangs up
        told = f"{client} was not answered {len(lost)} of {len(late)} times after {rekeys} rekeys"
        f.expect(few, told, *(a.question for a in lost[:3]))
    require(bool(f.facts["rekeys"]), f"nobody proposed more than {LIFE_S} s")
    return f.verdict(f"{LIFE_S} s agreed; the sessions outlived {f.facts['rekeys']} rekeys")


@check(*WIRE, Need.DECRYPTED)
def map_overrides_global_life(reading: Reading) -> Verdict:
    """The profile's 120 s are agreed, where the router's global life is 600 s and the client proposes more than either."""
    f = Findings(agreed={})
    for client in _watched(reading):
        proposed = _proposed(reading, client)
        if proposed <= GLOBAL_LIFE_S:
            continue
        made = agreements(reading, latest(reading, client))
        f.facts["agreed"][client] = sorted({one.lifetime_s for one in made if one.lifetime_s})
        for one in made:
            why = f"{client} proposed {proposed} s and was given {one.lifetime_s}, not the map's {LIFE_S}"
            f.expect(one.lifetime_s == LIFE_S, why, one.agreed)
    require(bool(f.facts["agreed"]), f"nobody proposed more than {GLOBAL_LIFE_S} s and agreed an SA")
    return f.verdict(f"{LIFE_S} s were agreed, not {GLOBAL_LIFE_S}")


GLOBAL_LIFE_S = 600


@check(*WIRE, Need.DECRYPTED, Need.PRINTED)
def shorter_life_of_the_peer_counts(reading: Reading) -> Verdict:
    """A client that proposes 100 s has SAs of 100 s, by the wire and by what the router shows, and new ones within that."""
    f = Findings(life={})
    listed = {sa.spi: sa.left_s for flow in rows(reading.evidence, GATEWAY, PHASE_2, "up") for sa in flow.sas}
    for client in _watched(reading):
        proposed = _proposed(reading, client)
        if not 0 < proposed < LIFE_S:
            continue
        made = agreements(reading, latest(reading, client))
        expect_lives(f, client, made, proposed)
        require(len(made) > 2 or bool(f.faults), f"{client} was not watched for two lifetimes")
        f.facts["life"][client] = proposed
        left = [listed[spi] for one in made[:1] for spi in one.spis if spi in listed]
        f.expect(bool(left), f"the router lists no SA of {client}", *(one.agreed for one in made[:1]))
        f.expect(all(s is not None and s <= proposed for s in left), f"the router gives {client}'s SAs {left} s, not {proposed}")
    require(bool(f.facts["life"]), f"nobody proposed less than the {LIFE_S} s of the router")
    return f.verdict(f"the shorter life is in force: {f.facts['life']} s")


def _watched(reading: Reading) -> list[str]:
    """The clients that a script has kept for longer than their SAs live."""
    return [client for client in reading.clients if reading.step(f"vanish:{client}") is None]


def _proposed(reading: Reading, client: str) -> int:
    return min(int(p.get("lifetime_s") or 0) for p in _offer(reading, client))


def _offer(reading: Reading, client: str) -> list[dict[str, Any]]:
    """What a client's first quick mode proposes."""
    first = reading.first_ike(client, "QM1")
    if first is None or not ike(first, "proposals"):
        raise Inconclusive(f"{client} asked for no ESP SA")
    return list(ike(first, "proposals"))


@check(*TRAFFIC)
def volume_ends_an_sa(reading: Reading, *, volume_kb: int = VOLUME_KB) -> Verdict:
    """The router tells how many kilobytes an SA may carry; the client has another before it has carried them, long before its time
    is up; and no SA carries more."""
    f = Findings(carried={})
    for client in reading.clients:
        made = agreements(reading, latest(reading, client))
        require(bool(made), f"{client} agreed no ESP SA")
        proposed = {int(p.get("lifetime_kb") or 0) for p in _offer(reading, client)}
        require(min(proposed) > volume_kb, f"{client} proposed {proposed} kB, so that {volume_kb} kB were not the router's doing")
        for one in made:
            reply = _reply(reading, client, one)
            f.expect(told_kilobytes(reply) == volume_kb, f"{client} was told of {told_kilobytes(reply)} kB, not {volume_kb}", reply)
        carried = [max(_octets(reading, spi) for spi in one.spis) for one in made]
        f.facts["carried"][client] = carried
        require(sum(carried) > 0.8 * volume_kb * KILOBYTE, f"{client}'s SAs carried {sum(carried)} octets: too little to end one")
        f.expect(len(made) > 1, f"{client}'s SA carried {carried[0]} octets, and no other took its place", made[0].agreed)
        for octets, one in zip(carried, made, strict=True):
            f.expect(octets <= volume_kb * KILOBYTE, f"{client}'s SA {one.spis[0]} carried {octets} octets", one.agreed)
        for one, after in pairwise(made):
            took = after.agreed.t - one.agreed.t
            long = one.lifetime_s or 0
            require(took < long / 2, f"{client}'s SA was renewed after {took:.0f} s of {long}: that may have been for its time")
        f.expect(trusted_lives(reading)[client].up is not None, f"{client} did not come up")
    return f.verdict(f"{volume_kb} kB told and kept to; octets of each SA: {f.facts['carried']}")


def _reply(reading: Reading, client: str, one: Agreement) -> Observation:
    found = [o for o in reading.ike_messages(client, "QM2") if ike(o, "message_id") == ike(one.agreed, "message_id")]
    require(bool(found), f"the QM2 of {client}'s SA {one.spis[0]} was not seen")
    return found[0]


def _octets(reading: Reading, spi: str) -> int:
    """What an SA has carried, by the lengths of its packets: more than is counted against its life, since headers are in it."""
    return sum(o.length for o in reading.frames(Side.OUTSIDE) if spi_of(o) == spi)


@check(*WIRE, Need.DECRYPTED)
def no_size_is_swallowed(reading: Reading, *, sizes: tuple[int, ...] = DF_SIZES) -> Verdict:
    """A packet that must not be fragmented either reaches the client, which answers, or its sender is told how much would fit, and
    what fits is answered. What a TCP segment may hold by that is kept as a fact."""
    asked = told(reading.evidence, "pinged")
    answered = {int(one.data["size"]): bool(one.data["answered"]) for one in asked}
    through = [size for size, there in answered.items() if there]
    require(bool(through), "the host was never answered, so that nothing shows that it could be")
    missing = sorted(set(sizes) - answered.keys())
    require(not missing, f"no packets of {missing} bytes were sent")
    in_udp = any(o.kind is FrameKind.ESP and o.sport is not None for o in reading.frames(Side.OUTSIDE))
    require(in_udp, "no ESP was in UDP, so there was no overhead of NAT traversal")
    f = Findings(answered=answered, told={}, largest=max(through), tcp_mss=max(through) - IP_AND_TCP)
    for one in asked:
        size, there = int(one.data["size"]), bool(one.data["answered"])
        errors = [int(error.data["mtu"]) for error in told(reading.evidence, "unreachable") if error.t == one.t]
        f.expect(there or bool(errors), f"{size} bytes were swallowed: neither an answer nor an error came back")
        if errors and not there:
            f.facts["told"][size] = errors[0]
            f.expect(0 < errors[0] < size, f"the sender of {size} bytes was told that {errors[0]} would fit")
            f.expect(answered.get(errors[0], False), f"{errors[0]} bytes, which were to fit, were not answered")
    return f.verdict(f"up to {max(through)} bytes reach the client; above that the sender is told what fits: {f.facts['told']}")


@check(*WIRE, Need.DECRYPTED, Need.PRINTED)
def nothing_is_left_after_the_tunnel(reading: Reading) -> Verdict:
    """When a client has hung up there is neither phase 1 nor phase 2 with it; when it is lost without a word, the LNS itself
    deletes both as its tunnel ends. Before that both were there."""
    f = Findings()
    for table in (PHASE_1, PHASE_2):
        there = _listed(reading, table, "up")
        require(bool(there), f"`{table}` shows nothing of clients that are up, so an empty one says nothing")
        for label in ("hung up", "lost"):
            left = _listed(reading, table, label)
            f.expect(not left, f"`{table}` still shows {len(left)} rows after a client was {label}")
    for step in reading.steps("vanish"):
        client = step.clients[0]
        require(step.detail.get("carried_out") is not False, f"{client} was not up when it was to vanish")
        gone = {
            kind
            for o in reading.frames(Side.OUTSIDE)
            if o.t > step.began and reading.ike_owner(o) == client and reading.direction(o) == "down"
            for kind in deletes(o)
        }
        for kind, phase in (("esp", 2), ("isakmp", 1)):
            f.expect(kind in gone, f"the LNS sent {client} no Delete of phase {phase} when its tunnel had ended")
    require(bool(reading.steps("vanish")) and bool(reading.steps("client-close")), "nobody hung up, or nobody was lost")
    return f.verdict("after a tunnel neither phase is left, and to who was lost Deletes of both went")


def _listed(reading: Reading, command: str, label: str) -> list[object]:
    """What is there: of phase 1 that which is up, of phase 2 flows with SAs."""
    found = rows(reading.evidence, GATEWAY, command, label)
    return [row for row in found if (row.sas if command == PHASE_2 else row.state == "QM_IDLE")]
