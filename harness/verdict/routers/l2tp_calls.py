"""Which calls a LAC tunnels, to whom and under which name, and what the LNS does with them: tunnels, passwords, LCP, addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from ipaddress import IPv4Address

from harness.model import Evidence, FrameKind, Observation, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.l2tp_world import LAC, LNS, LNS_2, POOL, TUNNEL_PASSWORD, Call, calls, clear, of_tunnels
from harness.verdict.routers.reading import avp, frames, header_of, l2tp, ppp, ppp_of, printed, rows, step, told

IPSEC = ("50", "51")  # ESP and AH, by IP protocol number
IPSEC_PORTS = frozenset(("500", "4500", "1701"))
PROXY_CHAP = 2  # Proxy Authen Type, RFC 2661 §4.4.5
VPDN_EVENT = "%VPDN-"
CLIENT_LINES = ("ip address negotiated", "encapsulation ppp", "clockrate 128000", "no cdp enable")
DEFAULT_POOL = ("172.16.2.10", "172.16.2.11")
"""Both ends of the pool "default" in the script l2tp-pool."""


@check(Side.OUTSIDE, decrypted="esp")
def call_end_to_end(evidence: Evidence) -> Verdict:
    """SEC-01: a dialled call has PPP, an address of the pool, and one tunnel with one session, as the wire and both routers say."""
    (call,) = calls(evidence, 1)
    found = Findings(address=None if call.up is None else call.up.data["address"])
    if not found.expect(call.up is not None, f"PPP of {call.name} did not come up") or call.up is None:
        return found.verdict("")
    found.expect(_within(str(call.up.data["address"]), POOL), f"{call.up.data['address']} is no address of the pool")
    found.expect(call.alive, f"the LNS does not answer {call.name}")
    asked = {avp(frame, "Assigned Tunnel ID") for frame in l2tp(evidence, "SCCRQ", src=LAC)}
    given = {avp(frame, "Assigned Tunnel ID") for frame in l2tp(evidence, "SCCRP", src=LNS)}
    placed = {avp(frame, "Assigned Session ID") for frame in l2tp(evidence, "ICRQ", src=LAC)}
    taken = {avp(frame, "Assigned Session ID") for frame in l2tp(evidence, "ICRP", src=LNS)}
    found.expect(
        len(asked) == len(given) == 1, f"the wire has {len(asked)} requests for tunnels, and {len(given)} that are accepted"
    )
    found.expect(len(placed) == len(taken) == 1, f"the wire has {len(placed)} calls, and {len(taken)} that are accepted")
    for device, tunnels, sessions in (("lac", asked, placed), ("lns", given, taken)):
        shown = rows(evidence, device, "show vpdn", "up")
        for what, kind, ids in (("tunnel", "VpdnTunnel", tunnels), ("session", "VpdnSession", sessions)):
            told_of = {row.local_id for row in shown if type(row).__name__ == kind}
            found.expect(told_of == ids, f"{device} shows the {what} {sorted(told_of)}, on the wire it is {sorted(map(str, ids))}")
    return found.verdict(f"{call.name} has {call.up.data['address']}, by one tunnel with one session")


@check(Side.OUTSIDE)
def caller_unaware(evidence: Evidence) -> Verdict:
    """SEC-03: what comes to the caller on its line is PPP with neither IPsec nor L2TP in it, though its call is carried in both."""
    (call,) = calls(evidence, 1)
    require(call.alive, "no call came up and carried anything")
    require(bool(frames(evidence, FrameKind.ESP)), "the call was not protected, so the caller might have been told of nothing")
    heard = told(evidence, "line", call.name)
    require(bool(heard) and bool(heard[-1].data["carried"]), "nothing is known of what the caller heard on its line")
    found = Findings(protocols=dict(heard[-1].data["protocols"]), carried=dict(heard[-1].data["carried"]))
    for what in heard[-1].data["carried"]:
        protocol, *ports = str(what).split()
        found.expect(protocol not in IPSEC and not IPSEC_PORTS & set(ports), f"the caller was sent IPsec or L2TP: {what}")
    return found.verdict("the caller's line has PPP alone, without IPsec or L2TP in it")


@check(Side.OUTSIDE, decrypted="esp")
def domain_selects_the_tunnel(evidence: Evidence) -> Verdict:
    """SEC-04: a user of the group's domain is tunnelled, one of another domain is not."""
    other, ours, *_ = calls(evidence, 2)
    heard = told(evidence, "line", other.name)
    asked = {"0xc223", "0xc023"} & set(heard[-1].data["protocols"] if heard else ())  # CHAP and PAP
    require(bool(asked), f"{other.name} was not asked for its name, so nothing could be known of its domain")
    found = Findings(tunnelled=ours.user, not_tunnelled=other.user)
    for frame in of_tunnels(evidence, since=other.since, until=other.until, src=LAC):
        found.expect(False, f"the LAC sent {frame.kind.value} for {other.user}", frame)
    found.expect(_placed(evidence, ours) == 1, f"{_placed(evidence, ours)} calls were placed for {ours.user}")
    found.expect(ours.alive, f"{ours.user} has no connection")
    return found.verdict(f"{ours.user} is tunnelled, {other.user} is not")


