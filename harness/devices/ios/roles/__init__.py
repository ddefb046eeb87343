"""Configurations by role: what to type so that a router plays it, and what takes it away again.

    from harness.devices.ios import roles
    lns = roles.gateway({"interface": "FastEthernet0/0", "map": "dynamic", "demux": True, …})
    lns.lines, lns.undo, ios_releases.missing(lns.features, release)

The templates beside this file say which values each role takes. What a router had before is put back by the driver, which saves it;
`undo` is for whoever typed the lines into a router that had nothing of the kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.devices.ios import gates
from harness.devices.ios.roles import filler
from harness.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Role:
    """`lines` and `undo` are typed in configuration mode; lines below a section are indented. They hold secrets. `features` are
    those of model.ios_releases without which a release refuses some line, `secrets` what no message may show."""

    name: str
    lines: tuple[str, ...]
    undo: tuple[str, ...]
    features: tuple[str, ...]
    secrets: tuple[Secret, ...] = ()

    def __repr__(self) -> str:
        return f"Role({self.name!r}, {len(self.lines)} lines)"


def gateway(settings: Mapping[str, Any]) -> Role:
    """An LNS with `set nat demux` on a static or dynamic crypto map. UsageError names the role and the value that is wrong."""
    return fill("gateway", settings)


def lns(settings: Mapping[str, Any]) -> Role:
    """An LNS whose group is protected by a crypto profile. UsageError."""
    return fill("lns", settings)


def lac(settings: Mapping[str, Any]) -> Role:
    """A LAC whose group is protected by a crypto profile. UsageError."""
    return fill("lac", settings)


def nat(settings: Mapping[str, Any]) -> Role:
    """NAT overload with its services for ESP and IKE. UsageError."""
    return fill("nat", settings)


def endpoint(settings: Mapping[str, Any]) -> Role:
    """A VPN endpoint in tunnel mode. UsageError."""
    return fill("endpoint", settings)


def access(settings: Mapping[str, Any]) -> Role:
    """Who takes callers by PPPoE. UsageError."""
    return fill("access", settings)


def fill(role: str, settings: Mapping[str, Any]) -> Role:
    template = filler.template(role)
    lines = template.fill(settings)
    return Role(role, lines, undoing(lines), gates.needed(lines), tuple(template.secrets(settings)))


# --- taking away ---

_OWNED = re.compile(
    r"vpdn-group \S+|bba-group pppoe \S+|crypto keyring \S+|crypto isakmp policy \d+|crypto dynamic-map \S+ \d+|"
    r"crypto map \S+ \d+(?= ipsec)|"
    r"crypto ipsec transform-set \S+|interface (?:Loopback|Virtual-Template|Tunnel|Dialer)\d+|"
    r"ip access-list \S+ \S+|access-list \d+|username \S+|ip local pool \S+|ip nat pool \S+"
)
"""What is taken away as a whole, by these words of its line."""


def undoing(lines: Iterable[str]) -> tuple[str, ...]:
    """What takes the lines away from a router that had nothing of the kind: the last first, since what is used may not go."""
    groups: list[list[str]] = []
    for line in lines:
        if line.startswith(" ") and groups:
            groups[-1].append(line)
        else:
            groups.append([line])
    undo: list[str] = []
    for head, *below in reversed(groups):
        if match := _OWNED.match(head):
            if f"no {match[0]}" not in undo:
                undo.append(f"no {match[0]}")
        elif below:
            undo += [head, *(f" {_opposite(line.strip())}" for line in reversed(below)), " exit"]
        else:
            undo.append(_opposite(head))
    return tuple(undo)


def _opposite(line: str) -> str:
    return line[3:] if line.startswith("no ") else f"no {line}"
