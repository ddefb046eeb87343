"""What the two peers list: main-mode SAs by their cookies, the sockets these show, and the quick-mode SAs that a socket finds.

The wire says what is right. A list is asked only while what it is to show is there: from a moment after it was agreed to the moment
at which it was given up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.model import GatewayView, NatView, Observation, RecordKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.negotiation import NATT_PORT
from harness.verdict.reading import CLOSING_STEPS, Reading, deleted, deletes
from harness.verdict.trust import WIRE, Need, check

ACCOUNT_S = 1.0
"""A gateway takes this long to give its account: one begun later than this before a Delete may show what is already gone."""

SETTLED_S = 0.005
"""An SA that was agreed this shortly before may not be listed yet."""

End = tuple[str, int | None]
"""Address and UDP port."""


@dataclass(frozen=True, slots=True)
class Socket:
    """A client's end of its floated main mode, before the NAT and behind it, and the frame that showed it (outside)."""

    inside: End
    outside: End
    frame: Observation


@check(*WIRE, Need.VIEWS, Need.COOKIES)
def main_mode_sas_match_by_cookies(reading: Reading) -> Verdict:
    """The cookie pair of a client's main mode is the same in the client's list, in the gateway's, and on the wire."""
    f = Findings()
    wire = {pair: c for c, i in reading.identities.items() for pair in i.cookies}
    for client in reading.clients:
        said = _said(reading, client)
        if not said:
            continue
        for pair in said:
            f.expect(wire.get(pair) == client, f"{client} lists the cookies {_words(pair)}, which are not its own on the wire")
        views = views_while_up(reading, client)
        f.facts[client] = {"cookies": [_words(pair) for pair in said], "asked": [view.label for view in views]}
        for view in views:
            listed = {sa[:2] for sa in view.ike_sas}
            now = [pair for pair, t in said.items() if t < view.t - SETTLED_S]
            if now:
                shown = bool(listed & set(now[-2:]))
                f.expect(shown, f"the gateway lists no main-mode SA with {client}'s cookies {_words(now[-1])} ({view.label})")
    _require_asked(f, reading)
    for view in reading.evidence.gateway_views:
        for icookie, rcookie, *_ in view.ike_sas:
            known = (icookie, rcookie) in wire
            f.expect(
                known, f"the gateway lists the cookies {_words((icookie, rcookie))}, which nobody used on the wire ({view.label})"
            )
    return f.verdict(f"the cookies of {len(f.facts)} clients are the same with both peers and on the wire")


@check(*WIRE, Need.PAIRED, Need.VIEWS, Need.NAT_VIEWS, Need.COOKIES)
def main_mode_sa_shows_the_sockets(reading: Reading) -> Verdict:
    """The gateway's main-mode SA shows the socket that the NAT made of the client's; wire and NAT table both say so."""
    f = Findings()
    for client in reading.clients:
        views = [view for view in views_while_up(reading, client) if view.ike_sas]
        own = set(reading.identities[client].cookies) if client in reading.identities else set()
        for view in views:
            socket = socket_at(reading, client, view.t)
            if socket is None:
                continue
            peers: set[End] = {(address, port) for icookie, rcookie, address, port in view.ike_sas if (icookie, rcookie) in own}
            f.facts.setdefault(client, {})[view.label] = f"{_end(socket.inside)} -> {_end(socket.outside)}"
            f.expect(
                peers == {socket.outside},
                f"the gateway sees {client} at {_ends(peers)}, the wire shows {_end(socket.outside)} ({view.label})",
                socket.frame,
            )
            table = _rows(reading, view)
            if not table:
                continue
            made = {row[1] for row in table if row[0] == socket.inside}
            f.expect(
                socket.outside in made,
                f"the NAT's table maps {client}'s {_end(socket.inside)} to {_ends(made)}, the wire shows {_end(socket.outside)}",
                socket.frame,
            )
    _require_asked(f, reading)
    return f.verdict(f"gateway, wire and NAT table show the same sockets: {f.facts}")


@check(*WIRE, Need.PAIRED, Need.VIEWS)
def socket_finds_one_quick_mode_sa(reading: Reading) -> Verdict:
    """Among all quick-mode SAs that the gateway lists, a client's address and port find its own, each way, and no other: one, or as
    many as a rekey leaves alive."""
    f = Findings()
    for client in reading.clients:
        for view in views_while_up(reading, client):
            socket = socket_at(reading, client, view.t)
            if socket is None or not view.sas:
                continue
            for inbound in (True, False):
                found = {sa.spi for sa in view.sas if sa.inbound is inbound and (sa.peer_address, sa.udp_port) == socket.outside}
                alive = _alive(reading, client, view.t, inbound)
                way = "inbound" if inbound else "outbound"
                where = f"{_end(socket.outside)} ({view.label})"
                f.expect(bool(found), f"{client}'s socket finds no {way} SA at {where}", socket.frame)
                f.expect(
                    found <= alive, f"{client}'s socket finds {way} SAs of others: {sorted(found - alive)} at {where}", socket.frame
                )
            f.facts[client] = f.facts.get(client, 0) + 1
    _require_asked(f, reading)
    return f.verdict(f"address and port find exactly one quick-mode SA of {len(f.facts)} clients")


