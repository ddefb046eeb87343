"""`crypto ipsec nat-transparency`: what the tunnels of endpoints about a NAT are carried in, state by state."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model import Evidence, FrameKind, Observation, Side, Step, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import arrived, frames, printed, step

SIDES = (Side.INSIDE, Side.OUTSIDE)
WEST, EAST = "west-1", "east-1"
ENDS = (WEST, EAST)
WEST_ADDRESS = "10.0.0.11"
COMMAND = "crypto ipsec nat-transparency"
UDP_LINE, SPI_LINE = f"{COMMAND} udp-encaps", f"{COMMAND} spi-matching"
BOTH_OFF_LINE = f"no {UDP_LINE}"
IN_UDP, BARE = "UDP 4500", "protocol 50"


# What was seen


def state(evidence: Evidence, name: str) -> Step:
    return step(evidence, f"state:{name}")


def esp(evidence: Evidence, at: Step, side: Side = Side.OUTSIDE, src: str = "") -> tuple[Observation, ...]:
    return frames(evidence, FrameKind.ESP, side=side, since=at.began, until=at.ended, src=src)


def carried_in(frame: Observation) -> str:
    """What an ESP packet is in, in words."""
    if frame.sport is None:
        return BARE
    return IN_UDP if 4500 in (frame.sport, frame.dport) else f"UDP {frame.sport} to {frame.dport}"


def expect_carried(found: Findings, evidence: Evidence, name: str, at: Step, wanted: str, src: str = "") -> None:
    """Every ESP packet of that time is in `wanted`, on both sides of the NAT; there has to be some of the western end's."""
    for side in SIDES:
        seen = esp(evidence, at, side, src if side is Side.INSIDE else "")
        require(bool(seen), f"no ESP was {side.value} the NAT with {name}")
        for frame in seen:
            found.expect(carried_in(frame) == wanted, f"with {name} ESP was in {carried_in(frame)} {side.value} the NAT", frame)


def expect_traffic(found: Findings, evidence: Evidence, name: str, at: Step) -> None:
    """The last packet each way came to its host; those before the tunnel was up may be lost."""
    last = {sent.who: (sent, got) for sent, got in arrived(evidence, since=at.began, until=at.ended)}
    require(len(last) == 2, f"with {name} no packet was sent both ways")
    for sent, got in last.values():
        found.expect(got is not None, f"with {name} the packet of {sent.who} did not come to {sent.data['dst']}")


def shown(evidence: Evidence, device: str, label: str) -> tuple[str, ...]:
    """The lines about it in the running configuration."""
    text = printed(evidence, device, "show running-config", label).text
    require("hostname" in text, f"the running configuration of {device} ({label}) was not printed")
    return tuple(line.strip() for line in text.splitlines() if COMMAND in line)


def turned_on(said: tuple[str, ...]) -> tuple[str, ...]:
    """Those of such lines that turn something on."""
    return tuple(line for line in said if not line.startswith("no "))


def both_off(said: tuple[str, ...]) -> bool:
    """Whether a configuration shows, in the document's words, that both are off."""
    return BOTH_OFF_LINE in said and not turned_on(said)


def differences(evidence: Evidence, at: Step) -> set[int]:
    """How the two SPIs of a tunnel differ, bit by bit, for all pairs of that time: one value, wherever SPIs are matched."""
    ways: dict[bool, set[int]] = {True: set(), False: set()}
    for frame in esp(evidence, at):
        ways[frame.src == evidence.nat_outside].add(int(str((frame.esp or {})["spi"]), 16))
    return {one ^ other for one in ways[True] for other in ways[False]}


def expect_not_matched(found: Findings, evidence: Evidence, name: str, at: Step) -> None:
    """Outside UDP, where SPIs could be matched, they differ otherwise than they did while SPI matching was on."""
    matched = differences(evidence, state(evidence, "spi-matching"))
    require(bool(matched), "no tunnel with SPI matching carried packets both ways")
    bare = any(carried_in(frame) == BARE for frame in esp(evidence, at))
    same = bare and bool(differences(evidence, at) & matched)
    found.expect(not same, f"with {name} the SPIs match as they did with SPI matching")


