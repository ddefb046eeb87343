"""Puts this directory and that of the lab's tests on the import path: enclosed.py and nat_play.py are shared with them. So is
running.py with those of the virtual IOS router."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab"), str(HERE.parent / "virtual" / "ios")]
