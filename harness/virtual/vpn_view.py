"""A tunnel-mode endpoint's own account at one moment: plain values, for whoever shows them as a router would.

`show crypto ipsec sa` is made of `ipsec`, `show crypto isakmp sa` of `ike`, `show crypto engine connections active` of
`connections`, `show crypto map` of `map_entries`, where the temporary entries stand behind the dynamic one that they come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.virtual.access_list import Entry
from harness.virtual.crypto_map import CryptoMap, DynamicReference, IsakmpEntry, ManualEntry, MapEntry, access_list, missing, places
from harness.virtual.vpn_endpoint import VpnEndpoint
from harness.virtual.vpn_sa import VpnSa
from harness.wire.config import Selector

FIRST_IPSEC_CONNECTION = 2000


@dataclass(frozen=True, slots=True)
class IpsecView:
    """A pair of SAs. `entry` names its crypto map entry; `encapsulation` is "tunnel", "udp-tunnel" or "manual" (keys by hand, whose
    lives never end: `remaining_s` and `remaining_kb` None). `connections` are the inbound and the outbound one's numbers.
    SPIs are 0 where there is none of ESP, or of AH. `predictable` and `number`: see vpn_sa. `ike_port`: where the peer's IKE comes
    from."""

    entry: str
    local_address: str
    peer: str
    udp_port: int
    local: Selector
    remote: Selector
    encapsulation: str
    encryption: str
    authentication: str
    ah: str
    esp_in: int
    esp_out: int
    ah_in: int
    ah_out: int
    encapsulated: int
    decapsulated: int
    receive_errors: int
    remaining_s: int | None
    remaining_kb: int | None
    connections: tuple[int, int]
    initiator: bool
    predictable: bool | None
    number: int = 0
    ike_port: int = 500


@dataclass(frozen=True, slots=True)
class IkeView:
    """An ISAKMP SA, or an attempt at one: `state` is IOS's word, QM_IDLE or MM_NO_STATE. `connection` counts all that there
    ever were, and is 0 as long as there is none."""

    local: str
    peer: str
    port: int
    identity: str
    state: str
    connection: int
    initiator: bool
    encryption: str = ""
    hash: str = ""
    group: str = ""
    authentication: str = ""
    remaining_s: int = 0
    nat_local: bool = False
    nat_remote: bool = False
    local_port: int = 500


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One direction of an SA: packets are counted in `encrypted` or in `decrypted`, never in both. An ISAKMP SA counts none."""

    number: int
    address: str
    algorithm: tuple[str, str]
    encrypted: int
    decrypted: int


@dataclass(frozen=True, slots=True)
class MapEntryView:
    """`kind`: ipsec-isakmp, ipsec-manual, dynamic (the reference), or temporary (an SA's own, with the flow that the initiator
    asked for). `lacks`: what keeps it from doing anything. `current_peer` "" where there is none."""

    sequence: int
    kind: str
    permits: tuple[Entry, ...]
    peers: tuple[str, ...]
    current_peer: str
    transform_sets: tuple[str, ...]
    lifetime_s: int
    lifetime_kb: int
    pfs: str | None
    lacks: str | None = None
    dynamic_map: str = ""


@dataclass(frozen=True, slots=True)
class EndpointView:
    at: float
    ipsec: tuple[IpsecView, ...]
    ike: tuple[IkeView, ...]
    connections: tuple[ConnectionView, ...]
    map_entries: tuple[MapEntryView, ...]


def of(now: float, endpoint: VpnEndpoint) -> EndpointView:
    sas = list(endpoint.negotiation.sas)
    ike = tuple(_ike(now, endpoint))
    rows = tuple(_ipsec(now, endpoint, sa) for sa in sas)
    return EndpointView(now, rows, ike, tuple(_connections(ike, rows, endpoint.settings.address)), tuple(_entries(endpoint, sas)))


