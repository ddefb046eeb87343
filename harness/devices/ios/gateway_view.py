"""From what a router prints to a gateway's account. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.devices.ios import commands, up_to_the_prompt
from harness.devices.ios.parsers.ipsec_sa import Flow
from harness.devices.ios.parsers.users import InterfaceUser
from harness.devices.ios.parsers.vpdn import VpdnSession, VpdnTunnel
from harness.devices.rows import Rows
from harness.errors import DeviceError
from harness.model import GatewaySa, GatewaySession, GatewayView

VPDN, USERS, IPSEC, ISAKMP = "show vpdn", "show users", "show crypto ipsec sa", "show crypto isakmp sa"
ASKED = (VPDN, USERS, IPSEC, ISAKMP)
"""What a view is made of."""
L2TP_PORT = 1701


def view(t: float, label: str, texts: Mapping[str, str], device: str) -> GatewayView:
    """`texts` are the answers to ASKED. DeviceError where one cannot be understood wholly: half an account would accuse somebody.

    IOS shows no ISAKMP cookies, so that `ike_sas` is empty whatever there is.
    """
    read = {command: _whole(device, command, text) for command, text in texts.items()}
    flows = read[IPSEC].rows
    ports = sorted({one.remote.port for one in flows if one.sas and one.remote.port not in (0, L2TP_PORT)})
    return GatewayView(
        t,
        label,
        tuple(_sessions(read[VPDN].rows, read[USERS].rows)),
        tuple(row for flow in flows for row in _sas(flow)),
        texts=dict(texts),
        ports=dict(enumerate(ports, start=1)),
    )


def somebodys(texts: Mapping[str, str], device: str) -> str:
    """What is up, as a run would end it, by the answers to VPDN and IPSEC, or to one of them: "1 L2TP tunnel (203.0.113.9)"; ""
    where nothing is. What is on its way down does not count. DeviceError as of `view`."""
    rows = {command: _whole(device, command, text).rows for command, text in texts.items()}
    tunnels = [one.address for one in rows.get(VPDN, ()) if isinstance(one, VpdnTunnel) and one.state == "est"]
    peers = [flow.peer or "?" for flow in rows.get(IPSEC, ()) if flow.sas]
    told = [_counted("L2TP tunnel", tunnels), _counted("IPsec flow", peers)]
    return " and ".join(filter(None, told))


def _counted(what: str, ends: list[str]) -> str:
    return f"{len(ends)} {what}{'s' * (len(ends) > 1)} ({', '.join(sorted(set(ends)))})" if ends else ""


def _whole(device: str, command: str, text: str) -> Rows[Any]:
    found = commands.find(command).parse(up_to_the_prompt(text))
    if found.unread or found.cut:
        raise DeviceError(device, command, found.cut or f"a line that no parser knows: {found.unread[0].strip()}")
    return found


def _sessions(vpdn: tuple[Any, ...], users: tuple[Any, ...]) -> Iterator[GatewaySession]:
    tunnels = [one for one in vpdn if isinstance(one, VpdnTunnel)]
    calls = [one for one in vpdn if isinstance(one, VpdnSession)]
    addresses = {one.interface: one.peer for one in users if isinstance(one, InterfaceUser)}
    for tunnel in tunnels:
        ends = tunnel.address, tunnel.port, tunnel.local_id, tunnel.remote_id
        own = [call for call in calls if call.tunnel_id == tunnel.local_id]
        if not own:
            yield GatewaySession(*ends)
        for call in own:
            address = addresses.get(call.interface or "")
            yield GatewaySession(*ends, call.local_id, call.remote_id, call.interface, address)


def _sas(flow: Flow) -> Iterator[GatewaySa]:
    translated = flow.remote.port if flow.remote.port not in (0, L2TP_PORT) else None
    for sa in flow.sas:
        in_udp = any("UDP" in one for one in sa.settings)
        port = flow.peer_port if in_udp else None
        yield GatewaySa(sa.spi, sa.direction == "inbound", flow.peer or "", port, None, translated)
