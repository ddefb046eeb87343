"""The run's redactor: the shared one (harness/model/redact.py), under the name by which reports know it."""

from harness.model.redact import MASK, SHORT, Redactor

__all__ = ["MASK", "SHORT", "Redactor"]
