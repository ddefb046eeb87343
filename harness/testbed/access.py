"""How the devices that are there already are reached, and whether what the file says of it can be."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from harness.model import router_lab
from harness.model.reach import Connection
from harness.testbed.definition import END_HOST, JUMP, PORT_OF, PROTOCOLS_OF, REACHED, ROUTERS, STARTED
from harness.testbed.reading import Reading

ROLES = ("nat", "gateway", END_HOST)
"""The devices that the harness starts, or finds."""
FOUND = tuple(dict.fromkeys((*ROLES, *(role for roles in router_lab.ROLES.values() for role in roles))))
"""With those that it only finds."""


def reached(reading: Reading) -> tuple[str, ...]:
    """The names of those that are there already, jump hosts left out."""
    return tuple(device for device in FOUND if reading.has("devices", device, "connections", "cli"))


def check_systems(reading: Reading, drivers: Mapping[str, tuple[str, ...]] = REACHED) -> None:
    """Every device's `os` is one that the harness can start, or has a driver for; and a lab is all of one kind or of the other.
    `drivers`: by device, for which systems there is one."""
    there = reached(reading)
    for device in reading.keys("devices"):
        path = ("devices", device, "os")
        system = reading.value(*path)
        if system is None:
            continue
        own = reading.value("devices", device, "type") == JUMP
        found = own or device in there or device not in STARTED
        known = drivers[JUMP if own else device] if found else STARTED[device]
        if system in known:
            continue
        listed = " or ".join((", ".join(known[:-1]), known[-1])) if len(known) > 1 else known[0]
        cure = f"`os: {listed}`"
        if found:
            reading.wrong(f"there is no driver for a {device} that is a {system!r}", path, f"those that there are: {cure}")
        else:
            reading.wrong(f"{device} is a {system!r}", path, f"this lab is made of {cure}")
    for device in ROLES:
        if there and device not in there and reading.has("devices", device, "connections"):
            if reading.unknown("devices", device, "connections"):
                continue
            problem = f"{device} is not reached, and {' and '.join(there)} {'is' if len(there) == 1 else 'are'}"
            cure = "a lab is there already, or the harness's own: give every device a connection `cli`, or none"
            reading.wrong(problem, ("devices", device, "connections"), cure)


def read_connections(reading: Reading) -> Mapping[str, Connection]:
    """By device, those of which all is known. Adds a mistake for each that cannot be."""
    reader = _Access(reading)
    found = {device: reader.connection(device) for device in (*reached(reading), *reader.jumps)}
    reader.somebody_logs_in()
    reader.nobody_twice()
    return {device: connection for device, connection in found.items() if connection is not None}


class _Access:
    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.jumps = tuple(one for one in reading.keys("devices") if reading.value("devices", one, "type") == JUMP)
        self.known_hosts = reading.file("testbed", "custom", "known_hosts")
        self.key_file = reading.file("testbed", "custom", "key_file")
        self._done: dict[str, Connection | None] = {}
        self._nameless: dict[tuple[str, ...], list[str]] = {}

    def connection(self, device: str, through: tuple[str, ...] = ()) -> Connection | None:
        """`through` are the devices that wait for this one to be reached."""
        if device not in self._done:
            self._done[device] = self._read(device, through)
        return self._done[device]

    def _read(self, device: str, through: tuple[str, ...]) -> Connection | None:
        reading, path = self.reading, ("devices", device, "connections", "cli")
        protocol, host = reading.value(*path, "protocol"), reading.value(*path, "ip")
        system = reading.value("devices", device, "os")
        fits = protocol is not None
        if fits and system in PROTOCOLS_OF and protocol not in PROTOCOLS_OF[system]:
            cure = f"`protocol: {' or '.join(PROTOCOLS_OF[system])}`"
            reading.wrong(f"a {system} device is not reached by {protocol}", (*path, "protocol"), cure)
            fits = False
        default = self._credential(device, "default")
        username = reading.value(*default, "username") if default else None
        if protocol == "ssh" and username is None and not (default and reading.unknown(*default, "username")):
            if not default or not reading.unknown(*default):
                self._nameless.setdefault(default or path, []).append(device)
            fits = False
        own_key = ("devices", device, "custom", "key_file")
        key_file = reading.file(*own_key) if reading.has(*own_key) else self.key_file
        if protocol == "telnet" and reading.has(*own_key):
            reading.wrong("telnet knows no key files", own_key, "remove it, or `protocol: ssh`")
        jump = None
        if reading.value(*path, "proxy") is not None:
            jump = self._jump(device, (*path, "proxy"), through)
            fits = fits and jump is not None
            if protocol == "telnet":
                cure = "`protocol: ssh`, or the address of a console server that this machine reaches"
                reading.wrong("telnet goes through no proxy", (*path, "proxy"), cure)
            elif system in ROUTERS and jump is not None and jump.jump is not None:
                cure = f"a jump host that this machine reaches at once, as {jump.jump.device} is"
                problem = f"the way to a router leads through one jump host at most, and {jump.device} needs another"
                reading.wrong(problem, (*path, "proxy"), cure)
        if protocol == "telnet" and reading.has(*path, "old_ssh"):
            reading.wrong("telnet has no SSH algorithms", (*path, "old_ssh"), "remove it, or `protocol: ssh`")
        for key in ("own_address", "protect_minutes", "old_ssh"):
            if system in PROTOCOLS_OF and system not in ROUTERS and reading.has(*path, key):
                reading.wrong(f"a {system} device has no {key}", (*path, key), "remove it: it is a router's")
        enable = self._credential(device, "enable")
        if not fits or host is None:
            return None
        return Connection(
            device,
            host,
            reading.value(*path, "port") or PORT_OF[protocol],
            username or "",
            reading.value(*default, "password") if default else None,
            reading.value(*enable, "password") if enable else None,
            protocol,
            key_file if protocol == "ssh" else None,
            self.known_hosts if protocol == "ssh" else None,
            jump,
            reading.value(*path, "own_address"),
            reading.value(*path, "protect_minutes"),
            reading.value(*path, "old_ssh") or False,
        )

    def _credential(self, device: str, name: str) -> tuple[str, ...] | None:
        """Where it stands: the nearest counts, and as a whole, as pyATS has it."""
        for above in (("devices", device, "connections", "cli"), ("devices", device), ("testbed",)):
            if self.reading.has(*above, "credentials", name):
                return (*above, "credentials", name)
        return None

    def _jump(self, device: str, path: tuple[str, ...], through: tuple[str, ...]) -> Connection | None:
        name = str(self.reading.value(*path))
        if name in (device, *through):
            self.reading.wrong(f"the way to {device} leads through itself", path, "a way that begins at this machine")
        elif name in self.jumps:
            return self.connection(name, (*through, device))
        elif self.reading.has("devices", name):
            self.reading.wrong(f"{name} is no jump host", path, f"`type: {JUMP}` in a device of its own, or no `proxy`")
        else:
            close = difflib.get_close_matches(name, self.jumps, n=1)
            cure = f"did you mean {close[0]!r}?" if close else f"describe it below `devices:`, with `type: {JUMP}`"
            self.reading.wrong(f"there is no device {name!r} to go through", path, cure)
        return None

    def somebody_logs_in(self) -> None:
        """One mistake for all devices that nobody is named for: it is one line that is missing."""
        if not self._nameless:
            return
        devices = [device for some in self._nameless.values() for device in some]
        where = next(iter(self._nameless))
        cure = "`credentials: {default: {username: …}}` in the device, or below `testbed:` for all"
        self.reading.wrong(f"nobody is named who logs in at {' and '.join(devices)}", where, cure)

    def nobody_twice(self) -> None:
        """No two devices are reached at one address and port, in one way."""
        seen: dict[tuple[str, int, str | None], str] = {}
        for device, one in self._done.items():
            if one is None:
                continue
            at = (one.host, one.port, one.jump.device if one.jump else None)
            if at in seen:
                problem = f"{device} is reached where {seen[at]} is: {one.host} port {one.port}"
                self.reading.wrong(problem, ("devices", device, "connections", "cli", "ip"), "each is a device of its own")
            seen.setdefault(at, device)
