"""The ways through phase 1: main or aggressive mode, with a pre-shared key or with signatures."""

from __future__ import annotations

from typing import Any

import authorities as pki

from harness.wire.config import IkeProposal

_SIGNED = (IkeProposal("aes-256", "sha1", "ecp256", authentication="rsa"),)
_CLIENT_SIGNS = {"proposals": _SIGNED, "credentials": pki.credentials("laptop"), "identity": "fqdn:laptop.example.com"}
_GATEWAY_SIGNS = {"proposals": _SIGNED, "credentials": pki.credentials("gateway"), "identity": "dn"}
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "main mode, key": ({}, {}),
    "main mode, signatures": (_CLIENT_SIGNS, _GATEWAY_SIGNS),
    "aggressive mode, key": ({"exchange": "aggressive"}, {"accept_aggressive": True}),
    "aggressive mode, signatures": ({"exchange": "aggressive", **_CLIENT_SIGNS}, {"accept_aggressive": True, **_GATEWAY_SIGNS}),
}
"""Fields of client and gateway beyond those that all tests have, for each way."""