@check(*WIRE, Need.VIEWS, Need.COOKIES)
def monitor_counts_equal_clients(reading: Reading) -> Verdict:
    """The gateway's monitor shows one main-mode SA, and one quick-mode SA each way, for every client that is up."""
    f = Findings()
    up = {c: views_while_up(reading, c) for c in reading.clients if c in reading.identities}
    cookies = {pair: c for c, i in reading.identities.items() for pair in i.cookies}
    for view in reading.evidence.gateway_views:
        present = [c for c, views in up.items() if view in views]
        if not present:
            continue
        main: dict[str, int] = {}
        for icookie, rcookie, *_ in view.ike_sas:
            owner = cookies.get((icookie, rcookie))
            if owner is not None:
                main[owner] = main.get(owner, 0) + 1
        quick = {
            c: [sum(sa.inbound is way and sa.spi in _alive(reading, c, view.t, way) for sa in view.sas) for way in (True, False)]
            for c in present
        }
        f.facts[view.label] = {
            "clients": len(present),
            "main_mode": sum(min(main.get(c, 0), 1) for c in present),
            "quick_mode": sum(min(*quick[c], 1) for c in present),
        }
        for client in present:
            most = _main_modes(reading, client, view.t)
            f.expect(
                1 <= main.get(client, 0) <= max(1, most),
                f"the monitor shows {main.get(client, 0)} main-mode SAs of {client} ({view.label})",
            )
            for way, count, name in zip((True, False), quick[client], ("inbound", "outbound"), strict=True):
                most = len(_alive(reading, client, view.t, way))
                f.expect(1 <= count <= max(1, most), f"the monitor shows {count} {name} quick-mode SAs of {client} ({view.label})")
    _require_asked(f, reading)
    return f.verdict(f"the monitor shows one main-mode and one quick-mode SA a client: {f.facts}")


@check(*WIRE, Need.PAIRED)
def correlator_is_unambiguous(reading: Reading, *, at_least: int = 2) -> Verdict:
    """Each SPI and each cookie is one client's, and the client that address and port find is the one whose SA it is.

    `at_least` is how many SAs (two a client, one each way) there must be for the run to say anything.
    """
    f = Findings()
    owners: dict[tuple[str, str], set[str]] = {}
    for client, identity in reading.identities.items():
        names = [("spi in", spi) for spi in identity.spis_in] + [("spi out", spi) for spi in identity.spis_out]
        for name in (*names, *(("cookie", icookie) for icookie, _ in identity.cookies)):
            owners.setdefault(name, set()).add(client)
    sas = sum(kind != "cookie" for kind, _ in owners)
    require(sas >= at_least, f"there are {sas} SAs, {at_least} are needed")
    for (kind, value), clients in owners.items():
        f.expect(len(clients) == 1, f"{kind} {value} is taken for {' and '.join(sorted(clients))}'s")
    for c in reading.crossings():
        owner, sender = reading.flow_owner(c.inside), reading.at_address(c.inside.src)
        if c.direction == "up" and owner is not None and sender is not None:
            f.expect(owner == sender, f"an SA of {owner} is used from {c.inside.src}, which is {sender}'s", c.inside)
        receiver = reading.at_address(c.inside.dst)
        sent_there = reading.at_port(c.outside.dport, c.outside.t) in (None, owner)
        if c.direction == "down" and owner is not None and receiver is not None and sent_there:
            f.expect(owner == receiver, f"what was sent to {owner} by its SA and port came to {receiver}", c.inside)
    for o in reading.way(Side.OUTSIDE, "up"):
        owner, mapped = reading.flow_owner(o), reading.at_port(o.sport, o.t)
        if owner is not None and mapped is not None:
            f.expect(owner == mapped, f"port {o.sport} finds {mapped}, the SA is {owner}'s", o)
    f.facts.update(sas=sas, clients=len(reading.identities))
    return f.verdict(f"{sas} SAs of {len(reading.identities)} clients, each found without doubt")


