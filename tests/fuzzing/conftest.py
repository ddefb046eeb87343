"""Makes the fuzzer importable, which is a tool beside the harness and not a part of it, and the lab's tests' `enclosed`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))
