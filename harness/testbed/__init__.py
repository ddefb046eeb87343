"""Testbed files: YAML, strictly read, turned into the model, and loaded by pyATS for comparison."""

from harness.testbed.load import Examined, check, examine, load

__all__ = ["Examined", "check", "examine", "load"]
