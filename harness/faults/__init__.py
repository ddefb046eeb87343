"""The faults that a proof gives to gateway, NAT and client, by name."""

from __future__ import annotations

from collections.abc import Mapping

from harness.faults.fault import Fault

FAULTS: Mapping[str, Fault] = {}
