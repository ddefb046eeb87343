"""Driver of a Linux client, strongSwan + xl2tpd + pppd, over anything that can run commands on it and keep them running."""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.devices import linux_view
from harness.devices.linux_client_log import AddressGiven, Began, ClientLog, Down, EspEstablished, Fact
from harness.devices.linux_config import fill, quoted, seconds
from harness.devices.linux_gateway import LOAD, WAIT_FUNCTION, Execute, files_script
from harness.errors import DeviceError
from harness.model import Secret

FILES = {
    "/etc/strongswan.conf": "client/strongswan.conf",
    "/etc/swanctl/swanctl.conf": "client/swanctl.conf",
    "/etc/xl2tpd/xl2tpd.conf": "client/xl2tpd.conf",
    "/etc/ppp/options.client": "client/pppd-options.conf",
    "/etc/ppp/chap-secrets": "client/chap-secrets.conf",
    "/etc/natstorm/rules": "client/rules.conf",
    "/etc/hosts": "client/hosts.conf",
    "/etc/resolv.conf": "client/resolv.conf",
}
CONNECTION = "l2tp"
INITIATE_S = 30.0
GOODBYE_S = 5.0
TOLD_S = 5.0
"""For what has happened to be told: milliseconds on an idle machine."""
CHARON = "exec /usr/lib/ipsec/charon"
XL2TPD = "exec xl2tpd -D -c /etc/xl2tpd/xl2tpd.conf -p /run/xl2tpd.pid"
MONITOR = "exec ip -4 xfrm monitor SA"
AWAIT = """
until_true 20 test -S /run/charon.vici || { echo "charon does not answer"; exit 1; }
until_true 20 test -p /run/xl2tpd/l2tp-control || { echo "xl2tpd does not answer"; exit 1; }
"""
INITIATE = f"swanctl --initiate --child {CONNECTION} --timeout {INITIATE_S:g} --loglevel 1 2>&1"
KILL = """
kill -KILL $(pidof xl2tpd pppd charon) 2>/dev/null
ip xfrm state flush; ip xfrm policy flush
gone() { ! pidof charon xl2tpd pppd >/dev/null; }
until_true 5 gone || { echo "the daemons do not die"; exit 1; }
rm -f /run/charon.pid /run/charon.vici /run/xl2tpd.pid /run/xl2tpd/l2tp-control
"""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Everything the client is told. Addresses are dotted quads, times seconds, `mtu` bytes, of the PPP link."""

    address: str
    gateway: str
    psk: Secret
    user: str
    password: Secret
    ike_proposal: str = "aes128-sha1-modp2048"
    esp_proposal: str = "aes128-sha1"
    ike_life_s: int = 28800
    esp_life_s: int = 3600
    keepalive_s: int = 20
    ike_retransmit_s: float = 1.0  # the first; charon's own is 4 s, then each 1.8 times as long
    echo_interval_s: int = 5
    echo_failures: int = 4
    mtu: int = 1280


def render(settings: ClientSettings, name: str) -> dict[str, str]:
    """Path in the client → contents. `name` is its host name."""
    words = {
        "name": name,
        "address": settings.address,
        "gateway": settings.gateway,
        "psk": quoted(settings.psk.reveal()),
        "user": settings.user,
        "user_quoted": quoted(settings.user),
        "password": quoted(settings.password.reveal()),
        "ike_proposals": settings.ike_proposal,
        "esp_proposals": settings.esp_proposal,
        "ike_life": seconds(settings.ike_life_s),
        "esp_rekey": seconds(settings.esp_life_s * 0.8),
        "esp_life": seconds(settings.esp_life_s),
        "retransmit": f"{settings.ike_retransmit_s:g}",
        "keepalive": seconds(settings.keepalive_s),
        "echo_interval": str(settings.echo_interval_s),
        "echo_failures": str(settings.echo_failures),
        "mtu": str(settings.mtu),
    }
    return {path: fill(template, words) for path, template in FILES.items()}


class Task(Protocol):
    """A command that goes on: a guest's Job."""

    on_output: Callable[[str], None] | None

    @property
    def running(self) -> bool: ...

    def type(self, data: bytes) -> None: ...

    def signal(self, number: int) -> None: ...


class Spawn(Protocol):
    def __call__(self, command: str, fed: bool = False) -> Task: ...


