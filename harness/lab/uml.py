"""One User Mode Linux guest: an ordinary process that is a whole Linux machine.

Its root is the host's, read-only, under an overlay with the gateway's daemons (see `harness/lab/guest/init.py`); its one network
interface `vec0` sits on a tap or a raw socket in a network namespace; commands go over a socket pair that is its second console.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.errors import LabError, typed
from harness.lab import kernel_modules, tools
from harness.lab.guest_link import GuestLink, Job, Result

__all__ = ["GuestPlan", "Job", "Result", "UmlGuest"]

COMMAND_CONSOLE = 1  # /dev/tty1 in the guest
SWITCH_OFF_S = 3.0
CONSOLE_TAIL = 12  # lines of the console that an error quotes
ROUTER_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    # no router solicitations on the wire; l2tp_ppp brings IPv6 in
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}


class Attachment(Protocol):
    """Where the guest's interface goes (harness.lab.topology has the concrete one)."""

    @property
    def netns(self) -> str: ...  # name below /run/netns, or a path; empty: the caller's own

    @property
    def kind(self) -> str: ...  # "tap" or "raw"

    @property
    def interface(self) -> str: ...


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """One guest. `scratch` is a directory of its own on the enclosure's tmpfs; `packages` the unpacked Debian packages.

    `addresses` are with prefix length; `routes` as `ip route add` takes them; `memory` in MiB. `beside` are further interfaces,
    vec1 and so on, in the same namespace: where each goes, and its addresses.
    """

    name: str
    attachment: Attachment
    scratch: Path
    addresses: Sequence[str]
    packages: Path | None = None
    routes: Sequence[str] = ()
    modules: Sequence[str] = kernel_modules.GATEWAY_MODULES
    sysctls: dict[str, str] = field(default_factory=lambda: dict(ROUTER_SYSCTLS))
    memory: int = 96
    beside: Sequence[tuple[Attachment, Sequence[str]]] = ()


