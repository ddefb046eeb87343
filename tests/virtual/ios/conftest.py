"""Puts this directory on the import path: terminal.py and running.py are shared. Where the machine has no telnet, the one that
`natstorm setup` has unpacked is taken."""

import sys
from contextlib import suppress
from pathlib import Path

from harness.errors import MissingTool
from harness.lab import unpacked

sys.path.insert(0, str(Path(__file__).parent))
with suppress(MissingTool):  # the tests that want it say so
    unpacked.offer("telnet")
