"""How a connection ends, and that its end is nobody else's: IPsec closed, gateway closed, client closed, client lost."""

from __future__ import annotations

from harness.model import GatewayView, Observation, Side, Step, Verdict
from harness.verdict.blame import blame
from harness.verdict.dials import latest, own_frames
from harness.verdict.findings import Findings, require
from harness.verdict.ports import L2TP_PORT, listed_sas, ports_by_client
from harness.verdict.reading import Reading, deleted, deletes, l2tp_message, ppp, result_code, spi_of
from harness.verdict.survival import ANSWER_WITHIN_S, SILENCE_MARKS, Cause, Life, trusted_lives
from harness.verdict.survivors import LOSS_BUDGET, expect_little_lost
from harness.verdict.trust import TRAFFIC, Need, check

CDN_BY_CLIENT = 3
"""CDN result 3, "administrative reasons" (RFC 2661 section 4.4.2): what a Windows client sends when its user hangs up."""

STOP_CCN_BY_CLIENT = 1
"""StopCCN result 1, "general request to clear control connection" (RFC 2661 section 4.4.2)."""


@check(*TRAFFIC, Need.VIEWS)
def ipsec_delete_ends_only_its_client(reading: Reading) -> Verdict:
    """Deleting one client's SAs, from either end, ends that client, which uses them no more, frees its SA and port, and touches
    nobody else."""
    f = Findings()
    step, client, found = _ended(reading, "delete-ipsec")
    told = [o for o in _frames_of(reading, client, step.began) if deletes(o)]
    f.expect(bool(told), f"no Delete payload for {client}'s SAs was seen")
    f.point(*told[:3])
    _expect_over(f, found[client], step)
    _expect_sas_left(f, reading, client, told)
    expect_untouched(f, reading, found, client, step)
    _expect_released(f, reading, _view_after(reading, step), client, found, sessions=False)
    return f.verdict(f"{client}'s SAs were deleted, {client} ended, its SA and port are free; the others noticed nothing")


@check(*TRAFFIC)
def gateway_close_ends_only_its_client(reading: Reading) -> Verdict:
    """When the gateway clears one client, StopCCN or CDN goes to that one alone, and its session is over for both ends."""
    f = Findings()
    step, client, found = _ended(reading, "gateway-close")
    told = [
        o
        for o in _frames_of(reading, client, step.began)
        if reading.direction(o) == "down" and l2tp_message(o) in ("StopCCN", "CDN")
    ]
    f.expect(bool(told), f"the gateway sent {client} neither StopCCN nor CDN")
    f.point(*told[:3])
    _expect_over(f, found[client], step)
    _expect_session_left(f, reading, client, told)
    expect_untouched(f, reading, found, client, step)
    return f.verdict(f"the gateway closed {client} with {l2tp_message(told[0]) if told else 'nothing'}; the others noticed nothing")


@check(*TRAFFIC)
def client_close_ends_only_itself(reading: Reading) -> Verdict:
    """A client that hangs up says CDN with result 3, then StopCCN with result 1, then deletes its SAs; nobody else is touched."""
    f = Findings()
    step, client, found = _ended(reading, "client-close")
    said = [o for o in _frames_of(reading, client, step.began) if reading.direction(o) == "up"]
    cdn = next((o for o in said if l2tp_message(o) == "CDN"), None)
    stop = next((o for o in said if l2tp_message(o) == "StopCCN"), None)
    gone = next((o for o in said if deletes(o)), None)
    f.point(cdn, stop, gone)
    if f.expect(cdn is not None, f"{client} sent no CDN"):
        assert cdn is not None
        f.expect(result_code(cdn) == CDN_BY_CLIENT, f"{client}'s CDN has result {result_code(cdn)}, not {CDN_BY_CLIENT}", cdn)
    if f.expect(stop is not None, f"{client} sent no StopCCN"):
        assert stop is not None
        f.expect(
            result_code(stop) == STOP_CCN_BY_CLIENT,
            f"{client}'s StopCCN has result {result_code(stop)}, not {STOP_CCN_BY_CLIENT}",
            stop,
        )
    f.expect(gone is not None, f"{client} did not delete its SAs")
    own = {*reading.identities[client].spis_in, *reading.identities[client].spis_out}
    for o in said:
        strange = set(deleted(o, "esp")) - own
        f.expect(not strange, f"{client} deleted {sorted(strange)}, which is no SA of its own", o)
    if cdn is not None and stop is not None:
        f.expect(_before(cdn, stop), f"{client}'s StopCCN went before its CDN", cdn, stop)
    if stop is not None and gone is not None:
        f.expect(_before(stop, gone), f"{client} deleted its SAs before it closed the tunnel", stop, gone)
    _expect_over(f, found[client], step)
    expect_untouched(f, reading, found, client, step)
    return f.verdict(f"{client} closed with CDN, StopCCN and Delete; the others noticed nothing")


