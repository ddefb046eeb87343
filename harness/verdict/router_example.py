"""The document's example of `set nat demux`, a line at a time: what each makes of the wire and of the clients behind it."""

from __future__ import annotations

import ipaddress
from itertools import pairwise

from harness.model import Observation, RecordKind, Side, Verdict
from harness.verdict.dials import latest
from harness.verdict.findings import Findings, require
from harness.verdict.killer import deaths
from harness.verdict.reading import Reading, ike, l2tp_message, ppp
from harness.verdict.rekeying import Agreement, agreements
from harness.verdict.routers.reading import printed, rows
from harness.verdict.sites import parts
from harness.verdict.survival import SILENCE_MARKS, trusted_lives
from harness.verdict.trust import TRAFFIC, WIRE, Need, check

GATEWAY = "gateway"
LIFE_S, KEEPALIVE_S = 600, 3600
POOL = "20.0.0.100", "20.0.0.110"
EXCLUDED = "20.0.0.8", "20.0.0.10"
BEHIND_THE_ROUTE = "171.0.0.0/8"
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


STATIC_LIFE_S = 300


@check(*WIRE, Need.DECRYPTED)
def request_without_challenge_is_accepted(reading: Reading) -> Verdict:
    """SCCRQ without Challenge; SCCRP with neither Challenge nor Challenge Response; and the tunnel comes up."""
    return unproved(reading)


def unproved(reading: Reading) -> Verdict:
    """Of every client that asked for a tunnel."""
    f = Findings()
    for client in reading.clients:
        request, reply = (_control(reading, client, name) for name in ("SCCRQ", "SCCRP"))
        if request is None:
            continue
        require("Challenge" not in _avps(request), f"{client} asked the gateway to prove itself")
        if f.expect(reply is not None, f"{client}'s SCCRQ without Challenge was not answered by an SCCRP", request):
            assert reply is not None
            for name in ("Challenge", "Challenge Response"):
                f.expect(name not in _avps(reply), f"{client}'s SCCRP has a {name}", reply)
        f.expect(_control(reading, client, "ICRP") is not None, f"{client}'s tunnel carried no call", request)
    return f.verdict(f"{f.judged // 4} tunnels came up, and nobody asked for a proof")


def _control(reading: Reading, client: str, name: str) -> Observation | None:
    return next((o for o in reading.frames(Side.OUTSIDE) if l2tp_message(o) == name and reading.sa_owner(o) == client), None)


def _avps(o: Observation) -> frozenset[str]:
    return frozenset((o.inner.l2tp.get("avps") or {}) if o.inner is not None and o.inner.l2tp is not None else ())


@check(*WIRE, Need.DECRYPTED)
def chap_is_offered_first_and_pap_never(reading: Reading) -> Verdict:
    """Every client is offered CHAP first; one that refuses it by a Nak MS-CHAP next; one that takes PAP alone does not come up."""
    f = Findings(offered={})
    naked = set()
    for client in reading.clients:
        offers = _offers(reading, client)
        require(bool(offers), f"{client} was offered no authentication")
        kinds = list(dict.fromkeys(str(kind) for kind, _ in offers))
        f.facts["offered"][client] = kinds
        f.expect(kinds[0] == "chap-md5", f"{client} was offered {kinds[0]} first", offers[0][1])
        f.expect("pap" not in kinds, f"{client} was offered PAP", *(o for kind, o in offers if kind == "pap"))
        wanted, up = _naks(reading, client), bool(reading.records(client, RecordKind.PPP_UP))
        naked |= wanted
        if "mschap" in wanted:
            f.expect("mschap" in kinds, f"{client} asked for MS-CHAP by a Nak, and was not offered it", offers[-1][1])
            f.expect(up, f"{client} takes MS-CHAP, and did not come up", offers[-1][1])
        elif "pap" in wanted:
            f.expect(not up, f"{client} takes PAP alone, and came up", offers[-1][1])
        else:
            f.expect(up, f"{client} takes CHAP, and did not come up", offers[-1][1])
    require({"mschap", "pap"} <= naked or bool(f.faults), "no client refused CHAP for MS-CHAP, or none for PAP")
    return f.verdict(f"offered in this order: {f.facts['offered']}")


def _offers(reading: Reading, client: str) -> list[tuple[object, Observation]]:
    return _authentications(reading, client, "down", "Configure-Request")


def _naks(reading: Reading, client: str) -> set[str]:
    return {str(kind) for kind, _ in _authentications(reading, client, "up", "Configure-Nak")}