# One keyword after the other


@check(*SIDES)
def udp_encapsulation_is_the_default(evidence: Evidence) -> Verdict:
    """ESN-30: endpoints that were told nothing put ESP into UDP 4500 where a NAT is on the way, and the tunnel works."""
    at = state(evidence, "default")
    typed = [one for one in evidence.printed if COMMAND in one.command and one.t <= at.ended]
    require(not typed, "the endpoints had been told something about it before")
    inside, outside = esp(evidence, at, Side.INSIDE, WEST_ADDRESS), esp(evidence, at, src=evidence.nat_outside or "")
    require(bool(inside and outside), "no ESP of the western end crossed a NAT")
    found = Findings(shown={device: shown(evidence, device, "default") for device in ENDS})
    expect_carried(found, evidence, "nothing configured", at, IN_UDP)
    expect_traffic(found, evidence, "nothing configured", at)
    return found.verdict("UDP encapsulation is what endpoints do of themselves behind a NAT")


@check(*SIDES)
def spi_matching_takes_the_place(evidence: Evidence) -> Verdict:
    """ESN-31: with `spi-matching` on both ends ESP is protocol 50, where it was in UDP before, and the configuration shows it."""
    found = _carried_otherwise(evidence, "default", IN_UDP, "spi-matching", BARE)
    for device in ENDS:
        said = shown(evidence, device, "spi-matching")
        found.expect(turned_on(said) == (SPI_LINE,), f"{device} shows {list(said)}, not `{SPI_LINE}`")
    return found.verdict("SPI matching took the place of UDP encapsulation")


@check(*SIDES)
def udp_encaps_takes_the_place_back(evidence: Evidence) -> Verdict:
    """ESN-32: after `udp-encaps` ESP is in UDP 4500 again, and SPI matching is in the configuration no more."""
    found = _carried_otherwise(evidence, "spi-matching", BARE, "udp-encaps", IN_UDP)
    for device in ENDS:
        found.expect(SPI_LINE not in shown(evidence, device, "udp-encaps"), f"{device} still shows `{SPI_LINE}`")
    return found.verdict("UDP encapsulation took the place of SPI matching")


def _carried_otherwise(evidence: Evidence, before: str, was: str, after: str, carried: str) -> Findings:
    """ESP that was carried one way while `before` was configured is carried the other way `after` it, and reaches its end."""
    told = {IN_UDP: "in UDP", BARE: "protocol 50"}[was]
    require({carried_in(frame) for frame in esp(evidence, state(evidence, before))} == {was}, f"ESP was not {told} before")
    found, at = Findings(), state(evidence, after)
    expect_carried(found, evidence, after, at, carried)
    expect_traffic(found, evidence, after, at)
    return found


@check(*SIDES)
def never_both(evidence: Evidence) -> Verdict:
    """ESN-33: whatever is typed in whatever order, one of the two is in the configuration at most, and a tunnel's packets are
    carried in one way."""
    found = Findings()
    states = [one for one in evidence.steps if one.name.startswith("state:")]
    orders = [one for one in evidence.steps if one.name.startswith("order:")]
    require(len(states) > 2 and len(orders) > 1, "too few states and orders were tried")
    for at in states:
        ways = {carried_in(frame) for side in SIDES for frame in esp(evidence, at, side)}
        found.expect(len(ways) <= 1, f"one tunnel of {at.name} was in {' and in '.join(sorted(ways))}")
    asked = [(device, at.name.partition(":")[2]) for at in states for device in ENDS]
    asked += [(WEST, f"order {at.name.partition(':')[2]}") for at in orders]
    for device, label in asked:
        found.expect(len(turned_on(shown(evidence, device, label))) <= 1, f"{device} shows both after {label}")
    for at in orders:
        last = turned_on(tuple(at.detail["lines"]))[-1]
        on = [line for line in shown(evidence, WEST, f"order {at.name.partition(':')[2]}") if line == SPI_LINE]
        found.expect(bool(on) is (last == SPI_LINE), f"after {at.detail['lines']} {WEST} shows {on or 'no SPI matching'}")
    return found.verdict("of the two there is one at most, on the wire and in the configuration")


