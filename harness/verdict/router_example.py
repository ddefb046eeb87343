"""The document's example of `set nat demux`, a line at a time: what those on IKE and IPsec make of the wire."""

from __future__ import annotations

from itertools import pairwise

from harness.model import Observation, RecordKind, Side, Verdict
from harness.verdict.dials import latest
from harness.verdict.findings import Findings, require
from harness.verdict.reading import Reading, ike
from harness.verdict.rekeying import Agreement, agreements
from harness.verdict.routers.reading import printed, rows
from harness.verdict.sites import parts
from harness.verdict.trust import WIRE, Need, check

GATEWAY = "gateway"
LIFE_S, STATIC_LIFE_S, KEEPALIVE_S = 600, 300, 3600
NAMED = "w2k01"
SHOW_SAS = "show crypto ipsec sa"

R_U_THERE, R_U_THERE_ACK = 36136, 36137
DEAD_PEER_DETECTION = "afcad71368a1f1c96b8696fc77570100"
"""Numbers, and the vendor ID, of RFC 3706."""
EARLY_S = 1.0
"""A timer may fire, and a frame be stamped, by so much sooner."""


@check(*WIRE, Need.DECRYPTED, Need.PRINTED)
def listed_sas_are_those_of_the_wire(reading: Reading) -> Verdict:
    """`show crypto ipsec sa` with two clients: for each a flow with the very SPIs of its quick mode, one inbound and one outbound,
    in UDP-encapsulated transport mode, with no more than 600 s to live."""
    said = printed(reading.evidence, GATEWAY, SHOW_SAS, "two")
    flows = [flow for flow in rows(reading.evidence, GATEWAY, SHOW_SAS, "two") if flow.sas]
    f = Findings(flows=len(flows))
    for client in reading.clients:
        known = [one for one in agreements(reading, latest(reading, client)) if one.agreed.t < said.t]
        require(len(known) == 1, f"{client} had agreed {len(known)} pairs of SAs when the router was asked")
        towards_client, towards_gateway = known[0].spis
        own = [flow for flow in flows if towards_gateway in [sa.spi for sa in flow.sas]]
        if not f.expect(len(own) == 1, f"{client}'s SA {towards_gateway} is in {len(own)} flows", known[0].agreed):
            continue
        found = sorted((sa.direction, sa.spi) for sa in own[0].sas if sa.protocol == "esp")
        wanted = [("inbound", towards_gateway), ("outbound", towards_client)]
        f.expect(found == wanted, f"{client} has the SAs {found} in the list and {wanted} on the wire", known[0].agreed)
        for sa in own[0].sas:
            name, right = f"{client}'s SA {sa.spi}", {"Transport", "UDP-Encaps"} <= set(sa.settings)
            f.expect(right, f"{name} is listed as {', '.join(sa.settings)}")
            f.expect(sa.left_s is not None and 0 < sa.left_s <= LIFE_S, f"{name} has {sa.left_s} s left of {LIFE_S}")
    f.expect(len(flows) == len(reading.clients), f"{len(flows)} flows have SAs, and there are {len(reading.clients)} clients")
    return f.verdict(f"{len(flows)} clients, each with one SA either way, by the SPIs of the wire, at most {LIFE_S} s to live")


@check(*WIRE, Need.DECRYPTED)
def configured_life_is_agreed_and_renewed_in_time(reading: Reading, *, life_s: int = LIFE_S) -> Verdict:
    """Quick mode agrees 600 s with clients that propose more, and every pair has its successor before its end."""
    f = Findings(renewals={})
    for client in reading.clients:
        _expect_proposed_more(reading, client, life_s)
        made = agreements(reading, latest(reading, client))
        expect_lives(f, client, made, life_s)
        require(len(made) > 2 or bool(f.faults), f"{client} was not watched for two lifetimes")
        f.facts["renewals"][client] = [round(after.agreed.t - one.agreed.t, 1) for one, after in pairwise(made)]
    return f.verdict(f"{life_s} s agreed, and renewed after {f.facts['renewals']} s")


