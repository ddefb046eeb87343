"""A translated port from the moment it is given to the moment it may be given again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.model import GatewayEvent, Observation, Side, Verdict
from harness.verdict.dials import latest, own_frames
from harness.verdict.findings import Findings, require
from harness.verdict.killer import deaths_among, matrix
from harness.verdict.ports import FIRST_PORT, L2TP_PORT, ports_by_life
from harness.verdict.reading import Reading, deletes, ike, l2tp_message
from harness.verdict.survival import Life, every_life, require_no_contradiction
from harness.verdict.trust import TRAFFIC, WIRE, Need, check

CREATED_WITHIN_S = 0.05
"""A port given this shortly after its SA was given with it."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A port in the hands of a client in one of its lives: since when L2TP hears it by that port, and when the life ended."""

    port: int
    client: str
    life: int
    since: Observation
    until: float

    def facts(self) -> dict[str, Any]:
        return {"port": self.port, "client": self.client, "life": self.life, "since": self.since.t, "until": self.until}


def holdings(reading: Reading) -> tuple[Holding, ...]:
    """Every port by which L2TP heard a client, in the order in which it first heard them."""
    ends = {(life.client, life.number): life.end.t for life in every_life(reading)}
    found = [
        Holding(port, client, life, first, ends.get((client, life), first.t))
        for (client, life), ports in ports_by_life(reading).items()
        for port, first in ports.items()
    ]
    return tuple(sorted(found, key=lambda h: (h.since.t, h.since.frame)))


def expect_no_port_of_the_living(f: Findings, found: tuple[Holding, ...]) -> None:
    """Nobody is known by a port at which somebody else is alive."""
    held: dict[int, list[Holding]] = {}
    for holding in found:
        for other in held.get(holding.port, ()):
            same = (other.client, other.life) == (holding.client, holding.life)
            fault = f"{holding.client} was given port {holding.port} while {other.client} lived by it"
            f.expect(same or other.until <= holding.since.t, fault, other.since, holding.since)
        f.expect(holding.port != L2TP_PORT, f"the gateway knows {holding.client} by {L2TP_PORT}: no translation", holding.since)
        held.setdefault(holding.port, []).append(holding)


@check(*WIRE, Need.DECRYPTED, Need.TRANSLATED, Need.GATEWAY_EVENTS)
def port_is_there_before_l2tp_hears(reading: Reading) -> Verdict:
    """The gateway says that it gave the port with the SA; L2TP's first packet of the client bears it already, and comes later.

    Scenario "rekey", or any on a demultiplexing gateway that tells its events. The packets are the witness of the port, the event
    that of the moment, which nothing else can show; both are on one clock.
    """
    f = Findings(given={})
    events = [e for e in reading.evidence.gateway_events if e.kind == "port-given"]
    require(bool(events), "the gateway tells of no port that it gave")
    sas = [e for e in reading.evidence.gateway_events if e.kind == "esp-up"]
    created = {str(e.detail.get(way)): e for e in sas for way in ("spi_in", "spi_out")}
    first = {h.client: h for h in reversed(holdings(reading))}
    for client in reading.arrivals():
        require(client in first, f"nothing of {client} was captured at the L2TP boundary")
        holding = first[client]
        given = next((e for e in events if e.detail.get("port") == holding.port and e.t <= holding.until), None)
        unknown = f"{client} came to L2TP from {holding.port}, which the gateway never gave"
        if not f.expect(given is not None, unknown, holding.since):
            continue
        assert given is not None
        sa = _first_sa(reading, client, created)
        require(sa is not None, f"the gateway does not tell when {client}'s SA came up")
        assert sa is not None
        f.facts["given"][client] = {"port": holding.port, "before_l2tp_s": round(holding.since.t - given.t, 6)}
        f.expect(given.t <= holding.since.t, f"{client} was at L2TP before its port {holding.port} was given", holding.since)
        late = f"{client}'s port was given {given.t - sa.t:.3f} s after its SA was created"
        f.expect(given.t <= sa.t + CREATED_WITHIN_S, late, holding.since)
    return f.verdict(f"each port was there with its SA, before L2TP heard of the client: {f.facts['given']}")


@check(*TRAFFIC, Need.TRANSLATED)
def freed_port_is_nobodys_who_lives(reading: Reading) -> Verdict:
    """Scenario "return": whoever comes once a client has left gets a port that is no living client's.

    Whether it is the one that was freed, or the next, is noted: the document is silent.
    """
    return _after_a_close(reading, returning=False)


@check(*TRAFFIC, Need.TRANSLATED)
def returning_client_takes_nobodys_port(reading: Reading) -> Verdict:
    """Scenario "return": which port the client that left gets when it returns is noted; it is none by which another lives."""
    return _after_a_close(reading, returning=True)