class LinuxClient:
    """One client. `execute(command, timeout)` runs bash on it, `spawn` starts what goes on; `relay` is the command of the program
    that carries IP packets (harness/lab/guest/relay.py).

    Facts of a connection go to whoever dialled it, as they happen. Every method raises DeviceError with what the client said when
    it does not do as asked.
    """

    def __init__(self, execute: Execute, spawn: Spawn, settings: ClientSettings, relay: str, *, name: str) -> None:
        self.name = name
        self.settings = settings
        self.mru = settings.mtu
        self._execute = execute
        self._spawn = spawn
        self._relay_command = relay
        self._relay: Task | None = None
        self._tasks: list[Task] = []
        self._turn = asyncio.Lock()
        self._protected = asyncio.Event()
        self._tunnel_down = asyncio.Event()
        self._addressed = asyncio.Event()

    async def connect(self, hear: Callable[[Fact], None], packet: Callable[[bytes], None]) -> None:
        """Daemons that know nothing of before; IPsec, then L2TP. Returns once xl2tpd has been told to dial: how that goes on,
        `hear` is told. `packet` is given every IP packet that comes out of the PPP link."""
        async with self._turn:
            await self._end()
            rules = "iptables-legacy-restore /etc/natstorm/rules || exit 1\n"
            await self._run("configure", files_script(render(self.settings, self.name)) + "mkdir -p /run/xl2tpd\n" + rules)
            for event in (self._protected, self._tunnel_down, self._addressed):
                event.clear()
            log = ClientLog()
            self._follow(MONITOR, log.kernel, hear)
            self._follow(CHARON, log.charon, hear)
            self._follow(XL2TPD, log.l2tp, hear)
            self._relay = self._spawn(self._relay_command, fed=True)
            self._tasks.append(self._relay)
            self._relay.on_output = Lines(lambda line: packet(base64.b64decode(line)) if line != "relaying" else None)
            await self._run("start the daemons", WAIT_FUNCTION + AWAIT + LOAD)
            hear(Began())
            await self._run("initiate IPsec", INITIATE, INITIATE_S + 30.0)
            # Kernel and daemons speak through pipes of their own: what comes later must not be told before.
            await self._said(self._protected, TOLD_S, "initiate IPsec", "kernel and charon have told no pair of SAs")
            await self._control("c vpn")

    async def until_addressed(self, within: float) -> bool:
        """Whether the PPP link has an address within so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self._addressed.wait()
        except TimeoutError:
            return False
        return True

    async def disconnect(self) -> None:
        """Hangs up: StopCCN, then Deletes; then its daemons end."""
        async with self._turn:
            await self._control("d vpn")
            await self._said(self._tunnel_down, GOODBYE_S, "hang up", "xl2tpd has not closed its tunnel")
            await self._run("delete the SAs", f"swanctl --terminate --ike {CONNECTION} --timeout {GOODBYE_S:g} 2>&1")
            await self._end()

    async def delete_ipsec(self) -> None:
        async with self._turn:
            await self._run("delete the SAs", f"swanctl --terminate --ike {CONNECTION} --timeout {GOODBYE_S:g} 2>&1")

    async def rekey_ipsec(self) -> None:
        """Quick mode anew; returns when it is over."""
        async with self._turn:
            await self._run("rekey IPsec", f"swanctl --rekey --child {CONNECTION} 2>&1")

    async def rekey_ike(self) -> None:
        """Main mode anew; returns when it has begun."""
        async with self._turn:
            await self._run("rekey IKE", f"swanctl --rekey --ike {CONNECTION} 2>&1")

    async def kill(self) -> None:
        """Gone from one moment to the next; nothing is left of its SAs. Safe at any time, and twice."""
        async with self._turn:
            await self._end()

    def send(self, packet: bytes) -> bool:
        """An IP packet into the PPP link; False where there is none to carry it."""
        if self._relay is None or not self._relay.running:
            return False
        self._relay.type(base64.b64encode(packet) + b"\n")
        return True

    async def logs(self) -> dict[str, str]:
        """charon's log, without keys."""
        return linux_view.sections(await self._run("logs", f"{linux_view.announce('charon')}; cat /var/log/charon.log"))

    # --- within ---

    async def _end(self) -> None:
        for task in self._tasks:
            task.signal(signal.SIGKILL)
        self._tasks.clear()
        await self._run("end the daemons", WAIT_FUNCTION + KILL)

    def _follow(self, command: str, read: Callable[[str], list[Fact]], hear: Callable[[Fact], None]) -> None:
        def take(line: str) -> None:
            for fact in read(line):
                hear(fact)
                if isinstance(fact, EspEstablished):
                    self._protected.set()
                elif isinstance(fact, AddressGiven):
                    self._addressed.set()
                elif isinstance(fact, Down) and fact.layer == "tunnel":
                    self._tunnel_down.set()

        task = self._spawn(command)
        task.on_output = Lines(take)
        self._tasks.append(task)

    async def _said(self, event: asyncio.Event, within: float, what: str, otherwise: str) -> None:
        try:
            async with asyncio.timeout(within):
                await event.wait()
        except TimeoutError:
            raise DeviceError(self.name, what, f"{otherwise} after {within:g} s") from None

    async def _control(self, request: str) -> None:
        await self._run(request, f"echo '{request}' > /run/xl2tpd/l2tp-control")

    async def _run(self, what: str, script: str, timeout: float = 45.0) -> str:
        result = await self._execute(script, timeout)
        if result.status != 0:
            raise DeviceError(self.name, what, result.output.strip() or f"exit status {result.status}")
        return result.output


class Lines:
    """Cuts what comes in pieces into lines."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = ""

    def __call__(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._take(line)
