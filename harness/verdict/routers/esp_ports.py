"""`ip nat service list … IKE preserve-port`: whose IKE has port 500 outside, and who is served for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.model import Evidence, FrameKind, Observation, Side, Step, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.esp_reading import (
    attempt,
    configured,
    endpoint,
    exchanges_came,
    expect_exchanges,
    pairs_of,
    prerequisites_missing,
)
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import frames, step

SIDES = (Side.INSIDE, Side.OUTSIDE)
PORT = 500
CLIENTS = ("west-1", "west-2")
LINE = " IKE preserve-port"
ATTEMPTS = "complete", "older gateway", "no service", "gateway without"


@dataclass(frozen=True, slots=True)
class Ike:
    """A client's IKE in some stretch of time: what it sent and got inside, and the same exchanges outside, by their cookies."""

    sent: tuple[Observation, ...]
    got: tuple[Observation, ...]
    out: tuple[Observation, ...]
    back: tuple[Observation, ...]

    @property
    def began(self) -> float:
        return self.sent[0].t

    @property
    def ports(self) -> set[int | None]:
        """The client's, as the gateway sees them."""
        return {frame.sport for frame in self.out}


def ike_of(evidence: Evidence, name: str, during: Step | None = None) -> Ike:
    """Inconclusive where the client spoke no IKE from port 500, or none of it came out."""
    since, until = (0.0, float("inf")) if during is None else (during.began, during.ended)
    own = endpoint(evidence, name)
    inside = frames(evidence, FrameKind.IKE, side=Side.INSIDE, since=since, until=until)
    sent = tuple(frame for frame in inside if frame.src == own and frame.sport == PORT)
    require(bool(sent), f"{name} spoke no IKE from port {PORT}{f' in {during.name}' if during else ''}")
    cookies = {_cookie(frame) for frame in sent}
    outside = [one for one in frames(evidence, FrameKind.IKE, since=since, until=until) if _cookie(one) in cookies]
    back = tuple(frame for frame in outside if frame.dst == evidence.nat_outside)
    out = tuple(frame for frame in outside if frame.src == evidence.nat_outside)
    require(bool(out), f"no IKE of {name} came out of the NAT")
    return Ike(sent, tuple(frame for frame in inside if frame.dst == own), out, back)


def _cookie(frame: Observation) -> str:
    return str((frame.ike or {}).get("icookie"))


def phase(evidence: Evidence, label: str) -> dict[str, Ike]:
    """IKE of both clients, with one gateway, in that phase."""
    during = step(evidence, f"phase:{label}")
    return {name: ike_of(evidence, name, during) for name in CLIENTS}


def kept(found: Mapping[str, Ike]) -> list[str]:
    """Those that have port 500 outside, and no other."""
    return [name for name, one in found.items() if one.ports == {PORT}]


@check(*SIDES)
def regular_nat_changes_a_port(evidence: Evidence) -> Verdict:
    """ESN-20: of two clients that speak IKE from port 500 with one gateway, one has another port outside; both are served."""
    ike = phase(evidence, "default")
    found = Findings(ports=_told(ike))
    every = len(kept(ike)) == len(ike)
    found.expect(not every, "every client kept port 500 without preserve-port", *(one.out[0] for one in ike.values()))
    expect_exchanges(found, evidence, ":default")
    return found.verdict("regular NAT changed a port, and both clients were served")


@check(*SIDES)
def port_500_on_both_sides(evidence: Evidence) -> Verdict:
    """ESN-21: with preserve-port a client that another came before, so that regular NAT would change its port, has 500 outside, and
    is answered at 500 from 500 on both sides."""
    ike = phase(evidence, "on")
    first, second = "west-2", "west-1"
    require(ike[first].began < ike[second].began, f"{second} came first, and regular NAT keeps a port that is free")
    one = ike[second]
    require(bool(one.back), "the gateway answered nothing")
    found = Findings(ports=_told(ike))
    for frame in one.out:
        found.expect((frame.sport, frame.dport) == (PORT, PORT), f"IKE went out from {frame.sport} to {frame.dport}", frame)
    for frame in one.back:
        found.expect((frame.sport, frame.dport) == (PORT, PORT), f"IKE came from {frame.sport} to {frame.dport}", frame)
    found.expect(bool(one.got), f"no answer came to {second}")
    for frame in one.got:
        ports = frame.sport, frame.dport
        found.expect(ports == (PORT, PORT), f"IKE came to {second} from {frame.sport} to {frame.dport}", frame)
    return found.verdict("IKE had port 500 at both ends on both sides of the NAT")


@check(*SIDES)
def two_clients_keep_500_and_live(evidence: Evidence) -> Verdict:
    """ESN-22: with preserve-port both clients of one gateway have port 500 outside, and where SPIs are matched their tunnels live
    side by side. How answers were split between them is in the facts."""
    ike = phase(evidence, "on")
    matched = not [one for one in prerequisites_missing(evidence, "on", _phase_pairs()) if "port" not in one]
    require(matched, "SPIs were not matched everywhere, so nothing is said of whether both live")
    strangers = {name: [one for one in ike[name].got if _cookie(one) not in _cookies(ike[name])] for name in ike}
    found = Findings(ports=_told(ike), answers_of_another={name: len(given) for name, given in strangers.items()})
    for name, one in ike.items():
        found.expect(one.ports == {PORT}, f"IKE of {name} had ports {sorted(map(str, one.ports))} outside", *one.out[:1])
    expect_exchanges(found, evidence, ":on", ", with both ports kept")
    return found.verdict("both clients kept port 500, and both lived")


