"""PPP addresses for clients, and the passwords of users."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Protocol

from harness.model import Secret


class AddressPool(Protocol):
    def give(self) -> str | None:
        """An address that nobody has; None where there is none."""

    def free(self, address: str) -> None: ...


class Pool:
    """The addresses from `first` to `last`, each once in order, then the one that has been free for longest."""

    def __init__(self, first: str, last: str) -> None:
        self._fresh = int(ipaddress.IPv4Address(first))
        self._last = int(ipaddress.IPv4Address(last))
        self._freed: dict[str, None] = {}  # oldest first

    def give(self) -> str | None:
        if self._fresh <= self._last:
            self._fresh += 1
            return str(ipaddress.IPv4Address(self._fresh - 1))
        address = next(iter(self._freed), None)
        if address is not None:
            del self._freed[address]
        return address

    def free(self, address: str) -> None:
        self._freed[address] = None


class Authenticator:
    """Whose password is which."""

    def __init__(self, users: Mapping[str, Secret]) -> None:
        self._users = users

    def password(self, user: str) -> str | None:
        """None where there is no such user."""
        secret = self._users.get(user)
        return None if secret is None else secret.reveal()


class Login(Mapping[str, str]):
    """One link's view of the users, as its PPP takes it. `user` is the one it asked for last."""

    def __init__(self, authenticator: Authenticator) -> None:
        self.user: str | None = None
        self._authenticator = authenticator

    def __getitem__(self, user: str) -> str:
        self.user = user
        password = self._authenticator.password(user)
        if password is None:
            raise KeyError(user)
        return password

    def __iter__(self) -> Iterator[str]:
        """A login asks for one user and never lists them."""
        return iter(())

    def __len__(self) -> int:
        return 0
