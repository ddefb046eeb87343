"""What a router is told of its VPDN groups: from whom it accepts tunnels (LNS), whose calls it tunnels where (LAC), on what terms.

Field terms: a group's `accept-dialin` half is an `AcceptGroup`, its `request-dialin` half a `RequestGroup`. Values only, and the
choices that follow from them; nothing here has state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.errors import UsageError
from harness.model import Secret
from harness.virtual.aaa.settings import DEFAULT_LISTS, Lists
from harness.virtual.vpdn.crypto import Crypto

Renegotiation = Literal["never", "on-mismatch", "always"]
DfBit = Literal["clear", "set"]
DELIMITERS = "@"
"""Between a user's name and the domain that selects a group."""


@dataclass(frozen=True, slots=True)
class Security:
    """`l2tp security crypto-profile NAME [keep-sa]`: the group is protected by the crypto profile of this name. `keep_sa`: the
    ISAKMP SA outlives the tunnel."""

    profile: str
    keep_sa: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What both halves have. `local_name` is the host name that the tunnel bears, None for the router's own. `password` is the
    tunnel's; with `tunnel_authentication` the peer has to prove that it has it too. `security` None: L2TP goes in the clear.
    `pmtu`: the path's MTU is learnt and Don't Fragment reflected (`ip pmtu`); `df_bit`: what the outer header has otherwise."""

    name: str
    local_name: str | None = None
    password: Secret | None = None
    tunnel_authentication: bool = True
    security: Security | None = None
    pmtu: bool = False
    df_bit: DfBit = "clear"

    @property
    def secret(self) -> bytes:
        return b"" if self.password is None else self.password.reveal().encode()

    @property
    def challenges(self) -> bool:
        """Whether the peer is asked to prove itself: without a password there is nothing to ask for."""
        return self.tunnel_authentication and self.password is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptGroup(Group):
    """`terminate_from` is the one LAC's host name that the group is for, None for whoever has no group of its own. `protocol`: L2TP
    is all that there is here, so "any" and "l2tp" differ in what is said of other protocols. `authentication` is what PPP asks, as
    in a personality; `pool` one of the router's, None for that of its settings; `lists` are
    those of AAA by which its users are judged and counted."""

    protocol: Literal["any", "l2tp"] = "l2tp"
    terminate_from: str | None = None
    renegotiation: Renegotiation = "never"
    authentication: tuple[str, ...] = ("chap-md5",)
    pool: str | None = None
    lists: Lists = DEFAULT_LISTS


@dataclass(frozen=True, slots=True)
class Target:
    """`initiate-to ip ADDRESS [limit N] [priority N]`: at most `limit` calls there (None: any number); lower priorities first."""

    address: str
    limit: int | None = None
    priority: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestGroup(Group):
    """Calls of users in these `domains` (letter case does not matter) are tunnelled to one of `targets`. `no_session_s`: how long a
    tunnel may be without a call (an LNS's personality has its own `call_wait`)."""

    domains: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    no_session_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Vpdn:
    """`pools` names ranges of addresses by their ends, both of which are given out. `caller_authentication` is what the LAC asks a
    caller on its line before it knows whether to tunnel the call, `caller_lists` are those of AAA for the rest. UsageError
    where two groups have one name, or one LAC or domain two groups, or a group a pool that there is not."""

    accept: tuple[AcceptGroup, ...] = ()
    request: tuple[RequestGroup, ...] = ()
    crypto: Crypto | None = None
    pools: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    caller_authentication: tuple[str, ...] = ("chap-md5",)
    caller_lists: Lists = DEFAULT_LISTS
    interface_mtu: int = 1500

    def __post_init__(self) -> None:
        _once("accept-dialin group", (group.name for group in self.accept))
        _once("request-dialin group", (group.name for group in self.request))
        _once("terminate-from hostname", (group.terminate_from or "(any)" for group in self.accept))
        _once("domain", (domain.lower() for group in self.request for domain in group.domains))
        for group in self.accept:
            if group.pool is not None and group.pool not in self.pools:
                raise UsageError(f"vpdn group {group.name} names the pool {group.pool}, which there is not", cure="define the pool")


def _once(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UsageError(f"{what} {name} stands in two places", cure="keep one of them")
        seen.add(name)


def accepting(groups: Iterable[AcceptGroup], host_name: str) -> AcceptGroup | None:
    """The group for a LAC of this name: the one that names it, else the one that names nobody. None: it is refused."""
    found = {group.terminate_from: group for group in groups}
    return found.get(host_name) or found.get(None)


def domain_of(user: str) -> str:
    """What follows the last delimiter, in small letters; "" where there is none."""
    return user.rpartition(DELIMITERS)[2].lower() if DELIMITERS in user else ""


def requesting(groups: Iterable[RequestGroup], user: str) -> RequestGroup | None:
    """The group that tunnels this user's call. None: the call ends here."""
    domain = domain_of(user)
    return next((group for group in groups if domain in (name.lower() for name in group.domains)), None) if domain else None


def in_order(targets: Iterable[Target], calls: Mapping[str, int], busy: frozenset[str] = frozenset()) -> tuple[Target, ...]:
    """Those that may be tried, best first: by priority, then by how few `calls` they have. Left out is whoever has its limit or is
    `busy` (has failed a moment ago), the latter only where somebody else is left."""
    free = [target for target in targets if target.limit is None or calls.get(target.address, 0) < target.limit]
    fit = [target for target in free if target.address not in busy] or free
    return tuple(sorted(fit, key=lambda target: (target.priority, calls.get(target.address, 0))))
