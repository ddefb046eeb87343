"""Show commands of the router's own state. Pure: the state in, lines out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.virtual.ios.kinds import short_interface
from harness.virtual.ios.shows.version import version
from harness.virtual.ios.state import State

if TYPE_CHECKING:
    from harness.virtual.ios.session import Session

NVRAM = 522232
"""Bytes of the memory for the startup configuration."""


def register(state: State) -> None:
    state.show("show version", lambda state, _: version(state))
    state.show("show clock", lambda state, _: clock(state))
    state.command("show users", lambda session, _: users(state, session), level=1)
    state.show("show ip interface brief", lambda state, _: interface_brief(state))
    state.show("show interfaces description", lambda state, _: descriptions(state))
    state.show("show running-config", lambda state, _: running_config(state), level=15)
    state.show("show startup-config", lambda state, _: startup_config(state), level=15)
    state.show("show reload", lambda state, _: reload(state), level=15)
    state.command("show history", lambda session, _: [f"  {line}" for line in session.editor.history], level=1)
    state.command("show privilege", lambda session, _: [f"Current privilege level is {session.level}"], level=1)


def running_config(state: State) -> list[str]:
    text = state.configuration.text()
    return ["Building configuration...", "", f"Current configuration : {len(text)} bytes", *text.splitlines(), ""]


def startup_config(state: State) -> list[str]:
    if state.startup is None:
        return ["startup-config is not present"]
    return [f"Using {len(state.startup)} out of {NVRAM} bytes", *state.startup.splitlines()]


def clock(state: State) -> list[str]:
    """The asterisk says that nobody has set it."""
    now = state.clock()
    star = "*" if state.clock_is_free else ""
    return [f"{star}{now:%H:%M:%S}.{now.microsecond // 1000:03} UTC {now:%a %b} {now.day} {now.year}"]


def reload(state: State) -> list[str]:
    if state.reload_at is None:
        return ["No reload is scheduled."]
    left = int(state.reload_at - state.now)
    return [f"Reload scheduled in {left // 60} minutes and {left % 60} seconds by console"]


def users(state: State, asking: Session) -> list[str]:
    """The terminal lines in use; that of whoever asks is marked."""
    lines = ["    Line       User       Host(s)              Idle       Location"]
    for session in state.sessions:
        kind, number = session.line.split()
        absolute = int(number) + {"con": 0, "aux": 1, "vty": 2}[kind]
        idle = int(state.now - session.heard)
        idle_text = f"{idle // 3600:02}:{idle // 60 % 60:02}:{idle % 60:02}"
        name = session.user or ""
        mark = "*" if session is asking else " "
        lines.append(f"{mark}{absolute:>3} {session.line:<10} {name:<10} {'idle':<20} {idle_text:<10} {session.source}")
    return [*lines, "", "  Interface    User               Mode         Idle     Peer Address"]


def interface_brief(state: State) -> list[str]:
    lines = ["Interface                  IP-Address      OK? Method Status                Protocol"]
    for entry in state.configuration.tree.find("interface"):
        name = entry.words[1]
        address = entry.value("ip address") or ""
        shown = address.split()[0] if address[:1].isdigit() else "unassigned"
        method = {"negotiated": "IPCP", "dhcp": "DHCP"}.get(address, "manual" if address else "unset")
        if lender := entry.value("ip unnumbered"):
            other = state.configuration.tree.first(f"interface {lender}")
            shown, method = ((other.value("ip address") if other else None) or "unassigned").split()[0], "unset"
        status, protocol = _status(entry.has("shutdown"), name)
        lines.append(f"{name:<26} {shown:<15} YES {method:<6} {status:<21} {protocol}")
    return lines


def descriptions(state: State) -> list[str]:
    lines = ["Interface                      Status         Protocol Description"]
    for entry in state.configuration.tree.find("interface"):
        status, protocol = _status(entry.has("shutdown"), entry.words[1])
        status = status.replace("administratively", "admin")
        name, said = short_interface(entry.words[1]), entry.value("description") or ""
        lines.append(f"{name:<30} {status:<14} {protocol:<8} {said}".rstrip())
    return lines


def _status(shut: bool, name: str) -> tuple[str, str]:
    if shut:
        return "administratively down", "down"
    return ("down", "down") if name.startswith("Virtual-Template") else ("up", "up")