@check(*TRAFFIC, Need.VIEWS)
def lost_client_is_cleared_away(reading: Reading) -> Verdict:
    """A client that vanishes loses its session, SA and port at the gateway once that notices; nobody else is touched."""
    f = Findings()
    step, client, found = _ended(reading, "vanish")
    after = [o for o in _frames_of(reading, client, step.ended) if reading.direction(o) == "up"]
    require(not after, f"{client} did not vanish: it still sent packets after the step")
    expect_untouched(f, reading, found, client, step)
    view = _view_after(reading, step)
    _expect_released(f, reading, view, client, found, sessions=True)
    tried = [o for o in reading.way(Side.OUTSIDE, "down") if o.t > step.ended and reading.flow_owner(o) == client]
    f.facts["gateway_tried_for_s"] = round(tried[-1].t - step.ended, 1) if tried else 0.0
    f.expect(
        not tried or tried[-1].t < view.t, f"the gateway still sends to {client} when it says that it has forgotten it", *tried[-1:]
    )
    return f.verdict(f"the gateway forgot {client} after trying for {f.facts['gateway_tried_for_s']} s; the others noticed nothing")


def _ended(reading: Reading, kind: str) -> tuple[Step, str, dict[str, Life]]:
    """The step that ended a client, that client, which must have been alive until then, and everybody's life."""
    step, client = ending_step(reading, kind)
    found = trusted_lives(reading)
    _require_worked(found[client], step)
    return step, client, found


def ending_step(reading: Reading, kind: str) -> tuple[Step, str]:
    step = next((s for s in reading.evidence.steps if s.name.startswith(f"{kind}:")), None)
    require(step is not None, f"the run holds no {kind} step")
    assert step is not None
    require(bool(step.detail.get("carried_out", True)), f"{step.name} was not carried out: the client was no longer up")
    client = step.name.partition(":")[2]
    require(client in reading.clients, f"{step.name} concerns no client of this run")
    return step, client


def _require_worked(life: Life, step: Step) -> None:
    """Whoever is to end must have been alive until then."""
    require(life.up is not None and life.up.t < step.began, f"{life.client} was not up when {step.name} began")
    require(not life.died, f"{life.client} had died before {step.name}: {life.end.cause.value}")
    require(any(a.answer is not None and a.question.t < step.began for a in life.asked), f"{life.client} was never answered")


def _frames_of(reading: Reading, client: str, since: float) -> list[Observation]:
    """Frames inside the NAT, to or from a client, of its own SA or main mode and with its own words, from `since` on."""
    return [o for o in own_frames(reading, latest(reading, client)) if o.t >= since]


def _before(one: Observation, other: Observation) -> bool:
    return (one.t, one.frame) < (other.t, other.frame)


def _expect_over(f: Findings, life: Life, step: Step) -> None:
    later = life.answered_after(step.ended + ANSWER_WITHIN_S)
    f.expect(not later, f"{life.client} was still answered after {step.name}", *(a.answer for a in later[:3]))


def _expect_sas_left(f: Findings, reading: Reading, client: str, told: list[Observation]) -> None:
    """Nothing goes up any more on an SA of which the gateway has told the client that it is deleted."""
    identity = reading.identities[client]
    for o in (o for o in told if reading.direction(o) == "down"):
        # either end's SPI names the pair (RFC 2408 section 3.15 has the sender's own, which is the one the client sends on)
        named = set(deleted(o, "esp"))
        gone = {out for into, out in zip(identity.spis_in, identity.spis_out, strict=False) if named & {into, out}}
        later = _frames_of(reading, client, o.t + ANSWER_WITHIN_S)
        still = [p for p in later if reading.direction(p) == "up" and spi_of(p) in gone]
        f.expect(not still, f"{client} went on sending on {sorted(gone)} after the gateway's Delete", o, *still[:3])


def _expect_session_left(f: Findings, reading: Reading, client: str, told: list[Observation]) -> None:
    """Once told good-bye a client sends no more PPP through its session; control messages may still be owed."""
    for o in told[:1]:
        later = [p for p in _frames_of(reading, client, o.t + ANSWER_WITHIN_S) if reading.direction(p) == "up"]
        still = [p for p in later if ppp(p) is not None]
        f.expect(not still, f"{client} went on using its session after the gateway's {l2tp_message(o)}", o, *still[:3])


