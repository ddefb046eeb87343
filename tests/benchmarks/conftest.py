"""Makes the benchmarks importable: they are tools beside the harness, not a part of it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
