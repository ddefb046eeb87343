"""The paths of tunnels: how large a packet may be that goes into one, and what an ICMP message may teach it."""

from __future__ import annotations

from harness.virtual.links import Link
from harness.virtual.peers import Client
from harness.virtual.settings import Settings
from harness.virtual.vpdn.groups import Group, Vpdn
from harness.virtual.vpdn.ipsec import ProfiledIpsec
from harness.virtual.vpdn.lac import L2TP_PORT, Lac
from harness.virtual.vpdn.lines import LacTunnel
from harness.virtual.vpdn.lns import GroupedLns, Held
from harness.virtual.vpdn.pmtu import LEAST, Told, Wrap, room


class Paths:
    """Over the layers of one router."""

    def __init__(self, settings: Settings, ipsec: ProfiledIpsec, lns: GroupedLns, lac: Lac) -> None:
        self.settings = settings
        self._ipsec = ipsec
        self._lns = lns
        self._lac = lac

    def group_of(self, link: Link) -> Group | None:
        """That of the tunnel in which a client's link is."""
        held = self._lns.held.get(link.tunnel)
        return None if held is None else held.group

    def of_lns(self, link: Link) -> int:
        """The largest IP packet that goes to a client in one piece: by what it takes, and by what its path does."""
        tunnel, held = self._lns.tunnels.get(link.tunnel), self._lns.held.get(link.tunnel)
        if tunnel is None or held is None:
            return link.mtu
        return min(link.mtu, self._room(held.path_mtu, tunnel.origin))

    def of_lac(self, tunnel: LacTunnel) -> int:
        """The largest IP packet of a caller's that goes to the LNS in one piece."""
        return self._room(tunnel.path_mtu, self._peer(tunnel))

    def learn(self, told: Told) -> str | None:
        """Fragmentation is needed, somebody says, of a packet of ours. It is believed for tunnels whose messages go out as the
        quoted packet did (an SPI that is in use, or the socket of a tunnel in the clear) and whose groups ask for it. Why it is
        not, or None."""
        found = list(self._sent_as(told))
        if not found:
            return "it quotes no packet of ours"
        on = [held for group, held in found if group is not None and group.pmtu]
        if not on:
            return "path MTU discovery is off"
        news = [held for held in on if LEAST <= told.mtu < self._mtu(held.path_mtu)]
        for held in news:
            held.path_mtu = told.mtu
        return None if news else f"an MTU of {told.mtu} is no news"

    def _sent_as(self, told: Told) -> list[tuple[Group | None, Held | LacTunnel]]:
        found: list[tuple[Group | None, Held | LacTunnel]] = []
        for tunnel in self._lns.tunnels.values():
            held = self._lns.held.get(tunnel.number)
            clear = tunnel.origin is None
            if held is not None and _fits(told, tunnel.origin, tunnel.address, tunnel.port, clear=clear):
                found.append((held.group, held))
        for own in self._lac.tunnels.values():
            if _fits(told, self._peer(own), own.address, L2TP_PORT, clear=not own.protected):
                found.append((own.group, own))
        return found

    def _peer(self, tunnel: LacTunnel) -> Client | None:
        sa = self._ipsec.sadb.lookup.find(tunnel.address, L2TP_PORT) if tunnel.protected else None
        return None if sa is None else sa.client

    def _mtu(self, learnt: int | None) -> int:
        return learnt or (self.settings.vpdn or Vpdn()).interface_mtu

    def _room(self, learnt: int | None, client: Client | None) -> int:
        if client is None or not client.sas:
            return room(self._mtu(learnt), None)
        sa = next(reversed(client.sas.values()))
        up, _ = self._ipsec.agreed[sa.spi_in]
        return room(self._mtu(learnt), Wrap(up.encryption, up.authentication, udp=sa.udp, tunnel=sa.tunnel))


def _fits(told: Told, client: Client | None, address: str, port: int, *, clear: bool) -> bool:
    if clear:
        return told.quotes_udp(address, L2TP_PORT, port)
    return client is not None and any(told.quotes_esp(client.address, sa.spi_out, client.udp_port) for sa in client.sas.values())
