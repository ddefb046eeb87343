"""After the NAT is known: everything floats to UDP 4500, on one mapping, with its marker; and who keeps that mapping alive."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from harness.model import FrameKind, GatewayView, Observation, RecordKind, Side, Verdict
from harness.verdict.dials import latest
from harness.verdict.findings import Findings, require
from harness.verdict.negotiation import IKE_PORT, NATT_PORT
from harness.verdict.reading import Reading, deletes, ike, spi_of
from harness.verdict.stages import progress
from harness.verdict.survival import every_life
from harness.verdict.trust import WIRE, Need, check

KEEPALIVE_S = 20.0
"""The interval between NAT-keepalives that RFC 3948 section 4 gives as the default."""

KEEPALIVE_LOSS = 0.01
"""Share of a client's keepalives that may get lost in the NAT: of a few, none."""

TIMER_S = 0.5
"""A timer may fire this much late."""

ACCOUNT_S = 1.0
"""A gateway takes this long to give its account: one begun later than this before a Delete may show what is already gone."""


@check(*WIRE)
def main_mode_floats_at_mm5(reading: Reading) -> Verdict:
    """MM5 and MM6 are on 4500, nothing of that main mode is on 500 afterwards, and its ESP is in UDP. Who renews it while its ESP
    SAs are at work begins on 4500 (RFC 3947 section 4): 500 is for a peer that one knows nothing of yet."""
    f = Findings()
    for client in _connected(reading):
        _expect_renewed_afloat(f, reading, client)
        mm5 = reading.first_ike(client, "MM5", Side.INSIDE)
        for name in ("MM5", "MM6"):
            o = reading.first_ike(client, name, Side.INSIDE)
            if f.expect(o is not None, f"{client}'s {name} was not seen"):
                assert o is not None
                f.expect((o.sport, o.dport) == (NATT_PORT, NATT_PORT), f"{client}'s {name} is on {o.sport} to {o.dport}", o)
        if mm5 is None:
            continue
        for side in (Side.INSIDE, Side.OUTSIDE):
            for o in reading.frames(side):
                if reading.flow_owner(o) != client or o.t < mm5.t or ike(o, "retransmission"):
                    continue
                if o.kind is FrameKind.ESP:
                    f.expect(_gateway_port(reading, o) == NATT_PORT, f"{client}'s ESP is not in UDP {NATT_PORT}", o)
                elif _same_main_mode(o, mm5):
                    f.expect(_gateway_port(reading, o) != IKE_PORT, f"{client}'s {ike(o, 'message')} is back on {IKE_PORT}", o)
    return f.verdict("every main mode floats to 4500 at MM5 and stays there")


def _expect_renewed_afloat(f: Findings, reading: Reading, client: str) -> None:
    """No main mode begins on 500 in the midst of a life: once the client was up, and before that life came to its end."""
    for life in (one for one in every_life(reading) if one.client == client and one.up is not None):
        assert life.up is not None
        begun = [o for o in reading.ike_messages(client, "MM1", Side.INSIDE) if life.up.t < o.t < life.end.t]
        f.facts.setdefault("renewed", {})[client] = f.facts.get("renewed", {}).get(client, 0) + len(begun)
        for o in begun:
            f.expect(_gateway_port(reading, o) == NATT_PORT, f"{client}'s main mode was renewed on {_gateway_port(reading, o)}", o)


@check(*WIRE)
def floated_ike_has_its_marker(reading: Reading) -> Verdict:
    """Four zero bytes stand before IKE on 4500, and never on 500."""
    f = Findings()
    floated = plain = 0
    for side in (Side.INSIDE, Side.OUTSIDE):
        for o in reading.frames(side):
            if o.kind is not FrameKind.IKE:
                continue
            require(ike(o, "marker") is not None, f"{side.value} frame {o.frame} was read without regard to the marker")
            port = _gateway_port(reading, o)
            if port == NATT_PORT:
                floated += 1
                f.expect(bool(ike(o, "marker")), f"an IKE message on {NATT_PORT} lacks the marker", o)
            else:
                plain += 1
                f.expect(not ike(o, "marker"), f"an IKE message on {port} bears the marker", o)
    require(floated > 0, f"no IKE message on {NATT_PORT} was seen")
    return f.verdict(f"{floated} IKE messages on {NATT_PORT} bear the marker, {plain} on {IKE_PORT} do not")