class UmlGuest:
    """Start it, run commands in it, stop it. Its death is noticed at once and ends everything under way with a DeviceError."""

    def __init__(self, plan: GuestPlan) -> None:
        self.plan = plan
        self.name = plan.name
        self.console = plan.scratch / "console.log"
        self.exchange = plan.scratch / "exchange"  # /run/exchange in the guest
        self.boot_seconds = 0.0
        self.died = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._link: GuestLink | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False

    # --- life ---

    async def start(self, within: float = 60.0) -> None:
        """Boot, and return when commands are taken. LabError with the console's last lines if that fails or takes too long."""
        began = time.monotonic()
        await self._launch()
        assert self._link is not None
        dead = asyncio.create_task(self.died.wait())
        try:
            first: list[asyncio.Future[Any]] = [self._link.ready, dead]
            await asyncio.wait(first, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if not self._link.ready.done():
                how = self.obituary() if self.died.is_set() else f"not ready after {within:g} s; {self._last_words()}"
                raise LabError(f"boot of guest {self.name}", how, f"{typed('doctor')} names what the machine lacks")
        except BaseException:
            await self.kill()
            raise
        finally:
            dead.cancel()
        self.boot_seconds = time.monotonic() - began

    async def stop(self, within: float = 3.0) -> None:
        """Switch off; kill what does not go within `within` seconds. Safe to call at any time, and twice."""
        if self._process is None:
            return
        self._stopping = True
        if self._process.returncode is None and self._link is not None and self._link.ready.done():
            self._link.send({"do": "poweroff"})
            with suppress(TimeoutError):  # it is killed below, which cannot fail
                async with asyncio.timeout(within):
                    await self.died.wait()
        await self.kill()

    async def kill(self) -> None:
        """End the guest's process and all its helpers at once, as a power cut would."""
        self._stopping = True
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        if self._watch is not None:
            await self._watch
        if self._link is not None:
            await self._link.close()
        shutil.rmtree(self.plan.scratch / "umid", ignore_errors=True)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    # --- use ---

    async def execute(self, command: str, timeout: float = 30.0) -> Result:
        """Run `command` by bash in the guest and wait for its end. Output is what it wrote to either of its outputs."""
        return await self._open_link().execute(command, timeout)

    def spawn(self, command: str, fed: bool = False) -> Job:
        """Start `command` by bash in the guest; its output and end come as events through the Job. `fed`: Job.type is its input;
        otherwise it has none."""
        return self._open_link().start(command, fed)

    def shell(self, rows: int = 24, columns: int = 80) -> Job:
        """An interactive shell on a terminal of the guest's; feed it with Job.type, hear it with Job.on_output."""
        return self._open_link().start_shell(rows, columns)

    def obituary(self) -> str:
        code = None if self._process is None else self._process.returncode
        how = "was never started" if self._process is None else "is running" if code is None else f"ended with status {code}"
        return f"guest {self.name} {how}; {self._last_words()}"

    # --- within ---

    def _open_link(self) -> GuestLink:
        if self._link is None or not self.running:
            raise LabError(f"command for guest {self.name}", self.obituary())
        return self._link

    def _last_words(self) -> str:
        try:
            text = self.console.read_text(errors="replace")
        except FileNotFoundError:
            text = ""
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        # After the kernel's own last words comes a trace of its stack, which would push what it died of out of sight.
        panic = next((number for number, line in enumerate(lines) if "Kernel panic" in line), len(lines))
        lines = lines[: panic + 1]
        return "console: " + (" / ".join(lines[-CONSOLE_TAIL:]) or "(silent)")

    async def _launch(self) -> None:
        program = tools.find("linux.uml")
        self.exchange.mkdir(parents=True, exist_ok=True)
        root = kernel_modules.module_root()
        self._write_settings(root)
        ours, theirs = socket.socketpair()
        try:
            arguments = [*_enter(self.plan.attachment.netns), program, *self._arguments(theirs.fileno())]
            with self.console.open("wb") as console:
                self._process = await asyncio.create_subprocess_exec(
                    *arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.plan.scratch), "TMPDIR": str(self.plan.scratch)},
                )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._link = GuestLink(self.name, ours, self.obituary)
        await self._link.open()
        self._watch = asyncio.create_task(self._await_death(), name=f"watch over guest {self.name}")

    async def _await_death(self) -> None:
        assert self._process is not None
        assert self._link is not None
        end = asyncio.create_task(self._process.wait())
        silence = asyncio.create_task(self._link.silent.wait())
        await asyncio.wait([end, silence], return_when=asyncio.FIRST_COMPLETED)
        silence.cancel()
        if not end.done():  # a guest without its commander is switching off; one that is not is of no use to anybody
            await asyncio.wait([end], timeout=SWITCH_OFF_S)
            if not end.done():
                self._process.kill()
        await end
        _kill_session(self._process.pid)
        self.died.set()
        await self._link.fail(self.obituary())

    def _write_settings(self, root: Path) -> None:
        plan = self.plan
        settings = {
            "name": plan.name,
            "packages": None if plan.packages is None else str(plan.packages),
            "module_root": str(root),
            "early_modules": kernel_modules.load_order(root, kernel_modules.ROOT_MODULES),
            "modules": kernel_modules.load_order(root, plan.modules),
            "addresses": {f"vec{n}": list(addresses) for n, (_, addresses) in enumerate(self._interfaces)},
            "routes": list(plan.routes),
            "sysctls": plan.sysctls,
            "console": f"/dev/tty{COMMAND_CONSOLE}",
        }
        (self.exchange / "guest.json").write_text(json.dumps(settings))

    @property
    def _interfaces(self) -> tuple[tuple[Attachment, Sequence[str]], ...]:
        return ((self.plan.attachment, self.plan.addresses), *self.plan.beside)

    def _arguments(self, command_fd: int) -> list[str]:
        for attachment, _ in self._interfaces:
            if attachment.kind not in ("tap", "raw"):
                raise LabError(f"boot of guest {self.name}", f"no transport {attachment.kind!r}", "tap or raw")
        interpreter = getattr(sys, "_base_executable", sys.executable)
        init = Path(__file__).parent / "guest" / "init.py"
        # no offload of segments or checksums: what leaves the guest is what a wire would carry
        vectors = [
            f"vec{number}:transport={attachment.kind},ifname={attachment.interface},depth=128,gro=0"
            for number, (attachment, _) in enumerate(self._interfaces)
        ]
        return [
            f"mem={self.plan.memory}M",
            f"umid={self.plan.name}",
            f"uml_dir={self.plan.scratch}/umid/",
            "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet",
            "con=null", "con0=null,fd:1", f"con{COMMAND_CONSOLE}=fd:{command_fd}",
            *vectors,
            f"init={interpreter}",
            "--", "-I", "-S", _quote(init), _quote(self.exchange),
        ]  # fmt: skip


def _quote(path: Path) -> str:
    """A path as one word of the kernel's command line."""
    return f'"{path}"' if any(c.isspace() for c in str(path)) else str(path)


def _enter(netns: str) -> list[str]:
    if not netns:
        return []
    path = netns if "/" in netns else f"/run/netns/{netns}"
    return ["/usr/bin/nsenter", f"--net={path}", "--"]


def _kill_session(leader: int) -> None:
    """SIGKILL to all of a session: a guest's processes are processes of the host, and outlive a kernel that was killed."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[3]) == leader:
                    os.kill(int(entry.name), signal.SIGKILL)
