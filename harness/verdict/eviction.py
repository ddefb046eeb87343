"""Known-bad controls: without demultiplexing a newcomer behind the same NAT ends the connection of whoever was there before.

These pass only if the loss is seen, the killer is named *and* the gateway is to blame, and fail if all is well. Named is: certain,
where the victim's words were seen on the killer's SA; or the only client that did anything at that moment, while the gateway went
on serving it (a gateway that fell silent towards everybody has evicted nobody). A NAT that swallows the victim's packets as the
newcomer comes is not the known fault, and must not prove that the harness sees it.
"""

from __future__ import annotations

from harness.model import FrameKind, GatewayView, Side, Verdict
from harness.verdict.blame import REACTION_S, fell_mute
from harness.verdict.findings import Findings, require
from harness.verdict.killer import Death, Strength, deaths, matrix
from harness.verdict.reading import Reading, deletes
from harness.verdict.survival import SILENCE_MARKS, Life, trusted_lives
from harness.verdict.trust import TRAFFIC, WIRE, Need, check

L2TP_PORT = 1701


@check(*TRAFFIC)
def newcomer_evicts_established(reading: Reading, *, newcomer_up: bool | None = None) -> Verdict:
    """Every client that carried traffic is dead, and receives nothing, from the moment the next one's SA is installed.

    `newcomer_up`: whether the last client is expected to come up itself; None only notes it.
    """
    return evictions(reading, newcomer_up=newcomer_up)


def evictions(reading: Reading, *, newcomer_up: bool | None) -> Verdict:
    """The known fault, wherever it is to show."""
    order = reading.arrivals()
    require(len(order) >= 2, "fewer than two clients agreed an ESP SA, so nobody could evict anybody")
    found = trusted_lives(reading)
    killed = deaths(reading, found)
    f = Findings(order=list(order), clients={c: life.facts() for c, life in found.items()}, deaths=[d.facts() for d in killed])
    f.facts["matrix"] = matrix(reading.clients, killed)
    last = order[-1]
    f.facts["newcomer_up"] = found[last].up is not None
    require(found[order[0]].up is not None, f"{order[0]} never came up, so there was nothing to lose")
    for client in order[:-1]:
        life = found[client]
        if life.up is None:
            continue  # itself kept down by those before it: nothing to lose
        expect_evicted(f, reading, life, next((d for d in killed if d.victim == client), None), order)
    if newcomer_up is not None:
        f.expect(
            (found[last].up is not None) is newcomer_up, f"{last} came up: {found[last].up is not None}, expected: {newcomer_up}"
        )
    return f.verdict("; ".join(f"{d.killer} killed {d.victim} ({d.strength.value})" for d in killed))


def expect_evicted(f: Findings, reading: Reading, life: Life, death: Death | None, order: tuple[str, ...]) -> None:
    """A client that was up died of one that came later in `order`, by the gateway's fault, and received nothing more."""
    later = _after(order, life.client)
    _require_traffic_before_newcomer(reading, life, order)
    if f.expect(death is not None, f"{life.client} survived the arrival of {later[0]}: the known fault did not show"):
        assert death is not None
        _expect_named(f, reading, death, later)
        _expect_nothing_received(f, reading, death, _sa_ended(reading, death.killer))


@check(*TRAFFIC)
def only_the_last_comer_receives(reading: Reading) -> Verdict:
    """In whatever order they come, the gateway sends to nobody but the last one, and each earlier one that was up is dead."""
    order = reading.arrivals()
    require(len(order) >= 2, "fewer than two clients agreed an ESP SA")
    found = trusted_lives(reading)
    killed = {d.victim: d for d in deaths(reading, found)}
    f = Findings(
        order=list(order), deaths=[d.facts() for d in killed.values()], matrix=matrix(reading.clients, tuple(killed.values()))
    )
    require(found[order[0]].up is not None, f"{order[0]} never came up, so there was nothing to lose")
    _require_traffic_before_newcomer(reading, found[order[0]], order)
    for client in order[:-1]:
        if found[client].up is None:
            continue
        if f.expect(client in killed, f"{client} survived a newcomer"):
            _expect_named(f, reading, killed[client], _after(order, client))
    agreed = [m.t for c in order if (m := reading.first_ike(c, "QM3")) is not None]
    for i, client in enumerate(order[1:], start=1):
        began, ended = agreed[i] + REACTION_S, agreed[i + 1] if i + 1 < len(order) else _sa_ended(reading, client)
        sent = [o for o in reading.way(Side.OUTSIDE, "down", FrameKind.ESP) if began < o.t < ended]
        if client == order[-1]:
            require(bool(sent), f"the gateway sent nothing to anybody after {client} came, so nothing shows who receives")
        for o in sent:
            f.expect(reading.sa_owner(o) == client, f"after {client} came the gateway still sent to {reading.sa_owner(o)}", o)
    return f.verdict(f"after each arrival only the newcomer received: {', '.join(order)}")


