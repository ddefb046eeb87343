"""The ssh command that a person types to come to a device: the one form of it in all that tells what to do by hand. Pure.

OpenSSH gives the options of a command line to its last machine alone (ssh(1) on `-J`): where a jump host has a key file or a
known_hosts file of its own, the way is spelled out in ProxyCommands, each within the next; else it is `-J`, the nearest first.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from harness.devices.journal import reached
from harness.model.reach import Connection

OLD_SSH = (
    "KexAlgorithms=+diffie-hellman-group14-sha1,diffie-hellman-group1-sha1",
    "HostKeyAlgorithms=+ssh-rsa",
    "PubkeyAcceptedKeyTypes=+ssh-rsa",
    "Ciphers=+aes256-cbc,aes192-cbc,aes128-cbc,3des-cbc",
    "MACs=+hmac-sha1,hmac-sha1-96",
)
"""What IOS 12.x and older releases of 15 offer, and OpenSSH has switched off (its release notes of 7.0, 7.6 and 8.8), behind what
it has on. PubkeyAcceptedKeyTypes is the name that OpenSSH before 8.5 knows as well."""


def to(connection: Connection, *command: str) -> str:
    """What reaches it, with the words of a command that is to be run there as whoever logs in."""
    return shlex.join([*words(reached(connection)), *command])


def as_root(at: Mapping[str, Any], *command: str) -> str:
    """The same, with the command run as root: "bash" reads a script."""
    return shlex.join([*words(at), *([] if at["username"] == "root" else ["sudo"]), *command])


def words(at: Mapping[str, Any]) -> list[str]:
    """`at` as the journal keeps it (`journal.reached`)."""
    old = [word for option in OLD_SSH for word in ("-o", option)] if at.get("old_ssh") else []
    found = ["ssh", "-p", str(at["port"]), *old, *_files(at)]
    if way := _jumps(at):
        found += ["-o", f"ProxyCommand={_proxy(way, at)}"] if any(map(_files, way)) else ["-J", ",".join(map(_hop, way))]
    return [*found, f"{at['username']}@{at['host']}"]


def terminal(at: Mapping[str, Any]) -> str:
    """What opens a router's command line."""
    return shlex.join(["telnet", str(at["host"]), str(at["port"])] if at["protocol"] == "telnet" else words(at))


def _jumps(at: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """In the order in which they are gone through."""
    jump = at.get("jump")
    return [*_jumps(jump), jump] if jump else []


def _files(at: Mapping[str, Any]) -> list[str]:
    key, known = (str(at.get(name) or "") for name in ("key_file", "known_hosts"))
    found = ["-i", key] if key else []
    # what has a space in it would be two files
    return [*found, "-o", f'UserKnownHostsFile="{known}"' if " " in known else f"UserKnownHostsFile={known}"] if known else found


def _proxy(way: list[Mapping[str, Any]], to: Mapping[str, Any]) -> str:
    *before, last = way
    inner = ["-o", f"ProxyCommand={_proxy(before, last)}"] if before else []
    there = ["-W", f"{_bracketed(to)}:{to['port']}", f"{last['username']}@{last['host']}"]
    # a % (of fe80::1%eth0) would begin a token of ssh's
    return shlex.join(["ssh", "-p", str(last["port"]), *_files(last), *inner, *there]).replace("%", "%%")


def _hop(at: Mapping[str, Any]) -> str:
    return f"{at['username']}@{_bracketed(at)}:{at['port']}"


def _bracketed(at: Mapping[str, Any]) -> str:
    return f"[{at['host']}]" if ":" in at["host"] else str(at["host"])