def _authentications(reading: Reading, client: str, direction: str, code: str) -> list[tuple[object, Observation]]:
    found = []
    for o in reading.way(Side.OUTSIDE, direction):
        if ppp(o) == ("LCP", code) and reading.sa_owner(o) == client and o.inner is not None and o.inner.ppp is not None:
            options = o.inner.ppp.get("options") or {}
            found += [(options["Authentication"], o)] if "Authentication" in options else []
    return found


@check(*TRAFFIC)
def pool_serves_as_many_as_it_has(reading: Reading) -> Verdict:
    """Eleven clients get the eleven addresses; the twelfth proves who it is, gets no address, and the others do not notice."""
    first, last = (int(ipaddress.IPv4Address(end)) for end in POOL)
    addresses = [str(ipaddress.IPv4Address(number)) for number in range(first, last + 1)]
    require(len(reading.clients) > len(addresses), f"{len(reading.clients)} clients do not exhaust the pool")
    lives = trusted_lives(reading)
    given = _given(reading)
    f = Findings(given=given)
    order = reading.arrivals()
    served, refused = order[: len(addresses)], order[len(addresses) :]
    require(len(order) > len(addresses), f"{len(order)} clients agreed an ESP SA: nobody came when the pool was empty")
    f.expect(sorted(given.values()) == sorted(addresses), f"given out were {sorted(given.values())}")
    killed = [death.victim for death in deaths(reading, lives)]
    end = max((step.ended for client in refused for step in reading.named(f"connect:{client}")), default=0.0)
    for client in served:
        f.expect(client in given, f"{client} came while there was an address, and got none")
        f.expect(client not in killed, f"{client} died when the pool was empty")
        after = [a for a in lives[client].asked if a.question.t > end]
        require(len(after) >= SILENCE_MARKS or client in killed or client not in given, f"{client} sent too little afterwards")
        f.expect(any(a.answer is not None for a in after) or client not in given, f"{client} was not answered afterwards")
    for client in refused:
        proved = [o for o in reading.way(Side.OUTSIDE, "down") if ppp(o) == ("CHAP", "Success") and reading.sa_owner(o) == client]
        require(bool(proved), f"{client} did not get as far as to ask for an address")
        f.expect(client not in given, f"{client} was given {given.get(client)}, though the pool was empty", *proved)
    return f.verdict(f"{len(served)} clients have the {len(addresses)} addresses of the pool, {', '.join(refused)} got none")


def _given(reading: Reading) -> dict[str, str]:
    """The PPP addresses that clients have, by the wire."""
    return {client: i.ppp_address for client, i in reading.identities.items() if i.ppp_address is not None}


@check(*WIRE, Need.DECRYPTED)
def excluded_addresses_are_given_to_nobody(reading: Reading) -> Verdict:
    """With the pool exhausted nobody has one of the addresses that are excluded from DHCP, nor is offered it in IPCP."""
    given = _given(reading)
    require(len(given) >= 11, f"{len(given)} clients have an address, so the pool was not exhausted")
    f = Findings(given=sorted(given.values()))
    for client, address in given.items():
        f.expect(address not in EXCLUDED, f"{client} has {address}, which is excluded")
    for o in reading.way(Side.OUTSIDE, "down"):
        if ppp(o) == ("IPCP", "Configure-Nak") and o.inner is not None and o.inner.ppp is not None:
            offered = (o.inner.ppp.get("options") or {}).get("IP-Address")
            f.expect(offered not in EXCLUDED, f"{reading.sa_owner(o)} was offered {offered}, which is excluded", o)
    return f.verdict(f"{len(given)} addresses were given out, none of them {' or '.join(EXCLUDED)}")


@check(*TRAFFIC)
def static_route_leads_to_the_end_host(reading: Reading) -> Verdict:
    """A host in the network of the static route answers every client."""
    network = ipaddress.IPv4Network(BEHIND_THE_ROUTE)
    f = Findings(answered={})
    for client, life in trusted_lives(reading).items():
        require(life.up is not None, f"{client} did not come up")
        there = [a for a in life.asked if _destination(a.question) in network]
        require(len(there) >= SILENCE_MARKS, f"{client} sent {len(there)} marks to a host behind the static route")
        answered = [a for a in there if a.answer is not None]
        f.facts["answered"][client] = f"{len(answered)} of {len(there)}"
        told = f"{client} was answered {len(answered)} of {len(there)} times from behind the route"
        f.expect(len(answered) >= len(there) - 1, told)
    return f.verdict(f"a host in {network} answered: {f.facts['answered']}")


def _destination(o: Observation) -> ipaddress.IPv4Address:
    said = o.inner.ppp.get("dst") if o.inner is not None and o.inner.ppp is not None else None
    return ipaddress.IPv4Address(str(said or "0.0.0.0"))
