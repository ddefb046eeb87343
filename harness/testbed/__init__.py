"""Testbed files: YAML, strictly read, turned into the model, and loaded by pyATS for comparison."""

from harness.testbed.load import Examined, check, check_any, examine, load, load_any

__all__ = ["Examined", "check", "check_any", "examine", "load", "load_any"]
