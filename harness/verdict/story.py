"""The result in sentences, as they stand in the report and on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby

from harness.errors import Inconclusive
from harness.model import Evidence, Observation
from harness.verdict import link_cuts
from harness.verdict.blame import fell_mute
from harness.verdict.killer import Death, Strength, deaths
from harness.verdict.ports import L2TP_PORT, ports_by_client
from harness.verdict.reading import CLOSING_STEPS, Reading, reading_of
from harness.verdict.remapping import remappings
from harness.verdict.sites import parts
from harness.verdict.survival import Cause, Life, trusted_lives
from harness.verdict.trust import TRAFFIC, doubts

SPELT_OUT = 6
"""Ports that follow one another are named one by one up to this many."""


def tell(evidence: Evidence) -> tuple[str, ...]:
    """What happened in one scenario, the deaths first; on evidence that is not to be trusted only why it isn't. Clients behind
    several NATs, or behind none, are looked at site by site."""
    whole, sites = reading_of(evidence), parts(evidence).values()
    readings = [Reading(part) for part in sites] if len(sites) > 1 else [whole]
    found = [doubt for reading in readings for doubt in doubts(reading, TRAFFIC)]
    if found:
        return (f"With the {evidence.variant} gateway, nothing can be said: {'; '.join(found[:3])}.",)
    try:
        clients = [trusted_lives(reading) for reading in readings]
    except Inconclusive as doubt:
        return (f"With the {evidence.variant} gateway, nothing can be said: {doubt}.",)
    lives = [life for own in clients for life in own.values()]
    dead = [(d, reading) for reading, own in zip(readings, clients, strict=True) for d in deaths(reading, own)]
    lines = [_death(reading, d) for d, reading in sorted(dead, key=lambda one: one[0].life.end.t)]
    lines += [_never_up(evidence, life) for life in lives if life.end.cause is Cause.NEVER_UP]
    lines += [_gave_up(evidence, life) for life in lives if life.left_by_itself]
    living = tuple(life for life in lives if life.up is not None and not life.died and not life.left_by_itself)
    if living:
        lines.append(_living(whole, living, alone=len(living) == len(lives)))
    for change in (change for reading in readings for change in remappings(reading)):
        whose = "The scenario had it so." if change.asked_for else "To blame: the NAT."
        lines.append(f"At {clock(change.first.t)} ({at(change.first)}) {change.sentence}. {whose}")
    if cut_s := link_cuts.seconds(whole):
        lines.append(f"The scenario cut the link between NAT and gateway for {cut_s:.1f} s: what was asked then is not judged.")
    ended = ended_by_script(evidence)
    if ended:
        lines.append(f"The scenario itself ended {', '.join(f'{spoken(client)} ({how})' for client, how in ended.items())}.")
    return tuple(lines)


def ended_by_script(evidence: Evidence) -> dict[str, str]:
    """The clients that a step of the scenario ended, and how; hanging up at the end, as every client does, is not among them."""
    done = {client: how for s in evidence.steps for how, _, client in [s.name.partition(":")] if how in CLOSING_STEPS}
    return {} if set(done.values()) == {"client-close"} else done


def spoken(client: str) -> str:
    """ "client 2" for "c2"."""
    return f"client {client[1:]}" if client[:1] == "c" and client[1:].isdigit() else client


def at(frame: Observation) -> str:
    """Where a reader finds a frame: the capture's file and the number in it."""
    return f"{frame.side.value}.pcap frame {frame.frame}"


def clock(t: float) -> str:
    """UTC time of day with milliseconds."""
    return datetime.fromtimestamp(t, UTC).strftime("%H:%M:%S.%f")[:-3]


