"""Puts this directory on the import path: authorities.py and phase_1_ways.py are shared by the tests below."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
