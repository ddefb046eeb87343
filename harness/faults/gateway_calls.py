"""Gateways whose L2TP server or PPP is broken: whose tunnel it is, how tunnels and calls end, who gets which address and packet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.faults.derived import l2tp
from harness.faults.either_end import NeverAlone
from harness.faults.fault import Fault, in_gateway, with_settings
from harness.model import Secret
from harness.virtual.links import Link, Links
from harness.virtual.lns import Lns, Tunnel
from harness.virtual.peers import Client
from harness.virtual.pool import Authenticator, Pool
from harness.wire import events
from harness.wire.config import Entropy, L2tpConfig
from harness.wire.l2tp import L2tpCore, header

# Whose tunnel it is, and how it ends


class NewestTunnelOfAddress(Lns):
    def receive(self, now: float, address: str, port: int, payload: bytes, origin: Client | None) -> None:
        number = header.tunnel_of(payload)
        tunnels = [one for one in self.tunnels.values() if one.address == address]
        if not number or number not in self.tunnels or not tunnels:
            super().receive(now, address, port, payload, origin)
            return
        tunnels[-1].core.receive(now, payload)
        self._pump(now, tunnels[-1])


class OneTunnelPerAddress(Lns):
    def _begin(self, now: float, address: str, port: int, payload: bytes, origin: Client | None) -> Tunnel:
        for other in [one for one in self if one.address == address]:
            self.close(now, other, "its peer has begun anew")
        return super()._begin(now, address, port, payload, origin)


class StopsOldest(Lns):
    def _hear(self, now: float, tunnel: Tunnel, event: events.Event) -> None:
        super()._hear(now, tunnel, event)
        if isinstance(event, events.TunnelDown) and event.by_peer:
            others = [one for one in self if one is not tunnel and one.address == tunnel.address]
            if others:
                self.close(now, others[0], "its peer has stopped")


class HangsUpEverybody(Lns):
    def _hear(self, now: float, tunnel: Tunnel, event: events.Event) -> None:
        super()._hear(now, tunnel, event)
        if isinstance(event, events.CallDown) and event.by_peer:
            for other in [one for one in self if one is not tunnel and one.address == tunnel.address]:
                for session in list(other.links):
                    self.hang_up(now, session)


class OwnSessionId(L2tpCore):
    """Where the peer's ID belongs."""

    def send_data(self, now: float, ppp_frame: bytes, session_local: int | None = None) -> bool:
        call = self._calls.get(self.session_local if session_local is None else session_local)
        if call is None or not call.established:
            return False
        self._packets.append(header.build_data(self.tunnel_remote, call.local, ppp_frame, call.next_numbers(), None))
        return True


def _core(kind: type[L2tpCore]) -> Any:
    def make(config: L2tpConfig, entropy: Entropy, tunnel: int) -> L2tpCore:
        return kind(config, entropy, tunnel_id=tunnel)

    return make


# Who gets which packet and which address


class NewestLinkOnly(Lns):
    def send_ip(self, now: float, link: Link, packet: bytes) -> None:
        super().send_ip(now, list(self.links.by_address.values())[-1], packet)


class GivesTwice(Pool):
    def __init__(self, first: str, last: str) -> None:
        super().__init__(first, last)
        self._again: str | None = None

    def give(self) -> str | None:
        again, self._again = self._again, None
        if again is not None:
            return again
        self._again = super().give()
        return self._again


class Forgetful(Authenticator):
    def __init__(self, users: Mapping[str, Secret]) -> None:
        super().__init__(users)
        self.forgotten: set[str | None] = set()

    def password(self, user: str) -> str | None:
        return None if user in self.forgotten else super().password(user)


class ForgetsUsers(Links):
    def _up(self, now: float, link: Link, event: events.PppUp) -> None:
        super()._up(now, link, event)
        if isinstance(self._authenticator, Forgetful):
            self._authenticator.forgotten.add(link.login.user)


FAULTS: tuple[Fault, ...] = (
    in_gateway(
        "tunnel-by-address",
        "L2TP messages go to the newest tunnel with their peer's address, whatever ID they bear.",
        lns=NewestTunnelOfAddress,
    ),
    in_gateway(
        "one-tunnel-per-address", "An SCCRQ closes the tunnels that its peer's address has already.", lns=OneTunnelPerAddress
    ),
    in_gateway("stopccn-stops-another", "A StopCCN stops another tunnel of the same address beside its own.", lns=StopsOldest),
    in_gateway("cdn-hangs-up-all", "A CDN hangs up the calls of all tunnels of that address.", lns=HangsUpEverybody),
    in_gateway(
        "no-zlb",
        "Control messages are acknowledged by the next one only, never by an empty one.",
        l2tp_core=_core(l2tp(NeverAlone)),
    ),
    in_gateway(
        "data-in-own-session",
        "Data messages bear the session ID of the gateway's own in place of the client's.",
        l2tp_core=_core(OwnSessionId),
    ),
    in_gateway("route-to-newest", "IP packets for any client go out of the PPP link that came up last.", lns=NewestLinkOnly),
    in_gateway(
        "address-twice",
        "The pool gives each PPP address to two clients.",
        address_pool=lambda settings: GivesTwice(settings.pool_first, settings.pool_last),
    ),
    in_gateway(
        "user-once",
        "A user who has logged in once is not known a second time.",
        authenticator=lambda settings: Forgetful(settings.users),
        links=ForgetsUsers,
    ),
    in_gateway(
        "silence-unnoticed",
        "No timer ends the session of a client that has fallen silent.",
        settings_for=with_settings(dpd=None, idle=None, hello=None, echo=None),
    ),
)
