"""Puts this directory on the import path: leftovers.py and enclosed.py are shared by its tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
