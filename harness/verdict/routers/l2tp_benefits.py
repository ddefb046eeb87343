"""What a protected tunnel hides, what it does not take, and how it finds out that its peer has gone."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from harness.errors import Inconclusive
from harness.model import Evidence, FrameKind, Observation, Side, Step, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.l2tp_path_mtu import fared
from harness.verdict.routers.reading import came_up, frames, l2tp, message_of, pings, rows, step, told

CALLER, NEXT_CALLER = "caller 1", "caller 2"
SAS = "show crypto ipsec sa"
CONTROL = ("Hello", "ZLB")
PPP = ("LCP", "IPCP", "IP")
RIP_PORT, UNREACHABLE = 520, 16
"""UDP port, and the distance that means that there is no way (RFC 2453)."""
LITTLE = 5
"""Packets that an interface may have counted beside those that were sent: PPP's own."""
QUIET_S = 300.0
"""So long before a cut path is whole again nobody may still ask for the peer."""


def _answers(evidence: Evidence, label: str) -> int:
    found = next((one for one in told(evidence, "answers", CALLER) if one.data["label"] == label), None)
    if found is None:
        raise Inconclusive(f"nobody counted the answers {label!r}")
    return int(found.data["count"])


def _errors(evidence: Evidence, device: str, label: str) -> int:
    """Packets that the device says that it could not receive, of all its flows. Inconclusive where it counts none of that."""
    counts = [flow.receive_errors for flow in rows(evidence, device, SAS, label)]
    require(bool(counts) and None not in counts, f"{device} shows no receive errors")
    return sum(counts)


def _answered(evidence: Evidence, during: Step) -> tuple[Observation, ...]:
    """Echo answers in the tunnel meanwhile: nobody asks but whoever sent first what was injected."""
    found = frames(evidence, FrameKind.ESP, since=during.began, until=during.ended)
    return tuple(frame for frame in found if _ppp(frame).get("icmp_type") == 0)


def _ppp(frame: Observation) -> Mapping[str, Any]:
    """What a data message carries, empty where that could not be read."""
    return (frame.inner.ppp if frame.inner is not None else None) or {}


def _alive_after(evidence: Evidence, found: Findings, since: float) -> None:
    alive = pings(evidence, CALLER, since=since)
    require(bool(alive), "nobody asked afterwards whether the call lives")
    found.expect(all(alive), "the call died of it")


@check(Side.OUTSIDE, decrypted=True)
def nothing_to_be_read(evidence: Evidence) -> Verdict:
    """SEC-130: none of the words that go through the tunnel is in a frame on the wire."""
    clear = {one.data["what"]: one.data["frames"] for one in told(evidence, "searched", "decrypted")}
    wire = {one.data["what"]: one.data["frames"] for one in told(evidence, "searched", Side.OUTSIDE.value)}
    found = Findings(wire=wire, decrypted=clear)
    require(bool(wire), "the capture was not searched")
    for what, count in wire.items():
        require(clear.get(what, 0) > 0, f"{what} did not cross the wire at all: it is not in the decrypted copy either")
        found.expect(count == 0, f"{what} can be read in {count} frames on the wire")
    return found.verdict(f"{len(wire)} words that crossed the wire, {', '.join(wire)}, can be read nowhere on it")


@check(Side.OUTSIDE, decrypted=True)
def what_was_altered_is_dropped(evidence: Evidence) -> Verdict:
    """SEC-131: copies of an ESP packet with a bit turned over are dropped and counted; the packet as it was is still taken."""
    attack, late = step(evidence, "inject:altered ESP"), step(evidence, "inject:the packet as it was")
    before, after, at_last = (_answers(evidence, label) for label in ("before", "altered", "as it was"))
    found = Findings(errors=[_errors(evidence, "lns", label) for label in ("before", "altered")])
    found.expect(after == before, f"the caller got {after - before} answers to what was altered", *_answered(evidence, attack))
    for frame in _answered(evidence, attack):
        found.expect(False, "an altered packet was answered on the wire", frame)
    counted = found.facts["errors"]
    found.expect(counted[1] > counted[0], "the LNS counts none of the altered packets as a receive error")
    _alive_after(evidence, found, late.ended)
    if not found.faults:
        require(at_last > after, "the packet as it was is not taken either, so that nothing tells what was wrong with its copies")
    return found.verdict("no altered packet was taken, the LNS counted them, and the packet as it was still passed")


