"""What checks on tunnels about a NAT ask of the evidence: first packets, whether they had to wait, and whose an SPI is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.model import Evidence, FrameKind, Observation, Side, Step, Told
from harness.verdict.findings import Findings, require
from harness.verdict.routers.reading import arrived, frames, printed, step, told

RUNNING = "show running-config | include nat|^end"
Pairs = tuple[tuple[str, str], ...]


# Who is where


def endpoint(evidence: Evidence, name: str) -> str:
    """An endpoint's address. Inconclusive where nobody told it."""
    return str(_placed(evidence, name)["endpoint"])


def host(evidence: Evidence, name: str) -> str:
    return str(_placed(evidence, name)["host"])


def _placed(evidence: Evidence, name: str) -> Mapping[str, Any]:
    found = told(evidence, "placed", f"host of {name}")
    require(bool(found), f"nobody told where {name} is")
    return found[0].data


def pairs_of(one: Step) -> Pairs:
    return tuple((str(here), str(there)) for here, there in one.detail["pairs"])


# ESP across the NAT


@dataclass(frozen=True, slots=True)
class Crossing:
    """An ESP packet from inside, and the same packet outside: None where it never came there."""

    inside: Observation
    outside: Observation | None

    @property
    def delay_s(self) -> float | None:
        return None if self.outside is None else round(self.outside.t - self.inside.t, 6)


def spi_of(frame: Observation) -> str:
    return str((frame.esp or {}).get("spi"))


def crossings(
    evidence: Evidence, here: str, there: str, *, since: float = 0.0, until: float = float("inf")
) -> tuple[Crossing, ...]:
    """What endpoint `here` sent to `there` in that time, in order; a packet is known again by its SPI and sequence number."""
    to = endpoint(evidence, there)
    outside: dict[tuple[str, Any], Observation] = {}
    for frame in frames(evidence, FrameKind.ESP):
        if frame.dst == to:
            outside.setdefault(_same(frame), frame)
    sent = frames(evidence, FrameKind.ESP, side=Side.INSIDE, since=since, until=until, src=endpoint(evidence, here))
    return tuple(Crossing(frame, outside.get(_same(frame))) for frame in sent if frame.dst == to)


def _same(frame: Observation) -> tuple[str, Any]:
    return spi_of(frame), (frame.esp or {}).get("sequence")


def replies(evidence: Evidence, there: str, *, since: float = 0.0, until: float = float("inf")) -> tuple[Observation, ...]:
    """ESP that gateway `there` sent."""
    return frames(evidence, FrameKind.ESP, since=since, until=until, src=endpoint(evidence, there))


def inbound(
    evidence: Evidence, name: str, there: str, *, since: float = 0.0, until: float = float("inf")
) -> tuple[Observation, ...]:
    """ESP of gateway `there` that the NAT gave to endpoint `name`."""
    to, by = endpoint(evidence, name), endpoint(evidence, there)
    given = frames(evidence, FrameKind.ESP, side=Side.INSIDE, since=since, until=until, src=by)
    return tuple(frame for frame in given if frame.dst == to)


# First packets


@dataclass(frozen=True, slots=True)
class Attempt:
    """First packets of several tunnels in one second, and answers after that. `went` by (here, there); `lost`: answers that did not
    come to the host that they were for."""

    asked: Step
    answered: Step
    went: Mapping[tuple[str, str], Crossing]
    lost: tuple[Told, ...]

    @property
    def held(self) -> Pairs:
        """Those whose packet had not come outside by the time the answers began."""
        return tuple(
            pair for pair, one in self.went.items() if one.outside is None or one.outside.t > self.asked.ended
        )

    @property
    def parallel(self) -> bool:
        """Whether all were served at once."""
        return not self.held and not self.lost

    @property
    def delays(self) -> dict[str, float | None]:
        """Seconds on the way through the NAT; None for what never crossed."""
        return {f"{here} to {there}": one.delay_s for (here, there), one in self.went.items()}


def attempt(evidence: Evidence, label: str) -> Attempt:
    """Inconclusive where one of the tunnels was not up, or had been used before, or a gateway sent before it was to."""
    asked, answered = step(evidence, f"first-packets:{label}"), step(evidence, f"answers:{label}")
    went = {}
    for here, there in pairs_of(asked):
        found = crossings(evidence, here, there, since=asked.began, until=asked.ended)
        require(bool(found), f"no ESP of {here} to {there} came to the NAT ({label}): their tunnel was not up")
        first = found[0]
        earlier = crossings(evidence, here, there, until=asked.began)
        used = any(spi_of(one.inside) == spi_of(first.inside) for one in earlier)
        require(not used, f"the tunnel of {here} with {there} had been used before its first packet ({label})")
        early = replies(evidence, there, since=first.inside.t, until=asked.ended)
        require(not early, f"{there} sent ESP before it was to answer ({label}), so nobody had to wait for that")
        went[here, there] = first
    lost = tuple(sent for sent, got in sent_in(evidence, answered) if got is None)
    return Attempt(asked, answered, went, lost)


