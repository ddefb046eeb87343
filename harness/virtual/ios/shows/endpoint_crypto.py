"""What a tunnel-mode VPN endpoint has to tell of its crypto.

As on IOS, a permit of a static entry's list is a flow before it has SAs too. Packets are counted over the SAs that are up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.virtual.ios.meaning_vpdn import PFS, transforms
from harness.virtual.ios.numbers import before_12_4
from harness.virtual.ios.shows.crypto_maps import FIRST_TEMPORARY
from harness.virtual.ios.shows.crypto_values import ConnectionShown, FlowShown, IkeShown, MapShown, SaShown
from harness.virtual.ios.shows.ipsec_sas import MODES, iv_octets
from harness.virtual.ios.state import State
from harness.virtual.vpn_view import IpsecView, MapEntryView
from harness.wire.config import Selector

if TYPE_CHECKING:
    from harness.virtual.ios.endpoint_role import EndpointRole

BY_LIST, ASKED_FOR = ("origin_is_acl,", "origin_is_acl,"), ("", "")
GROUPS = {name: number for number, name in PFS.items()}
AH_TRANSFORMS = {"md5": "ah-md5-hmac", "sha1": "ah-sha-hmac", "sha256": "ah-sha256-hmac"}


class EndpointCrypto:
    def __init__(self, role: EndpointRole) -> None:
        self._role = role

    @property
    def state(self) -> State:
        return self._role.state

    @property
    def address(self) -> str:
        settings = self._role.plan.settings
        return "0.0.0.0" if settings is None else settings.address

    # --- the crypto map ---

    def current_peer(self, name: str, sequence: int) -> str | None:
        if name != self._applied:
            return None
        found = (one for one in self._role.view().map_entries if (one.sequence, one.kind) == (sequence, "ipsec-isakmp"))
        return next((one.current_peer for one in found), None) or None

    @property
    def _applied(self) -> str | None:
        settings = self._role.plan.settings
        crypto_map = None if settings is None else settings.policy.crypto_map
        return None if crypto_map is None else crypto_map.name

    def made(self, name: str) -> Iterator[tuple[int, MapShown]]:
        """The temporary entries of dynamic maps, numbered on from the last one by releases before 12.4."""
        if name != self._applied:
            return
        made = [one for one in self._role.view().map_entries if one.kind == "temporary"]
        old = before_12_4(self.state.release)
        for n, one in enumerate(made):
            yield one.sequence if old else FIRST_TEMPORARY + n, _temporary(one)

    # --- SAs ---

    def flows(self) -> Iterator[FlowShown]:
        """Those of static entries, in the order in which they are tried, then what peers have asked for."""
        view = self._role.view()
        rows: dict[tuple[str, Selector, Selector, str, int], list[IpsecView]] = {}
        for row in view.ipsec:
            rows.setdefault((row.entry, row.local, row.remote, row.peer, row.udp_port), []).append(row)
        for entry in view.map_entries:
            if entry.kind not in ("ipsec-isakmp", "ipsec-manual") or entry.lacks is not None:
                continue
            for permit in (one for one in entry.permits if one.action == "permit"):
                key = f"{self._applied} {entry.sequence}", permit.source, permit.destination
                own = [one for one in rows if one[:3] == key]
                for one in own:
                    yield self._flow(rows.pop(one), BY_LIST)
                if not own:
                    ends = str(permit.source), str(permit.destination)
                    yield FlowShown(*ends, entry.current_peer, 500, BY_LIST)
        for left in rows.values():
            yield self._flow(left, ASKED_FOR)

    def _flow(self, rows: list[IpsecView], flags: tuple[str, str]) -> FlowShown:
        newest = rows[-1]
        return FlowShown(
            str(newest.local),
            str(newest.remote),
            newest.peer,
            newest.udp_port or 500,
            flags,
            sum(one.encapsulated for one in rows),
            sum(one.decapsulated for one in rows),
            sum(one.receive_errors for one in rows),
            newest.esp_out or newest.ah_out,
            tuple(sa for inbound in (True, False) for row in rows for sa in _sas(row, inbound)),
            newest.ike_port,
            len(newest.entry.split()) > 2,  # the template's name and number stand behind the entry's
        )

    def ike(self) -> Iterator[IkeShown]:
        for one in self._role.view().ike:
            answered, began = (one.peer, one.local) if one.initiator else (one.local, one.peer)
            number, nat = one.connection - 1 if one.connection else None, one.nat_local or one.nat_remote
            ports = one.local_port, one.port
            yield IkeShown(answered, began, one.state, number, one.peer, *ports, one.identity, one.remaining_s, nat)

    def connections(self) -> Iterator[ConnectionShown]:
        view = self._role.view()
        for one in view.ike:
            if one.connection:
                yield ConnectionShown(True, one.connection - 1, 0, one.encryption, one.hash, 0, 0)
        for row in view.ipsec:
            proof = "" if row.authentication == "none" else row.authentication
            names = row.encryption, proof or row.ah
            yield ConnectionShown(False, row.number - 1, 0, *names, 0, row.decapsulated)
            yield ConnectionShown(False, row.number - 1, 1, *names, row.encapsulated, 0)


def _sas(row: IpsecView, inbound: bool) -> Iterator[SaShown]:
    esp, ah = (row.esp_in, row.ah_in) if inbound else (row.esp_out, row.ah_out)
    by_hand = row.encapsulation == "manual"
    mode = MODES["tunnel" if by_hand else row.encapsulation]
    left = None if row.remaining_s is None else (row.remaining_kb, row.remaining_s)
    number = row.number - 1
    if esp:
        transform = transforms(row.encryption, row.authentication)
        yield SaShown(inbound, "esp", esp, transform, mode, number, left, iv_octets(row.encryption), not by_hand)
    if ah:
        yield SaShown(inbound, "ah", ah, AH_TRANSFORMS[row.ah], mode, number, left, None, not by_hand)


def _temporary(one: MapEntryView) -> MapShown:
    _, _, template, sequence = one.dynamic_map.split()
    permits = tuple(re.sub(r" eq (\d+)", r" port = \1", str(permit)) for permit in one.permits)
    life = one.lifetime_kb, one.lifetime_s
    names = tuple(name for name in one.transform_sets if name)
    return MapShown(life, names, GROUPS.get(one.pfs or ""), one.peers, "", permits, f"{template}/{sequence}", one.current_peer)