@check(Side.OUTSIDE, decrypted=True)
def what_is_old_is_dropped(evidence: Evidence) -> Verdict:
    """SEC-132: ESP packets that come once more are dropped and counted, at both ends."""
    to_lns, to_lac = step(evidence, "inject:old ESP to the LNS"), step(evidence, "inject:old ESP to the LAC")
    before = _answers(evidence, "before")
    repeated = len(told(evidence, "injected"))
    require(before >= repeated // 2 > 0, f"only {before} of the packets that were repeated had been answered the first time")
    found = Findings(repeated=repeated)
    for label, attack in (("to the LNS", to_lns), ("to the LAC", to_lac)):
        count = _answers(evidence, label)
        found.expect(count == before, f"the caller got {count - before} answers more after old packets {label}")
        before = count
        for frame in _answered(evidence, attack):
            found.expect(False, f"an old packet {label} was answered on the wire", frame)
    for device in ("lns", "lac"):
        was, now = (_errors(evidence, device, label) for label in ("before", "after"))
        found.facts[f"errors_{device}"] = [was, now]
        found.expect(now > was, f"{device} counts none of the old packets as a receive error")
    _alive_after(evidence, found, to_lac.ended)
    return found.verdict(f"none of {repeated} old packets was taken, and both ends counted them")


@check(Side.OUTSIDE, decrypted="esp")
def control_and_data_are_protected(evidence: Evidence) -> Verdict:
    """SEC-133: Hellos, acknowledgements and other control messages as well as PPP's own and the caller's data are in ESP alone."""
    carried = frames(evidence, FrameKind.ESP)
    control, data = {message_of(one) for one in carried} - {""}, {str(_ppp(one)["protocol"]) for one in carried if _ppp(one)}
    found = Findings(control=sorted(control), data=sorted(data))
    require(came_up(evidence, CALLER) is not None, "no call came up, so nothing was to be protected")
    clear = frames(evidence, FrameKind.L2TP_CLEAR)
    for frame in clear:
        what = message_of(frame) or _ppp(frame).get("protocol") or "L2TP"
        found.expect(False, f"{what} crossed the wire from {frame.src} in the clear", frame)
    if not clear:
        for name in CONTROL:
            require(name in control, f"no {name} crossed the wire, so nothing shows how it goes")
        for name in PPP:
            require(name in data, f"no {name} crossed the wire, so nothing shows how it goes")
    found.expect(bool(carried), "nothing was protected")
    return found.verdict(f"ESP carried {', '.join(sorted(control))}, and in PPP {', '.join(sorted(data))}")


@check(Side.OUTSIDE, decrypted=True)
def a_dead_peer_is_found_by_hello(evidence: Evidence) -> Verdict:
    """SEC-134: an idle tunnel is asked by Hellos; when the path is cut both ends find out and let it go."""
    idle, cut = step(evidence, "idle"), step(evidence, "cut")
    require(any(pings(evidence, CALLER, since=idle.ended)[:1]), "the idle call did not live until the path was cut")
    ends = {"the LNS": evidence.gateway_address, "the LAC": _other_end(evidence)}
    hellos = l2tp(evidence, "Hello", since=idle.began, until=idle.ended)
    found = Findings(hellos_idle=len(hellos))
    found.expect(bool(hellos), "nobody sent a Hello while the tunnel was idle")
    down = next((one for one in told(evidence, "down", CALLER) if cut.began <= one.t <= cut.ended), None)
    found.expect(down is not None, "the caller's line was still up when the path was whole again")
    for whose, address in ends.items():
        asked = l2tp(evidence, "Hello", since=cut.began, until=cut.ended, src=address)
        found.facts[f"hellos of {whose}"] = len(asked)
        found.expect(len(asked) > 1, f"{whose} sent {len(asked)} Hellos on the path that was cut: it could not notice")
        late = frames(evidence, FrameKind.ESP, FrameKind.L2TP_CLEAR, since=cut.ended - QUIET_S, until=cut.ended, src=address)
        found.expect(not late, f"{whose} still sends into the tunnel at the end of the cut", *late)
    found.facts["noticed_s"] = None if down is None else round(down.t - cut.began, 3)
    again = pings(evidence, NEXT_CALLER)
    require(bool(again) and all(again), "no call came up when the path was whole again, so that nobody may have been alive")
    return found.verdict(f"Hellos went unanswered, both ends let the tunnel go, and the line {found.facts['noticed_s']} s later")


@check(Side.OUTSIDE, decrypted="esp")
def routes_cross_the_tunnel(evidence: Evidence) -> Verdict:
    """SEC-136: a caller that is a router and the LNS learn each other's networks by RIP, and packets take those routes."""
    step(evidence, f"tell-routes:{CALLER}")
    before, after = fared(evidence, "before"), fared(evidence, "after")
    require(not before.arrived, "the network behind the caller was reached before anybody had told of it")
    heard = next(iter(told(evidence, "routes", CALLER)), None)
    if heard is None:
        raise Inconclusive("nobody listened what routes the LNS tells")
    networks = {ip_network(one): int(metric) for one, metric in heard.data["networks"].items()}
    found = Findings(told_the_caller=dict(heard.data["networks"]))
    host = ip_address(after.sent.data["src"])
    there = [metric for network, metric in networks.items() if host in network]
    found.expect(bool(there) and min(there) < UNREACHABLE, "the LNS did not tell the caller of the network behind it")
    found.expect(after.arrived, "a packet for the network behind the caller did not arrive there, though the caller had told of it")
    for frame in frames(evidence, FrameKind.OTHER):
        found.expect(frame.dport != RIP_PORT, f"a message of RIP crossed the wire from {frame.src} beside the tunnel", frame)
    return found.verdict("each side learnt the other's network through the tunnel, and a packet found its way")


@check()
def each_call_has_counters_of_its_own(evidence: Evidence) -> Verdict:
    """SEC-137, as far as the command line shows it: the busy caller's interface counts as input what the caller sent, and as output
    what it got, and another call's counts neither."""
    asked = step(evidence, f"pings:{CALLER}")
    alive = [one for one in told(evidence, "pinged", CALLER, since=asked.began, until=asked.ended) if one.data["answered"]]
    require(bool(alive), "no ping was answered, so there was nothing to be counted")
    beside = told(evidence, "got", CALLER, since=asked.ended)
    require(len(beside) > LITTLE, f"{len(beside)} packets came to the caller unasked: too few to tell output from input")
    octets = sum(int(one.data["size"]) for one in alive)
    came = {"in": (len(alive), octets), "out": (len(alive) + len(beside), octets + sum(int(one.data["size"]) for one in beside))}
    busy, idle = (_counted(evidence, name) for name in (CALLER, NEXT_CALLER))
    found = Findings(pings=len(alive), one_way=len(beside), octets=octets, busy=busy, idle=idle)
    for way, (packets, bytes_) in came.items():
        counted, counted_bytes = busy[f"packets_{way}"], busy[f"octets_{way}"]
        found.expect(counted >= packets, f"of {packets} packets the caller's interface counted {counted} {way}")
        found.expect(counted_bytes >= bytes_, f"of {bytes_} bytes the caller's interface counted {counted_bytes} {way}")
        other = idle[f"packets_{way}"]
        found.expect(other < len(alive), f"the idle call's interface counted {other} packets {way}")
    taken = busy["packets_in"]
    found.expect(taken <= len(alive) + LITTLE, f"the interface counted {taken} packets in, and the caller sent {len(alive)}")
    return found.verdict(f"{len(alive)} echoes were counted each way at their call's interface, and not at the other's")


def _counted(evidence: Evidence, caller: str) -> dict[str, int]:
    """By how much the counters of that caller's interface have grown."""
    user = next((one.data["user"] for one in told(evidence, "dialled", caller)), None)
    sessions = rows(evidence, "lns", "show vpdn session")
    mine = [one for one in sessions if user and one.user and user.startswith(one.user)]  # a narrow column cuts the name
    require(len(mine) == 1 and bool(mine[0].interface), f"show vpdn session names no interface of {user}")
    command = f"show interfaces virtual-access {mine[0].interface.removeprefix('Vi')}"
    before, after = (rows(evidence, "lns", command, label) for label in ("before", "after"))
    require(len(before) == len(after) == 1, f"{command!r} does not show one interface")
    names = ("packets_in", "octets_in", "packets_out", "octets_out")
    return {name: getattr(after[0], name) - getattr(before[0], name) for name in names}


def _other_end(evidence: Evidence) -> str:
    """The LAC: who asked for the tunnel."""
    asked = l2tp(evidence, "SCCRQ")
    require(bool(asked), "no tunnel was asked for")
    return asked[0].src


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-130": nothing_to_be_read,
    "SEC-131": what_was_altered_is_dropped,
    "SEC-132": what_is_old_is_dropped,
    "SEC-133": control_and_data_are_protected,
    "SEC-134": a_dead_peer_is_found_by_hello,
    "SEC-136": routes_cross_the_tunnel,
    "SEC-137": each_call_has_counters_of_its_own,
}
