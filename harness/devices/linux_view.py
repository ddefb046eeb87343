"""A strongSwan + xl2tpd gateway's own account at one moment: one command that gathers it, and what it adds up to."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from harness.devices import linux_parsers as parsers
from harness.devices.rows import Row, Rows
from harness.devices.vici_text import parse_sas
from harness.model import GatewaySa, GatewaySession, GatewayView

SECTION = "@@ natstorm section "
LOGS = "/var/log"

# Of xl2tpd's log: what became of tunnels and calls, and the packet that brought each call (its line names the tunnel).
_XL2TPD = """awk '
/recv packet from/ {packet = $0; next}
/Call established/ {print packet}
/stablished|closed|[Cc]losing|exceeded/' /var/log/xl2tpd.log"""
# Bash alone wherever it will do: each program costs the guest some 30 ms.
_FUNCTIONS = """
show() { local lines; [ ! -f "$1" ] || { mapfile -t lines < "$1"; printf '%s\\n' "${lines[@]}"; }; }
command_line() { local words; mapfile -d '' -t words < "/proc/$1/cmdline"; echo "$1 ${words[*]}"; }
"""
_PPPD = """for pid in $(pidof pppd); do command_line $pid; done
for file in /run/ppp*.pid; do [ ! -f $file ] || { read -r pid < $file; echo "$file $pid"; }; done"""

COMMANDS = {
    "xfrm-state": "ip -s xfrm state list nokeys",
    "xfrm-policy": "ip xfrm policy",
    "ike-sas": "timeout 5 swanctl --list-sas --raw",
    "xl2tpd": _XL2TPD,
    "pppd": _PPPD,
    "addresses": "ip -o -4 address",
    "sockets": "ss -unap",
    "pppol2tp": "show /proc/net/pppol2tp",
    "demux": "show /var/log/demux.log",
    "demux-filters": "[ ! -d /sys/class/net/demux0 ] || tc -s filter show dev demux0 egress",
    "rules": "iptables-legacy-save --counters",
    "xfrm-stat": "show /proc/net/xfrm_stat",
    "daemons": "pidof charon xl2tpd",
}


def announce(name: str) -> str:
    """The shell command that begins the section `name`."""
    return f"printf '\\n{SECTION}%s\\n' {shlex.quote(name)}"


def sections(text: str) -> dict[str, str]:
    """The output of commands, each announced by a section line, by name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith(SECTION):
            lines = found[line.removeprefix(SECTION)] = []
        else:
            lines.append(line)
    return {name: "\n".join(part).strip("\n") + "\n" if any(part) else "" for name, part in found.items()}


def script(*names: str, logs: str = LOGS) -> str:
    """The shell script that runs the commands of these names, or all; `logs` is the directory of the daemons' logs."""
    chosen = {name: COMMANDS[name].replace(f"{LOGS}/", f"{logs}/") for name in names or COMMANDS}
    return f"exec 2>&1\n{_FUNCTIONS}" + "".join(f"{announce(name)}; {command}\n" for name, command in chosen.items()) + "true"


def assemble(moment: float, label: str, texts: Mapping[str, str]) -> GatewayView:
    """Link what the commands say: an L2TP session to its pppd and address, an ESP SA to its client's UDP port and translated port.

    Lines that no parser could read stand in `texts` under "unread", each with the command it came from.
    """
    unread: list[str] = []

    def take(name: str, rows: Rows[Row]) -> tuple[Row, ...]:
        unread.extend(f"{name}: {line}" for line in rows.unread)
        return rows.rows

    states = take("xfrm-state", parsers.parse_xfrm_state(texts.get("xfrm-state", "")))
    ike_sas = take("ike-sas", parse_sas(texts.get("ike-sas", "")))
    ports = dict(take("demux-filters", parsers.parse_demux_filters(texts.get("demux-filters", ""))))
    log = take("xl2tpd", parsers.parse_xl2tpd(texts.get("xl2tpd", "")))
    processes = take("pppd", parsers.parse_pppd(texts.get("pppd", "")))
    addresses = take("addresses", parsers.parse_addresses(texts.get("addresses", "")))
    take("xfrm-policy", parsers.parse_xfrm_policy(texts.get("xfrm-policy", "")))
    take("demux", parsers.parse_demux_log(texts.get("demux", "")))

    own = {address for _, address, _ in addresses}
    sas = []
    for state in states:
        inbound = state.dst in own
        peer, port = (state.src, state.sport) if inbound else (state.dst, state.dport)
        translated = None if state.mark is None else ports.get(state.mark)
        sas.append(GatewaySa(state.spi, inbound, peer, port, state.mark, translated))
    views = dict(texts)
    if unread:
        views["unread"] = "\n".join(unread) + "\n"
    ikes = tuple((sa.icookie, sa.rcookie, sa.peer_address, sa.peer_port) for sa in ike_sas)
    return GatewayView(moment, label, _sessions(log, processes, addresses), tuple(sas), ikes, views, ports)


def _sessions(
    log: tuple[parsers.Tunnel | parsers.Call | parsers.Closed, ...],
    processes: tuple[parsers.PppProcess, ...],
    addresses: tuple[tuple[str, str, str | None], ...],
) -> tuple[GatewaySession, ...]:
    """Every tunnel that is up, with its call where it has one whose pppd lives."""
    tunnels: dict[int, parsers.Tunnel] = {}
    calls: dict[int, parsers.Call] = {}  # by tunnel; a gateway of this kind has one call a tunnel
    for entry in log:
        if isinstance(entry, parsers.Tunnel):
            tunnels[entry.local] = entry
            calls.pop(entry.local, None)
        elif isinstance(entry, parsers.Closed):
            tunnels = {local: tunnel for local, tunnel in tunnels.items() if not entry.ends(tunnel)}
        elif entry.tunnel is not None:
            calls[entry.tunnel] = entry
    alive = {process.pid: process for process in processes}
    peers = {interface: peer for interface, _, peer in addresses}
    found = []
    for local, tunnel in tunnels.items():
        call = calls.get(local)
        process = alive.get(call.pid) if call else None
        interface = process.interface if process else None
        found.append(
            GatewaySession(
                tunnel.address,
                tunnel.port,
                tunnel.local,
                tunnel.remote,
                call.local if call and process else None,
                call.remote if call and process else None,
                interface,
                peers.get(interface) if interface else None,
            )
        )
    return tuple(found)