def _expect_proposed_more(reading: Reading, client: str, life_s: int) -> None:
    first = reading.first_ike(client, "QM1")
    offered = [int(p.get("lifetime_s") or 0) for p in ike(first, "proposals") or ()] if first is not None else []
    more = bool(offered) and min(offered) > life_s
    require(more, f"{client} proposed {offered} s, so that {life_s} s were not the router's doing")


def expect_lives(f: Findings, client: str, made: list[Agreement], life_s: int) -> None:
    """Each pair is for so long, and the next one is agreed within it."""
    for one in made:
        given = f"{client}'s SA {one.spis[0]} was agreed for {one.lifetime_s} s, not {life_s}"
        f.expect(one.lifetime_s == life_s, given, one.agreed)
    for one, after in pairwise(made):
        late = after.agreed.t - one.agreed.t
        f.expect(late < life_s, f"{client}'s SA {one.spis[0]} was renewed after {late:.0f} s, and it lived {life_s}", after.agreed)


@check(*WIRE, Need.DECRYPTED)
def dead_peer_detection_keeps_its_interval(reading: Reading) -> Verdict:
    """A client that says nothing is asked whether it is there no more often than every 3600 s. What is asked again for want of an
    answer does not count."""
    f = Findings(asked_after_s={})
    for client in reading.clients:
        first = reading.first_ike(client, "MM1")
        told = first is not None and DEAD_PEER_DETECTION in (ike(first, "vendor_ids") or ())
        require(told, f"{client} does not announce Dead Peer Detection, so nobody may ask it")
        questions = _questions(reading, client)
        require(len(questions) >= 2, f"{client} was asked {len(questions)} times whether it is there: no interval can be seen")
        gaps = [after.t - one.t for one, after in pairwise(questions)]
        f.facts["asked_after_s"][client] = [round(gap, 1) for gap in gaps]
        for gap, question in zip(gaps, questions[1:], strict=True):
            f.expect(gap >= KEEPALIVE_S - EARLY_S, f"{client} was asked again after {gap:.0f} s, not {KEEPALIVE_S}", question)
    return f.verdict(f"asked after {f.facts['asked_after_s']} s")


def _questions(reading: Reading, client: str) -> list[Observation]:
    """Those of the gateway's before which the last one had been answered."""
    found: list[Observation] = []
    answered = True
    for o in reading.frames(Side.OUTSIDE):
        kinds = {n.get("type") for n in ike(o, "notifies") or ()} if reading.ike_owner(o) == client else set()
        if R_U_THERE in kinds and reading.direction(o) == "down":
            found += [o] if answered else []
            answered = False
        answered |= R_U_THERE_ACK in kinds and reading.direction(o) == "up"
    return found


@check(*WIRE, Need.DECRYPTED)
def wildcard_key_is_for_everybody_who_has_it(reading: Reading) -> Verdict:
    """Clients at different addresses authenticate by the one key; a client with another key gets to MM5 and no further."""
    plans = [plan for plan in reading.evidence.plans if not plan.personality.startswith("named")]
    right = [plan.name for plan in plans if plan.psk == plans[0].psk]
    wrong = [plan.name for plan in plans if plan.psk != plans[0].psk]
    f = Findings(right=right, wrong=wrong)
    seen = {first.src for client in right if (first := reading.first_ike(client, "MM1")) is not None}
    require(len(seen) >= 2, f"those with the key came from {sorted(seen)}: two addresses are needed")
    require(bool(wrong), "no client had another key")
    for client in right:
        f.expect(reading.first_ike(client, "MM6") is not None, f"{client} has the key, and its main mode was not completed")
        f.expect(reading.first_ike(client, "QM3") is not None, f"{client} has the key, and agreed no ESP SA")
    for client in wrong:
        proof = reading.first_ike(client, "MM5")
        require(proof is not None, f"{client} did not come to MM5, so its key was not put to the test")
        for message in ("MM6", "QM1"):
            o = reading.first_ike(client, message)
            f.expect(o is None, f"{client} has another key, and there was {message}", o)
        f.expect(not reading.records(client, RecordKind.PPP_UP), f"{client} has another key, and came up", proof)
    return f.verdict(f"{', '.join(right)} at {len(seen)} addresses authenticate by the key, {', '.join(wrong)} ends at MM5")