@check(*WIRE)
def one_mapping_carries_everything(reading: Reading) -> Verdict:
    """Main mode from MM5, quick mode and ESP of a client all use port 4500 and one port at the NAT, both ways."""
    f = Findings()
    for client in _connected(reading):
        ports: dict[str, set[int | None]] = {}
        for o in reading.frames(Side.OUTSIDE):
            if reading.flow_owner(o) != client:
                continue
            kind = _carried(o)
            if kind is None:
                continue
            f.expect(_gateway_port(reading, o) == NATT_PORT, f"{client}'s {kind} is on port {_gateway_port(reading, o)}", o)
            ports.setdefault(kind, set()).add(o.sport if reading.direction(o) == "up" else o.dport)
        for kind in ("main mode", "quick mode", "ESP"):
            f.expect(kind in ports, f"{client} has no {kind} after MM4")
        every = set().union(*ports.values()) if ports else set()
        f.facts[client] = sorted(p for p in every if p is not None)
        f.expect(len(every) == 1, f"{client} uses {len(every)} ports at the NAT: {ports}")
    return f.verdict(f"main mode, quick mode and ESP share one mapping: {f.facts}")


@check(*WIRE, Need.PAIRED, Need.GENERATOR)
def keepalives_come_from_behind_the_nat_only(reading: Reading) -> Verdict:
    """An idle client sends NAT-keepalives (RFC 3948 section 4) in time, from its floated port, and they cross the NAT that they are
    to keep open; the gateway sends none."""
    f = Findings()
    crossed = {c.inside.frame for c in reading.crossings() if c.direction == "up"}
    over = max(reading.end_of_capture(side) for side in (Side.INSIDE, Side.OUTSIDE))
    for side in (Side.INSIDE, Side.OUTSIDE):
        for o in reading.way(side, "down", FrameKind.KEEPALIVE):
            f.expect(False, "the gateway, which is behind no NAT, sends keepalives", o)
    idle = 0
    for client in _connected(reading):
        sent = [o for o in reading.way(Side.INSIDE, "up") if reading.at_address(o.src) == client]
        alive = [o for o in sent if o.kind is FrameKind.KEEPALIVE]
        for o in alive:
            f.expect((o.sport, o.dport) == (NATT_PORT, NATT_PORT), f"{client} sends keepalives from {o.sport} to {o.dport}", o)
        held_back = [o for o in alive if o.frame not in crossed and o.t < over]
        swallowed = f"the NAT lost {len(held_back)} of {client}'s {len(alive)} keepalives"
        f.expect(len(held_back) <= KEEPALIVE_LOSS * len(alive), swallowed, *held_back[:5])
        quiet, mute = _longest_gap(o for o in sent if o.kind is not FrameKind.KEEPALIVE), _longest_gap(sent)
        f.facts[client] = {"keepalives": len(alive), "longest_quiet_s": round(quiet, 1), "longest_mute_s": round(mute, 1)}
        if alive or quiet > KEEPALIVE_S + TIMER_S:
            idle += 1
            f.expect(mute <= KEEPALIVE_S + TIMER_S, f"{client} was quiet for {mute:.1f} s and sent no keepalive")
    require(idle > 0, f"no client was idle long enough ({KEEPALIVE_S:.0f} s) to send a keepalive")
    return f.verdict(f"keepalives come from the clients only: {f.facts}")