@check(*SIDES)
def no_spi_matching(evidence: Evidence) -> Verdict:
    """ESN-34: after `no … spi-matching` SPIs are matched no more. Whether UDP encapsulation comes back is noted."""
    name = "no spi-matching"
    at = state(evidence, name)
    ways = sorted({carried_in(frame) for frame in esp(evidence, at)})
    require(bool(ways), f"no ESP crossed with {name}")
    found = Findings(carried_in=ways, shown={device: shown(evidence, device, name) for device in ENDS})
    expect_not_matched(found, evidence, name, at)
    for device in ENDS:
        found.expect(SPI_LINE not in shown(evidence, device, name), f"{device} still shows `{SPI_LINE}`")
    return found.verdict(f"SPI matching is off, and ESP is in {' and '.join(ways)}")


@check(*SIDES)
def no_udp_encaps(evidence: Evidence) -> Verdict:
    """ESN-35: after `no … udp-encaps` nothing is on UDP 4500 any more."""
    at = state(evidence, "no udp-encaps")
    require({carried_in(frame) for frame in esp(evidence, state(evidence, "udp-encaps"))} == {IN_UDP}, "ESP was never in UDP")
    found = Findings()
    _expect_no_udp(found, evidence, "no udp-encaps", at)
    return found.verdict("UDP encapsulation is off")


@check(*SIDES)
def both_off_in_the_stated_order(evidence: Evidence) -> Verdict:
    """ESN-36: UDP encapsulation turned off first, then SPI matching: the configuration shows `no … udp-encaps` alone, ESP is not in
    UDP and its SPIs are not matched."""
    at = state(evidence, "both off")
    found = Findings()
    _expect_no_udp(found, evidence, "both off", at)
    expect_not_matched(found, evidence, "both off", at)
    for device in ENDS:
        said = shown(evidence, device, "both off")
        found.expect(both_off(said), f"{device} shows {list(said)}, not `{BOTH_OFF_LINE}`")
    return found.verdict("both are off, and the configuration says so in the document's words")


@check(*SIDES)
def both_off_in_reverse(evidence: Evidence) -> Verdict:
    """ESN-37: SPI matching turned off first, then UDP encapsulation: noted."""
    name = "both off in reverse"
    at = state(evidence, name)
    ways = sorted({carried_in(frame) for frame in esp(evidence, at)})
    said = {device: shown(evidence, device, name) for device in ENDS}
    found = Findings(carried_in=ways or "nothing", shown=said)
    found.expect(True, "")
    return found.verdict(f"in the reverse order: ESP in {' and '.join(ways) or 'nothing'}, and {list(said[WEST])} is shown")


def _expect_no_udp(found: Findings, evidence: Evidence, name: str, at: Step) -> None:
    """Nothing of IKE or ESP is on 4500, though the ends negotiated and the western one sent ESP."""
    require(bool(frames(evidence, FrameKind.IKE, since=at.began, until=at.ended)), f"nobody negotiated with {name}")
    require(bool(esp(evidence, at, Side.INSIDE, WEST_ADDRESS)), f"no ESP was sent with {name}")
    for side in SIDES:
        for frame in frames(evidence, side=side, since=at.began, until=at.ended):
            found.expect(4500 not in (frame.sport, frame.dport), f"{frame.kind.value} on UDP 4500 with {name}", frame)


CHECKS: Mapping[str, RouterCheck] = {
    "ESN-30": udp_encapsulation_is_the_default,
    "ESN-31": spi_matching_takes_the_place,
    "ESN-32": udp_encaps_takes_the_place_back,
    "ESN-33": never_both,
    "ESN-34": no_spi_matching,
    "ESN-35": no_udp_encaps,
    "ESN-36": both_off_in_the_stated_order,
}
NOTED: Mapping[str, RouterCheck] = {"ESN-37": both_off_in_reverse}
