"""What a router is told of AAA: groups of RADIUS servers, and lists of methods by name. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.wire.radius import Server

DEFAULT = "default"
LOCAL, NONE, GROUP = "local", "none", "group "
"""Methods: the router's own users, nobody at all, and "group NAME"."""

When = Literal["start-stop", "stop-only", "none"]


@dataclass(frozen=True, slots=True)
class Lists:
    """Which lists a link goes by."""

    authentication: str = DEFAULT
    accounting: str = DEFAULT


DEFAULT_LISTS = Lists()


@dataclass(frozen=True, slots=True)
class AccountingList:
    """`groups` in the order in which they are tried."""

    when: When
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Aaa:
    """`authentication` has the methods of each list: the next one is asked only where the one before could not answer.
    `framed_address`: an address that a server gives a user counts. `update_s`: seconds between interim records, None for none.
    `link_lists` are those of links whose group names none; `flows_list` the accounting list of the crypto map on the interface."""

    groups: Mapping[str, tuple[Server, ...]] = field(default_factory=dict)
    authentication: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    accounting: Mapping[str, AccountingList] = field(default_factory=dict)
    framed_address: bool = False
    update_s: float | None = None
    link_lists: Lists = DEFAULT_LISTS
    flows_list: str | None = None

    def methods(self, name: str) -> tuple[str, ...] | None:
        """None where there is no such list. Without a default list the router's own users are asked."""
        return self.authentication.get(name, (LOCAL,) if name == DEFAULT else None)

    def judges(self, *groups: str) -> tuple[Server, ...]:
        """Whom to ask about users: all of these groups' servers, each once, in order. Port 0: not for this."""
        return tuple(server for server in self._servers(groups) if server.auth_port)

    def books(self, *groups: str) -> tuple[Server, ...]:
        """Whom to tell of sessions, likewise."""
        return tuple(server for server in self._servers(groups) if server.acct_port)

    def _servers(self, groups: tuple[str, ...]) -> Iterable[Server]:
        return dict.fromkeys(server for group in groups for server in self.groups.get(group, ()))
