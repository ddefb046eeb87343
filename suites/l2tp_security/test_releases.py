"""Which releases and platforms have the command that protects a VPDN group."""

from __future__ import annotations

import pytest


@pytest.mark.behaviour("SEC-45")
@pytest.mark.routers(
    "l2tp-release-before",
    "l2tp-release-first",
    "l2tp-release-7500-before",
    "l2tp-release-7500",
    "l2tp-release-as5300-before",
    "l2tp-release-as5300",
    "l2tp-release-sba",
)
def test_release_and_platform_gate(judge):
    judge()
