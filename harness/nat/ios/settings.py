"""What the configuration of a router that runs changes in its NAT. All of it is for a core of an IOS personality; UsageError for
any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.errors import UsageError
from harness.nat.core import NatCore
from harness.nat.headers import packed
from harness.nat.ios.access_list import AccessList
from harness.nat.ios.one_to_one import OneToOne
from harness.nat.ios.services import Services
from harness.nat.ios.timers import KINDS, NEVER, IosTimers
from harness.nat.parts import Translator, serve

DEFAULTS = IosTimers()
UNLIMITED = 1 << 31


def set_services(core: NatCore, services: Services) -> None:
    """All `ip nat service` lines at once. Entries that are there stay."""
    serve(_how(core), services)


def set_timeout(core: NatCore, kind: str, seconds: float | None) -> None:
    """`ip nat translation KIND-timeout`, for entries that are made or renewed from now on. `kind` is one of KINDS; None: never."""
    timers = _how(core).timers
    if kind not in KINDS or not isinstance(timers, IosTimers):
        raise UsageError(f"no NAT timer is called {kind!r}", cure="one of: " + ", ".join(KINDS))
    setattr(timers, kind, NEVER if seconds is None else seconds)


def reset_timeout(core: NatCore, kind: str) -> None:
    """`no ip nat translation KIND-timeout`."""
    if kind not in KINDS:
        raise UsageError(f"no NAT timer is called {kind!r}", cure="one of: " + ", ".join(KINDS))
    set_timeout(core, kind, float(getattr(DEFAULTS, kind)))


def set_max_entries(core: NatCore, entries: int | None) -> None:
    """`ip nat translation max-entries`; None for no limit. Entries that are there stay."""
    _how(core).table.limit = UNLIMITED if entries is None else entries


def set_addresses(
    core: NatCore,
    *,
    overload: bool,
    pool: Sequence[str] | None = None,
    permitted: AccessList | None = None,
    statics: Mapping[str, str] | None = None,
) -> None:
    """`ip nat inside source …`. With `overload` ports share the core's outside address; without, hosts that `permitted` lets (None:
    all) get an address of `pool` each (None: the core's own alone). `statics`: inside → outside address, beside either of them.

    Entries of a kind that is no longer configured stay until their time is up, or until they are cleared; a static translation that
    is no longer there goes at once.
    """
    how = _how(core)
    fixed = {packed(inside): packed(outside) for inside, outside in (statics or {}).items()}
    if len(set(fixed.values())) < len(fixed):
        raise UsageError("two static translations have one outside address", cure="an outside address for each inside one")
    dynamic = () if overload else None if pool is None else tuple(map(packed, pool))
    for binding in how.table.live(core.now):
        if binding.static and fixed.get(binding.inside) != binding.outside:
            how.table.remove(binding)
    how.overloads = overload
    how.addresses = OneToOne(dynamic, permitted, fixed) if fixed or not overload else None
    core.install()


def _how(core: NatCore) -> Translator:
    how = core.parts.translator
    if how is None or how.expectations is None:
        raise UsageError(f"{core.personality.name!r} is no NAT of an IOS router", cure="a NAT personality that begins with ios")
    return how
