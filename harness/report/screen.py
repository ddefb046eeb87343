"""The terminal as pytest gives it: past its capture, with or without colour, beside or instead of pytest's own dots."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from harness.report.terminal import Progress


class Screen:
    """Made in pytest_configure. Unless -v asks for pytest's own lines, `own` is true and pytest's are quietened."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._progress: Progress | None = None
        self.own: bool = config.option.verbose <= 0
        if self.own:
            config.option.verbose = min(config.option.verbose, -1)

    @property
    def progress(self) -> Progress:
        """Made at first use: pytest's reporter does not exist yet when this object is made."""
        if self._progress is None:
            reporter = self._plugin("terminalreporter")
            tty = self.own and bool(getattr(reporter, "isatty", False))
            width = 80 if reporter is None else self._config.get_terminal_writer().fullwidth
            self._progress = Progress(self.write, tty=tty, width=width)
        return self._progress

    @property
    def colour(self) -> bool:
        return self._plugin("terminalreporter") is not None and bool(self._config.get_terminal_writer().hasmarkup)

    def write(self, text: str) -> None:
        """At once, and also while a test runs, when pytest holds standard output."""
        manager = self._plugin("capturemanager")
        if manager is None:
            self._put(text)
            return
        with manager.global_and_fixture_disabled():
            self._put(text)

    def _put(self, text: str) -> None:
        if self._plugin("terminalreporter") is None:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            self._config.get_terminal_writer().write(text, flush=True)

    def _plugin(self, name: str) -> Any:
        return self._config.pluginmanager.get_plugin(name)
