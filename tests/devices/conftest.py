"""Puts this directory, and that of the lab's tests, on the import path: sshd.py is shared here, enclosed.py is theirs."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab")]
