"""Which Windows fares how: the one combination that the vendor tested, its unpatched elder, those without L2TP, and newer ones.

"Tested only with Windows 2000 L2TP/IPsec clients running hotfix 818043. […] L2TP is not supported by Windows 95, Windows 98, or
Windows NT." Which client it was stands in the plan, by its personality; a name counts whatever its hyphens.
"""

from __future__ import annotations

from harness.model import FrameKind, Observation, RecordKind, Side, Verdict
from harness.verdict.blame import who_is_to_blame
from harness.verdict.confusion import towards_clients
from harness.verdict.findings import Findings, require
from harness.verdict.negotiation import NATT_VENDOR_IDS
from harness.verdict.reading import Reading, ike
from harness.verdict.rules.accounts import WITHOUT_L2TP, plain_name
from harness.verdict.rules.rule import CLIENT
from harness.verdict.survival import trusted_lives
from harness.verdict.survivors import LOSS_BUDGET, expect_alive, expect_own_words, lost_in_words
from harness.verdict.trust import TRAFFIC, WIRE, Need, check

PATCHED = "windows2000"
UNPATCHED = "windows2000unpatched"


@check(*TRAFFIC, Need.FAR_END)
def patched_windows_2000_connects(reading: Reading, *, loss_budget: float = LOSS_BUDGET) -> Verdict:
    """Scenario "windows-2000": two clients with the hotfix, and nobody else, come up and stay up, and announce NAT-T as it does."""
    others = [p.name for p in reading.evidence.plans if plain_name(p.personality) != PATCHED]
    require(not others, f"{', '.join(others)} are no Windows 2000 with hotfix 818043")
    f = Findings(personalities={p.name: p.personality for p in reading.evidence.plans})
    found = expect_alive(f, reading, at_least=2, loss_budget=loss_budget)
    expect_own_words(f, reading, towards_clients(reading), found)
    for client in found:
        first = reading.first_ike(client, "MM1")
        if first is not None:
            f.expect(announces_natt(first), f"{client} does not announce NAT-T, though it has the hotfix", first)
    return f.verdict(f"{len(found)} Windows 2000 clients with the hotfix came up and stayed up; {lost_in_words(found)}")


@check(*WIRE, Need.DECRYPTED)
def unpatched_windows_2000_fails_by_itself(reading: Reading) -> Verdict:
    """Scenario "windows-2000-unpatched": behind a NAT that knows ports only the client without the hotfix announces no NAT-T, does
    not come up, and is named as the reason. That nothing else was wrong has to be seen: both phases of IKE complete, and its ESP,
    which is IP protocol 50 for want of NAT-T, goes into the NAT and does not come out.
    """
    clients = [p.name for p in reading.evidence.plans if plain_name(p.personality) == UNPATCHED]
    require(bool(clients), "no client is a Windows 2000 without the hotfix")
    lives = trusted_lives(reading)
    answer = who_is_to_blame(reading.evidence)
    f = Findings(clients={c: lives[c].facts() for c in clients}, blamed=[answer.facts()])
    f.point(*answer.frames[:5])
    f.expect(answer.box == CLIENT, f"the client has no NAT-T, and named is {answer.box}: {answer.why}", *answer.frames[:5])
    crossed = {c.inside.frame for c in reading.crossings()}
    told = []
    for client in clients:
        life, first = lives[client], reading.first_ike(client, "MM1")
        require(first is not None, f"{client} sent no first message, so nothing shows what it announces")
        assert first is not None
        require(first.src == reading.evidence.nat_outside, f"{client} was not behind the NAT")
        f.expect(not announces_natt(first), f"{client} announces NAT-T, which it can only with the hotfix", first)
        if not f.expect(life.up is None, f"{client} came up behind a NAT without NAT-T", life.up):
            continue
        asked = reading.first_ike(client, "QM1") or first
        agreed = reading.first_ike(client, "QM3") is not None
        f.expect(agreed, f"{client}'s quick mode did not complete, and that is not for want of NAT-T", asked)
        own = next(p.address for p in reading.evidence.plans if p.name == client)
        sent = [o for o in reading.way(Side.INSIDE, "up", FrameKind.ESP) if o.src == own and o.sport is None]
        f.expect(bool(sent), f"{client} sent no ESP as IP protocol 50, so nothing shows what became of it", asked)
        through = [o for o in sent if o.frame in crossed]
        f.expect(not through, f"{len(through)} of {client}'s {len(sent)} packets of protocol 50 came out of the NAT", *through[:3])
        told.append(f"{client} stopped at {life.end.stage}, {len(sent)} packets of protocol 50 went into the NAT and none came out")
    return f.verdict(f"{'; '.join(told)}; to blame: the {answer.box} ({answer.why})")


@check(*WIRE)
def windows_without_l2tp_does_not_dial(reading: Reading) -> Verdict:
    """Scenario "windows-98": a client that has no L2TP of its own sends nothing and says why.

    That the capture would have shown it has to be seen: another client, which has L2TP, is heard where this one is not.
    """
    clients = [p.name for p in reading.evidence.plans if plain_name(p.personality).startswith(WITHOUT_L2TP)]
    require(bool(clients), "no client is a Windows without L2TP")
    heard = {o.src for o in reading.way(Side.INSIDE, "up") if o.kind is not FrameKind.ICMP}
    others = [p.name for p in reading.evidence.plans if p.name not in clients and p.address in heard]
    require(bool(others), "no client that has L2TP was heard inside, so nothing shows that this one would have been")
    f = Findings(said={}, heard=others)
    for client in clients:
        own = next(p for p in reading.evidence.plans if p.name == client)
        sent = [o for o in reading.frames(Side.INSIDE) if o.src == own.address and o.kind is not FrameKind.ICMP]
        f.expect(not sent, f"{client} ({own.personality}) dialled: it has no L2TP of its own", *sent[:3])
        reasons = [str(r.data.get("reason") or "") for r in reading.records(client, RecordKind.FAILED)]
        f.facts["said"][client] = reasons
        f.expect(any(reasons), f"{client} ({own.personality}) does not say why it does not dial")
    return f.verdict(f"no L2TP of their own: {f.facts['said']}")


@check(*WIRE, Need.DECRYPTED)
def newer_windows_is_noted(reading: Reading) -> Verdict:
    """Scenarios "windows-xp" and later: outside what the vendor tested, so that only how each fares is noted, by its build."""
    lives = trusted_lives(reading)
    builds = {p.name: p.personality for p in reading.evidence.plans}
    unknown = [c for c, build in builds.items() if not build]
    require(not unknown, f"nothing says what {', '.join(unknown)} is")
    f = Findings(personalities=builds, clients={c: life.facts() for c, life in lives.items()})
    f.judged = len(lives)
    told = [f"{builds[c]}: {'up' if life.up is not None else f'{life.end.stage} incomplete'}" for c, life in lives.items()]
    return f.verdict("; ".join(told))


def announces_natt(o: Observation) -> bool:
    """Whether a first message names NAT traversal, in whichever dialect."""
    return any(v in NATT_VENDOR_IDS for v in ike(o, "vendor_ids") or ())
