"""Do the clients survive one another, without loss and with every word at its owner?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from harness.model import RecordKind, Side, Verdict
from harness.verdict.confusion import Confusion, misdelivered, towards_clients, towards_far_end
from harness.verdict.duplicates import duplicates
from harness.verdict.findings import Findings, require
from harness.verdict.killer import deaths, matrix
from harness.verdict.ports import FIRST_PORT, expect_own_ports, ports_by_client
from harness.verdict.pulse import Asked, LostBy
from harness.verdict.reading import UNTRACEABLE, Reading
from harness.verdict.survival import SILENCE_MARKS, Life, trusted_lives
from harness.verdict.trust import TRAFFIC, Need, check

LOSS_BUDGET = 0.01
"""Share of marked questions that may reach the gateway and go unanswered by it while a client is up: in a short run none."""

NAT_LOSS_BUDGET = 0.01
"""Share of marked questions that may get lost, or whose answers may, between the two captures. The gateway has no part in it; in a
short run it allows one."""

START_WITHIN_S = 0.01
"""Clients whose first datagrams lie within this have started together: main mode alone takes longer."""


@check(*TRAFFIC, Need.FAR_END)
def all_survive_every_newcomer(reading: Reading, *, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """Everyone comes up and stays up while others come; both confusion matrices are the identity; loss is within the budget."""
    f = Findings()
    found = expect_alive(f, reading, at_least=2, loss_budget=loss_budget)
    expect_own_words(f, reading, towards_far_end(reading), found)
    expect_own_words(f, reading, towards_clients(reading), found)
    _expect_own_addresses(f, reading, found)
    return f.verdict(
        f"{len(found)} clients came up and all stayed up; {lost_in_words(found)}; no mark reached anyone but its owner"
    )


@check(*TRAFFIC)
def clients_live_together(reading: Reading, *, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """Two or more clients behind one NAT are up at the same time and answered at the same time."""
    f = Findings()
    found = expect_alive(f, reading, at_least=2, loss_budget=loss_budget)
    expect_own_words(f, reading, towards_clients(reading), found)
    return f.verdict(
        f"{len(found)} clients live behind one NAT address; {lost_in_words(found)}; no answer reached anyone but its owner"
    )


@check(*TRAFFIC)
def sessions_last(reading: Reading, *, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """Everybody who was planned, be it one, comes up and stays up; nothing is said of ports."""
    f = Findings()
    found = expect_alive(f, reading, at_least=1, loss_budget=loss_budget)
    return f.verdict(f"{', '.join(found)} came up and stayed up; {lost_in_words(found)}")


@check(*TRAFFIC)
def established_survive(reading: Reading, *, newcomer_up: bool | None = None) -> Verdict:
    """Half a cure: who was up before a newcomer came lives on. `newcomer_up`: whether the last is to come up; None notes it."""
    return _half_a_cure(reading, newcomer_up)


@check(*TRAFFIC)
def established_survive_as_newcomer_comes_late(reading: Reading, *, newcomer_up: bool | None = None) -> Verdict:
    """The same where the newcomer comes up after all. How late is noted, and what went astray until then: both vary."""
    return _half_a_cure(reading, newcomer_up)


def _half_a_cure(reading: Reading, newcomer_up: bool | None) -> Verdict:
    """Whether the established lived on. What they lost, and what of theirs and the newcomer's the gateway sent to the wrong client,
    is told of each, for such a gateway cures one fault only."""
    order = reading.arrivals()
    require(len(order) >= 2, "fewer than two clients agreed an ESP SA, so nobody could evict anybody")
    found = trusted_lives(reading)
    killed = {d.victim: d for d in deaths(reading, found)}
    last = order[-1]
    f = Findings(clients={c: life.facts() for c, life in found.items()}, deaths=[d.facts() for d in killed.values()])
    f.facts["newcomer_up"] = found[last].up is not None
    f.facts["to_clients"] = towards_clients(reading).facts()
    f.facts["misdelivered"] = astray = misdelivered(reading)
    f.facts["lost"] = {c: {"of": life.sent, **{box.value: life.lost_by(box) for box in LostBy}} for c, life in found.items()}
    agreed = reading.first_ike(last, "QM3")
    require(agreed is not None, f"the moment at which {last}'s SA was agreed is not in the capture")
    assert agreed is not None
    for client in order[:-1]:
        life = found[client]
        require(life.up is not None and life.up.t < agreed.t, f"{client} was not up when {last} came")
        death = killed.get(client)
        f.expect(death is None, f"{client} died when {last} came", *(() if death is None else (death.blow, life.end.frame)))
        after = [a for a in life.asked if a.question.t > agreed.t]
        require(len(after) >= SILENCE_MARKS, f"{client} sent too little once {last} had come")
    came = found[last].up is not None
    f.expect(newcomer_up in (None, came), f"{last} came up: {came}, expected: {newcomer_up}")
    how = "came up too" if came else f"never came up ({found[last].end.stage} incomplete)"
    up = found[last].up
    if up is not None:
        f.facts["newcomer_took_s"] = round(up.t - agreed.t, 3)
        how += f" {up.t - agreed.t:.1f} s after its SA was agreed"
    wrong = [f"{count} packets of {owner} went to {who}" for owner, row in astray.items() for who, count in row.items()]
    return f.verdict("; ".join([f"{', '.join(order[:-1])} lived on; {last} {how}", lost_in_words(found), *wrong]))


@check(*TRAFFIC)
def lone_client_works(reading: Reading, *, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """Demultiplexing does not harm a client that is alone; it too has the first translated port."""
    require(len(reading.clients) == 1, "more than one client was planned")
    f = Findings()
    found = expect_alive(f, reading, at_least=1, loss_budget=loss_budget)
    ports = ports_by_client(reading)
    f.facts["ports"] = {c: sorted(p) for c, p in ports.items()}
    client = reading.clients[0]
    if found[client].up is not None:
        require(client in ports, f"nothing shows the port by which the gateway knows {client}")
        f.expect(ports[client] == {FIRST_PORT}, f"{client} has port {sorted(ports[client])}, not {FIRST_PORT}")
    return f.verdict(f"{client} works alone, on port {FIRST_PORT}; {lost_in_words(found)}")


@check(*TRAFFIC)
def simultaneous_start_succeeds(reading: Reading, *, loss_budget: float = LOSS_BUDGET, within_s: float = START_WITHIN_S) -> Verdict:
    """Clients that start at the same moment all come up, each with a port of its own."""
    began = [o.t for c in reading.clients if (o := reading.first_ike(c, "MM1", Side.INSIDE)) is not None]
    require(len(began) == len(reading.clients) >= 2, "not every client sent its first message")
    spread = max(began) - min(began)
    require(spread <= within_s, f"the clients started {spread * 1000:.0f} ms apart, so not together")
    f = Findings(spread_ms=round(spread * 1000, 3))
    found = expect_alive(f, reading, at_least=2, loss_budget=loss_budget)
    if all(life.up is not None for life in found.values()):
        expect_own_ports(f, reading)
    expect_own_words(f, reading, towards_clients(reading), found)
    return f.verdict(f"{len(found)} clients started within {spread * 1000:.1f} ms and all came up, each on a port of its own")


def _former_tunnels(reading: Reading, client: str, t: float) -> set[object]:
    """The client's own tunnel IDs of its lives before the one that it has at `t`: what the gateway still says to them, it says to
    the same client."""
    began = max((r.t for r in reading.records(client, RecordKind.STARTED) if r.t <= t), default=t)
    return {r.data.get("tunnel_local") for r in reading.records(client, RecordKind.L2TP_UP) if r.t < began}


@check(*TRAFFIC, Need.FAR_END)
def no_cross_delivery(reading: Reading, *, smallest: int = 64, largest: int = 1200) -> Verdict:
    """Marked payloads of all sizes, both ways, arrive at their owners only, and once. Sizes in bytes, as clients journal them."""
    sizes = {int(r.data["size"]) for r in reading.evidence.records if r.kind is RecordKind.MARK_SENT}
    require(bool(sizes), "no marked traffic was sent")
    require(min(sizes) <= smallest, f"the smallest marked packet had {min(sizes)} bytes: small ones were not tried")
    require(max(sizes) >= largest, f"the largest marked packet had {max(sizes)} bytes: large ones were not tried")
    found = trusted_lives(reading)
    require(sum(life.up is not None for life in found.values()) >= 2, "fewer than two clients were up: nothing could be crossed")
    f = Findings(sizes=[min(sizes), max(sizes)])
    expect_own_words(f, reading, towards_far_end(reading), found)
    expect_own_words(f, reading, towards_clients(reading), found)
    _expect_once(f, reading)
    for client in reading.clients:
        for r in reading.records(client, RecordKind.MARK_STRANGE):
            f.expect(False, f"{client} received a mark of client {r.data.get('owner')}")
        for r in reading.records(client, RecordKind.MARK_DAMAGED):
            f.expect(False, f"{client} received mark {r.data.get('sequence')} damaged")
        for r in reading.records(client, RecordKind.STRANGE_DATA):
            former = r.data.get("tunnel") in _former_tunnels(reading, client, r.t)
            f.expect(former, f"{client} received data for tunnel {r.data.get('tunnel')}, which is not its own")
    return f.verdict(f"every marked payload from {min(sizes)} to {max(sizes)} bytes reached its owner only, and once")


def expect_alive(f: Findings, reading: Reading, *, at_least: int, loss_budget: float) -> dict[str, Life]:
    """All clients up, none killed, all asked and answered after the last newcomer, loss within the budget."""
    require(len(reading.clients) >= at_least, f"{len(reading.clients)} clients were planned, {at_least} are needed")
    found = trusted_lives(reading)
    killed = deaths(reading, found)
    f.facts.update(
        clients={c: life.facts() for c, life in found.items()},
        deaths=[d.facts() for d in killed],
        matrix=matrix(reading.clients, killed),
    )
    came = [life.up.t for life in found.values() if life.up is not None]
    settled = max(came, default=0.0)
    unjudged = [f"{c} ended its own connection unasked, so its survival cannot be judged" for c in found if found[c].left_by_itself]
    for client, life in found.items():
        if life.left_by_itself:
            continue
        if not f.expect(life.up is not None, f"{client} never came up: {life.end.incomplete}"):
            continue
        death = next((d for d in killed if d.victim == client), None)
        if death is not None:
            box = "" if death.blame.box is None else f", to blame: the {death.blame.box.replace('nat', 'NAT')}"
            killer = f"{death.killer or 'nobody'} ({death.strength.value})"
            f.expect(False, f"{client} died: {life.end.cause.value}; killer: {killer}{box}")
            f.point(death.blow, life.end.frame, *death.proof[:3])
            continue
        if not heard_out(life, settled):
            unjudged.append(f"{client} sent too little once the last client was up")
        expect_little_lost(f, client, life.asked, budget=loss_budget, when=f", longest gap {life.longest_gap:.1f} s")
    require(not unjudged or bool(f.faults), "; ".join(unjudged[:4]))  # what one client leaves open hides no other's death
    return found


def heard_out(life: Life, settled: float) -> bool:
    """Whether a client that was up asked enough once the last one was up (`settled`) to tell the living from the silent."""
    return sum(a.question.t > settled for a in life.asked) >= SILENCE_MARKS or (life.planned and life.end.t <= settled)


def _expect_own_addresses(f: Findings, reading: Reading, found: Mapping[str, Life]) -> None:
    """No two clients have one PPP address at the same time: what the far end sends there could be for only one of them."""
    up = {c: (life.up.t, life.end.t) for c, life in found.items() if life.up is not None}
    f.facts["ppp_addresses"] = own = {c: reading.identities[c].ppp_address for c in up}
    for one, other in combinations(up, 2):
        together = up[one][0] < up[other][1] and up[other][0] < up[one][1]
        shared = f"{one} and {other} have the same PPP address, {own[one]}"
        f.expect(own[one] is None or own[one] != own[other] or not together, shared, found[one].up, found[other].up)


def expect_little_lost(f: Findings, client: str, asked: Sequence[Asked], *, budget: float, when: str = "") -> None:
    """The gateway answers for what reached it; what was lost between the two captures is the NAT's, and is called so."""
    by_gateway = [a.reached for a in asked if a.lost_by is LostBy.GATEWAY]
    in_nat = [a.question if a.returned is None else a.returned for a in asked if a.lost_by is LostBy.NAT]
    lost = f"{client} lost {len(by_gateway)} of {len(asked)} marks{when}"
    f.expect(len(by_gateway) <= budget * len(asked), lost, *by_gateway[:5])
    lost = f"the NAT lost {len(in_nat)} of {client}'s {len(asked)} marks{when}"
    f.expect(len(in_nat) <= max(1, NAT_LOSS_BUDGET * len(asked)), lost, *in_nat[:5])


