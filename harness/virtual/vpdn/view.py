"""What a router with VPDN groups shows of itself at one moment: plain values, for whoever prints or compares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.virtual.sadb import Sa
from harness.virtual.vpdn.ipsec import ProfiledIpsec
from harness.virtual.vpdn.lac import L2TP_PORT, Lac
from harness.virtual.vpdn.lns import GroupedLns
from harness.virtual.vpdn.maps import MapEntry
from harness.virtual.vpdn.router import VpdnRouter
from harness.wire import events


@dataclass(frozen=True, slots=True)
class IkeSaRow:
    """An ISAKMP SA that is up. `left_s`: seconds to its end."""

    peer: str
    port: int
    icookie: str
    rcookie: str
    left_s: float


@dataclass(frozen=True, slots=True)
class EspSaRow:
    """One direction of a pair of ESP SAs. `packets` were sealed, or opened and found authentic; `unauthentic` and `replayed` were
    refused for their ICV and for their sequence number. `left_kb` None: no limit in kilobytes."""

    peer: str
    spi: str
    inbound: bool
    encryption: str
    authentication: str
    mode: str  # "transport", "tunnel", "udp-transport", "udp-tunnel"
    packets: int
    octets: int
    unauthentic: int
    replayed: int
    lifetime_s: int
    lifetime_kb: int
    left_s: float
    left_kb: int | None


@dataclass(frozen=True, slots=True)
class TunnelRow:
    """An L2TP tunnel that is up. `role` is ours in it; `group` is "" where there is none."""

    role: str  # "LAC" or "LNS"
    number: int
    remote: int
    peer: str
    port: int
    group: str
    protected: bool
    path_mtu: int | None
    sessions: tuple[SessionRow, ...]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A call. `address` is the PPP address given to it here, None on a LAC."""

    number: int
    remote: int
    user: str
    interface: str
    address: str | None


@dataclass(frozen=True, slots=True)
class LineRow:
    """A caller's line on a LAC. `stage` is a value of `lines.Stage`; `tunnel` 0 where the call is in none."""

    number: int
    user: str
    stage: str
    tunnel: int


@dataclass(frozen=True, slots=True)
class RouterView:
    """`maps` in order of map name and sequence number. `ignored`: messages that came in the clear and were not processed, by what
    they were. `dropped` and `refused` count complaints of every kind."""

    t: float
    maps: tuple[MapEntry, ...]
    ike_sas: tuple[IkeSaRow, ...]
    esp_sas: tuple[EspSaRow, ...]
    tunnels: tuple[TunnelRow, ...]
    lines: tuple[LineRow, ...]
    ignored: Mapping[str, int]
    dropped: int
    refused: int


def of(now: float, router: VpdnRouter) -> RouterView:
    ipsec = router.ipsec
    return RouterView(
        now,
        tuple(ipsec.maps),
        tuple(_ike_sas(now, ipsec)),
        tuple(row for sa in ipsec.sadb for row in _esp_sas(now, ipsec, sa)),
        (*_of_lns(router.lns), *_of_lac(router.lac)),
        tuple(
            LineRow(line.number, line.handover.user, line.stage.value, 0 if line.tunnel is None else line.tunnel.number)
            for line in router.lac.lines.values()
        ),
        dict(router.lns.ignored),
        router.journal.dropped,
        router.journal.refused,
    )


def _ike_sas(now: float, ipsec: ProfiledIpsec) -> Iterator[IkeSaRow]:
    for one in ipsec.associations:
        for icookie, rcookie in one.ike_sas:
            left = ipsec.expiry[icookie, rcookie] - now
            yield IkeSaRow(one.address, one.udp_port, icookie.hex(), rcookie.hex(), left)


def _esp_sas(now: float, ipsec: ProfiledIpsec, sa: Sa) -> Iterator[EspSaRow]:
    up, at = ipsec.agreed[sa.spi_in]
    inbound, outbound = sa.inbound, sa.outbound
    spent = max(inbound.octets, outbound.octets)
    refused = inbound.unauthentic, inbound.replayed
    yield _row(sa, up, f"{sa.spi_in:08x}", True, (inbound.packets, inbound.octets, *refused), at - now, spent)
    yield _row(sa, up, f"{sa.spi_out:08x}", False, (outbound.sequence, outbound.octets, 0, 0), at - now, spent)


def _row(
    sa: Sa, up: events.EspUp, spi: str, inbound: bool, counters: tuple[int, int, int, int], since: float, spent: int
) -> EspSaRow:
    left_kb = up.lifetime_kb - spent // 1024 if up.lifetime_kb else None
    names = up.encryption, up.authentication, up.encapsulation
    left_s = up.lifetime_s + since
    return EspSaRow(sa.address, spi, inbound, *names, *counters, up.lifetime_s, up.lifetime_kb, left_s, left_kb)


def _of_lns(lns: GroupedLns) -> Iterator[TunnelRow]:
    for tunnel in lns:
        held = lns.held.get(tunnel.number)
        group = "" if held is None or held.group is None else held.group.name
        sessions = tuple(
            SessionRow(link.session, link.remote, link.login.user or "", link.interface, link.assigned if link.up else None)
            for link in tunnel.links.values()
        )
        ends = tunnel.number, tunnel.core.tunnel_remote, tunnel.address, tunnel.port
        mtu = None if held is None else held.path_mtu
        yield TunnelRow("LNS", *ends, group, tunnel.origin is not None, mtu, sessions)


def _of_lac(lac: Lac) -> Iterator[TunnelRow]:
    for tunnel in lac:
        remotes = {local: remote for local, remote, _ in tunnel.core.calls}
        sessions = tuple(
            SessionRow(number, remotes.get(number, 0), line.handover.user, f"line{line.number}", None)
            for number, line in tunnel.lines.items()
        )
        ends = tunnel.number, tunnel.core.tunnel_remote, tunnel.address, L2TP_PORT
        yield TunnelRow("LAC", *ends, tunnel.group.name, tunnel.protected, tunnel.path_mtu, sessions)