@check(*WIRE, Need.DECRYPTED, Need.VIEWS)
def quick_mode_sa_exists_on_both_peers(reading: Reading) -> Verdict:
    """Quick mode is complete, ESP flows both ways on what it agreed, and the accounts of both ends list those SAs.

    The gateway's accounts count that were taken while the SAs lived; of a client that never came up there may be none.
    """
    f = Findings()
    for client in _connected(reading):
        for name in ("QM1", "QM2", "QM3"):
            f.expect(reading.first_ike(client, name) is not None, f"{client}'s {name} was not seen")
        for direction in ("up", "down"):
            works = any(
                reading.sa_owner(o) == client and o.inner is not None for o in reading.way(Side.OUTSIDE, direction, FrameKind.ESP)
            )
            f.expect(works, f"no ESP went {direction} on {client}'s SA")
        identity = reading.identities[client]
        said = reading.records(client, RecordKind.ESP_UP)
        f.expect(bool(said), f"{client} has no account of a quick-mode SA")
        for r in said:
            f.expect(r.data["spi_in"] in identity.spis_in, f"{client} says SPI {r.data['spi_in']}, which the wire does not show")
            f.expect(r.data["spi_out"] in identity.spis_out, f"{client} says SPI {r.data['spi_out']}, which the wire does not show")
        views = _views_of_its_time(reading, client)
        f.facts[client] = {"in": list(identity.spis_in), "out": list(identity.spis_out), "asked": [v.label for v in views]}
        if not views:
            up = progress(reading, latest(reading, client)).up
            require(up is None, f"the gateway was not asked for its SAs while {client}'s were there")
            continue
        listed = {(sa.spi, sa.inbound) for view in views for sa in view.sas}
        outbound, inbound = ({(spi, way) for spi in spis} for spis, way in ((identity.spis_in, False), (identity.spis_out, True)))
        f.expect(bool(listed & outbound), f"the gateway lists no outbound SA for {client}")
        f.expect(bool(listed & inbound), f"the gateway lists no inbound SA for {client}")
    asked = any(row["asked"] for row in f.facts.values())
    require(asked or bool(f.faults), "the gateway was not asked for its SAs while there were any")
    return f.verdict("every client's quick-mode SA exists on both peers and carries traffic both ways")


def _views_of_its_time(reading: Reading, client: str) -> tuple[GatewayView, ...]:
    """The gateway's accounts between the agreement on a client's first SAs and the Delete that leaves it without."""
    agreed = reading.first_ike(client, "QM3")
    if agreed is None:
        return reading.evidence.gateway_views
    gone = (o.t for o in reading.frames(Side.OUTSIDE) if deletes(o) and reading.ike_owner(o) == client and not reading.replaced(o))
    until = next(gone, float("inf")) - ACCOUNT_S
    return tuple(v for v in reading.evidence.gateway_views if agreed.t < v.t < until)


def _connected(reading: Reading) -> tuple[str, ...]:
    """The clients that sent anything; all of them must have."""
    for client in reading.clients:
        require(client in reading.identities, f"the captures do not show who {client} is")
        require(reading.first_ike(client, "MM1", Side.INSIDE) is not None, f"{client} never sent its first message")
    return reading.clients


def _longest_gap(frames: Iterable[Observation]) -> float:
    """Seconds between two neighbouring frames, at most."""
    return max((b.t - a.t for a, b in pairwise(frames)), default=0.0)


def _gateway_port(reading: Reading, o: Observation) -> int | None:
    """The port at the gateway's end, which no NAT in front of the clients changes."""
    return o.dport if reading.direction(o) == "up" else o.sport


def _same_main_mode(o: Observation, other: Observation) -> bool:
    return bool(ike(o, "icookie") == ike(other, "icookie"))


def _carried(o: Observation) -> str | None:
    """What a frame that must be on 4500 is: "main mode" (MM5, MM6), "quick mode", "ESP"; None for what may be on 500."""
    if o.kind is FrameKind.ESP and spi_of(o) is not None:
        return "ESP"
    message = str(ike(o, "message"))
    if message in ("MM5", "MM6"):
        return "main mode"
    return "quick mode" if message.startswith("QM") else None