def expect_own_words(f: Findings, reading: Reading, found: Confusion, clients: Mapping[str, Life]) -> None:
    key = "to_far_end" if found.towards == "the far end" else "to_clients"
    f.facts[key] = found.facts()
    for client, life in clients.items():
        if life.up is not None:
            require(sum(found.cells[client].values()) > 0, f"no marked traffic of {client} was seen towards {found.towards}")
    for owner, row in found.cells.items():
        for receiver, count in row.items():
            if count:
                own = owner == receiver and owner != UNTRACEABLE
                f.expect(
                    own, f"{count} marks of {owner} reached {receiver} towards {found.towards}", *(() if own else found.strays[:5])
                )
    for client, count in found.unseen.items():
        require(not count or bool(f.faults), f"{count} marks of {client} passed {found.towards}, and its capture missed them")


def _expect_once(f: Findings, reading: Reading) -> None:
    """No mark is delivered twice. Where the clients themselves sent one twice, nothing can be said of the others."""
    found = duplicates(reading)
    f.facts["duplicates"] = [d.facts() for d in found]
    require(all(d.box != "client" for d in found) or bool(f.faults), "the traffic generator sent a mark more than once")
    f.expect(not found, "; ".join(d.sentence for d in found), *(o for d in found for o in d.frames[:5]))


def lost_in_words(found: Mapping[str, Life]) -> str:
    in_nat = sum(life.lost_by(LostBy.NAT) for life in found.values())
    lost = f"{sum(life.lost for life in found.values())} of {sum(life.sent for life in found.values())} marks lost"
    return lost + (f", {in_nat} of them between the two captures" if in_nat else "")
