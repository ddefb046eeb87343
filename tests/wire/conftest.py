"""Puts this directory on the import path: authorities.py is shared by the tests of several rooms below."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
