"""Which check judges which row of the documents on routers."""

from __future__ import annotations

from collections.abc import Mapping

from harness.verdict.routers import l2tp_calls, l2tp_protection, l2tp_releases, l2tp_teardown
from harness.verdict.routers.gate import RouterCheck

CHECKS: Mapping[str, RouterCheck] = {
    **l2tp_calls.CHECKS,
    **l2tp_protection.CHECKS,
    **l2tp_teardown.CHECKS,
    **l2tp_releases.CHECKS,
}
"""Behaviour ID → check; the modules of the subjects have their own rows."""

NOTED: Mapping[str, RouterCheck] = {
    **l2tp_teardown.NOTED,
}
"""The same for rows on which the source is silent: a PASS says that there was something to note, its facts say what."""