@check(*WIRE, Need.DECRYPTED)
def named_key_is_for_that_name(reading: Reading) -> Verdict:
    """A client that says in aggressive mode that it is w2k01 authenticates by that name's key. In main mode, where a key is needed
    before a name is said, how it fared is kept as a fact."""
    f = Findings(main_mode={})
    other = next((plan.psk for plan in reading.evidence.plans if not plan.personality.startswith("named")), None)
    judged = []
    for plan in (one for one in reading.evidence.plans if one.personality.startswith("named")):
        first, up = reading.first_ike(plan.name, "AM1"), bool(reading.records(plan.name, RecordKind.PPP_UP))
        require(plan.psk != other, f"{plan.name} has everybody's key, so that nothing shows which one was taken")
        if first is None:
            f.facts["main_mode"][plan.name] = "came up" if up else "did not come up"
            continue
        said = {str(i.get("value")) for i in ike(first, "ids") or () if "FQDN" in str(i.get("type"))}
        require(said == {NAMED}, f"{plan.name} said that it is {', '.join(said) or 'nobody'}, not {NAMED}")
        judged.append(plan.name)
        agreed = reading.first_ike(plan.name, "QM3") is not None
        f.expect(agreed, f"{plan.name} has the key of {NAMED}, and agreed no ESP SA", first)
        f.expect(up, f"{plan.name} has the key of {NAMED}, and did not come up", first)
    require(bool(judged), f"no client said in time that it is {NAMED}")
    return f.verdict(f"{', '.join(judged)} authenticates as {NAMED} by the key of that name; in main mode: {f.facts['main_mode']}")


@check(*WIRE, Need.DECRYPTED)
def transform_of_the_set_is_chosen(reading: Reading) -> Verdict:
    """QM2 has 3DES with SHA-1, and nothing else, though a client would rather have another."""
    asked = {client: o for client in reading.clients if (o := reading.first_ike(client, "QM1")) is not None}
    offered = {client: [p.get("encryption") for p in ike(o, "proposals") or ()] for client, o in asked.items()}
    require(any(row and row[0] != "3des" for row in offered.values()), f"nobody would rather have another than 3DES: {offered}")
    f = Findings(offered=offered)
    for client in offered:
        o = reading.first_ike(client, "QM2")
        chosen = [(p.get("encryption"), p.get("authentication")) for p in ike(o, "proposals") or ()] if o is not None else []
        f.expect(chosen == [("3des", "sha1")], f"{client} was given {chosen or 'nothing'}, not 3DES with SHA-1", o)
    return f.verdict(f"3DES with SHA-1 was chosen from {offered}")


@check(*WIRE, Need.DECRYPTED)
def dynamic_entry_comes_last(reading: Reading) -> Verdict:
    """Scenario "map-order": the client whom the static entry of number 5 is for gets the life that stands there, though the dynamic
    entry of number 6000 would serve it too, as it serves the other client."""
    sites = [Reading(part) for part in parts(reading.evidence).values()]
    lives = {client: agreements(site, latest(site, client)) for site in sites for client in site.clients}
    require(all(lives.values()), "not every client agreed an ESP SA")
    behind = {plan.name for plan in reading.evidence.plans if plan.site == 1}
    require(bool(behind) and behind != set(lives), "both kinds of client are needed: whom the static entry is for, and others")
    f = Findings(life_s={client: made[0].lifetime_s for client, made in lives.items()})
    for client, made in lives.items():
        number, wanted = (5, STATIC_LIFE_S) if client in behind else (6000, LIFE_S)
        told = f"{client} was given {made[0].lifetime_s} s: entry {number}, with {wanted} s, is the first that is for it"
        f.expect(made[0].lifetime_s == wanted, told, made[0].agreed)
    return f.verdict(f"the static entry goes before the dynamic one: {f.facts['life_s']} s")
