"""Routers that read their configuration otherwise than it says: the mechanism that is broken is the reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.meaning_router import Meaning, meant
from harness.virtual.settings import Personality, Settings
from harness.virtual.vpdn.groups import AcceptGroup, Vpdn

Reading = Callable[[Entry, Personality], Meaning]


def read_as(change: Callable[[Settings], Settings]) -> Reading:
    """What is configured, with `change` made to it; a router that serves nobody stays one."""

    def reading(tree: Entry, base: Personality) -> Meaning:
        found = meant(tree, base)
        return found if found.settings is None else replace(found, settings=change(found.settings))

    return reading


def set_to(**values: Any) -> Reading:
    """Settings that have these values, whatever is configured."""
    return read_as(lambda settings: settings.changed(**values))


def groups_with(**values: Any) -> Reading:
    """VPDN groups of both kinds with these values."""

    def change(vpdn: Vpdn) -> Vpdn:
        accept = tuple(replace(one, **values) for one in vpdn.accept)
        return replace(vpdn, accept=accept, request=tuple(replace(one, **values) for one in vpdn.request))

    return vpdn_as(change)


def accepting_with(change: Callable[[AcceptGroup], AcceptGroup]) -> Reading:
    return vpdn_as(lambda vpdn: replace(vpdn, accept=tuple(map(change, vpdn.accept))))


def vpdn_as(change: Callable[[Vpdn], Vpdn]) -> Reading:
    """With `change` made to the VPDN groups, where there are any."""
    return read_as(lambda settings: settings if settings.vpdn is None else replace(settings, vpdn=change(settings.vpdn)))