def sent_in(evidence: Evidence, one: Step) -> Iterator[tuple[Told, Told | None]]:
    """What hosts sent in a step, and its arrival. In virtual time the next step may begin in the moment in which this one ends."""
    return (pair for pair in arrived(evidence, since=one.began, until=one.ended) if pair[0].t < one.ended)


def expect_let_go(found: Findings, tried: Attempt) -> None:
    """What had to wait crosses at last: it is delayed from being transmitted until a reply is received, and not dropped."""
    for pair in tried.held:
        one = tried.went[pair]
        found.expect(one.outside is not None, f"ESP of {told_pairs((pair,))} was held, and never crossed", one.inside)


def told_pairs(pairs: Pairs) -> str:
    return ", ".join(f"{here} to {there}" for here, there in pairs)


# What has to hold of every delivery


def expect_exchanges(found: Findings, evidence: Evidence, suffix: str = "", what: str = "", *, of: str = "") -> None:
    """Every packet of the exchanges whose name ends so has come; `of` one client's alone. Inconclusive where there were none."""
    talks = [
        one
        for one in evidence.steps
        if one.name.startswith("exchange:") and one.name.endswith(suffix) and (not of or of in one.clients)
    ]
    require(bool(talks), f"no tunnel was asked whether it lives ({suffix or 'at all'})")
    for one in talks:
        for sent, got in sent_in(evidence, one):
            found.expect(got is not None, f"packet {sent.data['number']} of {sent.who} to {sent.data['dst']} did not come{what}")


def exchanges_came(evidence: Evidence, suffix: str, of: str = "") -> bool:
    trial = Findings()
    expect_exchanges(trial, evidence, suffix, of=of)
    return not trial.faults


def own_spis(evidence: Evidence, name: str) -> frozenset[str]:
    """The SPIs that an endpoint inside chose, by its quick modes. Inconclusive where no key opens one of them."""
    require(not any(_quick_modes_closed(evidence, name)), f"no key opens a quick mode of {name}, so its SPIs are not all known")
    spoken = _spoken(evidence, name)
    return frozenset(str(row["spi"]) for ike in spoken for row in ike.get("proposals") or () if len(str(row.get("spi"))) == 8)


def _spoken(evidence: Evidence, name: str) -> list[Mapping[str, Any]]:
    """What an endpoint inside said in IKE."""
    return [frame.ike or {} for frame in frames(evidence, FrameKind.IKE, side=Side.INSIDE, src=endpoint(evidence, name))]


def _quick_modes_closed(evidence: Evidence, name: str) -> Iterator[bool]:
    """Of each message of them, whether no key opens it."""
    return (not ike.get("decrypted") for ike in _spoken(evidence, name) if ike.get("exchange") == "quick mode")


def expect_own(found: Findings, evidence: Evidence, *, since: float = 0.0, until: float = float("inf")) -> None:
    """Nobody inside is given ESP whose SPI it has not chosen. Where no key opens any of its quick modes, nobody is given what ESP
    holds for another's host: Inconclusive where that cannot be read either."""
    for name in insiders(evidence):
        address, of_host = endpoint(evidence, name), host(evidence, name)
        given = [one for one in frames(evidence, FrameKind.ESP, side=Side.INSIDE, since=since, until=until) if one.dst == address]
        if all((one.esp or {}).get("inner_dst") for one in given) and all(_quick_modes_closed(evidence, name)):
            for frame in given:
                inner = (frame.esp or {})["inner_dst"]
                found.expect(inner == of_host, f"the NAT gave {name} ESP that holds a packet for {inner}", frame)
            continue
        own = own_spis(evidence, name)
        for frame in given:
            fault = f"the NAT gave {name} ESP with SPI {spi_of(frame)}, which it has not chosen"
            found.expect(spi_of(frame) in own, fault, frame)


def insiders(evidence: Evidence) -> tuple[str, ...]:
    """The endpoints behind the NAT."""
    return tuple(one.who.removeprefix("host of ") for one in told(evidence, "placed") if one.data["inside"])


# What routers are told


def prerequisites_missing(evidence: Evidence, label: str, pairs: Pairs) -> Iterator[str]:
    """What the feature asks for and the running configurations of that moment do not have, in words."""
    nat = configured(evidence, "nat", label)
    for service in ("ESP spi-match", "IKE preserve-port"):
        if not any(line.startswith("ip nat service list ") and line.endswith(f" {service}") for line in nat):
            yield f"nat has no `ip nat service list … {service}`"
    for name in dict.fromkeys(name for pair in pairs for name in pair):
        if "crypto ipsec nat-transparency spi-matching" not in configured(evidence, name, label):
            yield f"{name} has no `crypto ipsec nat-transparency spi-matching`"


def configured(evidence: Evidence, device: str, label: str) -> tuple[str, ...]:
    """The lines of a device's running configuration that say something of NAT. Inconclusive where it is not whole."""
    said = printed(evidence, device, RUNNING, label)
    require(not said.refused and "end" in said.text.split(), f"the running configuration of {device} is not whole")
    return tuple(line.strip() for line in said.text.splitlines())
