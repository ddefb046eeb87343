"""Puts this directory on the import path: terminal.py and running.py are shared."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
