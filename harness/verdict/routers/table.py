"""Which check judges which row of the documents on routers."""

from __future__ import annotations

from collections.abc import Mapping

from harness.verdict.routers import esp_ports, esp_tunnels, l2tp_protection
from harness.verdict.routers.gate import RouterCheck

CHECKS: Mapping[str, RouterCheck] = {
    **l2tp_protection.CHECKS,
    **esp_tunnels.CHECKS,
    **esp_ports.CHECKS,
}
"""Behaviour ID → check; the modules of the subjects have their own rows."""

NOTED: Mapping[str, RouterCheck] = {**esp_tunnels.NOTED}
"""The same for rows on which the source is silent: a PASS says that there was something to note, its facts say what."""
