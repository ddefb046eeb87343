"""Routers that serve NATed clients and read the lines of `set nat demux`, and those about it, otherwise than they are meant."""

from __future__ import annotations

from dataclasses import replace

from harness.faults.fault import ROUTER, Fault, in_router
from harness.faults.router_readings import read_as, set_to
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.meaning_router import Meaning, meant
from harness.virtual.ios.router import RouterParts
from harness.virtual.settings import Personality, Settings

DEMUX = "set nat demux"
LONGEST_KEEPALIVE_S = 300.0


def _static_only(tree: Entry, base: Personality) -> Meaning:
    found = meant(tree, base)
    static = any(entry.has(DEMUX) for entry in tree.find("crypto map"))
    return found if found.settings is None or static else replace(found, settings=found.settings.changed(demux=False))


def _dynamic_only(tree: Entry, base: Personality) -> Meaning:
    found = meant(tree, base)
    dynamic = any(entry.has(DEMUX) for entry in tree.find("crypto dynamic-map"))
    return found if found.settings is None or dynamic else replace(found, settings=found.settings.changed(demux=False))


class OnceDemuxed:
    """Reads no `no set nat demux`: a router that has demultiplexed goes on doing so."""

    def __init__(self) -> None:
        self._on = False

    def __call__(self, tree: Entry, base: Personality) -> Meaning:
        found = meant(tree, base)
        if found.settings is None:
            return found
        self._on = self._on or found.settings.personality.demux
        return replace(found, settings=found.settings.changed(demux=self._on))


def _once(parts: RouterParts) -> None:
    parts.meant = OnceDemuxed()


def _capped(settings: Settings) -> Settings:
    asked = settings.personality.dpd
    return settings if asked is None else settings.changed(dpd=min(asked, LONGEST_KEEPALIVE_S))


def _methods_reversed(settings: Settings) -> Settings:
    changed = settings.changed(authentication=settings.personality.authentication[::-1])
    vpdn = settings.vpdn
    if vpdn is None:
        return changed
    accept = tuple(replace(group, authentication=group.authentication[::-1]) for group in vpdn.accept)
    return replace(changed, vpdn=replace(vpdn, accept=accept))


FAULTS: tuple[Fault, ...] = (
    in_router(
        "demux-static-only",
        "The line `set nat demux` is heeded in static crypto maps only.",
        with_clients=True,
        meant=_static_only,
    ),
    in_router(
        "demux-dynamic-only",
        "The line `set nat demux` is heeded in dynamic crypto maps only.",
        with_clients=True,
        meant=_dynamic_only,
    ),
    Fault("no-demux-ignored", ROUTER, "The line `no set nat demux` changes nothing.", router=_once, with_clients=True),
    in_router(
        "checksum-line-ignored",
        "The line `vpdn ip udp ignore checksum` is ignored.",
        with_clients=True,
        meant=set_to(checksum="verify"),
    ),
    in_router("keepalive-ignored", "The line `crypto isakmp keepalive` is ignored.", with_clients=True, meant=set_to(dpd=None)),
    in_router(
        "keepalive-capped",
        "Of `crypto isakmp keepalive` no interval beyond five minutes is kept.",
        with_clients=True,
        meant=read_as(_capped),
    ),
    in_router(
        "ppp-methods-reversed",
        "The methods of `ppp authentication` are offered from the last to the first.",
        with_clients=True,
        meant=read_as(_methods_reversed),
    ),
)
