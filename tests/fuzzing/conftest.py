"""Makes the fuzzer importable: it is a tool beside the harness, not a part of it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
