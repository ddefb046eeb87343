"""The same example's lines on tunnels, PPP, addresses and routes: what becomes of the clients behind them."""

from __future__ import annotations

import ipaddress

from harness.model import Observation, RecordKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.killer import deaths
from harness.verdict.reading import Reading, l2tp_message, ppp
from harness.verdict.survival import SILENCE_MARKS, trusted_lives
from harness.verdict.trust import TRAFFIC, WIRE, Need, check

POOL = "20.0.0.100", "20.0.0.110"
EXCLUDED = "20.0.0.8", "20.0.0.10"
BEHIND_THE_ROUTE = "171.0.0.0/8"


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
