"""Kills runs on the bench in a box at random moments, by seed, and sees that each gives all back.

    python tests/field/kill_at_random.py [MOMENTS] [SEED]        20 moments, seed 1: some ten minutes

They are on our own gateway, on the real one and on a router in turn. The first that leaves something behind ends it, with what was
left.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from box_runs import LINUX, ROUTER, VIRTUAL, gives_all_back, played

LONGEST_S = 25.0
"""From the start of the command to the end of its scenario, on a quiet machine."""


def main(moments: int = 20, seed: int = 1) -> None:
    chance = random.Random(seed)
    for number in range(1, moments + 1):
        box = (VIRTUAL, LINUX, ROUTER)[number % 3]
        after = chance.uniform(1.0, LONGEST_S)
        with tempfile.TemporaryDirectory() as folder:
            seen = played(Path(folder), box, "kill", "pair and demux", f"after:{after:.2f}")
        gives_all_back(seen)
        print(f"[{number}/{moments}] {box[0]}, after {after:.1f} s, at {seen['doing'].strip()!r}: all given back", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