def _death(reading: Reading, death: Death) -> str:
    evidence = reading.evidence
    victim, gateway = spoken(death.victim), f"With the {evidence.variant} gateway"
    if death.killer is None and death.strength is Strength.SUSPECTED:
        who = ", ".join(spoken(c) for c in death.suspects)
        return (
            f"{gateway}, {victim} died at {clock(death.life.end.t)} ({death.life.end.cause.value}); {who} all acted at that moment."
        )
    if death.killer is None:
        alone = "), and no other client did anything between its last answered mark and its first unanswered one"
        everybody = " towards everybody)"
        why = everybody if fell_mute(reading, death.life.end.t) else alone
        return f"{gateway}, {victim} died at {clock(death.life.end.t)} ({death.life.end.cause.value}{why}.{_blame(death)}"
    verb = "killed" if death.strength is Strength.CERTAIN else "probably killed"
    where = ""
    if death.blow is not None:
        where = f" at {at(death.blow)} ({death.name} of {_inside(evidence, death.killer)}, {clock(death.blow.t)})"
    return f"{gateway}, {spoken(death.killer)} {verb} {victim}{where}: {_marks(death.life)}{_proof(death)}.{_blame(death)}"


def _inside(evidence: Evidence, client: str) -> str:
    return next((p.address for p in evidence.plans if p.name == client), client)


def _marks(life: Life) -> str:
    last, first = life.last_answered, life.first_unanswered
    before = "no mark was ever answered" if last is None else f"mark {last.sequence} was the last answered"
    if first is None:
        return f"{before}; {life.end.cause.value}"
    unanswered = len(life.silence) or sum(a.question.t >= first.question.t for a in life.asked)
    return f"{before}, none of the {unanswered} from mark {first.sequence} on was"


def _proof(death: Death) -> str:
    if not death.proof:
        return ""
    thief = spoken(death.killer or "")
    return f"; {len(death.proof)} of its packets left on SPI {death.spi} of {thief}, the first at {at(death.proof[0])}"


def _blame(death: Death) -> str:
    return "" if death.blame.box is None else f" To blame: the {death.blame.box.replace('nat', 'NAT')} ({death.blame.why})."


def _never_up(evidence: Evidence, life: Life) -> str:
    stage = "set-up" if life.end.stage is None else life.end.stage.value
    why = "" if life.end.reason is None else f" ({life.end.reason})"
    return f"With the {evidence.variant} gateway, {spoken(life.client)} never came up: {stage} did not complete{why}."


def _gave_up(evidence: Evidence, life: Life) -> str:
    if life.cut_off:
        return f"{spoken(life.client).capitalize()} gave up, for nothing came to it through the link that was cut."
    return f"With the {evidence.variant} gateway, {spoken(life.client)} ended its own session unasked ({life.end.cause.value})."


def _living(reading: Reading, living: tuple[Life, ...], *, alone: bool) -> str:
    names = [spoken(life.client) for life in living]
    who = {1: f"{names[0]} lives"}.get(
        len(names), f"both live ({' and '.join(names)})" if len(names) == 2 else f"{len(names)} live"
    )
    if len(names) == 2 and alone:
        who = "both live"
    if len(names) > 2 and alone:
        who = f"all {len(names)} live"
    lost, sent = sum(life.lost for life in living), sum(life.sent for life in living)
    return f"With the {reading.evidence.variant} gateway, {who}{_ports(reading, living)}; {lost} of {sent} marks lost."


def _ports(reading: Reading, living: tuple[Life, ...]) -> str:
    known: Mapping[str, set[int]] = ports_by_client(reading)
    ports = sorted(min(known[life.client]) for life in living if len(known.get(life.client, ())) == 1)
    if len(ports) != len(living) or len(set(ports)) != len(ports) or L2TP_PORT in ports:
        return ""
    return f", on {ports_in_words(ports)}"


def ports_in_words(ports: list[int]) -> str:
    """ "ports 1024 and 1025"; of hundreds that follow one another the first and the last. They come in order."""
    words = [word for first, last in _runs(ports) for word in _spelt(first, last)]
    return f"port {words[0]}" if len(ports) == 1 else f"ports {' and '.join(', '.join(words).rsplit(', ', 1))}"


def _runs(ports: list[int]) -> Iterator[tuple[int, int]]:
    """(first, last) of each unbroken run of numbers in order."""
    for _, run in groupby(enumerate(ports), key=lambda place: place[1] - place[0]):
        numbers = [port for _, port in run]
        yield numbers[0], numbers[-1]


def _spelt(first: int, last: int) -> list[str]:
    return [str(port) for port in range(first, last + 1)] if last - first < SPELT_OUT else [f"{first} to {last}"]
