"""Makes verdict_builders importable, test folders being no packages, and the benchmarks, whose thousand SAs serve a test too; and
`edits`, which the cases on routers share."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2]), str(Path(__file__).parent / "routers")]
