"""Which check judges which row of the documents on routers."""

from __future__ import annotations

from collections.abc import Mapping

from harness.verdict.routers import (
    crypto_map_edits,
    crypto_map_negotiation,
    crypto_maps,
    esp_ports,
    esp_tunnels,
    l2tp_accounting,
    l2tp_benefits,
    l2tp_calls,
    l2tp_counters,
    l2tp_debug,
    l2tp_negotiated,
    l2tp_path_mtu,
    l2tp_profiles,
    l2tp_protection,
    l2tp_releases,
    l2tp_teardown,
)
from harness.verdict.routers.gate import RouterCheck

CHECKS: Mapping[str, RouterCheck] = {
    **l2tp_calls.CHECKS,
    **l2tp_protection.CHECKS,
    **l2tp_teardown.CHECKS,
    **l2tp_releases.CHECKS,
    **l2tp_profiles.CHECKS,
    **l2tp_negotiated.CHECKS,
    **l2tp_debug.CHECKS,
    **l2tp_counters.CHECKS,
    **esp_tunnels.CHECKS,
    **l2tp_path_mtu.CHECKS,
    **l2tp_benefits.CHECKS,
    **esp_ports.CHECKS,
    **crypto_maps.CHECKS,
    **crypto_map_negotiation.CHECKS,
    **crypto_map_edits.CHECKS,
    **l2tp_accounting.CHECKS,
}
"""Behaviour ID → check; the modules of the subjects have their own rows."""

NOTED: Mapping[str, RouterCheck] = {
    **l2tp_teardown.NOTED,
    **l2tp_debug.NOTED,
    **l2tp_path_mtu.NOTED,
    **esp_tunnels.NOTED,
}
"""The same for rows on which the source is silent: a PASS says that there was something to note, its facts say what."""
