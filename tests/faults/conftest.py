"""Makes fault_rehearsal importable, test folders being no packages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