def views_while_up(reading: Reading, client: str) -> tuple[GatewayView, ...]:
    """The gateway's accounts given while a client had SAs: since a quick mode, until a Delete leaves it without or it goes away."""
    agreed = [o.t for o in reading.ike_messages(client, "QM3")]
    gone = reading.once(_deletes).get(client, []) + [
        r.t for kind in (RecordKind.FAILED, RecordKind.ENDED) for r in reading.records(client, kind)
    ]
    gone += [s.began for s in reading.evidence.steps if s.name in {f"{kind}:{client}" for kind in CLOSING_STEPS}]
    found = []
    for view in reading.evidence.gateway_views:
        since = max((t for t in agreed if t < view.t - SETTLED_S), default=None)
        if since is not None and not any(since < t <= view.t + ACCOUNT_S for t in gone):
            found.append(view)
    return tuple(found)


def _deletes(reading: Reading) -> dict[str, list[float]]:
    """When each client was left without an SA by a Delete."""
    found: dict[str, list[float]] = {}
    for o in reading.frames(Side.OUTSIDE):
        owner = reading.ike_owner(o)
        if owner is not None and deletes(o) and not reading.replaced(o):
            found.setdefault(owner, []).append(o.t)
    return found


def socket_at(reading: Reading, client: str, t: float) -> Socket | None:
    """What the NAT made of a client's socket towards 4500, by the last packet that the client sent through it before `t`."""
    found = None
    for c in reading.crossings():
        if c.outside.t > t:
            break
        if c.direction == "up" and c.inside.dport == NATT_PORT and reading.at_address(c.inside.src) == client:
            found = c
    if found is None:
        return None
    return Socket((found.inside.src, found.inside.sport), (found.outside.src, found.outside.sport), found.outside)


def _said(reading: Reading, client: str) -> dict[tuple[str, str], float]:
    """The cookie pairs that the client itself lists, and since when, oldest first."""
    return {
        (str(r.data["icookie"]), str(r.data["rcookie"])): r.t
        for r in reading.records(client, RecordKind.IKE_UP)
        if "icookie" in r.data and "rcookie" in r.data
    }


def _alive(reading: Reading, client: str, t: float, inbound: bool) -> set[str]:
    """The SPIs of a client's SAs, one way as the gateway sees it, that were agreed by `t` and not deleted before."""
    identity = reading.identities[client]
    own = identity.spis_out if inbound else identity.spis_in
    return set(own) - _deleted(reading, client, t)


def _deleted(reading: Reading, client: str, t: float) -> set[str]:
    """What Deletes between the client and the gateway named by `t`, whichever end's SPIs they name."""
    pairs = {}
    identity = reading.identities[client]
    for one, other in zip(identity.spis_in, identity.spis_out, strict=False):
        pairs[one], pairs[other] = other, one
    gone = {spi for when, spis in reading.once(_esp_deletes).get(client, ()) if when <= t for spi in spis}
    return gone | {pairs[spi] for spi in gone if spi in pairs}


def _esp_deletes(reading: Reading) -> dict[str, list[tuple[float, tuple[str, ...]]]]:
    """By client, when Deletes between it and the gateway were seen outside, in their order, and the ESP SPIs that they named."""
    found: dict[str, list[tuple[float, tuple[str, ...]]]] = {}
    for o in reading.frames(Side.OUTSIDE):
        owner = reading.ike_owner(o)
        if owner is not None and (spis := deleted(o, "esp")):
            found.setdefault(owner, []).append((o.t, spis))
    return found


def _main_modes(reading: Reading, client: str, t: float) -> int:
    """How many main modes of a client had been begun by `t`."""
    return sum(o.t < t for o in reading.ike_messages(client, "MM1"))


def _rows(reading: Reading, view: GatewayView) -> tuple[tuple[End, End], ...]:
    """(inside, outside) of each row of the NAT's table, at the moment of a gateway's account, that leads to the gateway's 4500."""
    tables: Mapping[str, NatView] = {table.label: table for table in reading.evidence.nat_views}
    table = tables.get(view.label)
    if table is None:
        return ()
    goal = (reading.evidence.gateway_address, NATT_PORT)
    return tuple(
        ((m.inside_address, m.inside_port), (m.outside_address, m.outside_port))
        for m in table.mappings
        if m.protocol == "udp" and (m.remote_address, m.remote_port) in (goal, ("", 0))
    )


def _require_asked(f: Findings, reading: Reading) -> None:
    """Everybody who came up must have been there when the gateway was asked at least once."""
    up = [c for c in reading.clients if reading.records(c, RecordKind.PPP_UP)]
    require(bool(up) or bool(f.faults), "no client came up, so there was nothing to list")
    for client in up:
        asked = bool(views_while_up(reading, client)) or bool(f.faults)
        require(asked, f"the gateway was not asked for its SAs while {client}'s were there")


def _words(pair: tuple[str, str]) -> str:
    return "/".join(pair)


def _end(end: End) -> str:
    return f"{end[0]}:{end[1]}"


def _ends(ends: set[End]) -> str:
    return " and ".join(sorted(_end(end) for end in ends)) or "nothing"