def _after_a_close(reading: Reading, *, returning: bool) -> Verdict:
    lives = every_life(reading)
    require_no_contradiction(lives)
    found = holdings(reading)
    gone = sorted((h for h in found if h.until < reading.end_of_capture(Side.INSIDE)), key=lambda h: h.until)
    f = Findings(ports=[h.facts() for h in found], new=[])
    for holding in found:
        left = [h for h in gone if h.until < holding.since.t]
        if not left or (holding.life > 1) is not returning:
            continue
        own = next((h.port for h in reversed(found) if h.client == holding.client and h.life == holding.life - 1), None)
        living = [h for h in found if h.since.t < holding.since.t < h.until and h.client != holding.client]
        shared = [h for h in living if h.port == holding.port]
        whose = ", ".join(h.client for h in shared)
        f.expect(not shared, f"{holding.client} was given port {holding.port}, by which {whose} lives", holding.since)
        f.expect(holding.port != L2TP_PORT, f"the gateway knows {holding.client} by {L2TP_PORT}: no translation", holding.since)
        f.facts["new"].append(
            {
                "client": holding.client,
                "port": holding.port,
                "freed": sorted({h.port for h in left}),
                "reused": holding.port in {h.port for h in left},
                "own": own,
                "own_again": own == holding.port,
                "living": {h.client: h.port for h in living},
            }
        )
        require(bool(living) or bool(f.faults), f"nobody lived when {holding.client} came, so there was no port to take")
    who = "client returned" if returning else "new client came"
    require(bool(f.facts["new"]) or bool(f.faults), f"no {who} after another one had left, or L2TP did not hear it")
    told = [f"{n['client']} got {n['port']} ({'' if n['reused'] else 'not '}one that was freed)" for n in f.facts["new"]]
    return f.verdict(f"{'; '.join(told)}; nobody's who lived")


@check(*TRAFFIC, Need.TRANSLATED)
def exhausted_ports_refuse_the_next(reading: Reading, *, first: int = FIRST_PORT, last: int | None = None) -> Verdict:
    """Scenario "port-space": with as many clients up as the gateway has ports, the next is refused, with a word, and hurts nobody.

    `first` and `last` are the declared range, of which every port is given before anybody is refused, but for 1701, which tells
    nobody apart; `last` None takes the range to be what the clients that came up fill.
    """
    lives = every_life(reading)
    require_no_contradiction(lives)
    found = holdings(reading)
    killed = deaths_among(reading, lives)
    f = Findings(
        clients={life.client: life.facts() for life in lives},
        deaths=[d.facts() for d in killed],
        matrix=matrix(reading.clients, killed),
        ports={h.client: h.port for h in found},
        refused={},
    )
    up = [life for life in lives if life.up is not None]
    require(bool(up), "nobody came up")
    turned_away = [life for life in lives if life.up is None]
    highest = max((h.port for h in found), default=first) if last is None else last
    f.facts["range"] = [first, highest]
    space = highest - first + 1
    for h in found:
        f.expect(first <= h.port <= highest, f"{h.client} has port {h.port}, outside {first}-{highest}", h.since)
    expect_no_port_of_the_living(f, found)
    never_out = f"{len(lives)} clients came, and the gateway has {space} ports: it was never out of them"
    require(len(lives) > space or bool(f.faults), never_out)
    f.expect(len(up) <= space, f"{len(up)} clients came up, and the gateway has {space} ports")
    for death in killed:
        f.expect(False, f"{death.victim} died: {death.life.end.cause.value}", death.blow, death.life.end.frame)
    for life in turned_away:
        word = _refusal(reading, life)
        f.facts["refused"][life.client] = word
        f.expect(word is not None, f"{life.client} was left without a port, and without a word of why")
    require(bool(turned_away) or bool(f.faults), "nobody was refused")
    _expect_all_given(f, turned_away, found, range(first, highest + 1))
    return f.verdict(f"{len(up)} clients have the {space} ports {first}-{highest}; refused: {f.facts['refused']}")


def _expect_all_given(f: Findings, turned_away: list[Life], found: tuple[Holding, ...], declared: range) -> None:
    """Nobody is refused while a port of the declared range is free."""
    f.facts["free"] = {}
    for life in turned_away:
        held = {h.port for h in found if h.since.t < life.until and h.until >= life.began}
        free = [port for port in declared if port not in held and port != L2TP_PORT]
        f.facts["free"][life.client] = free[:5]
        f.expect(not free, f"{life.client} was refused while port {free[0] if free else None} was free", life.end.frame)


def _refusal(reading: Reading, life: Life) -> str | None:
    """What told a client, or whoever runs the gateway, that it was refused: on the wire, else in the gateway's own account."""
    for o in own_frames(reading, latest(reading, life.client)):
        if reading.direction(o) != "down":
            continue
        notified = [str(n.get("name") or n.get("type")) for n in ike(o, "notifies") or () if 0 < int(n.get("type") or 0) < 16384]
        said = notified or (["Delete"] if deletes(o) else [])
        message = l2tp_message(o)
        said += [message] if message in ("StopCCN", "CDN") else []
        if said:
            return f"{', '.join(said)} (inside frame {o.frame})"
    told = next(_told(reading, life), None)
    return None if told is None else f"{told.detail.get('reason')} (the gateway's own account)"


def _told(reading: Reading, life: Life) -> Iterator[GatewayEvent]:
    identity = reading.identities.get(life.client)
    ports = set() if identity is None else {identity.outside_ike_port, identity.outside_natt_port}
    for e in reading.evidence.gateway_events:
        if e.kind == "refused" and e.t >= life.began and e.peer_port in ports and e.detail.get("reason"):
            yield e


def _first_sa(reading: Reading, client: str, created: Mapping[str, GatewayEvent]) -> GatewayEvent | None:
    identity = reading.identities[client]
    own = [created[spi] for spi in (*identity.spis_in[:1], *identity.spis_out[:1]) if spi in created]
    return min(own, key=lambda e: e.t, default=None)
