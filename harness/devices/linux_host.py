"""Driver of a Linux host: behind the gateway, where it answers pings by itself, or beside the NAT, where it captures."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise

from harness.devices import linux_parsers
from harness.devices.execute import CommandResult, Execute, complaint, said
from harness.devices.rows import Row, Rows
from harness.errors import DeviceError

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Route:
    """`to` is "default" or a prefix ("10.0.0.0/24", "10.0.0.1"); `via` None for what is on the link; `interface` None for a route
    that leads nowhere (blackhole, unreachable)."""

    to: str
    via: str | None
    interface: str | None


class LinuxHost:
    """The role Host. `execute(command, timeout)` runs bash on it. It changes nothing."""

    def __init__(self, execute: Execute, *, name: str = "host") -> None:
        self.name = name
        self._execute = execute

    async def addresses(self) -> dict[str, tuple[str, ...]]:
        """By interface, IPv4 alone."""
        command = "ip -o -4 address"
        answer = await self._run(command, command)
        rows = self._all(linux_parsers.parse_addresses(answer.output), command, answer)
        found: dict[str, tuple[str, ...]] = {}
        for interface, address, _ in rows:
            found[interface] = (*found.get(interface, ()), address)
        return found

    async def routes(self) -> tuple[Route, ...]:
        """The main table's."""
        answer = await self._run("read the routes", "ip -4 route")
        return self._all(parse_routes(answer.output), "ip -4 route", answer)

    async def ready_to_capture(self, interface: str) -> None:
        """Returns where tcpdump is there and this user may capture on that interface; else DeviceError that says which is wrong."""
        name = shlex.quote(interface)
        result = await self._execute(f"command -v tcpdump >/dev/null || exit 127; tcpdump -i {name} -L", TIMEOUT_S)
        if result.status == 127:
            cure = "install it on the device (Debian: apt-get install tcpdump)"
            raise DeviceError(self.name, "tcpdump", f"it is not there\n  cure: {cure}")
        if result.status != 0:
            why = said(result).strip()
            cure = "log in as root, or setcap cap_net_raw+ep tcpdump there"
            if "such device" in why:
                cure = "name one of its interfaces (ip link)"
            raise DeviceError(self.name, f"tcpdump -i {interface}", f"{why}\n  cure: {cure}")

    def _all(self, rows: Rows[Row], command: str, answer: CommandResult) -> tuple[Row, ...]:
        if rows.unread:
            line = rows.unread[0]
            shown = repr(line) if line in said(answer) else f"one with a secret in it, of {said(answer).strip()[:200]!r}"
            raise DeviceError(self.name, command, f"a line that is none of its: {shown}")
        return rows.rows

    async def _run(self, what: str, script: str) -> CommandResult:
        result = await self._execute(script, TIMEOUT_S)
        if result.status != 0:
            raise DeviceError(self.name, what, complaint(result))
        return result


NOWHERE = ("blackhole", "unreachable", "prohibit", "throw")
_KINDS = "|".join(("unicast", "local", "broadcast", *NOWHERE))
_ROUTE = re.compile(rf"(?:(?P<kind>{_KINDS}) )?(?P<to>default|[\d./]+)(?: (?P<rest>.*))?$")


def parse_routes(text: str) -> Rows[Route]:
    """`ip -4 route`. A route with several next hops, which stand on lines of their own below it, is there with the first."""
    rows: list[Route] = []
    unread: list[str] = []
    for line in filter(str.strip, re.sub(r"\n\s+", " ", text).splitlines()):
        match = _ROUTE.match(line.strip())
        words = (match["rest"] or "").split() if match else []
        found = dict(reversed([(key, value) for key, value in pairwise(words) if key in ("via", "dev")]))
        nowhere = match is not None and match["kind"] in NOWHERE
        if match is None or not (nowhere or "dev" in found):
            unread.append(line)
        else:
            rows.append(Route(match["to"], found.get("via"), None if nowhere else found["dev"]))
    return Rows(tuple(rows), tuple(unread))
