"""The lines of `debug crypto socket` and `debug vpdn l2x-events`, as a terminal or a log shows them (SEC-90 to SEC-95).

A time stamp, a facility ("CRYPTO_SS(L2X Security)", "L2X", "L2TP", "Tnl 13582 L2TP", "Tnl/Sn 13582/2 L2TP") and what happened,
with or without a blank between; a long line may be broken in two, as the vendor's document has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.devices.ios.reading import read, seconds
from harness.devices.ios.stamps import STAMP
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class DebugEvent:
    """One event. `kind`: "passive-open", "active-open", "bound", "security-requested", "message", "challenge", "response",
    "authenticated", "tunnel-created", "retransmit-delay", "tunnel-state", "session-state", or "other", of which `text` tells.
    `stamp` is the time as printed, `t_s` its seconds since midnight or, where the router stamps with that, since it was booted;
    `synchronised` is False where it does not trust its clock ("*"), None for the time since it was booted. `tunnel`, `session`
    are the router's own IDs, `remote_tunnel` the peer's. `direction` is "I" or "O", `message` as printed: IOS logs its own
    SCCRP as SCCRQ."""

    kind: str
    facility: str
    text: str
    stamp: str | None = None
    t_s: float | None = None
    synchronised: bool | None = None
    tunnel: int | None = None
    session: int | None = None
    direction: str | None = None
    message: str | None = None
    remote_name: str | None = None
    remote_tunnel: int | None = None
    local_address: str | None = None
    local_port: int | None = None
    remote_address: str | None = None
    remote_port: int | None = None
    protocol: int | None = None
    interface: str | None = None
    delay_s: int | None = None
    from_state: str | None = None
    to_state: str | None = None


_STAMP = re.compile(rf"\s*{STAMP}(?P<rest>.*)")
_FACILITY = re.compile(
    r"(CRYPTO_SS\([^)]*\)|(?:(?:Tnl ?(\d{1,10})|Tnl/(?:Sn|Cl) ?(\d{1,10})/ ?(\d{1,10})) )?(?:L2TP|L2X)) ?: ?(\S.*?)\s*"
)
_SOCKET = (
    r"socket info: ?local ?(?P<local_address>[\d.]+)[/(](?P<local_port>\d{1,5})\)?, "
    r"remote ?(?P<remote_address>[\d.]+)[/(](?P<remote_port>\d{1,5})\)?"
)
_IFC = r", prot (?P<protocol>\d{1,3}), ifc (?P<interface>\S+)"
_MESSAGE = re.compile(
    r"(?P<direction>[IO]) (?P<message>[A-Za-z]{2,8})"
    r"(?: (?:from|to) (?P<remote_name>\S+)(?: (?:tnl|tnlid) ?(?P<remote_tunnel>\d{1,10}))?)?(?:[ ,].*)?"
)
_KINDS: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("passive-open", "Passive open", re.compile(rf"Passive open, {_SOCKET}{_IFC}")),
    ("active-open", "Active open", re.compile(rf"Active open, {_SOCKET}{_IFC}")),
    ("bound", "Completed binding", re.compile(r"Completed binding of application to socket")),
    ("security-requested", "Requested security", re.compile(rf"Requested security for socket, UDP {_SOCKET}")),
    ("challenge", "Got a challenge", re.compile(r"Got a challenge in (?P<message>[A-Z]+), (?P<remote_name>\S+)")),
    ("response", "Got a response", re.compile(r"Got a response in (?P<message>[A-Z]+), (?P<remote_name>\S+)")),
    ("authenticated", "Tunnel Auth", re.compile(r"Tunnel Authentication success")),
    ("tunnel-created", "New tunnel",
     re.compile(r"New tunnel created for remote (?P<remote_name>\S+), address (?P<remote_address>[\d.]+)")),
    ("retransmit-delay", "Control channel", re.compile(r"Control channel retransmit delay set to (?P<delay_s>\d{1,4}) seconds")),
    ("tunnel-state", "Tunnel state", re.compile(r"Tunnel state change from (?P<from_state>[\w-]+) to (?P<to_state>[\w-]+)")),
    ("session-state", "Session state", re.compile(r"Session state change from (?P<from_state>[\w-]+) to (?P<to_state>[\w-]+)")),
    ("message", "", _MESSAGE),
)  # fmt: skip
"""Kind, how its text begins, and all of it: what begins so and is not all there waits for the line below."""

_NUMBERS = {"local_port", "remote_port", "protocol", "remote_tunnel", "delay_s"}


def parse_debug(text: str) -> Rows[DebugEvent]:
    """Rows are DebugEvent. Lines of other facilities are unread."""
    found = read(text)
    rows: list[DebugEvent] = []
    unread: list[str] = []
    waiting: list[str] = []
    for line in found.lines:
        if not line.strip() or re.fullmatch(r"\s*\S+[#>] ?debug .*", line):
            continue
        if waiting and not _begins(line):
            whole = _event(" ".join([waiting[0].rstrip(), line.strip()]))
            if whole is None or whole == WAITING:
                unread += [*waiting, line]
            else:
                assert isinstance(whole, DebugEvent)
                rows.append(whole)
            waiting = []
            continue
        unread += waiting
        waiting = []
        event = _event(line)
        if isinstance(event, DebugEvent):
            rows.append(event)
        elif event == WAITING:
            waiting = [line]
        else:
            unread.append(line)
    return found.rows(rows, [*unread, *waiting], "the last event does not come to its end" if waiting else "")


WAITING = "what follows belongs to it"


def _begins(line: str) -> bool:
    return _STAMP.fullmatch(line) is not None or _FACILITY.fullmatch(line.strip()) is not None


def _event(line: str) -> DebugEvent | str | None:
    """The event; WAITING where the line is only the beginning of one; None where it is none."""
    stamped = _STAMP.fullmatch(line)
    match = _FACILITY.fullmatch(stamped["rest"].strip() if stamped else line.strip())
    if match is None:
        return None
    fields: dict[str, object] = {}
    if stamped:
        day, whole = stamped["time"], stamped["uptime"]
        trusted = not stamped["doubt"] if " " in stamped["stamp"] else None
        fields = {"stamp": stamped["stamp"], "synchronised": trusted, "t_s": _of_day(day) if day else seconds(whole)}
    tunnel = match[2] or match[3]
    fields |= {"tunnel": int(tunnel) if tunnel else None, "session": int(match[4]) if match[4] else None}
    said = match[5]
    for kind, begin, pattern in _KINDS:
        if known := pattern.fullmatch(said):
            groups = {name: int(value) if name in _NUMBERS else value for name, value in known.groupdict().items() if value}
            return DebugEvent(kind, match[1], said, **fields, **groups)  # type: ignore[arg-type]
        if begin and said.startswith(begin):
            return WAITING
    return DebugEvent("other", match[1], said, **fields)  # type: ignore[arg-type]


def _of_day(clock: str) -> float:
    """"00:56:46.959" as seconds since midnight."""
    hours, minutes, rest = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)
