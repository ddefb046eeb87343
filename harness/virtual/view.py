"""The gateway's own account at one moment, from its live state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.model import GatewaySa, GatewaySession, GatewayView
from harness.virtual.ipsec import Ipsec
from harness.virtual.lns import Lns
from harness.virtual.sadb import Sa


def of(now: float, label: str, ipsec: Ipsec, lns: Lns) -> GatewayView:
    sessions = tuple(_sessions(lns))
    sas = tuple(row for sa in ipsec.sadb for row in _sas(sa))
    ike_sas = tuple(
        (icookie.hex(), rcookie.hex(), one.address, one.udp_port) for one in ipsec.associations for icookie, rcookie in one.ike_sas
    )
    given = (client.translated for client in ipsec.clients.values() if client.translated is not None)
    ports = dict(enumerate(sorted(given), start=1))
    return GatewayView(now, label, sessions, sas, ike_sas, _texts(sessions, sas, ike_sas), ports)


def _sessions(lns: Lns) -> Iterator[GatewaySession]:
    for tunnel in lns:
        row = GatewaySession(tunnel.address, tunnel.port, tunnel.number, tunnel.core.tunnel_remote)
        if not tunnel.links:
            yield row
        for link in tunnel.links.values():
            address = link.assigned if link.up else None
            yield replace(
                row, session_local=link.session, session_remote=link.remote, interface=link.interface, ppp_address=address
            )


def _sas(sa: Sa) -> Iterator[GatewaySa]:
    port = sa.client.udp_port if sa.udp else None
    for spi, inbound in ((sa.spi_in, True), (sa.spi_out, False)):
        yield GatewaySa(f"{spi:08x}", inbound, sa.client.address, port, None, sa.client.translated)


def _texts(
    sessions: tuple[GatewaySession, ...], sas: tuple[GatewaySa, ...], ike_sas: tuple[tuple[str, str, str, int], ...]
) -> dict[str, str]:
    """What a person reads: a line for each."""
    ike = [f"{icookie} {rcookie} {address}:{port}" for icookie, rcookie, address, port in ike_sas]
    esp = [
        f"{'in ' if sa.inbound else 'out'} {sa.spi} {sa.peer_address}:{sa.udp_port or '-'} port {sa.translated_port or '-'}"
        for sa in sas
    ]
    l2tp = [
        f"tunnel {one.tunnel_local} (peer's {one.tunnel_remote}) {one.peer_address}:{one.peer_port}"
        f" session {one.session_local or '-'} {one.interface or '-'} {one.ppp_address or '-'}"
        for one in sessions
    ]
    texts = {"ike-sas": ike, "esp-sas": esp, "sessions": l2tp}
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in texts.items()}