@check(Side.OUTSIDE, decrypted="esp")
def several_domains(evidence: Evidence) -> Verdict:
    """SEC-05: with two `domain` lines the users of both are tunnelled."""
    *_, second, first = calls(evidence, 4)
    require(second.user != first.user, "both calls are of one domain")
    found = Findings(users=[second.user, first.user])
    for call in (second, first):
        found.expect(_placed(evidence, call) == 1, f"{_placed(evidence, call)} calls were placed for {call.user}")
        found.expect(call.alive, f"{call.user} has no connection")
    return found.verdict(f"{second.user} and {first.user} are tunnelled")


@check(Side.OUTSIDE)
def initiates_to_the_address(evidence: Evidence) -> Verdict:
    """SEC-06: the LAC's tunnels go to the address of `initiate-to ip`, and to another one when that line names another."""
    found = Findings()
    for call, address in zip(calls(evidence, 2), (LNS, LNS_2), strict=False):
        sent = of_tunnels(evidence, since=call.since, until=call.until, src=LAC)
        require(any(frame.kind is FrameKind.ESP for frame in sent), f"the LAC sent nothing for {call.name}")
        for frame in sent:
            found.expect(frame.dst == address, f"{frame.kind.value} of {call.name} went to {frame.dst}, not to {address}", frame)
        found.expect(call.alive, f"{call.name} has no connection")
    return found.verdict("each tunnel went to the address that the group named")


@check(Side.OUTSIDE, decrypted="esp")
def tunnel_bears_the_local_name(evidence: Evidence) -> Verdict:
    """SEC-07: the Host Name of the SCCRQ is the group's `local name`, which is not the router's."""
    found = Findings()
    for call, name in zip(calls(evidence, 3), ("LAC", "OTHER", "OTHER"), strict=False):
        asked = l2tp(evidence, "SCCRQ", since=call.since, until=call.until, src=LAC)
        require(bool(asked) or bool(found.faults), f"the LAC asked for no tunnel for {call.name}")
        for frame in asked:
            said = avp(frame, "Host Name")
            found.expect(said == name, f"the tunnel for {call.name} bears the name {said}, not {name}", frame)
    return found.verdict("the LAC's tunnels bear the name that the group has")


@check(Side.OUTSIDE, decrypted="esp")
def other_names_are_refused(evidence: Evidence) -> Verdict:
    """SEC-08: a LAC of another name than `terminate-from hostname` has no tunnel; of that name it has one."""
    before, other, after = calls(evidence, 3)[:3]
    require(before.alive and after.alive, "no tunnel of the name that the LNS terminates came up")
    found = _refused(evidence, other, "of another name")
    return found.verdict("the LNS has tunnels for the one name alone")


@check(Side.OUTSIDE, decrypted="esp")
def tunnel_authentication(evidence: Evidence) -> Verdict:
    """SEC-09: each end challenges the other, and is answered with the MD5 of message type, password and challenge (RFC 2661
    §5.1.1)."""
    (call,) = calls(evidence, 1)
    found = Findings()
    sent = {name: l2tp(evidence, name) for name in ("SCCRQ", "SCCRP", "SCCCN")}
    for name, frames_of in sent.items():
        require(bool(frames_of), f"there is no {name} on the wire")
    for question, answer, kind in (("SCCRQ", "SCCRP", 2), ("SCCRP", "SCCCN", 3)):
        challenge, response = avp(sent[question][0], "Challenge"), avp(sent[answer][0], "Challenge Response")
        if not found.expect(bool(challenge), f"the {question} has no Challenge", sent[question][0]):
            continue
        wanted = hashlib.md5(bytes([kind]) + TUNNEL_PASSWORD + bytes.fromhex(challenge), usedforsecurity=False).hexdigest()
        found.expect(response == wanted, f"the {answer} does not prove the password", sent[answer][0])
    found.expect(call.alive, "the tunnel carries no call")
    return found.verdict("both ends proved the tunnel's password, and the tunnel carries a call")


