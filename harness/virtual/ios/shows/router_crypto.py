"""What an LNS, a LAC or a gateway for L2TP has to tell of its crypto. Packets are counted over the SAs that are up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.virtual.ios import meaning
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.meaning_vpdn import transforms
from harness.virtual.ios.shows.crypto_maps import FIRST_TEMPORARY, lifetime
from harness.virtual.ios.shows.crypto_values import ConnectionShown, FlowShown, IkeShown, MapShown, SaShown
from harness.virtual.ios.shows.ipsec_sas import MODES, iv_octets, protected
from harness.virtual.ios.state import State
from harness.virtual.sadb import Sa
from harness.virtual.vpdn.maps import MapEntry

if TYPE_CHECKING:
    from harness.virtual.ios.router import IosRouter

FLAGS = "origin_is_acl,parent_is_transport,", ""


class RouterCrypto:
    def __init__(self, router: IosRouter) -> None:
        self._router = router

    @property
    def state(self) -> State:
        return self._router.state

    @property
    def address(self) -> str:
        return self._router.core.settings.address

    def current_peer(self, name: str, sequence: int) -> None:
        """The first is the only one."""

    # --- the crypto map ---

    def made(self, name: str) -> Iterator[tuple[int, MapShown]]:
        """Clones of profiles, and what dynamic maps have let in."""
        router = self._router
        yield from ((one.sequence, _clone(one)) for one in router.core.ipsec.maps if one.map_name == name and one.flow)
        for n, one in enumerate(self._temporary(name)):
            yield FIRST_TEMPORARY + n, one

    def _temporary(self, name: str) -> Iterator[MapShown]:
        """An entry for each peer's socket that a dynamic map has let in."""
        router, tree = self._router, self.state.configuration.tree
        outside = next((one for one in tree.find("interface") if one.value("crypto map") == name), None)
        dynamic = [entry.words[6] for entry in tree.find(f"crypto map {name}") if "dynamic" in entry.words[5:6]]
        templates = [one for tag in dynamic for one in tree.find(f"crypto dynamic-map {tag}")]
        if outside is None or not templates or router.core.settings.vpdn is not None:
            return
        known = {one.line: one for one in meaning.map_entries(tree, name)}
        for client in router.core.ipsec.clients.values():
            sa = next(reversed(client.sas.values()), None)
            if sa is None or sa.spi_in not in router.core.ipsec.agreed:
                continue
            up = router.core.ipsec.agreed[sa.spi_in][0]
            pair = up.encryption, up.authentication

            def fits(entry: Entry, pair: tuple[str, str] = pair) -> bool:
                return any((one.encryption, one.authentication) == pair for one in known[entry.line].esp)

            entry = next((one for one in templates if fits(one)), templates[0])
            permit = f"permit udp host {self.address} port = 1701 host {client.address} port = {sa.port}"
            yield MapShown(
                lifetime(tree, entry),
                tuple((entry.value("set transform-set") or "").split()),
                entry.value("set pfs"),
                (client.address,),
                "",
                (permit,),
                f"{entry.words[2]}/{entry.words[3]}",
                client.address,
                entry.has("set nat demux"),
            )

    # --- SAs ---

    def flows(self) -> Iterator[FlowShown]:
        """The SAs of each peer's socket, oldest first."""
        found: dict[tuple[int, int], list[Sa]] = {}
        for sa in self._router.core.ipsec.sadb:
            if sa.spi_in in self._router.core.ipsec.agreed:
                found.setdefault((id(sa.client), sa.port), []).append(sa)
        for sas in found.values():
            newest = sas[-1]
            yield FlowShown(
                f"{self.address}/255.255.255.255/17/1701",
                f"{newest.address}/255.255.255.255/17/{newest.port}",
                newest.address,
                newest.client.udp_port or 500,
                FLAGS,
                sum(sa.outbound.sequence for sa in sas),
                sum(sa.inbound.packets for sa in sas),
                sum(sa.inbound.unauthentic + sa.inbound.replayed for sa in sas),
                newest.spi_out,
                tuple(self._sa(sa, inbound) for inbound in (True, False) for sa in sas),
                newest.association.udp_port,
                self._dynamic(newest.address),
            )

    def _dynamic(self, peer: str) -> bool:
        """Profiles and entries that name the peer are none."""
        tree, outside = self.state.configuration.tree, protected(self.state.configuration.tree)
        entries = () if outside is None else tree.find(f"crypto map {outside.value('crypto map')}")
        named = any(entry.has(f"set peer {peer}") for entry in entries)
        return self._router.core.settings.vpdn is None and not named

    def _sa(self, sa: Sa, inbound: bool) -> SaShown:
        up, at = self._router.core.ipsec.agreed[sa.spi_in]
        octets = sa.inbound.octets if inbound else sa.outbound.octets
        return SaShown(
            inbound,
            "esp",
            sa.spi_in if inbound else sa.spi_out,
            transforms(up.encryption, up.authentication),
            MODES[up.encapsulation],
            self._router.core.ipsec.numbers[sa.spi_in],
            (
                max(0, up.lifetime_kb - octets // 1024) if up.lifetime_kb else None,
                max(0, int(at + up.lifetime_s - self.state.now)),
            ),
            iv_octets(up.encryption),
        )

    def ike(self) -> Iterator[IkeShown]:
        ipsec, here = self._router.core.ipsec, self.address
        for association in ipsec.associations:
            answered, began = (association.address, here) if ipsec.began_here(association) else (here, association.address)
            ports = association.local_port, association.udp_port
            if association.half_open:
                yield IkeShown(answered, began, "MM_NO_STATE", None, association.address, *ports)
            for cookies in association.ike_sas:
                up = ipsec.ike_agreed[cookies]
                left = max(0, int(ipsec.ike_since[cookies] + up.lifetime_s - self.state.now))
                number, nat = ipsec.ike_numbers[cookies], up.nat_local or up.nat_remote
                yield IkeShown(answered, began, "QM_IDLE", number, association.address, *ports, up.identity, left, nat)

    def connections(self) -> Iterator[ConnectionShown]:
        ipsec = self._router.core.ipsec
        for cookies, number in ipsec.ike_numbers.items():
            agreed = ipsec.ike_agreed[cookies]
            yield ConnectionShown(True, number, 0, agreed.encryption, agreed.hash, 0, 0)
        for sa in ipsec.sadb:
            if sa.spi_in in ipsec.agreed:
                up, pair = ipsec.agreed[sa.spi_in][0], ipsec.numbers[sa.spi_in]
                yield ConnectionShown(False, pair, 0, up.encryption, up.authentication, 0, sa.inbound.packets)
                yield ConnectionShown(False, pair, 1, up.encryption, up.authentication, sa.outbound.sequence, 0)


def _clone(entry: MapEntry) -> MapShown:
    life = entry.lifetime_kb, entry.lifetime_s
    return MapShown(life, entry.sets, entry.pfs, (entry.peer,), "", (str(entry.flow),), current=entry.peer)
