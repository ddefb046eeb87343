"""Many clients for long: storms of arrivals, coming and going for hours, all SAs expiring at once.

A client that returns has several lives, and each is judged. Two questions go to the whole: did an established one end for no good
reason, and does the gateway go on holding what the departed had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from harness.model import Side, Verdict
from harness.verdict.causes import endings_of, expect_causes
from harness.verdict.findings import Findings, require
from harness.verdict.killer import deaths_among, matrix
from harness.verdict.port_life import expect_no_port_of_the_living, holdings
from harness.verdict.ports import FIRST_PORT, L2TP_PORT
from harness.verdict.pulse import LostBy
from harness.verdict.reading import Reading
from harness.verdict.rekeying import rekeys
from harness.verdict.survival import Cause, Life, every_life, require_no_contradiction
from harness.verdict.survivors import LOSS_BUDGET, expect_alive, heard_out, lost_in_words
from harness.verdict.trust import TRAFFIC, Need, check

INSIDE_ONLY = (Need.INSIDE, Need.DECRYPTED, Need.GENERATOR, Need.CLOCKS, Need.MARKS)
"""What a day with a hundred clients can do with: how a session ended shows inside the NAT. With the outside capture beside it, what
ended for no cause is also put down to a box."""

LINGER_S = 300.0
"""A gateway may hold the port of a client that has vanished this long: its Hello and its retransmissions have to fail first."""

SET_UP_S = 60.0
"""A set-up that began less than this before the run was over, or before its client dialled anew, may well not be complete."""

MAX_TOLD = 50


@check(*INSIDE_ONLY)
def no_end_without_one_of_the_four_causes(reading: Reading, *, least_rekeys: int = 1, least_lives: int = 2) -> Verdict:
    """Scenario "churn": over rekeys and the comings and goings of others every end has one of the document's four causes, and was
    asked for."""
    f, lives = _judged(reading, least_lives)
    made = len(rekeys(reading))
    found = endings_of(reading, lives)
    expect_causes(f, found)
    require(made >= least_rekeys or bool(f.faults), f"{made} rekeys were seen, {least_rekeys} are needed")
    up = [life for life in lives if life.up is not None]
    f.judged += len(up) - len(found)  # whoever lived to the end of the run has not ended for any cause
    f.facts.update(rekeys=made, ends=[e.facts() for e in found if not e.asked][:MAX_TOLD], ended=len(found))
    hours = (reading.end_of_capture(Side.INSIDE) - min(life.began for life in lives)) / 3600
    told = f"{len(up)} lives in {hours:.1f} h, {made} rekeys"
    return f.verdict(f"{told}, {len(found)} ends, each with its cause: {f.facts['causes']}")


@check(*TRAFFIC)
def established_survive_a_storm(reading: Reading) -> Verdict:
    """Scenario "storm": of all that came up nobody died. Set-ups that failed are counted by stage and reason, and are no deaths.

    Whoever was up when the last one had come has to have asked often enough from then on: a newcomer's victims are silent, and so
    is everybody in a hold that is too short."""
    f, lives = _judged(reading, 2)
    steps = reading.steps("storm")
    require(bool(steps), "the run holds no storm step")
    _expect_nobody_killed(f, reading, lives)
    up, failed = _set_ups(f, lives)
    require(bool(up), f"nobody came up: {f.facts['failed_set_ups']}")
    settled = max(life.up.t for life in up if life.up is not None)
    short = sorted({life.client for life in up if not life.died and not heard_out(life, settled)})
    few = f"{len(short)} clients sent too little once the last was up, {', '.join(short[:5])}"
    require(not short or bool(f.faults), few)
    storm = steps[0]
    f.facts["storm"] = {"seconds": round(storm.ended - storm.began, 3), **dict(storm.detail)}
    return f.verdict(f"{len(up)} of {len(lives)} came up and all survived; set-ups that failed, told apart: {len(failed)}")


@check(*INSIDE_ONLY)
def everybody_lives_until_it_leaves(reading: Reading, *, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """Where clients come and go: all established live until they are to end, every newcomer gets in, and marks are answered."""
    f, lives = _judged(reading, 2)
    up = _expect_lives(f, reading, lives, loss_budget)
    told = f"{len(up)} lives of {len(reading.clients)} clients, none ended before its time"
    return f.verdict(f"{told}; {lost_in_words({f'{life.client}/{life.number}': life for life in up})}")


@check(*INSIDE_ONLY, Need.TRANSLATED)
def coming_and_going_kills_nobody_and_leaks_no_port(
    reading: Reading, *, loss_budget: float = LOSS_BUDGET, policy: str = "next", linger_s: float = LINGER_S
) -> Verdict:
    """Scenario "churn": all established live until they are to end, every newcomer gets in, ports go back, and no port is higher
    than the gateway's `policy` needs: "lowest-free" as many as live at once, "next" as many as there were lives.

    A port is leaked where the gateway's own account still holds it `linger_s` after its client has gone; the bound is judged by the
    ports that L2TP hears. The capture at the boundary may be confined to control messages.
    """
    f, lives = _judged(reading, 2)
    up = _expect_lives(f, reading, lives, loss_budget)
    returned = sum(life.number > 1 for life in up)
    by_client = (Cause.CLIENT_CLOSED, Cause.CLIENT_DELETE, Cause.VANISHED)
    left = [life for life in up if life.end.cause in by_client and not life.run_closed]
    require(bool(left) or bool(f.faults), "nobody left, so no port had to be given back")
    found = holdings(reading)
    heard = {h.client for h in found}
    unheard = sorted({life.client for life in up} - heard)
    require(not unheard or bool(f.faults), f"nothing of {', '.join(unheard[:5])} was captured at the L2TP boundary")
    expect_no_port_of_the_living(f, found)
    crowd = _most_at_once(up, linger_s)
    bound = FIRST_PORT - 1 + (crowd if policy == "lowest-free" else len(lives))
    highest = max(found, key=lambda h: h.port, default=None)
    if highest is not None:
        f.expect(highest.port <= bound, f"port {highest.port} was given; {policy} needs none above {bound}", highest.since)
    _expect_ports_returned(f, reading, lives, linger_s)
    f.facts.update(at_once=crowd, returned=returned, bound=bound, distinct=len({h.port for h in found}))
    f.facts["highest"] = None if highest is None else highest.port
    told = f"{len(up)} lives, {len(left)} of which left and {returned} had come back"
    told += f"; {lost_in_words({f'{life.client}/{life.number}': life for life in up})}"
    return f.verdict(f"{told}; no port above {f.facts['highest']}, none leaked")


@check(*TRAFFIC)
def all_survive_a_rekey_of_all(reading: Reading, *, within_s: float = 10.0, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """Scenario "rekey-storm": every client's SA is replaced within `within_s` of the others', and everyone lives on."""
    f = Findings()
    found = expect_alive(f, reading, at_least=2, loss_budget=loss_budget)
    up = [c for c, life in found.items() if life.up is not None]
    times = sorted((r.agreed.t, r.client) for r in rekeys(reading))
    most, window = _busiest(times, within_s)
    f.facts.update(rekeys=len(times), at_once=len(most), window_s=window)
    renewed = {client for _, client in times}
    for client in up:
        f.expect(client in renewed, f"{client} never got a new SA", reading.first_ike(client, "QM3"))
    gathered = f"{len(most)} of {len(up)} clients rekeyed within {within_s:g} s of one another: that was no storm"
    require(len(most) == len(up) or bool(f.faults), gathered)
    return f.verdict(f"{len(most)} clients rekeyed within {window:.1f} s and all live; {lost_in_words(found)}")


def _judged(reading: Reading, at_least: int) -> tuple[Findings, tuple[Life, ...]]:
    lives = every_life(reading)
    require_no_contradiction(lives)
    require(len(lives) >= at_least, f"{len(lives)} lives were seen, {at_least} are needed")
    return Findings(lives=len(lives), clients_planned=len(reading.clients)), lives


def _expect_lives(f: Findings, reading: Reading, lives: Sequence[Life], loss_budget: float) -> list[Life]:
    """Who came up; that nobody of these died or lost too much, and that nobody else had long enough to come up."""
    _expect_nobody_killed(f, reading, lives)
    up, failed = _set_ups(f, lives)
    for life in failed:
        tried = min(life.until, reading.end_of_capture(Side.INSIDE)) - life.began
        stopped = f"{life.client} never came up: {life.end.incomplete}"
        f.expect(tried < SET_UP_S, stopped, life.end.frame)
    both_sides = bool(reading.frames(Side.OUTSIDE))
    for life in up:
        # without the outside capture a loss is a loss: nothing says that it was the NAT's
        lost = [a for a in life.asked if a.answer is None and (a.lost_by is LostBy.GATEWAY or not both_sides)]
        many = f"{life.client} lost {len(lost)} of {life.sent} marks in its life {life.number}"
        f.expect(len(lost) <= loss_budget * life.sent, many, *(a.reached or a.question for a in lost[:5]))
    return up


def _expect_nobody_killed(f: Findings, reading: Reading, lives: Sequence[Life]) -> None:
    killed = deaths_among(reading, lives)
    victims = {(d.victim, d.life.number) for d in killed}
    f.facts.update(deaths=[d.facts() for d in killed][:MAX_TOLD])
    if killed:
        f.facts["matrix"] = matrix(reading.clients, killed)
    for death in killed:
        box = "" if death.blame.box is None else f", to blame: the {death.blame.box.replace('nat', 'NAT')}"
        killer = f"{death.killer or 'nobody'} ({death.strength.value})"
        how = f"{death.victim} died: {death.life.end.cause.value}; killer: {killer}{box}"
        f.expect(False, how, death.blow, death.life.end.frame)
    for life in lives:
        if life.up is not None and (life.client, life.number) not in victims:
            by_itself = f"{life.client} ended its own connection unasked, so its survival cannot be judged"
            require(not life.left_by_itself or bool(f.faults), by_itself)
            f.judged += 1
    established = [life for life in lives if life.up is not None]
    f.facts["survival"] = round(1 - len(killed) / len(established), 6) if established else None


def _set_ups(f: Findings, lives: Iterable[Life]) -> tuple[list[Life], list[Life]]:
    """Who came up, and who did not, counted by where and why."""
    up: list[Life] = []
    failed: list[Life] = []
    for life in lives:
        (failed if life.up is None else up).append(life)
    why = Counter(f"{life.end.stage}: {life.end.reason or 'no reason given'}" for life in failed)
    f.facts.update(came_up=len(up), failed_set_ups=dict(why.most_common(MAX_TOLD)))
    return up, failed


def _most_at_once(lives: Iterable[Life], linger_s: float) -> int:
    """The most lives that the gateway had to have a port for at once, each for `linger_s` longer than it lasted."""
    edges = [(life.began, 1) for life in lives] + [(life.end.t + linger_s, -1) for life in lives]
    now = most = 0
    for _, change in sorted(edges):
        now += change
        most = max(most, now)
    return most


def _expect_ports_returned(f: Findings, reading: Reading, lives: Sequence[Life], linger_s: float) -> None:
    """In the gateway's last account no port is held for anybody who is long gone: by what it lists, or by what it says that it gave
    and took back. One of the two has to be there."""
    end = reading.end_of_capture(Side.INSIDE)
    views = [v for v in reading.evidence.gateway_views if v.ports or v.sas]
    events = [e for e in reading.evidence.gateway_events if e.kind in ("port-given", "port-freed")]
    require(bool(views) or bool(events), "the gateway gives no account of the ports that it holds, so a leak would not show")
    accounts: dict[str, tuple[float, set[int]]] = {}
    if views:
        last = views[-1]
        installed = {sa.translated_port for sa in last.sas if sa.translated_port is not None}
        accounts[last.label] = last.t, {*last.ports.values(), *installed}
    if events:
        given: set[Any] = set()
        for e in sorted(events, key=lambda e: e.t):
            (given.add if e.kind == "port-given" else given.discard)(e.detail.get("port"))
        accounts["events"] = end, given
    for label, (t, ports) in accounts.items():
        held = {h.port for h in holdings(reading) if h.until + linger_s >= t}
        here = sum(life.up is not None and life.began <= t <= life.end.t + linger_s for life in lives)
        leaked = sorted(p for p in ports - held if p != L2TP_PORT)
        of_nobody = f"the gateway holds {len(leaked)} ports of nobody, {leaked[:5]} … ({label}); {here} clients are there"
        f.expect(not leaked, of_nobody)
    f.facts["held_at_the_end"] = {label: len(ports) for label, (_, ports) in accounts.items()}


def _busiest(times: list[tuple[float, str]], within_s: float) -> tuple[set[str], float]:
    """The most clients with a rekey within so many seconds, and how long those took."""
    best: tuple[set[str], float] = (set(), 0.0)
    start = 0
    inside: Counter[str] = Counter()
    for t, client in times:
        inside[client] += 1
        while times[start][0] < t - within_s:
            inside[times[start][1]] -= 1
            start += 1
        here = {c for c, n in inside.items() if n > 0} if len(times) - start >= len(best[0]) else set()
        if len(here) > len(best[0]):
            best = (here, t - times[start][0])
    return best
