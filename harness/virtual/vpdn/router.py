"""A router with VPDN groups, sans-IO: LNS, LAC or both at once, over one IPsec and one interface.

    callers ── Lac ─┐
                    ├── Ipsec (crypto profiles), or UDP 1701 in the clear ── wire
    LAN ── Lns ─────┘

It is the virtual gateway with other layers: what is not said here is as in `VirtualGateway`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from harness.errors import DeviceError, ProtocolError
from harness.virtual.gateway import VirtualGateway
from harness.virtual.links import Link, Terms
from harness.virtual.lns import Tunnel
from harness.virtual.peers import Client
from harness.virtual.router import destination
from harness.virtual.settings import Settings
from harness.virtual.vpdn import pmtu
from harness.virtual.vpdn.groups import Group
from harness.virtual.vpdn.ipsec import ProfiledIpsec
from harness.virtual.vpdn.lac import L2TP_PORT
from harness.virtual.vpdn.lines import LacTunnel
from harness.virtual.vpdn.lns import GroupedLns, Held
from harness.virtual.vpdn.maps import Flow
from harness.virtual.vpdn.parts import VpdnParts
from harness.wire import ip
from harness.wire.config import Entropy
from harness.wire.l2tp.header import tunnel_of
from harness.wire.packet import Packet
from harness.wire.ppp.frame import Protocol, build, inner_ip


class VpdnRouter(VirtualGateway):
    """`settings.vpdn` says which groups there are. What comes in the clear is looked at by L2TP itself, since only the tunnel, or
    the LAC's name, tells whether it may."""

    ipsec: ProfiledIpsec
    lns: GroupedLns
    _parts: VpdnParts

    def __init__(
        self, settings: Settings, entropy: Entropy, mechanisms: VpdnParts | None = None, *, witnessed: bool = True
    ) -> None:
        self._df = False
        self._lines = 0  # that there have been
        super().__init__(settings, entropy, mechanisms or VpdnParts(), witnessed=witnessed)

    def _build(self, first_index: int) -> None:
        super()._build(first_index)
        self.lac = self._parts.lac(self._settings, self._entropy, self._parts, self.journal, self.links, self._lines)
        self.lns.send_clear, self.lns.began, self.lns.ended = self._send_clear, self._lns_began, self._lns_ended
        self.lns.others, self.lac.others = self.lac.tunnels, self.lns.tunnels
        self.lac.send, self.lac.protect, self.lac.ended = self._lac_send, self._protect, self._lac_ended
        self.ipsec.secured, self.ipsec.failed = self._secured, self._unsecured
        self.paths = self._parts.paths(self._settings, self.ipsec, self.lns, self.lac)
        self._pending: list[tuple[str, str | None]] = []  # peers whose SAs have come, or (why) will not

    # What the owner takes out, and calls

    @property
    def deadline(self) -> float | None:
        return min((time for time in (super().deadline, self.lac.deadline) if time is not None), default=None)

    def take_frames(self) -> list[tuple[int, bytes | None]]:
        """PPP frames for callers, by line; None: the line goes down."""
        taken, self.lac.frames = self.lac.frames, []
        return taken

    def dial_in(self, now: float, terms: Terms | None = None) -> int:
        """A caller has come in on a line; returns the line's number. `terms`: of callers who come in otherwise."""
        return self.lac.dial_in(now, terms)

    def lose_carrier(self, now: float, line: int) -> None:
        self.lac.lose_carrier(now, line)

    def close_l2tp(self, now: float, tunnel: int) -> None:
        own = self.lac.tunnels.get(tunnel)
        if own is None:
            super().close_l2tp(now, tunnel)
        elif not own.up or own.closing:
            raise DeviceError(self.name, "close the tunnel", f"no tunnel {tunnel} is up")
        else:
            self.lac.close(now, own)

    def reconfigure(self, now: float, **changes: Any) -> None:
        """SAs go with the crypto map that is taken off the interface."""
        super().reconfigure(now, **changes)
        self.lac.settings = self.paths.settings = self._settings
        crypto = None if self._settings.vpdn is None else self._settings.vpdn.crypto
        if crypto is not None and not crypto.active:
            self.ipsec.close(now)

    def restart(self, now: float) -> None:
        """The lines go down too."""
        lines, self._lines = list(self.lac.lines), self.lac.count
        super().restart(now)
        self.lac.frames = [(line, None) for line in lines]

    def tick(self, now: float) -> None:
        super().tick(now)
        self.lac.tick(now)
        self._settle_lac(now)

    @property
    def _l2tp_closing(self) -> bool:
        return super()._l2tp_closing or self.lac.closing

    def shut_down(self, now: float) -> None:
        for tunnel in list(self.lac):
            self.lac.close(now, tunnel)
        super().shut_down(now)

    # What comes in

    def receive(self, now: float, packet: Packet) -> None:
        vpdn = self._settings.vpdn
        if self._silent or vpdn is None or packet.dst != self._settings.address:
            super().receive(now, packet)
        elif packet.protocol == ip.UDP and packet.dport == L2TP_PORT:
            self._l2tp(now, packet.src, packet.sport, packet.payload, None)
        elif packet.protocol == ip.ICMP:
            self._icmp(now, packet)
        else:
            super().receive(now, packet)
        self._settle_lac(now)

    def _esp(self, now: float, packet: Packet) -> None:
        arrived = self.ipsec.esp(now, packet)
        if arrived is not None:
            self._tap_boundary(now, arrived.address, arrived.port, arrived.payload, inward=True)
            self._l2tp(now, arrived.address, arrived.port, arrived.payload, arrived.client)

    def _l2tp(self, now: float, address: str, port: int, payload: bytes, client: Client | None) -> None:
        """To the LAC where it is for a tunnel of its own, and came as that tunnel goes; everything else is the LNS's business."""
        own = self.lac.tunnels.get(tunnel_of(payload) or 0)
        if own is None:
            self.lns.receive(now, address, port, payload, client)
        elif own.address != address or port != L2TP_PORT:
            self._drop_l2tp(now, address, port, f"tunnel {own.number} is another peer's")
        elif own.protected is not (client is not None):
            self.lns.ignored["tunnel of the LAC"] += 1
            self._drop_l2tp(now, address, port, f"in the wrong way for tunnel {own.number}")
        else:
            self.lac.receive(now, own, payload)

    def _drop_l2tp(self, now: float, address: str, port: int, reason: str) -> None:
        self.journal.tell(now, "dropped", address, port, layer="l2tp", reason=reason)

    # Protection

    def _protect(self, now: float, tunnel: LacTunnel) -> str | None:
        """The SAs for a tunnel are asked for. Why there will be none, where that is known beforehand: then nothing goes out, in the
        clear least of all."""
        vpdn, security = self._settings.vpdn, tunnel.group.security
        if vpdn is None or vpdn.crypto is None or security is None:
            return "no crypto profile is configured"
        crypto = vpdn.crypto
        if not crypto.active:
            return f"no crypto map with a profile is on {crypto.interface}"
        profile = crypto.profile(security.profile)
        if profile is None:
            return f"no crypto map on {crypto.interface} has the profile {security.profile}"
        if not crypto.proposals(profile):
            return f"crypto profile {profile.name} has no transform set with authentication"
        if tunnel.flow is None:
            tunnel.flow = Flow(self._settings.address, L2TP_PORT, tunnel.address, L2TP_PORT)
            self.ipsec.maps.clone(profile, tunnel.flow)
        if self.ipsec.ready(tunnel.address):
            self._pending.append((tunnel.address, None))
        else:
            self.ipsec.request(now, tunnel.address, profile)
        return None

    def _secured(self, now: float, client: Client) -> None:
        self._pending.append((client.address, None))

    def _unsecured(self, now: float, address: str, reason: str) -> None:
        self._pending.append((address, reason))

    def _settle_lac(self, now: float) -> None:
        """What IPsec has to say to the LAC, once IPsec has come to rest."""
        while self._pending:
            address, failure = self._pending.pop(0)
            if failure is not None:
                self.lac.unprotectable(now, address, failure)
            elif self.ipsec.ready(address):
                for tunnel in [one for one in self.lac.tunnels.values() if one.address == address and one.protected]:
                    self.lac.start(now, tunnel)

    def _lns_began(self, now: float, tunnel: Tunnel, held: Held) -> None:
        vpdn = self._settings.vpdn
        if vpdn is None or vpdn.crypto is None or tunnel.origin is None:
            return
        security = None if held.group is None else held.group.security
        profile = None if security is None else vpdn.crypto.profile(security.profile)
        profiles = [profile] if profile is not None else [*vpdn.crypto.active[:1]]
        for one in profiles:
            held.flow = Flow(self._settings.address, L2TP_PORT, tunnel.address, tunnel.port)
            self.ipsec.maps.clone(one, held.flow)

    def _lns_ended(self, now: float, tunnel: Tunnel, held: Held) -> None:
        if held.flow is None or tunnel.origin is None:
            return
        self.ipsec.maps.release(held.flow)
        held.flow = None
        security = None if held.group is None else held.group.security
        self._release(now, tunnel.origin, keep=security is not None and security.keep_sa)

    def _lac_ended(self, now: float, tunnel: LacTunnel) -> None:
        if tunnel.flow is not None:
            self.ipsec.maps.release(tunnel.flow)
            tunnel.flow = None
        sa = self.ipsec.sadb.lookup.find(tunnel.address, L2TP_PORT)
        if tunnel.protected and sa is not None:
            self._release(now, sa.client, keep=tunnel.group.security is not None and tunnel.group.security.keep_sa)

    def _release(self, now: float, client: Client, *, keep: bool) -> None:
        """Unless another tunnel still needs them."""
        others = [one for one in self.lac.tunnels.values() if one.protected and not one.over and one.address == client.address]
        if not others and not self.lns.using(client):
            self.ipsec.release(now, client, keep=keep)

    # What goes out

    def send_own(self, now: float, address: str, sport: int, dport: int, message: bytes) -> None:
        """A UDP message of the router's own, beside L2TP."""
        self.ipsec.send_own(now, address, sport, dport, message)

    def _send_clear(self, address: str, port: int, message: bytes) -> None:
        self._emit(Packet(self._settings.address, address, ip.UDP, message, L2TP_PORT, port))

    def _lac_send(self, now: float, tunnel: LacTunnel, message: bytes) -> None:
        if not tunnel.protected:
            self._send_clear(tunnel.address, L2TP_PORT, message)
        elif self.ipsec.ready(tunnel.address):
            self._to_peer(now, tunnel.address, L2TP_PORT, message)
        elif not tunnel.closing:
            self._protect(now, tunnel)  # its SAs have gone: this message is lost, and others will find new ones

    def _emit(self, packet: Packet) -> None:
        super()._emit(replace(packet, df=True) if self._df else packet)

    # Path MTU and Don't Fragment

    def receive_line(self, now: float, line: int, frame: bytes) -> None:
        """A PPP frame of a caller's."""
        if self._silent:
            return
        tunnel = self.lac.carrier(line)
        packet = None if tunnel is None else inner_ip(frame)
        if tunnel is None or packet is None:
            self.lac.receive_line(now, line, frame)
        elif tunnel.group.pmtu and pmtu.too_big(packet, limit := self.paths.of_lac(tunnel)):
            self.lac.frames.append((line, build(Protocol.IP, self._too_big(now, packet, limit))))
        else:
            with self._outer_df(packet, tunnel.group):
                self.lac.receive_line(now, line, frame)
        self._settle_lac(now)

    def _to_link_or_lan(self, now: float, link: Link | None, packet: bytes) -> None:
        if link is None or self._settings.vpdn is None:
            super()._to_link_or_lan(now, link, packet)
        elif link.tunnel == 0:
            self._tap_link(now, link, packet, inward=False)
            self.lac.send_ip(now, link, packet)
        else:
            self._to_client(now, link, packet)

    def _to_client(self, now: float, link: Link, packet: bytes) -> None:
        group = self.paths.group_of(link)
        if group is not None and group.pmtu and pmtu.too_big(packet, limit := self.paths.of_lns(link)):
            answer = self._too_big(now, packet, limit)
            to = self.links.by_address.get(destination(answer))
            super()._to_link_or_lan(now, to, answer)
            return
        with self._outer_df(packet, group):
            super()._to_link_or_lan(now, link, packet)

    @contextmanager
    def _outer_df(self, packet: bytes, group: Group | None) -> Iterator[None]:
        """What goes out meanwhile bears the Don't Fragment that this packet is to have around it."""
        self._df = group is not None and pmtu.outer_df(packet, pmtu=group.pmtu, df_bit=group.df_bit)
        try:
            yield
        finally:
            self._df = False

    def _too_big(self, now: float, packet: bytes, limit: int) -> bytes:
        """The answer to its sender."""
        self.journal.tell(now, "dropped", "", 0, layer="ip", reason=f"{len(packet)} bytes with DF are more than {limit}")
        return pmtu.unreachable(self._settings.ppp_address, packet, limit)

    def _icmp(self, now: float, packet: Packet) -> None:
        try:
            told = pmtu.fragmentation_needed(packet.payload)
        except ProtocolError as error:
            self._drop(now, packet, error.reason)
            return
        if told is None or told.source != self._settings.address:
            self._drop(now, packet, "an ICMP message that is about nothing of ours")
            return
        reason = self.paths.learn(told)
        if reason is not None:
            self._drop(now, packet, f"ICMP fragmentation needed: {reason}")
            return
        self.journal.tell(now, "path-mtu", told.destination, 0, mtu=told.mtu)
