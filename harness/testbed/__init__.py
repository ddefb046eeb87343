"""Testbed files: YAML, strictly read, then loaded by pyATS, then turned into the model."""

from harness.testbed.load import check, load

__all__ = ["check", "load"]