def _ipsec(now: float, endpoint: VpnEndpoint, sa: VpnSa) -> IpsecView:
    association = sa.association
    first = FIRST_IPSEC_CONNECTION + 2 * (sa.number - 1)
    remaining_s = None if association is None else max(0, int(sa.installed_at + sa.lifetime_s - now))
    limited = association is not None and sa.lifetime_kb
    remaining_kb = max(0, sa.lifetime_kb - sa.octets // 1024) if limited else None
    return IpsecView(
        sa.name,
        endpoint.settings.address,
        sa.address,
        association.udp_port if association is not None and sa.udp else 0,
        sa.local,
        sa.remote,
        "manual" if association is None else "udp-tunnel" if sa.udp else "tunnel",
        sa.encryption,
        sa.authentication,
        sa.ah,
        sa.esp_in.spi if sa.esp_in is not None else 0,
        sa.esp_out.spi if sa.esp_out is not None else 0,
        sa.ah_in.spi if sa.ah_in is not None else 0,
        sa.ah_out.spi if sa.ah_out is not None else 0,
        sa.encapsulated,
        sa.decapsulated,
        sa.receive_errors,
        remaining_s,
        remaining_kb,
        (first, first + 1),
        sa.initiator,
        sa.predictable,
        sa.number,
        500 if association is None else association.udp_port,
    )


def _ike(now: float, endpoint: VpnEndpoint) -> Iterator[IkeView]:
    negotiation = endpoint.negotiation
    for association in negotiation.associations:
        standing = negotiation.standings[association.number]
        ends = endpoint.settings.address, association.address, association.udp_port
        if not standing.ike_sas and association.half_open:
            yield IkeView(*ends, "", "MM_NO_STATE", 0, standing.initiator, local_port=association.local_port)
        for one in standing.ike_sas:
            event = one.up
            yield IkeView(
                *ends,
                standing.identity,
                "QM_IDLE",
                one.number,
                standing.initiator,
                event.encryption,
                event.hash,
                event.group,
                event.authentication,
                max(0, int(one.since + event.lifetime_s - now)),
                event.nat_local,
                event.nat_remote,
                association.local_port,
            )


def _connections(ike: tuple[IkeView, ...], ipsec: tuple[IpsecView, ...], address: str) -> Iterator[ConnectionView]:
    for one in ike:
        if one.connection:
            yield ConnectionView(one.connection, address, (one.hash, one.encryption), 0, 0)
    for row in ipsec:
        algorithm = row.authentication or row.ah, row.encryption
        yield ConnectionView(row.connections[0], address, algorithm, 0, row.decapsulated)
        yield ConnectionView(row.connections[1], address, algorithm, row.encapsulated, 0)


def _entries(endpoint: VpnEndpoint, sas: list[VpnSa]) -> Iterator[MapEntryView]:
    """Temporary entries are numbered on from the set's last one, in the order in which they came."""
    policy = endpoint.settings.policy
    crypto_map = policy.crypto_map
    if crypto_map is None:
        return
    for entry in crypto_map.entries:
        yield _entry(endpoint, crypto_map, entry)
    number = max((entry.sequence for entry in crypto_map.entries), default=0)
    dynamic = {place.name: place for place in places(policy) if place.reference is not None}
    seen = set()
    for sa in sas:
        key = sa.name, sa.address, sa.local, sa.remote
        if sa.name not in dynamic or key in seen:
            continue
        seen.add(key)
        number += 1
        template = dynamic[sa.name].entry
        pfs = template.pfs if isinstance(template, IsakmpEntry) else None
        name = next((one for one in template.transform_sets if _fits(endpoint, one, sa)), "")
        peers = (sa.address,)
        yield MapEntryView(
            number, "temporary", (sa.permit,), peers, sa.address, (name,), sa.lifetime_s, sa.lifetime_kb, pfs, dynamic_map=sa.name
        )


def _fits(endpoint: VpnEndpoint, name: str, sa: VpnSa) -> bool:
    row = endpoint.settings.policy.transform_sets.get(name)
    return row is not None and (row.encryption, row.ah) == (sa.encryption, sa.ah) and (
        bool(row.ah) or (row.authentication or "none") == sa.authentication
    )


def _entry(endpoint: VpnEndpoint, crypto_map: CryptoMap, entry: MapEntry) -> MapEntryView:
    policy = endpoint.settings.policy
    if isinstance(entry, DynamicReference):
        return MapEntryView(
            entry.sequence, "dynamic", (), (), "", (), policy.lifetime_s, policy.lifetime_kb, None, dynamic_map=entry.dynamic_map
        )
    name = f"{crypto_map.name} {entry.sequence}"
    lines = access_list(policy, entry.match).entries if entry.match is not None else ()
    lack = next((missing(policy, place) for place in places(policy) if place.name == name), None)
    if isinstance(entry, ManualEntry):
        current = entry.peers[0] if entry.peers else ""
        return MapEntryView(entry.sequence, "ipsec-manual", lines, entry.peers, current, entry.transform_sets, 0, 0, None, lack)
    lives = entry.lifetime_s or policy.lifetime_s, policy.lifetime_kb if entry.lifetime_kb is None else entry.lifetime_kb
    current = endpoint.negotiation.peer_of(name, entry) if entry.peers else ""
    return MapEntryView(entry.sequence, "ipsec-isakmp", lines, entry.peers, current, entry.transform_sets, *lives, entry.pfs, lack)