@check(Side.OUTSIDE, decrypted="esp")
def wrong_tunnel_password(evidence: Evidence) -> Verdict:
    """SEC-10: with different passwords there is a StopCCN and no session; with the same there is a call."""
    wrong, right = calls(evidence, 2)[:2]
    require(right.alive, "no call came up with the right password either")
    found = _refused(evidence, wrong, "with the wrong password")
    stops = l2tp(evidence, "StopCCN", since=wrong.since, until=right.since)
    found.expect(bool(stops), "nobody ended the tunnel with a StopCCN")
    found.facts["result"] = [avp(frame, "Result Code") for frame in stops]
    return found.verdict("a tunnel with the wrong password is ended by a StopCCN, before there is a session")


@check(Side.OUTSIDE, decrypted="esp")
def lcp_is_always_begun_again(evidence: Evidence) -> Verdict:
    """SEC-12: with `lcp renegotiation always` the LNS begins LCP again in every call."""
    found = Findings()
    for call in calls(evidence, 6)[3:5]:
        found.expect(_restarts(evidence, call) > 0, f"the LNS took over the LAC's LCP in {call.name}")
        found.expect(call.alive, f"{call.name} has no connection")
    return found.verdict("the LNS began LCP again in every call")


@check(Side.OUTSIDE, decrypted="esp")
def lcp_is_begun_again_on_mismatch(evidence: Evidence) -> Verdict:
    """SEC-13: with `on-mismatch` LCP is begun again where the LNS wants another authentication than the LAC has agreed on, and not
    where it wants the same."""
    before, other, after, *_ = calls(evidence, 6)
    agreed = l2tp(evidence, "ICCN", since=other.since, until=other.until, src=LAC)
    require(bool(agreed) and avp(agreed[0], "Proxy Authen Type") == PROXY_CHAP, "the LAC had not agreed on CHAP with the caller")
    found = Findings()
    asked = ppp(evidence, "LCP", "Configure-Request", since=other.since, until=other.until, src=LNS)
    found.expect(bool(asked), f"the LNS took over an LCP that does not fit, in {other.name}")
    require(
        not asked or _asks_for(asked[0]).startswith("pap"), "the LNS did not ask for PAP, so its LCP was no other than the LAC's"
    )
    for call in (before, after):
        found.expect(_restarts(evidence, call) == 0, f"the LNS began LCP again though it fits, in {call.name}")
    for call in (before, other, after):
        found.expect(call.alive, f"{call.name} has no connection")
    return found.verdict("the LNS began LCP again where it did not fit, and only there")


@check(Side.OUTSIDE, decrypted="esp")
def lcp_is_taken_over(evidence: Evidence) -> Verdict:
    """SEC-14: without renegotiation the LNS goes on with the LCP that the LAC hands over in the ICCN."""
    call = calls(evidence, 6)[5]
    agreed = l2tp(evidence, "ICCN", since=call.since, until=call.until, src=LAC)
    require(bool(agreed) and bool(avp(agreed[0], "Last Sent LCP CONFREQ")), "the LAC has handed over no LCP")
    found = Findings()
    found.expect(_restarts(evidence, call) == 0, f"the LNS began LCP again in {call.name}")
    found.expect(call.alive, f"{call.name} has no connection")
    return found.verdict("the LNS went on with the LAC's LCP")


@check(Side.OUTSIDE, decrypted="esp")
def addresses_from_the_local_pool(evidence: Evidence) -> Verdict:
    """SEC-15: with `ip address-pool local` IPCP gives each caller an address of the router's pool, and each another one."""
    found = Findings(pool=list(DEFAULT_POOL))
    given = []
    for call in calls(evidence, 2):
        if not found.expect(call.up is not None, f"{call.name} has no address") or call.up is None:
            continue
        address = str(call.up.data["address"])
        given.append(address)
        acknowledged = [
            ppp_of(frame).get("options", {}).get("IP-Address")
            for frame in ppp(evidence, "IPCP", "Configure-Ack", since=call.since, until=call.until, src=LNS)
        ]
        found.expect(address in acknowledged, f"the LNS acknowledged {acknowledged} to {call.name}, which has {address}")
        found.expect(_within(address, DEFAULT_POOL), f"{address} of {call.name} is not of the pool")
        found.expect(call.alive, f"the LNS does not answer {call.name} at {address}")
    found.expect(len(set(given)) == len(given), f"two callers were given one address: {given}")
    return found.verdict(f"the callers have {' and '.join(given)} of the router's pool")


