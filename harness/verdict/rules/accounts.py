"""Where a box's account of itself cannot be true, or leaves something that ought to be gone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from harness.model import FrameKind, GatewayView, Observation, RecordKind, Side
from harness.verdict.peers import socket_at, views_while_up
from harness.verdict.ports import listed_sas, ports_by_life
from harness.verdict.reading import Reading, deletes
from harness.verdict.rules.rule import Proof
from harness.verdict.survival import every_life

UNTOLD = ("plain", "default")
"""The gateway variants whose configuration does not ask for demultiplexing, by how their names begin."""

WITHOUT_L2TP = ("windows95", "windows98", "windowsnt")
"""The personalities that have no L2TP/IPsec of their own."""

CLEARED_S = 60.0
"""A gateway has at most this long to forget a client that said good-bye, or whom it says it has cleared."""


def lists_other_socket(reading: Reading) -> Iterator[Proof]:
    """The gateway's main-mode SA shows another address or port for a client than the wire."""
    for client, identity in reading.identities.items():
        for view in views_while_up(reading, client):
            shown = {(a, p) for icookie, rcookie, a, p in view.ike_sas if (icookie, rcookie) in identity.cookies}
            socket = socket_at(reading, client, view.t)
            if socket is not None and shown and socket.outside not in shown:
                yield Proof(client, (socket.frame,), {"label": view.label, "shown": sorted(shown, key=str)[0]})


def lists_untold_port(reading: Reading) -> Iterator[Proof]:
    """A gateway of which nobody asked that it demultiplexes lists a client's tunnel at another port than the client sends from."""
    if not reading.evidence.variant.startswith(UNTOLD):
        return
    first: dict[str, dict[int, Observation]] = {}
    for o in reading.way(Side.OUTSIDE, "up", FrameKind.ESP):
        client = reading.sa_owner(o)
        if client is not None and o.inner is not None:
            first.setdefault(client, {}).setdefault(o.inner.sport, o)
    for client, own in first.items():
        tunnel = reading.identities[client].tunnel_gateway
        for view in reading.evidence.gateway_views:
            known = {s.peer_port for s in view.sessions if s.tunnel_local == tunnel and s.peer_port is not None}
            if known - own.keys():
                yield Proof(client, tuple(own.values()), {"label": view.label, "port": min(known - own.keys())})
                break


def dials_without_l2tp(reading: Reading) -> Iterator[Proof]:
    """A client that has no L2TP/IPsec of its own, as its plan says, sends something to the gateway."""
    for plan in reading.evidence.plans:
        if plain_name(plan.personality).startswith(WITHOUT_L2TP):
            sent = (o for o in reading.way(Side.INSIDE, "up") if o.src == plan.address and o.kind is not FrameKind.ICMP)
            yield Proof(plan.name, tuple(islice(sent, 3)), {"personality": plan.personality})


def plain_name(personality: str) -> str:
    """As it counts, whatever its hyphens."""
    return personality.lower().replace("-", "").replace("_", "").replace(" ", "")


def lists_no_sa(reading: Reading) -> Iterator[Proof]:
    """A gateway that lists SAs, and none of a client's whose ESP it carries before and after that."""
    for client, identity in reading.identities.items():
        own = {*identity.spis_in, *identity.spis_out}
        for view in views_while_up(reading, client):
            if view.sas and not own & {sa.spi for sa in view.sas}:
                frame = _esp_near(reading, client, view)
                if frame is not None:
                    yield Proof(client, (frame,), {"label": view.label})


def still_held(reading: Reading) -> Iterator[Proof]:
    """SAs of a client that are listed long after its Delete, or that a step waited for in vain."""
    gone = {}
    for o in reading.frames(Side.OUTSIDE):
        owner = reading.ike_owner(o)
        if owner is not None and "esp" in deletes(o) and not reading.replaced(o):
            gone[owner] = o
    for client, o in gone.items():
        for view in reading.evidence.gateway_views:
            back = any(r.t > o.t for r in reading.records(client, RecordKind.STARTED))
            if listed_sas(reading, view, client) and view.t > o.t + CLEARED_S and not back:
                yield Proof(client, (o,), {"label": view.label})
                break
    for step in reading.steps("settle"):
        if step.detail.get("freed") is False and step.clients:
            last = [o for o in reading.way(Side.OUTSIDE, "down") if reading.flow_owner(o) == step.clients[0]]
            yield Proof(step.clients[0], tuple(last[-1:]), {"label": step.name})


def port_kept(reading: Reading) -> Iterator[Proof]:
    """A port that is listed though whoever had it last is gone, and the gateway itself lists no SA of that one any more."""
    lists_sas = any(view.sas for view in reading.evidence.gateway_views)
    last: dict[int, tuple[str, Observation]] = {}
    heard = [(o.t, port, client, o) for (client, _), by in ports_by_life(reading).items() for port, o in by.items()]
    first = sorted(heard, key=lambda one: one[:3])
    for view in sorted(reading.evidence.gateway_views, key=lambda view: view.t) if lists_sas else ():
        while first and first[0][0] <= view.t:
            _, port, client, frame = first.pop(0)
            last[port] = client, frame
        listed = {sa.spi for sa in view.sas}
        for port in sorted(set(view.ports.values()) & set(last)):
            client, frame = last.pop(port)
            identity = reading.identities[client]
            if listed & {*identity.spis_in, *identity.spis_out} or view in views_while_up(reading, client):
                last[port] = client, frame
            else:
                yield Proof(client, (frame,), {"label": view.label, "port": port})


def heard_and_denied(reading: Reading) -> Iterator[Proof]:
    """Answers that reached a client on its own SA, and of which it keeps no record."""
    for life in every_life(reading):
        if any("no record of them" in d for d in life.disagreements):
            said = {int(r.data["sequence"]) for r in reading.records(life.client, RecordKind.MARK_ANSWERED)}
            frames = tuple(a.answer for a in life.asked if a.answer is not None and a.sequence not in said)
            yield Proof(life.client, frames)


def _esp_near(reading: Reading, client: str, view: GatewayView) -> Observation | None:
    """ESP of the client's that the gateway itself sent after a view, on an SA of before."""
    own = (o for o in reading.way(Side.OUTSIDE, "down") if o.t > view.t and reading.sa_owner(o) == client)
    return next(own, None)
