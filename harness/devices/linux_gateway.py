"""Driver of a strongSwan + xl2tpd + pppd gateway, over anything that can run a command on it."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from harness.devices import linux_config, linux_marked, linux_rules, linux_shared, linux_state, linux_view, vici_text
from harness.devices.execute import CommandResult, Execute, complaint
from harness.devices.journal import Journal, Undo
from harness.devices.linux_config import GatewaySettings
from harness.errors import DeviceError
from harness.model import GatewaySession, GatewayView
from harness.model.reach import Connection
from harness.model.redact import Redactor

__all__ = ["CommandResult", "Execute", "LinuxGateway", "files_script"]


LOGS = ("charon", "xl2tpd", "pppd", "demux")

# A bounded wait: `until_true SECONDS command…` looks until the command succeeds. The daemons tell nobody that they are ready.
WAIT_FUNCTION = """
until_true() { local end=$((SECONDS + $1)); shift; until "$@"; do ((SECONDS <= end)) || return 1; sleep 0.03; done; }
"""
START_CHARON = """
rm -f /run/charon.pid /run/charon.vici; : > {logs}/charon.log
setsid /usr/lib/ipsec/charon </dev/null >/run/charon.out 2>&1 &
"""
START_XL2TPD = """
rm -f /run/xl2tpd.pid /run/xl2tpd/l2tp-control; mkdir -p /run/xl2tpd; : > {logs}/xl2tpd.log
setsid xl2tpd -D -c /etc/xl2tpd/xl2tpd.conf -p /run/xl2tpd.pid </dev/null >{logs}/xl2tpd.log 2>&1 &
"""
LOAD = 'loaded=$(swanctl --load-all --clear --noprompt 2>&1) || { echo "swanctl: $loaded"; exit 1; }\n'
AWAIT_CHARON = """
until_true 20 test -S /run/charon.vici || { echo "charon does not answer:"; tail -n 5 {logs}/charon.log /run/charon.out; exit 1; }
"""
AWAIT_XL2TPD = """
until_true 20 test -p /run/xl2tpd/l2tp-control || { echo "xl2tpd does not answer:"; tail -n 5 {logs}/xl2tpd.log; exit 1; }
"""
AWAIT_DAEMONS = AWAIT_CHARON + LOAD + AWAIT_XL2TPD
# Orderly: xl2tpd sends StopCCN and must go before the SAs that carry it; then charon sends its deletes.
STOP = """
gone() { [ -z "$(ours "$1")" ]; }
kill $(ours xl2tpd) 2>/dev/null; until_true 5 gone xl2tpd || { echo "xl2tpd does not end"; exit 1; }
kill $(ours charon) 2>/dev/null; until_true 10 gone charon || { echo "charon does not end"; exit 1; }
"""
KILL = "kill -KILL $(pidof charon xl2tpd pppd) 2>/dev/null; ip xfrm state flush; ip xfrm policy flush\n"


class LinuxGateway:
    """The role Gateway. `execute(command, timeout)` runs bash on the device; `clock` gives seconds since the epoch for views.

    With a `journal` the device is somebody's: what is changed there is written down before (`connection` says where that is), and
    `restore` puts it back; a device with IPsec SAs or PPP links of somebody's is refused. Every method raises DeviceError with what
    the device said when it does not do as asked.
    """

    def __init__(
        self,
        execute: Execute,
        settings: GatewaySettings,
        *,
        name: str = "gateway",
        clock: Callable[[], float] = time.time,
        journal: Journal | None = None,
        connection: Connection | None = None,
    ) -> None:
        self.name = name
        self.settings = settings if journal is None else replace(settings, shared=True)
        self.notes: tuple[str, ...] = ()  # what whoever runs it should know of the device, from the first `start` on
        self.start_seconds = 0.0
        self._redactor = Redactor([settings.psk, *settings.users.values()])
        self._execute = execute
        self._clock = clock
        self._written: dict[str, tuple[str, ...]] = {}  # digests, by path
        self._mark = "" if journal is None else secrets.token_hex(8)  # of all that is started on a device of somebody's
        self._care = linux_state.Care(execute, name, self._changed, journal, connection)

    # --- what it was before ---

    async def save(self) -> Undo:
        """What would put it back to what it is now: files, daemons, packet rules, a setting. Changes nothing."""
        return await self._care.save()

    async def restore(self) -> None:
        """As it was before `start`; nothing where it was not changed, or where no journal is kept."""
        await self._care.restore()

    def _changed(self) -> linux_state.Wanted:
        demux = linux_config.variant(self.settings.variant).ipsec == "demux"
        return linux_state.Wanted(
            files=tuple(linux_config.render(self.settings)),
            settings=("net/ipv4/conf/all/send_redirects",) if demux else (),
            daemons=linux_shared.DAEMONS,
            folders=linux_shared.FOLDERS,
            mark=self._mark,
            written=self._written,
            extra=(*linux_shared.undo(self.settings.address), *self._no_rules(), *(linux_shared.UNDO_DEMUX if demux else ())),
        )

    async def _look(self) -> None:
        """Before the first change: DeviceError where the device carries what a run would destroy."""
        found = linux_shared.read(await self._run(linux_shared.LOOK, linux_shared.look()))
        if found.in_the_way:
            seen = f"{'; '.join(found.in_the_way)}: a run would destroy that, and nothing could put it back"
            raise DeviceError(self.name, linux_shared.LOOK, f"{seen}\n  cure: {linux_shared.CURE}")
        self.notes = tuple(f"{self.name}: {note}" for note in found.notes)

    # --- life ---

    async def start(self) -> None:
        """Write the configuration, set the packet rules, start the daemons; return when both take requests."""
        began = time.monotonic()
        files = self._files()
        if await self._care.before_changes(self._look):
            await self._run("take over", WAIT_FUNCTION + linux_shared.TAKE_OVER)
        setup = "/etc/natstorm/demux-setup || exit 1\n" if linux_config.variant(self.settings.variant).ipsec == "demux" else ""
        script = (
            linux_marked.exported(self._mark)
            + WAIT_FUNCTION
            + files
            + (linux_shared.EMPTY_LOGS if self.settings.shared else "")
            + self._at(START_CHARON)
            + setup
            + self._rules()
            + self._at(START_XL2TPD + AWAIT_DAEMONS)
        )
        await self._run("start", script)
        self.start_seconds = time.monotonic() - began

    async def stop_daemons(self) -> None:
        """An orderly end: every tunnel is closed and every SA deleted, and the clients are told."""
        await self._run("stop the daemons", WAIT_FUNCTION + linux_marked.functions(self._mark) + STOP)

    async def kill_daemons(self) -> None:
        """A gateway that dies: no word to anybody, and nothing is left of its SAs."""
        killing = linux_shared.kill(self._mark, self.settings.address) if self._mark else KILL
        await self._run("kill the daemons", killing + "true")

    async def restart_daemons(self) -> None:
        """Start them again after stop_daemons or kill_daemons, with the present settings."""
        files = self._files()
        await self._care.before_more()
        script = linux_marked.exported(self._mark) + WAIT_FUNCTION + files
        await self._run("start the daemons again", script + self._at(START_CHARON + START_XL2TPD + AWAIT_DAEMONS))

    async def reconfigure(self, **changes: Any) -> None:
        """Change GatewaySettings while it runs: psk, users, ike_proposals, esp_proposals, authentication, timers.

        SAs and sessions that are up stay; what comes next meets the new settings. The variant and the addresses cannot change so.
        """
        fixed = {"variant", "address", "interface"} & changes.keys()
        if fixed:
            raise DeviceError(self.name, "reconfigure", f"{', '.join(sorted(fixed))} can only be set before the start")
        self.settings = replace(self.settings, **changes)
        self._redactor.add(self.settings.psk, *self.settings.users.values())
        files = self._files()
        await self._care.before_more()
        await self._run("reconfigure", files + LOAD)

    async def silence(self, on: bool = True) -> None:
        """A gateway that neither hears nor says anything any more, though all its daemons live."""
        action, interface = ("-I" if on else "-D"), self.settings.interface
        command, own = (linux_rules.COMMAND, linux_rules.PREFIX) if self.settings.shared else ("iptables-legacy", "")
        script = (
            f"{command} {action} {own}INPUT -i {interface} -j DROP || exit 1\n"
            f"{command} {action} {own}OUTPUT -o {interface} -j DROP || exit 1\n"
        )
        await self._run("silence" if on else "end the silence", script)

    # --- what it says of itself ---

    async def logs(self) -> dict[str, str]:
        """Every log of the daemons, by name; those that do not exist are left out."""
        paths = {name: f"{self.settings.logs}/{name}.log" for name in LOGS}
        parts = [f"[ -f {path} ] && {{ {linux_view.announce(name)}; cat {path}; }}\n" for name, path in paths.items()]
        return linux_view.sections(await self._run("logs", "".join(parts) + "true"))

    async def view(self, label: str) -> GatewayView:
        """The gateway's own account of its SAs and sessions, gathered by one command."""
        moment = self._clock()
        return linux_view.assemble(moment, label, linux_view.sections(await self._run("view", self._view_script())))

    async def running(self) -> dict[str, bool]:
        """Whether each daemon lives."""
        script = linux_marked.functions(self._mark) + "for d in charon xl2tpd; do echo $d $(ours $d); done"
        output = await self._run("daemons", script)
        return {line.split()[0]: len(line.split()) > 1 for line in output.splitlines() if line.strip()}

    # --- what it does to its clients ---

    async def delete_ipsec(self, spi: str | None = None, *, udp_port: int | None = None, address: str | None = None) -> None:
        """End one client's IKE SA and ESP SAs with Delete payloads.

        The client is named by an SPI of either direction (8 hex digits), or by the UDP port (and address) that its IKE comes from.
        """
        sa = await self._find(spi, udp_port, address)
        await self._run("delete", f"swanctl --terminate --ike-id {sa.unique} --timeout 5 2>&1")

    async def delete_esp(self, spi: str) -> None:
        """End one pair of ESP SAs with a Delete payload; the IKE SA stays."""
        await self._run("delete", f"swanctl --terminate --child-id {(await self._find_child(spi)).unique} --timeout 5 2>&1")

    async def rekey(self, spi: str) -> None:
        """The gateway begins a quick mode for the client whose ESP SA has this SPI."""
        await self._run("rekey", f"swanctl --rekey --child-id {(await self._find_child(spi)).unique} 2>&1")

    async def rekey_ike(self, spi: str | None = None, *, udp_port: int | None = None) -> None:
        """The gateway begins a main mode anew with one client."""
        await self._run("rekey IKE", f"swanctl --rekey --ike-id {(await self._find(spi, udp_port, None)).unique} 2>&1")

    async def close_l2tp(self, tunnel: int) -> None:
        """The LNS closes one tunnel (StopCCN); `tunnel` is the ID that the gateway assigned."""
        if all(session.tunnel_local != tunnel for session in await self._sessions()):
            raise DeviceError(self.name, "close the tunnel", f"no tunnel {tunnel} is up")
        await self._control("close the tunnel", f"d {tunnel}")

    async def close_call(self, session: int) -> None:
        """The LNS closes one call (CDN); `session` is the ID that the gateway assigned."""
        if all(known.session_local != session for known in await self._sessions()):
            raise DeviceError(self.name, "close the call", f"no call {session} is up")
        await self._control("close the call", f"h {session}")

    # --- within ---

    def _files(self) -> str:
        """The script that writes them as they are now; what it writes is known from here on."""
        files = linux_config.render(self.settings)
        for path, text in files.items():
            self._written[path] = tuple(dict.fromkeys((*self._written.get(path, ()), linux_state.digest(text))))
        return files_script(files)

    def _at(self, script: str) -> str:
        return script.replace("{logs}", self.settings.logs)

    def _rules(self) -> str:
        if not self.settings.shared:
            return f"iptables-legacy-restore {linux_config.RULES} || exit 1\n"
        return "\n".join((*self._no_rules(), f"{linux_rules.RESTORE} {linux_config.RULES} || exit 1\n"))

    def _no_rules(self) -> tuple[str, ...]:
        return linux_rules.removal(linux_config.chains(self.settings.variant))

    def _view_script(self, *names: str) -> str:
        return linux_view.script(*names, logs=self.settings.logs)

    async def _control(self, what: str, request: str) -> None:
        # xl2tpd reads a request from a pipe and writes its answer, "00 OK" or a code and a reason, to the pipe named before it.
        # It says OK to the number of a tunnel or call that does not exist, too.
        script = (
            "answer=/run/natstorm.answer.$$; mkfifo $answer; exec {pipe}<>$answer\n"
            f'echo "@$answer {request}" > /run/xl2tpd/l2tp-control\n'
            'read -r -t 5 code rest <&$pipe; rm -f $answer; echo "${code:-no answer} $rest"; [[ $code == 00 ]]\n'
        )
        await self._run(what, script)

    async def _sessions(self) -> tuple[GatewaySession, ...]:
        texts = linux_view.sections(await self._run("list sessions", self._view_script("xl2tpd", "pppd", "addresses")))
        return linux_view.assemble(self._clock(), "sessions", texts).sessions

    async def _ike_sas(self) -> tuple[vici_text.IkeSa, ...]:
        return vici_text.parse_sas(await self._run("list SAs", "swanctl --list-sas --raw")).rows

    async def _find(self, spi: str | None, udp_port: int | None, address: str | None) -> vici_text.IkeSa:
        for sa in await self._ike_sas():
            by_spi = spi is None or any(spi in (child.spi_in, child.spi_out) for child in sa.children)
            if by_spi and udp_port in (None, sa.peer_port) and address in (None, sa.peer_address):
                return sa
        raise DeviceError(self.name, "list SAs", f"no IKE SA for {spi or udp_port or address}")

    async def _find_child(self, spi: str) -> vici_text.ChildSa:
        for sa in await self._ike_sas():
            for child in sa.children:
                if spi in (child.spi_in, child.spi_out):
                    return child
        raise DeviceError(self.name, "list SAs", f"no ESP SA with SPI {spi}")

    async def _run(self, what: str, script: str, timeout: float = 45.0) -> str:
        result = await self._execute(script, timeout)
        if result.status != 0:
            raise DeviceError(self.name, what, self._redactor.text(complaint(result)))
        return result.output


def files_script(files: Mapping[str, str]) -> str:
    """The shell script that writes files anew, readable by root alone; those that are programs may be run. Whatever ends it, each
    of them is as it was or as it is to be."""
    directories = sorted({shlex.quote(path.rsplit("/", 1)[0]) for path in files})
    lines = ["umask 077", "mkdir -p " + " ".join(directories)]
    for path, text in files.items():
        name, part = shlex.quote(path), shlex.quote(f"{path}{linux_state.PART}")
        lines.append(f"printf %s {shlex.quote(text)} > {part}" + (f" && chmod 700 {part}" if text.startswith("#!") else ""))
        lines.append(f"if [ -L {name} ]; then rm -f {name}; fi; mv -f {part} {name}")
    return "\n".join(lines) + "\n"