@check(*WIRE, Need.DECRYPTED, Need.VIEWS)
def gateway_key_collides(reading: Reading) -> Verdict:
    """What the gateway knows its clients by is the same for all: the NAT's address and port 1701."""
    order = reading.arrivals()
    require(len(order) >= 2, "fewer than two clients agreed an ESP SA")
    evidence = reading.evidence
    f = Findings(nat=evidence.nat_outside)
    for client in order:
        sent = [o for o in reading.way(Side.OUTSIDE, "up", FrameKind.ESP) if reading.sa_owner(o) == client and o.inner is not None]
        require(bool(sent), f"{client} sent nothing through its SA")
        for o in sent:
            assert o.inner is not None
            f.expect(o.src == evidence.nat_outside, f"{client} reached the gateway from {o.src}", o)
            f.expect(o.inner.sport == L2TP_PORT, f"{client}'s inner source port is {o.inner.sport}", o)
    view, keys = _keys(reading)
    f.facts.update(view=view.label, keys=[list(k) for k in keys])
    f.expect(len(set(keys)) == 1, f"the gateway tells its clients apart by {sorted(set(keys), key=str)}")
    for key in keys:
        f.expect(key[:2] == (evidence.nat_outside, L2TP_PORT), f"the gateway knows a client as {key}")
    return f.verdict(f"the gateway knows {len(keys)} clients by one key: {evidence.nat_outside}, port {L2TP_PORT}")


def _keys(reading: Reading) -> tuple[GatewayView, list[tuple[str, int, int | None]]]:
    """(peer address, peer port, mark) of each client in the fullest view, the mark being the one that picks its client's SA
    downwards;
    raises Inconclusive where no view lists two clients with their SAs."""
    best: tuple[GatewayView, list[tuple[str, int, int | None]]] | None = None
    for view in reading.evidence.gateway_views:
        keys: list[tuple[str, int, int | None]] = []
        for s in view.sessions:
            owner = next((i for i in reading.identities.values() if i.tunnel_gateway == s.tunnel_local), None)
            own = () if owner is None else {*owner.spis_in, *owner.spis_out}
            known = {(sa.translated_port or L2TP_PORT, sa.mark) for sa in view.sas if sa.spi in own and not sa.inbound}
            keys += {(s.peer_address, port if s.peer_port is None else s.peer_port, mark) for port, mark in known}
        if not view.sessions:
            keys = [(s.peer_address, s.translated_port or L2TP_PORT, s.mark) for s in view.sas if s.inbound]
        if len(keys) >= 2 and (best is None or len(keys) > len(best[1])):
            best = view, keys
    if best is None:
        require(False, "no view of the gateway lists two clients at once, with the SAs of each")
    assert best is not None
    return best


def _after(order: tuple[str, ...], client: str) -> tuple[str, ...]:
    return order[order.index(client) + 1 :]


def _require_traffic_before_newcomer(reading: Reading, life: Life, order: tuple[str, ...]) -> None:
    """Whoever is to be evicted must have had a working connection, or its death shows nothing."""
    newcomer = _after(order, life.client)[0]
    came = reading.first_ike(newcomer, "QM3")
    assert came is not None  # arrivals() lists only those with a QM3
    before = [a for a in life.asked if a.answer is not None and a.question.t < came.t]
    require(len(before) >= SILENCE_MARKS, f"{life.client} carried no traffic before {newcomer} came")
    asked = [a for a in life.asked if a.question.t > came.t]
    require(len(asked) >= SILENCE_MARKS or life.died, f"{life.client} sent too little after {newcomer} came to tell")


def _expect_named(f: Findings, reading: Reading, death: Death, later: tuple[str, ...]) -> None:
    f.point(death.blow, *death.proof[:3])
    if death.blame.box not in ("gateway", None):
        box = death.blame.box.replace("nat", "NAT")
        f.expect(False, f"{death.victim} died, and the {box} is to blame: {death.blame.why}", *death.blame.frames[:3])
        return
    if death.killer is None and fell_mute(reading, death.life.end.t):
        f.expect(False, f"{death.victim} died when the gateway fell silent towards everybody: that is no eviction")
        return
    if not f.expect(death.killer in later, f"{death.victim} died, and no later client is shown to have done it"):
        return
    require(death.blame.box is not None or bool(f.faults), f"{death.victim} died, and no box is to blame: {death.blame.why}")
    if death.strength is Strength.SUSPECTED:
        served = death.blow is not None and any(
            reading.sa_owner(o) == death.killer for o in reading.way(Side.OUTSIDE, "down", FrameKind.ESP) if o.t > death.blow.t
        )
        f.expect(served, f"{death.victim} died, but the gateway served {death.killer} no better: it may have failed by itself")
        f.expect(len(death.suspects) == 1, f"{death.victim} died, and {', '.join(death.suspects)} all acted at that moment")


def _sa_ended(reading: Reading, client: str | None) -> float:
    """When a client's SAs were given up, by either end; infinity where they never were."""
    return min((o.t for o in reading.frames(Side.OUTSIDE) if deletes(o) and reading.ike_owner(o) == client), default=float("inf"))


def _expect_nothing_received(f: Findings, reading: Reading, death: Death, until: float) -> None:
    """As long as the killer's SA is there; once that is gone the gateway may find its way back to the victim's."""
    for o in reading.way(Side.OUTSIDE, "down", FrameKind.ESP):
        if death.life.end.t + REACTION_S < o.t < until:
            f.expect(reading.sa_owner(o) != death.victim, f"the gateway still sent to {death.victim} after its death", o)
