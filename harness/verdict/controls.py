"""Controls without the feature: where the document says that all is well without it, and where the fault has to show.

Several clients live without it where there is no IPsec or no NAT ("If you do not have IPsec enabled, or you do not have a NAT or
PAT server, you can have multiple Windows clients connect"). A fresh configuration has the fault, and so has one from which the
line was taken away.
"""

from __future__ import annotations

from harness.model import FrameKind, Observation, Side, Verdict
from harness.verdict.confusion import towards_clients, towards_far_end
from harness.verdict.eviction import evictions, expect_evicted
from harness.verdict.findings import Findings, require
from harness.verdict.killer import deaths
from harness.verdict.pulse import carriers
from harness.verdict.reading import Reading
from harness.verdict.sites import routed
from harness.verdict.survival import Life, trusted_lives
from harness.verdict.survivors import LOSS_BUDGET, expect_alive, expect_own_words, lost_in_words
from harness.verdict.trust import TRAFFIC, Need, check


@check(*TRAFFIC, Need.FAR_END)
def all_survive_without_ipsec(reading: Reading, *, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """Scenario "clear": L2TP on UDP 1701 through one NAT address, no IPsec; everyone comes up and stays up.

    That there was no IPsec, and that all came from one address, has to be seen on the wire.
    """
    require(reading.evidence.clear_expected, "the scenario does not declare L2TP without protection")
    protected = [o for o in reading.frames(Side.OUTSIDE) if o.kind in (FrameKind.IKE, FrameKind.ESP)]
    require(not protected, f"there was IPsec after all: {len(protected)} frames of IKE and ESP")
    sources = {o.src for o in carriers(reading, Side.OUTSIDE, "up")}
    require(sources == {reading.evidence.nat_outside}, f"L2TP came from {sorted(sources)}, not from the NAT's address alone")
    f = Findings(nat=reading.evidence.nat_outside)
    found = _expect_all_well(f, reading, loss_budget)
    shared = f"{len(found)} clients share {reading.evidence.nat_outside} in clear"
    return f.verdict(f"{shared}, and all stayed up; {lost_in_words(found)}")


@check(*TRAFFIC, Need.FAR_END)
def all_survive_without_nat(reading: Reading, *, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """Scenario "no-nat": every client has an address of its own on the wire and IPsec protects it; everyone stays up.

    That nothing was translated has to be seen: each packet bears the same addresses and ports on both sides.
    """
    crossings = reading.crossings()
    require(bool(crossings), "no packet was seen on both sides")
    changed = [c for c in crossings if _ends(c.inside) != _ends(c.outside)]
    require(not changed, f"there was a NAT after all: it translated {len(changed)} packets")
    protected = [o for o in carriers(reading, Side.OUTSIDE, "up") if o.esp is not None]
    require(bool(protected), "there was no IPsec")
    wrapped = [o for o in protected if o.sport is not None]
    f = Findings(addresses=sorted({o.src for o in protected}), udp_encapsulated=len(wrapped))
    found = _expect_all_well(f, Reading(routed(reading.evidence)), loss_budget)
    return f.verdict(f"{len(found)} clients with an address each, and all stayed up; {lost_in_words(found)}")


@check(*TRAFFIC)
def fresh_configuration_has_the_fault(reading: Reading, *, newcomer_up: bool | None = None) -> Verdict:
    """Scenario "default": a configuration that says nothing of demultiplexing behaves as the control does (DMX-01)."""
    return evictions(reading, newcomer_up=newcomer_up)


@check(*TRAFFIC)
def removal_brings_the_fault_back(reading: Reading) -> Verdict:
    """Scenario "demux-removed": of the clients that come after "demux-off" each evicts the one of them before it.

    What becomes of those who were up before is noted: the document is silent on live SAs.
    """
    off = reading.step("demux-off")
    require(off is not None, "the run holds no demux-off step")
    assert off is not None
    order = reading.arrivals()
    agreed = {c: o.t for c in order if (o := reading.first_ike(c, "QM3")) is not None}
    before, after = [c for c in order if agreed[c] < off.began], [c for c in order if agreed[c] > off.ended]
    require(len(before) >= 1, "nobody was up when demultiplexing was taken away")
    require(len(after) >= 2, f"{len(after)} clients came after demux-off; it takes two to show the fault")
    found = trusted_lives(reading)
    killed = {d.victim: d for d in deaths(reading, found)}
    f = Findings(
        order=list(order),
        clients={c: life.facts() for c, life in found.items()},
        deaths=[d.facts() for d in killed.values()],
        existing={c: _what_became(found[c], c in killed) for c in before},
    )
    for client in before:
        life = found[client]
        early = life.up is None or (client in killed and life.end.t < off.began)
        require(not early, f"{client} was not alive when demultiplexing was taken away, so nothing is known of what that changed")
    last = after[-1]
    require(found[after[0]].up is not None, f"{after[0]} never came up after demux-off, so there was nothing to lose")
    for client in after[:-1]:
        if found[client].up is not None:
            expect_evicted(f, reading, found[client], killed.get(client), tuple(after))
    noted = ", ".join(f"{c} {what}" for c, what in f.facts["existing"].items())
    return f.verdict(f"{last} evicted {', '.join(after[:-1])} once the line was gone; of those before it: {noted}")


def _what_became(life: Life, died: bool) -> str:
    return f"died: {life.end.cause.value}" if died else "lived on"


def _ends(o: Observation) -> tuple[str, int | None, str, int | None]:
    return o.src, o.sport, o.dst, o.dport


def _expect_all_well(f: Findings, reading: Reading, loss_budget: float) -> dict[str, Life]:
    found = expect_alive(f, reading, at_least=2, loss_budget=loss_budget)
    expect_own_words(f, reading, towards_far_end(reading), found)
    expect_own_words(f, reading, towards_clients(reading), found)
    return found
