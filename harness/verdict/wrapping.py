"""L2TP clients behind an IOS router's overloaded address: those whose ESP is wrapped in UDP, as the document recommends, beside
those whose ESP is IP protocol 50 in transport mode, which is outside its feature."""

from __future__ import annotations

from typing import Any

from harness.model import FrameKind, Outcome, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.reading import Reading
from harness.verdict.survival import Life, trusted_lives
from harness.verdict.survivors import NAT_LOSS_BUDGET, heard_out
from harness.verdict.trust import WIRE, Need, check
from harness.verdict.windows import announces_natt


@check(*WIRE, Need.GENERATOR)
def transport_mode_without_wrapping(reading: Reading) -> Verdict:
    """For the record: what becomes of clients without NAT traversal behind this NAT."""
    _, bare = _lives(reading)
    require(bool(bare), "every client announces NAT traversal")
    facts = {client: _told(life) for client, life in bare.items()}
    said = "; ".join(f"{client}: {told['fate']}" for client, told in facts.items())
    return Verdict(Outcome.PASS, f"without NAT traversal, {said}", {"clients": facts})


@check(*WIRE, Need.GENERATOR)
def wrapped_clients_live(reading: Reading) -> Verdict:
    """Several clients with NAT traversal come up and live beside such as have none; how long set-up took for the ones and the
    others, and who lived, is in the facts."""
    wrapped, bare = _lives(reading)
    require(len(wrapped) > 1, "fewer than two clients announce NAT traversal")
    require(bool(bare), "there is no client without NAT traversal to compare with")
    f = Findings(
        wrapped={client: _told(life) for client, life in wrapped.items()},
        bare={client: _told(life) for client, life in bare.items()},
    )
    settled = max((life.up.t for life in (*wrapped.values(), *bare.values()) if life.up is not None), default=0.0)
    for client, life in wrapped.items():
        if not f.expect(life.up is not None, f"{client} never came up, though its ESP goes in UDP"):
            continue
        own = [frame for frame in reading.way(Side.INSIDE, "up", FrameKind.ESP) if frame.src == _address(reading, client)]
        in_udp = all(frame.sport is not None for frame in own)
        require(bool(own) and in_udp, f"the ESP of {client} was not in UDP, though it announces NAT traversal")
        f.expect(not life.died, f"{client} died, though its ESP goes in UDP: {life.end.cause.value}", life.end.frame)
        lost = life.lost > max(1, NAT_LOSS_BUDGET * life.sent)
        f.expect(not lost or life.died, f"{client} lost {life.lost} of {life.sent} marks, though its ESP goes in UDP")
        if not life.died:
            require(heard_out(life, settled), f"{client} sent too little once the last client was up")
    return f.verdict(f"{' and '.join(wrapped)}, whose ESP went in UDP, came up and lived")


def _lives(reading: Reading) -> tuple[dict[str, Life], dict[str, Life]]:
    """(those that announce NAT traversal, those that do not), behind an IOS router's NAT."""
    nat = reading.evidence.nat
    require(nat is not None and nat.startswith("ios"), f"the run's NAT is {nat or 'the ordinary one'}, and no IOS router's")
    wrapped: dict[str, Life] = {}
    bare: dict[str, Life] = {}
    for client, life in trusted_lives(reading).items():
        first = reading.first_ike(client, "MM1")
        require(first is not None, f"{client} sent no first message, so nothing shows what it announces")
        assert first is not None
        (wrapped if announces_natt(first) else bare)[client] = life
    return wrapped, bare


def _address(reading: Reading, client: str) -> str:
    return next(plan.address for plan in reading.evidence.plans if plan.name == client)


def _told(life: Life) -> dict[str, Any]:
    """How long set-up took on the wire, and how it went on."""
    took = None if life.up is None else round(life.up.t - life.began, 3)
    fate = "lived" if life.up is not None and not life.died else f"died: {life.end.cause.value}" if life.died else "never came up"
    return {"set_up_s": took, "fate": fate, "lost": life.lost, "of": life.sent}
