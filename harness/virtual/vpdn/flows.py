"""IPsec whose sessions are accounted: one is all that a peer has, from its first pair of ESP SAs until there is none any more.

Source: IPSec VPN Accounting (12.2(15)T), which brought `client-accounting-list` to crypto maps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from harness.virtual.aaa.records import Traffic
from harness.virtual.peers import Association, Client
from harness.virtual.sadb import Sa
from harness.virtual.vpdn.ipsec import ProfiledIpsec
from harness.wire import events
from harness.wire.packet import Packet


class Desk(Protocol):
    """Who hears of the sessions."""

    def flow_began(self, now: float, client: Client, identity: str, traffic: Callable[[], Traffic]) -> None: ...

    def flow_ended(self, now: float, client: Client, by: str) -> None: ...


class CountedIpsec(ProfiledIpsec):
    """`desk` is set by the owner; None counts nothing."""

    desk: Desk | None = None

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._past: dict[Client, Traffic] = {}  # what SAs that have gone have carried, of whoever has a session

    def _hear(self, now: float, association: Association, event: events.Event, packet: Packet | None) -> None:
        super()._hear(now, association, event, packet)
        if not isinstance(event, events.EspUp) or self.desk is None:
            return
        client = association.client
        if client is not None and event.spi_in in client.sas and client not in self._past:
            self._past[client] = Traffic()
            self.desk.flow_began(now, client, self.identity(association), partial(self._traffic, client))

    def identity(self, association: Association) -> str:
        """The peer's phase-1 ID, "" where it is not known."""
        return ""

    def _remove(self, now: float, event: events.EspDown) -> None:
        sa = self.sadb.by_spi.get(event.spi_in)
        past = None if sa is None else self._past.get(sa.client)
        if sa is None or past is None:
            super()._remove(now, event)
            return
        _add(past, sa)
        super()._remove(now, event)
        if not sa.client.sas and self.desk is not None:
            self.desk.flow_ended(now, sa.client, "client" if event.by_peer else "gateway")
            del self._past[sa.client]

    def _traffic(self, client: Client) -> Traffic:
        past = self._past[client]
        found = Traffic(past.octets_in, past.octets_out, past.packets_in, past.packets_out)
        for sa in client.sas.values():
            _add(found, sa)
        return found


def _add(to: Traffic, sa: Sa) -> None:
    to.octets_in += sa.inbound.octets
    to.packets_in += sa.inbound.packets
    to.octets_out += sa.outbound.octets
    to.packets_out += sa.outbound.sequence
