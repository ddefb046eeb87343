"""Driver of a strongSwan + xl2tpd + pppd gateway, over anything that can run a command on it."""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from harness.devices import linux_config
from harness.devices.linux_config import GatewaySettings
from harness.errors import DeviceError
from harness.model import GatewayView, Secret


class CommandResult(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def output(self) -> str: ...


Execute = Callable[[str, float], Awaitable[CommandResult]]

LOGS = {"charon": "/var/log/charon.log", "xl2tpd": "/var/log/xl2tpd.log", "pppd": "/var/log/pppd.log", "demux": "/var/log/demux.log"}

# A bounded wait: `until_true SECONDS command…` looks until the command succeeds. The daemons tell nobody that they are ready.
WAIT_FUNCTION = """
until_true() { local end=$((SECONDS + $1)); shift; until "$@"; do ((SECONDS <= end)) || return 1; sleep 0.03; done; }
"""

START_CHARON = """
rm -f /run/charon.pid /run/charon.vici; : > /var/log/charon.log
setsid /usr/lib/ipsec/charon </dev/null >/run/charon.out 2>&1 &
"""
START_XL2TPD = """
rm -f /run/xl2tpd.pid /run/xl2tpd/l2tp-control; mkdir -p /run/xl2tpd; : > /var/log/xl2tpd.log
setsid xl2tpd -D -c /etc/xl2tpd/xl2tpd.conf -p /run/xl2tpd.pid </dev/null >/var/log/xl2tpd.log 2>&1 &
"""
AWAIT_DAEMONS = """
until_true 20 test -S /run/charon.vici || { echo "charon does not answer:"; tail -n 5 /var/log/charon.log /run/charon.out; exit 1; }
loaded=$(swanctl --load-all --noprompt 2>&1) || { echo "swanctl: $loaded"; exit 1; }
until_true 20 test -p /run/xl2tpd/l2tp-control || { echo "xl2tpd does not answer:"; tail -n 5 /var/log/xl2tpd.log; exit 1; }
"""

SECTION = "@@ natstorm section "
VIEW_COMMANDS = {
    "xfrm-state": "ip -s xfrm state list nokeys",
    "xfrm-policy": "ip xfrm policy",
    "ike-sas": "timeout 5 swanctl --list-sas --raw",
    "pppd": "for pid in $(pidof pppd); do echo \"$pid $(tr '\\0' ' ' < /proc/$pid/cmdline)\"; done; for f in /run/ppp*.pid; do [ -f $f ] && echo \"$f $(head -n1 $f)\"; done",
    "addresses": "ip -o -4 address",
    "xl2tpd": "grep -aE 'stablished|losed|losing|Terminating|pppd|fork' /var/log/xl2tpd.log",
    "sockets": "ss -unap",
    "pppol2tp": "cat /proc/net/pppol2tp",
    "demux": "cat /var/log/demux.log",
    "demux-filters": "tc -s filter show dev demux0 egress",
    "rules": "for table in raw mangle filter; do iptables-legacy -t $table -nvxL; done",
    "xfrm-stat": "cat /proc/net/xfrm_stat",
    "daemons": "for d in charon xl2tpd; do echo \"$d $(pidof $d)\"; done",
}


def _section(name: str) -> str:
    return f"printf '\\n{SECTION}%s\\n' {shlex.quote(name)}"


def _sections(text: str) -> dict[str, str]:
    """The output of commands, each announced by a section line, by name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith(SECTION):
            lines = found[line.removeprefix(SECTION)] = []
        else:
            lines.append(line)
    return {name: "\n".join(part).rstrip("\n") + "\n" if any(part) else "" for name, part in found.items()}


VIEW_SCRIPT = "exec 2>&1\n" + "".join(f"{_section(name)}; {command}\n" for name, command in VIEW_COMMANDS.items()) + "true"


class LinuxGateway:
    """The role Gateway. `execute(command, timeout)` runs bash on the device; `clock` gives seconds since the epoch for views."""

    def __init__(self, execute: Execute, settings: GatewaySettings, *, name: str = "gateway", clock: Callable[[], float] = time.time):
        self.name = name
        self.settings = settings
        self.start_seconds = 0.0
        self._execute = execute
        self._clock = clock

    # --- life ---

    async def start(self) -> None:
        """Write the configuration, set the packet rules, start the daemons; return when both take requests."""
        began = time.monotonic()
        setup = "/etc/natstorm/demux-setup || exit 1\n" if linux_config.variant(self.settings.variant).ipsec == "demux" else ""
        await self._run(
            "start",
            WAIT_FUNCTION
            + self._files(linux_config.render(self.settings))
            + START_CHARON
            + setup
            + "iptables-legacy-restore /etc/natstorm/rules || exit 1\n"
            + START_XL2TPD
            + AWAIT_DAEMONS,
        )
        self.start_seconds = time.monotonic() - began

    # --- what it says of itself ---

    async def logs(self) -> dict[str, str]:
        """Every log of the daemons, by name; those that do not exist are left out."""
        script = "".join(f"[ -f {path} ] && {{ {_section(name)}; cat {path}; }}\n" for name, path in LOGS.items())
        return _sections(await self._run("logs", script + "true"))

    async def view(self, label: str) -> GatewayView:
        """The gateway's own account of its SAs and sessions, gathered by one command."""
        moment = self._clock()
        texts = _sections(await self._run("view", VIEW_SCRIPT))
        return GatewayView(moment, label, texts=texts)

    async def _run(self, what: str, script: str, timeout: float = 45.0) -> str:
        result = await self._execute(script, timeout)
        if result.status != 0:
            raise DeviceError(self.name, what, result.output.strip() or f"exit status {result.status}")
        return result.output

    @staticmethod
    def _files(files: Mapping[str, str]) -> str:
        lines = ["umask 077"]
        lines.append("mkdir -p " + " ".join(sorted({shlex.quote(path.rsplit("/", 1)[0]) for path in files})))
        for path, text in files.items():
            lines.append(f"printf %s {shlex.quote(text)} > {shlex.quote(path)}")
        scripts = [shlex.quote(path) for path, text in files.items() if text.startswith("#!")]
        if scripts:
            lines.append("chmod 700 " + " ".join(scripts))
        return "\n".join(lines) + "\n"
