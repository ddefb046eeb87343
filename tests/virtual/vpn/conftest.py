"""Puts this directory on the import path: vpn_bench.py is shared by the tests here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
