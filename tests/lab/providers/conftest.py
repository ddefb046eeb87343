"""Puts this directory on the import path: its tests share a fake server and live ones."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