@check()
def events_are_not_logged(evidence: Evidence) -> Verdict:
    """SEC-16: with `no vpdn logging` no event of a call is logged, of which some are with `vpdn logging`."""
    found = Findings()
    up, down = {one.who for one in told(evidence, "up")}, {one.who for one in told(evidence, "down")}
    require(len(up & down) == 2, "there was not a whole call in both cases")
    with_log, without = step(evidence, "vpdn logging"), step(evidence, "no vpdn logging")
    said = [one.line for one in evidence.logged if with_log.began <= one.t <= with_log.ended and VPDN_EVENT in one.line]
    require(bool(said), "no event of a call is logged, whatever is configured")
    still = [one.line for one in evidence.logged if without.began <= one.t <= without.ended and VPDN_EVENT in one.line]
    found.expect(not still, f"logged in spite of it: {'; '.join(still[:3])}")
    return found.verdict(f"{len(said)} events of a call are logged with `vpdn logging`, and none without it")


@check()
def client_configuration_loads(evidence: Evidence) -> Verdict:
    """SEC-17: the lines of the document's client are taken, and stand in the running configuration."""
    found = Findings()
    running = [_plain(line) for line in printed(evidence, "lac", "show running-config", "client").text.splitlines()]
    require("end" in running, "the running configuration was not shown to its end")
    for line in CLIENT_LINES:
        refused = printed(evidence, "lac", line, "client").refused
        found.expect(not refused, f"{line!r} was refused: {refused}")
        found.expect(_plain(line) in running, f"{line!r} is not in the running configuration")
    return found.verdict("the client's lines are taken, and kept")


def _plain(line: str) -> str:
    """`clock rate` is the later spelling of `clockrate`."""
    return line.strip().replace("clock rate ", "clockrate ")


def _within(address: str, ends: tuple[str, str]) -> bool:
    return IPv4Address(ends[0]) <= IPv4Address(address) <= IPv4Address(ends[1])


def _placed(evidence: Evidence, call: Call) -> int:
    """How many calls the LAC placed in a tunnel while this one was dialled."""
    found = l2tp(evidence, "ICRQ", since=call.since, until=call.until, src=LAC)
    return len({(header_of(frame).get("tunnel"), avp(frame, "Assigned Session ID")) for frame in found})


def _restarts(evidence: Evidence, call: Call) -> int:
    return len(ppp(evidence, "LCP", "Configure-Request", since=call.since, until=call.until, src=LNS))


def _asks_for(request: Observation) -> str:
    """The authentication that an LCP Configure-Request asks for."""
    options = ppp_of(request).get("options", {})
    return str(options.get("Authentication", "")).lower()


def _refused(evidence: Evidence, call: Call, whose: str) -> Findings:
    """What is found of a call that a LAC `whose` placed and that was to be refused. Inconclusive where the LAC asked for no
    tunnel."""
    found = Findings()
    asked = l2tp(evidence, "SCCRQ", since=call.since, until=call.until, src=LAC)
    require(bool(asked), f"the LAC {whose} asked for no tunnel")
    found.expect(call.up is None, f"{call.name} of a LAC {whose} came up")
    for frame in l2tp(evidence, "ICRP", since=call.since, until=call.until, src=LNS):
        found.expect(False, f"the LNS took a call of a LAC {whose}", frame)
    for frame in clear(evidence, since=call.since, until=call.until):
        found.expect(False, "L2TP crossed the wire in the clear", frame)
    return found


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-01": call_end_to_end,
    "SEC-03": caller_unaware,
    "SEC-04": domain_selects_the_tunnel,
    "SEC-05": several_domains,
    "SEC-06": initiates_to_the_address,
    "SEC-07": tunnel_bears_the_local_name,
    "SEC-08": other_names_are_refused,
    "SEC-09": tunnel_authentication,
    "SEC-10": wrong_tunnel_password,
    "SEC-12": lcp_is_always_begun_again,
    "SEC-13": lcp_is_begun_again_on_mismatch,
    "SEC-14": lcp_is_taken_over,
    "SEC-15": addresses_from_the_local_pool,
    "SEC-16": events_are_not_logged,
    "SEC-17": client_configuration_loads,
}
