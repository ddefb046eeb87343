"""Where NAT-Traversal has nothing to do: one side does not speak it, or there is no NAT (RFC 3947 sections 3 and 4)."""

from __future__ import annotations

from harness.model import FrameKind, Observation, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.negotiation import IKE_PORT, NATT_PORT, NATT_VENDOR_IDS
from harness.verdict.reading import Reading, ike
from harness.verdict.trust import WIRE, check


@check(*WIRE)
def nat_d_only_if_both_announce(reading: Reading) -> Verdict:
    """Where MM1 or MM2 lacks the NAT-Traversal vendor ID, neither MM3 nor MM4 holds NAT-D. An MM3 that is left without its MM4 is a
    gateway that does not go on without NAT-Traversal."""
    f = Findings()
    for client in reading.clients:
        first = {name: reading.first_ike(client, name) for name in ("MM1", "MM2", "MM3", "MM4")}
        if first["MM1"] is None or first["MM2"] is None:
            continue
        silent = [name for name in ("MM1", "MM2") if not announced(first[name])]
        if not silent:
            continue
        f.facts[client] = {"announces_nothing": silent}
        for name in ("MM3", "MM4"):
            o = first[name]
            if o is not None:
                f.expect(not ike(o, "nat_d"), f"{client}'s {name} holds NAT-D though {' and '.join(silent)} announced nothing", o)
    require(bool(f.facts), "both sides announced NAT-Traversal to each other, so NAT-D was due")
    for client in tuple(f.facts):
        require(reading.first_ike(client, "MM3") is not None, f"{client}'s MM3 was not seen, which shows whether it sends NAT-D")
        answered = reading.first_ike(client, "MM4") is not None
        f.expect(answered, f"{client}'s MM3 without NAT-D got no MM4", reading.first_ike(client, "MM3"))
    return f.verdict(f"no NAT-D is sent where one side announced nothing: {f.facts}")


def announced(o: Observation | None) -> bool:
    """Whether a first message announces NAT-Traversal in any version."""
    return o is not None and any(v in NATT_VENDOR_IDS for v in ike(o, "vendor_ids") or ())


@check(*WIRE)
def without_a_nat_nothing_floats(reading: Reading) -> Verdict:
    """Clients that no NAT translates stay on 500 for all of IKE, send ESP as IP protocol 50, and nothing at all on 4500."""
    f = Findings()
    for client in reading.clients:
        _require_untranslated(reading, client)
        mm5 = reading.first_ike(client, "MM5")
        f.expect(mm5 is not None, f"{client}'s MM5 was not seen")
        ways: dict[str, int] = {"up": 0, "down": 0}
        for side in (Side.INSIDE, Side.OUTSIDE):
            for o in reading.frames(side):
                direction = reading.direction(o)
                if direction is None or client != reading.at_address(o.src if direction == "up" else o.dst):
                    continue
                f.expect(NATT_PORT not in (o.sport, o.dport), f"{client} and the gateway use {NATT_PORT} though there is no NAT", o)
                if o.kind is FrameKind.IKE:
                    ends = (o.sport, o.dport)
                    f.expect(ends == (IKE_PORT, IKE_PORT), f"{client}'s {ike(o, 'message')} is on {o.sport} to {o.dport}", o)
                elif o.kind is FrameKind.ESP:
                    ways[direction] += side is Side.OUTSIDE
                    f.expect(o.sport is None and o.dport is None, f"{client}'s ESP is in UDP though there is no NAT", o)
        for direction, count in ways.items():
            f.expect(count > 0, f"no ESP of {client} went {direction}")
        f.facts[client] = ways
    return f.verdict(f"all of IKE is on {IKE_PORT}, ESP is IP protocol 50, nothing is on {NATT_PORT}: {f.facts}")


def _require_untranslated(reading: Reading, client: str) -> None:
    """The first message of a client left as it came, so there is no NAT in its way."""
    address = next(p.address for p in reading.evidence.plans if p.name == client)
    mm1 = reading.first_ike(client, "MM1")
    require(mm1 is not None, f"{client} never sent its first message to the gateway")
    assert mm1 is not None
    require(mm1.src == address, f"a NAT makes {mm1.src} of {client}'s {address}: there is nothing to say about its absence")