@check(*SIDES)
def a_gateway_that_demands_500(evidence: Evidence) -> Verdict:
    """ESN-23: a gateway that hears IKE from port 500 alone serves one of two clients without preserve-port, and both with it."""
    ike = phase(evidence, "default")
    served = [name for name in CLIENTS if exchanges_came(evidence, ":default", name)]
    changed = [name for name in CLIENTS if name not in kept(ike)]
    demanded = not set(changed) & set(served)
    require(demanded, "the gateway served a client whose port was changed, so it does not demand 500")
    require(set(kept(ike)) <= set(served), "the gateway did not serve a client that had port 500")
    found = Findings(served_without=served, ports=_told(ike))
    found.expect(bool(changed), "both clients had port 500, and were served, without preserve-port")
    expect_exchanges(found, evidence, ":on", " though preserve-port is on")
    return found.verdict("the client whose port was changed was served with preserve-port, and not without")


@check(*SIDES)
def who_is_not_listed_has_its_port_changed(evidence: Evidence) -> Verdict:
    """ESN-25: those that the access list permits keep 500, whoever came first; the one that it does not has another port."""
    listed, unlisted = ("west-1", "west-3"), "west-2"
    ike = {name: ike_of(evidence, name) for name in (*listed, unlisted)}
    require(ike["west-1"].began < ike[unlisted].began, "the unlisted client came first, and regular NAT keeps a port that is free")
    found = Findings(ports=_told(ike))
    for name in listed:
        found.expect(ike[name].ports == {PORT}, f"{name}, which is on the list, had port {_told(ike)[name]} outside")
    one = ike[unlisted]
    found.expect(PORT not in one.ports, f"{unlisted}, which is not on the list, kept port 500", one.out[0])
    return found.verdict("those on the list kept port 500, and the one beside it did not")


@check(*SIDES)
def what_is_missing_is_missed(evidence: Evidence) -> Verdict:
    """ESN-26: tunnels are set up in parallel where NAT and both ends have what the feature needs, and not where something of it is
    missing. What is missing is warned of in the facts."""
    found = Findings()
    warnings: dict[str, list[str]] = {}
    for label in ATTEMPTS:
        tried = attempt(evidence, label)
        missing = warnings[label] = list(prerequisites_missing(evidence, label, pairs_of(tried.asked)))
        if missing:
            found.expect(not tried.parallel, f"tunnels were set up in parallel ({label}), though {' and '.join(missing)}")
        else:
            found.expect(tried.parallel, f"tunnels were not set up in parallel ({label}), though nothing is missing")
    require(not all(warnings.values()), "something was missing all the time")
    require(any(warnings.values()), "nothing was missing at any time")
    found.facts["warnings"] = warnings
    return found.verdict("tunnels were set up in parallel with all that it needs, and not without")


@check(*SIDES)
def no_form_switches_it_off(evidence: Evidence) -> Verdict:
    """ESN-27: at first and after the no form a client's port is changed, and the configuration has no such line; in between both
    keep 500."""
    ike = {label: phase(evidence, label) for label in ("default", "on", "off again")}
    require(len(kept(ike["on"])) == len(CLIENTS), "it was never on, so nothing could be switched off")
    found = Findings(ports={label: _told(one) for label, one in ike.items()})
    for label in ("default", "off again"):
        every = len(kept(ike[label])) == len(CLIENTS)
        found.expect(not every, f"both clients kept port 500 ({label})", *(one.out[0] for one in ike[label].values()))
    for label, there in (("start", False), ("on", True), ("off again", False)):
        has = any(line.startswith("ip nat service list ") and line.endswith(LINE) for line in configured(evidence, "nat", label))
        found.expect(has is there, f"the configuration has {'a' if has else 'no'} preserve-port line ({label})")
    return found.verdict("preserve-port was off at first, and off again after its no form")


def _told(ike: Mapping[str, Ike]) -> dict[str, str]:
    return {name: ", ".join(sorted(map(str, one.ports))) for name, one in ike.items()}


def _cookies(one: Ike) -> set[str]:
    return {_cookie(frame) for frame in one.sent}


def _phase_pairs() -> tuple[tuple[str, str], ...]:
    return tuple((name, "east-1") for name in CLIENTS)


CHECKS: Mapping[str, RouterCheck] = {
    "ESN-20": regular_nat_changes_a_port,
    "ESN-21": port_500_on_both_sides,
    "ESN-22": two_clients_keep_500_and_live,
    "ESN-23": a_gateway_that_demands_500,
    "ESN-25": who_is_not_listed_has_its_port_changed,
    "ESN-26": what_is_missing_is_missed,
    "ESN-27": no_form_switches_it_off,
}