def expect_untouched(f: Findings, reading: Reading, found: dict[str, Life], ended: str, step: Step) -> None:
    """Everyone else who was up goes on being answered, without loss beyond the budget; a farewell from the gateway is a death.

    Each of them has to have asked enough after the step: nobody is known to be untouched for having been forgotten.
    """
    judged: dict[str, int] = {}
    for client, life in found.items():
        if client == ended or life.up is None or life.up.t >= step.began or (life.end.t < step.began and life.planned):
            continue
        own = reading.closing_step(client)
        until = own.began if own is not None and own.began > step.began else float("inf")
        asked = [a for a in life.asked if step.began <= a.question.t < until]
        if life.died:
            fault = blame(reading, life)
            box = "" if fault.box != "nat" else f", to blame: the NAT ({fault.why})"
            f.expect(False, f"{client} died too: {life.end.cause.value}{_since(reading, life, step)}{box}", life.end.frame)
            continue
        expect_little_lost(f, client, asked, budget=LOSS_BUDGET, when=f" after {step.name}")
        judged[client] = sum(a.question.t > step.ended for a in asked)
    f.facts["untouched"] = judged
    too_few = [client for client, count in judged.items() if count < SILENCE_MARKS]
    require(not too_few or bool(f.faults), f"too few marks after {step.name} to say whether it touched {', '.join(too_few)}")
    require(bool(judged) or bool(f.faults), f"nobody else was up when {step.name} began, so nobody could have been touched")


def _since(reading: Reading, life: Life, step: Step) -> str:
    """After which other of the scenario's endings a client died, where that was not `step`: the step to look at is that one."""
    before = [s for s in reading.evidence.steps if s.began <= life.end.t and s == reading.closing_step(s.name.partition(":")[2])]
    last = max(before, key=lambda s: s.began, default=None)
    if last == step:
        return ""
    return f" before {step.name}" if life.end.t < step.began else "" if last is None else f", after {last.name}"


def _view_after(reading: Reading, step: Step) -> GatewayView:
    """The gateway's account after a step: the one named after it, else the last one taken after it."""
    later = [v for v in reading.evidence.gateway_views if v.t >= step.ended]
    require(bool(later), f"the gateway was not asked for its account after {step.name}")
    return next((v for v in later if v.label == f"after-{step.name}"), max(later, key=lambda v: v.t))


def _expect_released(
    f: Findings, reading: Reading, view: GatewayView, client: str, found: dict[str, Life], *, sessions: bool
) -> None:
    """Neither SA nor port (nor session) of a client is left; an account that lists no one else either shows nothing.

    A port is held as long as its translation is installed, whether or not there is an SA to use it.
    """
    f.facts["view"] = view.label
    others = [
        reading.identities[c]
        for c, life in found.items()
        if c != client and life.up is not None and life.up.t < view.t and (view.t <= life.end.t or life.end.cause is Cause.RUN_OVER)
    ]
    spis = {sa.spi for sa in view.sas}
    alive = any(spis & {*i.spis_in, *i.spis_out} for i in others)
    require(alive or bool(f.faults), f"the account {view.label!r} lists no SA of anybody who is still up")
    own = reading.identities[client]
    left = listed_sas(reading, view, client)
    f.expect(not left, f"the gateway still holds {client}'s SAs {sorted(left)} ({view.label})")
    known = ports_by_client(reading)
    translates = any(port != L2TP_PORT for i in others for port in known.get(i.client, ()))
    installed = set(view.ports.values())
    if translates:
        seen = any(known.get(i.client, set()) & installed for i in others)
        require(seen or bool(f.faults), f"the account {view.label!r} lists no translation of anybody still up")
    taken = installed | {sa.translated_port for sa in view.sas if sa.translated_port is not None}
    ports = known.get(client, set()) & taken
    f.expect(not ports, f"the gateway still holds {client}'s port {sorted(ports)} ({view.label})")
    if sessions:
        listed = {s.tunnel_local for s in view.sessions}
        shown = any(i.tunnel_gateway in listed for i in others)
        require(shown or bool(f.faults), f"the account {view.label!r} lists no session of anybody still up")
        f.expect(own.tunnel_gateway not in listed, f"the gateway still holds {client}'s session ({view.label})")
